//! Access to candle's storage as slices.

use super::room::with_room;
use candle_core::{CpuStorage, Device, InplaceOp1, Layout, Result, Shape, Storage, Tensor, Var, bail};
use rayon::prelude::*;
use std::{ops::Deref, sync::Mutex};

/// Elements of a part of a conversion.
const WIDE_PART: usize = 65_536;

/// The elements of an argument of an operation's forward pass.
pub(crate) fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(data), Some((start, end))) => Ok(&data[start..end]),
        _ => bail!("blocks take contiguous f32 tensors"),
    }
}

/// A tensor's elements for as long as they are read.
pub(crate) struct Elements<G> {
    guard: G,
    start: usize,
    end: usize,
}

impl<G: Deref<Target = Storage>> Deref for Elements<G> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &*self.guard {
            Storage::Cpu(CpuStorage::F32(data)) => &data[self.start..self.end],
            _ => &[],
        }
    }
}

/// The elements of a contiguous f32 tensor.
pub(crate) fn read(tensor: &Tensor) -> Result<Elements<impl Deref<Target = Storage> + '_>> {
    let (guard, layout) = tensor.storage_and_layout();
    let offsets = layout.contiguous_offsets();
    match (&*guard, offsets) {
        (Storage::Cpu(CpuStorage::F32(_)), Some((start, end))) => Ok(Elements { guard, start, end }),
        _ => bail!("blocks take contiguous f32 tensors"),
    }
}

/// The elements of a weight that may be kept in bf16, in f32, for as long as `use_it` runs.
pub(crate) fn with_wide_slice<T>(storage: &CpuStorage, layout: &Layout, use_it: impl FnOnce(&[f32]) -> T) -> Result<T> {
    let (CpuStorage::BF16(data), Some((start, end))) = (storage, layout.contiguous_offsets()) else { return Ok(use_it(slice(storage, layout)?)) };
    Ok(with_room(end - start, |room| {
        room.par_chunks_mut(WIDE_PART).zip(data[start..end].par_chunks(WIDE_PART)).for_each(|(out, data)| {
            for (out, value) in out.iter_mut().zip(data) {
                *out = value.to_f32();
            }
        });
        use_it(room)
    }))
}

/// [`with_wide_slice`] of a tensor.
pub(crate) fn with_wide<T>(tensor: &Tensor, use_it: impl FnOnce(&[f32]) -> T) -> Result<T> {
    let (guard, layout) = tensor.storage_and_layout();
    match &*guard {
        Storage::Cpu(storage) => with_wide_slice(storage, layout, use_it),
        _ => bail!("blocks take tensors on the processor"),
    }
}

/// A tensor of what an operation's backward pass computed.
pub(crate) fn tensor(data: Vec<f32>, shape: &Shape) -> Result<Tensor> {
    Tensor::from_vec(data, shape, &Device::Cpu)
}

/// Changes a variable's elements in place.
pub(crate) fn updated(variable: &Var, change: impl FnOnce(&mut [f32])) -> Result<()> {
    struct Change<F>(Mutex<Option<F>>);
    impl<F: FnOnce(&mut [f32])> InplaceOp1 for Change<F> {
        fn name(&self) -> &'static str {
            "change"
        }

        fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
            let change = self.0.lock().ok().and_then(|mut change| change.take());
            match (storage, layout.contiguous_offsets(), change) {
                (CpuStorage::F32(data), Some((start, end)), Some(change)) => change(&mut data[start..end]),
                _ => bail!("variables are contiguous f32 tensors"),
            }
            Ok(())
        }
    }
    variable.as_tensor().inplace_op1(&Change(Mutex::new(Some(change))))
}
