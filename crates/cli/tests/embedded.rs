//! The model inside the binary, over the example logs.
#![allow(clippy::unwrap_used, missing_docs)]

use serde_json::Value;
use std::{collections::BTreeMap, path::PathBuf, process::Command};

fn examples() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

/// Rows by file name and record.
type Found = BTreeMap<(String, u64), Value>;

/// The records of attacks among the examples (docs/examples.md).
const ATTACKS: [(&str, &[u64]); 9] = [
    ("commands.txt", &[7, 9, 11, 12, 18, 19, 22]),
    ("notes.txt", &[2, 5, 7]),
    ("events.ndjson", &[3, 5, 10]),
    ("processes.csv", &[5, 6, 7, 9, 10, 11]),
    ("winlogbeat.json", &[4, 5, 6]),
    ("security.json", &[3, 5]),
    ("audit.log", &[7, 13, 19]),
    ("nightly.log", &[3, 5]),
    ("sysmon.evtx", &[3, 5, 6]),
];

fn is_reported(row: &Value) -> bool {
    row["label"] != "Benign" && row["abstained"] == false
}

/// All findings over the example logs.
fn findings(arguments: &[&str]) -> Found {
    let output = Command::new(env!("CARGO_BIN_EXE_attackline")).arg("classify").args(arguments).arg("-f").arg(examples()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let rows = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.map(|row| {
        let file = row["source"]["file"].as_str().unwrap().rsplit(['/', '\\']).next().unwrap().to_owned();
        ((file, row["source"]["record"].as_u64().unwrap()), row)
    })
    .collect()
}

#[test]
fn the_attacks_among_the_examples_are_found() {
    let found = findings(&["--threads", "2"]);
    let label = |file: &str, record: u64| found[&(file.to_owned(), record)]["label"].as_str().unwrap().to_owned();
    for (file, record, wanted) in [
        ("commands.txt", 7, "T1087.001"),
        ("commands.txt", 9, "T1049"),
        ("commands.txt", 11, "T1003.002"),
        ("sysmon.evtx", 5, "T1087.001"),
        ("processes.csv", 10, "T1003.002"),
        ("sysmon.evtx", 6, "T1003.002"),
        ("winlogbeat.json", 5, "T1087.001"),
        ("commands.txt", 2, "Benign"),
        ("commands.txt", 5, "Benign"),
        ("processes.csv", 1, "Benign"),
        ("audit.log", 1, "Benign"),
    ] {
        assert_eq!(label(file, record), wanted, "{file}:{record}");
    }
    let reported = |rows: &Found| rows.values().filter(|row| is_reported(row)).count();
    assert!((12..=32).contains(&reported(&found)), "{} findings in {} lines", reported(&found), found.len());
    for ((file, record), row) in found.iter().filter(|(_, row)| is_reported(row)) {
        let attacks = ATTACKS.iter().find(|(name, _)| file.contains(name)).map_or(&[][..], |(_, records)| records);
        assert!(attacks.contains(record), "{file}:{record} is harmless: {row}");
    }
    let few = findings(&["--labels", "T1003.002,T1087.001,T1049"]);
    assert!((26..=36).contains(&reported(&few)), "{} findings in {} lines", reported(&few), few.len());
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    assert_eq!(findings(&["--threads", "1"]), findings(&["--threads", "3"]));
}
