//! What the readers share.

use std::io;
use std::sync::Arc;

use crate::{LogLine, ReadError, ReadErrorKind, ReadOptions, Source};

/// What a reader yields.
pub(crate) type Item = Result<LogLine, ReadError>;

/// A reader of one file.
pub trait LineReader: Iterator<Item = Result<LogLine, ReadError>> + Send {
    /// How many records it has passed over so far because they are other kinds of event.
    fn skipped(&self) -> u64 {
        0
    }
}

/// What every reader knows of its file.
pub(crate) struct Context {
    pub(crate) file: Option<Arc<str>>,
    pub(crate) options: Arc<ReadOptions>,
}

impl Context {
    pub(crate) fn source(&self, record: u64) -> Source {
        Source { file: self.file.clone(), record: Some(record) }
    }

    pub(crate) fn record_error(&self, record: u64, kind: ReadErrorKind) -> ReadError {
        ReadError::in_record(&self.file, Some(record), kind)
    }

    pub(crate) fn file_error(&self, kind: ReadErrorKind) -> ReadError {
        ReadError::in_file(&self.file, kind)
    }

    pub(crate) fn io_error(&self, error: io::Error) -> ReadError {
        self.file_error(ReadErrorKind::Io(error))
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::Format;

    /// Reads `input` as one format; lines as `record text`, errors as their message behind `!`, and the records skipped.
    pub(crate) fn read(format: Format, field: Option<&str>, input: &[u8]) -> (Vec<String>, u64) {
        let (items, skipped) = read_items(format, field, input);
        let shown = items.iter().map(|item| match item {
            Ok(line) => format!("{} {}", line.source.record.unwrap_or_default(), line.text),
            Err(error) => format!("! {error}"),
        });
        (shown.collect(), skipped)
    }

    pub(crate) fn read_items(format: Format, field: Option<&str>, input: &[u8]) -> (Vec<Item>, u64) {
        let options = ReadOptions { format: Some(format), field: field.map(str::to_owned), ..ReadOptions::default() };
        let mut reader = crate::read_stream(std::io::Cursor::new(input.to_vec()), None, options);
        let items = reader.by_ref().collect();
        (items, reader.counts().skipped)
    }

    pub(crate) fn check(format: Format, field: Option<&str>, input: &str, wanted: &[&str], wanted_skipped: u64) {
        let (shown, skipped) = read(format, field, input.as_bytes());
        assert_eq!(shown, wanted, "{format} {input}");
        assert_eq!(skipped, wanted_skipped, "{format} {input}");
    }
}
