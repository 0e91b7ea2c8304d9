//! The binary from outside: what it writes where, and how it ends. The answers come from a tiny model with random weights, so
//! only their shape is looked at.
#![allow(clippy::unwrap_used)]

use assert_cmd::Command;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/data/tiny-bert")
}

fn labels() -> Vec<String> {
    let config: Value = serde_json::from_slice(&std::fs::read(tiny().join("config.json")).unwrap()).unwrap();
    let table = config["id2label"].as_object().unwrap();
    (0..table.len()).map(|index| table[&index.to_string()].as_str().unwrap().to_owned()).collect()
}

fn attackline(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("attackline").unwrap();
    command.args(arguments);
    command
}

/// `classify` with the tiny model.
fn classify(arguments: &[&str], input: &str) -> Output {
    let mut command = attackline(&["classify", "--model"]);
    command.arg(tiny()).args(arguments).write_stdin(input).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn rows(output: &Output) -> Vec<Value> {
    assert!(output.stdout.is_empty() || output.stdout.ends_with(b"\n"));
    String::from_utf8(output.stdout.clone()).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_pipe_gets_every_line_as_ndjson_in_order() {
    let input: String = (0..1_000).map(|number| format!("net user account{number}\n")).collect();
    let output = classify(&["-f", "-", "--threads", "3"], &input);
    assert_eq!((code(&output), stderr(&output)), (0, String::new()));
    let rows = rows(&output);
    assert_eq!(rows.len(), 1_000);
    for (number, row) in rows.iter().enumerate() {
        assert_eq!((row["line"].as_u64(), row["text"].as_str()), (Some(number as u64 + 1), Some(format!("net user account{number}").as_str())));
    }
    assert_eq!(classify(&["--threads", "1"], &input).stdout, output.stdout, "threads do not change a byte, and -f - is the default");
}

#[test]
fn arguments_are_lines() {
    let output = classify(&["reg save HKLM\\SAM x", "dir", "--top", "2", "--scores"], "");
    let rows = rows(&output);
    assert_eq!((code(&output), rows.len(), rows[1]["text"].as_str()), (0, 2, Some("dir")));
    assert_eq!((rows[0]["top"].as_array().unwrap().len(), rows[0]["scores"].as_object().unwrap().len()), (2, labels().len()));
    assert!(rows[0].get("source").is_none() && rows[0].get("event").is_none());
}

#[test]
fn fail_on_finding_and_the_threshold() {
    let lines: Vec<String> = (0..40).map(|number| format!("command {number} --with option{number}")).collect();
    let input = lines.join("\n");
    for threshold in ["0", "1"] {
        let output = classify(&["-f", "-", "--threshold", threshold, "--fail-on-finding"], &input);
        let found = rows(&output).iter().filter(|row| row["label"] != "Benign" && row["abstained"] == false).count();
        assert_eq!(code(&output), i32::from(found > 0), "threshold {threshold}");
        assert_eq!(code(&classify(&["-f", "-", "--threshold", threshold], &input)), 0);
    }
}

#[test]
fn labels_narrow_the_answer() {
    let all = labels();
    let Some(attack) = all.iter().find(|label| *label != "Benign").filter(|_| all.contains(&"Benign".to_owned())) else {
        panic!("the tiny model should have Benign and an attack: {all:?}");
    };
    let rows = rows(&classify(&["netstat -ano", "--labels", attack, "--scores"], ""));
    let scores = rows[0]["scores"].as_object().unwrap();
    assert_eq!(scores.len(), 2);
    assert!((scores.values().map(|score| score.as_f64().unwrap()).sum::<f64>() - 1.0).abs() < 2e-4);
    let output = classify(&["x", "--labels", "T9999"], "");
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("does not know the label \"T9999\"; "), "{}", stderr(&output));
}

#[test]
fn what_is_written_is_not_read_and_what_is_read_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let log: String = (0..3_000).map(|number| format!("net user account{number}\n")).collect();
    for name in ["log.txt", ".attackline-other.partial"] {
        std::fs::write(place(name), &log).unwrap();
    }
    let logs = folder.path().to_str().unwrap();
    assert_eq!(code(&classify(&["-f", logs, "-o", &place("z.ndjson")], "")), 0);
    assert_eq!(std::fs::read_to_string(place("z.ndjson")).unwrap().lines().count(), 3_000, "neither its own nor another's half output");
    let output = classify(&["-f", logs, "-o", &place("log.txt"), "--clobber"], "");
    assert!(code(&output) == 2 && stderr(&output).contains("is among what"), "{}", stderr(&output));
    assert_eq!(std::fs::read_to_string(place("log.txt")).unwrap(), log);

    std::fs::remove_file(place("z.ndjson")).unwrap();
    let all = std::fs::File::create(place("z.out")).unwrap();
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("attackline"));
    let ended = command.args(["classify", "-f", logs, "--model"]).arg(tiny()).stdout(all).status().unwrap();
    assert_eq!(ended.code(), Some(0));
    assert_eq!(std::fs::read_to_string(place("z.out")).unwrap().lines().count(), 3_000, "standard output is a file of the folder");
    let named = classify(&[&place("log.txt")], "");
    assert!(stderr(&named).contains("there is a file of that name"), "{}", stderr(&named));
}

