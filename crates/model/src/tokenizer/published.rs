//! A `tokenizer.json` from the files that older folders have in its place: `spm.model`, `vocab.json` and `merges.txt`, or `vocab.txt`.

use super::sentence_piece::{PieceKind, SentencePiece};
use crate::{FolderFiles, ModelError, ModelType};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const CONFIG: &str = "tokenizer_config.json";

/// The bytes of `tokenizer.json`: the folder's own, or one made from its other files for this architecture.
pub(crate) fn tokenizer_json(files: &FolderFiles, model_type: ModelType) -> Result<Vec<u8>, ModelError> {
    if let Some(json) = files.get("tokenizer.json") {
        return Ok(json.clone());
    }
    let config = Settings::read(files)?;
    let made = match model_type {
        ModelType::DebertaV2 => sentence_piece(text_file(files, "spm.model")?, &config)?,
        ModelType::Roberta => byte_pairs(text_file(files, "vocab.json")?, text_file(files, "merges.txt")?, &config)?,
        ModelType::Bert => word_pieces(text_file(files, "vocab.txt")?, &config)?,
    };
    Ok(serde_json::to_vec(&made).expect("a JSON object always serialises"))
}

/// Whether the folder has what [`tokenizer_json`] needs; else what it lacks.
pub(crate) fn lacking(files: &FolderFiles, model_type: ModelType) -> Option<&'static str> {
    let has = |names: &[&str]| names.iter().all(|name| files.contains_key(*name));
    match model_type {
        _ if has(&["tokenizer.json"]) => None,
        ModelType::DebertaV2 => (!has(&["spm.model"])).then_some("no tokenizer.json and no spm.model"),
        ModelType::Roberta => (!has(&["vocab.json", "merges.txt"])).then_some("no tokenizer.json and not both vocab.json and merges.txt"),
        ModelType::Bert => (!has(&["vocab.txt"])).then_some("no tokenizer.json and no vocab.txt"),
    }
}

fn text_file<'a>(files: &'a FolderFiles, name: &'static str) -> Result<&'a [u8], ModelError> {
    files.get(name).map(Vec::as_slice).ok_or_else(|| ModelError::damaged(name, "is missing"))
}

fn utf8<'a>(bytes: &'a [u8], name: &str) -> Result<&'a str, ModelError> {
    std::str::from_utf8(bytes).map_err(|error| ModelError::damaged(name, format!("not UTF-8: {error}")))
}

/// `tokenizer_config.json` and the files beside it that name further tokens.
struct Settings {
    values: Value,
    /// Tokens that the folder adds to the vocabulary, by id, as `added_tokens_decoder` describes them.
    added: BTreeMap<u64, Value>,
}

impl Settings {
    fn read(files: &FolderFiles) -> Result<Self, ModelError> {
        let parse = |name: &str| match files.get(name) {
            Some(bytes) => serde_json::from_slice::<Value>(bytes).map_err(|error| ModelError::damaged(name, error)),
            None => Ok(Value::Null),
        };
        let values = parse(CONFIG)?;
        let mut added = BTreeMap::new();
        for (id, token) in values["added_tokens_decoder"].as_object().into_iter().flatten() {
            let id = id.parse().map_err(|_| ModelError::damaged(CONFIG, format!("added_tokens_decoder has the id {id:?}")))?;
            added.insert(id, token.clone());
        }
        for (token, id) in parse("added_tokens.json")?.as_object().into_iter().flatten() {
            let id = id.as_u64().ok_or_else(|| ModelError::damaged("added_tokens.json", format!("the id of {token:?} is {id}")))?;
            added.entry(id).or_insert_with(|| json!({"content": token, "special": true}));
        }
        added.retain(|_, token| token["content"].as_str().is_some_and(|text| !text.is_empty()));
        Ok(Self { values, added })
    }

