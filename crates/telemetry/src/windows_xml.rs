//! Windows events as XML: `wevtutil`'s, the Event Viewer's, PowerShell's `ToXml`, and Sysmon for Linux's in a system log.

use std::io::BufRead;

use crate::event_queue::{EventQueue, Queued};
use crate::line::tidy;
use crate::reader::{Context, Item, LineReader};
use crate::xml_events::{End, Piece, XmlEvents};
use crate::xml_row::event_row;
use crate::{LogLine, ReadError, ReadErrorKind};

pub(crate) struct WindowsXmlReader<R> {
    events: XmlEvents<R>,
    context: Context,
    queue: EventQueue,
}

impl<R: BufRead> WindowsXmlReader<R> {
    pub(crate) fn new(reader: R, context: Context) -> Self {
        let events = XmlEvents::new(reader, context.options.max_record_bytes, context.options.max_line_bytes);
        Self { events, context, queue: EventQueue::default() }
    }

    fn take(&mut self, number: u64, piece: Piece) {
        match piece {
            Piece::Event(text, end) => self.take_event(number, &text, end),
            Piece::Stray => self.push_damage(number, "the event's beginning is missing"),
            Piece::DocType => {
                let kind = ReadErrorKind::Xml("a document type is declared, of which nothing is read or expanded".to_owned());
                self.queue.push_item(Err(ReadError::in_record(&self.context.file, None, kind)));
            }
            // What other programs say is read as it is in a system log without events.
            Piece::LogLine(mut text, cut) => {
                let cut = tidy(&mut text, self.context.options.max_line_bytes) || cut;
                self.queue.push_item(Ok(LogLine { text, source: self.context.source(number), cut, ..LogLine::default() }));
            }
            Piece::OtherLine => self.queue.skipped += 1,
        }
    }

    fn take_event(&mut self, number: u64, text: &str, end: End) {
        let (row, damage) = event_row(text);
        match (end, damage) {
            (End::Whole, None) => return self.queue.push_event(&self.context, number, &row, None),
            (End::Whole, Some(what)) => self.push_damage(number, &what),
            (End::TornByNext, _) => self.push_damage(number, "the event is torn: another one begins within it"),
            (End::TornByFile, _) => self.push_damage(number, "the event is torn: the file ends within it"),
            (End::TooLong, _) => {
                let kind = ReadErrorKind::TooLong { limit: self.context.options.max_record_bytes };
                self.queue.push_item(Err(self.context.record_error(number, kind)));
            }
        }
        // Sysmon for Linux and syslog daemons cut long events: whoever pads a command line doesn't hide it.
        self.queue.push_damaged(&self.context, number, &row);
    }

    fn push_damage(&mut self, number: u64, what: &str) {
        self.queue.push_item(Err(self.context.record_error(number, ReadErrorKind::Xml(what.to_owned()))));
    }
}

impl<R: BufRead> Queued for WindowsXmlReader<R> {
    fn queue(&mut self) -> &mut EventQueue {
        &mut self.queue
    }

    fn advance(&mut self) {
        match self.events.next_piece() {
            Ok(Some((number, piece))) => self.take(number, piece),
            Ok(None) => {
                let is_other = self.events.has_others && !self.events.has_events;
                self.queue.end(&self.context, is_other.then_some(ReadErrorKind::NoXmlEvent));
            }
            Err(error) => self.queue.end(&self.context, Some(ReadErrorKind::Io(error))),
        }
    }
}

impl<R: BufRead> Iterator for WindowsXmlReader<R> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        self.next_item()
    }
}

impl<R: BufRead + Send> LineReader for WindowsXmlReader<R> {
    fn skipped(&self) -> u64 {
        self.queue.skipped
    }
}

#[cfg(test)]
mod tests {
    use crate::Format;
    use crate::reader::testing::{check as check_format, read};

    fn check(input: &str, wanted: &[&str], skipped: u64) {
        check_format(Format::WindowsXml, None, input, wanted, skipped);
    }

    fn event(id: u32, data: &str) -> String {
        format!("<Event xmlns='x'><System><EventID>{id}</EventID></System><EventData>{data}</EventData></Event>")
    }

    fn command(line: &str) -> String {
        event(4688, &format!("<Data Name='CommandLine'>{line}</Data>"))
    }

    #[test]
    fn events_give_lines_and_the_rest_is_counted() {
        let events = [command("id &gt; x"), event(7, ""), command("ls")];
        check(&events.concat(), &["1 id > x", "3 ls"], 1);
        check(&format!("<?xml version='1.0'?>\n<Events>{}</Events>", events.concat()), &["1 id > x", "3 ls"], 1);
        check(&format!("h a: {}\nh cron: x\nh a: {}\n", events[0], events[2]), &["1 id > x", "2 h cron: x", "3 ls"], 0);
        check(&event(4688, ""), &["! record 1: no field \"CommandLine\""], 0);
        check("<Events></Events>", &[], 0);
    }

    #[test]
    fn script_blocks_are_joined() {
        let part = |number: u32, text: &str| {
            let data = [("MessageNumber", number.to_string().as_str()), ("MessageTotal", "2"), ("ScriptBlockText", text), ("ScriptBlockId", "b")]
                .map(|(name, value)| format!("<Data Name='{name}'>{value}</Data>"));
            event(4104, &data.concat())
        };
        check(&[part(1, "a"), part(2, "b")].concat(), &["1 ab"], 0);
        check(&part(2, "b"), &["1 b"], 0);
    }

    #[test]
    fn a_damaged_event_is_one_error_and_what_it_tells_is_read() {
        let (first, last) = (command("id"), command("ls"));
        let torn = &first[..first.len() - "d</Data></EventData></Event>".len()];
        let damaged = "damaged XML: the event is torn: another one begins within it";
        check(&format!("{torn}\n{last}"), &[&format!("! record 1: {damaged}"), "1 i", "2 ls"], 0);
        check(torn, &["! record 1: damaged XML: the event is torn: the file ends within it", "1 i"], 0);
        check(&format!("x</Data></Event>\n{last}"), &["! record 1: damaged XML: the event's beginning is missing", "2 ls"], 0);
        let (shown, _) = read(Format::WindowsXml, None, format!("{}{last}", first.replace("</Data>", "")).as_bytes());
        assert!(shown.len() == 3 && shown[0].starts_with("! record 1: damaged XML: ") && shown[2] == "2 ls", "{shown:?}");
    }

    #[test]
    fn entities_of_a_document_type_are_not_expanded() {
        let bomb = "<!DOCTYPE a [<!ENTITY b \"ha\"><!ENTITY c \"&b;&b;\">]>\n";
        check(
            &format!("{bomb}<Events>{}{}</Events>", command("&c;"), command("ls")),
            &[
                "! damaged XML: a document type is declared, of which nothing is read or expanded",
                "! record 1: damaged XML: the entity &c; is none of XML's own, and others are not expanded",
                "1 &c;",
                "2 ls",
            ],
            0,
        );
    }

    #[test]
    fn other_xml_is_one_error() {
        check("<project xmlns='x'>\n<name>a</name>\n</project>\n", &["! no Windows event as XML in it"], 0);
        check(" \n", &[], 0);
    }
}
