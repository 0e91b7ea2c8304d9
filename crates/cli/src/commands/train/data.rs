//! Which rows a run learns from.

use super::super::hint::{cut, hint};
use crate::diagnostics::say;
use crate::exit::Unreadable;
use anyhow::{Result, bail};
use attackline_dataset::{Row, read_labelled};
use attackline_model::BENIGN;
use attackline_train::Labelled;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Where nothing else is given for validation, one line in so many is held out.
const HELD_OUT: u64 = 10;

/// The arguments that choose rows.
#[derive(Debug, clap::Args)]
pub struct DataArgs {
    /// Data folder, CSV, NDJSON or Parquet; repeatable
    #[arg(long = "data", value_name = "PATH", required = true, num_args = 1..)]
    pub paths: Vec<PathBuf>,
    /// What a row of each --data counts, divided by commas, in their order [default: 1]
    #[arg(long = "data-weights", value_name = "LIST", value_delimiter = ',')]
    weights: Vec<f32>,
    /// Train for Benign and these labels, divided by commas; rows of other labels are left out [default: all in the data]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    labels: Vec<String>,
    /// A line may have several labels (the column labels, a list): the model says yes or no to each
    #[arg(long)]
    pub several_labels: bool,
    /// A technique with fewer training rows answers through its parent, as does a sub-technique that the catalog doesn't know; rows of
    /// techniques that have too few even so are left out
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    least_rows: usize,
    /// At most so many Benign rows from each --data
    #[arg(long, value_name = "N")]
    benign_limit: Option<usize>,
    /// Seed of the head, the order of lines and dropout
    #[arg(long, value_name = "N", default_value_t = attackline_train::TrainSettings::default().seed)]
    pub seed: u64,
}

/// A file that rows came from.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name without folders.
    pub name: String,
    /// SHA-256 of its bytes.
    pub hash: String,
    /// Rows taken from it, repeats among them.
    pub rows: usize,
    /// What each counts.
    pub weight: f32,
}

/// The rows of a run.
#[derive(Debug, Default)]
pub struct Rows {
    /// What is learnt from.
    pub train: Vec<Labelled>,
    /// What decides which epoch is best.
    pub validation: Vec<Labelled>,
    /// Benign first, then the techniques by id.
    pub labels: Vec<String>,
    /// The files.
    pub sources: Vec<Source>,
}

impl Rows {
    /// Gives rows of thin labels the parent's, and leaves those out that have none with enough rows. Says how many.
    fn fold_thin_labels(&mut self, least: usize) -> usize {
        let known = |label: &str| label == BENIGN || attackline_catalog::technique(label).is_some();
        let count = |rows: &[Labelled]| {
            let mut counts = BTreeMap::<String, usize>::new();
            rows.iter().flat_map(|row| &row.labels).for_each(|label| *counts.entry(label.clone()).or_default() += 1);
            counts
        };
        let counts = count(&self.train);
        let enough = |counts: &BTreeMap<String, usize>, label: &str| known(label) && counts.get(label).is_some_and(|&count| count >= least);
        for row in self.train.iter_mut().chain(&mut self.validation) {
            for label in row.labels.iter_mut().filter(|label| !enough(&counts, label)) {
                if let Some((parent, _)) = label.split_once('.') {
                    *label = parent.to_owned();
                }
            }
            row.labels.sort_unstable();
            row.labels.dedup();
        }
        let counts = count(&self.train);
        let before = self.train.len() + self.validation.len();
        for side in [&mut self.train, &mut self.validation] {
            side.iter_mut().for_each(|row| row.labels.retain(|label| enough(&counts, label)));
            side.retain(|row| !row.labels.is_empty());
        }
        before - self.train.len() - self.validation.len()
    }
}

