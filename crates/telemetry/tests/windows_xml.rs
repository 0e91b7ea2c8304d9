//! Windows events as XML, in every shape that they are exported in, whole and damaged.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use attackline_telemetry::{Event, Format, ReadOptions, read_stream};
use common::{gzip, read, read_with, zip};
use proptest::prelude::*;
use std::io::{self, Read};

const PROCESS: &str = include_str!("data/sysmon_process.xml");
const LOGON: &str = "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='Microsoft-Windows-Security-Auditing'/>\
    <EventID>4624</EventID><Channel>Security</Channel></System><EventData><Data Name='LogonType'>3</Data></EventData></Event>";
const LINUX: &str = include_str!("data/sysmon_linux.xml");

fn utf16(text: &str, big_endian: bool) -> Vec<u8> {
    let unit = |unit: u16| if big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() };
    std::iter::once('\u{FEFF}').chain(text.chars()).collect::<String>().encode_utf16().flat_map(unit).collect()
}

#[test]
fn every_shape_gives_the_same_lines() {
    let line = PROCESS.trim().split('\n').map(str::trim).collect::<String>();
    let events = [line.as_str(), LOGON, line.as_str()];
    let declared = "<?xml version=\"1.0\" encoding=\"utf-8\" standalone=\"yes\"?>";
    let mut shapes: Vec<Vec<u8>> = [
        events.join("\r\n") + "\r\n",
        events.concat(),
        format!("{declared}\r\n<Events>{}</Events>", events.concat()),
        format!("<Events>\n{}\n</Events>\n", events.join("\n")),
        [PROCESS, LOGON, "\n", PROCESS].concat(),
        format!("{declared}\n{PROCESS}{declared}\n{LOGON}\n{declared}\n{PROCESS}"),
        format!("- {}\n{LOGON}\n- {}", PROCESS.trim().replace("\n  <E", "\n- <E").replace("\n  <S", "\n- <S"), PROCESS.trim()),
    ]
    .map(String::into_bytes)
    .to_vec();
    shapes.extend([utf16(&events.join("\r\n"), false), utf16(&events.concat(), true), utf16(&events.concat(), false)[2..].to_vec()]);
    shapes.extend([gzip(&shapes[0]), zip(&[("events", &shapes[2])])]);
    let text = "cmd.exe /c \"dir C:\\Users > C:\\Temp\\a.txt & type C:\\Temp\\a.txt\"";
    let wanted = Event {
        timestamp: Some("2026-03-09T08:14:06.1029384Z".into()),
        host: Some("WS-0311.corp.example.com".into()),
        user: Some("CORP\\tnovak".into()),
        image: Some("C:\\Windows\\System32\\cmd.exe".into()),
        parent: Some("C:\\Windows\\explorer.exe".into()),
        parent_image: Some("C:\\Windows\\explorer.exe".into()),
        event_id: Some(1),
        channel: Some("Microsoft-Windows-Sysmon/Operational".into()),
    };
    for shape in shapes {
        let (lines, errors, skipped) = read(shape.clone());
        let shown = String::from_utf8_lossy(&shape);
        assert_eq!((lines.len(), errors.len(), skipped), (2, 0, 1), "{shown} {errors:?}");
        for (line, record) in lines.iter().zip([1, 3]) {
            assert_eq!((line.text.as_str(), &line.event, line.source.record, line.cut), (text, &wanted, Some(record), false), "{shown}");
        }
    }
}

#[test]
fn a_system_log_gives_the_events_and_what_others_say() {
    let date = "Nov 30 12:00:00 web01";
    let event = LINUX.trim();
    let log =
        format!("{date} sysmon[812]: {event}\n{date} CRON[9]: (root) CMD (run-parts /etc/cron.daily)\n{date} sshd[7]: x\n{date} sysmon: {event}\n");
    let (lines, errors, skipped) = read(log);
    assert!(errors.is_empty() && skipped == 0, "{errors:?}");
    let texts: Vec<(Option<u64>, &str)> = lines.iter().map(|line| (line.source.record, line.text.as_str())).collect();
    let command = "sh -c \"grep -c <root> /etc/group && id\"";
    let cron = format!("{date} CRON[9]: (root) CMD (run-parts /etc/cron.daily)");
    assert_eq!(texts, [(Some(1), command), (Some(2), cron.as_str()), (Some(3), &format!("{date} sshd[7]: x")), (Some(4), command)]);
    let Event { host, user, image, parent, .. } = &lines[0].event;
    let wanted = ["web01", "www-data", "/usr/bin/dash", "/usr/sbin/apache2 -k start"];
    assert_eq!([host, user, image, parent].map(|part| part.as_deref().unwrap_or_default()), wanted);
    // One that is cut, as Sysmon for Linux does it, gives an error and what it tells, and takes no other line with it.
    let cut = &event[..event.find(" &amp;&amp; id").unwrap()];
    let (lines, errors, _) = read(format!("{date} sysmon: {cut}\n{date} sshd: y\n{date} sysmon: {event}\n{date} sshd: x\n"));
    let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts, ["sh -c \"grep -c <root> /etc/group", command, &format!("{date} sshd: x")]);
    assert!(errors.len() == 1 && errors[0].to_string().starts_with("given: record 1: damaged XML: the event is torn"), "{errors:?}");
}

