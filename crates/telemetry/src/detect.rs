//! Which format a file has, from its first bytes.

use std::sync::Arc;

use crate::auditd::{is_between_records, is_record};
use crate::csv::shape;
use crate::encoding::{Encoding, Utf16Reader, encoding_of};
use crate::events::is_windows_event;
use crate::json_rows::{JsonRows, is_heading};
use crate::magic::{Foreign, foreign, foreign_xml};
use crate::reader::Context;
use crate::row_names::{has_text, text_column};
use crate::xml_kind::{is_log_of_events, xml_kind};
use crate::{Format, ReadOptions, evtx};

/// How many bytes are looked at.
pub(crate) const PREFIX_BYTES: usize = 64 << 10;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Empty,
    Gzip,
    Zip,
    Log(Format),
    /// Something that is known to be no log.
    Foreign(Foreign),
    Unknown,
}

/// Finds out what a file is. Its name only breaks ties.
pub(crate) fn detect(prefix: &[u8], name: &str, field: Option<&str>) -> Content {
    match archive(prefix) {
        Some(content) => content,
        None if prefix.is_empty() => Content::Empty,
        None if prefix.starts_with(evtx::MAGIC) => Content::Log(Format::Evtx),
        None => match (foreign(prefix), decoded(prefix)) {
            (Some(foreign), _) => Content::Foreign(foreign),
            (None, Some(text)) => match xml_kind(&text) {
                Some(kind) => foreign_xml(kind).map_or(Content::Log(Format::WindowsXml), Content::Foreign),
                None => Content::Log(match text_format(&text, name, field) {
                    Format::Text if is_log_of_events(&text) => Format::WindowsXml,
                    format => format,
                }),
            },
            (None, None) => Content::Unknown,
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
    let text = &text[start..];
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end).filter(|line| !line.is_empty()).collect();
    let first = lines.first().copied().unwrap_or_default();
    if is_heading(first) && begins_json(text[first.len()..].trim_ascii_start()) {
        return json_format(text, field);
    }
    if begins_json(text) || is_json_row(first) {
        return json_format(text, field);
    }
    if is_record(&String::from_utf8_lossy(first)) && begins_record(first) {
        return Format::Auditd;
    }
    if is_csv(text, name, field) {
        return Format::Csv;
    }
    // The first line may be torn, or stand before what the log is made of: the others are asked.
    let records = lines.iter().filter(|line| !is_between_records(&String::from_utf8_lossy(line))).count();
    let audit = lines.iter().filter(|line| is_audit(line)).count();
    if audit > 0 && audit * 2 >= records {
        return Format::Auditd;
    }
    // The last one seldom is whole.
    let others = lines.len().saturating_sub(if text.ends_with(b"\n") || lines.len() == 2 { 1 } else { 2 });
    let rows = lines.iter().skip(1).filter(|line| is_json_row(line)).count();
    if rows > 0 && rows >= others && first.ends_with(b"}") {
        return json_format(&text[first.len()..], field);
    }
    Format::Text
}

/// Whether a line is a record of the audit log or the beginning of one.
fn is_audit(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(line);
    is_record(&text) || begins_record(line) && text.contains(" msg=audit(")
}

fn begins_record(line: &[u8]) -> bool {
    line.starts_with(b"type=") || line.starts_with(b"node=")
}

/// Whether a text begins as JSON does: with an object's first member, with an object in a list, or with nothing but an empty list.
fn begins_json(text: &[u8]) -> bool {
    fn inside(text: &[u8], opened: u8) -> Option<&[u8]> {
        text.strip_prefix(&[opened]).map(<[u8]>::trim_ascii_start)
    }
    if let Some(object) = inside(text, b'{') {
        let is_one_line = !text[..text.len() - object.len()].contains(&b'\n');
        return is_one_line && object.starts_with(b"\"") || is_member(object);
    }
    let Some(list) = inside(text, b'[') else {
        return false;
    };
    list.trim_ascii_end() == b"]" || inside(list, b'{').is_some_and(|object| is_member(object) || object.starts_with(b"}"))
}

/// Whether a text begins with a member's name and a colon.
fn is_member(text: &[u8]) -> bool {
    let name = text.strip_prefix(b"\"").and_then(|name| Some(&name[name.iter().position(|byte| *byte == b'"')? + 1..]));
    name.is_some_and(|rest| rest.trim_ascii_start().starts_with(b":"))
}

fn is_json_row(line: &[u8]) -> bool {
    line.starts_with(b"{") && crate::json::parse(&String::from_utf8_lossy(line)).is_ok()
}

/// Whether most objects with something to classify are Windows events.
fn json_format(text: &[u8], field: Option<&str>) -> Format {
    if field.is_some() {
        return Format::Ndjson;
    }
    let context = Context { file: None, options: Arc::new(ReadOptions::default()) };
    let mut rows = JsonRows::new(text, PREFIX_BYTES);
    let (mut events, mut others, mut any) = (0, 0, false);
    while let Some(row) = rows.next_row(&context) {
        let Ok((_, row)) = row else {
            continue;
        };
        let is_event = is_windows_event(&row);
        // Where they are as many, the first one tells.
        events += if is_event && !any { 3 } else { 2 * i32::from(is_event) };
        others += 2 * i32::from(!is_event && has_text(&row));
        any = true;
    }
    // A first row longer than what is looked at, or a torn one: its member names tell.
    let text = String::from_utf8_lossy(text);
    let is_named = !any && ["\"EventID\"", "\"winlog\"", "\"event_data\""].iter().any(|key| text.contains(key));
    if events > others || is_named { Format::WindowsJson } else { Format::Ndjson }
}

/// Whether a text is CSV with a column that is known to hold the text, or by its name.
fn is_csv(text: &[u8], name: &str, field: Option<&str>) -> bool {
    let Some(shape) = shape(text) else {
        return false;
    };
    let columns = shape.names.len();
    if shape.is_told || columns > 1 && name.to_ascii_lowercase().trim_end_matches(".gz").ends_with(".csv") {
        return true;
    }
    let fitting = shape.rows.iter().filter(|fields| **fields >= columns).count();
    let is_sure = columns > 1 && shape.names.iter().all(|name| is_word(name));
    // Three words between commas, one of them a column's name, are no command, however torn the rows are.
    let fits = fitting * 2 >= shape.rows.len() || is_sure && (fitting > 0 || columns > 2);
    text_column(&shape.names, field).is_some() && is_header(&shape.names) && fits
}

fn is_word(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|character| character.is_alphanumeric() || "_@.".contains(character))
}

