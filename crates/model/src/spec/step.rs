use std::fmt;

/// What an interpreter of an [`EncoderSpec`](super::EncoderSpec) has computed, in the order in which it does. The engine and the graph
/// name the same steps, and each is compared with the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The encoder's input after the norm, `[tokens, hidden]`.
    Embeddings,
    /// Queries, keys and values of a layer, `[tokens, 3 · hidden]`.
    QueryKeyValue(usize),
    /// What a layer's attention gathered, `[tokens, hidden]`.
    Context(usize),
    /// After the attention's output product, residual and norm, `[tokens, hidden]`.
    Attention(usize),
    /// After the feed-forward block, residual and norm (and the convolution), `[tokens, hidden]`.
    Output(usize),
    /// The vector that the classifier reads, `[lines, hidden]`.
    Pooled,
    /// `[lines, labels]`.
    Logits,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embeddings => f.write_str("embeddings"),
            Self::QueryKeyValue(layer) => write!(f, "layer.{layer}.query_key_value"),
            Self::Context(layer) => write!(f, "layer.{layer}.context"),
            Self::Attention(layer) => write!(f, "layer.{layer}.attention"),
            Self::Output(layer) => write!(f, "layer.{layer}.output"),
            Self::Pooled => f.write_str("pooled"),
            Self::Logits => f.write_str("logits"),
        }
    }
}
