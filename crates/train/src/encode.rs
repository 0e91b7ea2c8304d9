use crate::TrainError;
use attackline_model::{Labels, TextTokenizer};
use rayon::prelude::*;

/// A training row: a line's tokens and its labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Token ids, special ones included.
    pub ids: Vec<u32>,
    /// Indices of its labels: one, or where lines may have several, any number.
    pub labels: Vec<usize>,
    /// What it counts in the loss; 1 is usual.
    pub weight: f32,
}

impl Example {
    /// A line with one label that counts as one.
    pub fn new(ids: Vec<u32>, label: usize) -> Self {
        Self { ids, labels: vec![label], weight: 1.0 }
    }
}

/// A row as text.
#[derive(Debug, Clone, PartialEq)]
pub struct Labelled {
    /// The line.
    pub text: String,
    /// Names of its labels.
    pub labels: Vec<String>,
    /// What it counts in the loss.
    pub weight: f32,
}

/// Turns rows into examples, in order.
pub fn encode(rows: &[Labelled], tokenizer: &TextTokenizer, labels: &Labels) -> Result<Vec<Example>, TrainError> {
    let index = |record: usize, name: &String| labels.index(name).ok_or_else(|| TrainError::UnknownLabel { record, label: name.clone() });
    rows.par_iter()
        .enumerate()
        .map(|(row, Labelled { text, labels, weight })| {
            let labels = labels.iter().map(|name| index(row + 1, name)).collect::<Result<_, _>>()?;
            Ok(Example { ids: tokenizer.encode(text)?.ids, labels, weight: *weight })
        })
        .collect()
}
