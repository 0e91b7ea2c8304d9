use crate::{
    pass::{Pass, Scratch},
    profile::Profile,
    weights::{EncoderWeights, Numbers},
};
use attackline_model::{EncoderSpec, ModelError, ModelFolder, Step, TokenBatch};
use std::sync::{Mutex, PoisonError};

/// A model's weights, laid out to compute logits from token ids. One call computes on the calling thread; several threads may call at
/// once.
pub struct Encoder {
    spec: EncoderSpec,
    weights: EncoderWeights,
    /// Buffers of passes that are over: as many as there were threads.
    scratch: Mutex<Vec<Scratch>>,
}

impl Encoder {
    /// Lays the folder's weights out for lines of up to `longest` tokens. The folder must have labels.
    pub fn new(folder: &ModelFolder, longest: usize) -> Result<Self, ModelError> {
        Self::with_numbers(folder, longest, Numbers::AsStored)
    }

    pub(crate) fn with_numbers(folder: &ModelFolder, longest: usize, numbers: Numbers) -> Result<Self, ModelError> {
        let labels = folder.labels.as_ref().map_or(0, |labels| labels.len());
        let weights = EncoderWeights::new(folder, labels, longest, numbers)?;
        Ok(Self { spec: folder.spec.clone(), weights, scratch: Mutex::default() })
    }

    /// The head's raw outputs, `[lines, labels]`.
    ///
    /// # Panics
    /// If a token id is not in the vocabulary or a line is longer than the weights were laid out for.
    pub fn logits(&self, batch: &TokenBatch) -> Vec<f32> {
        self.observed_logits(batch, &mut |_, _| {})
    }

    /// [`Encoder::logits`], telling `seen` of every step's result on the way. Where the head reads only first tokens, the last layer's
    /// results after its attention are of those alone.
    pub fn observed_logits(&self, batch: &TokenBatch, seen: &mut dyn FnMut(Step, &[f32])) -> Vec<f32> {
        if batch.is_empty() {
            return Vec::new();
        }
        let mut scratch = self.waiting().pop().unwrap_or_default();
        let logits = Pass { spec: &self.spec, weights: &self.weights, batch, seen }.logits(&mut scratch);
        self.waiting().push(scratch);
        logits
    }

    /// [`Encoder::logits`], and where the time went, added to `profile`.
    pub fn profiled_logits(&self, batch: &TokenBatch, profile: &mut Profile) -> Vec<f32> {
        if batch.is_empty() {
            return Vec::new();
        }
        let mut scratch = self.waiting().pop().unwrap_or_default();
        scratch.products.profile = Some(std::mem::take(profile));
        let logits = Pass { spec: &self.spec, weights: &self.weights, batch, seen: &mut |_, _| {} }.logits(&mut scratch);
        *profile = scratch.products.profile.take().unwrap_or_default();
        self.waiting().push(scratch);
        logits
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Scratch>> {
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The products that were looked at, by name, with their errors in int8.
    pub(crate) fn errors(&self) -> Vec<(String, f64)> {
        let named = self.weights.layers.iter().enumerate().flat_map(|(layer, weights)| {
            weights.products().into_iter().filter_map(move |(name, matrix)| Some((format!("layer.{layer}.{name}"), matrix.error()?)))
        });
        named.collect()
    }
}
