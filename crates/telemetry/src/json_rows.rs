//! JSON objects out of a file: one a line, one after another over any number of lines, as the elements of a list, or of a list within an object.
//!
//! No more than one object is held. A damaged one is one error; what it took with it from its second line on is looked at again.

use std::collections::VecDeque;
use std::io::{self, BufRead};

use serde_json::{Map, Value};

use crate::json::{member, parse};
use crate::json_scan::{LISTS, List, Scan, Step};
use crate::reader::Context;
use crate::rewind::Rewind;
use crate::row_names::has_text;
use crate::{ReadError, ReadErrorKind};

/// So much may be read once more for torn values, and so many times what was read: nested ones could have every byte read a hundred times.
const FREE_TO_REPEAT: u64 = 64 << 20;
const MOST_REPEATED: u64 = 8;
/// More lists within each other are no log.
const MAX_LISTS: usize = 64;

pub(crate) type Object = Map<String, Value>;

/// An object and its number: the line it begins in, or its place in the list where the file is one.
pub(crate) type Row = (u64, Object);

pub(crate) struct JsonRows<R> {
    reader: Rewind<R>,
    limit: usize,
    /// The line that is read, from 1.
    line: u64,
    /// How many blanks begin the line, and whether there was nothing else in it.
    indent: usize,
    fresh: bool,
    /// The place in the file, the furthest one so far, and how many bytes were put back.
    place: u64,
    furthest: u64,
    repeated: u64,
    /// The lists that are open; what follows a list within an object.
    lists: Vec<Option<Scan>>,
    /// The elements of a list that was within an object.
    ready: VecDeque<Row>,
    /// Whether the file begins with a list, and how many elements there were.
    is_list: Option<bool>,
    elements: u64,
    ended: bool,
}

impl<R: BufRead> JsonRows<R> {
    pub(crate) fn new(reader: R, limit: usize) -> Self {
        Self {
            reader: Rewind::new(reader),
            limit,
            line: 1,
            indent: 0,
            fresh: true,
            place: 0,
            furthest: 0,
            repeated: 0,
            lists: Vec::new(),
            ready: VecDeque::new(),
            is_list: None,
            elements: 0,
            ended: false,
        }
    }

    /// The next object. After an error of the file there are no more.
    pub(crate) fn next_row(&mut self, context: &Context) -> Option<Result<Row, ReadError>> {
        loop {
            if let Some(row) = self.ready.pop_front() {
                return Some(Ok(row));
            }
            if self.ended {
                return None;
            }
            match self.advance(context) {
                Ok(None) => {}
                Ok(Some(Ok(row))) => return Some(Ok(row)),
                Ok(Some(Err((number, kind)))) => return Some(Err(context.record_error(number, kind))),
                Err(error) => {
                    self.ended = true;
                    return Some(Err(context.io_error(error)));
                }
            }
        }
    }

    /// Reads up to the end of the next value, or a few bytes between values.
    fn advance(&mut self, context: &Context) -> io::Result<Option<Result<Row, (u64, ReadErrorKind)>>> {
        let Some(&first) = self.reader.look()?.first() else {
            self.ended = true;
            let unfinished = !std::mem::take(&mut self.lists).is_empty();
            return Ok(unfinished.then(|| Err((self.line, json("the file ends within a list of rows")))));
        };
        match first {
            b',' | 0 => self.take(1)?,
            _ if first.is_ascii_whitespace() => self.take(1)?,
            b'[' if self.lists.len() < MAX_LISTS => {
                self.take(1)?;
                self.open_list(None);
            }
            b']' if !self.lists.is_empty() => {
                self.take(1)?;
                if let Some(Some(rest)) = self.lists.pop() {
                    return Ok(self.pass_rest(rest)?.map(Err));
                }
            }
            b'{' => return self.object(context),
            _ => return Ok(self.other()?.map(Err)),
        }
        Ok(None)
    }

    fn open_list(&mut self, rest: Option<Scan>) {
        self.is_list.get_or_insert(true);
        self.lists.push(rest);
    }

    /// The number of the value that begins here.
    fn number(&mut self) -> u64 {
        let is_list = *self.is_list.get_or_insert(false);
        if self.lists.is_empty() {
            return self.line;
        }
        self.elements += 1;
        if is_list { self.elements } else { self.line }
    }