#[test]
fn an_output_file_is_never_overwritten_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.csv");
    let path = path.to_str().unwrap();
    assert_eq!(code(&classify(&["dir", "-o", path], "")), 0);
    let first = std::fs::read_to_string(path).unwrap();
    assert!(first.starts_with("line,text,label,score,"), "{first}");
    let refused = classify(&["other", "-o", path], "");
    assert_eq!(code(&refused), 2);
    assert!(stderr(&refused).contains("out.csv exists already; --clobber replaces it"), "{}", stderr(&refused));
    assert_eq!(std::fs::read_to_string(path).unwrap(), first);
    assert_eq!(code(&classify(&["other", "-o", path, "--clobber"], "")), 0);
    assert!(std::fs::read_to_string(path).unwrap().contains("other"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn unreadable_inputs_are_named_and_the_rest_is_classified() {
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("a.ndjson");
    std::fs::write(&bad, "{\"text\":\"dir\"}\n{\"other\":1}\nnot json\n{\"text\":\"ls\",\"ticket\":7}\n").unwrap();
    let missing = folder.path().join("missing.log");
    let output = classify(&["-f", missing.to_str().unwrap(), "-f", bad.to_str().unwrap()], "");
    assert_eq!(code(&output), 3);
    let rows = rows(&output);
    assert_eq!(rows.iter().map(|row| row["text"].as_str().unwrap()).collect::<Vec<_>>(), ["dir", "ls"]);
    assert_eq!((rows[1]["input"]["ticket"].as_u64(), rows[1]["source"]["record"].as_u64()), (Some(7), Some(4)));
    let messages = stderr(&output);
    for part in ["missing.log", "record 2", "record 3"] {
        assert!(messages.contains(part), "{part}: {messages}");
    }
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_to_do() {
    for (arguments, part) in [
        (&["classify", "x", "--threshold", "2"][..], "from 0 to 1"),
        (&["classify", "x", "--top", "0"], "--top"),
        (&["classify", "x", "--from", "xml"], "windows-json"),
        (&["classify", "x", "--output-format", "yaml"], "table, ndjson or csv"),
        (&["classify", "x", "--model", "no-such-folder"], "no-such-folder"),
        (&["classify", "x", "-o", "no-such-folder/out"], "no-such-folder/out"),
        (&["evaluate"], "--data"),
        (&["nonsense"], "nonsense"),
        (&["model", "info", "no-such-folder"], "no-such-folder"),
    ] {
        let output = attackline(arguments).output().unwrap();
        let expected = if part.ends_with("/out") { 3 } else { 2 };
        assert_eq!(code(&output), expected, "{arguments:?}");
        assert!(stderr(&output).contains(part) && output.stdout.is_empty(), "{arguments:?}: {}", stderr(&output));
    }
    assert_eq!(code(&attackline(&["--help"]).output().unwrap()), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_a_closed_pipe_is_none() {
    let output = classify(&["dir", "-o", "/dev/full"], "");
    assert_eq!(code(&output), 3);
    assert!(stderr(&output).contains("cannot write /dev/full: No space left"), "{}", stderr(&output));

    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("attackline"));
    let model = tiny();
    child.args(["classify", "--model", model.to_str().unwrap(), "dir"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), stderr(&output)), (0, String::new()));
}

#[test]
fn a_table_shows_findings_only_and_counts_the_rest() {
    let input: String = (0..50).map(|number| format!("command {number}\n")).collect();
    let shown = |arguments: &[&str]| {
        String::from_utf8(classify(&[&["-f", "-", "--output-format", "table", "--threshold", "1"], arguments].concat(), &input).stdout)
            .unwrap()
            .lines()
            .count()
    };
    assert_eq!((shown(&[]), shown(&["--all"])), (0, 51));
    let output = classify(&["-f", "-", "--output-format", "table", "--threshold", "1"], &input);
    assert!(stderr(&output).starts_with("50 lines, 0 findings, "), "{}", stderr(&output));
}

#[test]
fn a_log_without_command_lines_says_so_in_a_pipe() {
    let event = r#"{"EventID":4634,"Channel":"Security","Computer":"pc1"}"#;
    let output = classify(&["--from", "windows-json"], &format!("{event}\n{event}\n"));
    assert!(code(&output) == 0 && output.stdout.is_empty(), "{output:?}");
    assert!(stderr(&output).contains("none of the 2 events has a command line"), "{}", stderr(&output));
}

#[test]
fn windows_events_as_xml_are_read() {
    let event = include_str!("../../telemetry/tests/data/sysmon_process.xml");
    let other = "<Event><System><EventID>5</EventID><Channel>Microsoft-Windows-Sysmon/Operational</Channel></System></Event>";
    for arguments in [&["-f", "-"][..], &["-f", "-", "--from", "windows-xml"]] {
        let output = classify(arguments, &format!("<?xml version=\"1.0\"?>\n<Events>{event}{other}{event}<Event><System></Events>"));
        let rows: Vec<Value> = String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(rows.len(), 2, "{output:?}");
        for (row, record) in rows.iter().zip([1, 3]) {
            assert_eq!(row["text"], r#"cmd.exe /c "dir C:\Users > C:\Temp\a.txt & type C:\Temp\a.txt""#);
            assert_eq!((row["source"]["record"].as_u64(), row["event"]["host"].as_str()), (Some(record), Some("WS-0311.corp.example.com")));
        }
        // The torn one is the only input that could not be read.
        assert_eq!(code(&output), 3);
        assert!(stderr(&output).contains("record 4: damaged XML: the event is torn"), "{}", stderr(&output));
    }
    let output = classify(&[], "<!DOCTYPE html>\n<html></html>\n");
    assert!(code(&output) == 3 && stderr(&output).contains("an HTML page"), "{output:?}");
}

#[test]
fn evaluate_prints_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.ndjson");
    let attack = labels().into_iter().find(|label| label.starts_with('T')).unwrap();
    std::fs::write(
        &data,
        format!("{{\"text\":\"dir\",\"label\":\"Benign\",\"realism\":\"doc\",\"hard\":true}}\n{{\"text\":\"reg save\",\"label\":\"{attack}\"}}\n"),
    )
    .unwrap();
    let run = |more: &[&str]| {
        attackline(&[&["evaluate", "--model", tiny().to_str().unwrap(), "--data", data.to_str().unwrap()], more].concat()).output().unwrap()
    };
    let text = String::from_utf8(run(&[]).stdout).unwrap();
    for part in ["weighted avg", "true \\ predicted", "realism=doc", "hard=true", "samples per second"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let json: Value = serde_json::from_slice(&run(&["--json"]).stdout).unwrap();
    assert_eq!(json["report"]["total"], 2);
    assert_eq!(code(&attackline(&["evaluate", "--model", tiny().to_str().unwrap(), "--data", "missing.csv"]).output().unwrap()), 3);
}
