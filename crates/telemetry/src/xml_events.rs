//! Windows events out of text that holds them as XML, each from `<Event>` to `</Event>`, whatever stands around them.
//!
//! An event is cut out before it is parsed, and no more than one is held. A raw `<Event>` never stands within another one, since whoever writes
//! events escapes what they tell: so a torn one ends where the next begins, and costs no other.

use std::io::{self, BufRead};

use crate::json_rows::is_heading;
use crate::rewind::look;

/// A longer start of an event is none: of many in one line each would be looked through to the end.
const TAG_BYTES: usize = 512;

/// What comes next in the text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Event(String, End),
    /// The end of an event whose beginning is missing.
    Stray,
    /// A document type, of which nothing is read.
    DocType,
    /// Another line of a system log, and whether it was cut.
    LogLine(String, bool),
    /// A line between events that are no system log's.
    OtherLine,
}

/// How an event ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Whole,
    TooLong,
    /// Another one begins within it.
    TornByNext,
    TornByFile,
}

pub(crate) struct XmlEvents<R> {
    source: Counted<R>,
    max_event: usize,
    max_line: usize,
    /// What the current line has outside of events.
    line: Kept,
    /// Whether the current line has an event or a part of one.
    line_has_event: bool,
    /// Whether the first line is no markup, as in a system log.
    is_log: Option<bool>,
    /// The line in which an event's `<Event` was read, and whether something else stood before it.
    begun: Option<Begun>,
    /// How many events there were.
    events: u64,
    /// Whether there was a root or any event, and whether there was anything else.
    pub(crate) has_events: bool,
    pub(crate) has_others: bool,
}

#[derive(Debug, Clone, Copy)]
struct Begun {
    line: u64,
    behind_text: bool,
}

impl<R: BufRead> XmlEvents<R> {
    pub(crate) fn new(reader: R, max_event: usize, max_line: usize) -> Self {
        Self {
            source: Counted { reader, line: 1 },
            max_event,
            max_line,
            line: Kept::new(max_line),
            line_has_event: false,
            is_log: None,
            begun: None,
            events: 0,
            has_events: false,
            has_others: false,
        }
    }

