//! `attackline import` from outside: what it writes where, and how it ends.
#![allow(clippy::unwrap_used)]

use assert_cmd::Command;
use serde_json::Value;
use std::path::Path;
use std::process::Output;

fn import(folder: &Path, arguments: &[&str]) -> Output {
    Command::cargo_bin("attackline").unwrap().current_dir(folder).arg("import").args(arguments).output().unwrap()
}

fn ended(output: &Output) -> (i32, String) {
    (output.status.code().unwrap(), String::from_utf8(output.stderr.clone()).unwrap())
}

fn rows(path: &Path) -> Vec<Value> {
    std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A checkout with a technique of an older version of ATT&CK, one of a newer, one that no version has, and a damaged file.
fn checkout() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (id, command) in [("T1214", "program one"), ("T1685", "program two"), ("T9999", "program three"), ("T1049", "program one")] {
        let text =
            format!("attack_technique: {id}\natomic_tests:\n- supported_platforms: [linux]\n  executor:\n    name: sh\n    command: {command}\n");
        let path = folder.path().join(format!("atomics/{id}/{id}.yaml"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    std::fs::create_dir(folder.path().join("atomics/T1003")).unwrap();
    std::fs::write(folder.path().join("atomics/T1003/T1003.yaml"), "attack_technique: [").unwrap();
    folder
}

#[test]
fn labels_become_those_of_our_version_and_what_is_wrong_is_said() {
    let folder = checkout();
    let (code, message) = ended(&import(folder.path(), &["atomic", ".", "-o", "out.ndjson"]));
    assert_eq!(code, 3, "{message}");
    for said in ["T1003.yaml: ", "no place in ATT&CK 18.1, left out: T9999 (1)", "2 attack and 0 benign rows from 4 files"] {
        assert!(message.contains(said), "{message}");
    }
    let rows = rows(&folder.path().join("out.ndjson"));
    let found: Vec<(&str, &str)> = rows.iter().map(|row| (row["text"].as_str().unwrap(), row["label"].as_str().unwrap())).collect();
    assert_eq!(found, [("program one", "T1049"), ("program two", "T1562.001")]);
    assert_eq!((&rows[0]["labels"], rows[1].get("labels")), (&serde_json::json!(["T1049", "T1552.002"]), None));
}

#[test]
fn a_file_is_replaced_only_with_clobber_and_appears_only_with_rows() {
    let folder = checkout();
    let out = folder.path().join("out.ndjson");
    let (code, message) = ended(&import(folder.path(), &["atomic", "absent", "-o", "out.ndjson"]));
    assert!(code == 3 && message.contains("absent: ") && message.contains("nothing is written") && !out.exists(), "{message}");
    std::fs::write(&out, "mine").unwrap();
    let (code, message) = ended(&import(folder.path(), &["atomic", "atomics/T1049", "-o", "out.ndjson"]));
    assert!(code == 2 && message.contains("--clobber"), "{message}");
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "mine");
    assert_eq!(ended(&import(folder.path(), &["atomic", "atomics/T1049", "-o", "out.ndjson", "--clobber"])).0, 0);
    assert_eq!(rows(&out).len(), 1);
    assert_eq!(ended(&import(folder.path(), &["nothing", ".", "-o", "-"])).0, 2);
}

#[test]
fn files_are_put_together_and_no_benign_row_has_an_attacks_text() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("benign.csv"), "text,label,kind\nlisting,Benign,shell\nother,benign ,shell\n").unwrap();
    std::fs::write(folder.path().join("attack.ndjson"), "{\"text\":\"listing\",\"label\":\"t1049\",\"source\":\"ours\"}\n").unwrap();
    // What is read is not replaced, neither by name nor as part of a folder.
    for path in ["benign.csv", "."] {
        let (code, message) = ended(&import(folder.path(), &["labelled", path, "-o", "benign.csv", "--clobber"]));
        assert!(code == 2 && message.contains("name another file"), "{message}");
    }
    let arguments = ["labelled", "benign.csv", "attack.ndjson", "-o", "-", "--licence", "MIT"];
    let output = import(folder.path(), &arguments);
    assert_eq!(ended(&output).0, 0);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let found: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(found.len(), 2);
    assert_eq!((&found[0]["label"], &found[0]["licence"]), (&Value::from("T1049"), &Value::from("MIT")));
    assert_eq!((&found[1]["text"], &found[1]["label"]), (&Value::from("other"), &Value::from("Benign")));
    assert_eq!(import(folder.path(), &arguments).stdout, output.stdout, "the same input gives the same bytes");
}
