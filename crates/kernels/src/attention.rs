use crate::{
    dispatch::multiversion,
    dropout::{Mask, keep},
    isa::Isa,
    lanes::{LANES, sum_of},
    small_product::{Strided, product},
    softmax::softmax_body,
};

/// Buffers that [`attention`] and [`attention_backward`] reuse from call to call.
#[derive(Debug, Default, Clone)]
pub struct AttentionScratch {
    buffers: [Vec<f32>; 7],
}

/// Attention probabilities are dropped out by this; `first_line` is the index in the whole batch of the first line given.
#[derive(Debug, Clone, Copy)]
pub struct AttentionDropout {
    /// The probability that an element becomes 0.
    pub rate: f32,
    /// The mask's seed.
    pub seed: u64,
    /// Where the lines given stand in the batch, so that parallel parts draw different masks.
    pub first_line: usize,
}

/// Scaled dot product attention of each line's tokens over that line, head by head.
///
/// `qkv` is `[tokens, 3 · hidden]` (queries, keys, values), `offsets` the lines' cumulative lengths, `out` `[tokens, hidden]`.
pub fn attention(qkv: &[f32], offsets: &[usize], heads: usize, out: &mut [f32], scratch: &mut AttentionScratch) {
    attention_with_dropout(qkv, offsets, heads, None, out, scratch);
}

/// [`attention`] with dropped-out probabilities, for training.
pub fn attention_with_dropout(
    qkv: &[f32],
    offsets: &[usize],
    heads: usize,
    dropout: Option<AttentionDropout>,
    out: &mut [f32],
    scratch: &mut AttentionScratch,
) {
    check(qkv.len(), offsets, heads, out.len());
    attention_on(Isa::detect(), qkv, offsets, heads, dropout, out, scratch);
}

/// The gradient of [`attention_with_dropout`] at `qkv`, written to `grad_qkv`. The probabilities are computed again, and the mask is
/// drawn again, so that neither is stored.
pub fn attention_backward(
    qkv: &[f32],
    offsets: &[usize],
    heads: usize,
    dropout: Option<AttentionDropout>,
    grad_out: &[f32],
    grad_qkv: &mut [f32],
    scratch: &mut AttentionScratch,
) {
    check(qkv.len(), offsets, heads, grad_out.len());
    assert_eq!(qkv.len(), grad_qkv.len(), "one gradient an element");
    attention_backward_on(Isa::detect(), qkv, offsets, heads, dropout, grad_out, grad_qkv, scratch);
}

fn check(qkv: usize, offsets: &[usize], heads: usize, out: usize) {
    assert!(heads > 0 && offsets.first() == Some(&0) && offsets.is_sorted(), "offsets are cumulative lengths");
    let tokens = offsets[offsets.len() - 1];
    assert!(qkv == 3 * out, "qkv is three times as wide as the result");
    assert!(tokens == 0 && out == 0 || tokens > 0 && out.is_multiple_of(tokens * heads), "the result is [tokens, heads · width]");
}

multiversion! {
    fn attention_on(qkv: &[f32], offsets: &[usize], heads: usize, dropout: Option<AttentionDropout>, out: &mut [f32], scratch: &mut AttentionScratch) = attention_body;
}
multiversion! {
    #[expect(clippy::too_many_arguments, reason = "slices and their extents")]
    fn attention_backward_on(qkv: &[f32], offsets: &[usize], heads: usize, dropout: Option<AttentionDropout>, grad_out: &[f32], grad_qkv: &mut [f32], scratch: &mut AttentionScratch)
        = attention_backward_body;
}

/// One head of one line: where its tokens are and how wide everything is.
#[derive(Clone, Copy)]
struct Head {
    first: usize,
    length: usize,
    hidden: usize,
    column: usize,
    width: usize,
    mask: Option<(Mask, f32)>,
}

fn padded(n: usize) -> usize {
    n.next_multiple_of(LANES)
}

/// `buffer` as zeros of `len` elements.
fn zeros(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    buffer.clear();
    buffer.resize(len, 0.0);
    buffer
}

fn heads_of<'a>(offsets: &'a [usize], heads: usize, hidden: usize, dropout: Option<AttentionDropout>) -> impl Iterator<Item = Head> + 'a {
    let width = hidden / heads;
    let rate = dropout.filter(|dropout| dropout.rate > 0.0);
    offsets.windows(2).enumerate().flat_map(move |(line, pair)| {
        (0..heads).filter(move |_| pair[1] > pair[0]).map(move |head| Head {
            first: pair[0],
            length: pair[1] - pair[0],
            hidden,
            column: head * width,
            width,
            mask: rate.map(|d| (Mask::new(d.seed, ((d.first_line + line) * heads + head) as u64, d.rate), 1.0 / (1.0 - d.rate))),
        })
    })
}

impl Head {
    /// Copies this head's part of the matrix whose rows start at `part` into `[length, padded width]`.
    #[inline(always)]
    fn copy(&self, source: &[f32], row: usize, part: usize, to: &mut [f32]) {
        let stride = padded(self.width);
        for i in 0..self.length {
            let start = (self.first + i) * row + part + self.column;
            to[i * stride..][..self.width].copy_from_slice(&source[start..start + self.width]);
        }
    }

    /// Copies it transposed into `[width, padded length]`.
    #[inline(always)]
    fn copy_transposed(&self, source: &[f32], row: usize, part: usize, to: &mut [f32]) {
        let stride = padded(self.length);
        for i in 0..self.length {
            let start = (self.first + i) * row + part + self.column;
            for (c, &value) in source[start..start + self.width].iter().enumerate() {
                to[c * stride + i] = value;
            }
        }
    }

