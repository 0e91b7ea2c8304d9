//! NDJSON rows with a text.

use std::io::BufRead;

use serde_json::{Map, Value};

use crate::json::{member, parse, scalar, take_member};
use crate::line::tidy;
use crate::lines::{Lines, RawLine};
use crate::reader::{Context, Item, LineReader};
use crate::{Event, LogLine, ReadError, ReadErrorKind};

/// The field looked for where none is named.
pub(crate) const DEFAULT_FIELD: &str = "text";

pub(crate) struct NdjsonReader<R> {
    lines: Lines<R>,
    context: Context,
}

impl<R: BufRead> NdjsonReader<R> {
    pub(crate) fn new(reader: R, context: Context) -> Self {
        Self { lines: Lines::new(reader, context.options.max_record_bytes), context }
    }

    fn row(&self, line: &RawLine) -> Item {
        let mut row = parse_object(&self.context, line)?;
        let field = self.context.options.field.as_deref().unwrap_or(DEFAULT_FIELD);
        let fail = |kind| Err(self.context.record_error(line.number, kind));
        let mut text = match take_member(&mut row, field) {
            Some(Value::String(text)) => text,
            Some(_) => return fail(ReadErrorKind::NotText(field.to_owned())),
            None => return fail(ReadErrorKind::MissingField(field.to_owned())),
        };
        let cut = tidy(&mut text, self.context.options.max_line_bytes);
        Ok(LogLine { text, source: self.context.source(line.number), event: row_event(&row), input: (!row.is_empty()).then_some(row), cut })
    }
}

/// What a row of one's own says of the event beside the text: the parent, as a labelled row has it (`parent`) or as a finding does (`event.parent`).
pub fn row_event(row: &Map<String, Value>) -> Event {
    Event {
        parent: ["parent", "event.parent"].iter().find_map(|path| scalar(member(row, path).filter(|value| value.is_string())?)),
        ..Event::default()
    }
}

/// Parses a line that has to be a JSON object.
pub(crate) fn parse_object(context: &Context, line: &RawLine) -> Result<Map<String, Value>, ReadError> {
    let fail = |kind| Err(context.record_error(line.number, kind));
    if line.cut {
        return fail(ReadErrorKind::TooLong { limit: context.options.max_record_bytes });
    }
    match parse(line.text().trim_matches('\0')) {
        Ok(Value::Object(row)) => Ok(row),
        Ok(_) => fail(ReadErrorKind::Json("another JSON value".to_owned())),
        Err(error) => fail(ReadErrorKind::Json(error.to_string())),
    }
}

impl<R: BufRead> Iterator for NdjsonReader<R> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        match self.lines.next_line()? {
            Ok(line) => Some(self.row(&line)),
            Err(error) => Some(Err(self.context.io_error(error))),
        }
    }
}

impl<R: BufRead + Send> LineReader for NdjsonReader<R> {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::Format;
    use crate::reader::testing::{check, read_items};

    #[test]
    fn rows_give_their_text_and_bad_rows_an_error() {
        let check = |field, input, wanted: &[&str]| check(Format::Ndjson, field, input, wanted, 0);
        check(None, "{\"text\":\"net user\"}\n\n{\"text\":\"a\\u0000b\"}", &["1 net user", "3 ab"]);
        check(
            None,
            "{\"a\":1}\n[1]\n{\"text\":3}\n{\"text\":\"x\"}\n",
            &[
                "! record 1: no field \"text\"",
                "! record 2: not a JSON object: another JSON value",
                "! record 3: the field \"text\" holds no text",
                "4 x",
            ],
        );
        check(Some("process.args"), r#"{"process":{"args":"id"}}"#, &["1 id"]);
        check(Some("process.args"), r#"{"process.args":"id"}"#, &["1 id"]);
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
    fn other_members_pass_through_in_order() {
        let (items, _) = read_items(Format::Ndjson, None, br#"{"z":1,"text":"x","a":{"b":[2]}}"#);
        let input = items[0].as_ref().unwrap().input.as_ref().unwrap();
        assert_eq!(serde_json::to_string(input).unwrap(), r#"{"z":1,"a":{"b":[2]}}"#);
    }
}
