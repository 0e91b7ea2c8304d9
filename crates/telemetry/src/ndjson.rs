//! JSON rows with a text.

use std::io::BufRead;

use serde_json::{Map, Value};

use crate::event_queue::{EventQueue, Queued};
use crate::json_rows::{JsonRows, Row};
use crate::line::tidy;
use crate::reader::{Context, Item, LineReader};
use crate::row_names::{RowText, row_event, take_text, wanted_names};
use crate::whole_event::whole_event;
use crate::{LogLine, ReadErrorKind};

/// After so many rows without a text, and none with one, it is said that there is none.
const PATIENCE: u64 = 32;
/// So many members of a row are named in a message.
const MEMBERS_SHOWN: usize = 12;

pub(crate) struct NdjsonReader<R> {
    rows: JsonRows<R>,
    context: Context,
    missing: Missing,
    /// Lines that wait behind an error, and those of rows that hold events.
    queue: EventQueue,
}

/// The rows without a text before the first that has one: what is missing in all of them is said once.
#[derive(Default)]
struct Missing {
    /// The first of them and its members.
    first: Option<(u64, String)>,
    rows: u64,
    is_told: bool,
    /// Whether there was a row with a text.
    found: bool,
}

impl<R: BufRead> NdjsonReader<R> {
    pub(crate) fn new(reader: R, context: Context) -> Self {
        let rows = JsonRows::new(reader, context.options.max_record_bytes);
        Self { rows, context, missing: Missing::default(), queue: EventQueue::default() }
    }

    fn row(&mut self, (number, mut row): Row) {
        let taken = take_text(&mut row, self.context.options.field.as_deref());
        if matches!(taken, Err(ReadErrorKind::MissingField(_))) && !self.missing.found {
            self.missing.add(number, &row);
            if self.missing.rows == PATIENCE {
                self.tell();
            }
            return;
        }
        self.missing.found = true;
        self.tell();
        let context = &self.context;
        match taken {
            Ok(RowText { mut text, may_be_event }) => {
                let event = row_event(&row);
                let input = (!row.is_empty()).then_some(row);
                if let Some(row) = may_be_event.then(|| whole_event(&text)).flatten() {
                    return self.queue.push_event(context, number, &row, input);
                }
                let cut = tidy(&mut text, context.options.max_line_bytes);
                self.queue.push_item(Ok(LogLine { text, source: context.source(number), event, input, cut }));
            }
            Err(kind) => self.queue.push_item(Err(context.record_error(number, kind))),
        }
    }

    /// Says once what the rows so far don't have.
    fn tell(&mut self) {
        let missing = &mut self.missing;
        let Some((first, members)) = missing.first.as_ref().filter(|_| !missing.is_told) else {
            return;
        };
        missing.is_told = true;
        let wanted = wanted_names(self.context.options.field.as_deref());
        let rows = match missing.rows {
            1 => "this row".to_owned(),
            PATIENCE => format!("this row and {} after it; further rows like these are passed over without a word", PATIENCE - 1),
            rows => format!("this row and {} after it", rows - 1),
        };
        let kind = ReadErrorKind::NoText { wanted, rows, members: members.clone() };
        self.queue.push_item(Err(self.context.record_error(*first, kind)));
    }
}

impl Missing {
    fn add(&mut self, number: u64, row: &Map<String, Value>) {
        self.rows += 1;
        self.first.get_or_insert_with(|| {
            let mut names = row.keys().take(MEMBERS_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
            tidy(&mut names, 300);
            if row.len() > MEMBERS_SHOWN {
                names.push_str(", ...");
            }
            (number, names)
        });
    }
}

impl<R: BufRead> Queued for NdjsonReader<R> {
    fn queue(&mut self) -> &mut EventQueue {
        &mut self.queue
    }

    fn advance(&mut self) {
        match self.rows.next_row(&self.context) {
            Some(Ok(row)) => self.row(row),
            Some(Err(error)) => self.queue.push_item(Err(error)),
            None => {
                self.tell();
                self.queue.end(&self.context, None);
            }
        }
    }
}

impl<R: BufRead> Iterator for NdjsonReader<R> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        self.next_item()
    }
}