    fn object(&mut self, context: &Context) -> io::Result<Option<Result<Row, (u64, ReadErrorKind)>>> {
        // Of a value that begins within a line it isn't known how deep the next one stands.
        let (line, indent) = (self.line, if self.fresh { self.indent } else { usize::MAX });
        let (mut scan, mut kept) = (Scan::new(), Vec::new());
        let (step, too_long) = self.scan(&mut scan, &mut kept)?;
        if step == Step::End {
            return Ok(self.whole(context, &kept));
        }
        // The elements of a list can be read without the object around them.
        if let Some(list) = scan.list.take().filter(|_| self.lists.len() < MAX_LISTS) {
            let List { start, rest } = *list;
            self.put_back(kept.split_off(start.min(kept.len())));
            self.open_list(Some(rest));
            return Ok(None);
        }
        let counted = self.number();
        let number = if self.lists.is_empty() || self.is_list != Some(true) { line } else { counted };
        let kind = match too_long {
            true => ReadErrorKind::TooLong { limit: self.limit },
            false => json(&parse(&String::from_utf8_lossy(&kept)).err().map_or_else(|| "the value is torn".to_owned(), |error| error.to_string())),
        };
        match kept.iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                self.put_back(kept.split_off(end + 1));
                self.pass_damage(indent)?;
            }
            None if self.lists.is_empty() => self.pass_line()?,
            None => self.pass_element()?,
        }
        // A file that ends within a value ends within its lists as well: that is one error.
        if self.reader.look()?.is_empty() {
            self.lists.clear();
        }
        Ok(Some(Err((number, kind))))
    }

    /// Keeps what belongs to a value; the other answer is whether it is longer than the bound.
    fn scan(&mut self, scan: &mut Scan, kept: &mut Vec<u8>) -> io::Result<(Step, bool)> {
        loop {
            let bytes = self.reader.look()?;
            if bytes.is_empty() {
                return Ok((Step::More, false));
            }
            let room = self.limit.saturating_sub(kept.len());
            if room == 0 {
                return Ok((Step::More, true));
            }
            let (used, step) = scan.run(&bytes[..bytes.len().min(room)]);
            kept.extend_from_slice(&bytes[..used]);
            self.take(used)?;
            if step != Step::More {
                return Ok((step, false));
            }
        }
    }

    fn whole(&mut self, context: &Context, bytes: &[u8]) -> Option<Result<Row, (u64, ReadErrorKind)>> {
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        let row = parse(&String::from_utf8_lossy(bytes));
        if let Ok(Value::Object(mut row)) = row {
            let Some(elements) = take_list(&mut row, context.options.field.as_deref()) else {
                return Some(Ok((self.number() - self.lines_back(lines), row)));
            };
            self.open_list(None);
            for element in elements {
                let row = (self.number() - self.lines_back(lines), element);
                self.ready.push_back(row);
            }
            self.lists.pop();
            return None;
        }
        let why = row.err().map_or_else(|| "another JSON value".to_owned(), |error| error.to_string());
        Some(Err((self.number() - self.lines_back(lines), json(&why))))
    }

    /// A number that is a line's is that of the value's first one.
    fn lines_back(&self, lines: u64) -> u64 {
        if !self.lists.is_empty() && self.is_list == Some(true) { 0 } else { lines }
    }

    /// What is no object: in a list one value, else a line.
    fn other(&mut self) -> io::Result<Option<(u64, ReadErrorKind)>> {
        if !self.lists.is_empty() {
            let number = self.number();
            let mut in_string = false;
            while let Some(&byte) = self.reader.look()?.first() {
                let ends = if in_string { byte == b'\n' } else { matches!(byte, b',' | b']' | b'{' | b'\n') };
                if ends {
                    break;
                }
                in_string ^= byte == b'"';
                self.take(1)?;
                if byte == b'\\' && self.reader.look()?.first().is_some_and(|next| *next != b'\n') {
                    self.take(1)?;
                }
            }
            return Ok(Some((number, json("another JSON value"))));
        }
        let number = self.line;
        let line = self.take_line()?;
        if is_heading(&line) {
            return Ok(None);
        }
        self.is_list.get_or_insert(false);
        let kind = match parse(String::from_utf8_lossy(&line).trim_matches(|character: char| character.is_ascii_whitespace() || character == '\0')) {
            Err(_) if line.len() >= self.limit => ReadErrorKind::TooLong { limit: self.limit },
            Err(error) => json(&error.to_string()),
            Ok(_) => json("another JSON value"),
        };
        if line.last() != Some(&b'\n') {
            self.pass_line()?;
        }
        Ok(Some((number, kind)))
    }

    /// Passes over what follows a list within its object.
    fn pass_rest(&mut self, mut rest: Scan) -> io::Result<Option<(u64, ReadErrorKind)>> {
        loop {
            let bytes = self.reader.look()?;
            if bytes.is_empty() {
                return Ok(Some((self.line, json("the file ends within an object"))));
            }
            let (used, step) = rest.run(bytes);
            let last = bytes[used - 1];
            self.take(used)?;
            match step {
                Step::More => {}
                Step::End => return Ok(rest.list.map(|_| (self.line, json("a second list of rows in one object is not read")))),
                Step::Torn => {
                    match last {
                        b'{' => self.put_back(vec![last]),
                        b'\n' => {}
                        _ => self.pass_line()?,
                    }
                    return Ok(Some((self.line, json("the object is torn behind its list of rows"))));
                }
            }
        }
    }

    /// Passes over what is left of a damaged value: to a line that begins another one.
    fn pass_damage(&mut self, indent: usize) -> io::Result<()> {
        loop {
            let line = self.take_line()?;
            if line.is_empty() {
                self.lists.clear();
                return Ok(());
            }
            let blanks = line.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
            let start = line.iter().position(|byte| !matches!(byte, b'}' | b',' | 0) && !byte.is_ascii_whitespace()).unwrap_or(line.len());
            let begins = match line.get(start) {
                // Deeper in it is likely a part of what is damaged, unless it is whole: better a row too many than one that is hidden.
                Some(b'{') => blanks <= indent || parse(String::from_utf8_lossy(&line[start..]).trim_end().trim_end_matches(',')).is_ok(),
                Some(b']') => blanks <= indent && !self.lists.is_empty(),
                _ => false,
            };
            if begins {
                self.put_back(line[start..].to_vec());
                (self.fresh, self.indent) = (true, blanks);
                return Ok(());
            }
            // The rest of a line that is longer than what is held.
            if line.last() != Some(&b'\n') {
                self.pass_line()?;
            }
        }
    }

    fn pass_line(&mut self) -> io::Result<()> {
        loop {
            let bytes = self.reader.look()?;
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let count = end.map_or(bytes.len(), |end| end + 1);
            self.take(count)?;
            if end.is_some() || count == 0 {
                return Ok(());
            }
        }
    }

    /// Passes over the rest of a damaged element of a list that stands in one line, to what looks like the next element.
    fn pass_element(&mut self) -> io::Result<()> {
        let mut last = 0;
        while let Some(&byte) = self.reader.look()?.first() {
            if byte == b'\n' || byte == b'{' && last == b',' {
                return Ok(());
            }
            last = match (last, byte) {
                (b'}' | b',', b' ') => last,
                (b'}', b',') | (_, b'}') => byte,
                _ => 0,
            };
            self.take(1)?;
        }
        Ok(())
    }

    /// A line with its end, or as much of it as is held.
    fn take_line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        loop {
            let bytes = self.reader.look()?;
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let count = end.map_or(bytes.len(), |end| end + 1).min(self.limit.saturating_sub(line.len()));
            line.extend_from_slice(&bytes[..count]);
            self.take(count)?;
            if count == 0 || line.last() == Some(&b'\n') {
                return Ok(line);
            }
        }
    }

    /// Passes over bytes that were looked at, and counts their lines.
    fn take(&mut self, count: usize) -> io::Result<()> {
        let bytes = &self.reader.look()?[..count];
        let end = bytes.iter().rposition(|byte| *byte == b'\n');
        if end.is_some() {
            self.line += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
            (self.fresh, self.indent) = (true, 0);
        }
        let tail = &bytes[end.map_or(0, |end| end + 1)..];
        if self.fresh {
            let blanks = tail.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
            self.indent += blanks;
            self.fresh = blanks == tail.len();
        }
        self.reader.consume(count);
        self.place += count as u64;
        self.furthest = self.furthest.max(self.place);
        if self.repeated > FREE_TO_REPEAT + MOST_REPEATED * self.furthest {
            return Err(io::Error::other("so many of its JSON values are torn that it would be read over and over"));
        }
        Ok(())
    }

    fn put_back(&mut self, bytes: Vec<u8>) {
        self.repeated += bytes.len() as u64;
        self.place -= bytes.len() as u64;
        self.line -= bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        (self.fresh, self.indent) = (true, 0);
        self.reader.put_back(bytes);
    }
}

