//! From lines to a model, as a user does it: tokenizer, base, training, an answer. All of it small.
#![allow(clippy::unwrap_used)]

use assert_cmd::Command;
use serde_json::Value;
use std::fs;
use std::path::Path;

fn attackline(home: &Path, arguments: &str) -> Command {
    let mut command = Command::cargo_bin("attackline").unwrap();
    command.current_dir(home).args(arguments.split_whitespace()).env("NO_COLOR", "1");
    command
}

/// What a command that works says on standard error.
fn says(home: &Path, arguments: &str) -> String {
    let output = attackline(home, arguments).assert().success().get_output().clone();
    String::from_utf8(output.stderr).unwrap()
}

/// What a command that fails says.
fn refuses(home: &Path, arguments: &str) -> String {
    let output = attackline(home, arguments).assert().failure().get_output().clone();
    String::from_utf8(output.stderr).unwrap()
}

/// Generated lines, and a base of one layer made from them.
fn base() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    says(home, "generate --samples 900 -o data");
    says(home, "tokenizer train --data data/train.csv --vocabulary 600 -o tokenizer");
    let said = says(home, "pretrain --data data/train.csv --tokenizer tokenizer --hidden 32 --layers 1 --heads 2 --max-length 64 --epochs 2 -o base");
    assert!(said.contains("restore"), "{said}");
    folder
}

#[test]
fn a_model_from_nothing_but_lines() {
    let folder = base();
    let home = folder.path();
    assert!(refuses(home, "pretrain --data data/train.csv --tokenizer tokenizer -o base").contains("exists already"));
    assert!(refuses(home, "pretrain --data data/train.csv --tokenizer data -o other").contains("tokenizer.json"));

    let shape = refuses(home, "pretrain --data data/train.csv --base base --hidden 64 -o further");
    assert!(shape.contains("--hidden"), "{shape}");
    let said = says(home, "pretrain --data data/train.csv --base base --max-length 64 --epochs 1 -o further");
    assert!(said.contains("restore"), "{said}");

    let train = "train --data data --base base --learning-rate 3e-3 --head-learning-rate 3e-3 --max-length 64 --batch-tokens 256";
    let said = says(home, &format!("{train} --epochs 6 -o model --metrics metrics.ndjson --tensorboard events --accumulate 2 --recompute"));
    assert!(said.contains("macro avg") && said.contains("model: the weights of epoch"), "{said}");
    let card = fs::read_to_string(home.join("model/README.md")).unwrap();
    for words in [
        "base: base",
        "| T1049 |",
        "train.csv, 720 rows",
        "attackline train --data data --base base",
        "weighted avg",
        "its most probable label of all",
    ] {
        assert!(card.contains(words), "{words}: {card}");
    }
    assert!(fs::read_to_string(home.join("model/training.svg")).unwrap().contains("validation loss"));
    let metrics = fs::read_to_string(home.join("metrics.ndjson")).unwrap();
    assert_eq!(metrics.lines().filter(|line| line.contains("\"kind\":\"epoch\"")).count(), 6);
    let answer = attackline(home, "classify --model model netstat").assert().success().get_output().stdout.clone();
    assert!(serde_json::from_slice::<Value>(&answer).unwrap()["label"].is_string());

    // Of a classifier that lines without labels are read into, the labels go.
    says(home, "pretrain --data data/train.csv --base model --max-length 64 --epochs 1 -o unlabelled");
    assert!(!fs::read_to_string(home.join("unlabelled/config.json")).unwrap().contains("T1049"));
    assert!(refuses(home, "classify --model unlabelled netstat").contains("without labels"));

    // Of the lines that it learnt from those that look least like attacks stand for harmless ones, and those that look most like them, too few
    // to count among the others, for another source of such.
    let answers = attackline(home, "classify --model model --from csv --field text -f data/train.csv").assert().success().get_output().stdout.clone();
    let mut answers: Vec<Value> = String::from_utf8(answers).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    answers.sort_by(|a, b| b["attack"].as_f64().unwrap().total_cmp(&a["attack"].as_f64().unwrap()));
    let plain = |text: &&str| text.starts_with(char::is_alphanumeric) && !text.contains(['\n', '{', '=']);
    let mut texts: Vec<&str> = answers.iter().filter_map(|answer| answer["text"].as_str()).filter(plain).collect();
    texts.dedup();
    fs::write(home.join("benign.txt"), texts[texts.len() - 200..].join("\n")).unwrap();
    fs::write(home.join("few.txt"), texts[..5].join("\n")).unwrap();
    let before = fs::read_to_string(home.join("model/attackline.json")).unwrap();
    let calibrate = "model calibrate model --benign benign.txt --attacks data/test.csv";
    let few = refuses(home, &format!("{calibrate} --fpr 0.001"));
    assert!(few.contains("3000 are wanted"), "{few}");
    #[cfg(unix)]
    fs::set_permissions(home.join("model/attackline.json"), std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    let set = attackline(home, &format!("{calibrate} --fpr 0.05")).assert().success().get_output().stdout.clone();
    let set = String::from_utf8(set).unwrap();
    assert!(set.contains("attacks found") && set.contains("(10 of 200"), "{set}");
    assert_ne!(fs::read_to_string(home.join("model/attackline.json")).unwrap(), before);
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(home.join("model/attackline.json")).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o640, "whoever could read the model still can");
    }
    let both = |flags: &str| {
        let arguments = format!("model calibrate model --benign benign.txt few.txt --fpr 0.05 --dry-run {flags}");
        String::from_utf8(attackline(home, &arguments).assert().success().get_output().stdout.clone()).unwrap()
    };
    let (all, each) = (both(""), both("--fpr-each 0.1"));
    assert!(all.contains("few.txt: ") && !all.contains("(0 of 5;"), "{all}");
    assert!(each.contains("few.txt: 0.00 % (0 of 5;"), "{each}");
    // What stands in two paths counts once, and one without lines does no harm.
    fs::write(home.join("empty.txt"), "").unwrap();
    let repeated = both("--benign few.txt empty.txt");
    assert!(repeated.contains("of 205;") && repeated.matches("few.txt: ").count() == 2, "{repeated}");

    for watch in ["--metrics metrics.ndjson", "--tensorboard events"] {
        assert!(refuses(home, &format!("{train} -o other {watch}")).contains("name a new"), "{watch}");
    }
    assert!(refuses(home, &format!("{train} -o model")).contains("--clobber"));
}