impl<R: BufRead + Send> LineReader for NdjsonReader<R> {
    fn skipped(&self) -> u64 {
        self.queue.skipped
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::wanted_names;
    use crate::Format;
    use crate::reader::testing::{check, read, read_items};

    #[test]
    fn rows_give_their_text_and_bad_rows_an_error() {
        let check = |field, input, wanted: &[&str]| check(Format::Ndjson, field, input, wanted, 0);
        check(None, "{\"text\":\"net user\"}\n\n{\"text\":\"a\\u0000b\"}", &["1 net user", "3 ab"]);
        check(
            None,
            "{\"text\":3}\n[1]\n{\"a\":1}\n{\"text\":\"x\"}\n",
            &[
                "! record 1: the field \"text\" holds no text",
                "! record 2: not a JSON object: another JSON value",
                "! record 3: no field \"text\"",
                "4 x",
            ],
        );
        check(Some("process.args"), r#"{"process":{"args":"id"}}"#, &["1 id"]);
        check(Some("process.args"), r#"{"process.args":"id"}"#, &["1 id"]);
    }

    #[test]
    fn a_text_that_no_row_has_is_missed_once() {
        let missing = |rows: &str, members: &str| {
            let wanted = wanted_names(None);
            format!("! record 1: no field {wanted} in {rows} (the members are: {members}; --field NAME names the one with the text)")
        };
        let check = |input: &str, wanted: &[String]| assert_eq!(read(Format::Ndjson, None, input.as_bytes()).0, wanted, "{input}");
        check("{\"a\":1,\"cmd\":\"x\"}\n", &[missing("this row", "a, cmd")]);
        check(&"{\"a\":1,\"cmd\":\"x\"}\n".repeat(9), &[missing("this row and 8 after it", "a, cmd")]);
        check(
            "{\"a\":1}\n{\"b\":1}\n{\"message\":\"x\"}\n{\"b\":1}\n",
            &[missing("this row and 1 after it", "a"), "3 x".to_owned(), "! record 4: no field \"text\"".to_owned()],
        );
        let many = missing("this row and 31 after it; further rows like these are passed over without a word", "a");
        check(&"{\"a\":1}\n".repeat(99), &[many]);
    }

    #[test]
    fn a_broken_row_is_one_error() {
        let (items, _) = read_items(Format::Ndjson, None, b"{\"text\":\"a\n{\"text\":\"b\"}\n");
        assert!(items[0].as_ref().unwrap_err().to_string().starts_with("record 1: not a JSON object: "));
        assert!(!items[0].as_ref().unwrap_err().is_fatal_for_file());
        assert_eq!(items[1].as_ref().unwrap().text, "b");
    }

    #[test]
    fn a_parent_is_told_and_passes_through() {
        for row in [r#"{"text":"x","parent":"cmd.exe /c x"}"#, r#"{"text":"x","event":{"parent":"cmd.exe /c x"}}"#] {
            let (items, _) = read_items(Format::Ndjson, None, row.as_bytes());
            let line = items[0].as_ref().unwrap();
            assert_eq!(line.event.parent.as_deref(), Some("cmd.exe /c x"), "{row}");
            assert!(line.input.is_some(), "{row}");
        }
        for row in
            [r#"{"text":"x","parent":null}"#, r#"{"text":"x","parent":["a"]}"#, r#"{"text":"x","parent":"-"}"#, r#"{"text":"x","parent":4012}"#]
        {
            assert_eq!(read_items(Format::Ndjson, None, row.as_bytes()).0[0].as_ref().unwrap().event.parent, None, "{row}");
        }
    }

    #[test]
    fn a_text_that_is_a_whole_event_is_read_as_one() {
        let event = |id: u32| {
            let data = "<Data Name='CommandLine'>ls &gt; a</Data>";
            format!("<Event><System><EventID>{id}</EventID><Computer>h</Computer></System><EventData>{data}</EventData></Event>")
        };
        let row = |name: &str, id| format!("{{\"{name}\":\"{}\",\"a\":1}}\n", event(id));
        check(Format::Ndjson, None, &[row("_raw", 1), row("MESSAGE", 7), row("text", 4688)].concat(), &["1 ls > a", "3 ls > a"], 1);
        check(Format::Ndjson, Some("x.y"), &row("x.y", 1), &["1 ls > a"], 0);
        // A program may call itself what it likes.
        check(Format::Ndjson, None, &row("CommandLine", 7), &[&format!("1 {}", event(7))], 0);
        let (items, _) = read_items(Format::Ndjson, None, row("_raw", 1).as_bytes());
        let line = items[0].as_ref().unwrap();
        assert_eq!((line.event.host.as_deref(), line.input.as_ref().unwrap().len()), (Some("h"), 1));
    }

    #[test]
    fn other_members_pass_through_in_order() {
        let (items, _) = read_items(Format::Ndjson, None, br#"{"z":1,"text":"x","a":{"b":[2]}}"#);
        let input = items[0].as_ref().unwrap().input.as_ref().unwrap();
        assert_eq!(serde_json::to_string(input).unwrap(), r#"{"z":1,"a":{"b":[2]}}"#);
    }
}
