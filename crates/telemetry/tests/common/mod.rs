//! What several tests need: reading bytes as a file, archives of them.
#![allow(dead_code, reason = "each test uses a part")]

use attackline_telemetry::{LogLine, ReadError, ReadOptions, read_stream};
use std::io::{self, Write as _};

/// The lines and the errors of bytes, and how many events of other kinds were skipped.
pub fn read_with(bytes: impl Into<Vec<u8>>, options: ReadOptions) -> (Vec<LogLine>, Vec<ReadError>, u64) {
    let mut inputs = read_stream(io::Cursor::new(bytes.into()), Some("given"), options);
    let (lines, errors) = sort(inputs.by_ref());
    (lines, errors, inputs.counts().skipped)
}

pub fn read(bytes: impl Into<Vec<u8>>) -> (Vec<LogLine>, Vec<ReadError>, u64) {
    read_with(bytes, ReadOptions::default())
}

/// Lines apart from errors.
pub fn sort(items: impl Iterator<Item = Result<LogLine, ReadError>>) -> (Vec<LogLine>, Vec<ReadError>) {
    let (mut lines, mut errors) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Ok(line) => lines.push(line),
            Err(error) => errors.push(error),
        }
    }
    (lines, errors)
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}
