use crate::{Labels, ModelError, ParentShare, Prepared, prepare};

/// A line as the model reads it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Encoded {
    /// Token ids with the special tokens at both ends.
    pub ids: Vec<u32>,
    /// Whether the line was longer than the model reads, so that its middle was left out.
    pub truncated: bool,
    /// What its [n-grams](crate::ngrams) say, where the model reads them beside the tokens.
    pub ngrams: NgramLogits,
    /// Whether it is [prose](crate::is_prose); told apart only where n-grams are read.
    pub prose: bool,
    /// The logit of an attack, where the n-grams alone settle that it is benign: then it has no tokens.
    pub settled: Option<f32>,
    /// Its statements, where they are to be read one by one beside what `ids` have of it.
    pub statements: Vec<String>,
}

/// What a model of n-grams says of a line.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NgramLogits {
    /// Its head's logits, one a label.
    pub head: Vec<f32>,
    /// The gate's logit of an attack.
    pub gate: f32,
}

impl From<Vec<u32>> for Encoded {
    fn from(ids: Vec<u32>) -> Self {
        Self { ids, ..Self::default() }
    }
}

/// The model's answer to one line: a calibrated probability for each label, in the order of [`Classifier::labels`].
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Probabilities: they sum to one, except where a line may have [several](Labels::several) labels.
    pub scores: Vec<f32>,
}

impl Prediction {
    /// The index and the probability of the most probable label; the first of equals.
    pub fn best(&self) -> (usize, f32) {
        self.scores.iter().copied().enumerate().fold((0, f32::MIN), |best, next| if next.1 > best.1 { next } else { best })
    }

    /// Label indices from the most to the least probable; equals keep their order.
    pub fn ranking(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.scores.len()).collect();
        order.sort_by(|&a, &b| self.scores[b].total_cmp(&self.scores[a]));
        order
    }
}

/// A model that labels lines. A line's answer depends on nothing but the line, the model and the processor's
/// instruction set: not on the batch that it came in, nor on the number of threads.
pub trait Classifier: Send + Sync {
    /// The labels it answers with.
    fn labels(&self) -> &Labels;

    /// [`prepare`]s a line and [reads](Self::encode_prepared) it.
    fn encode(&self, text: &str) -> Result<Encoded, ModelError> {
        self.encode_prepared(&prepare(text))
    }

    /// Reads a line: makes tokens, cuts what is too long.
    fn encode_prepared(&self, line: &Prepared<'_>) -> Result<Encoded, ModelError>;

    /// One prediction for each line as [`encode`](Self::encode) of this classifier gave it, in order. They are computed in batches of bounded
    /// size, each different line once.
    fn classify(&self, lines: &[Encoded]) -> Vec<Prediction>;

    /// [Reads](Self::encode) a text where a cheap look at it holds an attack for likelier than not; a classifier that has none reads every text.
    fn encode_suspicious(&self, text: &str) -> Result<Option<Encoded>, ModelError> {
        self.encode(text).map(Some)
    }

    /// The probability from which an attack label is reported rather than abstained from.
    fn threshold(&self) -> f32;

    /// What the answer to a line's parent counts in its own; `None` where lines are read alone.
    fn parent_share(&self) -> Option<ParentShare> {
        None
    }

    /// What the model is called in answers, such as `attackline-embedded 0.1.0`.
    fn name(&self) -> &str;
}