#[test]
fn rows_that_hold_events_are_read_as_rows() {
    let event = PROCESS.trim().split('\n').map(str::trim).collect::<String>();
    let csv = format!("_time,_raw,host\n1,\"{}\",h\n2,\"{}\",h\n", event.replace('"', "\"\""), LOGON);
    let json = format!("{}\n{{\"n\":2,\"_raw\":\"{LOGON}\"}}\n", serde_json::json!({"n": 1, "_raw": event}));
    for rows in [csv, json] {
        let (lines, errors, skipped) = read(rows.clone());
        assert_eq!((lines.len(), errors.len(), skipped), (1, 0, 1), "{rows} {errors:?}");
        assert!(lines[0].text.starts_with("cmd.exe /c ") && lines[0].event.host.as_deref() == Some("WS-0311.corp.example.com"), "{rows}");
        assert!(lines[0].input.is_some(), "{rows}");
    }
}

#[test]
fn other_xml_is_refused_by_name() {
    for (document, name) in [
        ("<!DOCTYPE html>\n<html><body>net user</body></html>\n", "an HTML page"),
        ("<?xml version=\"1.0\"?>\n<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n</project>\n", "an XML document"),
        ("<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n<name>a</name>\n", "an XML document"),
        ("<?xml version=\"1.0\"?>\n", "no Windows event"),
    ] {
        let (lines, errors, _) = read(document);
        assert!(lines.is_empty() && errors.len() == 1 && errors[0].is_fatal_for_file(), "{document} {errors:?}");
        assert!(errors[0].to_string().contains(name), "{}", errors[0]);
    }
}

/// A hundred megabytes of one event, never in memory at once, and then another event.
struct LongEvent {
    start: &'static [u8],
    left: usize,
    end: &'static [u8],
}

impl Read for LongEvent {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.start.is_empty() {
            return self.start.read(buffer);
        }
        if self.left > 0 {
            let count = buffer.len().min(self.left);
            buffer[..count].fill(b'a');
            self.left -= count;
            return Ok(count);
        }
        self.end.read(buffer)
    }
}

#[test]
fn an_event_of_a_hundred_megabytes_is_cut_and_the_next_one_is_read() {
    let stream = LongEvent {
        start: b"<Event><System><EventID>4688</EventID></System><EventData><Data Name='CommandLine'>",
        left: 100 << 20,
        end: b"</Data></EventData></Event>\n<Event><System><EventID>4688</EventID></System><EventData><Data Name='CommandLine'>id</Data></EventData></Event>",
    };
    let items: Vec<_> = read_stream(stream, None, ReadOptions::default()).collect();
    assert_eq!(items.len(), 3);
    assert!(items[0].as_ref().unwrap_err().to_string().contains("longer than"));
    let cut = items[1].as_ref().unwrap();
    assert!(cut.cut && cut.text.len() == 1 << 20);
    assert_eq!(items[2].as_ref().unwrap().text, "id");
}

#[test]
fn hostile_events_are_read_in_time() {
    let many = |piece: &str| piece.repeat((4 << 20) / piece.len());
    for inner in
        [many("<a>"), many("<Data a='1'"), format!("<Data {}>", many("a='1' ")), many("&amp;"), many("&"), many("<"), many("<![CDATA["), many("<!--")]
    {
        let (lines, errors, _) = read(format!("<Event><EventData>{inner}</Event>\n{PROCESS}"));
        assert!(lines.len() == 1 && errors.len() <= 2, "{} {errors:?}", &inner[..9]);
    }
    let (lines, errors, _) = read(format!("{}\n{PROCESS}", many("<Event>")));
    assert_eq!((lines.len(), errors.len()), (1, (4 << 20) / 7));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever is done to one event, no other is lost.
    #[test]
    fn events_beside_a_damaged_one_are_read(at in any::<prop::sample::Index>(), with in r#"[<>&;'"=/ \n!\-\[\]a]{0,3}"#, cut in any::<bool>()) {
        let event = |number: usize| format!("<Event><System><EventID>4688</EventID></System><EventData><Data Name='CommandLine'>id {number}</Data></EventData></Event>\n");
        let mut damaged = event(1);
        let at = at.index(damaged.len());
        let rest = damaged.split_off(at);
        damaged.push_str(&with);
        if !cut {
            damaged.push_str(&rest);
        }
        let (lines, errors, _) = read_with([event(0), damaged.clone(), event(2)].concat(), ReadOptions { format: Some(Format::WindowsXml), ..ReadOptions::default() });
        for wanted in ["id 0", "id 2"] {
            prop_assert!(lines.iter().any(|line| line.text == wanted), "{damaged}");
        }
        prop_assert!(errors.len() <= 2, "{damaged} {errors:?}");
    }

    #[test]
    fn torn_structure_never_panics(input in r#"(\n|h: |<\?xml|<!DOCTYPE|<!--|-->|</?Events>|<Event>|<Event |</Event>|</Event|<System>|</System>|<EventID>1|<EventData>|<Data Name='CommandLine'>|</Data>|&#x0A;|&lol;|<!\[CDATA\[|\]\]>|[<>&;'"a ]){0,30}"#) {
        for format in [None, Some(Format::WindowsXml)] {
            // Small bounds, so that they are met.
            for max_record_bytes in [8, 16 << 20] {
                let items = read_stream(io::Cursor::new(input.clone().into_bytes()), None, ReadOptions { format, max_record_bytes, ..ReadOptions::default() }).count();
                prop_assert!(items <= input.len() + 1);
            }
        }
    }
}
