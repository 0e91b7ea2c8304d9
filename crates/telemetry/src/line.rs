//! What every reader yields: a line to classify and what is known about it.

use std::sync::Arc;

use serde_json::{Map, Value};

/// A text to classify, where it was read and the event it belongs to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogLine {
    /// The text: a command line, a script block, a plain line.
    pub text: String,
    /// The file and the record the text was read from.
    pub source: Source,
    /// What the log says about the event.
    pub event: Event,
    /// The members of an NDJSON row, or the columns of a CSV row, beside the text.
    pub input: Option<Map<String, Value>>,
    /// True where the text was longer than [`ReadOptions::max_line_bytes`](crate::ReadOptions) and its end was dropped.
    pub cut: bool,
}

/// Where a line was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// The file's name; an archive's entry reads `archive.zip!entry`.
    pub file: Option<Arc<str>>,
    /// The line number in text formats, the row number in CSV, the place among the elements in a JSON list or
    /// the events in XML, the event record id in EVTX.
    pub record: Option<u64>,
}

/// The context of a line, as far as the log holds it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// When it happened: in UTC wherever the log tells the zone, else as the log writes it.
    pub timestamp: Option<String>,
    /// The computer.
    pub host: Option<String>,
    /// The account, as `DOMAIN\name` where the log has both.
    pub user: Option<String>,
    /// The path of the program that ran.
    pub image: Option<String>,
    /// The parent's command line or, where the log has none, its image.
    pub parent: Option<String>,
    /// The path of the parent's program.
    pub parent_image: Option<String>,
    /// The Windows event id.
    pub event_id: Option<u64>,
    /// The Windows event channel, such as `Security`.
    pub channel: Option<String>,
}

impl Event {
    /// True where nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Takes NUL characters out of `text` and cuts it to `limit` bytes, never within a character.
/// Says whether it cut.
pub(crate) fn tidy(text: &mut String, limit: usize) -> bool {
    if text.contains('\0') {
        text.retain(|character| character != '\0');
    }
    let long = text.len() > limit;
    if long {
        text.truncate(text.floor_char_boundary(limit));
    }
    long
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tidy_cuts_between_characters() {
        let check = |text: &str, limit, wanted: &str, cut| {
            let mut tidied = text.to_owned();
            assert_eq!((tidy(&mut tidied, limit), tidied.as_str()), (cut, wanted), "{text:?} {limit}");
        };
        check("abc", 3, "abc", false);
        check("abcd", 3, "abc", true);
        check("aéé", 4, "aé", true);
        check("é", 1, "", true);
        check("a\0b\0", 2, "ab", false);
    }

    #[test]
    fn an_event_is_empty_until_something_is_known() {
        assert!(Event::default().is_empty());
        assert!(!Event { event_id: Some(1), ..Event::default() }.is_empty());
    }
}
