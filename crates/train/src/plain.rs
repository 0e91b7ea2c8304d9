//! The blocks in candle's own operations. They run on every device; attention pads the lines to a rectangle there.

use crate::{
    blocks::Shape,
    lines::Lines,
    ops::{Dropped, LoraLinear, PositionColumns},
};
use candle_core::{D, DType, Result, Tensor};

pub(crate) fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, outputs: Option<usize>) -> Result<Tensor> {
    let outputs = outputs.unwrap_or(weight.dim(0)?);
    let product = x.matmul(&weight.narrow(0, 0, outputs)?.t()?)?;
    match bias {
        Some(bias) => product.broadcast_add(&bias.narrow(0, 0, outputs)?),
        None => Ok(product),
    }
}

/// What [`LoraLinear`] computes, of an input that is activated already.
pub(crate) fn lora(x: &Tensor, a: &Tensor, b: &Tensor, block: &LoraLinear) -> Result<Tensor> {
    let (rows, rank) = (x.dim(0)?, block.rank);
    let low = dropout(x, block.dropped)?.matmul(&a.t()?)?;
    let zeros = |columns: usize| Tensor::zeros((rows, columns), x.dtype(), x.device());
    let (mut parts, mut filled) = (Vec::new(), 0);
    for (index, outputs, first) in block.live() {
        if outputs.start > filled {
            parts.push(zeros(outputs.start - filled)?);
        }
        let (low, b) = (low.narrow(1, index * rank, rank)?.contiguous()?, b.narrow(0, first, outputs.len())?);
        parts.push((low.matmul(&b.t()?)? * f64::from(block.scale))?);
        filled = outputs.end;
    }
    if block.outputs > filled {
        parts.push(zeros(block.outputs - filled)?);
    }
    linear(x, &block.weight, block.bias.as_ref(), Some(block.outputs))? + Tensor::cat(&parts, 1)?
}

