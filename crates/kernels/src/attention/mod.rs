//! Scaled dot product attention of each line's tokens over that line, head by head, with disentangled relative positions where the
//! model has them (He et al. 2021): forward, and the gradient with everything computed again that is cheap to compute again.

mod backward;
mod first_token;
mod forward;
mod head;
mod relative;

pub use backward::{AttentionGradients, attention_backward};
pub use first_token::FirstTokenAttention;
pub use forward::attention;
pub use relative::{Relative, RelativeTerms};

use head::Head;

/// Buffers that [`attention`] and [`attention_backward`] reuse from call to call.
#[derive(Debug, Default, Clone)]
pub struct AttentionScratch {
    transposed: Vec<f32>,
    probabilities: Vec<f32>,
    packed: Vec<f32>,
    result: Vec<f32>,
    slopes: Vec<f32>,
    dropped: Vec<f32>,
    places: Vec<f32>,
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

/// What attention computes from.
#[derive(Debug, Clone, Copy)]
pub struct AttentionInput<'a> {
    /// `[tokens, 3 · hidden]`: queries, keys, values.
    pub qkv: &'a [f32],
    /// The lines' cumulative lengths, from 0.
    pub offsets: &'a [usize],
    /// Attention heads.
    pub heads: usize,
    /// Scores are divided by the root of this many head widths: 1, and one more for each term of relative positions.
    pub terms: usize,
    /// Relative positions, where the model has them.
    pub relative: Option<Relative<'a>>,
    /// Dropout, in training.
    pub dropout: Option<AttentionDropout>,
}

impl AttentionInput<'_> {
    fn tokens(&self) -> usize {
        self.offsets[self.offsets.len() - 1]
    }

    fn hidden(&self) -> usize {
        self.qkv.len() / 3 / self.tokens()
    }

    /// Checks all extents against a result (or its gradient) of `out` elements.
    fn check(&self, out: usize) {
        assert!(self.heads > 0 && self.terms > 0 && self.offsets.first() == Some(&0) && self.offsets.is_sorted(), "offsets are cumulative lengths");
        assert!(self.qkv.len() == 3 * out, "qkv is three times as wide as the result");
        let tokens = self.tokens();
        assert!(tokens == 0 && out == 0 || tokens > 0 && out.is_multiple_of(tokens * self.heads), "the result is [tokens, heads · width]");
        if let Some(relative) = self.relative.filter(|_| tokens > 0) {
            let longest = self.offsets.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
            relative.check(longest, self.hidden(), self.heads);
        }
    }

    /// Every head of every line that has tokens.
    fn heads(&self) -> impl Iterator<Item = Head> + use<'_> {
        Head::all(self)
    }
}

/// `buffer` as zeros of `len` elements.
fn zeros(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    buffer.clear();
    buffer.resize(len, 0.0);
    buffer
}

/// `buffer` with `len` elements, whatever they are: for what is written whole, or whose padding nobody reads.
fn room(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    buffer.resize(len, 0.0);
    buffer
}

fn padded(n: usize) -> usize {
    n.next_multiple_of(crate::lanes::LANES)
}

#[cfg(test)]
mod tests;