#[test]
fn another_tokenizer_takes_over_what_the_tokens_meant() {
    let folder = base();
    let home = folder.path();
    says(home, "train --data data --base base --learning-rate 3e-3 --head-learning-rate 3e-3 --epochs 4 --max-length 64 -o model");
    says(home, "tokenizer train --data data/train.csv --vocabulary 900 --lowercase --long-words -o longer");
    let refused = refuses(home, "model retokenize model --tokenizer data -o again");
    assert!(refused.contains("tokenizer.json"), "{refused}");
    says(home, "model retokenize model --tokenizer longer -o again");

    let json = |path: &str| serde_json::from_slice::<Value>(&fs::read(home.join(path)).unwrap()).unwrap();
    let size = json("longer/tokenizer.json")["model"]["vocab"].as_object().unwrap().len();
    assert_eq!(json("again/config.json")["vocab_size"], size);
    assert_eq!(json("again/config.json")["id2label"], json("model/config.json")["id2label"]);

    // Before it has learnt anything, the model with the new tokens says mostly what the old one says.
    let labels = |model: &str| {
        let answer =
            attackline(home, &format!("classify --model {model} -f data/test.csv --field text")).assert().success().get_output().stdout.clone();
        let lines = String::from_utf8(answer).unwrap();
        lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["label"].clone()).collect::<Vec<_>>()
    };
    let (before, after) = (labels("model"), labels("again"));
    let same = before.iter().zip(&after).filter(|(before, after)| before == after).count();
    assert!(before.len() > 50 && same * 10 > before.len() * 7, "{same} of {} lines keep their label", before.len());
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_under_the_metrics_costs_no_model() {
    let folder = base();
    let said = says(folder.path(), "train --data data --base base --epochs 1 -o model --max-length 64 --metrics /dev/full");
    assert!(said.contains("the metrics are not whole"), "{said}");
    assert!(folder.path().join("model/model.safetensors").is_file());
}

