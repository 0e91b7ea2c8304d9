//! The graph's blocks, each in two forms: our own operations over the kernels, for f32 on the processor, and candle's plain operations,
//! for every device that candle knows. Both are tested against each other on the processor.

use crate::{
    lines::Lines,
    ops::{AddNorm, Attention, Dropout, Dropped, Gelu, Linear, LoraLinear, Neighbours, Norm, Pool, PositionColumns, Tanh},
    plain,
};
use attackline_kernels::Bf16;
use attackline_model::{Activation, Pooling};
use candle_core::{Result, Tensor};

/// Which form the blocks have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blocks {
    /// Our operations: f32 on the processor, products with factors in bf16 where that is given.
    Fused(Option<Bf16>),
    /// candle's operations: any device and float type.
    Plain,
}

/// What a product computes with, and whose gradients are wanted.
pub(crate) struct Weights<'a> {
    pub(crate) weight: &'a Tensor,
    pub(crate) bias: Option<&'a Tensor>,
    pub(crate) weight_trainable: bool,
    pub(crate) bias_trainable: bool,
    /// Only so many outputs are computed, from the first on; all where `None`.
    pub(crate) outputs: Option<usize>,
    /// Whether the input goes through the GELU first.
    pub(crate) gelu: bool,
}

/// Extents of attention and what its relative positions are.
pub(crate) struct Shape<'a> {
    pub(crate) heads: usize,
    pub(crate) terms: usize,
    /// The projected table `[rows, …]` and where in it keys and queries stand.
    pub(crate) positions: Option<(&'a Tensor, PositionColumns)>,
    pub(crate) dropped: Dropped,
}

impl Blocks {
    pub(crate) fn linear(self, x: &Tensor, weights: &Weights<'_>) -> Result<Tensor> {
        match self {
            Self::Fused(bf16) => {
                let outputs = weights.outputs.unwrap_or(weights.weight.dim(0)?);
                let (weight_trainable, bias_trainable) = (weights.weight_trainable, weights.bias_trainable);
                let linear = Linear { gelu: weights.gelu, weight_trainable, bias_trainable, outputs, bf16 };
                match weights.bias {
                    Some(bias) => x.apply_op3(weights.weight, bias, linear),
                    None => x.apply_op2(weights.weight, linear),
                }
            }
            Self::Plain if weights.gelu => plain::linear(&x.gelu_erf()?, weights.weight, weights.bias, weights.outputs),
            Self::Plain => plain::linear(x, weights.weight, weights.bias, weights.outputs),
        }
    }

    /// A frozen product with LoRA's addition.
    pub(crate) fn lora(self, x: &Tensor, a: &Tensor, b: &Tensor, block: LoraLinear) -> Result<Tensor> {
        match self {
            Self::Fused(bf16) => x.apply_op3(a, b, LoraLinear { bf16, ..block }),
            Self::Plain if block.gelu => plain::lora(&x.gelu_erf()?, a, b, &block),
            Self::Plain => plain::lora(x, a, b, &block),
        }
    }

    pub(crate) fn norm(self, x: &Tensor, norm: &Tensor, epsilon: f32, norm_trainable: bool) -> Result<Tensor> {
        match self {
            Self::Fused(_) => x.apply_op2(norm, Norm { epsilon, norm_trainable }),
            Self::Plain => plain::norm(x, norm, epsilon),
        }
    }

    /// `norm(residual + dropout(x))`.
    pub(crate) fn add_norm(self, x: &Tensor, residual: &Tensor, norm: &Tensor, block: AddNorm) -> Result<Tensor> {
        match self {
            Self::Fused(_) => x.apply_op3(residual, norm, block),
            Self::Plain => plain::norm(&(plain::dropout(x, block.dropped)? + residual)?, norm, block.epsilon),
        }
    }

    pub(crate) fn activation(self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        match (self, activation) {
            (Self::Fused(_), Activation::Gelu) => x.apply_op1(Gelu),
            (Self::Fused(_), Activation::Tanh) => x.apply_op1(Tanh),
            (Self::Plain, Activation::Gelu) => x.gelu_erf(),
            (Self::Plain, Activation::Tanh) => x.tanh(),
        }
    }

    pub(crate) fn dropout(self, x: &Tensor, dropped: Dropped) -> Result<Tensor> {
        match self {
            _ if dropped.rate == 0.0 => Ok(x.clone()),
            Self::Fused(_) => x.apply_op1(Dropout(dropped)),
            Self::Plain => plain::dropout(x, dropped),
        }
    }

    pub(crate) fn pool(self, x: &Tensor, lines: &Lines, pooling: Pooling) -> Result<Tensor> {
        match (self, pooling) {
            (Self::Fused(_), _) => x.apply_op1(Pool { offsets: lines.offsets.clone(), pooling }),
            (Self::Plain, Pooling::First) => plain::first_tokens(x, lines),
            (Self::Plain, Pooling::Mean) => plain::mean_tokens(x, lines),
        }
    }

    pub(crate) fn neighbours(self, x: &Tensor, lines: &Lines, kernel: usize) -> Result<Tensor> {
        match self {
            Self::Fused(_) => x.apply_op1(Neighbours { offsets: lines.offsets.clone(), kernel }),
            Self::Plain => plain::neighbours(x, lines, kernel),
        }
    }

    pub(crate) fn attention(self, qkv: &Tensor, lines: &Lines, shape: &Shape<'_>) -> Result<Tensor> {
        if self == Self::Plain {
            return plain::attention(qkv, lines, shape);
        }
        let block = |positions| Attention {
            offsets: lines.offsets.clone(),
            distances: lines.distances.clone(),
            heads: shape.heads,
            terms: shape.terms,
            positions,
            dropped: shape.dropped,
        };
        match shape.positions {
            Some((table, columns)) => qkv.apply_op2(table, block(columns)),
            None => qkv.apply_op1(block(PositionColumns::default())),
        }
    }
}
