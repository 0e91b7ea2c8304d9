//! The graph's blocks: candle custom operations over the kernels, each with its gradient. Work is divided into parts of
//! fixed size whose results are added in order, so the number of threads does not show in the pointwise results.

mod attention;
mod linear;
mod lines;
mod lora;
mod loss;
mod norm;
mod pointwise;
mod room;
mod slices;

pub(crate) use attention::{Attention, PositionColumns};
pub(crate) use linear::Linear;
pub(crate) use lines::{Neighbours, Pool};
pub(crate) use lora::LoraLinear;
pub(crate) use loss::CrossEntropy;
pub(crate) use norm::{AddNorm, Dropped, Norm};
pub(crate) use pointwise::{Dropout, Gelu, Tanh};
pub(crate) use slices::{read, updated};

/// Rows of a part.
const PART_ROWS: usize = 32;

#[cfg(test)]
mod tests;
