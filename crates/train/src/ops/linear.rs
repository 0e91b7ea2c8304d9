use super::{
    PART_ROWS,
    pointwise::{activate_backward, with_activated},
    slices::{read, slice, tensor, with_wide, with_wide_slice},
};
use attackline_kernels::{Bf16, Transposed, matmul};
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

/// `y = a(x) · weightᵀ + bias` with `x` `[rows, inputs]`, `weight` `[all outputs, inputs]`, `bias` `[all outputs]`, or without a bias. `a` is nothing
/// or the GELU: taken into the product, its result need not be kept for the gradient.
pub(crate) struct Linear {
    /// Whether `a` is the GELU.
    pub(crate) gelu: bool,
    /// Whether the weight's gradient is wanted: a product as large as the forward one.
    pub(crate) weight_trainable: bool,
    /// Whether the bias's gradient is wanted.
    pub(crate) bias_trainable: bool,
    /// Only so many outputs are computed, from the first on.
    pub(crate) outputs: usize,
    /// What multiplies factors rounded to bf16; f32 is multiplied where `None`.
    pub(crate) bf16: Option<Bf16>,
}

/// A product on all threads, of f32 or of factors rounded to bf16.
pub(super) fn product(bf16: Option<Bf16>, out: &mut [f32], a: &[f32], b: &[f32], [m, k, n]: [usize; 3], transposed: Transposed, accumulate: bool) {
    match bf16 {
        Some(bf16) => bf16.matmul(out, a, b, m, k, n, transposed, accumulate),
        None => matmul(out, a, b, m, k, n, transposed, accumulate, rayon::current_num_threads()),
    }
}

impl Linear {
    fn forward(&self, x: &[f32], weight: &[f32], bias: Option<&[f32]>, rows: usize, inputs: usize) -> Vec<f32> {
        let outputs = self.outputs;
        let mut out = vec![0.0; rows * outputs];
        if let Some(bias) = bias {
            let bias = &bias[..outputs];
            out.par_chunks_mut(PART_ROWS * outputs).for_each(|part| part.chunks_exact_mut(outputs).for_each(|row| row.copy_from_slice(bias)));
        }
        let right = Transposed { left: false, right: true };
        let weight = &weight[..outputs * inputs];
        with_activated(x, self.gelu, |x| product(self.bf16, &mut out, x, weight, [rows, inputs, outputs], right, bias.is_some()));
        out
    }

    /// The gradients at `x`, where something before it is trained, and at the weight.
    fn backward(&self, x: &Tensor, w: &Tensor, grads: &[f32]) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let ((rows, inputs), outputs) = (x.dims2()?, self.outputs);
        let xs = read(x)?;
        let mut of_x = None;
        if x.track_op() {
            let mut out = vec![0.0; rows * inputs];
            with_wide(w, |w| product(self.bf16, &mut out, grads, &w[..outputs * inputs], [rows, outputs, inputs], Transposed::default(), false))?;
            if self.gelu {
                activate_backward(&xs, &mut out);
            }
            of_x = Some(tensor(out, x.shape())?);
        }
        let mut of_w = None;
        if self.weight_trainable {
            let mut out = vec![0.0; w.elem_count()];
            let left = Transposed { left: true, right: false };
            let of_used = &mut out[..outputs * inputs];
            with_activated(&xs, self.gelu, |xs| product(self.bf16, of_used, grads, xs, [outputs, rows, inputs], left, false));
            of_w = Some(tensor(out, w.shape())?);
        }
        Ok((of_x, of_w))
    }
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, w: &CpuStorage, wl: &Layout, b: &CpuStorage, bl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, inputs) = xl.shape().dims2()?;
        let (x, bias) = (slice(x, xl)?, slice(b, bl)?);
        let out = with_wide_slice(w, wl, |w| self.forward(x, w, Some(bias), rows, inputs))?;
        Ok((CpuStorage::F32(out), Shape::from((rows, self.outputs))))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, b: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let grads = read(&grad)?;
        let (of_x, of_w) = self.backward(x, w, &grads)?;
        let mut of_b = None;
        if self.bias_trainable {
            let mut sums = column_sums(&grads, self.outputs);
            sums.resize(b.elem_count(), 0.0);
            of_b = Some(tensor(sums, b.shape())?);
        }
        Ok((of_x, of_w, of_b))
    }
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear-without-bias"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, w: &CpuStorage, wl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, inputs) = xl.shape().dims2()?;
        let x = slice(x, xl)?;
        let out = with_wide_slice(w, wl, |w| self.forward(x, w, None, rows, inputs))?;
        Ok((CpuStorage::F32(out), Shape::from((rows, self.outputs))))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let (of_x, of_w) = self.backward(x, w, &read(&grad)?)?;
        Ok((of_x, of_w))
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
