//! Which rows a run learns from.

use crate::diagnostics::say;
use crate::exit::Unreadable;
use anyhow::{Result, bail};
use attackline_dataset::{Row, read_labelled};
use attackline_model::BENIGN;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Where nothing else is given for validation, one line in so many is held out.
const HELD_OUT: u64 = 10;

/// A line and its label.
pub type Labelled = (String, String);

/// The rows of a run.
pub struct Rows {
    /// What is learnt from.
    pub train: Vec<Labelled>,
    /// What decides which epoch is best.
    pub validation: Vec<Labelled>,
    /// Benign first, then the techniques by id.
    pub labels: Vec<String>,
    /// Each file's name and SHA-256.
    pub hashes: Vec<(String, String)>,
}

/// Reads everything; leaves rows out whose labels are not wanted, repeats of a line, and Benign rows beyond the limit.
pub fn load(paths: &[PathBuf], wanted: &[String], benign_limit: Option<usize>, seed: u64) -> Result<Rows> {
    let mut rows = Rows { train: Vec::new(), validation: Vec::new(), labels: Vec::new(), hashes: Vec::new() };
    let mut left_out = 0;
    for path in paths {
        let (train, validation) = if path.is_dir() { (path.join("train.csv"), Some(path.join("validation.csv"))) } else { (path.clone(), None) };
        let mut read = |file: &Path| -> Result<Vec<Labelled>> {
            let (kept, others): (Vec<Row>, Vec<Row>) =
                rows_of(file)?.into_iter().partition(|row| wanted.is_empty() || row.label == BENIGN || wanted.contains(&row.label));
            left_out += others.len();
            rows.hashes.push((file.file_name().unwrap_or_default().to_string_lossy().into_owned(), hash(file)?));
            Ok(limited(kept, benign_limit, seed))
        };
        let learnt = read(&train)?;
        let checked = validation.map(|file| read(&file)).transpose()?.unwrap_or_default();
        rows.train.extend(learnt);
        rows.validation.extend(checked);
    }
    if left_out > 0 {
        say(format_args!("{left_out} rows left out: their labels are not among those wanted"));
    }
    split(&mut rows, seed);
    let present: BTreeSet<&str> = rows.train.iter().map(|(_, label)| label.as_str()).collect();
    if let Some(label) = wanted.iter().find(|label| !present.contains(label.as_str())) {
        bail!("no training row has the label {label}{}; the data have {}", hint(label), present.into_iter().collect::<Vec<_>>().join(", "));
    }
    let techniques = present.iter().filter(|label| **label != BENIGN);
    rows.labels = present.get(BENIGN).into_iter().chain(techniques).map(|label| (*label).to_owned()).collect();
    if let Some(label) = rows.labels.iter().find(|label| *label != BENIGN && attackline_catalog::technique(label).is_none()) {
        bail!(
            "the label {label} is no technique of ATT&CK {}{}; leave it out with --labels, or rename it",
            attackline_catalog::ATTACK_VERSION,
            hint(label)
        );
    }
    let known = rows.validation.len();
    rows.validation.retain(|(_, label)| rows.labels.contains(label));
    if known > rows.validation.len() {
        say(format_args!("{} validation rows left out: no training row has their label", known - rows.validation.len()));
    }
    Ok(rows)
}

/// Takes repeated lines out, and holds rows out for validation where there are none. No line is on both sides.
fn split(rows: &mut Rows, seed: u64) {
    if rows.validation.is_empty() {
        (rows.validation, rows.train) = std::mem::take(&mut rows.train).into_iter().partition(|(text, _)| rank(text, seed).is_multiple_of(HELD_OUT));
    }
    let mut seen: BTreeSet<String> = BTreeSet::new();
    rows.validation.retain(|(text, _)| seen.insert(text.clone()));
    rows.train.retain(|(text, _)| seen.insert(text.clone()));
}

/// At most `limit` Benign rows, chosen by their text and the seed, in their order.
fn limited(rows: Vec<Row>, limit: Option<usize>, seed: u64) -> Vec<Labelled> {
    let mut ranks: Vec<u64> = rows.iter().filter(|row| row.label == BENIGN).map(|row| rank(&row.text, seed)).collect();
    ranks.sort_unstable();
    let highest = limit.map_or(Some(u64::MAX), |limit| ranks.get(limit.min(ranks.len()).checked_sub(1)?).copied());
    let kept = |row: &Row| row.label != BENIGN || highest.is_some_and(|highest| rank(&row.text, seed) <= highest);
    rows.into_iter().filter(kept).map(|row| (row.text, row.label)).collect()
}

/// A number that looks random and depends on the text and the seed only.
fn rank(text: &str, seed: u64) -> u64 {
    let digest = Sha256::new().chain_update(seed.to_le_bytes()).chain_update(text).finalize();
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn rows_of(file: &Path) -> Result<Vec<Row>> {
    Ok(read_labelled(file).map_err(|error| Unreadable(error.to_string()))?)
}

fn hash(file: &Path) -> Result<String> {
    Ok(Sha256::digest(fs_err::read(file)?).iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What an unknown label may have meant.
fn hint(label: &str) -> String {
    if label.eq_ignore_ascii_case(BENIGN) && label != BENIGN {
        return format!(" (did you mean {BENIGN}?)");
    }
    attackline_catalog::suggest(label).map_or_else(String::new, |meant| format!(" (did you mean {}, {}?)", meant.id, meant.full_name()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn csv(folder: &Path, name: &str, rows: &[(&str, &str)]) -> PathBuf {
        let body: String = rows.iter().map(|(text, label)| format!("{text},{label}\n")).collect();
        std::fs::write(folder.join(name), format!("text,label\n{body}")).unwrap();
        folder.join(name)
    }

    #[test]
    fn a_folder_gives_both_sides_and_no_line_is_on_both() {
        let folder = tempfile::tempdir().unwrap();
        csv(folder.path(), "train.csv", &[("a", "Benign"), ("b", "T1049"), ("a", "Benign"), ("c", "T1087.001"), ("v", "T1049")]);
        csv(folder.path(), "validation.csv", &[("v", "T1049"), ("w", "T1003.002")]);
        let rows = load(&[folder.path().to_owned()], &[], None, 7).unwrap();
        assert_eq!(rows.labels, ["Benign", "T1049", "T1087.001"]);
        assert_eq!(rows.train.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(rows.validation, [("v".to_owned(), "T1049".to_owned())]);
        let rows = load(&[folder.path().to_owned()], &["T1049".into()], None, 7).unwrap();
        assert_eq!(rows.labels, ["Benign", "T1049"]);
        assert!(load(&[folder.path().to_owned()], &["T1".into()], None, 7).err().unwrap().to_string().contains("T1;"));
    }

    #[test]
    fn the_limit_is_of_benign_rows_and_depends_on_the_seed_alone() {
        let rows = |count: usize| -> Vec<Row> {
            (0..count).map(|i| Row { text: format!("line {i}"), label: if i % 4 == 0 { "T1049" } else { BENIGN }.into(), ..Row::default() }).collect()
        };
        for limit in [0, 1, 10, 75, 1_000] {
            let kept = limited(rows(100), Some(limit), 7);
            assert_eq!(kept.iter().filter(|(_, label)| label == BENIGN).count(), limit.min(75));
            assert_eq!(kept.iter().filter(|(_, label)| label != BENIGN).count(), 25);
        }
        assert_eq!(limited(rows(100), Some(10), 7), limited(rows(100), Some(10), 7));
        assert_ne!(limited(rows(100), Some(10), 7), limited(rows(100), Some(10), 8));
    }
}
