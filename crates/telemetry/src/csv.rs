//! CSV rows under a header, the text in one column.
//!
//! It stands on `csv-core`, which hands fields out in pieces, and follows the quotes beside it: one that is never closed would swallow all rows
//! behind it. So what stands within a quote from its second line on is kept, within a bound, and read again where the quote proves to be no cell's.

use std::io::{self, BufRead};

use csv_core::{ReadFieldResult, Reader, ReaderBuilder};
use serde_json::{Map, Value};

use crate::event_queue::{EventQueue, Queued};
use crate::line::tidy;
use crate::quotes::{Quotes, Verdict};
use crate::reader::{Context, Item, LineReader};
use crate::rewind::Rewind;
use crate::row_names::{may_be_event, row_event, text_column, wanted_names};
use crate::whole_event::whole_event;
use crate::{LogLine, ReadErrorKind};

/// What may stand between fields.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];
/// A header with more columns than this is none.
const MAX_COLUMNS: usize = 4096;

pub(crate) struct CsvReader<R> {
    rows: Rows<R>,
    context: Context,
    header: Option<Header>,
    row: u64,
    /// Lines that wait behind an error, and those of rows that hold events.
    queue: EventQueue,
}

struct Header {
    names: Vec<String>,
    text: usize,
    may_be_event: bool,
}

impl<R: BufRead> CsvReader<R> {
    pub(crate) fn new(reader: R, context: Context) -> Self {
        let rows = Rows::new(reader, context.options.max_line_bytes, context.options.max_record_bytes);
        Self { rows, context, header: None, row: 0, queue: EventQueue::default() }
    }

    fn read_header(&mut self) -> Option<Result<Header, ReadErrorKind>> {
        let row = match self.rows.next_row()? {
            Ok(Found::Row(row)) => row,
            Ok(Found::OpenQuote(_)) => return Some(Err(ReadErrorKind::OpenHeader)),
            Err(error) => return Some(Err(ReadErrorKind::Io(error))),
        };
        let names = row.names();
        let field = self.context.options.field.as_deref();
        Some(match text_column(&names, field) {
            Some(text) => Ok(Header { may_be_event: may_be_event(&names[text]), names, text }),
            None => {
                let mut header = names.join(", ");
                tidy(&mut header, 300);
                Err(ReadErrorKind::MissingColumn { wanted: wanted_names(field), header })
            }
        })
    }

    fn take_row(&mut self, row: Row) {
        let Some(header) = &self.header else {
            return;
        };
        let mut cut = row.cut;
        let mut text = None;
        let mut input = Map::new();
        for (index, field) in row.fields.iter().enumerate() {
            if index == header.text {
                text = Some(lossy(field));
            } else if let Some(name) = header.names.get(index) {
                input.insert(name.clone(), Value::String(lossy(field)));
            }
        }
        let Some(mut text) = text else {
            let name = header.names[header.text].clone();
            return self.queue.push_item(Err(self.context.record_error(self.row, ReadErrorKind::MissingField(name))));
        };
        let event = row_event(&input);
        let input = (!input.is_empty()).then_some(input);
        if let Some(row) = header.may_be_event.then(|| whole_event(&text)).flatten() {
            return self.queue.push_event(&self.context, self.row, &row, input);
        }
        cut |= tidy(&mut text, self.context.options.max_line_bytes);
        self.queue.push_item(Ok(LogLine { text, source: self.context.source(self.row), event, input, cut }));
    }

    fn take(&mut self, found: Found) {
        self.row += 1;
        match found {
            Found::Row(row) => self.take_row(row),
            Found::OpenQuote(row) => {
                self.queue.push_item(Err(self.context.record_error(self.row, ReadErrorKind::OpenQuote)));
                // The text may stand before the quote: whoever opens it doesn't hide that either.
                if self.header.as_ref().is_some_and(|header| row.fields.len() > header.text) {
                    self.take_row(row);
                }
            }
        }
    }
}

impl<R: BufRead> Queued for CsvReader<R> {
    fn queue(&mut self) -> &mut EventQueue {
        &mut self.queue
    }

