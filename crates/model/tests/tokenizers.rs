//! Tokenizers as they are published, against SentencePiece and `transformers`, and damaged ones.
#![allow(clippy::unwrap_used, missing_docs)]

use attackline_model::{ModelFolder, TextTokenizer};
use serde_json::Value;
use std::path::PathBuf;

const NAMES: [&str; 4] = ["spm", "spm-bytes", "bpe", "words"];

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/tokenizers").join(name)
}

fn tokenizer(name: &str) -> TextTokenizer {
    ModelFolder::read_tokenizer(&path(name), 64).unwrap()
}

#[test]
fn tokens_equal_those_of_the_reference_libraries() {
    let rows: Vec<Value> = serde_json::from_slice(&std::fs::read(path("expected.json")).unwrap()).unwrap();
    for name in NAMES {
        let tokenizer = tokenizer(name);
        for row in &rows {
            let text = row["text"].as_str().unwrap();
            let wanted: Vec<u32> = row[name].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
            assert_eq!(tokenizer.tokens(text).unwrap(), wanted, "{name}: {text:?}");
        }
    }
}

#[test]
fn special_tokens_stand_at_both_ends_of_every_line() {
    for (name, first, last) in [("spm", 1, 2), ("spm-bytes", 1, 2), ("bpe", 0, 2), ("words", 2, 3)] {
        let tokenizer = tokenizer(name);
        for line in ["", "ipconfig", &"long ".repeat(500)] {
            let encoded = tokenizer.encode(line).unwrap();
            assert_eq!((encoded.ids[0], encoded.ids[encoded.ids.len() - 1]), (first, last), "{name}");
            assert_eq!(encoded.truncated, encoded.ids.len() == 64, "{name}");
        }
    }
}

/// Each word is one character that takes several tokens, so a cut inside one would leave a part of its tokens.
#[test]
fn no_cut_goes_through_a_character() {
    for name in ["bpe", "spm-bytes"] {
        let words: Vec<String> = "漢字かな交じり文😀👩ẞ".chars().cycle().take(60).map(|c| format!(" {c}")).collect();
        let whole = tokenizer(name).tokens(&words.concat()).unwrap();
        // A cut may stand after a character, or after the space before the next one.
        let upto = |count: usize| tokenizer(name).tokens(&words[..count].concat()).unwrap().len();
        let ends: Vec<usize> = (0..=words.len()).map(upto).collect();
        let ends: Vec<usize> = ends.iter().flat_map(|&end| [Some(end), (whole.get(end) == Some(&whole[0])).then_some(end + 1)]).flatten().collect();
        assert!(ends.windows(2).any(|pair| pair[1] - pair[0] > 2), "{name}: characters of several tokens");
        let mut cut = 0;
        for max_length in 12..60 {
            let encoded = ModelFolder::read_tokenizer(&path(name), max_length).unwrap().encode(&words.concat()).unwrap();
            let kept = &encoded.ids[1..encoded.ids.len() - 1];
            let sound = ends.iter().any(|&head| {
                head <= kept.len()
                    && kept[..head] == whole[..head]
                    && ends.contains(&(whole.len() - (kept.len() - head)))
                    && kept[head..] == whole[whole.len() - (kept.len() - head)..]
            });
            assert!(encoded.truncated && sound, "{name} {max_length}: {kept:?}");
            cut += usize::from(kept.len() < max_length - 2);
        }
        assert!(cut > 5, "{name}: some cuts had to move");
    }
}

/// A copy of the folder in which `file` has other bytes; what reading its tokenizer says.
fn damaged(name: &str, file: &str, bytes: &[u8]) -> Result<TextTokenizer, String> {
    let home = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(path(name)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), home.path().join(entry.file_name())).unwrap();
    }
    std::fs::write(home.path().join(file), bytes).unwrap();
    ModelFolder::read_tokenizer(home.path(), 64).map_err(|error| error.to_string())
}

fn refusal(name: &str, file: &str, bytes: &[u8]) -> String {
    damaged(name, file, bytes).err().unwrap_or_else(|| panic!("{name}/{file} was read"))
}

