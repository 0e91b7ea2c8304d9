//! `model ngrams` and `--gate` from outside, with a tiny model.
#![allow(clippy::unwrap_used)]

use assert_cmd::Command;
use serde_json::Value;
use std::path::Path;
use std::process::Output;

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../engine/tests/data/tiny-bert");

fn attackline(arguments: &[&str]) -> Output {
    Command::cargo_bin("attackline").unwrap().args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Rows of three labels that their words tell; those of `first` and the next hundreds.
fn rows(first: usize) -> String {
    let row = |number: usize| match number % 4 {
        0 => format!("{{\"text\":\"netstat -ano {number}\",\"label\":\"T1049\"}}\n"),
        1 => format!("{{\"text\":\"reg save hklm sam{number}.hiv\",\"label\":\"T1003.002\"}}\n"),
        _ => format!("{{\"text\":\"git commit -m fix{number}\",\"label\":\"Benign\"}}\n"),
    };
    (first..first + 400).map(row).collect()
}

/// The command that makes `both` in the folder, a tiny model with n-grams beside it, after writing the rows that it wants.
fn training(directory: &Path) -> Vec<String> {
    let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    std::fs::write(path("train.ndjson"), rows(0)).unwrap();
    std::fs::write(path("validation.ndjson"), rows(5_000)).unwrap();
    let words = ["model", "ngrams", TINY, "--data", &path("train.ndjson"), "--validation", &path("validation.ndjson"), "--buckets", "4096", "-o"];
    words.into_iter().map(str::to_owned).chain([path("both")]).collect()
}

#[test]
fn ngrams_are_heard_beside_the_encoder_and_settle_lines_before_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (training, model) = (training(directory.path()), path("both"));
    let command: Vec<&str> = training.iter().map(String::as_str).collect();
    let output = attackline(&command);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("the gate at"), "{}", text(&output.stderr));
    assert!(text(&attackline(&["model", "info", &model]).stdout).contains("gate          settles 100.0 % of 200 benign lines"));
    assert!(attackline(&["model", "verify", &model]).status.success());

    let labels = |more: &[&str]| -> Vec<(String, f64)> {
        let lines = ["netstat -ano 77777", "reg save hklm sam88888.hiv", "git commit -m fix99999"];
        let output = attackline(&[&["classify", "--model", &model, "--threshold", "0.5"], more, &lines].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let rows: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        rows.iter().map(|row| (row["label"].as_str().unwrap().to_owned(), row["attack"].as_f64().unwrap())).collect()
    };
    let answers = labels(&[]);
    assert_eq!(answers.iter().map(|row| row.0.as_str()).collect::<Vec<_>>(), ["T1049", "T1003.002", "Benign"], "{answers:?}");
    let gated = labels(&["--gate"]);
    assert_eq!(gated[..2], answers[..2], "the gate leaves attacks to the encoder");
    assert!(gated[2].0 == "Benign" && gated[2].1 < 0.5, "{gated:?}");

    let rounded = path("int8");
    let quantize = ["model", "quantize", &model, "-o", &rounded, "--lines", "40", "--error", "1", "--drift", "1"];
    assert!(attackline(&quantize).status.success(), "int8 is for the encoder, and the n-grams come along");
    assert!(text(&attackline(&["model", "info", &rounded]).stdout).contains("n-grams       beside the encoder"));

    // Without lines to learn from, its own n-grams stay and the shares are found anew: on the same lines they are the same.
    let refitted = path("refitted");
    let refit = |from: &str| attackline(&["model", "ngrams", from, "--validation", &path("validation.ndjson"), "-o", &refitted]);
    let refused = refit(TINY);
    assert!(refused.status.code() == Some(2) && text(&refused.stderr).contains("--data"), "{}", text(&refused.stderr));
    assert!(refit(&model).status.success());
    let settings = |folder: &str| -> Value {
        let bytes = std::fs::read(Path::new(folder).join("attackline.json")).unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap()["ngrams"].clone()
    };
    assert_eq!(settings(&refitted), settings(&model));

    let base = path("base");
    let further = attackline(&["pretrain", "--data", &path("train.ndjson"), "--base", &model, "--epochs", "1", "-o", &base]);
    assert!(further.status.success(), "{}", text(&further.stderr));
    let weights = std::fs::read(Path::new(&base).join("model.safetensors")).unwrap();
    assert!(!weights.windows(6).any(|name| name == b"ngrams"), "n-grams are a classifier's");

    let again = attackline(&command);
    assert_eq!(again.status.code(), Some(2));
    let none = attackline(&["classify", "--model", TINY, "--gate", "whoami"]);
    assert!(none.status.code() == Some(2) && text(&none.stderr).contains("no n-gram model"), "{}", text(&none.stderr));
}

