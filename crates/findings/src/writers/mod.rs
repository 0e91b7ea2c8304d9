mod csv;
mod ndjson;
mod table;

use crate::Finding;
use std::{fmt, io, str::FromStr};

pub use ndjson::json_line;
pub use table::TableOptions;

/// Where findings go, one after the other, in the input's order.
pub trait FindingWriter {
    /// Writes one finding.
    fn write(&mut self, finding: &Finding) -> io::Result<()>;

    /// Brings out what is held back, so that a reader of a slow stream sees what has been found.
    fn flush(&mut self) -> io::Result<()>;
}

/// A format of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// For people.
    Table,
    /// A JSON object a line, for programs.
    Ndjson,
    /// For spreadsheets.
    Csv,
}

impl OutputFormat {
    /// All formats, as they are named on the command line.
    pub const ALL: [(&'static str, Self); 3] = [("table", Self::Table), ("ndjson", Self::Ndjson), ("csv", Self::Csv)];
}

impl FromStr for OutputFormat {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(known, _)| *known == name);
        found.map(|(_, format)| *format).ok_or_else(|| format!("{name:?} is not a format: table, ndjson or csv"))
    }
}

impl fmt::Display for OutputFormat {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Self::ALL.iter().find(|(_, format)| format == self);
        out.write_str(known.map_or("", |(name, _)| name))
    }
}

/// What the writers need to know beforehand.
#[derive(Debug, Clone, Default)]
pub struct WriterOptions {
    /// The labels whose scores CSV has columns for; none without `--scores`.
    pub score_labels: Vec<String>,
    /// Whether CSV has a column for the most probable labels.
    pub top: bool,
    /// Whether CSV has a column for the evidence.
    pub evidence: bool,
    /// Whether CSV goes to a terminal: text of a log must not move it.
    pub terminal: bool,
    /// The table's looks.
    pub table: TableOptions,
}

/// The writer of a format.
pub fn writer<'a>(format: OutputFormat, out: impl io::Write + 'a, options: WriterOptions) -> Box<dyn FindingWriter + 'a> {
    match format {
        OutputFormat::Ndjson => Box::new(ndjson::Ndjson::new(out)),
        OutputFormat::Csv => Box::new(csv::Csv::new(out, options)),
        OutputFormat::Table => Box::new(table::Table::new(out, options.table)),
    }
}
