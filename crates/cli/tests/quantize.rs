//! `model quantize` and `bench` from outside, with a tiny model.
#![allow(clippy::unwrap_used)]

use assert_cmd::Command;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Output;

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/data/tiny-bert")
}

fn attackline(arguments: &[&str]) -> Output {
    Command::cargo_bin("attackline").unwrap().args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_quantised_folder_is_said_to_be_one_and_answers_nearly_as_before() {
    let directory = tempfile::tempdir().unwrap();
    let (model, tiny) = (directory.path().join("int8"), tiny());
    let (model, tiny) = (model.to_str().unwrap(), tiny.to_str().unwrap());
    let before = std::fs::read(Path::new(tiny).join("model.safetensors")).unwrap();
    // The tiny model's weights are random, so that its errors are those of no trained one.
    let quantize = ["model", "quantize", tiny, "-o", model, "--lines", "40", "--error", "1", "--drift", "1"];
    let output = attackline(&quantize);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("12 of 12 products compute in int8"), "{}", text(&output.stderr));
    assert_eq!(std::fs::read(Path::new(tiny).join("model.safetensors")).unwrap(), before, "the original stays as it is");
    assert!(text(&attackline(&["model", "info", model]).stdout).contains("int8, 12 of 12 products of the layers"));
    assert!(attackline(&["model", "verify", model]).status.success());
    let scores = |model: &str| -> Vec<f64> {
        let output = attackline(&["classify", "--model", model, "--scores", "--output-format", "ndjson", "net user /domain"]);
        let row: Value = serde_json::from_slice(&output.stdout).unwrap();
        row["scores"].as_object().unwrap().values().map(|score| score.as_f64().unwrap()).collect()
    };
    let (exact, rounded) = (scores(tiny), scores(model));
    assert_ne!(exact, rounded);
    assert!(exact.iter().zip(&rounded).all(|(a, b)| (a - b).abs() < 0.05), "{exact:?} {rounded:?}");

    let again = attackline(&quantize);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("exists already"), "{}", text(&again.stderr));
    let twice = attackline(&["model", "quantize", model, "-o", &format!("{model}2")]);
    assert_eq!(twice.status.code(), Some(2));
    assert!(text(&twice.stderr).contains("int8 already"), "{}", text(&twice.stderr));
}

#[test]
fn bench_measures_every_case_and_says_where_the_time_goes() {
    let tiny = tiny();
    let bench = |more: &[&str]| attackline(&[&["bench", "--model", tiny.to_str().unwrap(), "--seconds", "0.02", "--threads", "2"], more].concat());
    let output = bench(&["--int8", "--profile", "--lengths", "8,ragged", "--batch", "1,5"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    for (length, batch) in [("8", "1"), ("8", "5"), ("ragged", "1"), ("ragged", "5")] {
        let row = rows.iter().find(|row| row.len() == 7 && row[..2] == [length, batch]).unwrap_or_else(|| panic!("{length} {batch} in {table}"));
        assert!(row[2..].iter().all(|number| number.parse::<f64>().unwrap() > 0.0), "{row:?}");
    }
    assert_eq!(table.matches("feed-forward up").count(), 4, "{table}");
    for (wrong, message) in [("0", "above 0"), ("100000", "reads lines of up to")] {
        let output = bench(&["--lengths", wrong]);
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        assert!(text(&output.stderr).contains(message), "{}", text(&output.stderr));
    }
}
