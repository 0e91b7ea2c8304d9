//! `attackline evaluate --sigma-rules`, with a stand-in that answers in rsigma's format, and with rsigma itself where `ATTACKLINE_RSIGMA` names it.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use assert_cmd::Command;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Output;
use tempfile::TempDir;

/// What rsigma 0.23 does, for rules that are written here: `(what the command line holds, level, tags)`.
const STAND_IN: &str = r#"#!/usr/bin/env python3
import json, sys
given = sys.argv[1:]
assert given[:2] == ["engine", "eval"] and "--include-event" in given and "--logsource-routing" in given, given
rules = [("netstat", "high", ["attack.discovery", "attack.t1049"]), ("net user", "low", ["attack.t1087"]), ("alert(", None, [])]
print("Loaded 3 rules from", given[given.index("--rules") + 1], file=sys.stderr, flush=True)
events = matches = 0
for line in sys.stdin:
    events += 1
    event = json.loads(line)
    for needle, level, tags in rules:
        if needle in event.get("CommandLine", ""):
            matches += 1
            fields = [{"field": "CommandLine", "value": event["CommandLine"]}]
            print(json.dumps({"rule_title": needle, "rule_id": None, "level": level, "tags": tags,
                              "matched_selections": ["selection"], "matched_fields": fields, "event": event}))
sys.stdout.flush()
print(f"Processed {events} events, {matches} matches.", file=sys.stderr)
"#;

fn file(folder: &TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A program in place of rsigma; `None`, loudly, where such a script can't run.
fn stand_in(folder: &TempDir, name: &str, script: &str) -> Option<String> {
    let path = file(folder, name, script);
    #[cfg(unix)]
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let runs = cfg!(unix) && std::process::Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success());
    if !runs {
        eprintln!("SKIPPED: no script can stand in for rsigma here (Unix and python3 are wanted)");
    }
    runs.then_some(path)
}

/// 60 attack and 60 benign rows, and an attack that nobody finds.
fn data(folder: &TempDir) -> String {
    let mut rows = String::new();
    for number in 0..120 {
        let (text, label, platform) = match number % 4 {
            0 => (format!("netstat -ano {number}"), "T1049", "windows"),
            1 => (format!("net user user{number}"), "T1087.001", "windows"),
            2 => (format!("ls -l /tmp/{number}"), "Benign", "linux"),
            _ => (format!("\u{1b}[2J<script>alert({number})</script>"), "Benign", "linux"),
        };
        let row = json!({"text": text, "label": label, "platform": platform, "kind": "process_creation", "user": number, "image": null});
        rows.push_str(&format!("{row}\n"));
    }
    rows.push_str("{\"text\":\"x\",\"label\":\"T9999\",\"labels\":[\"T9999\",\"T1049\"]}\n{\"text\":\"y\",\"label\":\"T9999\"}\n");
    file(folder, "data.ndjson", &rows)
}

