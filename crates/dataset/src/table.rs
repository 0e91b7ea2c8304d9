use crate::Row;
use std::{collections::BTreeMap, fmt::Write};

/// How often each value of a property occurs in each label, as percentages of the label's rows: what shows that no wrapper,
/// rendering or spelling gives a label away.
pub fn label_table<'a>(title: &str, rows: impl IntoIterator<Item = &'a Row>, property: impl Fn(&'a Row) -> &'a str) -> String {
    let mut counts: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    let mut totals: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows {
        *counts.entry(property(row)).or_default().entry(&row.label).or_default() += 1;
        *totals.entry(&row.label).or_default() += 1;
    }
    let mut table = format!("{title:<20}");
    for (label, total) in &totals {
        let _ = write!(table, "{:>18}", format!("{label} ({total})"));
    }
    table.push('\n');
    for (value, by_label) in &counts {
        let _ = write!(table, "{value:<20}");
        for (label, total) in &totals {
            let share = 100.0 * by_label.get(label).copied().unwrap_or(0) as f64 / *total as f64;
            let _ = write!(table, "{share:>17.1}%");
        }
        table.push('\n');
    }
    table
}
