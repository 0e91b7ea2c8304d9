//! The small files that Python `transformers` wants beside the weights, where a folder hasn't got them.

use crate::{ModelError, ModelFolder, ModelType, Pooling, TextTokenizer};
use serde_json::{Map, Value, json};
use std::path::Path;

const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const SPECIAL_TOKENS: &str = "special_tokens_map.json";

impl ModelFolder {
    /// Writes the folder so that `transformers` loads model and tokenizer from it and computes the same logits. The folder must not
    /// exist yet. A head that `transformers` doesn't have is refused.
    pub fn export(&self, path: &Path) -> Result<(), ModelError> {
        if self.spec.head.dense.is_none() {
            let value = if self.spec.head.pooling == Pooling::Mean { "mean" } else { "cls" };
            return Err(ModelError::Unsupported {
                key: "classifier_pooling".into(),
                value: value.into(),
                supported: "pooler: transformers has no such head for this architecture and would answer otherwise".into(),
            });
        }
        let mut folder = self.clone();
        if folder.settings.quantization.is_some() {
            // `transformers` computes in f32, with the weights rounded as they are.
            folder.change_settings(|settings| settings.quantization = None);
        }
        let mut config = self.config.as_object().cloned().unwrap_or_default();
        for key in ["torch_dtype", "dtype"] {
            if config.contains_key(key) {
                config.insert(key.into(), json!("float32"));
            }
        }
        folder.files.insert("config.json".into(), pretty(&config));
        let tokenizer = self.tokenizer(None)?;
        let special = self.special_tokens(&tokenizer);
        if !folder.files.contains_key(TOKENIZER_CONFIG) {
            let class = match self.spec.model_type {
                ModelType::DebertaV2 if tokenizer.is_unigram() => "DebertaV2TokenizerFast",
                // Whatever kind tokenizer.json is, this class takes it as it is.
                _ => "PreTrainedTokenizerFast",
            };
            let mut settings =
                Map::from_iter([("tokenizer_class".to_owned(), json!(class)), ("model_max_length".to_owned(), json!(self.spec.longest))]);
            settings.extend(special.clone());
            folder.files.insert(TOKENIZER_CONFIG.into(), pretty(&settings));
        }
        folder.files.entry(SPECIAL_TOKENS.into()).or_insert_with(|| pretty(&special));
        folder.write(path)
    }

    /// The special tokens by the names that `transformers` gives them.
    fn special_tokens(&self, tokenizer: &TextTokenizer) -> Map<String, Value> {
        let (first, last) = tokenizer.special_ids();
        let padding = self.config["pad_token_id"].as_u64().unwrap_or(if self.spec.model_type == ModelType::Roberta { 1 } else { 0 });
        let mut tokens = Map::new();
        let mut name = |key: &str, token: Option<String>| {
            if let Some(token) = token {
                tokens.insert(key.to_owned(), json!(token));
            }
        };
        name("cls_token", first.and_then(|id| tokenizer.token(id)));
        name("sep_token", last.and_then(|id| tokenizer.token(id)));
        name("pad_token", u32::try_from(padding).ok().and_then(|id| tokenizer.token(id)));
        name("unk_token", ["[UNK]", "<unk>"].iter().find(|token| tokenizer.id(token).is_some()).map(ToString::to_string));
        name("mask_token", tokenizer.mask().and_then(|id| tokenizer.token(id)));
        if self.spec.model_type == ModelType::Roberta {
            name("bos_token", first.and_then(|id| tokenizer.token(id)));
            name("eos_token", last.and_then(|id| tokenizer.token(id)));
        }
        tokens
    }
}

pub(crate) fn pretty(object: &Map<String, Value>) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(object).expect("a JSON object always serialises");
    bytes.push(b'\n');
    bytes
}
