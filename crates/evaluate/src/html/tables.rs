//! Tables.

use super::escaped;
use crate::{Estimate, Rate};

/// A table: a heading row and rows of cells, the first cell of a row being its name. Cells are HTML already.
pub(super) fn table(class: &str, heading: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let head: String = heading.iter().map(|cell| format!("<th scope=\"col\">{}</th>", escaped(cell))).collect();
    let row = |cells: Vec<String>| {
        let mut cells = cells.into_iter();
        let name = cells.next().unwrap_or_default();
        format!("<tr><th scope=\"row\">{name}</th>{}</tr>\n", cells.map(|cell| format!("<td>{cell}</td>")).collect::<String>())
    };
    let body: String = rows.into_iter().map(row).collect();
    format!("<div class=\"scroll\"><table class=\"{class}\"><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>\n")
}

/// A share as per cent, with its interval and its rows.
pub(super) fn rate(rate: Rate) -> String {
    match (rate.value(), rate.interval()) {
        (Some(value), Some((low, high))) => {
            let note = format!("{} of {}; 95 %: {:.2} to {:.2} %", rate.hits, rate.total, low * 100.0, high * 100.0);
            format!("{:.2} % <small>{note}</small>", value * 100.0)
        }
        _ => "–".into(),
    }
}

/// A share as per cent.
pub(super) fn percent(rate: Rate) -> String {
    rate.value().map_or_else(|| "–".into(), |value| format!("{:.2} %", value * 100.0))
}

/// Four digits, or a dash.
pub(super) fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".into(), |value| format!("{value:.4}"))
}

/// A figure with its interval.
pub(super) fn estimate(estimate: &Estimate) -> String {
    format!("{:.4} <small>95 %: {:.4} to {:.4}</small>", estimate.value, estimate.low, estimate.high)
}
