//! Folders on disk: whole ones, written ones, damaged ones.
#![allow(clippy::unwrap_used, missing_docs)]

use attackline_model::{Floats, ModelError, ModelFolder, TextTokenizer};
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

/// The weights of the small checkpoint divided among two files with an index.
fn shard(path: &Path) {
    let bytes = std::fs::read(path.join("model.safetensors")).unwrap();
    let whole = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut names: Vec<&str> = whole.names();
    names.sort_unstable();
    let mut map = serde_json::Map::new();
    for (number, part) in names.chunks(names.len().div_ceil(2)).enumerate() {
        let file = format!("model-{number}-of-2.safetensors");
        let views: Vec<_> = part.iter().map(|name| (*name, whole.tensor(name).unwrap())).collect();
        std::fs::write(path.join(&file), safetensors::serialize(views, None).unwrap()).unwrap();
        map.extend(part.iter().map(|name| (name.to_string(), file.clone().into())));
    }
    std::fs::write(path.join("model.safetensors.index.json"), serde_json::json!({"weight_map": map}).to_string()).unwrap();
    std::fs::remove_file(path.join("model.safetensors")).unwrap();
}

#[test]
fn shards_are_one_model_and_each_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    copy(&path);
    shard(&path);
    let (whole, sharded) = (ModelFolder::read(&tiny()).unwrap(), ModelFolder::read(&path).unwrap());
    for name in whole.weights.names() {
        assert_eq!(whole.weights.tensor(name).unwrap(), sharded.weights.tensor(name).unwrap(), "{name}");
    }
    let missing = refusal(|path| {
        shard(path);
        std::fs::remove_file(path.join("model-1-of-2.safetensors")).unwrap();
    });
    assert!(missing.contains("model-1-of-2.safetensors, which is not there"), "{missing}");
    let change_index = |from: &'static str, to: &'static str| {
        refusal(move |path| {
            shard(path);
            let index = path.join("model.safetensors.index.json");
            let text = std::fs::read_to_string(&index).unwrap();
            assert!(text.contains(from));
            std::fs::write(index, text.replacen(from, to, 1)).unwrap();
        })
    };
    let outside = change_index("\"model-0-of-2.safetensors\"", "\"../../etc/model.safetensors\"");
    assert!(outside.contains("not the name of a file in this folder"), "{outside}");
    let surplus = change_index("{\"weight_map\":{", "{\"weight_map\":{\"extra\":\"model-0-of-2.safetensors\",");
    assert!(surplus.contains("names the tensor extra"), "{surplus}");
    let broken = change_index("weight_map", "weights");
    assert!(broken.contains("no weight_map"), "{broken}");
}

#[test]
fn a_table_is_used_in_the_file_and_bad_numbers_in_it_are_refused() {
    const WORDS: &str = "bert.embeddings.word_embeddings.weight";
    let folder = ModelFolder::read(&tiny()).unwrap();
    let table = folder.weights.floats_in_place(WORDS).unwrap();
    assert!(matches!(table, Floats::Mapped(_)), "a safetensors file of this program begins its tensors at multiples of eight");
    assert_eq!(*table, *folder.weights.tensor(WORDS).unwrap().data);

    assert!(matches!(folder.weights.in_memory().floats_in_place(WORDS).unwrap(), Floats::Held(_)));

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model");
    copy(&path);
    let file = path.join("model.safetensors");
    let mut bytes = std::fs::read(&file).unwrap();
    let whole = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let start = whole.tensor(WORDS).unwrap().data().as_ptr().addr() - bytes.as_ptr().addr();
    bytes[start + 40..start + 44].copy_from_slice(&f32::INFINITY.to_le_bytes());
    std::fs::write(&file, &bytes).unwrap();
    let message = ModelFolder::read(&path).unwrap().weights.floats_in_place(WORDS).unwrap_err().to_string();
    assert!(message.contains(WORDS) && message.contains("inf"), "{message}");

    // Another program's file, whose tensors begin anywhere.
    bytes[start + 40..start + 44].copy_from_slice(&0.5f32.to_le_bytes());
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    bytes[..8].copy_from_slice(&(length + 1).to_le_bytes());
    bytes.insert(8 + length as usize, b' ');
    std::fs::write(&file, &bytes).unwrap();
    let table = ModelFolder::read(&path).unwrap().weights.floats_in_place(WORDS).unwrap();
    assert!(matches!(table, Floats::Held(_)));
    assert_eq!(table[10], 0.5);
}

#[test]
fn all_missing_weights_are_listed_with_what_was_not_known() {
    let sound = ModelFolder::read(&tiny()).unwrap();
    let mut weights = sound.weights.clone();
    for layer in 0..2 {
        let tensor = weights.tensor(&format!("bert.encoder.layer.{layer}.output.dense.bias")).unwrap();
        weights.remove(&format!("bert.encoder.layer.{layer}.output.dense.bias"));
        weights.insert(format!("bert.encoder.layer.{layer}.output.dens.bias"), tensor);
    }
    let message = ModelFolder::from_parts(sound.files, weights).unwrap_err().to_string();
    assert!(message.contains("2 tensors are missing") && message.contains("layer.1.output.dense.bias") && message.contains("dens.bias"), "{message}");
}
