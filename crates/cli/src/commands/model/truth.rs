//! Which of a model's labels are right for a row.

use anyhow::{Result, bail};
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

/// Refuses rows of one kind: nothing that tells attacks from harmless lines can be fitted on them. `truths` are the labels of the rows that count.
pub(super) fn check_kinds<'a>(flag: &str, truths: impl Iterator<Item = &'a [usize]>, benign: usize) -> Result<()> {
    let (mut attacks, mut harmless) = (0, 0);
    truths.for_each(|truth| *(if truth.contains(&benign) { &mut harmless } else { &mut attacks }) += 1);
    match (attacks, harmless) {
        (0, rows) => bail!("all {rows} rows of {flag} are {BENIGN}: add attack rows, or the model would learn that nothing is an attack"),
        (rows, 0) => bail!("none of the {rows} rows of {flag} is {BENIGN}: add harmless rows, or the model would learn that everything is an attack"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_kind_are_refused() {
        let said = |truths: &[&[usize]]| check_kinds("--data", truths.iter().copied(), 1).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(said(&[&[1], &[1]]).starts_with("all 2 rows of --data are Benign"));
        assert!(said(&[&[0], &[2, 3]]).starts_with("none of the 2 rows of --data is Benign"));
        assert_eq!(said(&[&[0], &[1]]), "");
    }
}
