//! Blocks that know where lines begin and end.

use super::slices::{read, slice, tensor};
use attackline_kernels::{neighbours, neighbours_backward};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use std::sync::Arc;

/// The first token of every line: `[tokens, hidden]` to `[lines, hidden]`.
pub(crate) struct FirstTokens {
    pub(crate) offsets: Arc<[usize]>,
}

impl CustomOp1 for FirstTokens {
    fn name(&self) -> &'static str {
        "first-tokens"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, width) = layout.shape().dims2()?;
        let x = slice(x, layout)?;
        let lines = self.offsets.len() - 1;
        let mut out = Vec::with_capacity(lines * width);
        for &first in &self.offsets[..lines] {
            out.extend_from_slice(&x[first * width..][..width]);
        }
        Ok((CpuStorage::F32(out), Shape::from((lines, width))))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (tokens, width) = x.dims2()?;
        let grad = grad.contiguous()?;
        let grads = read(&grad)?;
        let mut out = vec![0.0; tokens * width];
        for (&first, row) in self.offsets.iter().zip(grads.chunks_exact(width)) {
            out[first * width..][..width].copy_from_slice(row);
        }
        Ok(Some(tensor(out, x.shape())?))
    }
}

/// The mean of every line's tokens: `[tokens, hidden]` to `[lines, hidden]`.
pub(crate) struct MeanTokens {
    pub(crate) offsets: Arc<[usize]>,
}

impl CustomOp1 for MeanTokens {
    fn name(&self) -> &'static str {
        "mean-tokens"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, width) = layout.shape().dims2()?;
        let x = slice(x, layout)?;
        let lines = self.offsets.len() - 1;
        let mut out = vec![0.0; lines * width];
        for (mean, line) in out.chunks_exact_mut(width).zip(self.offsets.windows(2)) {
            let share = 1.0 / (line[1] - line[0]) as f32;
            for row in x[line[0] * width..line[1] * width].chunks_exact(width) {
                mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += share * value);
            }
        }
        Ok((CpuStorage::F32(out), Shape::from((lines, width))))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (tokens, width) = x.dims2()?;
        let grad = grad.contiguous()?;
        let grads = read(&grad)?;
        let mut out = vec![0.0; tokens * width];
        for (grad, line) in grads.chunks_exact(width).zip(self.offsets.windows(2)) {
            let share = 1.0 / (line[1] - line[0]) as f32;
            for row in out[line[0] * width..line[1] * width].chunks_exact_mut(width) {
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
