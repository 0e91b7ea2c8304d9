use super::{
    norm::Dropped,
    slices::{read, slice, tensor},
};
use attackline_kernels::{AttentionDropout, AttentionScratch, attention_backward, attention_with_dropout};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;
use std::sync::Arc;

/// Lines of a part.
const PART_LINES: usize = 4;

/// Attention of each line over itself: `[tokens, 3 · hidden]` (queries, keys, values) to `[tokens, hidden]`.
pub(crate) struct Attention {
    pub(crate) offsets: Arc<[usize]>,
    pub(crate) heads: usize,
    pub(crate) dropped: Dropped,
}

/// A part: the lines from `line` on, whose tokens are `first..first + tokens`, with offsets of their own.
struct Part<'a> {
    line: usize,
    first: usize,
    offsets: Vec<usize>,
    out: &'a mut [f32],
}

impl Attention {
    /// Divides `out`, whose rows have `width` elements, by lines.
    fn parts<'a>(&self, mut out: &'a mut [f32], width: usize) -> Vec<Part<'a>> {
        let lines = self.offsets.len() - 1;
        let mut parts = Vec::new();
        for line in (0..lines).step_by(PART_LINES) {
            let bounds = &self.offsets[line..=(line + PART_LINES).min(lines)];
            let first = bounds[0];
            let offsets: Vec<usize> = bounds.iter().map(|bound| bound - first).collect();
            let (now, later) = out.split_at_mut(offsets[offsets.len() - 1] * width);
            out = later;
            parts.push(Part { line, first, offsets, out: now });
        }
        parts
    }

    fn dropout(&self, first_line: usize) -> Option<AttentionDropout> {
        (self.dropped.rate > 0.0).then_some(AttentionDropout { rate: self.dropped.rate, seed: self.dropped.seed, first_line })
    }
}

impl CustomOp1 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(&self, qkv: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (tokens, wide) = layout.shape().dims2()?;
        let (qkv, hidden) = (slice(qkv, layout)?, wide / 3);
        let mut out = vec![0.0; tokens * hidden];
        self.parts(&mut out, hidden).into_par_iter().for_each_init(AttentionScratch::default, |scratch, part| {
            let qkv = &qkv[part.first * wide..][..part.out.len() * 3];
            attention_with_dropout(qkv, &part.offsets, self.heads, self.dropout(part.line), part.out, scratch);
        });
        Ok((CpuStorage::F32(out), Shape::from((tokens, hidden))))
    }

    fn bwd(&self, qkv: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (tokens, wide) = qkv.dims2()?;
        let grad = grad.contiguous()?;
        let (values, grads) = (read(qkv)?, read(&grad)?);
        let (values, grads): (&[f32], &[f32]) = (&values, &grads);
        let mut out = vec![0.0; tokens * wide];
        self.parts(&mut out, wide).into_par_iter().for_each_init(AttentionScratch::default, |scratch, part| {
            let len = part.out.len();
            let (values, grads) = (&values[part.first * wide..][..len], &grads[part.first * wide / 3..][..len / 3]);
            attention_backward(values, &part.offsets, self.heads, self.dropout(part.line), grads, part.out, scratch);
        });
        Ok(Some(tensor(out, qkv.shape())?))
    }
}
