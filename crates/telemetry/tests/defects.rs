//! What once was read wrongly without a word: rows behind an open quote, JSON that is not one object a line, first lines that mislead.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use attackline_telemetry::{Event, Format, ReadOptions, read_stream};
use common::read;
use proptest::prelude::*;
use std::io::{self, Read, Write as _};

fn check(input: &str, wanted: &[&str], wanted_errors: usize, wanted_skipped: u64) {
    let (lines, errors, skipped) = read(input);
    let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!((texts.as_slice(), errors.len(), skipped), (wanted, wanted_errors, wanted_skipped), "{input} {errors:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn torn_structure_never_panics(input in r#"(\[|\{"Records":\[|text\n)?([\[\]{}",:\\ \r\nx]|\{"text":"x"\}|"value":\[|"hits":\{|Record 1\n){0,40}"#) {
        for format in [None, Some(Format::Ndjson), Some(Format::WindowsJson), Some(Format::Csv)] {
            // Small bounds, so that they are met.
            for max_record_bytes in [8, 16 << 20] {
                let options = ReadOptions { format, max_record_bytes, ..ReadOptions::default() };
                let items = read_stream(io::Cursor::new(input.clone().into_bytes()), None, options).count();
                prop_assert!(items <= 2 * input.len() + 1);
            }
        }
    }

    /// Whatever a cell holds that isn't closed, the rows behind it are read, unless a later cell closes it as its own would be.
    #[test]
    fn whole_rows_behind_a_damaged_one_are_read(cell in r#"[a-z" \\]{0,8}"#, at in 0usize..5) {
        let row = |number: usize| if number == at { format!("{{\"n\":{number},\"text\":\"{cell}\n") } else { format!("{{\"n\":{number},\"text\":\"row {number}\"}}\n") };
        let rows: String = (0..5).map(row).collect();
        let (lines, ..) = read(rows.as_str());
        for number in (0..5).filter(|number| *number != at) {
            let wanted = format!("row {number}");
            prop_assert!(lines.iter().any(|line| line.text == wanted), "{rows}");
        }
        let row = |number: usize| if number == at { format!("{number},\"{}\n", cell.replace('"', "")) } else { format!("{number},\"row {number}, x\"\n") };
        let rows: String = std::iter::once("n,text\n".to_owned()).chain((0..5).map(row)).collect();
        let (lines, ..) = read(rows.as_str());
        for number in (0..5).filter(|number| *number != at) {
            let wanted = format!("row {number}, x");
            prop_assert!(lines.iter().any(|line| line.text == wanted), "{rows}");
        }
    }
}

#[test]
fn an_open_quote_hides_no_row() {
    let rows = "time,CommandLine\n1,whoami\n2,\"start\n3,net user\n4,\"reg save HKLM\\SAM, x\"\n5,id\n";
    check(rows, &["whoami", "start", "net user", "reg save HKLM\\SAM, x", "id"], 1, 0);
    let (_, errors, _) = read(rows);
    assert!(errors[0].to_string().starts_with("given: record 2: a quote of this row is never closed"), "{}", errors[0]);
}

const EVENTS: [&str; 3] = [
    r#"{"EventID": 4688, "Channel": "Security", "CommandLine": "whoami"}"#,
    r#"{"EventID": 4624, "Channel": "Security"}"#,
    r#"{"EventID": 4688, "Channel": "Security", "CommandLine": "id"}"#,
];

#[test]
fn windows_events_are_read_from_json_of_any_shape() {
    let pretty = EVENTS.map(|event| event.replace(", ", ",\n    ").replace('{', "  {\n    ").replace('}', "\n  }"));
    for input in [
        EVENTS.join("\n"),
        EVENTS.concat(),
        pretty.join("\n"),
        format!("[{}]", EVENTS.join(",")),
        format!("[\n{}\n]\n", EVENTS.join(",\n")),
        format!("[\n{}\n]\n", pretty.join(",\n")),
        format!("{{\"Records\":[{}]}}", EVENTS.join(",")),
        format!("{{\n  \"count\": 3,\n  \"value\": [\n{}\n  ]\n}}\n", pretty.join(",\n")),
        format!("{{\"hits\":{{\"hits\":[{}]}}}}", EVENTS.map(|event| format!("{{\"_source\":{event}}}")).join(",")),
        format!("{{\"version\": 1}}\n{}\n", EVENTS.join("\n")),
    ] {
        let skipped = 1 + u64::from(input.starts_with("{\"version"));
        check(&input, &["whoami", "id"], 0, skipped);
    }
    check(&format!("el\": \"Security\"}}\n{}\n", EVENTS.join("\n")), &["whoami", "id"], 1, 1);
    check(&format!("[\n{},\n  {{\n    \"EventID\": 46\n    \"x\": \"\n  }},\n{}\n]\n", pretty[0], pretty[2]), &["whoami", "id"], 1, 0);
}

/// A list of a hundred megabytes, never in memory at once.
struct LongList(u32);

impl Read for LongList {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let element = match self.0 {
            0 => "[".to_owned(),
            1..=100 => format!("{{\"text\":\"{}\"}}{}", "x".repeat(1 << 20), if self.0 < 100 { "," } else { "]" }),
            _ => return Ok(0),
        };
        assert!(buffer.len() >= element.len(), "elements are given whole");
        buffer[..element.len()].copy_from_slice(element.as_bytes());
        self.0 += 1;
        Ok(element.len())
    }
}

#[test]
fn a_long_list_streams() {
    let stream = io::BufReader::with_capacity(2 << 20, LongList(0));
    let lines = read_stream(stream, None, ReadOptions::default()).filter(|line| line.as_ref().is_ok_and(|line| line.text.len() == 1 << 20)).count();
    assert_eq!(lines, 100);
}

#[test]
fn the_first_line_alone_does_not_tell() {
    check("echo a,text\nwhoami\nnet user\n", &["echo a,text", "whoami", "net user"], 0, 0);
    let record = |serial, name| format!("type=EXECVE msg=audit(1604994496.155:{serial}): argc=1 a0=\"{name}\"\n");
    let records = format!("{}{}", record(1, "id"), record(2, "ls"));
    check(&records.replace("type", "Mar  9 08:14:06 web01 audispd: type"), &["id", "ls"], 0, 0);
    check(&format!("c=1 a0=\"cut\"\n{records}"), &["id", "ls"], 1, 0);
    check(&format!("----\ntime->Mon Mar  9 08:14:06 2026\n{records}"), &["id", "ls"], 0, 0);
    check("me\":\"x\"}\n{\"text\":\"id\"}\n{\"text\":\"ls\"}\n", &["id", "ls"], 1, 0);
}

#[test]
fn the_context_of_rows_is_kept() {
    let wanted = Event {
        timestamp: Some("2026-03-09T08:12:04Z".into()),
        host: Some("h".into()),
        user: Some("D\\u".into()),
        image: Some("i".into()),
        parent: Some("p -x".into()),
        parent_image: Some("p".into()),
        ..Event::default()
    };
    let csv = "sep=;\r\nUtcTime;Computer;User;Image;Parent Image;Parent Command Line;Process Command Line\r\n2026-03-09 08:12:04;h;D\\u;i;p;p -x;whoami\r\n";
    let json = r#"{"utc_time":"2026-03-09 08:12:04","DeviceName":"h","user":"D\\u","Image":"i","ParentImage":"p","InitiatingProcessCommandLine":"p -x","ProcessCommandLine":"whoami"}"#;
    for input in [csv, json] {
        let (lines, errors, _) = read(input);
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!((lines[0].text.as_str(), &lines[0].event), ("whoami", &wanted), "{input}");
    }
}

#[test]
fn what_is_no_log_is_named() {
    for (bytes, name) in
        [(&b"\x28\xB5\x2F\xFD\x24\x0Babcdefghijk"[..], "Zstandard"), (b"PAR1\x15\x04\x15\x10\x15\x14", "Parquet"), (b"\x7FELF\x02\x01\x01\0", "ELF")]
    {
        let (lines, errors, _) = read(bytes);
        assert!(lines.is_empty() && errors.len() == 1 && errors[0].to_string().contains(name), "{errors:?}");
    }
}

#[test]
fn a_log_that_says_the_same_over_and_over_is_read_to_its_end() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let lines = b"whoami\n".repeat(1 << 17);
    encoder.write_all(&lines).unwrap();
    let bytes = encoder.finish().unwrap();
    assert!(bytes.len() * 250 < lines.len());
    let options = ReadOptions { free_bytes: 1 << 16, ..ReadOptions::default() };
    let read = read_stream(io::Cursor::new(bytes), None, options);
    assert_eq!(read.filter(Result::is_ok).count(), 1 << 17);
}