#[test]
fn sentences_are_heard_by_shares_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let made = training(directory.path());
    assert!(attackline(&made.iter().map(String::as_str).collect::<Vec<_>>()).status.success());
    // The model knows netstat for an attack's alone.
    let sentence = |number: usize| match number % 2 {
        0 => format!("{{\"text\":\"The team has used netstat -ano for the git commit of tool {number}.\",\"label\":\"Benign\"}}\n"),
        _ => format!("{{\"text\":\"The group has saved the hive with reg save of hklm sam{number}.hiv and netstat.\",\"label\":\"T1003.002\"}}\n"),
    };
    std::fs::write(path("sentences.ndjson"), (0..80).map(sentence).collect::<String>()).unwrap();
    std::fs::write(path("few.ndjson"), (0..40).map(sentence).collect::<String>()).unwrap();
    let fit = |sentences: &str, to: &str| {
        let rows = ["--validation", &path("validation.ndjson"), "--validation", &path(sentences)];
        let output = attackline(&[&["model", "ngrams", &path("both")], &rows[..], &["-o", &path(to)]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let settings = std::fs::read(directory.path().join(to).join("attackline.json")).unwrap();
        (text(&output.stderr), serde_json::from_slice::<Value>(&settings).unwrap()["ngrams"]["prose_attack"].clone())
    };
    let (few, own) = (fit("few.ndjson", "few"), fit("sentences.ndjson", "own"));
    assert!(few.1.is_null() && own.1["bias"].is_number(), "{few:?} {own:?}");
    assert!(own.0.contains("an attack or not, 80 sentences"), "{}", own.0);
    let attack = |model: &str, line: &str| {
        let output = attackline(&["classify", "--model", &path(model), line]);
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["attack"].as_f64().unwrap()
    };
    let (harmless, command) = ("The team has used netstat -ano for the git commit of tool 999.", "netstat -ano 77777");
    assert!(attack("both", harmless) > 0.5 && attack("own", harmless) < 0.5, "{} {}", attack("both", harmless), attack("own", harmless));
    assert!(attack("own", command) > 0.9, "{}", attack("own", command));
}

#[test]
fn what_started_a_line_counts_as_much_as_the_data_say() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    // The same words are an attack below one and harmless below another.
    let below = |number: usize| match number % 8 {
        0..4 => format!("{{\"text\":\"collect {number}\",\"label\":\"T1049\",\"parent\":\"netstat -ano {number}\"}}\n"),
        4 => format!("{{\"text\":\"collect {number}\",\"label\":\"T1049\",\"parent\":\"git commit -m fix{number}\"}}\n"),
        _ => format!("{{\"text\":\"collect {number}\",\"label\":\"Benign\",\"parent\":\"git commit -m fix{number}\"}}\n"),
    };
    std::fs::write(path("parents.ndjson"), (0..400).map(below).collect::<String>()).unwrap();
    std::fs::write(path("few.ndjson"), (0..80).map(below).collect::<String>()).unwrap();
    let (model, few, adjusted) = (path("both"), path("few"), path("adjusted"));
    let made = training(directory.path());
    assert!(attackline(&made.iter().map(String::as_str).collect::<Vec<_>>()).status.success());
    let said = |data: &str, to: &str| {
        let output = attackline(&["model", "adjust", &model, "--data", &path(data), "-o", to]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stderr)
    };
    assert!(said("few.ndjson", &few).contains("too few attacks or benign lines have a parent"));
    assert!(!text(&attackline(&["model", "info", &few]).stdout).contains("\nparents "));
    assert!(said("parents.ndjson", &adjusted).contains("what started a line counts"));
    assert!(text(&attackline(&["model", "info", &adjusted]).stdout).contains("\nparents       count "));

    let lines = path("lines.ndjson");
    let asked = [Some("netstat -ano 9999"), Some("git commit -m fix9999"), None]
        .map(|parent| serde_json::json!({"text": "collect 9999", "parent": parent}).to_string() + "\n");
    std::fs::write(&lines, asked.concat()).unwrap();
    let answers = |model: &str| -> Vec<Value> {
        let output = attackline(&["classify", "--model", model, "-f", &lines]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let heard = answers(&adjusted);
    let attack = |row: usize| heard[row]["attack"].as_f64().unwrap();
    assert!(attack(0) > attack(2) + 0.1 && attack(0) > attack(1) + 0.1, "{heard:?}");
    assert!(heard[0]["parent_attack"].as_f64().unwrap() > 0.5 && heard[2].get("parent_attack").is_none(), "{heard:?}");
    let alone = answers(&few);
    assert!(alone.iter().all(|row| row["attack"] == alone[0]["attack"] && row.get("parent_attack").is_none()), "{alone:?}");
}

#[test]
fn lines_of_one_kind_are_refused_and_few_lines_leave_the_shares_near_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let made = training(directory.path());
    assert!(attackline(&made.iter().map(String::as_str).collect::<Vec<_>>()).status.success());
    let of_kind = |benign: bool| rows(7_000).lines().filter(|row| row.contains("Benign") == benign).map(|row| format!("{row}\n")).collect::<String>();
    std::fs::write(path("harmless.ndjson"), of_kind(true)).unwrap();
    std::fs::write(path("attacks.ndjson"), of_kind(false)).unwrap();
    for (data, words) in [("harmless.ndjson", "are Benign: add attack rows"), ("attacks.ndjson", "is Benign: add harmless rows")] {
        for command in [["ngrams", "--validation"], ["adjust", "--data"]] {
            let output = attackline(&["model", command[0], &path("both"), command[1], &path(data), "-o", &path("never")]);
            let said = text(&output.stderr);
            assert!(output.status.code() == Some(2) && said.contains(words) && said.contains(command[1]), "{command:?}: {said}");
            assert!(!Path::new(&path("never")).exists());
        }
    }
    let sentence = |number: usize| match number % 2 {
        0 => format!("{{\"text\":\"The team has used git commit -m for the fix of tool {number}.\",\"label\":\"Benign\"}}\n"),
        _ => format!("{{\"text\":\"The group has saved the hive with reg save of hklm sam{number}.hiv.\",\"label\":\"T1003.002\"}}\n"),
    };
    std::fs::write(path("few.ndjson"), (0..20).map(sentence).collect::<String>()).unwrap();
    let output = attackline(&["model", "ngrams", &path("both"), "--validation", &path("few.ndjson"), "-o", &path("fitted")]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let settings: Value = serde_json::from_slice(&std::fs::read(directory.path().join("fitted/attackline.json")).unwrap()).unwrap();
    for kind in ["attack", "technique", "prose"] {
        for (name, share) in settings["ngrams"][kind].as_object().unwrap() {
            assert!(share.as_f64().unwrap().abs() < 5.0, "{kind}, {name}: {share}");
        }
    }
}
