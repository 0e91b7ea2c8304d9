//! What can go wrong while logs are read, said so that an analyst can act on it.

use std::fmt;
use std::io;
use std::sync::Arc;

/// Something that could not be read: which file, which record, and why. The rest goes on.
#[derive(Debug, thiserror::Error)]
#[error("{}{kind}", Place(.file, *.record))]
pub struct ReadError {
    /// The file, as [`Source::file`](crate::Source) names it.
    pub file: Option<Arc<str>>,
    /// The record, numbered as in [`Source::record`](crate::Source).
    pub record: Option<u64>,
    /// What went wrong.
    #[source]
    pub kind: ReadErrorKind,
    fatal: bool,
}

impl ReadError {
    /// An error in one record, after which the file goes on.
    pub(crate) fn in_record(file: &Option<Arc<str>>, record: Option<u64>, kind: ReadErrorKind) -> Self {
        Self { file: file.clone(), record, kind, fatal: false }
    }

    /// An error that ends the file.
    pub(crate) fn in_file(file: &Option<Arc<str>>, kind: ReadErrorKind) -> Self {
        Self { file: file.clone(), record: None, kind, fatal: true }
    }

    /// True where nothing further is read from the file (other files go on).
    pub fn is_fatal_for_file(&self) -> bool {
        self.fatal
    }
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadErrorKind {
    /// The path names nothing.
    #[error("no such file or folder")]
    NotFound,
    /// It is read from what is written to it.
    #[error("the output goes there, so it is not read")]
    Output,
    /// The operating system or a decompressor refused.
    #[error("can't be read: {0}")]
    Io(#[source] io::Error),
    /// The content is no known log format.
    #[error("not a log file that attackline knows (text, JSON, CSV, EVTX, Windows events as JSON or XML, auditd, or .gz or .zip of these)")]
    UnknownFormat,
    /// The content is something that is known to be no log that is read.
    #[error("{what}, which attackline doesn't read{way}")]
    Foreign {
        /// What it is.
        what: &'static str,
        /// What can be done, behind its separator.
        way: &'static str,
    },
    /// A quote of a CSV row isn't closed where it should be.
    #[error("a quote of this row is never closed, or only by one of a later row; what follows is read from the next line on")]
    OpenQuote,
    /// A quote of a CSV file's header is never closed.
    #[error("a quote of the header is never closed")]
    OpenHeader,
    /// A row is not a JSON object.
    #[error("not a JSON object: {0}")]
    Json(String),
    /// A row has no such field.
    #[error("no field \"{0}\"")]
    MissingField(String),
    /// Rows have none of the fields that the text is looked for in.
    #[error("no field {wanted} in {rows} (the members are: {members}; --field NAME names the one with the text)")]
    NoText {
        /// The fields looked for.
        wanted: String,
        /// Which rows, in words.
        rows: String,
        /// The members that the first of them has.
        members: String,
    },
    /// A row's field holds something other than text.
    #[error("the field \"{0}\" holds no text")]
    NotText(String),
    /// The header of a CSV file has no column that holds the text.
    #[error("no column {wanted} (the header has: {header}; --field NAME names the one with the text)")]
    MissingColumn {
        /// The columns looked for.
        wanted: String,
        /// The columns there are.
        header: String,
    },
    /// A record is longer than a reader keeps.
    #[error("the record is longer than {limit} bytes")]
    TooLong {
        /// The bound.
        limit: usize,
    },
    /// A damaged part of an event log.
    #[error("damaged event log: {0}")]
    Evtx(String),
    /// The file doesn't start as an event log does.
    #[error("not a Windows event log (EVTX)")]
    NotEvtx,
    /// A damaged event as XML.
    #[error("damaged XML: {0}")]
    Xml(String),
    /// The file holds no event as XML.
    #[error("no Windows event as XML in it")]
    NoXmlEvent,
    /// A line that is no audit record.
    #[error("not an auditd record: {0}")]
    Auditd(String),
    /// An archive that can't be opened.
    #[error("the archive can't be read: {0}")]
    Archive(String),
}

/// The start of a message: `file: record 3: `.
struct Place<'a>(&'a Option<Arc<str>>, Option<u64>);

impl fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = self.0 {
            write!(formatter, "{file}: ")?;
        }
        if let Some(record) = self.1 {
            write!(formatter, "record {record}: ")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_file_and_record() {
        let file = Some(Arc::from("a.log"));
        let kind = || ReadErrorKind::MissingField("text".into());
        assert_eq!(ReadError::in_record(&file, Some(3), kind()).to_string(), "a.log: record 3: no field \"text\"");
        assert_eq!(ReadError::in_record(&None, Some(3), kind()).to_string(), "record 3: no field \"text\"");
        assert_eq!(ReadError::in_file(&file, ReadErrorKind::NotFound).to_string(), "a.log: no such file or folder");
    }

    #[test]
    fn only_errors_of_files_are_fatal() {
        assert!(!ReadError::in_record(&None, None, ReadErrorKind::NotEvtx).is_fatal_for_file());
        assert!(ReadError::in_file(&None, ReadErrorKind::NotEvtx).is_fatal_for_file());
    }
}
