//! Native CPU inference: an [`EncoderSpec`](attackline_model::EncoderSpec) and its weights become an [`Engine`] that
//! answers packed, padding-free batches.
//!
//! The products of the layers are computed in f32, or in int8 where the folder says so (`attackline model quantize`).
//!
//! Products, norms and activations run over all tokens of a batch at once, attention a line at a time. Each row's
//! arithmetic is the same in every batch, so a line alone and the same line in company get the same bits.

mod encoder;
mod engine;
mod long_lines;
mod matrix;
mod ngrams;
mod pass;
mod profile;
mod quantize;
mod shape;
mod weights;

pub use encoder::Encoder;
pub use engine::{Engine, EngineError};
pub use long_lines::LongLines;
pub use ngrams::{Parts, WithNgrams, attack_logit, surest};
pub use profile::{Operation, Profile, Spent};
pub use quantize::{QuantizeOptions, quantize};
pub use shape::Shape;

/// The rate that the int8 product reaches at best here, on one thread, in operations a second.
pub use attackline_kernels::int8_peak;

/// The name of the instruction set that the engine computes with.
pub fn instruction_set() -> &'static str {
    attackline_kernels::Isa::detect().name()
}
