use crate::{DatasetError, Row};
use parquet::file::serialized_reader::SerializedFileReader;
use std::{
    io::{BufRead, BufReader},
    path::Path,
};

/// What a Parquet file begins with.
const PARQUET: &[u8] = b"PAR1";

/// Reads labelled rows: Parquet, NDJSON where the file's first character is `{`, else CSV with a header that has `text` and `label`.
/// Columns that [`Row`] doesn't know are ignored. Labels are not checked here: a row whose label is not wanted does no harm.
pub fn read_labelled(path: &Path) -> Result<Vec<Row>, DatasetError> {
    let mut reader = BufReader::new(fs_err::File::open(path)?);
    let beginning = reader.fill_buf()?;
    if beginning.starts_with(PARQUET) {
        return read_parquet(path);
    }
    let ndjson = beginning.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    if ndjson { read_ndjson(path, reader) } else { read_csv(path, reader) }
}

fn read_parquet(path: &Path) -> Result<Vec<Row>, DatasetError> {
    let damaged = |error| failed(path, 0, error);
    let file = std::fs::File::open(path)?;
    // The library panics on some damaged files; a panic is no answer.
    let rows = std::panic::catch_unwind(|| -> Result<Vec<Row>, DatasetError> {
        let reader = SerializedFileReader::new(file).map_err(|error| damaged(error.to_string()))?;
        let parsed = reader.into_iter().zip(1..).map(|(row, number)| {
            let row = row.map_err(|error| failed(path, number, error))?;
            labelled(serde_json::from_value(row.to_json_value()).map_err(|error| failed(path, number, error))?, path, number)
        });
        parsed.collect()
    });
    rows.unwrap_or_else(|_| Err(failed(path, 0, "this is a damaged Parquet file")))
}

/// A row whose label is known, if only by its list of labels.
fn labelled(mut row: Row, path: &Path, number: u64) -> Result<Row, DatasetError> {
    if row.label.trim().is_empty() {
        row.label = row.labels.first().cloned().ok_or_else(|| failed(path, number, "it has no label"))?;
    }
    Ok(row)
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
        rows.push(labelled(serde_json::from_str(&line).map_err(|error| failed(path, number, error))?, path, number)?);
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
    reader.deserialize().zip(1..).map(|(row, number)| labelled(row.map_err(|error| failed(path, number, error))?, path, number)).collect()
}