    fn advance(&mut self) {
        if self.header.is_none() {
            return match self.read_header() {
                Some(Ok(header)) => self.header = Some(header),
                Some(Err(kind)) => self.queue.end(&self.context, Some(kind)),
                None => self.queue.end(&self.context, None),
            };
        }
        match self.rows.next_row() {
            Some(Ok(found)) => self.take(found),
            Some(Err(error)) => self.queue.end(&self.context, Some(ReadErrorKind::Io(error))),
            None => self.queue.end(&self.context, None),
        }
    }
}

impl<R: BufRead> Iterator for CsvReader<R> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        self.next_item()
    }
}

impl<R: BufRead + Send> LineReader for CsvReader<R> {
    fn skipped(&self) -> u64 {
        self.queue.skipped
    }
}

/// A header's names and the number of fields of the rows behind it.
pub(crate) struct Shape {
    pub(crate) names: Vec<String>,
    pub(crate) rows: Vec<usize>,
    /// Whether a first line names the separator, as Excel writes and reads it.
    pub(crate) is_told: bool,
}

/// What the beginning of a file would be as CSV; `None` where the header isn't whole.
pub(crate) fn shape(text: &[u8]) -> Option<Shape> {
    let mut rows = Rows::new(text, 4096, text.len());
    let Some(Ok(Found::Row(header))) = rows.next_row() else {
        return None;
    };
    let mut shape = Shape { names: header.names(), rows: Vec::new(), is_told: rows.is_told };
    while let Some(Ok(row)) = rows.next_row() {
        shape.rows.push(match row {
            Found::Row(row) => row.fields.len(),
            // How many it was to have isn't known.
            Found::OpenQuote(_) => usize::MAX,
        });
    }
    // The last row may be torn by the end of what was read.
    if !text.ends_with(b"\n") && shape.rows.len() > 1 {
        shape.rows.pop_if(|fields| *fields < shape.names.len());
    }
    Some(shape)
}

/// The delimiter seen most often in the header.
fn delimiter_of(header: &[u8]) -> u8 {
    let line = header.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: u8| line.iter().filter(|byte| **byte == delimiter).count();
    DELIMITERS.into_iter().rev().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b',')
}

fn lossy(field: &[u8]) -> String {
    String::from_utf8_lossy(field).into_owned()
}

/// The separator that a first line `sep=;` names, and the line's length.
fn told_delimiter(start: &[u8]) -> Option<(u8, usize)> {
    let length = start.iter().position(|byte| *byte == b'\n')? + 1;
    let line = start[..length].trim_ascii_end();
    // A tabulator at the end is the separator itself.
    let line = if line.len() == 4 { start.get(..5)? } else { line };
    match line {
        [name @ .., delimiter] if name.eq_ignore_ascii_case(b"sep=") && !matches!(delimiter, b'\r' | b'\n' | b'"') => Some((*delimiter, length)),
        _ => None,
    }
}

struct Row {
    fields: Vec<Vec<u8>>,
    cut: bool,
}

impl Row {
    /// Its fields as a header's names.
    fn names(&self) -> Vec<String> {
        self.fields.iter().map(|field| lossy(field).trim().to_owned()).collect()
    }
}

enum Found {
    Row(Row),
    /// A row whose quote isn't closed, up to the end of the line in which it opened.
    OpenQuote(Row),
}

struct Rows<R> {
    reader: Rewind<R>,
    parser: Option<(Reader, Quotes)>,
    limit: usize,
    /// How much of a quote's further lines is kept.
    most_kept: usize,
    is_told: bool,
    ended: bool,
}

impl<R: BufRead> Rows<R> {
    fn new(reader: R, limit: usize, most_kept: usize) -> Self {
        Self { reader: Rewind::new(reader), parser: None, limit, most_kept, is_told: false, ended: false }
    }

    fn next_row(&mut self) -> Option<io::Result<Found>> {
        if self.ended {
            return None;
        }
        let row = self.read_row();
        self.ended |= row.is_err();
        row.transpose()
    }

