//! Truncated, hostile, huge and missing input: clear errors, the rest goes on, nothing panics.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod common;

use attackline_telemetry::{Format, InputPath, Inputs, LogLine, ReadError, ReadOptions, read_stream};
use common::{gzip, sort, zip};
use proptest::prelude::*;
use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Lines and errors.
type Found = (Vec<LogLine>, Vec<ReadError>);

fn read_bytes(bytes: impl Into<Vec<u8>>, options: ReadOptions) -> Found {
    sort(read_stream(io::Cursor::new(bytes.into()), Some("given"), options))
}

fn read_path(path: &Path) -> Found {
    sort(Inputs::new(vec![InputPath::Path(path.to_owned())], ReadOptions::default()))
}

fn texts(read: &Found) -> Vec<&str> {
    read.0.iter().map(|line| line.text.as_str()).collect()
}

/// A hundred megabytes of one line, never in memory at once, and then another line.
struct LongLine {
    left: u64,
    end: &'static [u8],
}

impl Read for LongLine {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left > 0 {
            let count = buffer.len().min(self.left as usize);
            buffer[..count].fill(b'a');
            self.left -= count as u64;
            return Ok(count);
        }
        self.end.read(buffer)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), format in 0usize..=Format::ALL.len()) {
        let options = ReadOptions { format: Format::ALL.get(format).copied(), ..ReadOptions::default() };
        read_bytes(bytes, options);
    }

    #[test]
    fn damaged_records_never_panic(at in 0usize..400, with in any::<u8>(), format in 0usize..Format::ALL.len()) {
        let sound: [&[u8]; 7] = [
            b"ipconfig /all\nwhoami\n",
            b"{\"text\":\"ipconfig\",\"n\":1}\n{\"text\":\"ls\"}\n",
            b"time,CommandLine\n1,ipconfig\n2,\"a \"\"b\"\"\"\n",
            b"ElfFile\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x80\0\0\0\x01\0\x03\0\0\x10\x01\0",
            b"{\"EventID\":1,\"Channel\":\"Microsoft-Windows-Sysmon/Operational\",\"CommandLine\":\"ls\",\"Hostname\":\"h\"}\n",
            b"<Event><System><EventID>1</EventID></System><EventData><Data Name='CommandLine'>ls &gt; a</Data></EventData></Event>\n",
            b"type=EXECVE msg=audit(1604994496.155:92733): argc=2 a0=\"arp\" a1=2D61\n",
        ];
        let mut bytes = sound[format].to_vec();
        let at = at % bytes.len();
        bytes[at] = with;
        read_bytes(bytes.clone(), ReadOptions { format: Some(Format::ALL[format]), ..ReadOptions::default() });
        bytes.truncate(at);
        read_bytes(bytes, ReadOptions::default());
    }
}

#[test]
fn a_line_of_a_hundred_megabytes_is_cut_and_the_next_one_is_read() {
    let mut items = read_stream(LongLine { left: 100 << 20, end: b"\nwhoami\n" }, Some("long"), ReadOptions::default());
    let first = items.next().unwrap().unwrap();
    assert!(first.cut && first.text.len() <= 1 << 20);
    assert_eq!(items.next().unwrap().unwrap().text, "whoami");
}

#[test]
fn archives_are_read_within_archives_and_named() {
    let inner = gzip(b"whoami\nipconfig\n");
    let read = read_bytes(zip(&[("logs/a.txt.gz", &inner), ("b.txt", b"hostname\n")]), ReadOptions::default());
    assert_eq!(texts(&read), ["whoami", "ipconfig", "hostname"], "{:?}", read.1);
    let file = read.0[0].source.file.as_deref().unwrap();
    assert!(file.contains("logs/a.txt.gz"), "{file}");
}

#[test]
fn a_bomb_is_refused_and_memory_is_not_spent_on_it() {
    let options = || ReadOptions { free_bytes: 1 << 20, ..ReadOptions::default() };
    let zeros: Vec<u8> = vec![b' '; 64 << 20];
    for (name, bomb) in [("gzip", gzip(&zeros)), ("zip", zip(&[("bomb.txt", &zeros)]))] {
        assert!(bomb.len() < 1 << 20, "{name}");
        let (_, errors) = read_bytes(bomb, options());
        assert!(errors.iter().any(ReadError::is_fatal_for_file), "{name}: {errors:?}");
    }
    let nested = zip(&[("inner.zip", &zip(&[("bomb.txt", &zeros)]))]);
    assert!(!read_bytes(nested, options()).1.is_empty());
}

