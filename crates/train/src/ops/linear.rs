use super::{
    PART_ROWS,
    slices::{read, slice, tensor},
};
use attackline_kernels::{Transposed, matmul};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

/// `y = x · weightᵀ + bias` with `x` `[rows, inputs]`, `weight` `[outputs, inputs]`, `bias` `[outputs]`.
pub(crate) struct Linear {
    /// Whether the weight's gradient is wanted: a product as large as the forward one.
    pub(crate) weight_trainable: bool,
    /// Whether the bias's gradient is wanted.
    pub(crate) bias_trainable: bool,
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, w: &CpuStorage, wl: &Layout, b: &CpuStorage, bl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, inputs) = xl.shape().dims2()?;
        let outputs = wl.shape().dims2()?.0;
        let (x, w, b) = (slice(x, xl)?, slice(w, wl)?, slice(b, bl)?);
        let mut out = vec![0.0; rows * outputs];
        out.par_chunks_mut(PART_ROWS * outputs).for_each(|part| part.chunks_exact_mut(outputs).for_each(|row| row.copy_from_slice(b)));
        matmul(&mut out, x, w, rows, inputs, outputs, Transposed { left: false, right: true }, true, rayon::current_num_threads());
        Ok((CpuStorage::F32(out), Shape::from((rows, outputs))))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, b: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (rows, inputs) = x.dims2()?;
        let outputs = w.dim(0)?;
        let threads = rayon::current_num_threads();
        let grad = grad.contiguous()?;
        let (xs, ws, grads) = (read(x)?, read(w)?, read(&grad)?);
        let mut of_x = vec![0.0; rows * inputs];
        matmul(&mut of_x, &grads, &ws, rows, outputs, inputs, Transposed::default(), false, threads);
        let mut of_w = None;
        if self.weight_trainable {
            let mut out = vec![0.0; outputs * inputs];
            matmul(&mut out, &grads, &xs, outputs, rows, inputs, Transposed { left: true, right: false }, false, threads);
            of_w = Some(tensor(out, w.shape())?);
        }
        let of_b = if self.bias_trainable { Some(tensor(column_sums(&grads, outputs), b.shape())?) } else { None };
        Ok((Some(tensor(of_x, x.shape())?), of_w, of_b))
    }
}

/// Sums of the columns, part by part and then over the parts in order.
fn column_sums(matrix: &[f32], columns: usize) -> Vec<f32> {
    let parts: Vec<Vec<f32>> = matrix
        .par_chunks(PART_ROWS * columns)
        .map(|part| {
            let mut sums = vec![0.0; columns];
            part.chunks_exact(columns).for_each(|row| add(&mut sums, row));
            sums
        })
        .collect();
    add_up(parts, columns)
}

/// Adds parts' sums in the order of the parts.
pub(super) fn add_up(parts: Vec<Vec<f32>>, len: usize) -> Vec<f32> {
    let mut total = vec![0.0; len];
    for part in &parts {
        add(&mut total, part);
    }
    total
}

pub(super) fn add(total: &mut [f32], part: &[f32]) {
    for (total, part) in total.iter_mut().zip(part) {
        *total += part;
    }
}
