//! A base model with another tokenizer: what it knows of the old tokens' words is handed on to the new tokens.

use crate::TrainError;
use attackline_model::{Checkpoint, FolderFiles, ModelError, ModelFolder, ModelType, Role, Tensor, TextTokenizer, WeightLayout};

/// Special tokens by the names that BERT and RoBERTa have for them.
const SPECIAL: [[&str; 2]; 5] = [["[PAD]", "<pad>"], ["[UNK]", "<unk>"], ["[CLS]", "<s>"], ["[SEP]", "</s>"], ["[MASK]", "<mask>"]];

/// Stands before a word piece that goes on with a word.
const CONTINUED: &str = "##";

/// The folder with the tokenizer of `files`, which is of byte pairs as [`attackline_model::train_tokenizer`] makes it. The vector of a new token
/// is the mean of those of the old tokens of its text (as a word's beginning, and where the old tokenizer has the text as a word's
/// continuation and it may be one, the mean of both); special tokens keep theirs. Everything else stays, so that little training is needed
/// (compare Minixhofer et al. 2022).
pub fn retokenize(folder: &ModelFolder, files: &FolderFiles) -> Result<ModelFolder, TrainError> {
    let json = files.get("tokenizer.json").ok_or_else(|| ModelError::Tokenizer("is missing".into()))?;
    let new = TextTokenizer::new(json, folder.spec.longest, usize::MAX)?;
    let old = folder.tokenizer(None)?;
    let labels = folder.labels.as_ref().map_or(0, |labels| labels.len());
    let name = &WeightLayout::new(&folder.spec, labels).require(Role::WordEmbedding)?.name.clone();
    let words = Words { old: &old, unknown: special(&old, 1), vectors: folder.weights.tensor(name)? };
    let width = words.vectors.shape[1];
    let mut data = Vec::with_capacity(new.vocabulary() * width);
    for id in 0..new.vocabulary() as u32 {
        let token = new.token(id).ok_or_else(|| ModelError::Tokenizer(format!("has no token {id}, but greater ones")))?;
        data.extend(words.vector(&new, &token)?);
    }
    let vocabulary = new.vocabulary();
    let mut weights: Checkpoint = folder.weights.clone().in_f32();
    weights.insert(name.clone(), Tensor { shape: vec![vocabulary, width], data });
    let mut kept = folder.files.clone();
    kept.retain(|name, _| !matches!(name.as_str(), "tokenizer_config.json" | "special_tokens_map.json" | "added_tokens.json" | "README.md"));
    kept.extend(files.iter().map(|(name, bytes)| (name.clone(), bytes.clone())));
    kept.insert("config.json".into(), config(folder, vocabulary, new.id("[PAD]")));
    Ok(ModelFolder::from_parts(kept, weights)?)
}

/// The first model's configuration with the new vocabulary.
fn config(folder: &ModelFolder, vocabulary: usize, padding: Option<u32>) -> Vec<u8> {
    let mut config = folder.config.clone();
    config["vocab_size"] = vocabulary.into();
    // RoBERTa counts positions from the padding token's id on.
    if let Some(padding) = padding.filter(|_| folder.spec.model_type != ModelType::Roberta) {
        config["pad_token_id"] = padding.into();
    }
    serde_json::to_vec_pretty(&config).expect("a JSON object always serialises")
}

fn special(tokenizer: &TextTokenizer, which: usize) -> Option<u32> {
    SPECIAL[which].iter().find_map(|name| tokenizer.id(name))
}

struct Words<'a> {
    old: &'a TextTokenizer,
    unknown: Option<u32>,
    vectors: Tensor,
}

impl Words<'_> {
    /// The vector that a token of the new tokenizer begins with.
    fn vector(&self, new: &TextTokenizer, token: &str) -> Result<Vec<f32>, ModelError> {
        if let Some(which) = SPECIAL.iter().position(|names| names[0] == token)
            && let Some(id) = special(self.old, which)
        {
            return Ok(self.mean(&[id]));
        }
        let text = new.text_of(token).ok_or_else(|| ModelError::Tokenizer(format!("is not of byte pairs: {token:?} is no run of bytes")))?;
        let mut pieces = self.old.tokens(&text)?;
        pieces.retain(|piece| Some(*piece) != self.unknown);
        let begun = (!pieces.is_empty()).then(|| self.mean(&pieces));
        let continued = if text.starts_with(char::is_whitespace) { None } else { self.old.id(&format!("{CONTINUED}{}", text.trim_end())) };
        let continued = continued.map(|id| self.mean(&[id]));
        Ok(match (begun, continued) {
            (Some(a), Some(b)) => a.into_iter().zip(b).map(|(a, b)| (a + b) / 2.0).collect(),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => self.unknown.map_or_else(|| vec![0.0; self.vectors.shape[1]], |unknown| self.mean(&[unknown])),
        })
    }

    fn mean(&self, ids: &[u32]) -> Vec<f32> {
        let width = self.vectors.shape[1];
        let mut mean = vec![0.0f32; width];
        for &id in ids {
            mean.iter_mut().zip(&self.vectors.data[id as usize * width..][..width]).for_each(|(sum, value)| *sum += value);
        }
        mean.iter_mut().for_each(|value| *value /= ids.len() as f32);
        mean
    }
}