    /// Learns the delimiter from the first line.
    fn start(&mut self) -> io::Result<(Reader, Quotes)> {
        let start = self.reader.look()?;
        let told = told_delimiter(start);
        let delimiter = told.map_or_else(|| delimiter_of(start), |(delimiter, _)| delimiter);
        if let Some((_, length)) = told {
            self.reader.consume(length);
            self.is_told = true;
        }
        Ok((ReaderBuilder::new().delimiter(delimiter).build(), Quotes::new(delimiter, self.most_kept)))
    }

    fn read_row(&mut self) -> io::Result<Option<Found>> {
        let (mut parser, mut quotes) = match self.parser.take() {
            Some(parser) => parser,
            None => self.start()?,
        };
        let found = self.read_fields(&mut parser, &mut quotes);
        self.parser = Some((parser, quotes));
        found
    }

    fn read_fields(&mut self, parser: &mut Reader, quotes: &mut Quotes) -> io::Result<Option<Found>> {
        let mut row = Row { fields: Vec::new(), cut: false };
        let mut field = Vec::new();
        let mut kept = 0;
        let mut scratch = [0; 4096];
        loop {
            let input = self.reader.look()?;
            let (result, read, written) = parser.read_field(input, &mut scratch);
            let at_end = input.is_empty();
            let verdict = if at_end { quotes.end() } else { quotes.follow(&input[..read]) };
            self.reader.consume(read);
            // The whole row is bounded, with room for the columns beside the text.
            let room = self.limit.saturating_add(1).saturating_sub(field.len()).min((4 * self.limit).saturating_sub(kept));
            row.cut |= written > room;
            kept += written.min(room);
            field.extend_from_slice(&scratch[..written.min(room)]);
            if let Verdict::Open(again) = verdict {
                self.reader.put_back(again);
                parser.reset();
                let end = field.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(field.len());
                row.fields.push(field[..end].to_vec());
                return Ok(Some(Found::OpenQuote(Row { cut: true, ..row })));
            }
            match result {
                ReadFieldResult::InputEmpty | ReadFieldResult::OutputFull => {}
                ReadFieldResult::Field { record_end } => {
                    if row.fields.len() < MAX_COLUMNS {
                        row.fields.push(std::mem::take(&mut field));
                    } else {
                        field.clear();
                    }
                    if record_end {
                        return Ok(Some(Found::Row(row)));
                    }
                }
                ReadFieldResult::End => {
                    self.ended = true;
                    return Ok(None);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::Format;
    use crate::reader::testing::{check, read, read_items};

    #[test]
    fn rows_give_the_text_column() {
        let check = |field, input, wanted: &[&str]| check(Format::Csv, field, input, wanted, 0);
        check(None, "", &[]);
        check(None, "text\n", &[]);
        check(None, "text,label\nnet user,T1087.001\n\"a \"\"b\"\",\nc\",x\n", &["1 net user", "2 a \"b\",\nc"]);
        check(None, "a,COMMANDLINE\r\n1,id\r\n", &["1 id"]);
        check(None, "a;text\n1;x,y\n", &["1 x,y"]);
        check(None, "a\ttext\n1\tx\n", &["1 x"]);
        check(Some("a"), "a,text\n1,x\n", &["1 1"]);
        check(None, "label,text\nx\nx,y\n", &["! record 1: no field \"text\"", "2 y"]);
        check(
            None,
            "a,b\n1,2\n",
            &[
                "! no column text or CommandLine or process.command_line or ProcessCommandLine or ScriptBlockText or EventXML or message or _raw (the header has: a, b; --field NAME names the one with the text)",
            ],
        );
        check(Some("c"), "a,b\n1,2\n", &["! no column \"c\" (the header has: a, b; --field NAME names the one with the text)"]);
    }

    #[test]
    fn other_columns_pass_through() {
        let (items, _) = read_items(Format::Csv, None, b"z,text,a\n1,x,2\n");
        let input = items[0].as_ref().unwrap().input.as_ref().unwrap();
        assert_eq!(serde_json::to_string(input).unwrap(), r#"{"z":"1","a":"2"}"#);
    }

    #[test]
    fn a_cell_that_is_a_whole_event_is_read_as_one() {
        let part = |number: u32, text: &str| {
            let data = [("MessageNumber", number.to_string().as_str()), ("MessageTotal", "2"), ("ScriptBlockText", text), ("ScriptBlockId", "b")]
                .map(|(name, value)| format!("<Data Name=\"\"{name}\"\">{value}</Data>"));
            format!("\"<Event><System><EventID>4104</EventID></System><EventData>{}</EventData></Event>\"", data.concat())
        };
        let rows = format!("_time,_raw\n1,{}\n2,<Event><System><EventID>7</EventID></System></Event>\n3,{}\n", part(1, "a"), part(2, "b"));
        check(Format::Csv, None, &rows, &["1 ab"], 1);
    }

    #[test]
    fn the_first_line_may_tell_the_separator() {
        let check = |input, wanted: &[&str]| check(Format::Csv, None, input, wanted, 0);
        check("sep=;\r\na;Process Command Line\r\n1;x,y\r\n", &["1 x,y"]);
        check("SEP=|\na|text\n1|x;y\n", &["1 x;y"]);
        check("sep=\t\na\ttext\n1\tx\n", &["1 x"]);
        check("sep=,text\n1,x\n", &["1 x"]);
    }

    const OPEN: &str = "a quote of this row is never closed, or only by one of a later row; what follows is read from the next line on";

    #[test]
    fn a_quote_that_is_never_closed_hides_no_row() {
        let check = |input: &str, wanted: &[&str]| {
            let shown = |line: &&str| line.strip_suffix('!').map_or_else(|| (*line).to_owned(), |row| format!("! record {row}: {OPEN}"));
            let wanted: Vec<String> = wanted.iter().map(shown).collect();
            assert_eq!(read(Format::Csv, None, input.as_bytes()).0, wanted, "{input:?}");
        };
        check("n,text\n1,\"x\n2,id\n3,ls\n", &["1!", "1 x", "2 id", "3 ls"]);
        check("n,text\r\n1,\"x\r\n2,id\r\n", &["1!", "1 x", "2 id"]);
        check("n,text\n1,\"x\n2,\"id, a\"\n3,\"\"\"ls\"\" -l\"\n", &["1!", "1 x", "2 id, a", "3 \"ls\" -l"]);
        check("n,text\n1,\"x\n2,\"y\n3,id\n", &["1!", "1 x", "2!", "2 y", "3 id"]);
        check("n,text\n1,\"x", &["1!", "1 x"]);
        check("n,text\n\"1\n1\",\"x\n2,id\n", &["1!", "1 x", "2 id"]);
        check("n,text,m\n1,id,\"x\n2,ls,y\n", &["1!", "1 id", "2 ls"]);
        check("m,text\n\"x\n2,ls\n", &["1!", "2 ls"]);
        check("n,text\n1,\"a\nb\"\n2,id\n", &["1 a\nb", "2 id"]);
        check("n,text\n1,\"a\n\"\"b\"\"\n\"\n2,\"id\"", &["1 a\n\"b\"\n", "2 id"]);
        check("n,text\n1,\"a\"b\n2,id\n", &["1 ab", "2 id"]);
        assert_eq!(read(Format::Csv, None, b"n,\"text\n1,id\n").0, ["! a quote of the header is never closed"]);
    }

    #[test]
    fn a_quote_that_is_never_closed_stays_bounded() {
        let lines = "x,xxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n".repeat(1 << 19) + "x,x\n";
        let (shown, _) = read(Format::Csv, None, ["n,text\n0,\"", &lines, "1,id\n"].concat().as_bytes());
        assert_eq!((shown.len(), shown[0].as_str()), ((1 << 19) + 3, format!("! record 1: {OPEN}").as_str()));
        assert_eq!(shown.last().unwrap(), &format!("{} id", (1 << 19) + 2));
        // A cell of one line is cut, however long it is.
        let long = ["n,text\n0,\"", &"x".repeat(20 << 20), "\"\n1,id\n"].concat();
        let (items, _) = read_items(Format::Csv, None, long.as_bytes());
        let line = items[0].as_ref().unwrap();
        assert_eq!((items.len(), line.text.len(), line.cut), (2, 1 << 20, true));
    }
}
