use super::{
    PART_ROWS,
    linear::{add, add_up},
    slices::{read, slice, tensor},
};
use attackline_kernels::{dropout, layer_norm, layer_norm_backward};
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

/// A dropout mask: its rate (0 outside training) and its seed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dropped {
    pub(crate) rate: f32,
    pub(crate) seed: u64,
}

impl Dropped {
    /// Nothing is dropped out.
    pub(crate) const NONE: Self = Self { rate: 0.0, seed: 0 };
}

/// Layer norm of `x` with `norm` `[2, hidden]`: the gain above the bias.
pub(crate) struct Norm {
    pub(crate) epsilon: f32,
    pub(crate) norm_trainable: bool,
}

impl CustomOp2 for Norm {
    fn name(&self) -> &'static str {
        "norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, norm: &CpuStorage, nl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, norm) = (slice(x, xl)?, slice(norm, nl)?);
        let width = norm.len() / 2;
        let (gain, bias) = norm.split_at(width);
        let mut out = x.to_vec();
        out.par_chunks_mut(PART_ROWS * width).for_each(|part| layer_norm(part, gain, bias, self.epsilon));
        Ok((CpuStorage::F32(out), xl.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, norm: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let (xs, norms, mut of_x) = (read(x)?, read(norm)?, read(&grad)?.to_vec());
        let width = norms.len() / 2;
        let sums = of_x
            .par_chunks_mut(PART_ROWS * width)
            .zip(xs.par_chunks(PART_ROWS * width))
            .map(|(grad, x)| {
                let mut sums = vec![0.0; 2 * width];
                let (of_gain, of_bias) = sums.split_at_mut(width);
                layer_norm_backward(x, &norms[..width], self.epsilon, grad, of_gain, of_bias);
                sums
            })
            .collect();
        let of_norm = if self.norm_trainable { Some(tensor(add_up(sums, 2 * width), norm.shape())?) } else { None };
        Ok((Some(tensor(of_x, x.shape())?), of_norm))
    }
}

/// `norm(residual + dropout(x))` with `norm` as in [`Norm`]. The sum is not stored but computed again for the gradient.
pub(crate) struct AddNorm {
    pub(crate) epsilon: f32,
    pub(crate) dropped: Dropped,
    pub(crate) norm_trainable: bool,
}

impl AddNorm {
    /// `residual + dropout(x)` of part number `part`, written over `x`.
    fn sum(&self, x: &mut [f32], residual: &[f32], part: usize, width: usize) {
        dropout(x, self.dropped.rate, self.dropped.seed, part * PART_ROWS * width);
        add(x, residual);
    }
}

impl CustomOp3 for AddNorm {
    fn name(&self) -> &'static str {
        "add-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        residual: &CpuStorage,
        rl: &Layout,
        norm: &CpuStorage,
        nl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, residual, norm) = (slice(x, xl)?, slice(residual, rl)?, slice(norm, nl)?);
        let width = norm.len() / 2;
        let (gain, bias) = norm.split_at(width);
        let size = PART_ROWS * width;
        let mut out = vec![0.0; x.len()];
        out.par_chunks_mut(size).zip(x.par_chunks(size)).zip(residual.par_chunks(size)).enumerate().for_each(|(part, ((out, x), residual))| {
            out.copy_from_slice(x);
            self.sum(out, residual, part, width);
            layer_norm(out, gain, bias, self.epsilon);
        });
        Ok((CpuStorage::F32(out), xl.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        residual: &Tensor,
        norm: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let (xs, residuals, norms, grads) = (read(x)?, read(residual)?, read(norm)?, read(&grad)?);
        let width = norms.len() / 2;
        let size = PART_ROWS * width;
        let (mut of_x, mut of_residual) = (vec![0.0; xs.len()], vec![0.0; xs.len()]);
        let outputs = of_x.par_chunks_mut(size).zip(of_residual.par_chunks_mut(size));
        let inputs = xs.par_chunks(size).zip(residuals.par_chunks(size)).zip(grads.par_chunks(size));
        let sums = outputs
            .zip(inputs)
            .enumerate()
            .map(|(part, ((of_x, of_residual), ((x, residual), grad)))| {
                let mut sums = vec![0.0; 2 * width];
                let (of_gain, of_bias) = sums.split_at_mut(width);
                of_x.copy_from_slice(x);
                self.sum(of_x, residual, part, width);
                of_residual.copy_from_slice(grad);
                layer_norm_backward(of_x, &norms[..width], self.epsilon, of_residual, of_gain, of_bias);
                of_x.copy_from_slice(of_residual);
                dropout(of_x, self.dropped.rate, self.dropped.seed, part * size);
                sums
            })
            .collect();
        let of_norm = if self.norm_trainable { Some(tensor(add_up(sums, 2 * width), norm.shape())?) } else { None };
        Ok((Some(tensor(of_x, x.shape())?), Some(tensor(of_residual, x.shape())?), of_norm))
    }
}