/// Layer norm in f32, whatever the type of `x`.
pub(crate) fn norm(x: &Tensor, norm: &Tensor, epsilon: f32) -> Result<Tensor> {
    let (wide, norm) = (x.to_dtype(DType::F32)?, norm.to_dtype(DType::F32)?);
    let centred = wide.broadcast_sub(&wide.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let normal = centred.broadcast_div(&(variance + f64::from(epsilon))?.sqrt()?)?;
    normal.broadcast_mul(&norm.narrow(0, 0, 1)?)?.broadcast_add(&norm.narrow(0, 1, 1)?)?.to_dtype(x.dtype())
}

/// Dropout by the mask that the fused block draws.
pub(crate) fn dropout(x: &Tensor, dropped: Dropped) -> Result<Tensor> {
    if dropped.rate == 0.0 {
        return Ok(x.clone());
    }
    let mut mask = vec![1.0; x.elem_count()];
    attackline_kernels::dropout(&mut mask, dropped.rate, dropped.seed, 0);
    x.mul(&Tensor::from_vec(mask, x.shape(), x.device())?.to_dtype(x.dtype())?)
}

pub(crate) fn first_tokens(x: &Tensor, lines: &Lines) -> Result<Tensor> {
    let firsts: Vec<u32> = lines.offsets[..lines.count()].iter().map(|&first| first as u32).collect();
    x.index_select(&Tensor::new(firsts, x.device())?, 0)
}

/// The mean of each line's tokens: a product with a matrix of weights.
pub(crate) fn mean_tokens(x: &Tensor, lines: &Lines) -> Result<Tensor> {
    let tokens = x.dim(0)?;
    let mut weights = vec![0.0f32; lines.count() * tokens];
    for (row, line) in weights.chunks_exact_mut(tokens).zip(lines.offsets.windows(2)) {
        row[line[0]..line[1]].fill(1.0 / (line[1] - line[0]) as f32);
    }
    Tensor::from_vec(weights, (lines.count(), tokens), x.device())?.to_dtype(x.dtype())?.matmul(x)
}

pub(crate) fn neighbours(x: &Tensor, lines: &Lines, kernel: usize) -> Result<Tensor> {
    let (tokens, width) = x.dims2()?;
    // A row of zeros stands for what is beyond a line's ends.
    let rows = Tensor::cat(&[x, &Tensor::zeros((1, width), x.dtype(), x.device())?], 0)?;
    let tap = |tap: usize| {
        let source = |line: &[usize], token: usize| {
            let source = (token + tap).checked_sub(kernel / 2).filter(|source| (line[0]..line[1]).contains(source));
            source.unwrap_or(tokens) as u32
        };
        let indices: Vec<u32> = lines.offsets.windows(2).flat_map(|line| (line[0]..line[1]).map(move |token| source(line, token))).collect();
        rows.index_select(&Tensor::new(indices, x.device())?, 0)
    };
    let taps = (0..kernel).map(tap).collect::<Result<Vec<_>>>()?;
    Tensor::stack(&taps, 2)?.reshape((tokens, width * kernel))
}

pub(crate) fn attention(qkv: &Tensor, lines: &Lines, shape: &Shape<'_>) -> Result<Tensor> {
    let (count, longest, heads) = (lines.count(), lines.longest(), shape.heads);
    let hidden = qkv.dim(1)? / 3;
    let width = hidden / heads;
    let padded = qkv.index_select(&padded_tokens(lines, qkv)?, 0)?.reshape((count, longest, 3, heads, width))?;
    let part = |index: usize| padded.narrow(2, index, 1)?.squeeze(2)?.transpose(1, 2)?.contiguous();
    let (queries, keys, values) = (part(0)?, part(1)?, part(2)?);
    let mut scores = queries.matmul(&keys.t()?)?;
    if let Some((table, columns)) = shape.positions {
        scores = (scores + position_terms(&queries, &keys, lines, table, columns)?)?;
    }
    let scale = 1.0 / ((width * shape.terms) as f64).sqrt();
    let scores = (scores.to_dtype(DType::F32)? * scale)?.broadcast_add(&mask(lines, qkv)?)?;
    let shifted = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
    // The mask is drawn for the rectangle: another one than the fused block's, which has no padding.
    let probabilities = dropout(&shifted.broadcast_div(&shifted.sum_keepdim(D::Minus1)?)?, shape.dropped)?.to_dtype(qkv.dtype())?;
    let context = probabilities.matmul(&values)?.transpose(1, 2)?.reshape((count * longest, hidden))?;
    context.index_select(&real_tokens(lines, qkv)?, 0)
}

/// The two terms of disentangled attention, `[lines, heads, longest, longest]`.
fn position_terms(queries: &Tensor, keys: &Tensor, lines: &Lines, table: &Tensor, columns: PositionColumns) -> Result<Tensor> {
    let (count, heads, longest, width) = queries.dims4()?;
    let rows = table.dim(0)?;
    // One head's rows: [1, heads, width, rows], from columns that begin at `first`.
    let side = |first: usize| table.narrow(1, first, heads * width)?.reshape((rows, heads, width))?.permute((1, 2, 0))?.unsqueeze(0)?.contiguous();
    let middle = lines.distances.len() / 2;
    let place = |i: usize, j: usize| lines.distances[middle + i - j];
    let index = |by_query: bool| {
        let entries: Vec<u32> =
            (0..longest).flat_map(|a| (0..longest).map(move |b| if by_query { (a, b) } else { (b, a) })).map(|(i, j)| place(i, j)).collect();
        let index = Tensor::from_vec(entries, (1, 1, longest, longest), table.device())?;
        index.broadcast_as((count, heads, longest, longest))?.contiguous()
    };
    let mut total = Tensor::zeros((count, heads, longest, longest), queries.dtype(), queries.device())?;
    if let Some(first) = columns.keys {
        total = (total + queries.broadcast_matmul(&side(first)?)?.gather(&index(true)?, 3)?)?;
    }
    if let Some(first) = columns.queries {
        total = (total + keys.broadcast_matmul(&side(first)?)?.gather(&index(false)?, 3)?.transpose(2, 3)?)?;
    }
    Ok(total)
}

/// For each place of the rectangle `[lines, longest]` its token; padding takes the line's first, which the mask hides.
fn padded_tokens(lines: &Lines, like: &Tensor) -> Result<Tensor> {
    let longest = lines.longest();
    let place = |line: &[usize], place: usize| if line[0] + place < line[1] { line[0] + place } else { line[0] } as u32;
    let places: Vec<u32> = lines.offsets.windows(2).flat_map(|line| (0..longest).map(move |at| place(line, at))).collect();
    Tensor::new(places, like.device())
}

/// For each token its place in the rectangle.
fn real_tokens(lines: &Lines, like: &Tensor) -> Result<Tensor> {
    let longest = lines.longest();
    let places: Vec<u32> =
        lines.offsets.windows(2).enumerate().flat_map(|(row, line)| (0..line[1] - line[0]).map(move |at| (row * longest + at) as u32)).collect();
    Tensor::new(places, like.device())
}

/// What is added to scores: 0 for tokens, far below every score for padding.
fn mask(lines: &Lines, like: &Tensor) -> Result<Tensor> {
    let longest = lines.longest();
    let mask: Vec<f32> =
        lines.offsets.windows(2).flat_map(|line| (0..longest).map(move |at| if line[0] + at < line[1] { 0.0 } else { -1e30 })).collect();
    Tensor::from_vec(mask, (lines.count(), 1, 1, longest), like.device())
}
