//! `attackline evaluate` from outside, with a tiny model of random weights: only the shape of what it says is looked at.
#![allow(clippy::unwrap_used)]

use assert_cmd::Command;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Output;
use tempfile::TempDir;

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/data/tiny-bert")
}

/// Benign and attack rows of several kinds, one of them hostile.
fn data(folder: &TempDir) -> String {
    let mut rows = String::new();
    for number in 0..120 {
        let (text, label, platform) = match number % 4 {
            0 => (format!("netstat -ano {number}"), "T1049", "windows"),
            1 => (format!("net user user{number}"), "T1087.001", "windows"),
            2 => (format!("ls -l /tmp/{number}"), "Benign", "linux"),
            _ => (format!("\u{1b}[2J<script>alert({number})</script>"), "Benign", "linux"),
        };
        let kind = if number % 4 == 3 { "<script>\u{1b}[2J" } else { "process_creation" };
        let realism = if label == "Benign" { "doc" } else { "" };
        let row = serde_json::json!({"text": text, "label": label, "platform": platform, "kind": kind, "realism": realism});
        rows.push_str(&format!("{row}\n"));
    }
    rows.push_str("{\"text\":\"x\",\"label\":\"T9999\",\"labels\":[\"T9999\",\"T1049\"]}\n{\"text\":\"y\",\"label\":\"T9999\"}\n");
    file(folder, "data.ndjson", &rows)
}