/// Reads everything; leaves rows out whose labels are not wanted, repeats of a line, and Benign rows beyond the limit.
pub fn load(args: &DataArgs) -> Result<Rows> {
    if !args.weights.is_empty() && args.weights.len() != args.paths.len() {
        bail!("--data-weights: {} weights for {} times --data", args.weights.len(), args.paths.len());
    }
    if let Some(weight) = args.weights.iter().find(|weight| !(weight.is_finite() && **weight > 0.0)) {
        bail!("--data-weights: {weight} is not above 0");
    }
    let (mut rows, mut left_out, mut seen) = (Rows::default(), 0, BTreeSet::new());
    for (index, path) in args.paths.iter().enumerate() {
        let weight = args.weights.get(index).copied().unwrap_or(1.0);
        let (train, validation) = if path.is_dir() { files_of(path)? } else { (path.clone(), None) };
        let mut read = |file: &Path| -> Result<Vec<Labelled>> {
            let all = read_labelled(file).map_err(|error| Unreadable(error.to_string()))?;
            let count = all.len();
            all.iter().for_each(|row| seen.extend(row.all_labels()));
            let kept: Vec<Labelled> = all.into_iter().filter_map(|row| wanted(row, args, weight)).collect();
            left_out += count - kept.len();
            let kept = limited(kept, args.benign_limit, args.seed);
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            rows.sources.push(Source { name, hash: hash(file)?, rows: kept.len(), weight });
            Ok(kept)
        };
        let learnt = read(&train)?;
        let checked = validation.map(|file| read(&file)).transpose()?.unwrap_or_default();
        rows.train.extend(learnt);
        rows.validation.extend(checked);
    }
    if left_out > 0 {
        say(format_args!("{left_out} rows left out: their labels are not among those wanted"));
    }
    split(&mut rows, args);
    if args.least_rows > 0 {
        let gone = rows.fold_thin_labels(args.least_rows);
        say(format_args!("techniques with fewer than {} training rows answer through their parents; {gone} rows left out", args.least_rows));
    }
    if rows.train.is_empty() {
        bail!("there are no rows to learn from in the data");
    }
    name_labels(&mut rows, &args.labels, seen)?;
    if let [only] = rows.labels.as_slice() {
        bail!("all rows to learn from have one label, {only}: a model tells at least two apart, so add rows of others");
    }
    if !rows.labels.iter().any(|label| label == BENIGN) {
        say(format_args!(
            "warning: no {BENIGN} row is left to learn from, so the model will take every line for an attack; add rows with the label {BENIGN}{}",
            if args.benign_limit.is_some() { ", or raise --benign-limit" } else { "" }
        ));
    }
    let known = rows.validation.len();
    let Rows { validation, labels, .. } = &mut rows;
    validation.retain(|row| row.labels.iter().all(|label| labels.contains(label)));
    if known > rows.validation.len() {
        say(format_args!("{} validation rows left out: no training row has their label", known - rows.validation.len()));
    }
    Ok(rows)
}

/// The rows to learn from and to validate with of a data folder.
fn files_of(folder: &Path) -> Result<(PathBuf, Option<PathBuf>)> {
    let [train, validation] = ["train.csv", "validation.csv"].map(|name| folder.join(name));
    if let Some(missing) = [&train, &validation].into_iter().find(|file| !file.is_file()) {
        bail!(
            "{} is not there: a data folder holds train.csv and validation.csv, as attackline generate writes it; of another folder name the files \
             themselves (--data FILE)",
            missing.display()
        );
    }
    Ok((train, Some(validation)))
}

/// The row with those of its labels that are wanted, if there are any.
fn wanted(row: Row, args: &DataArgs, weight: f32) -> Option<Labelled> {
    let mut labels = if args.several_labels { row.all_labels() } else { vec![row.label] };
    labels.retain(|label| args.labels.is_empty() || label == BENIGN || args.labels.contains(label));
    (!labels.is_empty()).then_some(Labelled { text: row.text, labels, weight })
}

/// Finds the labels that occur, and checks them against those wanted and against the catalog. `seen` are those of all rows that were read.
fn name_labels(rows: &mut Rows, wanted: &[String], seen: BTreeSet<String>) -> Result<()> {
    let present: BTreeSet<&str> = rows.train.iter().flat_map(|row| &row.labels).map(String::as_str).collect();
    if let Some(label) = wanted.iter().find(|label| !present.contains(label.as_str())) {
        bail!("no training row has the label {label}{}; the data have {}", hint(label), cut(seen.into_iter().collect()));
    }
    let techniques = present.iter().filter(|label| **label != BENIGN);
    let labels: Vec<String> = present.get(BENIGN).into_iter().chain(techniques).map(|label| (*label).to_owned()).collect();
    if let Some(label) = labels.iter().find(|label| *label != BENIGN && attackline_catalog::technique(label).is_none()) {
        bail!(
            "the label {label} is no technique of ATT&CK {}{}; leave it out with --labels, or rename it",
            attackline_catalog::ATTACK_VERSION,
            hint(label)
        );
    }
    rows.labels = labels;
    Ok(())
}