#[test]
fn a_model_cut_anywhere_is_refused() {
    let sound = std::fs::read(path("spm/spm.model")).unwrap();
    for length in (0..sound.len()).step_by(97).chain(sound.len() - 60..sound.len()) {
        let message = refusal("spm", "spm.model", &sound[..length]);
        assert!(message.starts_with("spm.model"), "cut to {length}: {message}");
    }
}

/// Whatever bytes are changed, reading either fails or gives a tokenizer that survives any line.
#[test]
fn no_damage_of_a_model_is_a_panic() {
    let sound = std::fs::read(path("spm/spm.model")).unwrap();
    let mut state = 9u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let mut read = 0;
    for _ in 0..400 {
        let mut bytes = sound.clone();
        // Settings and character map stand at the end.
        let start = if next() % 2 == 0 { 0 } else { sound.len() - sound.len() / 3 };
        for _ in 0..1 + next() % 3 {
            let place = start + next() % (bytes.len() - start);
            bytes[place] = next() as u8;
        }
        if let Ok(tokenizer) = damaged("spm", "spm.model", &bytes) {
            read += 1;
            for line in ["ipconfig /all", "ﬁ½ \u{3000}a\u{301}Ａ\u{200b}", "\0\u{10ffff}\u{80}ÿ"] {
                tokenizer.encode(line).unwrap();
            }
        }
    }
    assert!(read > 10, "some damage must go unnoticed for this test to say anything");
}

#[test]
fn what_is_wrong_is_named() {
    let replace = |name: &str, file: &str, from: &str, to: &str| {
        let text = String::from_utf8(std::fs::read(path(name).join(file)).unwrap()).unwrap();
        assert!(text.contains(from), "{file} holds {from:?}");
        refusal(name, file, text.replacen(from, to, 1).as_bytes())
    };
    assert!(refusal("bpe", "merges.txt", b"#version: 0.2\nonly-one\n").contains("line 2"));
    assert!(refusal("bpe", "merges.txt", b"#version: 0.2\nnot there\n").contains("tokenizer.json"));
    assert!(refusal("bpe", "merges.txt", b"\xff\xfe").contains("merges.txt: not UTF-8"));
    assert!(refusal("bpe", "vocab.json", b"{\"<s>\": -1}").contains("the id of \"<s>\""));
    assert!(replace("bpe", "vocab.json", "\"<s>\"", "\"<S>\"").contains("beginning of a line"));
    assert!(refusal("words", "vocab.txt", b"[PAD]\n[CLS]\n[SEP]\n").contains("[UNK]"));
    assert!(refusal("words", "vocab.txt", b"[PAD]\n[UNK]\n").contains("beginning of a line"));
    assert!(refusal("words", "tokenizer_config.json", b"{").contains("tokenizer_config.json"));
    assert!(refusal("spm", "spm.model", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f").contains("cut short"));
    assert!(refusal("spm", "tokenizer.json", &[b"[".repeat(100_000), b"]".repeat(100_000)].concat()).contains("tokenizer.json"));
    let deep = format!("{{\"normalizer\":{}null{}}}", "{\"type\":\"Sequence\",\"normalizers\":[".repeat(40), "]}".repeat(40));
    assert!(refusal("spm", "tokenizer.json", deep.as_bytes()).contains("tokenizer.json"));
    for cut in ["{\"decoder\":", "{\"decoder\":{\"type\":\"Fu", "{\"decoder\":{x", "{\"decoder\":{\"type\":\"Fuse\"}}"] {
        assert!(refusal("spm", "tokenizer.json", cut.as_bytes()).contains("tokenizer.json"));
    }
    let huge_map = r#"{"normalizer":{"precompiled\u005fcharsmap":"/////w=="}}"#;
    assert!(refusal("spm", "tokenizer.json", huge_map.as_bytes()).contains("character map"));
    std::fs::metadata(path("spm/tokenizer.json")).expect_err("the fixtures have no tokenizer.json");
}
