//! Which format a file has, from its first bytes.

use serde_json::Value;

use crate::csv::{header_names, text_column};
use crate::encoding::{Encoding, Utf16Reader, encoding_of};
use crate::events::is_windows_event;
use crate::{Format, evtx};

/// How many bytes are looked at.
pub(crate) const PREFIX_BYTES: usize = 64 << 10;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Empty,
    Gzip,
    Zip,
    Log(Format),
    Unknown,
}

/// Finds out what a file is. Its name only breaks ties.
pub(crate) fn detect(prefix: &[u8], name: &str, field: Option<&str>) -> Content {
    match archive(prefix) {
        Some(content) => content,
        None if prefix.is_empty() => Content::Empty,
        None if prefix.starts_with(evtx::MAGIC) => Content::Log(Format::Evtx),
        None => match decoded(prefix) {
            Some(text) => Content::Log(text_format(&text, name, field)),
            None => Content::Unknown,
        },
    }
}

/// The archive that the first bytes announce.
pub(crate) fn archive(prefix: &[u8]) -> Option<Content> {
    if prefix.starts_with(&[0x1F, 0x8B, 8]) {
        Some(Content::Gzip)
    } else if prefix.starts_with(b"PK\x03\x04") || prefix.starts_with(b"PK\x05\x06") {
        Some(Content::Zip)
    } else {
        None
    }
}

/// The first bytes as UTF-8, or `None` where they are no text.
fn decoded(prefix: &[u8]) -> Option<Vec<u8>> {
    let text = match encoding_of(prefix) {
        Encoding::Utf8 { mark } => prefix[mark..].to_vec(),
        Encoding::Utf16 { big_endian, mark } => {
            let mut text = Vec::new();
            std::io::Read::read_to_end(&mut Utf16Reader::new(&prefix[mark..], big_endian), &mut text).ok()?;
            text
        }
    };
    // Text in any encoding hardly holds control characters; a tenth of random bytes are some.
    let is_control = |byte: u8| matches!(byte, 0..=8 | 0x0E..=0x1A | 0x1C..=0x1F | 0x7F);
    let controls = text.iter().filter(|byte| is_control(**byte)).count();
    (controls < 8 || controls * 20 < text.len()).then_some(text)
}

fn text_format(text: &[u8], name: &str, field: Option<&str>) -> Format {
    let start = text.iter().position(|byte| !byte.is_ascii_whitespace() && *byte != 0).unwrap_or(text.len());
    let line = text[start..].split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    if line.starts_with(b"{")
        && let Some(format) = json_format(line, field)
    {
        return format;
    }
    if is_audit(line) {
        return Format::Auditd;
    }
    let names = header_names(line);
    let is_named_csv = names.len() > 1 && name.to_ascii_lowercase().trim_end_matches(".gz").ends_with(".csv");
    if is_named_csv || text_column(&names, field).is_some() {
        return Format::Csv;
    }
    Format::Text
}

fn json_format(line: &[u8], field: Option<&str>) -> Option<Format> {
    let text = String::from_utf8_lossy(line);
    match serde_json::from_str::<Value>(&text) {
        Ok(Value::Object(row)) if field.is_none() && is_windows_event(&row) => Some(Format::WindowsJson),
        Ok(_) => Some(Format::Ndjson),
        // A first row longer than what is looked at, or a torn one: its member names tell.
        Err(_) if !text[1..].trim_start().starts_with('"') => None,
        Err(_) if field.is_none() && ["\"EventID\"", "\"winlog\"", "\"event_data\""].iter().any(|key| text.contains(key)) => {
            Some(Format::WindowsJson)
        }
        Err(_) => Some(Format::Ndjson),
    }
}

fn is_audit(line: &[u8]) -> bool {
    let line = String::from_utf8_lossy(line);
    let record = line.strip_prefix("type=").or_else(|| line.split_once(" type=").map(|(_, rest)| rest));
    let starts = line.starts_with("type=") || line.starts_with("node=");
    starts && record.and_then(|record| record.split_once(' ')).is_some_and(|(_, rest)| rest.starts_with("msg=audit("))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(prefix: &[u8], name: &str, wanted: Content) {
        assert_eq!(detect(prefix, name, None), wanted, "{:?}", String::from_utf8_lossy(prefix));
    }

    #[test]
    fn content_tells_the_format() {
        let log = |format| Content::Log(format);
        check(b"", "", Content::Empty);
        check(b"\x1F\x8B\x08\0", "", Content::Gzip);
        check(b"PK\x03\x04", "", Content::Zip);
        check(b"ElfFile\0\0\0", "", log(Format::Evtx));
        check(b"net user\n", "", log(Format::Text));
        check(b"net user\n", "a.csv", log(Format::Text));
        check(b"{\"text\":\"x\"}\n", "", log(Format::Ndjson));
        check(b"\n {\"a\":1}\n", "", log(Format::Ndjson));
        check(b"{\"EventID\":1}", "", log(Format::WindowsJson));
        check(b"{\"x\":\"", "", log(Format::Ndjson));
        check(b"{\"EventID\":4688,\"x\":\"", "", log(Format::WindowsJson));
        check(b"{ Get-Process }", "", log(Format::Text));
        check(b"type=EXECVE msg=audit(1.0:1): a0=\"x\"", "", log(Format::Auditd));
        check(b"node=h type=EXECVE msg=audit(1.0:1): a0=\"x\"", "", log(Format::Auditd));
        check(b"label,text\n", "", log(Format::Csv));
        check(b"a;b\n", "", log(Format::Text));
        check(b"a;b\n", "a.CSV", log(Format::Csv));
        check(b"\xFF\xFE{\0}\0", "", log(Format::Ndjson));
        check(&[0; 100], "", Content::Unknown);
        check(b"\x7FELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3E\0\x01\0\0\0", "", Content::Unknown);
        check("naïve café\n".as_bytes(), "", log(Format::Text));
    }

    #[test]
    fn a_named_field_means_plain_rows() {
        let content = detect(b"{\"EventID\":1,\"a\":\"x\"}", "", Some("a"));
        assert_eq!(content, Content::Log(Format::Ndjson));
        assert_eq!(detect(b"x,a\n", "", Some("a")), Content::Log(Format::Csv));
    }
}
