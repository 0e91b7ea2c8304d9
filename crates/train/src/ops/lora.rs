use super::{
    linear::product,
    norm::Dropped,
    pointwise::{activate_backward, drop_out, with_activated, with_dropped},
    slices::{read, slice, tensor, with_wide},
};
use attackline_kernels::{Bf16, Transposed, matmul};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;
use std::ops::Range;

/// `y = a(x) · weightᵀ + bias + scale · dropout(a(x)) · Aᵀ · Bᵀ`, `a` nothing or the GELU, the addition in blocks of outputs: block `i` has rows `i · rank..` of A
/// (`[blocks · rank, inputs]`) and its rows of B (`[block outputs, rank]`, one block below the other). Weight and bias are frozen, so
/// they are no operands.
pub(crate) struct LoraLinear {
    pub(crate) weight: Tensor,
    pub(crate) bias: Option<Tensor>,
    /// Outputs of each block, in the rising order of B's rows.
    pub(crate) blocks: Vec<Range<usize>>,
    pub(crate) rank: usize,
    pub(crate) scale: f32,
    pub(crate) dropped: Dropped,
    /// Only so many outputs are computed, from the first on: blocks beyond are left out.
    pub(crate) outputs: usize,
    /// Whether `a` is the GELU.
    pub(crate) gelu: bool,
    /// What multiplies the frozen weight and its activations rounded to bf16; f32 is multiplied where `None`. The addition is in f32.
    pub(crate) bf16: Option<Bf16>,
}

impl LoraLinear {
    /// Blocks among the outputs that are computed, each with the number of B's rows before it.
    pub(crate) fn live(&self) -> impl Iterator<Item = (usize, &Range<usize>, usize)> {
        let mut before = 0;
        self.blocks.iter().enumerate().filter_map(move |(index, block)| {
            let start = before;
            before += block.len();
            (block.end <= self.outputs).then_some((index, block, start))
        })
    }

    /// B as one matrix `[outputs, blocks · rank]` with zeros outside the blocks, times the scale.
    fn spread(&self, b: &[f32]) -> Vec<f32> {
        let columns = self.blocks.len() * self.rank;
        let mut out = vec![0.0; self.outputs * columns];
        for (index, block, start) in self.live() {
            for (row, output) in block.clone().enumerate() {
                let from = &b[(start + row) * self.rank..][..self.rank];
                for (to, value) in out[output * columns + index * self.rank..].iter_mut().zip(from) {
                    *to = self.scale * value;
                }
            }
        }
        out
    }

    fn forward(&self, x: &[f32], a: &[f32], b: &[f32], rows: usize, inputs: usize) -> Result<Vec<f32>> {
        let (outputs, inner, threads) = (self.outputs, self.blocks.len() * self.rank, rayon::current_num_threads());
        let right = Transposed { left: false, right: true };
        let mut low = vec![0.0; rows * inner];
        let mut out = vec![0.0; rows * outputs];
        if let Some(bias) = &self.bias {
            let bias = read(bias)?;
            out.par_chunks_exact_mut(outputs).for_each(|row| row.copy_from_slice(&bias[..outputs]));
        }
        let has_bias = self.bias.is_some();
        with_activated(x, self.gelu, |x| {
            with_dropped(x, self.dropped, |x| matmul(&mut low, x, a, rows, inputs, inner, right, false, threads));
            with_wide(&self.weight, |weight| product(self.bf16, &mut out, x, &weight[..outputs * inputs], [rows, inputs, outputs], right, has_bias))
        })?;
        matmul(&mut out, &low, &self.spread(b), rows, inner, outputs, right, true, threads);
        Ok(out)
    }
}

impl CustomOp3 for LoraLinear {
    fn name(&self) -> &'static str {
        "lora-linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, a: &CpuStorage, al: &Layout, b: &CpuStorage, bl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, inputs) = xl.shape().dims2()?;
        let out = self.forward(slice(x, xl)?, slice(a, al)?, slice(b, bl)?, rows, inputs)?;
        Ok((CpuStorage::F32(out), Shape::from((rows, self.outputs))))
    }

    fn bwd(&self, x: &Tensor, a: &Tensor, b: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let ((rows, inputs), outputs, inner) = (x.dims2()?, self.outputs, self.blocks.len() * self.rank);
        let threads = rayon::current_num_threads();
        let grad = grad.contiguous()?;
        let (grads, xs, a_values, b_values) = (read(&grad)?, read(x)?, read(a)?, read(b)?);
        let left = Transposed { left: true, right: false };
        let spread = self.spread(&b_values);
        let mut of_low = vec![0.0; rows * inner];
        matmul(&mut of_low, &grads, &spread, rows, outputs, inner, Transposed::default(), false, threads);
        let (mut of_a, mut low) = (vec![0.0; inner * inputs], vec![0.0; rows * inner]);
        with_activated(&xs, self.gelu, |x| {
            with_dropped(x, self.dropped, |x| {
                matmul(&mut of_a, &of_low, x, inner, rows, inputs, left, false, threads);
                matmul(&mut low, x, &a_values, rows, inputs, inner, Transposed { left: false, right: true }, false, threads);
            });
        });
        let mut of_spread = vec![0.0; outputs * inner];
        matmul(&mut of_spread, &grads, &low, outputs, rows, inner, left, false, threads);
        let mut of_b = vec![0.0; b_values.len()];
        for (index, block, start) in self.live() {
            for (row, output) in block.clone().enumerate() {
                let from = &of_spread[output * inner + index * self.rank..][..self.rank];
                for (to, value) in of_b[(start + row) * self.rank..][..self.rank].iter_mut().zip(from) {
                    *to = self.scale * value;
                }
            }
        }

        let mut of_x = None;
        if x.track_op() {
            let mut out = vec![0.0; rows * inputs];
            matmul(&mut out, &of_low, &a_values, rows, inner, inputs, Transposed::default(), false, threads);
            if self.dropped.rate > 0.0 {
                drop_out(&mut out, self.dropped);
            }
            with_wide(&self.weight, |weight| {
                product(self.bf16, &mut out, &grads, &weight[..outputs * inputs], [rows, outputs, inputs], Transposed::default(), true);
            })?;
            if self.gelu {
                activate_backward(&xs, &mut out);
            }
            of_x = Some(tensor(out, x.shape())?);
        }
        Ok((of_x, Some(tensor(of_a, a.shape())?), Some(tensor(of_b, b.shape())?)))
    }
}
