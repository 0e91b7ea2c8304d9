//! How logs are read: the format, the field and the bounds.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A log format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// One text a line.
    Text,
    /// JSON objects, their text in one field: one a line, one after another over any number of lines, or as a list.
    Ndjson,
    /// Rows under a header, the text in one column.
    Csv,
    /// Windows event log files.
    Evtx,
    /// Windows events as Winlogbeat, NXLog or `evtx_dump` write them: JSON objects as for [`Format::Ndjson`].
    WindowsJson,
    /// Windows events, and those of Sysmon for Linux, as XML: with or without a root, or each in a line of a system log.
    WindowsXml,
    /// The Linux audit log.
    Auditd,
}

impl Format {
    /// Every format, in the order of the documentation.
    pub const ALL: [Self; 7] = [Self::Text, Self::Ndjson, Self::Csv, Self::Evtx, Self::WindowsJson, Self::WindowsXml, Self::Auditd];

    /// The name that `--from` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Evtx => "evtx",
            Self::WindowsJson => "windows-json",
            Self::WindowsXml => "windows-xml",
            Self::Auditd => "auditd",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// A name that is no format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no log format \"{0}\" (there are text, ndjson, csv, evtx, windows-json, windows-xml and auditd)")]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Self::ALL.into_iter().find(|format| format.name().eq_ignore_ascii_case(name)).ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

/// How logs are read.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// The format of every file; found from the content where it is `None`.
    pub format: Option<Format>,
    /// The field or column that holds the text of JSON and CSV rows; where it is `None`, the usual names are looked for.
    /// A dotted path reaches nested members.
    pub field: Option<String>,
    /// A longer text is cut and marked; the rest of it is dropped as it streams by.
    pub max_line_bytes: usize,
    /// A longer JSON row is an error: what was cut can't be parsed. So is a CSV row of more lines than fit.
    pub max_record_bytes: usize,
    /// An archive that has to be held in memory (inside another one, or from stdin) may have this many bytes.
    pub max_archive_bytes: u64,
    /// How many bytes out an archive may give for each byte in, beyond `free_bytes`. What is only a `.gz` streams and may give any number of lines:
    /// there it is each line that is held against it.
    pub max_ratio: u64,
    /// How many bytes a compressed stream may give before its ratio counts.
    pub free_bytes: u64,
    /// The file that what comes of the lines is written to: it is not read.
    pub output: Option<Arc<same_file::Handle>>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            format: None,
            field: None,
            max_line_bytes: 1 << 20,
            max_record_bytes: 16 << 20,
            max_archive_bytes: 1 << 30,
            // Deflate can't give more than 1032 to 1 and the dullest log gives some 100 to 1.
            max_ratio: 250,
            free_bytes: 64 << 20,
            output: None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_round_trip() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse::<Format>().unwrap(), format);
        }
        assert!("xml".parse::<Format>().unwrap_err().to_string().contains("\"xml\""));
    }
}