    fn flag(&self, key: &str, default: bool) -> bool {
        self.values[key].as_bool().unwrap_or(default)
    }

    /// A special token's text: the configuration has it plain or as an object.
    fn token(&self, key: &str, default: &str) -> String {
        let value = &self.values[key];
        value.as_str().or(value["content"].as_str()).unwrap_or(default).to_owned()
    }
}

/// The special tokens of a model, those found in its vocabulary and those that the folder adds: by id.
struct Specials {
    by_id: BTreeMap<u64, Value>,
    first: (String, u64),
    last: (String, u64),
}

impl Specials {
    /// `names` are the configuration's keys and the usual texts, those before and after a line first.
    fn new(file: &str, config: &Settings, names: &[(&str, &str)], id_of: impl Fn(&str) -> Option<u64>) -> Result<Self, ModelError> {
        let mut by_id: BTreeMap<u64, Value> = config.added.iter().map(|(id, token)| (*id, added_token(*id, &token["content"], token))).collect();
        let mut ends = Vec::new();
        for (key, usual) in names {
            let text = config.token(key, usual);
            let id = id_of(&text).or_else(|| config.added.iter().find(|(_, added)| added["content"] == text.as_str()).map(|(id, _)| *id));
            if let Some(id) = id {
                by_id.entry(id).or_insert_with(|| added_token(id, &json!(text), &config.values[*key]));
            }
            ends.push(id.map(|id| (text, id)));
        }
        let missing = |which: &str| ModelError::damaged(file, format!("the vocabulary has no token for the {which} of a line"));
        let first = ends[0].take().ok_or_else(|| missing("beginning"))?;
        let last = ends[1].take().ok_or_else(|| missing("end"))?;
        Ok(Self { by_id, first, last })
    }

    fn list(&self) -> Vec<&Value> {
        self.by_id.values().collect()
    }

    /// First token, line, last token.
    fn template(&self) -> Value {
        let special = |token: &(String, u64)| json!({"id": token.0, "ids": [token.1], "tokens": [token.0]});
        let piece = |token: &(String, u64), kind: u64| json!({"SpecialToken": {"id": token.0, "type_id": kind}});
        let line = |name: &str, kind: u64| json!({"Sequence": {"id": name, "type_id": kind}});
        let mut tokens = Map::new();
        tokens.insert(self.first.0.clone(), special(&self.first));
        tokens.insert(self.last.0.clone(), special(&self.last));
        json!({
            "type": "TemplateProcessing",
            "single": [piece(&self.first, 0), line("A", 0), piece(&self.last, 0)],
            "pair": [piece(&self.first, 0), line("A", 0), piece(&self.last, 0), line("B", 1), piece(&self.last, 1)],
            "special_tokens": tokens,
        })
    }
}

/// A token that is matched in the text before anything else; `like` may say how.
fn added_token(id: u64, text: &Value, like: &Value) -> Value {
    let flag = |key: &str, default: bool| like[key].as_bool().unwrap_or(default);
    json!({"id": id, "content": text, "single_word": flag("single_word", false), "lstrip": flag("lstrip", false), "rstrip": flag("rstrip", false),
           "normalized": flag("normalized", false), "special": flag("special", true)})
}

const BERT_NAMES: [(&str, &str); 5] =
    [("cls_token", "[CLS]"), ("sep_token", "[SEP]"), ("pad_token", "[PAD]"), ("unk_token", "[UNK]"), ("mask_token", "[MASK]")];

