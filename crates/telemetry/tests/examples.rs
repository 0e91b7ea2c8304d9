//! Every example log is read whole.
#![allow(clippy::unwrap_used, missing_docs)]

use attackline_telemetry::{InputPath, Inputs, ReadOptions};
use std::path::PathBuf;

#[test]
fn every_example_is_read_without_an_error() {
    // Name, lines, records of other events.
    let wanted = [
        ("audit.log", 8, 0),
        ("commands.txt", 22, 0),
        ("events.ndjson", 12, 0),
        ("nightly.log.gz", 5, 0),
        ("notes.txt", 10, 0),
        ("processes.csv", 16, 0),
        ("security.zip", 6, 1),
        ("sysmon.evtx", 8, 0),
        ("winlogbeat.json", 7, 1),
    ];
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples"));
    for (name, lines, skipped) in wanted {
        let mut inputs = Inputs::new(vec![InputPath::Path(folder.join(name))], ReadOptions::default());
        let read: Vec<_> = inputs.by_ref().map(|line| line.unwrap_or_else(|error| panic!("{error}"))).collect();
        assert_eq!((read.len(), inputs.counts().skipped), (lines, skipped), "{name}");
    }
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), wanted.len(), "an example without a row here");
}

#[test]
fn the_event_log_gives_commands_with_their_context() {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/sysmon.evtx"));
    let line = Inputs::new(vec![InputPath::Path(path)], ReadOptions::default()).nth(5).unwrap().unwrap();
    assert!(line.text.starts_with("reg  save "), "{}", line.text);
    assert_eq!(line.source.record, Some(6));
    assert_eq!(line.event.host.as_deref(), Some("WS-0311.corp.example.com"));
    assert_eq!(line.event.user.as_deref(), Some("CORP\\tnovak"));
    assert_eq!(line.event.image.as_deref(), Some("C:\\Windows\\System32\\reg.exe"));
    assert_eq!(line.event.parent.as_deref(), Some("C:\\Windows\\System32\\cmd.exe"));
    assert_eq!(line.event.event_id, Some(1));
}
