//! How commands that make models end: what can't be read, what can't be written, and signals.
#![allow(clippy::unwrap_used)]

use assert_cmd::Command;
use std::fs;
use std::path::Path;

/// The status and what is said on standard error.
fn ends(home: &Path, arguments: &str) -> (i32, String) {
    let mut command = Command::cargo_bin("attackline").unwrap();
    let output = command.current_dir(home).args(arguments.split_whitespace()).env("TMPDIR", home.join("temporary")).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// Labelled lines and a tiny base made from them.
fn base() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    fs::create_dir(home.join("temporary")).unwrap();
    let kinds = [("Benign", "copy notes to folder"), ("T1049", "connections of port"), ("T1087.001", "accounts of user")];
    let rows: String = (0..300).map(|row| format!("{} {row},{}\n", kinds[row % 3].1, kinds[row % 3].0)).collect();
    fs::write(home.join("rows.csv"), format!("text,label\n{rows}")).unwrap();
    assert_eq!(ends(home, "tokenizer train --data rows.csv --vocabulary 300 -o tokenizer").0, 0);
    let pretrain = "pretrain --data rows.csv --tokenizer tokenizer --hidden 16 --layers 1 --heads 2 --max-length 32 --epochs 1";
    let (code, said) = ends(home, &format!("{pretrain} -o base"));
    assert_eq!(code, 0, "{said}");
    folder
}

#[test]
fn what_cannot_be_read_or_written_ends_with_its_status() {
    let folder = base();
    let home = folder.path();
    let pretrain = "pretrain --tokenizer tokenizer --hidden 16 --layers 1 --heads 2 --max-length 32 --epochs 1";
    for (index, command) in ["tokenizer train --vocabulary 300", pretrain].into_iter().enumerate() {
        let (code, said) = ends(home, &format!("{command} --data rows.csv absent -o part-{index}"));
        assert!(code == 3 && said.contains("absent: no such file") && home.join(format!("part-{index}")).is_dir(), "{said}");
        let (code, said) = ends(home, &format!("{command} --data absent -o none"));
        assert!(code == 3 && !home.join("none").exists(), "{said}");
        let (code, said) = ends(home, &format!("{command} --data rows.csv -o rows.csv/below"));
        assert!(code == 3 && said.contains("cannot write rows.csv/below"), "{said}");
    }
    let train = "train --data rows.csv --base base --epochs 1";
    let (code, said) = ends(home, &format!("{train} -o rows.csv/below"));
    assert!(code == 3 && said.contains("cannot write rows.csv/below") && !said.contains("epoch 1"), "nothing is learnt before: {said}");
    let (code, said) = ends(home, "generate --samples 60 -o rows.csv/below");
    assert!(code == 3 && said.contains("cannot write rows.csv/below"), "{said}");

    let (code, said) = ends(home, &format!("{train} --checkpoint-dir run --resume -o model"));
    assert!(code == 0 && said.contains("run holds no checkpoint"), "{said}");
    let (code, said) = ends(home, "model calibrate model --benign rows.csv absent --fpr 0.02");
    assert!(code == 3 && said.contains("absent: no such file"), "{said}");
    let (code, said) = ends(home, "model quantize model --data rows.csv absent -o int8");
    assert!(code == 3 && home.join("int8").is_dir(), "{said}");
    let (code, said) = ends(home, "model quantize model --data rows.csv -o rows.csv/below");
    assert!(code == 3 && said.contains("cannot write rows.csv/below"), "{said}");
    let (code, said) = ends(home, "model merge base absent -o merged");
    assert!(code == 2 && said.contains("the adapter absent: it has no adapter_config.json"), "{said}");

    // An adapter is nothing without its base, and a folder with other things in it is not replaced.
    let (code, said) = ends(home, &format!("{train} --method lora --no-merge -o base --clobber"));
    assert!(code == 2 && said.contains("-o is the base"), "{said}");
    fs::write(home.join("model/notes.txt"), "mine").unwrap();
    let (code, said) = ends(home, &format!("{train} -o model --clobber"));
    assert!(code == 2 && said.contains("notes.txt") && home.join("model/notes.txt").is_file(), "{said}");
    for threads in ["0", "5000"] {
        assert_eq!(ends(home, &format!("{train} -o other --threads {threads}")).0, 2, "{threads}");
    }
}

/// `timeout` sends its signal to the process and then to the group that it is in.
#[cfg(unix)]
#[test]
fn a_signal_that_comes_twice_at_once_saves_the_state() {
    use std::process::{Command, Stdio};
    let folder = base();
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("attackline"));
    command.current_dir(folder.path()).args("train --data rows.csv --base base --epochs 100000 --checkpoint-dir run -o model".split(' '));
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    while !folder.path().join("run/checkpoint.safetensors").exists() {
        assert_eq!(child.try_wait().unwrap(), None, "it ended too early");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id, &id]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(130) && said.contains("the state is saved"), "{said}");
}
