use crate::TrainError;
use attackline_model::{Labels, TextTokenizer};
use rayon::prelude::*;

/// A training row: a line's tokens and the index of its label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Token ids, special ones included.
    pub ids: Vec<u32>,
    /// Index of the label.
    pub label: usize,
}

/// Turns `(text, label)` rows into examples, in order.
pub fn encode<T: AsRef<str> + Sync>(rows: &[(T, T)], tokenizer: &TextTokenizer, labels: &Labels) -> Result<Vec<Example>, TrainError> {
    rows.par_iter()
        .enumerate()
        .map(|(index, (text, label))| {
            let label =
                labels.index(label.as_ref()).ok_or_else(|| TrainError::UnknownLabel { record: index + 1, label: label.as_ref().to_owned() })?;
            Ok(Example { ids: tokenizer.encode(text.as_ref())?.ids, label })
        })
        .collect()
}
