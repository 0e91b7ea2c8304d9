//! Folders on disk: whole ones, written ones, damaged ones.
#![allow(clippy::unwrap_used, missing_docs)]

use attackline_model::{ModelError, ModelFolder, TextTokenizer};
use std::path::{Path, PathBuf};

fn tiny() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/data/tiny-bert")
}

fn copy(to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(tiny()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// What reading says of the small checkpoint after `damage` was done to a copy of it.
fn refusal(damage: impl Fn(&Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    copy(&path);
    damage(&path);
    match ModelFolder::read(&path).and_then(|folder| folder.tokenizer(None).map(drop)) {
        Ok(()) => panic!("the damaged folder was read"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_written_folder_reads_back_the_same_and_is_not_overwritten() {
    let target = tempfile::tempdir().unwrap();
    let path = target.path().join("copy");
    let folder = ModelFolder::read(&tiny()).unwrap();
    folder.write(&path).unwrap();
    let again = ModelFolder::read(&path).unwrap();
    for name in folder.weights.names() {
        assert_eq!(again.weights.tensor(name).unwrap(), folder.weights.tensor(name).unwrap(), "{name}");
    }
    assert_eq!(again.weights.names().count(), folder.weights.names().count());
    assert_eq!(again.config, folder.config);
    assert!(folder.write(&path).unwrap_err().to_string().contains("not overwritten"));
    assert_eq!(std::fs::read_dir(target.path()).unwrap().count(), 1, "no temporary folder is left");
}

#[test]
fn each_damage_is_named() {
    let missing = refusal(|path| std::fs::remove_file(path.join("tokenizer.json")).unwrap());
    assert!(missing.contains("no tokenizer.json"), "{missing}");
    let cut = refusal(|path| {
        let weights = std::fs::read(path.join("model.safetensors")).unwrap();
        std::fs::write(path.join("model.safetensors"), &weights[..weights.len() / 2]).unwrap();
    });
    assert!(cut.starts_with("model.safetensors"), "{cut}");
    let config = refusal(|path| std::fs::write(path.join("config.json"), "{").unwrap());
    assert!(config.starts_with("config.json"), "{config}");
    let tokenizer = refusal(|path| std::fs::write(path.join("tokenizer.json"), "{\"model\": 3}").unwrap());
    assert!(tokenizer.starts_with("tokenizer.json"), "{tokenizer}");
    let settings = refusal(|path| std::fs::write(path.join("attackline.json"), "{\"temperature\": -1}").unwrap());
    assert!(settings.contains("temperature"), "{settings}");
    let too_long = refusal(|path| std::fs::write(path.join("attackline.json"), "{\"max_length\": 5000}").unwrap());
    assert!(too_long.contains("96 tokens"), "{too_long}");
    let small_vocabulary = refusal(|path| {
        let config = std::fs::read_to_string(path.join("config.json")).unwrap();
        std::fs::write(path.join("config.json"), config.replace("\"vocab_size\": 220", "\"vocab_size\": 219")).unwrap();
    });
    assert!(small_vocabulary.contains("word_embeddings"), "{small_vocabulary}");
}

#[test]
fn no_folder_is_no_folder() {
    let error = ModelFolder::read(Path::new("no/such/folder")).unwrap_err();
    assert!(matches!(error, ModelError::NotAFolder { .. }), "{error}");
}

#[test]
fn long_lines_keep_their_head_and_their_tail() {
    let folder = ModelFolder::read(&tiny()).unwrap();
    let tokenizer: TextTokenizer = folder.tokenizer(Some(20)).unwrap();
    let whole = folder.tokenizer(None).unwrap().encode("tar czf one two three four five six seven eight nine").unwrap();
    let cut = tokenizer.encode("tar czf one two three four five six seven eight nine").unwrap();
    assert!(!whole.truncated && whole.ids.len() > 20, "the text must be long enough for this test");
    assert!(cut.truncated && cut.ids.len() == 20);
    assert_eq!(cut.ids[..15], whole.ids[..15]);
    assert_eq!(cut.ids[15..], whole.ids[whole.ids.len() - 5..]);
}

#[test]
fn nasty_strings_become_tokens() {
    let tokenizer = ModelFolder::read(&tiny()).unwrap().tokenizer(None).unwrap();
    for text in [
        "",
        " ",
        "\0\0\0",
        "\u{202e}\u{200b}\u{feff}",
        "😀👩\u{200d}👩\u{200d}👧",
        &" ".repeat(10_000),
        &"a\u{301}".repeat(500),
        &"x".repeat(1 << 20),
    ] {
        let encoded = tokenizer.encode(text).unwrap();
        assert!((2..=96).contains(&encoded.ids.len()), "{} bytes", text.len());
    }
}
