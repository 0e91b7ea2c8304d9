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
        finding.serialize(&mut serde_json::Serializer::with_formatter(&mut self.out, Plain))?;
        self.out.write_all(b"\n")
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
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
