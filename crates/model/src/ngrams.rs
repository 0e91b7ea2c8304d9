//! N-grams of a line, and the weights of the model that reads them beside the encoder.

use crate::{Int8Tensor, ModelError, ModelFolder, Tensor};
use std::sync::Arc;

/// Names of the tensors beside the encoder's.
const TABLE: &str = "ngrams.table";
const HEAD: &str = "ngrams.head.weight";
const BIAS: &str = "ngrams.head.bias";
const GATE: &str = "ngrams.gate";
const LABEL_BIAS: &str = "ngrams.label_bias";

/// Characters of a text that are read.
const LONGEST: usize = 4096;

/// Lengths of character n-grams.
const SHORTEST_GRAM: usize = 3;
const LONGEST_GRAM: usize = 5;

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// A text as buckets and values, the buckets rising: character 3- to 5-grams, words and pairs of neighbouring words of the lower-cased text,
/// each by ln(1 + count), of length one together (hashing: Weinberger et al. 2009).
///
/// # Panics
/// Unless `buckets` is a power of two.
pub fn ngrams(text: &str, buckets: usize) -> Vec<(u32, f32)> {
    assert!(buckets.is_power_of_two(), "buckets are picked by bits");
    let text: Vec<char> = std::iter::once(' ').chain(text.chars().take(LONGEST)).chain([' ']).flat_map(char::to_lowercase).collect();
    let mut found = Vec::with_capacity(text.len() * 4);
    let mut add = |hash: u64| found.push(((hash ^ (hash >> 32)) as usize & (buckets - 1)) as u32);
    for start in 0..text.len() {
        let mut hash = FNV_OFFSET;
        for (place, &letter) in text[start..].iter().take(LONGEST_GRAM).enumerate() {
            hash = mix(hash, letter);
            if place + 1 >= SHORTEST_GRAM {
                add(hash);
            }
        }
    }
    let mut before = None;
    for word in text.split(|letter| !letter.is_alphanumeric() && *letter != '_').filter(|word| !word.is_empty()) {
        let hash = word.iter().fold(!FNV_OFFSET, |hash, &letter| mix(hash, letter));
        add(hash);
        if let Some(before) = before.replace(hash) {
            add((hash ^ u64::rotate_left(before, 23)).wrapping_mul(FNV_PRIME));
        }
    }
    found.sort_unstable();
    let value = |count: usize| (count as f32).ln_1p();
    let (once, twice) = (value(1), value(2));
    let counted = found.chunk_by(|a, b| a == b).map(|same| match same.len() {
        1 => (same[0], once),
        2 => (same[0], twice),
        many => (same[0], value(many)),
    });
    let mut found: Vec<(u32, f32)> = counted.collect();
    let length = found.iter().map(|(_, value)| value * value).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    found.iter_mut().for_each(|(_, value)| *value /= length);
    found
}

/// A step of FNV-1a over characters.
fn mix(hash: u64, letter: char) -> u64 {
    (hash ^ u64::from(u32::from(letter))).wrapping_mul(FNV_PRIME)
}

/// The weights of the n-gram model: a bucket's row in a table, summed over the line and read by a head (Joulin et al. 2016), and a weight of
/// each bucket for being an attack at all.
#[derive(Debug, Clone, PartialEq)]
pub struct NgramWeights {
    /// `[buckets, width]`; the buckets are a power of two.
    pub table: Arc<Int8Tensor>,
    /// `[labels, width]`.
    pub head: Tensor,
    /// `[labels]`.
    pub bias: Tensor,
    /// `[buckets + 1]`: the logit of an attack, its bias behind the last.
    pub gate: Tensor,
    /// `[labels]`: added to the logarithm of each label's probability in the end.
    pub label_bias: Tensor,
}

impl NgramWeights {
    /// Buckets that n-grams and words are hashed into.
    pub fn buckets(&self) -> usize {
        self.table.shape[0]
    }
}

impl ModelFolder {
    /// The n-gram model that answers beside the encoder, where there is one, checked against the labels.
    pub fn ngram_weights(&self) -> Result<Option<NgramWeights>, ModelError> {
        if self.settings.ngrams.is_none() {
            return Ok(None);
        }
        let missing = |name: &str| ModelError::damaged("attackline.json", format!("it speaks of n-grams, but there is no tensor {name}"));
        let tensor = |name: &str| if self.weights.shape(name).is_some() { self.weights.tensor(name) } else { Err(missing(name)) };
        let table = match self.weights.shape(TABLE).and_then(|_| self.weights.int8_in_place(TABLE).transpose()) {
            Some(table) => table?,
            None => Int8Tensor::quantize(&tensor(TABLE)?).ok_or_else(|| missing(TABLE))?.into(),
        };
        let weights = NgramWeights { table, head: tensor(HEAD)?, bias: tensor(BIAS)?, gate: tensor(GATE)?, label_bias: tensor(LABEL_BIAS)? };
        let [buckets, width] = weights.table.shape;
        let labels = self.labels.as_ref().map_or(0, |labels| labels.len());
        let shapes = [
            (HEAD, &weights.head, vec![labels, width]),
            (BIAS, &weights.bias, vec![labels]),
            (GATE, &weights.gate, vec![buckets + 1]),
            (LABEL_BIAS, &weights.label_bias, vec![labels]),
        ];
        if let Some((name, tensor, expected)) = shapes.into_iter().find(|(_, tensor, expected)| tensor.shape != *expected) {
            return Err(ModelError::WrongShape { name: name.into(), found: tensor.shape.clone(), expected });
        }
        if !buckets.is_power_of_two() || width == 0 {
            return Err(ModelError::damaged("model.safetensors", format!("{TABLE} is {buckets} × {width}: the rows must be a power of two")));
        }
        Ok(Some(weights))
    }

    /// Puts an n-gram model beside the encoder, in the place of an earlier one.
    pub fn set_ngram_weights(&mut self, weights: NgramWeights) {
        self.weights.insert_int8(TABLE.into(), weights.table);
        for (name, tensor) in [(HEAD, weights.head), (BIAS, weights.bias), (GATE, weights.gate), (LABEL_BIAS, weights.label_bias)] {
            self.weights.insert(name.into(), tensor);
        }
    }
}

/// Whether a tensor belongs to the n-gram model.
pub(crate) fn is_ngram_tensor(name: &str) -> bool {
    [TABLE, HEAD, BIAS, GATE, LABEL_BIAS].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_unit_vector_of_its_grams_and_words() {
        // " ab cd " has 5, 4 and 3 grams of 3, 4 and 5 characters, two words and a pair.
        let found = ngrams("AB cd", 1 << 18);
        assert_eq!(found.len(), 15);
        assert!((found.iter().map(|(_, value)| value * value).sum::<f32>() - 1.0).abs() < 1e-6);
        assert_eq!(found, ngrams("ab CD", 1 << 18));
        assert_ne!(found, ngrams("cd ab", 1 << 18));
        assert!(found.windows(2).all(|pair| pair[0].0 < pair[1].0) && ngrams("AB cd", 8).iter().all(|(bucket, _)| *bucket < 8));
        assert!(ngrams("", 8).is_empty());
        assert!(ngrams(&"żółw 日本 ".repeat(10_000), 1 << 18).len() < 120);
    }
}
