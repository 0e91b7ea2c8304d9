//! Which of a model's labels are right for a row.

use attackline_dataset::Row;
use attackline_evaluate::parent_technique;
use attackline_model::{BENIGN, Labels};

/// The places of the row's labels; a technique that the model doesn't answer with counts as its parent.
pub(super) fn truth(row: &Row, labels: &Labels) -> Vec<usize> {
    let named = if row.labels.is_empty() { std::slice::from_ref(&row.label) } else { &row.labels };
    let place = |label: &String| labels.index(label).or_else(|| labels.index(parent_technique(label)).filter(|_| label != BENIGN));
    let mut truth: Vec<usize> = named.iter().filter_map(place).collect();
    truth.sort_unstable();
    truth.dedup();
    truth
}