/// Whether these look like the names of columns rather than like the parts of a command.
fn is_header(names: &[String]) -> bool {
    let is_name = |name: &String| {
        let whole = name.len() <= 64 && !name.contains(['=', '|', '<', '>', '$', '`', '\'', '"', '\\', '*', '&', ';']);
        // Spreadsheets have columns without a name.
        whole && !name.starts_with(['-', '/'])
    };
    names.iter().all(is_name)
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
        check("naïve café\n".as_bytes(), "", log(Format::Text));
    }

    #[test]
    fn json_of_any_shape_is_known() {
        let log = |format| Content::Log(format);
        let event = r#"{"EventID":1}"#;
        check(b"[{\"a\":1},", "", log(Format::Ndjson));
        check(b"[\n  {\n    \"a\": 1\n  }\n]", "", log(Format::Ndjson));
        check(b" [ ]\n", "", log(Format::Ndjson));
        check(b"{\n  \"a\": 1\n}\n{\n", "", log(Format::Ndjson));
        for text in [
            format!("[{event},"),
            format!("{{\"Records\":[\n{event},\n"),
            "{\n  \"EventID\": 1\n}\n".into(),
            format!("Record 1\n{event}"),
            format!("{{\"a\":1}}\n{event}\n"),
        ] {
            check(text.as_bytes(), "", log(Format::WindowsJson));
        }
        check(format!("x\"}}\n{event}\n{event}\n{{\"cut").as_bytes(), "", log(Format::WindowsJson));
        check(b"t\":\"x\"}\n{\"text\":\"y\"}\n", "", log(Format::Ndjson));
        check(format!("{{\"text\":\"x\"}}\n{event}\n").as_bytes(), "", log(Format::Ndjson));
        check(b"[Convert]::FromBase64String('x')\n", "", log(Format::Text));
        check(b"[INFO] net user\n", "", log(Format::Text));
        check(b"{\nGet-Process\n}\n", "", log(Format::Text));
        check(b"awk '{print $1}'\n{\"a\":1}\n", "", log(Format::Text));
    }

    #[test]
    fn the_other_lines_vote() {
        let log = |format| Content::Log(format);
        let record = "type=EXECVE msg=audit(1.0:1): a0=\"x\"\n";
        check(format!("Mar  9 08:14:06 web01 audispd: {record}").as_bytes(), "", log(Format::Auditd));
        check(format!("0:1): a0=\"x\"\n{record}{record}").as_bytes(), "", log(Format::Auditd));
        check(format!("----\ntime->Mon Mar  9 08:14:06 2026\n{record}{record}").as_bytes(), "", log(Format::Auditd));
        check(format!("ls\n{record}id\nwhoami\n").as_bytes(), "", log(Format::Text));
        check(b"type=EXECVE msg=audit(16", "", log(Format::Auditd));
        check(b"type=x msg=audit(\nwhoami\nid\n", "", log(Format::Text));
        check(b"time,CommandLine\n1,\"x\n2\n3\n", "", log(Format::Csv));
        check(b"grep 'type=EXECVE msg=audit(' /var/log/audit/audit.log\n", "", log(Format::Text));
        check(b"echo a,text\nwhoami\nnet user\n", "", log(Format::Text));
        check(b"echo 'a',text\nls a,b\n", "", log(Format::Text));
        check(b"time,text\n1,whoami\n2,\"a\nb\"\n3", "", log(Format::Csv));
        check(b"text\nwhoami\nls a,b\n", "", log(Format::Csv));
        check(b"Process Command Line;User\nid;root\n", "", log(Format::Csv));
        check(b"sep=;\na;b\n", "", log(Format::Csv));
    }

    #[test]
    fn events_as_xml_are_told_from_rows_that_hold_them() {
        let log = |format| Content::Log(format);
        let event = "<Event xmlns='x'><System><EventID>1</EventID></System></Event>";
        check(format!("{event}\n{event}\n").as_bytes(), "", log(Format::WindowsXml));
        check(format!("Nov 30 12:00:00 h sysmon[1]: {event}\n").as_bytes(), "", log(Format::WindowsXml));
        check(format!("_time,_raw\n1,\"{event}\"\n").as_bytes(), "", log(Format::Csv));
        check(format!("{{\"_raw\":\"{event}\"}}\n").as_bytes(), "", log(Format::Ndjson));
        check(format!("whoami\n{event}\nid\n").as_bytes(), "", log(Format::Text));
    }

    #[test]
    fn a_named_field_means_plain_rows() {
        let content = detect(b"{\"EventID\":1,\"a\":\"x\"}", "", Some("a"));
        assert_eq!(content, Content::Log(Format::Ndjson));
        assert_eq!(detect(b"x,a\n", "", Some("a")), Content::Log(Format::Csv));
    }
}
