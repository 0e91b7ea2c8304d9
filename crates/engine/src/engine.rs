use crate::{Encoder, weights::Numbers};
use attackline_kernels::{independent_probabilities, probabilities};
use attackline_model::{
    BATCH_TOKENS, Classifier, Encoded, Labels, ModelError, ModelFolder, ParentShare, Prediction, Prepared, Settings, Step, TextTokenizer, TokenBatch,
};
use std::collections::HashMap;

/// Why a folder can't be served.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The folder holds an encoder without a classification head.
    #[error("config.json: this is a base model without labels; fine-tune it first (attackline train)")]
    NoLabels,
    /// The folder is damaged.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// A model ready to answer. Several threads may call at once; a call computes on the calling one, and short batches also on
/// [those that are idle](Self::on_threads).
pub struct Engine {
    encoder: Encoder,
    threads: usize,
    labels: Labels,
    tokenizer: TextTokenizer,
    settings: Settings,
}

impl Engine {
    /// Lays the folder's weights out for inference.
    pub fn new(folder: &ModelFolder) -> Result<Self, EngineError> {
        Self::with_numbers(folder, Numbers::AsStored)
    }

    pub(crate) fn with_numbers(folder: &ModelFolder, numbers: Numbers) -> Result<Self, EngineError> {
        let labels = folder.labels.clone().ok_or(EngineError::NoLabels)?;
        // Either takes as long as the other.
        let (tokenizer, encoder) = std::thread::scope(|scope| {
            let tokenizer = scope.spawn(|| folder.tokenizer(None));
            let encoder = Encoder::with_numbers(folder, folder.longest_line(), numbers);
            (tokenizer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), encoder)
        });
        Ok(Self { tokenizer: tokenizer?, encoder: encoder?, settings: folder.settings.clone(), labels, threads: 1 })
    }

    /// Lets a call that has only a line or a few short ones use those of `threads` threads that no other call uses. Without it, one.
    #[must_use]
    pub fn on_threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// What computes its answers.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// The head's raw outputs, `[lines, labels]`.
    ///
    /// # Panics
    /// If a token id is not in the vocabulary or a line is longer than [`TextTokenizer::max_length`]; what [`Classifier::encode`]
    /// gives never is.
    pub fn logits(&self, batch: &TokenBatch) -> Vec<f32> {
        self.observed_logits(batch, &mut |_, _| {})
    }

    /// [`Engine::logits`], telling `seen` of every step's result on the way: to compare it with another implementation's. Where the
    /// head reads only first tokens, the last layer's results after its attention are of those alone.
    pub fn observed_logits(&self, batch: &TokenBatch, seen: &mut dyn FnMut(Step, &[f32])) -> Vec<f32> {
        self.encoder.observed_logits(batch, seen)
    }
}

impl Classifier for Engine {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn encode_prepared(&self, line: &Prepared<'_>) -> Result<Encoded, ModelError> {
        self.tokenizer.encode_prepared(line)
    }

    fn classify(&self, lines: &[Encoded]) -> Vec<Prediction> {
        let probabilities = if self.labels.several() { independent_probabilities } else { probabilities };
        let predict = |logits: &[f32]| Prediction { scores: probabilities(logits, self.settings.temperature) };
        // Logs repeat themselves: a line that comes several times is computed once.
        let (distinct, places) = distinct(lines);
        let mut answers = Vec::with_capacity(distinct.len());
        for batch in TokenBatch::within(distinct, BATCH_TOKENS) {
            answers.extend(self.encoder.logits_with_idle(&batch, self.threads).chunks_exact(self.labels.len()).map(predict));
        }
        places.into_iter().map(|place| answers[place].clone()).collect()
    }

    fn threshold(&self) -> f32 {
        self.settings.threshold
    }

    fn parent_share(&self) -> Option<ParentShare> {
        self.settings.parent
    }

    fn name(&self) -> &str {
        &self.settings.name
    }
}

/// The tokens of the different lines in the order of their first places, and where among them each line is.
fn distinct(lines: &[Encoded]) -> (Vec<&[u32]>, Vec<usize>) {
    let (mut different, mut seen) = (Vec::new(), HashMap::new());
    let mut place = |line| {
        *seen.entry(line).or_insert_with(|| {
            different.push(line);
            different.len() - 1
        })
    };
    let places = lines.iter().map(|line| place(line.ids.as_slice())).collect();
    (different, places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lines_share_a_place_and_others_do_not() {
        let lines = [vec![1u32, 2], vec![1], vec![1, 2], vec![2, 1], vec![1]].map(Encoded::from);
        let (different, places) = distinct(&lines);
        assert_eq!(places, [0, 1, 0, 2, 1]);
        assert_eq!(different, [&[1u32, 2][..], &[1], &[2, 1]]);
        assert_eq!(distinct(&[]).1, [0usize; 0]);
    }
}
