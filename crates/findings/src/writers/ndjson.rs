use super::FindingWriter;
use crate::{Finding, escape};
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter};
use std::io::{self, Write};

/// One JSON object a line; the last line ends with a line break too.
pub(super) struct Ndjson<W> {
    out: W,
}

impl<W: Write> Ndjson<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write> FindingWriter for Ndjson<W> {
    fn write(&mut self, finding: &Finding) -> io::Result<()> {
        write(&mut self.out, finding)?;
        self.out.write_all(b"\n")
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn write(out: impl Write, value: &impl Serialize) -> serde_json::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(out, Plain))
}

/// A value as a line of NDJSON without its end, harmless to a terminal.
pub fn json_line(value: &serde_json::Value) -> String {
    let mut line = Vec::new();
    // A value can be written, and writing to memory does not fail.
    let _ = write(&mut line, value);
    String::from_utf8(line).unwrap_or_default()
}

/// JSON as serde_json writes it, with the characters that could upset a terminal as `\uXXXX` too: the same value to every JSON
/// reader, harmless to `cat`.
struct Plain;

impl Formatter for Plain {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(escape::is_unsafe) {
            CompactFormatter.write_string_fragment(writer, &rest[..at])?;
            let mut characters = rest[at..].chars();
            let mut units = [0; 2];
            for unit in characters.next().into_iter().flat_map(|character| character.encode_utf16(&mut units).to_vec()) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = characters.as_str();
        }
        CompactFormatter.write_string_fragment(writer, rest)
    }
}
