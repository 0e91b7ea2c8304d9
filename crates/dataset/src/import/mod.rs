//! Labelled rows from public sources, one file a source. Readers are given a path and give rows and errors: a file that can't be used is one
//! error, and the rest goes on.

mod atomic;
mod commands;
mod emulation;
mod files;
mod fill;
mod labelled;
mod markdown;
mod mask;
mod merge;
mod row;
mod stix;
mod stockpile;
mod tldr;
mod yaml;

use crate::{BENIGN, DatasetError};
use commands::{Interpreter, texts};
use mask::mask;
use std::{collections::BTreeMap, path::Path};

pub use merge::{Merged, merge};
pub use row::ImportedRow;

/// Where rows come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportSource {
    /// A checkout of Atomic Red Team, or one of its YAML files.
    Atomic,
    /// A checkout of Caldera's stockpile, or an ability's YAML file.
    Stockpile,
    /// A checkout of the Adversary Emulation Library, or a plan's YAML file.
    Emulation,
    /// A STIX bundle of ATT&CK.
    Stix,
    /// A checkout of the tldr pages, or one page.
    Tldr,
    /// A folder of Markdown, or one file.
    Markdown,
    /// Rows that have their labels: CSV, NDJSON or Parquet.
    Labelled,
}

impl ImportSource {
    /// The repository and the licence that rows have unless others are given.
    fn known(self) -> (&'static str, &'static str) {
        match self {
            Self::Atomic => ("redcanaryco/atomic-red-team", "MIT"),
            Self::Stockpile => ("mitre/stockpile", "Apache-2.0"),
            Self::Emulation => ("center-for-threat-informed-defense/adversary_emulation_library", "Apache-2.0"),
            Self::Stix => ("attack", "ATT&CK terms of use"),
            Self::Tldr => ("tldr-pages/tldr", "CC-BY-4.0"),
            Self::Markdown | Self::Labelled => ("", ""),
        }
    }
}

/// What is known of the rows beforehand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// The rows' licence, in place of the source's.
    pub licence: Option<String>,
    /// The repository that their `source` begins with, in place of the source's: `owner/name`.
    pub repository: Option<String>,
}

/// What a path gave.
#[derive(Debug, Default)]
pub struct Import {
    /// The rows, in the order of the sorted files; labels as the source has them.
    pub rows: Vec<ImportedRow>,
    /// Files that could not be read.
    pub errors: Vec<DatasetError>,
    /// Files that could.
    pub files: usize,
    /// How often what else was there gave no row, by reason.
    pub passed_over: BTreeMap<&'static str, usize>,
}

impl Import {
    fn pass_over(&mut self, reason: &'static str, times: usize) {
        if times > 0 {
            *self.passed_over.entry(reason).or_default() += times;
        }
    }

    /// Takes a row unless its text can't be one.
    fn take(&mut self, mut row: ImportedRow) {
        row.text = row.text.replace("\r\n", "\n").trim().to_owned();
        if row.text.is_empty() {
            self.pass_over("empty texts", 1);
        } else if row.text.len() > LONGEST_TEXT {
            self.pass_over(TOO_LONG, 1);
        } else if row.text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')) {
            self.pass_over("texts with control characters", 1);
        } else {
            self.rows.push(row);
        }
    }
}

const TOO_LONG: &str = "texts of more than 16 KiB";

/// Bytes of the longest text that makes a row.
const LONGEST_TEXT: usize = 16 * 1024;

/// Bytes of the longest script or description that is taken apart.
const LONGEST_SCRIPT: usize = 4 * LONGEST_TEXT;

/// Reads rows from a file or a folder of a public source.
pub fn import(source: ImportSource, path: &Path, options: &ImportOptions) -> Import {
    let mut import = Import::default();
    let (repository, licence) = source.known();
    let origin = Origin {
        repository: options.repository.clone().unwrap_or_else(|| repository.to_owned()),
        licence: options.licence.clone().unwrap_or_else(|| licence.to_owned()),
    };
    match source {
        ImportSource::Atomic => atomic::read(path, &origin, &mut import),
        ImportSource::Stockpile => stockpile::read(path, &origin, &mut import),
        ImportSource::Emulation => emulation::read(path, &origin, &mut import),
        ImportSource::Stix => stix::read(path, &origin, &mut import),
        ImportSource::Tldr => tldr::read(path, &origin, &mut import),
        ImportSource::Markdown => markdown::read(path, &origin, &mut import),
        ImportSource::Labelled => labelled::read(path, options, &mut import),
    }
    import
}

/// What every row of a source says of where it is from.
struct Origin {
    repository: String,
    licence: String,
}

/// Where a test's script stands, and what it shows.
struct Script<'a> {
    place: &'a str,
    label: &'a str,
    platform: &'a str,
    interpreter: Interpreter,
}

impl Origin {
    /// Takes the rows of a test's script, masked.
    fn take_script(&self, script: &Script<'_>, text: &str, import: &mut Import) {
        if text.len() > LONGEST_SCRIPT {
            return import.pass_over(TOO_LONG, 1);
        }
        let (texts, left_out) = texts(&mask(text, script.platform == "windows"), script.interpreter);
        import.pass_over("lines that only set the scene", left_out);
        texts.into_iter().for_each(|text| import.take(self.row(script.place, script.label, script.interpreter.kind(), script.platform, text)));
    }

    /// A row of a place in the source.
    fn row(&self, place: &str, label: &str, kind: &str, platform: &str, text: String) -> ImportedRow {
        let source = if self.repository.is_empty() { place.to_owned() } else { format!("{}:{place}", self.repository) };
        ImportedRow {
            text,
            label: label.to_owned(),
            kind: kind.to_owned(),
            platform: platform.to_owned(),
            source,
            licence: self.licence.clone(),
            ..ImportedRow::default()
        }
    }
}