#[test]
fn cut_archives_give_an_error_and_what_came_before() {
    let lines: String = (0..20_000).map(|n| format!("command number {n} {}\n", n * 7919 % 10_007)).collect();
    let whole = gzip(lines.as_bytes());
    let (read, errors) = read_bytes(&whole[..whole.len() / 2], ReadOptions::default());
    assert!(read.len() > 1_000 && read.len() < 20_000 && errors.len() == 1, "{} lines, {errors:?}", read.len());
    let whole = zip(&[("a.txt", lines.as_bytes())]);
    let (_, errors) = read_bytes(&whole[..whole.len() / 2], ReadOptions::default());
    assert!(!errors.is_empty());
}

#[test]
fn encodings_and_stray_bytes() {
    let utf16 = |big: bool| -> Vec<u8> {
        let unit = |u: u16| if big { u.to_be_bytes() } else { u.to_le_bytes() };
        "\u{feff}whoami\r\nnet view\r\n".encode_utf16().flat_map(unit).collect()
    };
    for bytes in [utf16(false), utf16(true), b"\xef\xbb\xbfwhoami\r\nnet view".to_vec(), b"who\0ami\n\n\nnet view\n".to_vec()] {
        let read = read_bytes(bytes, ReadOptions { format: Some(Format::Text), ..ReadOptions::default() });
        assert_eq!(texts(&read), ["whoami", "net view"]);
    }
    let stray = read_bytes(*b"caf\xe9 bar\nls\n", ReadOptions::default());
    assert_eq!(texts(&stray), ["caf\u{fffd} bar", "ls"]);
}

#[test]
fn nothing_and_noise() {
    assert_eq!(read_bytes(*b"", ReadOptions::default()).0.len(), 0);
    let noise: Vec<u8> = (0..40_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let (lines, errors) = read_bytes(noise, ReadOptions::default());
    assert!(lines.is_empty() && errors.len() == 1, "{} lines, {} errors", lines.len(), errors.len());
}

#[test]
fn a_row_without_the_field_is_named_and_the_rest_goes_on() {
    let (lines, errors) = read_bytes(*b"{\"text\":\"a\"}\n{\"other\":1}\n{\"text\":7}\nnonsense\n{\"text\":\"b\"}\n", ReadOptions::default());
    assert_eq!(lines.len(), 2);
    let messages: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(messages.len(), 3, "{messages:?}");
    for (message, record) in messages.iter().zip(["record 2", "record 3", "record 4"]) {
        assert!(message.starts_with(&format!("given: {record}: ")), "{message}");
    }
    let (_, errors) = read_bytes(*b"a,b\n1,2\n", ReadOptions { format: Some(Format::Csv), ..ReadOptions::default() });
    assert!(errors[0].to_string().contains("no column"), "{}", errors[0]);
}

#[test]
fn folders_are_walked_in_order_and_what_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("b")).unwrap();
    for (name, text) in [("b/2.txt", "two\n"), ("a.txt", "one\n"), ("c.txt", "three\n"), ("empty.txt", "")] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path(), folder.path().join("b/loop")).unwrap();
    let read = read_path(folder.path());
    assert_eq!(texts(&read), ["one", "two", "three"], "{:?}", read.1);
    let (_, errors) = read_path(&folder.path().join("none.log"));
    assert!(errors[0].to_string().contains("none.log") && errors[0].to_string().contains("no such file"), "{}", errors[0]);
}

#[cfg(unix)]
#[test]
fn a_folder_without_permission_is_one_error() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let closed = folder.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::write(folder.path().join("open.txt"), "whoami\n").unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o0)).unwrap();
    if std::fs::read_dir(&closed).is_ok() {
        eprintln!("SKIPPED: this user (root?) may read every folder");
        return;
    }
    let read = read_path(folder.path());
    assert_eq!(texts(&read), ["whoami"]);
    assert!(read.1.len() == 1 && read.1[0].to_string().contains("closed"), "{:?}", read.1);
}

#[test]
fn a_cut_event_log_gives_its_good_records() {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/samples/evtx/sysmon.evtx"));
    let Ok(whole) = std::fs::read(&path) else {
        eprintln!("SKIPPED: the sample logs are not beside the checkout ({})", path.display());
        return;
    };
    let mut most = 0;
    for length in [0, 7, 100, 4_095, 4_096, 5_000, 70_000, 140_001, whole.len() - 1] {
        let (lines, _) = read_bytes(&whole[..length], ReadOptions { format: Some(Format::Evtx), ..ReadOptions::default() });
        assert!(lines.len() >= most, "{length} bytes gave fewer lines than a shorter piece");
        most = lines.len();
    }
    assert!(most > 100);
    for at in (4_096..200_000).step_by(7_919) {
        let mut damaged = whole[..210_000].to_vec();
        damaged[at..at + 64].fill(0xff);
        read_bytes(damaged, ReadOptions::default());
    }
}