/// Takes repeated lines out and says how many, and holds rows out for validation where there are none. No line is on both sides. A line that
/// comes with several labels has all of them, where a line may have several.
fn split(rows: &mut Rows, args: &DataArgs) {
    if rows.validation.is_empty() {
        (rows.validation, rows.train) =
            std::mem::take(&mut rows.train).into_iter().partition(|row| rank(&row.text, args.seed).is_multiple_of(HELD_OUT));
    }
    let known: BTreeSet<String> = rows.validation.iter().map(|row| row.text.clone()).collect();
    rows.train.retain(|row| !known.contains(&row.text));
    let before = rows.train.len();
    for side in [&mut rows.validation, &mut rows.train] {
        *side = merged(std::mem::take(side), args.several_labels);
    }
    if before > rows.train.len() {
        say(format_args!("{} repeats of lines left out: a line counts once, and more by --data-weights", before - rows.train.len()));
    }
}

/// Each line once, with the labels of all its repeats if it may have several, else with its first label.
fn merged(rows: Vec<Labelled>, several: bool) -> Vec<Labelled> {
    let (mut places, mut kept) = (BTreeMap::<String, usize>::new(), Vec::<Labelled>::new());
    for row in rows {
        match places.get(&row.text) {
            Some(&place) if several => {
                let labels = &mut kept[place].labels;
                labels.extend(row.labels);
                labels.sort_unstable();
                labels.dedup();
            }
            Some(_) => {}
            None => {
                places.insert(row.text.clone(), kept.len());
                kept.push(row);
            }
        }
    }
    kept
}

/// At most `limit` Benign rows, chosen by their text and the seed, in their order.
fn limited(rows: Vec<Labelled>, limit: Option<usize>, seed: u64) -> Vec<Labelled> {
    let is_benign = |row: &Labelled| row.labels.iter().all(|label| label == BENIGN);
    let mut ranks: Vec<u64> = rows.iter().filter(|row| is_benign(row)).map(|row| rank(&row.text, seed)).collect();
    ranks.sort_unstable();
    let highest = limit.map_or(Some(u64::MAX), |limit| ranks.get(limit.min(ranks.len()).checked_sub(1)?).copied());
    let kept = |row: &Labelled| !is_benign(row) || highest.is_some_and(|highest| rank(&row.text, seed) <= highest);
    rows.into_iter().filter(kept).collect()
}

