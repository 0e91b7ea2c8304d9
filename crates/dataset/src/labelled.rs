use crate::row::{Fields, Row};
use crate::{DatasetError, row::COLUMNS};
use parquet::file::serialized_reader::SerializedFileReader;
use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    path::Path,
};

/// What a Parquet file begins with.
const PARQUET: &[u8] = b"PAR1";

/// What programs of Windows put before a text in UTF-8.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// Columns of a header that a message names, and letters of each.
const NAMED: (usize, usize) = (8, 40);

/// Reads labelled rows: Parquet, NDJSON where the file's first character is `{`, else CSV with a header that has `text` and `label`.
/// Columns that [`Row`] doesn't know are ignored. Labels are not checked here: a row whose label is not wanted does no harm. A file without
/// anything in it has no rows.
pub fn read_labelled(path: &Path) -> Result<Vec<Row>, DatasetError> {
    let mut reader = BufReader::new(fs_err::File::open(path)?);
    if reader.fill_buf()?.starts_with(PARQUET) {
        return read_parquet(path);
    }
    if reader.fill_buf()?.starts_with(MARK) {
        reader.consume(MARK.len());
    }
    let beginning = reader.fill_buf()?;
    if let Some(reason) = foreign(beginning) {
        return Err(unusable(path, reason));
    }
    match beginning.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => Ok(Vec::new()),
        Some(b'{') => read_ndjson(path, reader),
        Some(b'[') => Err(unusable(path, "this is a JSON list; one object a line is wanted (jq -c '.[]')")),
        Some(_) => read_csv(path, reader),
    }
}

/// What a file is that holds no text that can be read.
fn foreign(beginning: &[u8]) -> Option<&'static str> {
    const KINDS: [(&[u8], &str); 4] = [
        (b"\xff\xfe", "this is UTF-16; save it as UTF-8"),
        (b"\xfe\xff", "this is UTF-16; save it as UTF-8"),
        (b"\x1f\x8b", "this is compressed (gzip); unpack it first"),
        (b"PK\x03\x04", "this is compressed (zip); unpack it first"),
    ];
    KINDS.into_iter().find(|(sign, _)| beginning.starts_with(sign)).map(|(_, reason)| reason)
}

fn read_parquet(path: &Path) -> Result<Vec<Row>, DatasetError> {
    let file = std::fs::File::open(path)?;
    // The library panics on some damaged files; a panic is no answer.
    let rows = std::panic::catch_unwind(|| -> Result<Vec<Row>, DatasetError> {
        let reader = SerializedFileReader::new(file).map_err(|error| unusable(path, error))?;
        let parsed = reader.into_iter().zip(1..).map(|(row, number)| {
            let row = row.map_err(|error| failed(path, number, error))?;
            let Value::Object(fields) = row.to_json_value() else { return Err(failed(path, number, "it has no columns")) };
            Row::from_fields(Fields(fields)).map_err(|reason| failed(path, number, reason))
        });
        parsed.collect()
    });
    rows.unwrap_or_else(|_| Err(unusable(path, "this is a damaged Parquet file")))
}

fn failed(path: &Path, row: u64, reason: impl ToString) -> DatasetError {
    DatasetError::Row { path: path.to_owned(), row, reason: reason.to_string() }
}

fn unusable(path: &Path, reason: impl ToString) -> DatasetError {
    DatasetError::File { path: path.to_owned(), reason: reason.to_string() }
}

fn read_ndjson(path: &Path, mut reader: impl BufRead) -> Result<Vec<Row>, DatasetError> {
    let (mut rows, mut line) = (Vec::new(), Vec::new());
    for number in 1.. {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let text = std::str::from_utf8(&line).map_err(|error| failed(path, number, not_utf8(error.valid_up_to())))?;
        if text.trim().is_empty() {
            continue;
        }
        let fields: Fields = serde_json::from_str(text).map_err(|error| failed(path, number, error))?;
        rows.push(Row::from_fields(fields).map_err(|reason| failed(path, number, reason))?);
    }
    Ok(rows)
}

fn not_utf8(valid: usize) -> String {
    format!("it is not text in UTF-8 (after {valid} bytes)")
}

fn read_csv(path: &Path, reader: impl BufRead) -> Result<Vec<Row>, DatasetError> {
    let mut reader = csv::Reader::from_reader(reader);
    let header = reader.headers().map_err(|_| unusable(path, "the header is not text in UTF-8"))?.clone();
    check_header(&header).map_err(|reason| unusable(path, reason))?;
    let row = |record: Result<csv::StringRecord, csv::Error>| -> Result<Row, String> {
        let record = record.map_err(csv_reason)?;
        let known = header.iter().zip(&record).filter(|(name, _)| COLUMNS.contains(name));
        Row::from_fields(Fields(known.map(|(name, value)| (name.to_owned(), Value::from(value))).collect()))
    };
    reader.records().zip(1..).map(|(record, number)| row(record).map_err(|reason| failed(path, number, reason))).collect()
}

/// Refuses a header without the columns that are needed, and one from which it can't be told which column is meant.
fn check_header(header: &csv::StringRecord) -> Result<(), String> {
    let count = |wanted: &str| header.iter().filter(|name| *name == wanted).count();
    if let Some(needed) = ["text", "label"].into_iter().find(|needed| count(needed) == 0) {
        let name = |name: &str| format!("{:?}", name.chars().take(NAMED.1).collect::<String>());
        let mut names: Vec<String> = header.iter().take(NAMED.0).map(name).collect();
        if header.len() > NAMED.0 {
            names.push(format!("and {} more", header.len() - NAMED.0));
        }
        let divided = header.len() == 1 && header.iter().any(|name| name.contains([';', '\t', '|']));
        let hint = if divided { " (commas are to divide them)" } else { "" };
        return Err(format!("the header has no column {needed:?}: it has {}{hint}", names.join(", ")));
    }
    match COLUMNS.iter().find(|column| count(column) > 1) {
        Some(twice) => Err(format!("the header names {twice:?} twice")),
        None => Ok(()),
    }
}

/// What is wrong with a record; the file and the row are named by whoever asks.
fn csv_reason(error: csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { err, .. } => not_utf8(err.valid_up_to()),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("it has {len} fields, the header has {expected_len}: a text with commas or quotes stands in quotes")
        }
        _ => error.to_string(),
    }
}
