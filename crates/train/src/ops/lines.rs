//! Blocks that know where lines begin and end.

use super::slices::{read, slice, tensor};
use attackline_kernels::{neighbours, neighbours_backward};
use attackline_model::Pooling;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use std::{ops::Range, sync::Arc};

/// One vector for every line: `[tokens, hidden]` to `[lines, hidden]`.
pub(crate) struct Pool {
    pub(crate) offsets: Arc<[usize]>,
    pub(crate) pooling: Pooling,
}

impl Pool {
    /// For each line the tokens that are pooled, and the share of each.
    fn spans(&self) -> impl Iterator<Item = (Range<usize>, f32)> {
        self.offsets.windows(2).map(|line| match self.pooling {
            Pooling::First => (line[0]..line[0] + 1, 1.0),
            Pooling::Mean => (line[0]..line[1], 1.0 / (line[1] - line[0]) as f32),
        })
    }
}

impl CustomOp1 for Pool {
    fn name(&self) -> &'static str {
        "pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, width) = layout.shape().dims2()?;
        let x = slice(x, layout)?;
        let lines = self.offsets.len() - 1;
        let mut out = vec![0.0; lines * width];
        for (pooled, (tokens, share)) in out.chunks_exact_mut(width).zip(self.spans()) {
            for row in x[tokens.start * width..tokens.end * width].chunks_exact(width) {
                pooled.iter_mut().zip(row).for_each(|(pooled, value)| *pooled += share * value);
            }
        }
        Ok((CpuStorage::F32(out), Shape::from((lines, width))))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (tokens, width) = x.dims2()?;
        let grad = grad.contiguous()?;
        let grads = read(&grad)?;
        let mut out = vec![0.0; tokens * width];
        for (grad, (tokens, share)) in grads.chunks_exact(width).zip(self.spans()) {
            for row in out[tokens.start * width..tokens.end * width].chunks_exact_mut(width) {
                row.iter_mut().zip(grad).for_each(|(value, grad)| *value = share * grad);
            }
        }
        Ok(Some(tensor(out, x.shape())?))
    }
}

/// Each token's neighbours in its line, for a convolution: `[tokens, hidden]` to `[tokens, hidden · kernel]`.
pub(crate) struct Neighbours {
    pub(crate) offsets: Arc<[usize]>,
    pub(crate) kernel: usize,
}

impl CustomOp1 for Neighbours {
    fn name(&self) -> &'static str {
        "neighbours"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (tokens, width) = layout.shape().dims2()?;
        Ok((CpuStorage::F32(neighbours(slice(x, layout)?, &self.offsets, self.kernel)), Shape::from((tokens, width * self.kernel))))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(tensor(neighbours_backward(&read(&grad.contiguous()?)?, &self.offsets, self.kernel), x.shape())?))
    }
}
