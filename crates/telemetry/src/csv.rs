//! CSV rows under a header, the text in one column.
//!
//! It stands on `csv-core`, which hands fields out in pieces: a quote that is never closed may swallow a whole
//! file, and only so much of it is kept.

use std::io::{self, BufRead};

use csv_core::{ReadFieldResult, Reader, ReaderBuilder};
use serde_json::{Map, Value};

use crate::line::tidy;
use crate::ndjson::row_event;
use crate::reader::{Context, Item, LineReader};
use crate::{LogLine, ReadErrorKind};

/// The columns looked for where none is named, the best first.
pub(crate) const TEXT_COLUMNS: [&str; 4] = ["text", "CommandLine", "command_line", "process.command_line"];
/// What may stand between fields.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];
/// A header with more columns than this is none.
const MAX_COLUMNS: usize = 4096;

pub(crate) struct CsvReader<R> {
    rows: Rows<R>,
    context: Context,
    header: Option<Header>,
    row: u64,
    ended: bool,
}

struct Header {
    names: Vec<String>,
    text: usize,
}

impl<R: BufRead> CsvReader<R> {
    pub(crate) fn new(reader: R, context: Context) -> Self {
        let limit = context.options.max_line_bytes;
        Self { rows: Rows::new(reader, limit), context, header: None, row: 0, ended: false }
    }

    fn read_header(&mut self) -> Option<Result<Header, ReadErrorKind>> {
        let row = match self.rows.next_row()? {
            Ok(row) => row,
            Err(error) => return Some(Err(ReadErrorKind::Io(error))),
        };
        let names: Vec<String> = row.fields.iter().map(|field| lossy(field).trim().to_owned()).collect();
        let field = self.context.options.field.as_deref();
        Some(match text_column(&names, field) {
            Some(text) => Ok(Header { names, text }),
            None => {
                let mut header = names.join(", ");
                tidy(&mut header, 300);
                let wanted = field.map_or_else(|| TEXT_COLUMNS.join(" or "), |field| format!("\"{field}\""));
                Err(ReadErrorKind::MissingColumn { wanted, header })
            }
        })
    }

    fn line(&self, header: &Header, row: Row) -> Item {
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
            return Err(self.context.record_error(self.row, ReadErrorKind::MissingField(name)));
        };
        cut |= tidy(&mut text, self.context.options.max_line_bytes);
        let event = row_event(&input);
        Ok(LogLine { text, source: self.context.source(self.row), event, input: (!input.is_empty()).then_some(input), cut })
    }

    fn end_with(&mut self, kind: ReadErrorKind) -> Option<Item> {
        self.ended = true;
        Some(Err(self.context.file_error(kind)))
    }
}

impl<R: BufRead> Iterator for CsvReader<R> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        if self.ended {
            return None;
        }
        if self.header.is_none() {
            match self.read_header()? {
                Ok(header) => self.header = Some(header),
                Err(kind) => return self.end_with(kind),
            }
        }
        match self.rows.next_row()? {
            Ok(row) => {
                self.row += 1;
                let header = self.header.as_ref()?;
                Some(self.line(header, row))
            }
            Err(error) => self.end_with(ReadErrorKind::Io(error)),
        }
    }
}

impl<R: BufRead + Send> LineReader for CsvReader<R> {}

/// The column that holds the text: the one named, else the first known one.
pub(crate) fn text_column(names: &[String], field: Option<&str>) -> Option<usize> {
    let position = |wanted: &str| names.iter().position(|name| name.eq_ignore_ascii_case(wanted));
    match field {
        Some(field) => position(field),
        None => TEXT_COLUMNS.iter().find_map(|name| position(name)),
    }
}

/// Splits a header line into its columns' names.
pub(crate) fn header_names(line: &[u8]) -> Vec<String> {
    match Rows::new(line, 4096).next_row() {
        Some(Ok(row)) => row.fields.iter().map(|field| lossy(field).trim().to_owned()).collect(),
        _ => Vec::new(),
    }
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

struct Row {
    fields: Vec<Vec<u8>>,
    cut: bool,
}

struct Rows<R> {
    reader: R,
    parser: Option<Reader>,
    limit: usize,
    ended: bool,
}

impl<R: BufRead> Rows<R> {
    fn new(reader: R, limit: usize) -> Self {
        Self { reader, parser: None, limit, ended: false }
    }

    fn next_row(&mut self) -> Option<io::Result<Row>> {
        if self.ended {
            return None;
        }
        let row = self.read_row();
        self.ended |= row.is_err();
        row.transpose()
    }

    fn read_row(&mut self) -> io::Result<Option<Row>> {
        let mut row = Row { fields: Vec::new(), cut: false };
        let mut field = Vec::new();
        let mut kept = 0;
        let mut scratch = [0; 4096];
        loop {
            let input = match self.reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                input => input?,
            };
            let parser = self.parser.get_or_insert_with(|| ReaderBuilder::new().delimiter(delimiter_of(input)).build());
            let (result, read, written) = parser.read_field(input, &mut scratch);
            self.reader.consume(read);
            // The whole row is bounded, with room for the columns beside the text.
            let room = self.limit.saturating_add(1).saturating_sub(field.len()).min((4 * self.limit).saturating_sub(kept));
            row.cut |= written > room;
            kept += written.min(room);
            field.extend_from_slice(&scratch[..written.min(room)]);
            match result {
                ReadFieldResult::InputEmpty | ReadFieldResult::OutputFull => {}
                ReadFieldResult::Field { record_end } => {
                    if row.fields.len() < MAX_COLUMNS {
                        row.fields.push(std::mem::take(&mut field));
                    } else {
                        field.clear();
                    }
                    if record_end {
                        return Ok(Some(row));
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
    use crate::reader::testing::{check, read_items};

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
        check(None, "a,b\n1,2\n", &["! no column text or CommandLine or command_line or process.command_line (the header has: a, b)"]);
        check(Some("c"), "a,b\n1,2\n", &["! no column \"c\" (the header has: a, b)"]);
    }

    #[test]
    fn other_columns_pass_through() {
        let (items, _) = read_items(Format::Csv, None, b"z,text,a\n1,x,2\n");
        let input = items[0].as_ref().unwrap().input.as_ref().unwrap();
        assert_eq!(serde_json::to_string(input).unwrap(), r#"{"z":"1","a":"2"}"#);
    }

    #[test]
    fn a_quote_that_is_never_closed_stays_bounded() {
        let mut input = b"text\n\"".to_vec();
        input.resize(3 << 20, b'x');
        let (items, _) = read_items(Format::Csv, None, &input);
        let line = items[0].as_ref().unwrap();
        assert_eq!((items.len(), line.text.len(), line.cut), (1, 1 << 20, true));
    }
}
