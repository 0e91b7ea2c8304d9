//! An encoder's architecture as data.

mod config;
mod relative;
mod step;

pub use relative::RelativePositions;
pub use step::Step;

/// Whose names and conventions a checkpoint follows: the `model_type` of its `config.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelType {
    /// BERT (Devlin et al. 2019).
    Bert,
    /// RoBERTa (Liu et al. 2019).
    Roberta,
    /// DeBERTa v2 and v3 (He et al. 2021 and 2023).
    DebertaV2,
}

impl ModelType {
    /// All that are supported, by their names in `config.json`.
    pub const NAMES: [(&str, Self); 3] = [("bert", Self::Bert), ("roberta", Self::Roberta), ("deberta-v2", Self::DebertaV2)];

    /// The class of `transformers` that loads such a model as a classifier.
    pub fn architecture(self) -> &'static str {
        match self {
            Self::Bert => "BertForSequenceClassification",
            Self::Roberta => "RobertaForSequenceClassification",
            Self::DebertaV2 => "DebertaV2ForSequenceClassification",
        }
    }

    /// What stands before the names of the encoder's weights.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Bert => "bert.",
            Self::Roberta => "roberta.",
            Self::DebertaV2 => "deberta.",
        }
    }
}

/// A learned vector for each place in the line, added to the token's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbsolutePositions {
    /// Rows of the table.
    pub rows: usize,
    /// The row of a line's first token: RoBERTa's come after the padding token's.
    pub first: usize,
}

/// An elementwise function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// The exact Gaussian error linear unit, by erf. Its tanh approximation gives other numbers.
    Gelu,
    /// The hyperbolic tangent.
    Tanh,
}

/// How a line's tokens become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The first token.
    First,
    /// The mean of all tokens, special ones included (what sentence encoders use).
    Mean,
}

/// The convolution over neighbouring tokens that DeBERTa-v2 adds to the first layer's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Convolution {
    /// Tokens that one result sees; odd.
    pub kernel: usize,
    /// The function of the convolution's result.
    pub activation: Activation,
}

/// The way from the encoder's last layer to the logits: pooling, a square layer with its function where there is one, the classifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// How a line becomes one vector.
    pub pooling: Pooling,
    /// The function after the square layer between pooling and classifier; `None` where the pooled vector is classified as it is.
    pub dense: Option<Activation>,
}

/// An encoder's architecture: the engine and the trainer are two interpreters of it.
///
/// Steps, in order: word (+ position) (+ type) embeddings, their projection where `embedding != hidden`, norm; each layer's attention,
/// add and norm, feed-forward, add and norm (+ the convolution after the first); the head.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderSpec {
    /// Whose names the weights have.
    pub model_type: ModelType,
    /// Rows of the word embedding.
    pub vocabulary: usize,
    /// Width of the embedding tables.
    pub embedding: usize,
    /// Width of a token's vector.
    pub hidden: usize,
    /// Number of transformer layers.
    pub layers: usize,
    /// Attention heads; divides `hidden`.
    pub heads: usize,
    /// Width of the feed-forward block.
    pub intermediate: usize,
    /// The longest line in tokens, special ones included.
    pub longest: usize,
    /// Absolute positions, where the model has them.
    pub absolute: Option<AbsolutePositions>,
    /// Relative positions inside the attention, where the model has them.
    pub relative: Option<RelativePositions>,
    /// Rows of the token type embedding, 0 for none; every token of ours has type 0.
    pub token_types: usize,
    /// Attention scores are divided by the root of this many head widths: one, and one more for each term of relative positions.
    pub attention_terms: usize,
    /// Added to the variance in every layer norm.
    pub norm_epsilon: f32,
    /// The feed-forward block's function.
    pub activation: Activation,
    /// DeBERTa-v2's convolution.
    pub convolution: Option<Convolution>,
    /// From the last layer to the logits.
    pub head: Head,
}

impl EncoderSpec {
    /// The relative positions, where some term of the attention uses them.
    pub fn used_relative(&self) -> Option<&RelativePositions> {
        self.relative.as_ref().filter(|relative| relative.content_to_position || relative.position_to_content)
    }

    /// Width of an attention head.
    pub fn head_width(&self) -> usize {
        self.hidden / self.heads
    }
}
