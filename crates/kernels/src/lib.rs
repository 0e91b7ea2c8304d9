//! Slice mathematics for encoders, forward and backward: one file an operation.
//!
//! This crate knows no models. Matrices are row-major slices of f32. It is the only crate that may hold
//! `unsafe`, so mapping a file is here, too; code for one instruction set lives under `arch/`, and each such function has a portable twin.

mod adamw;
mod arch;
mod attention;
mod bf16;
mod binary_cross_entropy;
mod crew;
mod cross_entropy;
mod dispatch;
mod dropout;
mod embedding_bag;
mod gelu;
mod int8;
mod isa;
mod lanes;
mod layer_norm;
mod map_file;
mod matmul;
mod neighbours;
mod packed;
mod small_product;
mod softmax;
mod tanh;

pub use adamw::{AdamW, adamw};
pub use attention::{
    AttentionDropout, AttentionGradients, AttentionInput, AttentionScratch, FirstTokenAttention, Relative, RelativeTerms, attention,
    attention_backward,
};
pub use bf16::Bf16;
pub use binary_cross_entropy::binary_cross_entropy;
pub use crew::Crew;
pub use cross_entropy::{Loss, cross_entropy};
pub use dropout::dropout;
pub use embedding_bag::embedding_bag;
pub use gelu::{gelu, gelu_backward};
pub use int8::{Edge, Int8Matrix, QuantizedRows, int8_peak};
pub use isa::Isa;
pub use layer_norm::{layer_norm, layer_norm_backward};
pub use map_file::map_file;
pub use matmul::{Transposed, matmul};
pub use neighbours::{neighbours, neighbours_backward};
pub use packed::PackedMatrix;
pub use softmax::{independent_probabilities, log_sum_exp, probabilities, softmax};
pub use tanh::{tanh, tanh_backward};