/// A number that looks random and depends on the text and the seed only.
fn rank(text: &str, seed: u64) -> u64 {
    let digest = Sha256::new().chain_update(seed.to_le_bytes()).chain_update(text).finalize();
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn hash(file: &Path) -> Result<String> {
    Ok(Sha256::digest(fs_err::read(file)?).iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn args(paths: &[&Path]) -> DataArgs {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        DataArgs { paths, weights: Vec::new(), labels: Vec::new(), several_labels: false, least_rows: 0, benign_limit: None, seed: 7 }
    }

    fn csv(folder: &Path, name: &str, rows: &[(&str, &str)]) -> PathBuf {
        let body: String = rows.iter().map(|(text, label)| format!("{text},{label}\n")).collect();
        std::fs::write(folder.join(name), format!("text,label\n{body}")).unwrap();
        folder.join(name)
    }

    fn texts(rows: &[Labelled]) -> Vec<&str> {
        rows.iter().map(|row| row.text.as_str()).collect()
    }

    #[test]
    fn a_folder_gives_both_sides_and_no_line_is_on_both() {
        let folder = tempfile::tempdir().unwrap();
        csv(folder.path(), "train.csv", &[("a", "Benign"), ("b", "T1049"), ("a", "Benign"), ("c", "T1087.001"), ("v", "T1049")]);
        csv(folder.path(), "validation.csv", &[("v", "T1049"), ("w", "T1003.002")]);
        let rows = load(&args(&[folder.path()])).unwrap();
        assert_eq!(rows.labels, ["Benign", "T1049", "T1087.001"]);
        assert_eq!(texts(&rows.train), ["a", "b", "c"]);
        assert_eq!(texts(&rows.validation), ["v"]);
        assert_eq!(rows.sources.iter().map(|source| source.rows).collect::<Vec<_>>(), [5, 2]);
        let rows = load(&DataArgs { labels: vec!["T1049".into()], ..args(&[folder.path()]) }).unwrap();
        assert_eq!(rows.labels, ["Benign", "T1049"]);
        let error = load(&DataArgs { labels: vec!["T1".into()], ..args(&[folder.path()]) }).unwrap_err();
        assert!(error.to_string().contains("T1;"), "{error}");
    }

    #[test]
    fn rows_that_teach_nothing_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |rows: &[(&str, &str)]| load(&args(&[&csv(folder.path(), "rows.csv", rows)])).unwrap_err().to_string();
        assert_eq!(refused(&[]), "there are no rows to learn from in the data");
        assert!(refused(&[("ls", BENIGN), ("id", BENIGN)]).starts_with("all rows to learn from have one label, Benign:"));
    }

    #[test]
    fn lists_of_labels_and_weights_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.ndjson");
        let rows = r#"{"text":"a","labels":["T1049","T1087.001"]}
{"text":"b","label":"T1049"}
{"text":"b","label":"T1003.002"}
{"text":"c","label":"Benign"}"#;
        std::fs::write(&path, rows).unwrap();
        let validation = csv(folder.path(), "validation.csv", &[("v", "T1049")]);
        std::fs::copy(&validation, folder.path().join("train.csv")).unwrap();
        let several = DataArgs { several_labels: true, weights: vec![2.0, 1.0], ..args(&[&path, folder.path()]) };
        let rows = load(&several).unwrap();
        let of = |text: &str| rows.train.iter().find(|row| row.text == text).unwrap();
        assert_eq!(of("a").labels, ["T1049", "T1087.001"]);
        assert_eq!((of("b").labels.clone(), of("b").weight), (vec!["T1003.002".to_owned(), "T1049".into()], 2.0));
        let single = load(&args(&[&path, folder.path()])).unwrap();
        assert!(single.train.iter().all(|row| row.labels.len() == 1));
        for weights in [vec![1.0], vec![1.0, -1.0], vec![1.0, f32::NAN]] {
            assert!(load(&DataArgs { weights, ..args(&[&path, folder.path()]) }).is_err());
        }
    }

    #[test]
    fn thin_techniques_answer_through_their_parents() {
        let row = |text: &str, label: &str| Labelled { text: text.into(), labels: vec![label.into()], weight: 1.0 };
        // T1059.001 has enough rows; T1059.004 and an id that no catalog has go to T1059; T1105 has no parent to go to.
        let labels = ["T1059.001", "T1059.001", "T1059.004", "T1059.999", "T1105", BENIGN, BENIGN];
        let mut rows = Rows { train: labels.iter().enumerate().map(|(i, label)| row(&i.to_string(), label)).collect(), ..Rows::default() };
        rows.validation = vec![row("v", "T1059.004"), row("w", "T1105")];
        assert_eq!(rows.fold_thin_labels(2), 2);
        let labels: Vec<&str> = rows.train.iter().map(|row| row.labels[0].as_str()).collect();
        assert_eq!(labels, ["T1059.001", "T1059.001", "T1059", "T1059", BENIGN, BENIGN]);
        assert_eq!(rows.validation, [row("v", "T1059")]);
    }

    #[test]
    fn the_limit_is_of_benign_rows_and_depends_on_the_seed_alone() {
        let label = |i: usize| if i.is_multiple_of(4) { "T1049" } else { BENIGN };
        let row = |i: usize| Labelled { text: format!("line {i}"), labels: vec![label(i).to_owned()], weight: 1.0 };
        let rows = || (0..100).map(row).collect::<Vec<_>>();
        for limit in [0, 1, 10, 75, 1_000] {
            let kept = limited(rows(), Some(limit), 7);
            assert_eq!(kept.iter().filter(|row| row.labels[0] == BENIGN).count(), limit.min(75));
            assert_eq!(kept.iter().filter(|row| row.labels[0] != BENIGN).count(), 25);
        }
        assert_eq!(limited(rows(), Some(10), 7), limited(rows(), Some(10), 7));
        assert_ne!(limited(rows(), Some(10), 7), limited(rows(), Some(10), 8));
    }
}
