use crate::{DatasetError, Row};
use std::{
    io::{BufRead, BufReader},
    path::Path,
};

/// Reads labelled rows: NDJSON where the file's first character is `{`, else CSV with a header that has `text` and `label`.
/// Columns that [`Row`] doesn't know are ignored. Labels are not checked here: a row whose label is not wanted does no harm.
pub fn read_labelled(path: &Path) -> Result<Vec<Row>, DatasetError> {
    let mut reader = BufReader::new(fs_err::File::open(path)?);
    let ndjson = reader.fill_buf()?.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    if ndjson { read_ndjson(path, reader) } else { read_csv(path, reader) }
}

fn failed(path: &Path, row: u64, reason: impl ToString) -> DatasetError {
    DatasetError::Row { path: path.to_owned(), row, reason: reason.to_string() }
}

fn read_ndjson(path: &Path, reader: impl BufRead) -> Result<Vec<Row>, DatasetError> {
    let mut rows = Vec::new();
    for (line, number) in reader.lines().zip(1..) {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let row: Row = serde_json::from_str(&line).map_err(|error| failed(path, number, error))?;
        if row.label.is_empty() {
            return Err(failed(path, number, "it has no label"));
        }
        rows.push(row);
    }
    Ok(rows)
}

fn read_csv(path: &Path, reader: impl BufRead) -> Result<Vec<Row>, DatasetError> {
    let mut reader = csv::Reader::from_reader(reader);
    let header = reader.headers().map_err(|error| failed(path, 0, error))?.clone();
    for needed in ["text", "label"] {
        if !header.iter().any(|name| name == needed) {
            return Err(failed(path, 0, format!("the header has no column {needed:?}")));
        }
    }
    reader.deserialize().zip(1..).map(|(row, number)| row.map_err(|error| failed(path, number, error))).collect()
}
