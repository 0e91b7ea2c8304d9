//! One model's part of the page.

use super::escaped;
use super::tables::{estimate, rate, table};
use crate::{Evaluation, Mistake, ModelFigures, Report, ShownError};

/// Labels up to which the confusion matrix is shown whole.
const MOST_LABELS: usize = 30;

/// One model's tables.
pub(super) fn model(figures: &ModelFigures) -> String {
    let found = &figures.evaluation;
    let facts = format!(
        "<p>{} rows, {} left out for their labels; threshold {}; {:.2} s, {:.1} rows a second.</p>",
        found.report.total, figures.rows_left_out, figures.threshold, figures.seconds, figures.samples_per_second
    );
    let parts =
        [facts, labels(&found.report), matrix(&found.report), operating_points(found), groups(found), coverage(found), worst(&figures.worst_errors)];
    format!("<section><h2>{}</h2>\n{}</section>\n", escaped(&figures.model), parts.concat())
}

fn labels(report: &Report) -> String {
    let classes = report.occurring().map(|class| {
        let mut cells = vec![escaped(&class.label)];
        cells.extend([class.precision, class.recall, class.f1].map(|value| format!("{value:.4}")));
        cells.push(class.support.to_string());
        cells
    });
    let average = |name: &str, average: &crate::Averages| {
        let mut cells = vec![name.to_owned()];
        cells.extend([average.precision, average.recall, average.f1].map(|value| format!("{value:.4}")));
        cells.push(report.total.to_string());
        cells
    };
    let averages = [average("macro average", &report.macro_average), average("weighted average", &report.weighted_average)];
    let absent = report.absent_labels().map_or_else(String::new, |absent| format!("<p>{absent}.</p>"));
    format!("<h3>By label</h3>{}{absent}", table("", &["label", "precision", "recall", "F1", "rows"], classes.chain(averages)))
}

fn matrix(report: &Report) -> String {
    if report.classes.len() > MOST_LABELS {
        return confusions(report);
    }
    let heading: Vec<&str> = std::iter::once("true \\ predicted").chain(report.classes.iter().map(|class| class.label.as_str())).collect();
    let rows = report.classes.iter().zip(&report.matrix).enumerate().map(|(truth, (class, row))| {
        let cell = |(found, count): (usize, &u64)| {
            let share = *count as f64 / class.support.max(1) as f64;
            let kind = if truth == found { "right" } else { "wrong" };
            if *count == 0 {
                "<span class=\"none\">0</span>".into()
            } else {
                format!("<span class=\"{kind}\" style=\"--share:{share:.3}\">{count}</span>")
            }
        };
        std::iter::once(escaped(&class.label)).chain(row.iter().enumerate().map(cell)).collect()
    });
    format!("<h3>Confusion matrix</h3>{}", table("matrix", &heading, rows))
}

/// Of many labels the pairs that are confused most.
fn confusions(report: &Report) -> String {
    let mut pairs: Vec<(u64, usize, usize)> = Vec::new();
    for (truth, row) in report.matrix.iter().enumerate() {
        pairs.extend(row.iter().enumerate().filter(|(found, count)| *found != truth && **count > 0).map(|(found, count)| (*count, truth, found)));
    }
    pairs.sort_by(|a, b| b.0.cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let name = |label: usize| escaped(&report.classes[label].label);
    let rows = pairs.into_iter().take(40).map(|(count, truth, found)| vec![name(truth), name(found), count.to_string()]);
    format!("<h3>Labels confused most</h3>{}", table("", &["true", "predicted", "rows"], rows))
}

fn operating_points(found: &Evaluation) -> String {
    if found.curve.is_none() {
        return "<p>Attack rows and benign rows are both wanted for curves and operating points.</p>".into();
    }
    let estimates = found.intervals.as_ref().map(|intervals| intervals.true_positive_rates.as_slice()).unwrap_or_default();
    let rows = found.operating_points.iter().enumerate().map(|(index, point)| {
        let wanted = format!("{} %", point.wanted_rate * 100.0);
        let Some(reached) = point.reached else {
            let why = format!("refused: {} benign rows, {} wanted", point.benign_rows, point.benign_needed);
            return vec![wanted, why, String::new(), String::new()];
        };
        let interval = estimates.get(index).and_then(Option::as_ref);
        let found = interval.map_or_else(|| format!("{:.4}", reached.true_positive_rate), estimate);
        vec![wanted, found, format!("{:.4}", reached.threshold), format!("{} of {}", point.benign_allowed, point.benign_rows)]
    });
    let heading = ["at most this false-positive rate", "share of attacks found", "threshold", "benign rows it rests on"];
    format!("<h3>Operating points</h3>{}", table("", &heading, rows))
}

fn groups(found: &Evaluation) -> String {
    let rows = found.groups.iter().map(|group| {
        vec![escaped(&format!("{} = {}", group.column, group.value)), rate(group.found), rate(group.top_1), rate(group.false_positives)]
    });
    format!("<h3>By group</h3>{}", table("", &["group", "attacks found", "attacks, top 1 right", "false positives"], rows))
}

fn coverage(found: &Evaluation) -> String {
    let rows = found.coverage.table.iter().map(|point| {
        vec![format!("{:.2}", point.confidence), format!("{:.2} %", point.coverage * 100.0), rate(point.accuracy), rate(point.attack_precision)]
    });
    let heading = ["answered from this confidence on", "rows answered", "accuracy", "precision of attack answers"];
    format!("<h3>Abstaining</h3>{}", table("", &heading, rows))
}

fn worst(errors: &[ShownError]) -> String {
    if errors.is_empty() {
        return String::new();
    }
    let name = |mistake: Mistake| match mistake {
        Mistake::FalseAlarm => "benign, reported",
        Mistake::Missed => "attack, not reported",
        Mistake::Confused => "attack, reported as another",
    };
    let rows = errors.iter().map(|error| {
        let answer = format!("{} for {}", escaped(&error.predicted), escaped(&error.truth));
        vec![
            name(error.mistake).to_owned(),
            format!("{:.4}", error.score),
            answer,
            format!("<code>{}</code>", escaped(&error.text)),
            escaped(&error.source),
        ]
    });
    format!("<h3>Surest wrong answers</h3>{}", table("lines", &["mistake", "score", "answer", "line", "where"], rows))
}