    /// The next piece and its number: of a system log the line it begins in, else its place among the events.
    pub(crate) fn next_piece(&mut self) -> io::Result<Option<(u64, Piece)>> {
        loop {
            if let Some(begun) = self.begun.take() {
                self.events += 1;
                let piece = self.read_event(begun)?;
                return Ok(Some((if self.is_log == Some(true) { begun.line } else { self.events }, piece)));
            }
            let line = self.source.line;
            match self.source.pass_to(&mut self.line, |byte| matches!(byte, b'<' | b'\n'))? {
                Some(b'<') => {
                    if let Some(piece) = self.read_tag()? {
                        self.events += u64::from(piece == Piece::Stray);
                        return Ok(Some((if self.is_log == Some(true) { line } else { self.events }, piece)));
                    }
                }
                end => {
                    if let Some(piece) = self.end_line() {
                        return Ok(Some((line, piece)));
                    }
                    if end.is_none() {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// A tag outside of events.
    fn read_tag(&mut self) -> io::Result<Option<Piece>> {
        let before = self.line.before_last();
        let line = self.source.line;
        let tag = self.source.read_tag(&mut self.line)?;
        if !matches!(tag, Tag::Other) {
            self.note_kind();
        }
        match tag {
            Tag::Start => {
                self.begun = Some(Begun { line, behind_text: !self.line.bytes[..before].trim_ascii().is_empty() });
            }
            Tag::End => {
                (self.line_has_event, self.has_events) = (true, true);
                return Ok(Some(Piece::Stray));
            }
            Tag::Root => self.has_events = true,
            // In a system log it may be a part of what somebody else says.
            Tag::DocType if !self.has_events && is_markup(&self.line.bytes) => return Ok(Some(Piece::DocType)),
            Tag::DocType | Tag::Other => {}
        }
        Ok(None)
    }

    /// What the first line that isn't blank begins with tells whether this is a system log.
    fn note_kind(&mut self) {
        let line = &self.line.bytes;
        self.is_log.get_or_insert_with(|| !is_markup(line) && !is_heading(line));
    }

    fn read_event(&mut self, begun: Begun) -> io::Result<Piece> {
        (self.line_has_event, self.has_events) = (true, true);
        let mut kept = Kept::new(self.max_event);
        kept.push(b"<Event");
        let end = loop {
            let line = self.source.line;
            if self.source.pass_to(&mut kept, |byte| byte == b'<')?.is_none() {
                break End::TornByFile;
            }
            let before = kept.before_last();
            let begins_line = line != self.source.line;
            match self.source.read_tag(&mut kept)? {
                Tag::Start => {
                    kept.bytes.truncate(before);
                    let start = kept.bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
                    let behind_text = begins_line && !kept.bytes[start..].trim_ascii().is_empty() || !begins_line && begun.behind_text;
                    self.begun = Some(Begun { line: self.source.line, behind_text });
                    break End::TornByNext;
                }
                Tag::End => break End::Whole,
                Tag::Root | Tag::DocType | Tag::Other => {}
            }
        };
        // What goes on behind the line's end of a torn event in a system log is no longer its own.
        if end != End::Whole && begun.behind_text {
            let line = kept.bytes.iter().position(|byte| *byte == b'\n').unwrap_or(kept.bytes.len());
            kept.bytes.truncate(line);
        }
        self.line.bytes.clear();
        let end = if kept.is_cut && end == End::Whole { End::TooLong } else { end };
        Ok(Piece::Event(kept.text(), end))
    }

    /// What the line that ends is, where it is something else.
    fn end_line(&mut self) -> Option<Piece> {
        let has_event = std::mem::take(&mut self.line_has_event);
        let is_blank = self.line.bytes.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0);
        if !has_event && !is_blank {
            self.note_kind();
        }
        let line = std::mem::replace(&mut self.line, Kept::new(self.max_line));
        if has_event || is_blank {
            return None;
        }
        self.has_others = true;
        match self.is_log {
            Some(true) => Some(Piece::LogLine(line.text().trim_end().to_owned(), line.is_cut)),
            _ => (!is_markup(&line.bytes) && !is_heading(&line.bytes)).then_some(Piece::OtherLine),
        }
    }
}

/// Bytes up to a bound.
struct Kept {
    bytes: Vec<u8>,
    limit: usize,
    is_cut: bool,
}

impl Kept {
    fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit, is_cut: false }
    }

    fn push(&mut self, bytes: &[u8]) {
        let room = self.limit.saturating_sub(self.bytes.len()).min(bytes.len());
        self.bytes.extend_from_slice(&bytes[..room]);
        self.is_cut |= room < bytes.len();
    }

    /// Where the byte that was pushed last stands, if it had room.
    fn before_last(&self) -> usize {
        self.bytes.len().saturating_sub(usize::from(!self.is_cut))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// What a tag is, as far as events are told apart.
enum Tag {
    /// `<Event`, up to its attributes.
    Start,
    /// `</Event>`.
    End,
    /// `<Events`.
    Root,
    DocType,
    Other,
}

/// A reader that counts lines.
struct Counted<R> {
    reader: R,
    /// The line that is read, from 1.
    line: u64,
}

impl<R: BufRead> Counted<R> {
    /// Reads on behind a `<`, no further than it takes to know the tag.
    fn read_tag(&mut self, kept: &mut Kept) -> io::Result<Tag> {
        if self.take_if(kept, |byte| byte == b'!')? {
            return Ok(if self.take_word(kept, b"DOCTYPE")? { Tag::DocType } else { Tag::Other });
        }
        let closes = self.take_if(kept, |byte| byte == b'/')?;
        if !self.take_word(kept, b"Event")? {
            return Ok(Tag::Other);
        }
        if !closes {
            return Ok(match look(&mut self.reader)?.first() {
                Some(byte) if ends_name(*byte) => Tag::Start,
                Some(b's') => Tag::Root,
                _ => Tag::Other,
            });
        }
        while self.take_if(kept, |byte| byte.is_ascii_whitespace())? {}
        Ok(if self.take_if(kept, |byte| byte == b'>')? { Tag::End } else { Tag::Other })
    }

    fn take_word(&mut self, kept: &mut Kept, word: &[u8]) -> io::Result<bool> {
        for wanted in word {
            if !self.take_if(kept, |byte| byte == *wanted)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn take_if(&mut self, kept: &mut Kept, is_wanted: impl Fn(u8) -> bool) -> io::Result<bool> {
        match look(&mut self.reader)?.first() {
            Some(&byte) if is_wanted(byte) => {
                self.take(kept, 1)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Passes over bytes up to one of those wanted, which it gives, or to the end.
    fn pass_to(&mut self, kept: &mut Kept, is_wanted: impl Fn(u8) -> bool) -> io::Result<Option<u8>> {
        loop {
            let bytes = look(&mut self.reader)?;
            if bytes.is_empty() {
                return Ok(None);
            }
            let found = bytes.iter().position(|byte| is_wanted(*byte));
            let last = found.map(|at| bytes[at]);
            let used = found.map_or(bytes.len(), |at| at + 1);
            self.take(kept, used)?;
            if last.is_some() {
                return Ok(last);
            }
        }
    }

    /// Takes bytes that were looked at.
    fn take(&mut self, kept: &mut Kept, count: usize) -> io::Result<()> {
        let bytes = &look(&mut self.reader)?[..count];
        self.line += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        kept.push(bytes);
        self.reader.consume(count);
        Ok(())
    }
}

fn ends_name(byte: u8) -> bool {
    byte == b'>' || byte.is_ascii_whitespace()
}

/// Whether a text begins with an event's start.
pub(crate) fn begins_event(text: &[u8]) -> bool {
    text.strip_prefix(b"<Event").and_then(<[u8]>::first).is_some_and(|byte| ends_name(*byte))
}

/// Where an event begins in a line, and what it starts with: that is no program's redirection.
pub(crate) fn event_in_line(line: &[u8]) -> Option<usize> {
    let starts = line.iter().enumerate().filter(|(_, byte)| **byte == b'<').map(|(at, _)| at);
    starts.filter(|at| begins_event(&line[*at..])).find(|at| {
        let tag = &line[*at..line.len().min(*at + TAG_BYTES)];
        let inner = tag.iter().position(|byte| *byte == b'>').map_or(&[][..], |end| tag[end + 1..].trim_ascii_start());
        inner.starts_with(b"<System>") || inner.starts_with(b"<System ")
    })
}

/// Whether a line is markup, as roots and declarations are; a browser shows elements that can be folded behind a minus.
pub(crate) fn is_markup(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    let line = line.strip_prefix(b"- ").unwrap_or(line);
    line.strip_prefix(b"<").and_then(<[u8]>::first).is_some_and(|byte| byte.is_ascii_alphabetic() || b"/!?".contains(byte))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::BufReader;

    fn pieces(input: &[u8], limit: usize, block: usize) -> Vec<(u64, Piece)> {
        let mut events = XmlEvents::new(BufReader::with_capacity(block, input), limit, limit);
        std::iter::from_fn(|| events.next_piece().unwrap()).collect()
    }

    /// Checks events as their number and text behind a mark of how they ended, and other pieces as words.
    fn check(input: &str, limit: usize, wanted: &[&str]) {
        for block in [1, 2, 7, 8192] {
            let found = pieces(input.as_bytes(), limit, block).into_iter().map(|(number, piece)| match piece {
                Piece::Event(text, End::Whole) => format!("{number} {text}"),
                Piece::Event(text, end) => format!("{number} {end:?} {text}"),
                Piece::LogLine(text, false) => format!("{number} {text}"),
                other => format!("{number} {other:?}"),
            });
            assert_eq!(found.collect::<Vec<_>>(), wanted, "{input} in blocks of {block}");
        }
    }

    #[test]
    fn events_are_cut_out_of_what_stands_around_them() {
        let check = |input, wanted: &[&str]| check(input, 1 << 20, wanted);
        check("", &[]);
        check("<Event>a</Event><Event x='1'>b</Event >", &["1 <Event>a</Event>", "2 <Event x='1'>b</Event >"]);
        check("<?xml version='1.0'?>\r\n<Events>\r\n<Event\n>a\n</Event>\r\n</Events>", &["1 <Event\n>a\n</Event>"]);
        check("Record 1\n<Event>a<EventData/></Event>\nx\n", &["1 <Event>a<EventData/></Event>", "3 OtherLine"]);
        check("<Eventual></Eventual><Event/><Event", &[]);
    }

    #[test]
    fn lines_of_a_system_log_are_numbered_and_kept() {
        let check = |input, wanted: &[&str]| check(input, 1 << 20, wanted);
        check("\nh sysmon: <Event>a</Event>\nh cron: x\r\n<13>h y <z>\n\n", &["2 <Event>a</Event>", "3 h cron: x", "4 <13>h y <z>"]);
        check("h cron: x\nh: <Event>a\nb</Event>\nh: <Event>c</Event>", &["1 h cron: x", "2 <Event>a\nb</Event>", "4 <Event>c</Event>"]);
    }

    #[test]
    fn a_torn_event_ends_where_another_begins() {
        let check = |input, wanted: &[&str]| check(input, 1 << 20, wanted);
        check("<Event>a\n<Event>b</Event>", &["1 TornByNext <Event>a\n", "2 <Event>b</Event>"]);
        check("h: <Event>a\nh: x\nh: <Event>b\nx", &["1 TornByNext <Event>a", "3 TornByFile <Event>b"]);
        check("a</Data></Event>\n<Event>b</Event>", &["1 Stray", "2 <Event>b</Event>"]);
        check("<Event>a</Even", &["1 TornByFile <Event>a</Even"]);
        check("<Event>a</Event", &["1 TornByFile <Event>a</Event"]);
    }

    #[test]
    fn an_event_is_held_up_to_a_bound() {
        check("<Event>abcdef</Event><Event></Event>", 16, &["1 TooLong <Event>abcdef</E", "2 <Event></Event>"]);
        check("<Event>abcdefghijklm<Event></Event>", 16, &["1 TornByNext <Event>abcdefghi", "2 <Event></Event>"]);
    }

    #[test]
    fn a_document_type_is_noted_before_events_only() {
        check("<!DOCTYPE a [\n<!ENTITY b \"c\">\n]>\n<Event>&b;</Event>", 99, &["0 DocType", "3 OtherLine", "1 <Event>&b;</Event>"]);
        check("<Event></Event>\n<!DOCTYPE a>\n", 99, &["1 <Event></Event>"]);
    }

    #[test]
    fn an_event_in_a_line_has_its_system() {
        let check = |line: &str, wanted| assert_eq!(event_in_line(line.as_bytes()), wanted, "{line}");
        check("h sysmon[1]: <Event><System><Provider/>", Some(13));
        check("<Event xmlns='x'> <System>", Some(0));
        check("sort <Event >out", None);
        check("<Events><System>", None);
    }
}
