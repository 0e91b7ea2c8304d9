use super::{
    norm::Dropped,
    slices::{read, slice, tensor},
};
use attackline_kernels::{dropout, gelu, gelu_backward, tanh, tanh_backward};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

/// Elements of a part.
const PART: usize = 16_384;

/// The exact GELU of every element.
pub(super) fn activated(x: &[f32]) -> Vec<f32> {
    let mut out = x.to_vec();
    out.par_chunks_mut(PART).for_each(gelu);
    out
}

/// Multiplies `grad` by the GELU's derivative at `x`.
pub(super) fn activate_backward(x: &[f32], grad: &mut [f32]) {
    grad.par_chunks_mut(PART).zip(x.par_chunks(PART)).for_each(|(grad, x)| gelu_backward(x, grad));
}

/// The exact GELU.
pub(crate) struct Gelu;

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(activated(slice(x, layout)?)), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        let (xs, mut out) = (read(x)?, read(&grad)?.to_vec());
        activate_backward(&xs, &mut out);
        Ok(Some(tensor(out, x.shape())?))
    }
}

/// The hyperbolic tangent (of the pooled vectors, so small that it runs in one piece).
pub(crate) struct Tanh;

impl CustomOp1 for Tanh {
    fn name(&self) -> &'static str {
        "tanh"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut out = slice(x, layout)?.to_vec();
        tanh(&mut out);
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        let (ys, mut out) = (read(y)?, read(&grad)?.to_vec());
        tanh_backward(&ys, &mut out);
        Ok(Some(tensor(out, y.shape())?))
    }
}

/// Dropout by a mask that is computed again for the gradient.
pub(crate) struct Dropout(pub(crate) Dropped);

impl Dropout {
    fn apply(&self, data: &mut [f32]) {
        data.par_chunks_mut(PART).enumerate().for_each(|(part, data)| dropout(data, self.0.rate, self.0.seed, part * PART));
    }
}

impl CustomOp1 for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut out = slice(x, layout)?.to_vec();
        self.apply(&mut out);
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let mut out = read(&grad.contiguous()?)?.to_vec();
        self.apply(&mut out);
        Ok(Some(tensor(out, x.shape())?))
    }
}
