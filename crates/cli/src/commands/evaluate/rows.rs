//! The rows that are measured on.

use super::subject::Subject;
use crate::exit::Unreadable;
use anyhow::{Result, bail};
use attackline_dataset::{Row, read_labelled};
use attackline_evaluate::length_group;
use attackline_model::BENIGN;
use std::path::PathBuf;

/// Rows whose labels every model answers with.
pub struct Rows {
    /// The rows.
    pub rows: Vec<Row>,
    /// Where each comes from: file and row.
    pub sources: Vec<(usize, usize)>,
    /// The files.
    pub paths: Vec<PathBuf>,
    /// Rows of other labels.
    pub left_out: usize,
    any_hard: bool,
}

impl Rows {
    /// Reads the files.
    pub fn read(paths: &[PathBuf], subjects: &[Subject]) -> Result<Self> {
        let mut found = Self { rows: Vec::new(), sources: Vec::new(), paths: paths.to_vec(), left_out: 0, any_hard: false };
        for (file, path) in paths.iter().enumerate() {
            for (number, row) in labelled(path)?.into_iter().enumerate() {
                if subjects.iter().all(|subject| truths(&row).iter().any(|label| subject.labels.contains(label))) {
                    found.any_hard |= row.hard;
                    found.rows.push(row);
                    found.sources.push((file, number + 1));
                } else {
                    found.left_out += 1;
                }
            }
        }
        if found.rows.is_empty() {
            match found.left_out {
                0 => bail!("there are no rows in {}", paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")),
                all => bail!("none of the {all} rows has a label that is answered with ({})", subjects[0].labels.join(", ")),
            }
        }
        Ok(found)
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
        format!("{}:{number}", self.paths[file].display())
    }
}

/// A labelled file. One of no bytes has no rows, rather than a header without columns.
pub fn labelled(path: &PathBuf) -> Result<Vec<Row>> {
    if fs_err::metadata(path).is_ok_and(|file| file.is_file() && file.len() == 0) {
        return Ok(Vec::new());
    }
    Ok(read_labelled(path).map_err(|error| Unreadable(error.to_string()))?)
}

/// All labels of a row, its first before the others. Benign is a label of its own: it stands beside no other.
fn truths(row: &Row) -> Vec<String> {
    let others = row.labels.iter().filter(|label| **label != row.label && *label != BENIGN && row.label != BENIGN);
    std::iter::once(&row.label).chain(others).cloned().collect()
}