/// Whether a line is what `evtx_dump` writes above each record.
pub(crate) fn is_heading(line: &[u8]) -> bool {
    line.trim_ascii().strip_prefix(b"Record ").is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit))
}

fn json(why: &str) -> ReadErrorKind {
    ReadErrorKind::Json(why.to_owned())
}

/// The list of events that an object without a text of its own is wrapped around.
fn take_list(row: &mut Object, field: Option<&str>) -> Option<Vec<Object>> {
    let is_row = field.map_or_else(|| has_text(row) || crate::events::is_windows_event(row), |field| member(row, field).is_some());
    if is_row {
        return None;
    }
    let is_alone = row.len() == 1;
    let is_list = |value: &&mut Value| value.as_array().is_some_and(|list| list.iter().all(Value::is_object) && (is_alone || !list.is_empty()));
    let lists: Vec<Value> = LISTS
        .into_iter()
        .filter_map(|name| match row.get_mut(name)? {
            Value::Object(hits) => hits.get_mut("hits").filter(is_list).map(Value::take),
            list => Some(list).filter(is_list).map(Value::take),
        })
        .collect();
    // A search engine keeps what it was given in `_source`.
    let object = |element: Value| match element {
        Value::Object(mut object) => Some(match object.get_mut("_source").map(Value::take) {
            Some(Value::Object(source)) => source,
            _ => object,
        }),
        _ => None,
    };
    let elements = |list: Value| if let Value::Array(list) = list { list } else { Vec::new() };
    (!lists.is_empty()).then(|| lists.into_iter().flat_map(elements).filter_map(object).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::Format;
    use crate::reader::testing::{check as check_format, read};

    fn check(input: &str, wanted: &[&str]) {
        check_format(Format::Ndjson, None, input, wanted, 0);
    }

    #[test]
    fn lists_are_read_element_by_element() {
        check(r#"[{"text":"a"},{"text":"b"}]"#, &["1 a", "2 b"]);
        check("[\n  {\n    \"text\": \"a\",\n    \"list\": [\n      {\"x\": 1}\n    ]\n  },\n  {\n    \"text\": \"b\"\n  }\n]\n", &["1 a", "2 b"]);
        check("[]", &[]);
        check(
            "[[{\"text\":\"a\"}],7,\"x,]\",{\"text\":\"b\"}]",
            &["1 a", "! record 2: not a JSON object: another JSON value", "! record 3: not a JSON object: another JSON value", "4 b"],
        );
    }

    #[test]
    fn objects_follow_each_other_over_any_number_of_lines() {
        check("{\n  \"text\": \"a\"\n}\n{\n  \"text\": \"b\"\n}\n", &["1 a", "4 b"]);
        check("Record 1\n{\n  \"text\": \"a\"\n}\nRecord 2\n{\n  \"text\": \"b\"\n}\n", &["2 a", "6 b"]);
        check("{\"text\":\"a\"}{\"text\":\"b\"}\n\n{\"text\":\"c\"},\n{\"text\":\"d\"},\n", &["1 a", "1 b", "3 c", "4 d"]);
    }

    #[test]
    fn lists_within_an_object_are_read() {
        for name in ["Records", "Events", "events", "value"] {
            check(&format!("{{\"{name}\":[{{\"text\":\"a\"}},{{\"text\":\"b\"}}]}}"), &["1 a", "2 b"]);
        }
        check(r#"{"took":1,"hits":{"total":2,"hits":[{"_id":"x","_source":{"text":"a"}}]}}"#, &["1 a"]);
        check(r#"{"text":"a","value":[{"text":"b"}]}"#, &["1 a"]);
        check(r#"{"Records":[{"text":"a"}],"Events":[{"text":"b"}]}"#, &["1 a", "2 b"]);
        check(r#"{"Records":[]}"#, &[]);
        assert!(read(Format::Ndjson, None, br#"{"a":1,"events":[]}"#).0[0].starts_with("! record 1: no field text"));
    }

    #[test]
    fn a_list_that_is_longer_than_what_is_held_is_read() {
        let elements: Vec<String> = (0..40).map(|number| format!("{{\"text\":\"{number}{}\"}}", "x".repeat(1 << 20))).collect();
        for (start, end) in [("[", "]"), ("{\"count\":40,\"Records\":[", "],\"next\":{\"a\":[]}}\n{\"text\":\"last\"}")] {
            let (shown, _) = read(Format::Ndjson, None, format!("{start}{}{end}", elements.join(",")).as_bytes());
            let wanted = if start == "[" { 40 } else { 41 };
            assert_eq!((shown.len(), shown.iter().filter(|line| line.starts_with('!')).count()), (wanted, 0), "{start}");
            assert!(shown[39].starts_with("40 39xx"));
        }
    }

    #[test]
    fn a_damaged_element_is_one_error() {
        let texts = |input: &str, texts: &[&str], errors: usize| {
            let (shown, _) = read(Format::Ndjson, None, input.as_bytes());
            let lines: Vec<&str> = shown.iter().filter(|line| !line.starts_with('!')).map(|line| line.split_once(' ').unwrap().1).collect();
            assert_eq!((lines, shown.len()), (texts.to_vec(), texts.len() + errors), "{input} {shown:?}");
        };
        texts(r#"[{"text":"a"},{"b":xx,"c":[{"d":1}]},{"text":"c"}]"#, &["a", "c"], 1);
        texts(r#"[{"text":"a"},{"b" "c"},{"text":"c"}]"#, &["a", "c"], 1);
        texts("[\n  {\n    \"a\": \"x\n    \"l\": [\n      {\n      }\n    ]\n  },\n  {\n    \"text\": \"c\"\n  }\n]", &["c"], 1);
        texts("{\"text\":\"a\",\n{\"text\":\"b\"}\n{\"a\":\n{\"text\":\"c\"}\n", &["b", "c"], 2);
        texts("  {\"text\":\"a\n    {\"text\":\"b\"}\n", &["b"], 1);
        texts("{\"Records\":[\n{\"text\":\"a\"},\n{\"x\n{\"text\":\"b\"}\n]}\n{\"text\":\"c\"}\n", &["a", "b", "c"], 1);
        texts("[{\n  \"a\": \"x\n  },\n  {\n    \"text\": \"c\"\n  }\n]", &["c"], 1);
        texts("{\"b\":\"x\",\"value\":[1,\n{\"text\":\"a\"}\n{\"text\":\"b\"}\n]\n{\"text\":\"c\"}\n", &["a", "b", "c"], 2);
        texts("[{\"text\":\"a\"},{\"text\":\"b", &["a"], 1);
        texts("[{\"text\":\"a\"}", &["a"], 1);
        texts("{\n\"text\":\"a\",\n\"b\":[\n", &[], 1);
    }

    #[test]
    fn nesting_is_bounded() {
        let (shown, _) = read(Format::Ndjson, None, ["{\"a\":\n".repeat(3000).as_str(), "{\"text\":\"b\"}"].concat().as_bytes());
        assert_eq!(shown.last().unwrap(), "3001 b");
        let (shown, _) = read(Format::Ndjson, None, "{\"a\":\n".repeat(1 << 20).as_bytes());
        assert!(shown.len() < 1 << 18 && shown.last().unwrap().ends_with("over and over"), "{}", shown.len());
        let (shown, _) = read(Format::Ndjson, None, "[".repeat(1 << 20).as_bytes());
        assert!(shown.len() < 4, "{shown:?}");
    }
}
