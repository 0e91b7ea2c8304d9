use super::{
    norm::Dropped,
    room::with_room,
    slices::{read, slice, tensor},
};
use attackline_kernels::{dropout, gelu, gelu_backward, tanh, tanh_backward};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

/// Elements of a part.
const PART: usize = 16_384;

/// `x`, or its exact GELU, for as long as `use_it` runs.
pub(super) fn with_activated<T>(x: &[f32], activate: bool, use_it: impl FnOnce(&[f32]) -> T) -> T {
    if !activate {
        return use_it(x);
    }
    with_room(x.len(), |room| {
        room.par_chunks_mut(PART).zip(x.par_chunks(PART)).for_each(|(out, x)| {
            out.copy_from_slice(x);
            gelu(out);
        });
        use_it(room)
    })
}

/// `x` with some elements dropped out, where any are, for as long as `use_it` runs.
pub(super) fn with_dropped<T>(x: &[f32], dropped: Dropped, use_it: impl FnOnce(&[f32]) -> T) -> T {
    if dropped.rate == 0.0 {
        return use_it(x);
    }
    with_room(x.len(), |room| {
        room.copy_from_slice(x);
        drop_out(room, dropped);
        use_it(room)
    })
}

/// Drops elements out by a mask that is the same for the same seed.
pub(super) fn drop_out(data: &mut [f32], dropped: Dropped) {
    data.par_chunks_mut(PART).enumerate().for_each(|(part, data)| dropout(data, dropped.rate, dropped.seed, part * PART));
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
        let out = with_activated(slice(x, layout)?, true, <[f32]>::to_vec);
        Ok((CpuStorage::F32(out), layout.shape().clone()))
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

impl CustomOp1 for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut out = slice(x, layout)?.to_vec();
        drop_out(&mut out, self.0);
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let mut out = read(&grad.contiguous()?)?.to_vec();
        drop_out(&mut out, self.0);
        Ok(Some(tensor(out, x.shape())?))
    }
}
