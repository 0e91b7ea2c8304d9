//! The rows that are measured on.

use super::super::hint::{commonest, cut};
use super::subject::Subject;
use crate::diagnostics::say;
use crate::exit::Unreadable;
use anyhow::{Result, bail};
use attackline_dataset::{Row, read_labelled};
use attackline_evaluate::length_group;
use attackline_findings::escape;
use attackline_model::BENIGN;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Rows whose labels every model answers with.
pub struct Rows {
    /// The rows.
    pub rows: Vec<Row>,
    /// Where each comes from: the file, and the row in it from 1, a CSV file's header not counted.
    pub sources: Vec<(usize, usize)>,
    /// The files.
    pub paths: Vec<PathBuf>,
    /// Rows of other labels.
    pub left_out: usize,
    /// Their labels and how often each comes.
    others: BTreeMap<String, usize>,
    any_hard: bool,
}

impl Rows {
    /// Reads the files, each once. A folder is its test.csv.
    pub fn read(paths: &[PathBuf], subjects: &[Subject]) -> Result<Self> {
        let paths = each_once(paths.iter().map(|path| file_of(path, "test.csv")).collect::<Result<_>>()?);
        let mut found = Self { rows: Vec::new(), sources: Vec::new(), paths, left_out: 0, others: BTreeMap::new(), any_hard: false };
        for (file, path) in found.paths.iter().enumerate() {
            for (number, row) in labelled(path)?.into_iter().enumerate() {
                if subjects.iter().all(|subject| truths(&row).iter().any(|label| subject.labels.contains(label))) {
                    found.any_hard |= row.hard;
                    found.rows.push(row);
                    found.sources.push((file, number + 1));
                } else {
                    found.left_out += 1;
                    *found.others.entry(row.label).or_default() += 1;
                }
            }
        }
        if found.rows.is_empty() {
            match found.left_out {
                0 => bail!("there are no rows in {}", found.paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")),
                all => bail!("none of the {all} rows has a label that is answered with{}", instead(&found.others, &subjects[0].labels)),
            }
        }
        Ok(found)
    }

    /// What is to be said of the rows left out, if there are any.
    pub fn tell_left_out(&self) {
        if self.left_out > 0 {
            say(format_args!("{} rows left out: their labels are not answered with: {}", self.left_out, shown(&self.others)));
        }
    }

    /// Each row's labels.
    pub fn truths(&self) -> Vec<Vec<String>> {
        self.rows.iter().map(truths).collect()
    }

    /// The columns and values that a row is grouped by.
    pub fn properties(&self, row: usize) -> Vec<(&'static str, String)> {
        let Row { platform, shell, wrapper, rendering, obfuscation, hard, realism, text, .. } = &self.rows[row];
        let hard = if self.any_hard { hard.to_string() } else { String::new() };
        let columns = [
            ("kind", shell),
            ("platform", platform),
            ("wrapper", wrapper),
            ("rendering", rendering),
            ("obfuscation", obfuscation),
            ("realism", realism),
        ];
        let named = columns.map(|(column, value)| (column, value.clone()));
        named.into_iter().chain([("hard", hard), ("length", length_group(text.chars().count()))]).collect()
    }

    /// Where a row comes from, for people.
    pub fn place(&self, row: usize) -> String {
        let (file, number) = self.sources[row];
        format!("{} row {number}", self.paths[file].display())
    }
}

/// The labels of rows that were left out, for people.
pub fn shown(others: &BTreeMap<String, usize>) -> String {
    escape::shown(&commonest(others)).into_owned()
}

/// What labels there were instead of those that are answered with.
pub fn instead(others: &BTreeMap<String, usize>, known: &[String]) -> String {
    format!(": they are {}; answered with are {}", shown(others), cut(known.to_vec()))
}

/// The file that is meant by a path: of a data folder the one called `name`.
pub fn file_of(path: &Path, name: &str) -> Result<PathBuf> {
    match path.join(name) {
        file if path.is_dir() && file.is_file() => Ok(file),
        _ if path.is_dir() => bail!("{} is a folder without {name}; name the files in it", path.display()),
        _ => Ok(path.to_owned()),
    }
}

/// The files without those that were named before. A row that counts twice would make every interval too narrow.
fn each_once(paths: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut kept: Vec<PathBuf> = Vec::new();
    for path in paths {
        let same = |other: &PathBuf| *other == path || path.canonicalize().is_ok_and(|path| other.canonicalize().is_ok_and(|other| other == path));
        if kept.iter().any(same) {
            say(format_args!("{} is named twice and counts once", path.display()));
        } else {
            kept.push(path);
        }
    }
    kept
}

/// A labelled file.
pub fn labelled(path: &Path) -> Result<Vec<Row>> {
    Ok(read_labelled(path).map_err(|error| Unreadable(error.to_string()))?)
}

/// All labels of a row, its first before the others. Benign is a label of its own: it stands beside no other.
fn truths(row: &Row) -> Vec<String> {
    let others = row.labels.iter().filter(|label| **label != row.label && *label != BENIGN && row.label != BENIGN);
    std::iter::once(&row.label).chain(others).cloned().collect()
}