fn evaluate(arguments: &[&str]) -> Output {
    let tiny: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/data/tiny-bert");
    let mut command = Command::cargo_bin("attackline").unwrap();
    command.arg("evaluate").arg("--model").arg(tiny).args(arguments).timeout(std::time::Duration::from_secs(300)).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The figures of the rules beside those of the model.
fn figures(arguments: &[&str]) -> Value {
    let output = evaluate(&[arguments, &["--json", "--resamples", "20"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(all["comparisons"].as_array().unwrap().len(), 1);
    all["other_models"][0].clone()
}

#[test]
fn rules_stand_beside_the_model_in_every_report() {
    let folder = tempfile::tempdir().unwrap();
    let Some(program) = stand_in(&folder, "rsigma", STAND_IN) else { return };
    let (data, page) = (data(&folder), folder.path().join("report.html"));
    let given = ["--data", &data, "--rsigma", &program, "--sigma-rules", "the-rules"];
    let output =
        evaluate(&[&given[..], &["--robustness", "20", "--report", page.to_str().unwrap(), "--resamples", "20", "--evidence", "2"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("3 Sigma rules loaded from the-rules"));
    let shown = text(&output.stdout);
    for part in ["== Sigma rules ==", "Sigma rules against", "obfuscated: Sigma rules", "no technique", "Sigma rules, threshold 0.5"] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    assert!(!shown.contains("evidence: Sigma rules") && !shown.contains('\u{1b}'));
    assert!(std::fs::read_to_string(page).unwrap().contains("Sigma rules"));

    let all = figures(&given);
    let labels: Vec<&str> = all["report"]["classes"].as_array().unwrap().iter().map(|class| class["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["Benign", "T1003.002", "T1087.001", "T1049", "no technique"]);
    // T1087 is none of the labels, so those lines are found without a technique; a rule without a level counts too.
    let matrix = json!([[30, 0, 0, 0, 30], [0, 0, 0, 0, 0], [0, 0, 0, 0, 30], [1, 0, 0, 30, 0], [0, 0, 0, 0, 0]]);
    assert_eq!(all["report"]["matrix"], matrix);
    let f1 = |label: usize| all["report"]["classes"][label]["f1"].as_f64().unwrap();
    // T1003.002 is neither in the data nor among the answers.
    let mean = [0, 2, 3].into_iter().map(f1).sum::<f64>() / 3.0;
    assert!((all["report"]["macro_average"]["f1"].as_f64().unwrap() - mean).abs() < 1e-12);

    let grave = figures(&[&given[..], &["--sigma-level", "high"]].concat());
    assert_eq!(grave["model"], "Sigma rules from high");
    assert_eq!(grave["report"]["matrix"][0][0], 60);
    assert_eq!(grave["report"]["matrix"][2][0], 30);
    assert_eq!(grave["report"]["matrix"][3][3], 30);
}

#[test]
fn much_is_written_and_read_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let Some(program) = stand_in(&folder, "rsigma", STAND_IN) else { return };
    let row = |number: usize| format!("{{\"text\":\"netstat {}{number}\",\"label\":\"T1049\"}}\n", "x".repeat(2_000));
    let data = file(&folder, "long.ndjson", &(0..300).map(row).collect::<String>());
    assert_eq!(figures(&["--data", &data, "--rsigma", &program, "--sigma-rules", "r"])["report"]["accuracy"], 1.0);
}

#[test]
fn what_goes_wrong_with_rsigma_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(&folder);
    let run = |program: &str| {
        let output = evaluate(&["--data", &data, "--rsigma", program, "--sigma-rules", "r"]);
        assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(2), true), "{}", text(&output.stdout));
        text(&output.stderr)
    };
    let missing = run("/no/such/rsigma");
    assert!(missing.contains("there is no program /no/such/rsigma") && missing.contains("cargo install rsigma"), "{missing}");
    let Some(_) = stand_in(&folder, "try", STAND_IN) else { return };
    let loaded = "#!/bin/sh\necho 'Loaded 3 rules from r' >&2\n";
    for (script, part) in [
        ("#!/bin/sh\necho 'Error compiling rules: bad' >&2\nexit 2\n".to_owned(), "rsigma failed (exit status: 2): Error compiling rules: bad"),
        (
            "#!/bin/sh\necho 'Warning: 7 parse errors' >&2\necho 'Loaded 0 rules from r' >&2\necho 'Processed 0 events' >&2\n".to_owned(),
            "no rule that can be used in r; rsigma: 7 parse errors",
        ),
        (format!("{loaded}n=$(cat | wc -l)\n[ $n -gt 0 ] && n=$((n-1))\necho \"Processed $n events\" >&2\n"), "rsigma answered 120 of 121 rows"),
        (format!("{loaded}head -n 0\necho 'Processed 0 events' >&2\n"), "rsigma answered 0 of 121 rows"),
        (format!("{loaded}cat\necho 'Processed 0 events' >&2\n"), "rsigma does not say which row"),
        (format!("{loaded}echo nonsense\nexec sleep 1000\n"), "rsigma wrote what is no match: nonsense"),
        (loaded.to_owned(), "rsigma does not say how many rows it answered"),
    ] {
        let said = run(&stand_in(&folder, "rsigma", &script).unwrap());
        assert!(said.contains(part), "{part}\n{said}");
    }
    let output = evaluate(&["--data", &data, "--sigma-level", "high"]);
    assert!(text(&output.stderr).contains("--sigma-rules"), "a level alone says nothing");
}

const RULES: [(&str, &str); 6] = [
    ("process_creation\n    product: windows", "    CommandLine|contains: netstat\nlevel: high\ntags: [attack.discovery, attack.t1049]"),
    (
        "process_creation\n    product: windows",
        "    Image|endswith: '\\net.exe'\n    CommandLine|contains: ' user '\nlevel: low\ntags: [attack.t1087.001]",
    ),
    ("process_creation\n    product: linux", "    CommandLine|contains: alert(\nlevel: medium"),
    ("process_creation\n    product: macos", "    CommandLine|contains: ls\nlevel: critical\ntags: [attack.t1003.002]"),
    ("file_event\n    product: windows", "    Image|endswith: .exe\nlevel: critical\ntags: [attack.t1003.002]"),
    ("ps_script\n    product: windows", "    ScriptBlockText|contains: Dump-Sam\nlevel: critical\ntags: [attack.t1003.002]"),
];

#[test]
fn rsigma_itself_runs_rules() {
    let Some(program) = std::env::var_os("ATTACKLINE_RSIGMA") else {
        eprintln!("SKIPPED: ATTACKLINE_RSIGMA names no rsigma to test with");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules");
    std::fs::create_dir(&rules).unwrap();
    for (number, (category, rest)) in RULES.iter().enumerate() {
        let (selection, rest) = rest.split_once("\nlevel").unwrap();
        let rule = format!(
            "title: rule {number}\nlogsource:\n    category: {category}\ndetection:\n  selection:\n{selection}\n  condition: selection\nlevel{rest}\n"
        );
        std::fs::write(rules.join(format!("{number}.yml")), rule).unwrap();
    }
    std::fs::write(rules.join("broken.yml"), "title: [\n").unwrap();
    let mut lines = std::fs::read_to_string(data(&folder)).unwrap();
    lines.push_str("{\"text\":\"Dump-Sam -All\",\"label\":\"T1003.002\",\"kind\":\"powershell\",\"platform\":\"windows\"}\n");
    let data = file(&folder, "more.ndjson", &lines);
    let given = ["--data", &data, "--rsigma", program.to_str().unwrap(), "--sigma-rules", rules.to_str().unwrap()];
    let found = figures(&given);
    let matrix = json!([[30, 0, 0, 0, 30], [0, 1, 0, 0, 0], [0, 0, 30, 0, 0], [1, 0, 0, 30, 0], [0, 0, 0, 0, 0]]);
    assert_eq!(found["report"]["matrix"], matrix);
    let output = evaluate(&[&given[..], &["--robustness", "10", "--resamples", "20"]].concat());
    assert!(text(&output.stderr).contains("6 Sigma rules loaded from"), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("obfuscated: Sigma rules"));
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let output = evaluate(&["--data", &data, "--rsigma", program.to_str().unwrap(), "--sigma-rules", empty.to_str().unwrap()]);
    assert!(text(&output.stderr).contains("there is no rule that can be used in"), "{}", text(&output.stderr));
    let output = evaluate(&["--data", &data, "--rsigma", program.to_str().unwrap(), "--sigma-rules", "no-such-folder"]);
    assert!(text(&output.stderr).contains("no-such-folder"), "{}", text(&output.stderr));
}