    /// The view of this head's part as the left factor of a product.
    #[inline(always)]
    fn view<'a>(&self, source: &'a [f32], row: usize, part: usize) -> Strided<'a> {
        Strided { data: &source[self.first * row + part + self.column..], row, step: 1 }
    }

    fn scale(&self) -> f32 {
        1.0 / (self.width as f32).sqrt()
    }

    /// The probabilities before dropout, `[length, padded length]`, 0 in the padding.
    #[inline(always)]
    fn probabilities<const FUSED: bool>(&self, qkv: &[f32], transposed: &mut Vec<f32>, probabilities: &mut Vec<f32>) {
        let (row, stride) = (3 * self.hidden, padded(self.length));
        let keys = zeros(transposed, self.width * stride);
        self.copy_transposed(qkv, row, self.hidden, keys);
        let scores = zeros(probabilities, self.length * stride);
        product::<FUSED>(self.view(qkv, row, 0), keys, [self.length, self.width, stride], scores);
        let scale = self.scale();
        for row in scores.chunks_exact_mut(stride) {
            for value in row.iter_mut() {
                *value *= scale;
            }
            row[self.length..].fill(f32::NEG_INFINITY);
            softmax_body::<FUSED>(row);
            row[self.length..].fill(0.0);
        }
    }

    /// Drops elements out of (or passes gradients through the same mask of) a `[length, padded length]` matrix.
    #[inline(always)]
    fn apply_mask(&self, matrix: &mut [f32]) {
        let Some((mask, scale)) = self.mask else { return };
        for (i, row) in matrix.chunks_exact_mut(padded(self.length)).enumerate() {
            let start = (i as u32) << 16;
            for (j, value) in row.iter_mut().enumerate() {
                *value *= keep(mask, start.wrapping_add(j as u32), scale);
            }
        }
    }
}

#[inline(always)]
fn attention_body<const FUSED: bool>(
    qkv: &[f32],
    offsets: &[usize],
    heads: usize,
    dropout: Option<AttentionDropout>,
    out: &mut [f32],
    scratch: &mut AttentionScratch,
) {
    let tokens = offsets[offsets.len() - 1];
    if tokens == 0 {
        return;
    }
    let hidden = out.len() / tokens;
    let [transposed, probabilities, values, context, ..] = &mut scratch.buffers;
    for head in heads_of(offsets, heads, hidden, dropout) {
        let (stride, width) = (padded(head.length), padded(head.width));
        head.probabilities::<FUSED>(qkv, transposed, probabilities);
        head.apply_mask(probabilities);
        let values = zeros(values, head.length * width);
        head.copy(qkv, 3 * hidden, 2 * hidden, values);
        let context = zeros(context, head.length * width);
        let left = Strided { data: probabilities, row: stride, step: 1 };
        product::<FUSED>(left, values, [head.length, head.length, width], context);
        for (i, row) in context.chunks_exact(width).enumerate() {
            out[(head.first + i) * hidden + head.column..][..head.width].copy_from_slice(&row[..head.width]);
        }
    }
}

#[inline(always)]
fn attention_backward_body<const FUSED: bool>(
    qkv: &[f32],
    offsets: &[usize],
    heads: usize,
    dropout: Option<AttentionDropout>,
    grad_out: &[f32],
    grad_qkv: &mut [f32],
    scratch: &mut AttentionScratch,
) {
    let tokens = offsets[offsets.len() - 1];
    if tokens == 0 {
        return;
    }
    let hidden = grad_out.len() / tokens;
    let wide = 3 * hidden;
    let [transposed, probabilities, packed, result, slopes, dropped, _] = &mut scratch.buffers;
    for head in heads_of(offsets, heads, hidden, dropout) {
        let (length, stride, width) = (head.length, padded(head.length), padded(head.width));
        head.probabilities::<FUSED>(qkv, transposed, probabilities);

        // Of the probabilities: (out's gradient) · valuesᵀ through the mask, then through softmax.
        let values = zeros(transposed, head.width * stride);
        head.copy_transposed(qkv, wide, 2 * hidden, values);
        let slopes = zeros(slopes, length * stride);
        product::<FUSED>(head.view(grad_out, hidden, 0), values, [length, head.width, stride], slopes);
        head.apply_mask(slopes);
        dropped.clone_from(probabilities);
        head.apply_mask(dropped);
        let scale = head.scale();
        for (slope, p) in slopes.chunks_exact_mut(stride).zip(probabilities.chunks_exact(stride)) {
            let mean = sum_of(stride, |j| slope[j] * p[j]);
            for (slope, &p) in slope.iter_mut().zip(p) {
                *slope = (*slope - mean) * p * scale;
            }
        }

        // Of values, queries and keys in turn: a square matrix (as it is or transposed) times a packed part.
        for (matrix, flipped, source, row, part, target) in [
            (&dropped[..], true, grad_out, hidden, 0, 2 * hidden),
            (&slopes[..], false, qkv, wide, hidden, 0),
            (&slopes[..], true, qkv, wide, 0, hidden),
        ] {
            let packed = zeros(packed, length * width);
            head.copy(source, row, part, packed);
            let result = zeros(result, length * width);
            let left = if flipped { Strided { data: matrix, row: 1, step: stride } } else { Strided { data: matrix, row: stride, step: 1 } };
            product::<FUSED>(left, packed, [length, length, width], result);
            for (i, row) in result.chunks_exact(width).enumerate() {
                grad_qkv[(head.first + i) * wide + target + head.column..][..head.width].copy_from_slice(&row[..head.width]);
            }
        }
    }
}

#[cfg(test)]
#[path = "attention_tests.rs"]
mod tests;
