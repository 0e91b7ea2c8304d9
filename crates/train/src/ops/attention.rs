use super::{
    linear::add,
    norm::Dropped,
    slices::{read, slice, tensor},
};
use attackline_kernels::{
    AttentionDropout, AttentionGradients, AttentionInput, AttentionScratch, Crew, Relative, RelativeTerms, attention, attention_backward,
};
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;
use std::{slice::from_mut, sync::Arc};

/// Lines of a part.
const PART_LINES: usize = 4;

/// Parts, at most, where each adds up gradients of the whole table of relative positions.
const TABLE_PARTS: usize = 16;

/// In which columns of the projected table of relative positions the two sides begin; `None` for a term that the model hasn't.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PositionColumns {
    /// What queries meet.
    pub(crate) keys: Option<usize>,
    /// What keys meet.
    pub(crate) queries: Option<usize>,
}

/// Attention of each line over itself: `[tokens, 3 · hidden]` (queries, keys, values) to `[tokens, hidden]`; with relative positions
/// the second operand is their projected table, `[rows, …]`.
pub(crate) struct Attention {
    pub(crate) offsets: Arc<[usize]>,
    /// Rows of the table by distance.
    pub(crate) distances: Arc<[u32]>,
    pub(crate) heads: usize,
    pub(crate) terms: usize,
    pub(crate) positions: PositionColumns,
    pub(crate) dropped: Dropped,
}

/// A part: the lines from `line` on, whose tokens are `first..first + tokens`, with offsets of their own.
struct Part<'a> {
    line: usize,
    first: usize,
    offsets: Vec<usize>,
    out: &'a mut [f32],
}

/// The sides of the projected table, each `[rows, hidden]`.
struct Sides {
    keys: Option<Vec<f32>>,
    queries: Option<Vec<f32>>,
}

impl Attention {
    /// Divides `out`, whose rows have `width` elements, by lines, `size` in a part.
    fn parts<'a>(&self, mut out: &'a mut [f32], width: usize, size: usize) -> Vec<Part<'a>> {
        let lines = self.offsets.len() - 1;
        let mut parts = Vec::new();
        for line in (0..lines).step_by(size) {
            let bounds = &self.offsets[line..=(line + size).min(lines)];
            let first = bounds[0];
            let offsets: Vec<usize> = bounds.iter().map(|bound| bound - first).collect();
            let (now, later) = out.split_at_mut(offsets[offsets.len() - 1] * width);
            out = later;
            parts.push(Part { line, first, offsets, out: now });
        }
        parts
    }

    fn sides(&self, table: &[f32], columns: usize, hidden: usize) -> Sides {
        let side =
            |first: Option<usize>| first.map(|first| table.chunks_exact(columns).flat_map(|row| &row[first..first + hidden]).copied().collect());
        Sides { keys: side(self.positions.keys), queries: side(self.positions.queries) }
    }

    fn input<'a>(&'a self, qkv: &'a [f32], offsets: &'a [usize], first_line: usize, terms: Option<&'a RelativeTerms>) -> AttentionInput<'a> {
        let Dropped { rate, seed } = self.dropped;
        AttentionInput {
            qkv,
            offsets,
            heads: self.heads,
            terms: self.terms,
            relative: terms.map(|terms| Relative { terms, rows: &self.distances }),
            dropout: (rate > 0.0).then_some(AttentionDropout { rate, seed, first_line }),
        }
    }

    fn forward(&self, qkv: &[f32], wide: usize, sides: Option<&Sides>) -> Vec<f32> {
        let hidden = wide / 3;
        let terms = sides.map(|sides| RelativeTerms::new(sides.keys.as_deref(), sides.queries.as_deref(), hidden, self.heads));
        let mut out = vec![0.0; qkv.len() / 3];
        self.parts(&mut out, hidden, PART_LINES).into_par_iter().for_each_init(AttentionScratch::default, |scratch, part| {
            let qkv = &qkv[part.first * wide..][..part.out.len() * 3];
            attention(&Crew::alone(), self.input(qkv, &part.offsets, part.line, terms.as_ref()), part.out, from_mut(scratch));
        });
        out
    }

    /// The gradients of `qkv` and of the sides of the table.
    fn backward(&self, qkv: &[f32], wide: usize, sides: Option<&Sides>, grads: &[f32]) -> (Vec<f32>, Sides) {
        let hidden = wide / 3;
        let terms = sides.map(|sides| RelativeTerms::new(sides.keys.as_deref(), sides.queries.as_deref(), hidden, self.heads));
        let size = if sides.is_some() { PART_LINES.max((self.offsets.len() - 1).div_ceil(TABLE_PARTS)) } else { PART_LINES };
        let zeros = |side: Option<&Vec<f32>>| side.map(|side| vec![0.0; side.len()]);
        let zero_sides = || Sides { keys: zeros(sides.and_then(|s| s.keys.as_ref())), queries: zeros(sides.and_then(|s| s.queries.as_ref())) };
        let mut out = vec![0.0; qkv.len()];
        let by_part: Vec<Sides> = self
            .parts(&mut out, wide, size)
            .into_par_iter()
            .map_init(AttentionScratch::default, |scratch, part| {
                let len = part.out.len();
                let (qkv, grads) = (&qkv[part.first * wide..][..len], &grads[part.first * hidden..][..len / 3]);
                let mut of_sides = zero_sides();
                let gradients = AttentionGradients {
                    qkv: part.out,
                    keys: sides.and_then(|sides| sides.keys.as_deref()).zip(of_sides.keys.as_deref_mut()),
                    queries: sides.and_then(|sides| sides.queries.as_deref()).zip(of_sides.queries.as_deref_mut()),
                };
                attention_backward(self.input(qkv, &part.offsets, part.line, terms.as_ref()), grads, gradients, scratch);
                of_sides
            })
            .collect();
        let mut total = zero_sides();
        for part in &by_part {
            for (total, part) in [(&mut total.keys, &part.keys), (&mut total.queries, &part.queries)] {
                if let (Some(total), Some(part)) = (total, part) {
                    add(total, part);
                }
            }
        }
        (out, total)
    }
}