#[test]
fn several_labels_adapters_and_trials() {
    let folder = base();
    let home = folder.path();
    let rows = "{\"text\":\"net user & netstat -ano\",\"labels\":[\"T1087.001\",\"T1049\"]}\n";
    fs::write(home.join("more.ndjson"), rows).unwrap();
    let train = "train --data data --data more.ndjson --data-weights 1,3 --base base --max-length 64 --epochs 1";
    says(home, &format!("{train} --several-labels -o several"));
    let config: Value = serde_json::from_slice(&fs::read(home.join("several/config.json")).unwrap()).unwrap();
    assert_eq!(config["problem_type"], "multi_label_classification");
    let answer = attackline(home, "classify --model several --threshold 0 netstat").assert().success().get_output().stdout.clone();
    assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap()["labels"].as_array().unwrap().len(), 3);
    assert!(refuses(home, &format!("{train} --data-weights 2 -o x")).contains("--data-weights"));

    says(home, &format!("{train} --method lora --no-merge -o adapter"));
    for file in ["adapter_config.json", "adapter_model.safetensors", "README.md", "training.svg"] {
        assert!(home.join("adapter").join(file).is_file(), "{file}");
    }
    says(home, "model merge base adapter -o merged");

    let search = format!("{train} --trials 3 --checkpoint-dir search -o found");
    let said = says(home, &search);
    assert!(said.contains("the best is trial"), "{said}");
    let trials = fs::read_to_string(home.join("search/trials.ndjson")).unwrap();
    assert_eq!(trials.lines().count(), 3);
    let kept = fs::read_dir(home.join("search")).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir()).count();
    assert_eq!(kept, 1, "only the best keeps its checkpoint");
    let again = says(home, &format!("{search} --clobber --resume"));
    assert!(again.contains("the best is trial") && !again.contains("trial 1 of 3"), "{again}");
    assert_eq!(fs::read_to_string(home.join("search/trials.ndjson")).unwrap(), trials);
}

#[test]
fn parquet_is_read_and_damage_is_named() {
    let folder = base();
    let home = folder.path();
    fs::write(home.join("rows.parquet"), b"PAR1 and nothing more PAR1").unwrap();
    let said = refuses(home, "train --data rows.parquet --base base -o model");
    assert!(said.contains("rows.parquet"), "{said}");
    fs::write(home.join("labels.ndjson"), "{\"text\":\"a\",\"labels\":{\"x\":1}}\n").unwrap();
    assert!(refuses(home, "train --data labels.ndjson --base base -o model").contains("labels are a list"), "a list is wanted");
}

#[test]
fn what_stands_beside_an_output_is_left_alone() {
    let folder = base();
    let home = folder.path();
    let beside = ["model.new", "model.partial", "copy.new", "copy.partial"];
    for name in beside {
        fs::create_dir(home.join(name)).unwrap();
        fs::write(home.join(name).join("kept.txt"), name).unwrap();
    }
    let train = "train --data data --base base --epochs 1 --max-length 128";
    let said = says(home, &format!("{train} -o model"));
    assert!(said.contains("lines of up to 64 tokens"), "{said}");
    says(home, &format!("{train} --method lora --no-merge -o model --clobber"));
    assert!(home.join("model/adapter_config.json").is_file() && !home.join("model/model.safetensors").exists());
    says(home, &format!("{train} -o model --clobber"));
    says(home, "model export model -o copy");
    says(home, "model export model -o within/another/copy");
    assert!(home.join("copy/model.safetensors").is_file() && home.join("within/another/copy/config.json").is_file());
    for name in beside {
        assert_eq!(fs::read_to_string(home.join(name).join("kept.txt")).unwrap(), name);
    }
    let names = fs::read_dir(home).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.starts_with('.')).collect::<Vec<_>>(), Vec::<String>::new(), "no temporary folder is left");
}

#[test]
fn choices_that_do_nothing_are_refused_and_a_model_without_benign_is_warned_of() {
    let folder = base();
    let home = folder.path();
    let train = "train --data data --base base --epochs 1 --max-length 64 -o other";
    for (flags, words) in [
        ("--freeze-layers 99", "the base has 1 layers"),
        ("--lora-rank 4", "--lora-rank is for --method lora; this is --method full"),
        ("--rslora --method head", "--rslora is for --method lora; this is --method head"),
        ("--keep-norms", "--keep-norms is for --method bitfit"),
        ("--labels T9999", "no training row has the label T9999; the data have Benign, T1003.002, T1049, T1087.001"),
        ("--data tokenizer", "train.csv is not there: a data folder holds train.csv and validation.csv"),
    ] {
        let said = refuses(home, &format!("{train} {flags}"));
        assert!(said.contains(words), "{flags}: {said}");
    }
    let said = says(home, &format!("{train} --benign-limit 0"));
    assert!(said.contains("warning: no Benign row is left to learn from") && said.contains("raise --benign-limit"), "{said}");
}

#[test]
fn fewer_generated_lines_than_asked_for_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let refused = refuses(home, "generate --samples 59 -o few");
    assert!(refused.contains("59 samples are too few") && refused.contains("ask for at least 60"), "{refused}");
    let refused = refuses(home, "generate --labels all --samples 200 -o few");
    assert!(refused.contains("200 samples are too few"), "{refused}");
    assert!(!home.join("few").exists());
    let said = says(home, "generate --labels T1049,T1105,T1207 --samples 60 -o some");
    assert!(said.contains("rows instead of 60") && said.contains("of the 3 techniques a tenth of 60 samples has no row; from --samples "), "{said}");
}