fn file(folder: &TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn evaluate(arguments: &[&str]) -> Output {
    Command::cargo_bin("attackline").unwrap().arg("evaluate").arg("--model").arg(tiny()).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn short_text_full_text_and_json_agree() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(&folder);
    let short = evaluate(&["--data", &data, "--threshold", "0"]);
    assert_eq!((short.status.code(), text(&short.stderr)), (Some(0), "1 rows left out: their labels are not answered with: T9999: 1\n".to_owned()));
    let short = text(&short.stdout);
    for part in
        ["weighted avg", "true \\ predicted", "realism=doc", "area under ROC", "expected error", "too few rows to tell: 60 benign rows, 300 wanted"]
    {
        assert!(short.contains(part), "{part}\n{short}");
    }
    assert!(!short.contains("by group") && short.ends_with("threshold 0\n"));
    let full = text(&evaluate(&["--data", &data, "--threshold", "0", "--full", "--worst", "2"]).stdout);
    for part in [
        "by group",
        "platform=windows",
        "kind=process_creation",
        "length=up to 40",
        "abstaining",
        "calibration by confidence",
        "surest wrong answers",
    ] {
        assert!(full.contains(part), "{part}\n{full}");
    }
    assert!(!full.contains('\u{1b}') && full.starts_with(&short[..short.find("\nruntime").unwrap()]));
    let json: Value = serde_json::from_slice(&evaluate(&["--data", &data, "--threshold", "0", "--json"]).stdout).unwrap();
    assert_eq!((json["report"]["total"].as_u64(), json["rows_left_out"].as_u64()), (Some(121), Some(1)));
    let source = json["worst_errors"][0]["source"].as_str().unwrap();
    assert!(source.contains("data.ndjson row "), "{source}");
    assert!(short.contains(&format!("{:.4}", json["report"]["accuracy"].as_f64().unwrap())));
    for key in [
        "model",
        "threshold",
        "false_positive_rate",
        "false_positive_rate_by_group",
        "operating_points",
        "seconds",
        "samples_per_second",
        "curve",
        "worst_errors",
    ] {
        assert!(!json[key].is_null(), "{key}");
    }
}

#[test]
fn models_baseline_robustness_and_drift_in_one_report() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(&folder);
    let report = folder.path().join("report.html");
    let report = report.to_str().unwrap();
    let tiny = tiny();
    let arguments = [
        "--model",
        tiny.to_str().unwrap(),
        "--data",
        &data,
        "--baseline-train",
        &data,
        "--robustness",
        "20",
        "--drift",
        &data,
        &data,
        "--report",
        report,
        "--resamples",
        "50",
    ];
    let output = evaluate(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    for part in [
        "side by side",
        "n-gram baseline against",
        "McNemar, exact: p = ",
        "obfuscated: n-gram baseline",
        "path variants",
        "drift of",
        "no more than chance does",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    assert!(shown.contains("right alone                  0 rows against 0; McNemar, exact: p = 1.0000"), "one model is no better than itself");
    assert!(!shown.contains('\u{1b}'));
    let page = std::fs::read_to_string(report).unwrap();
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script") && !page.contains('\u{1b}'));
    let again = evaluate(&arguments);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("--clobber"));
    let stable = |output: &Output| {
        text(&output.stdout).lines().filter(|line| !line.contains("second") && !line.contains("runtime")).map(str::to_owned).collect::<Vec<_>>()
    };
    let clobbered: Vec<&str> = arguments.iter().copied().chain(["--clobber", "--threads", "3"]).collect();
    let without_speed = |lines: Vec<String>| {
        lines.into_iter().map(|line| line.rsplit_once("  ").map_or(line.clone(), |cut| cut.0.trim_end().to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(without_speed(stable(&evaluate(&clobbered))), without_speed(stable(&output)), "the seed decides, not the threads");
}

#[test]
fn what_cannot_be_measured_is_said() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content, code, part) in [
        ("empty.ndjson", "", 2, "there are no rows in"),
        ("header.csv", "text,label\n", 2, "there are no rows in"),
        ("unknown.csv", "text,label\nx,T9999\n", 2, "none of the 1 rows has a label that is answered with"),
        ("written.csv", "text,label\nx,benign\ny,t1049\n", 2, "they are benign: 1 (did you mean Benign?), t1049: 1 (did you mean T1049, "),
        ("blank.csv", "text,label\nx,Benign\ny,\n", 3, "row 2: it has no label"),
        ("unlabelled.ndjson", "{\"text\":\"x\"}\n", 3, "row 1: it has no label"),
    ] {
        let output = evaluate(&["--data", &file(&folder, name, content), "--report", folder.path().join("never.html").to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(code), "{name}");
        assert!(text(&output.stderr).contains(part) && output.stdout.is_empty(), "{name}: {}", text(&output.stderr));
        assert!(!folder.path().join("never.html").exists());
    }
    for (name, content, part) in [
        ("one.csv", "text,label\nnet user,T1087.001\n", "no curve: rows of both are wanted"),
        ("benign.csv", "text,label\nls,Benign\ndir,Benign\n", "false-positive rate"),
        ("several.csv", "text,label,labels\nnetstat,T1049,\"T1049,T1003.002\"\nls,Benign,\n", "area under ROC"),
    ] {
        let output = evaluate(&["--data", &file(&folder, name, content), "--full", "--robustness"]);
        let shown = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", text(&output.stderr));
        assert!(shown.contains(part) && !shown.contains("NaN") && !shown.contains("inf"), "{name}: {shown}");
    }
    let unknown = evaluate(&["--data", &file(&folder, "unknown-shell.csv", "text,label\nls,Benign\n"), "--robustness"]);
    assert!(text(&unknown.stdout).contains("obfuscated: no row is known to be a shell's command"));
    let written = file(&folder, "written.csv", "text,label\nx,benign\n");
    let file = file(&folder, "ok.csv", "text,label\nls,Benign\n");
    for (arguments, part) in [
        (vec!["--data", &file, "--resamples", "100001"], "100000"),
        (vec!["--drift", &file], "--drift"),
        (vec!["--data", &file, "--json", "--full"], "--full"),
        (vec!["--data", &file, "--baseline-train", "missing.csv"], "missing.csv"),
        (vec!["--data", &file, "--baseline-train", &written], "answered with: they are benign: 1 (did you mean Benign?); answered with are Benign, "),
        (
            vec!["--data", &file, "--baseline-train", &file, &written],
            "--baseline-train: 1 rows left out: their labels are not answered with: benign: 1",
        ),
        (vec!["--data", &file, "--report", "-", "--json"], "both want standard output"),
    ] {
        assert!(text(&evaluate(&arguments).stderr).contains(part), "{arguments:?}");
    }
    // A log that can't be read, or a part of one, ends with its own status; the rest is measured.
    let log = tempfile::tempdir().unwrap();
    std::fs::write(log.path().join("picture.log"), b"\x89PNG\r\n\x1a\n").unwrap();
    let drift = || evaluate(&["--drift", &file, log.path().to_str().unwrap()]);
    let nothing = drift();
    assert!(nothing.status.code() == Some(3) && nothing.stdout.is_empty(), "{}", text(&nothing.stderr));
    std::fs::write(log.path().join("whole.log"), "ls\n").unwrap();
    let rest = drift();
    assert!(rest.status.code() == Some(3) && text(&rest.stdout).contains("drift of"), "{}", text(&rest.stderr));
}

#[test]
fn a_data_folder_is_its_test_rows_and_no_file_counts_twice() {
    let folder = tempfile::tempdir().unwrap();
    file(&folder, "test.csv", "text,label\nls,Benign\nnet user,T1087.001\n");
    let path = folder.path().to_str().unwrap();
    let again = format!("{path}/test.csv");
    let output = evaluate(&["--data", path, &again, "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("test.csv is named twice and counts once"), "{}", text(&output.stderr));
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap()["report"]["total"], 2);
    let empty = tempfile::tempdir().unwrap();
    let output = evaluate(&["--data", empty.path().to_str().unwrap()]);
    assert!(output.status.code() == Some(2) && text(&output.stderr).contains("is a folder without test.csv"), "{}", text(&output.stderr));
}

#[test]
fn a_file_is_no_model_folder() {
    let folder = tempfile::tempdir().unwrap();
    let data = file(&folder, "ok.csv", "text,label\nls,Benign\n");
    let output = Command::cargo_bin("attackline").unwrap().args(["evaluate", "--model", &data, "--data", &data]).output().unwrap();
    assert!(output.status.code() == Some(2) && text(&output.stderr).contains("it is a file; name the folder"), "{}", text(&output.stderr));
}