impl CustomOp1 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(&self, qkv: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (tokens, wide) = layout.shape().dims2()?;
        Ok((CpuStorage::F32(self.forward(slice(qkv, layout)?, wide, None)), Shape::from((tokens, wide / 3))))
    }

    fn bwd(&self, qkv: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        let (of_qkv, _) = self.backward(&read(qkv)?, qkv.dim(1)?, None, &read(&grad)?);
        Ok(Some(tensor(of_qkv, qkv.shape())?))
    }
}

impl CustomOp2 for Attention {
    fn name(&self) -> &'static str {
        "disentangled-attention"
    }

    fn cpu_fwd(&self, qkv: &CpuStorage, layout: &Layout, table: &CpuStorage, table_layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (tokens, wide) = layout.shape().dims2()?;
        let sides = self.sides(slice(table, table_layout)?, table_layout.shape().dims2()?.1, wide / 3);
        Ok((CpuStorage::F32(self.forward(slice(qkv, layout)?, wide, Some(&sides))), Shape::from((tokens, wide / 3))))
    }

    fn bwd(&self, qkv: &Tensor, table: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (grad, wide, columns) = (grad.contiguous()?, qkv.dim(1)?, table.dim(1)?);
        let hidden = wide / 3;
        let sides = self.sides(&read(table)?, columns, hidden);
        let (of_qkv, of_sides) = self.backward(&read(qkv)?, wide, Some(&sides), &read(&grad)?);
        let mut of_table = vec![0.0; table.elem_count()];
        for (first, side) in [(self.positions.keys, of_sides.keys), (self.positions.queries, of_sides.queries)] {
            let (Some(first), Some(side)) = (first, side) else { continue };
            for (row, values) in of_table.chunks_exact_mut(columns).zip(side.chunks_exact(hidden)) {
                row[first..first + hidden].copy_from_slice(values);
            }
        }
        Ok((Some(tensor(of_qkv, qkv.shape())?), Some(tensor(of_table, table.shape())?)))
    }
}