/// Follows SentencePiece itself, with the special tokens that `transformers` matches in the text.
fn sentence_piece(bytes: &[u8], config: &Settings) -> Result<Value, ModelError> {
    let model = SentencePiece::read(bytes)?;
    let id_of = |text: &str| model.pieces.iter().position(|piece| piece.text == text).map(|id| id as u64);
    let mut specials = Specials::new("spm.model", config, &BERT_NAMES, id_of)?;
    for (id, piece) in model.pieces.iter().enumerate().filter(|(_, piece)| matches!(piece.kind, PieceKind::Control | PieceKind::UserDefined)) {
        let special = piece.kind == PieceKind::Control;
        specials.by_id.entry(id as u64).or_insert_with(|| added_token(id as u64, &json!(piece.text), &json!({"special": special})));
    }
    // As transformers does for a vocabulary without one.
    let mask = config.token("mask_token", "[MASK]");
    if !specials.by_id.values().any(|token| token["content"] == mask.as_str()) {
        let id = specials.by_id.keys().next_back().map_or(0, |id| id + 1).max(model.pieces.len() as u64);
        specials.by_id.insert(id, added_token(id, &json!(mask), &Value::Null));
    }
    Ok(json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": specials.list(),
        "normalizer": model.normaliser(config.flag("do_lower_case", false)),
        "pre_tokenizer": model.pre_tokeniser(config.flag("split_by_punct", false)),
        "post_processor": specials.template(),
        "decoder": {"type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "always", "split": true},
        "model": model.model(),
    }))
}

fn byte_pairs(vocabulary: &[u8], merges: &[u8], config: &Settings) -> Result<Value, ModelError> {
    let vocabulary: Map<String, Value> = serde_json::from_slice(vocabulary).map_err(|error| ModelError::damaged("vocab.json", error))?;
    if let Some((token, id)) = vocabulary.iter().find(|(_, id)| id.as_u64().is_none_or(|id| id > u64::from(u32::MAX))) {
        return Err(ModelError::damaged("vocab.json", format!("the id of {token:?} is {id}")));
    }
    let mut pairs = Vec::new();
    for (number, line) in utf8(merges, "merges.txt")?.lines().enumerate().filter(|(_, line)| !line.starts_with("#version") && !line.is_empty()) {
        match line.split_once(' ') {
            Some((left, right)) if !left.is_empty() && !right.is_empty() && !right.contains(' ') => pairs.push(json!([left, right])),
            _ => return Err(ModelError::damaged("merges.txt", format!("line {}: {line:?} is no pair", number + 1))),
        }
    }
    let names = [("cls_token", "<s>"), ("sep_token", "</s>"), ("pad_token", "<pad>"), ("unk_token", "<unk>"), ("mask_token", "<mask>")];
    let specials = Specials::new("vocab.json", config, &names, |text| vocabulary.get(text).and_then(Value::as_u64))?;
    let prefix = config.flag("add_prefix_space", false);
    Ok(json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": specials.list(), "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": true},
        "post_processor": {"type": "RobertaProcessing", "sep": [specials.last.0, specials.last.1], "cls": [specials.first.0, specials.first.1],
                           "trim_offsets": true, "add_prefix_space": prefix},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "", "end_of_word_suffix": "",
                  "fuse_unk": false, "byte_fallback": false, "vocab": vocabulary, "merges": pairs},
    }))
}

fn word_pieces(vocabulary: &[u8], config: &Settings) -> Result<Value, ModelError> {
    let mut pieces = Map::new();
    for (id, piece) in utf8(vocabulary, "vocab.txt")?.split_terminator('\n').enumerate() {
        pieces.insert(piece.trim_end_matches('\r').to_owned(), json!(id));
    }
    let unknown = config.token("unk_token", "[UNK]");
    if !pieces.contains_key(&unknown) {
        return Err(ModelError::damaged("vocab.txt", format!("it has no token {unknown:?} for the unknown")));
    }
    let specials = Specials::new("vocab.txt", config, &BERT_NAMES, |text| pieces.get(text).and_then(Value::as_u64))?;
    Ok(json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": specials.list(),
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": config.flag("tokenize_chinese_chars", true),
                       "strip_accents": config.values["strip_accents"].as_bool(), "lowercase": config.flag("do_lower_case", true)},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": specials.template(),
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": pieces},
    }))
}
