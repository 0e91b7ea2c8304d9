use crate::{DeviceKind, Method, Schedule, Selection, TrainError, blocks::Blocks};
use attackline_kernels::Bf16;
use serde::{Deserialize, Serialize};

/// The type in which frozen products are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FrozenType {
    /// 32 bits.
    F32,
    /// 16 bits: eight of mantissa.
    Bf16,
}

/// How to train. The defaults suit a full fine-tuning of a small encoder on short lines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainSettings {
    /// What is trained.
    pub selection: Selection,
    /// Passes over the training rows.
    pub epochs: usize,
    /// Greatest learning rate of the encoder.
    pub learning_rate: f64,
    /// Greatest learning rate of pooler and classifier, which start from less.
    pub head_learning_rate: f64,
    /// Decay of weights; biases and norms are never decayed.
    pub weight_decay: f64,
    /// The share of all steps in which the rate rises from 0.
    pub warmup: f64,
    /// How the rate falls afterwards.
    pub schedule: Schedule,
    /// The gradient's norm over all tensors is cut to this.
    pub clip_norm: f64,
    /// Tokens of a batch, at most, unless one line alone has more.
    pub batch_tokens: usize,
    /// Batches whose gradients are added up for one step: as if batches were so many times as large.
    pub accumulate: usize,
    /// Keep only each layer's input on the way forward and compute the layer again for its gradient: a third more time, far less memory.
    pub recompute: bool,
    /// Where to compute.
    pub device: DeviceKind,
    /// Compute in candle's own operations on the processor too, as on a GPU: slow, to test what a GPU runs.
    pub plain: bool,
    /// Dropout of embeddings, attention probabilities, block outputs and the pooled vector.
    pub dropout: f32,
    /// The share of a line's tokens that are left out each time it is learnt from, so that no single word decides (word dropout; Iyyer et al.
    /// 2015).
    pub token_dropout: f32,
    /// Seed of the new head, of the order of lines and of dropout.
    pub seed: u64,
    /// One weight a label, or none.
    pub class_weights: Option<Vec<f32>>,
    /// The share of the target that is spread over all labels.
    pub label_smoothing: f32,
    /// Power of the focal loss: what the model knows already counts less; 0 is plain cross entropy. Not together with smoothing.
    pub focus: f32,
    /// How frozen products are kept: f32, or bf16 in half the memory. On the processor they are computed with in f32 in any case; on a GPU
    /// bf16 is what all is computed in, and only the optimiser keeps f32.
    pub frozen_dtype: FrozenType,
    /// Multiply factors rounded to bf16 and sum in f32, where the processor has the instruction; weights, sums and everything else stay in f32
    /// (mixed precision; Kalamkar et al. 2019). On a GPU see `frozen_dtype`.
    pub bf16_products: bool,
    /// The longest line in tokens.
    pub max_length: usize,
    /// Epochs without a better validation result after which to stop; 0 never stops early.
    pub patience: usize,
    /// Threads to compute with; 0 takes one a processor.
    pub threads: usize,
    /// Save a checkpoint every so many steps (0: only at the end of epochs and when interrupted).
    pub checkpoint_every: u64,
}

impl Default for TrainSettings {
    fn default() -> Self {
        Self {
            selection: Selection::default(),
            epochs: 3,
            learning_rate: 5e-5,
            head_learning_rate: 5e-4,
            weight_decay: 0.01,
            warmup: 0.1,
            schedule: Schedule::Linear,
            clip_norm: 1.0,
            batch_tokens: 2048,
            accumulate: 1,
            recompute: false,
            device: DeviceKind::Cpu,
            plain: false,
            dropout: 0.1,
            token_dropout: 0.0,
            seed: 7,
            class_weights: None,
            label_smoothing: 0.0,
            focus: 0.0,
            frozen_dtype: FrozenType::F32,
            bf16_products: false,
            max_length: 128,
            patience: 0,
            threads: 0,
            checkpoint_every: 0,
        }
    }
}

impl TrainSettings {
    pub(crate) fn blocks(&self) -> Blocks {
        let bf16 = self.bf16_products.then(Bf16::detect).flatten();
        if self.device == DeviceKind::Cpu && !self.plain { Blocks::Fused(bf16) } else { Blocks::Plain }
    }

    /// Whether this processor has what [`Self::bf16_products`] needs; without it they are products of f32.
    pub fn multiplies_bf16() -> bool {
        Bf16::detect().is_some()
    }

    /// Refuses values that can't work, by name.
    pub fn check(&self, labels: usize) -> Result<(), TrainError> {
        let share = |value: f64| (0.0..1.0).contains(&value);
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let weights = self.class_weights.as_ref();
        let lora = if let Method::Lora(lora) = &self.selection.method { Some(lora) } else { None };
        let rules: [(&'static str, bool, &str); 21] = [
            ("lora-rank", lora.is_none_or(|lora| (1..=1_024).contains(&lora.rank)), "is from 1 to 1024"),
            ("lora-alpha", lora.is_none_or(|lora| positive(lora.alpha)), "must be above 0"),
            ("lora-dropout", lora.is_none_or(|lora| share(f64::from(lora.dropout))), "is a share from 0 to below 1"),
            ("lora-targets", lora.is_none_or(|lora| !lora.targets.is_empty()), "names at least one product"),
            ("epochs", self.epochs > 0, "must be at least 1"),
            ("learning-rate", positive(self.learning_rate), "must be above 0"),
            ("head-learning-rate", positive(self.head_learning_rate), "must be above 0"),
            ("weight-decay", self.weight_decay >= 0.0 && self.weight_decay.is_finite(), "must not be negative"),
            ("warmup", share(self.warmup), "is a share from 0 to below 1"),
            ("clip-norm", positive(self.clip_norm), "must be above 0"),
            ("batch-tokens", self.batch_tokens > 0, "must be at least 1"),
            ("threads", self.threads <= 1_024, "is from 1 to 1024"),
            ("accumulate", (1..=65_536).contains(&self.accumulate), "is from 1 to 65536"),
            (
                "bf16-products",
                !self.bf16_products || self.device == DeviceKind::Cpu,
                "is for the processor; on a GPU --dtype bf16 says what is computed in",
            ),
            ("dropout", share(f64::from(self.dropout)), "is a share from 0 to below 1"),
            ("token-dropout", share(f64::from(self.token_dropout)), "is a share from 0 to below 1"),
            ("label-smoothing", share(f64::from(self.label_smoothing)), "is a share from 0 to below 1"),
            ("focal", self.focus.is_finite() && self.focus >= 0.0, "must not be negative"),
            ("focal", self.focus == 0.0 || self.label_smoothing == 0.0, "and label smoothing exclude each other"),
            ("class-weights", weights.is_none_or(|w| w.len() == labels), "needs one weight a label"),
            ("class-weights", weights.is_none_or(|w| w.iter().all(|&w| positive(f64::from(w)))), "must be above 0"),
        ];
        match rules.into_iter().find(|(_, sound, _)| !sound) {
            Some((name, _, reason)) => Err(TrainError::Setting { name, reason: reason.to_owned() }),
            None => Ok(()),
        }
    }
}
