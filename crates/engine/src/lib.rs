//! Native CPU inference: an [`EncoderSpec`](attackline_model::EncoderSpec) and its weights become an [`Engine`] that
//! answers packed, padding-free batches.
//!
//! Products, norms and activations run over all tokens of a batch at once, attention a line at a time. Each row's
//! arithmetic is the same in every batch, so a line alone and the same line in company get the same bits.

mod encoder;
mod engine;
mod weights;

pub use engine::{Engine, EngineError};
