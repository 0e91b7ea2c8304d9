//! How far new lines are from those that a model learnt from or was measured on.

mod stability;
mod words;

pub use stability::{Stability, StabilityBin, Verdict, population_stability};
pub use words::{UnlikeLine, Vocabulary, WordDrift};

use serde::Serialize;

/// What is known of a set of lines without knowing their labels.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// The predicted label of each line that was classified.
    pub labels: Vec<String>,
    /// The probability of it.
    pub scores: Vec<f64>,
    /// Characters of each line, the others too.
    pub lengths: Vec<f64>,
}

/// New lines beside the reference's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Drift {
    /// What the reference is called.
    pub reference: String,
    /// What the new lines are called.
    pub new: String,
    /// The model that classified.
    pub model: String,
    /// Lines of the reference.
    pub reference_lines: usize,
    /// New lines.
    pub new_lines: usize,
    /// How many of either were classified.
    pub classified: [usize; 2],
    /// Shares of the predicted labels.
    pub labels: Stability,
    /// Probabilities of the predicted labels, by tenths of the reference.
    pub scores: Stability,
    /// Lengths in characters, by tenths of the reference.
    pub lengths: Stability,
    /// Words that the reference does not have.
    pub words: WordDrift,
}

impl Drift {
    /// Compares; `words` comes from [`Vocabulary::compare`]. The names are left to the caller.
    pub fn new(reference: &Observed, new: &Observed, words: WordDrift) -> Self {
        Self {
            reference: String::new(),
            new: String::new(),
            model: String::new(),
            reference_lines: reference.lengths.len(),
            new_lines: new.lengths.len(),
            classified: [reference.labels.len(), new.labels.len()],
            labels: Stability::of_names(&reference.labels, &new.labels),
            scores: Stability::of_numbers(&reference.scores, &new.scores, 4),
            lengths: Stability::of_numbers(&reference.lengths, &new.lengths, 0),
            words,
        }
    }
}
