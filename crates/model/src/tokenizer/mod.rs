//! From a line to token ids.

mod character_map;
mod published;
mod sentence_piece;
mod train;
mod wire;

pub(crate) use published::{lacking, tokenizer_json};
pub use train::{TokenizerOptions, train_tokenizer};

use crate::{Encoded, ModelError, Prepared, prepare};
use serde_json::value::RawValue;
use std::{
    collections::{BTreeMap, HashSet},
    sync::LazyLock,
};
use tokenizers::{
    Decoder as _, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, Tokenizer, TokenizerImpl, models::bpe::BPE,
    pre_tokenizers::byte_level::ByteLevel,
};

/// Of the room of a line that is too long, its tail gets one in so many: docs/models.md has the measurement.
const TAIL_SHARE: usize = 4;

/// What a `tokenizer.json` of byte pairs holds.
type BytePairs = TokenizerImpl<BPE, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;

/// Reads a `tokenizer.json`. Byte pairs are read as such: to find out which kind of model there is the library makes a tree of all of it first.
fn read(json: &str) -> tokenizers::Result<Tokenizer> {
    serde_json::from_str::<BytePairs>(json).map_or_else(|_| Tokenizer::from_bytes(json), |pairs| Ok(pairs.into()))
}

/// A `tokenizer.json` with its own padding and truncation switched off, and ours in their place.
pub struct TextTokenizer {
    tokenizer: Tokenizer,
    prefix: Vec<u32>,
    suffix: Vec<u32>,
    max_length: usize,
    vocabulary: usize,
}

impl TextTokenizer {
    /// Builds it from the bytes of a `tokenizer.json`. Lines are cut to `max_length` tokens, special ones included.
    /// `vocabulary` is the number of rows of the word embedding: a tokenizer that could exceed it is refused.
    pub fn new(json: &[u8], max_length: usize, vocabulary: usize) -> Result<Self, ModelError> {
        let json = without_decoder(json).map_err(ModelError::Tokenizer)?;
        let mut tokenizer = read(&json).map_err(|error| ModelError::Tokenizer(error.to_string()))?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| ModelError::Tokenizer(error.to_string()))?;
        let ids = tokenizer.get_vocab(true).into_values().max().map_or(0, |largest| largest as usize + 1);
        if ids > vocabulary {
            return Err(ModelError::Tokenizer(format!("holds token id {}, the model's vocab_size is {vocabulary}", ids - 1)));
        }
        let (prefix, suffix) = special_tokens(&tokenizer)?;
        if prefix.len() + suffix.len() + 2 > max_length {
            return Err(ModelError::Tokenizer(format!("a maximum of {max_length} tokens leaves no room for text")));
        }
        Ok(Self { tokenizer, prefix, suffix, max_length, vocabulary: ids })
    }

    /// The longest line in tokens.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// How many token ids there are.
    pub fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// The first and the last special token that a line gets.
    pub(crate) fn special_ids(&self) -> (Option<u32>, Option<u32>) {
        (self.prefix.first().copied(), self.suffix.last().copied())
    }

    /// Whether it is a SentencePiece unigram model.
    pub(crate) fn is_unigram(&self) -> bool {
        matches!(self.tokenizer.get_model(), tokenizers::ModelWrapper::Unigram(_))
    }

    /// The token with this id.
    pub fn token(&self, id: u32) -> Option<String> {
        self.tokenizer.id_to_token(id)
    }

    /// The text of a token of byte pairs, what is half a character in it replaced; `None` of a token that is not of such a tokenizer.
    pub fn text_of(&self, token: &str) -> Option<String> {
        static ALPHABET: LazyLock<HashSet<char>> = LazyLock::new(|| ByteLevel::alphabet().into_iter().collect());
        let whole = token.chars().all(|symbol| ALPHABET.contains(&symbol));
        whole.then(|| ByteLevel::default().decode_chain(vec![token.to_owned()]).ok().map(|parts| parts.concat())).flatten()
    }

    /// The id of a token.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    /// The id of the token that stands for a hidden one, as BERT and DeBERTa or as RoBERTa name it.
    pub fn mask(&self) -> Option<u32> {
        ["[MASK]", "<mask>"].iter().find_map(|token| self.id(token))
    }

    /// Where the head of a text that has more than `room` tokens ends and where its tail begins. Several tokens can be one character's
    /// bytes: such a character is kept whole or left out.
    fn ends(&self, text: &str, room: usize) -> Result<(usize, usize), ModelError> {
        let encoding = self.tokenizer.encode(text, false).map_err(|error| ModelError::Tokenizer(error.to_string()))?;
        let places = encoding.get_offsets();
        let inside_a_character = |token: usize| token > 0 && token < places.len() && places[token - 1].1 > places[token].0;
        let mut head = room - room / TAIL_SHARE;
        while inside_a_character(head) {
            head -= 1;
        }
        let mut tail = places.len() - room / TAIL_SHARE;
        while inside_a_character(tail) {
            tail += 1;
        }
        Ok((head, tail))
    }

    /// The tokens of a text as it is, without special ones: to compare with another implementation's.
    pub fn tokens(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        let encoding = self.tokenizer.encode_fast(text, false).map_err(|error| ModelError::Tokenizer(error.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// [`prepare`]s a line and [reads](Self::encode_prepared) it.
    pub fn encode(&self, line: &str) -> Result<Encoded, ModelError> {
        self.encode_prepared(&prepare(line))
    }

    /// Reads a line: makes tokens, and where there are too many keeps three quarters from the head and one
    /// quarter from the tail, since a command's end (its payload, its target) tells as much as its beginning.
    pub fn encode_prepared(&self, Prepared { text, cut }: &Prepared<'_>) -> Result<Encoded, ModelError> {
        let tokens = self.tokens(text)?;
        let room = self.max_length - self.prefix.len() - self.suffix.len();
        let mut ids = self.prefix.clone();
        if tokens.len() <= room {
            ids.extend_from_slice(&tokens);
        } else {
            let (head, tail) = self.ends(text, room)?;
            ids.extend_from_slice(&tokens[..head]);
            ids.extend_from_slice(&tokens[tail..]);
        }
        ids.extend_from_slice(&self.suffix);
        Ok(Encoded { ids, truncated: *cut || tokens.len() > room, ..Encoded::default() })
    }
}

/// The tokenizer without what turns ids back into text, which nobody needs here and whose reader panics on some damage. All of it is
/// checked to be JSON, and what would lead the normaliser astray is refused.
fn without_decoder(json: &[u8]) -> Result<String, String> {
    let mut parts: BTreeMap<String, &RawValue> = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    parts.remove("decoder");
    if let Some(normaliser) = parts.get("normalizer") {
        character_map::check_normaliser(normaliser.get())?;
    }
    serde_json::to_string(&parts).map_err(|error| error.to_string())
}

/// The special tokens that the tokenizer puts before and after a text, found by encoding a text with and without them.
fn special_tokens(tokenizer: &Tokenizer) -> Result<(Vec<u32>, Vec<u32>), ModelError> {
    let ids = |special| -> Result<Vec<u32>, ModelError> {
        let encoding = tokenizer.encode_fast("a", special).map_err(|error| ModelError::Tokenizer(error.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    };
    let (bare, full) = (ids(false)?, ids(true)?);
    let start = full.windows(bare.len().max(1)).position(|window| window == bare);
    match start {
        Some(start) if !bare.is_empty() && full.len() > bare.len() => Ok((full[..start].to_vec(), full[start + bare.len()..].to_vec())),
        _ => Err(ModelError::Tokenizer("adds no special tokens round a text, a classification model needs them".into())),
    }
}
