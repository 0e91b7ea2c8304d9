use super::{AttentionInput, padded, room};
use crate::{
    dropout::{Mask, keep},
    small_product::{Right, Strided},
};

/// One head of one line: where its tokens are and how wide everything is.
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub(super) first: usize,
    pub(super) length: usize,
    /// Which head it is.
    pub(super) index: usize,
    pub(super) hidden: usize,
    pub(super) column: usize,
    pub(super) width: usize,
    pub(super) scale: f32,
    pub(super) mask: Option<(Mask, f32)>,
}

impl Head {
    pub(super) fn all<'a>(input: &AttentionInput<'a>) -> impl Iterator<Item = Self> + use<'a> {
        let (heads, hidden, offsets) = (input.heads, input.hidden(), input.offsets);
        let width = hidden / heads;
        let scale = 1.0 / ((width * input.terms) as f32).sqrt();
        let rate = input.dropout.filter(|dropout| dropout.rate > 0.0);
        offsets.windows(2).enumerate().flat_map(move |(line, pair)| {
            (0..heads).filter(move |_| pair[1] > pair[0]).map(move |index| Self {
                first: pair[0],
                length: pair[1] - pair[0],
                index,
                hidden,
                column: index * width,
                width,
                scale,
                mask: rate.map(|d| (Mask::new(d.seed, ((d.first_line + line) * heads + index) as u64, d.rate), 1.0 / (1.0 - d.rate))),
            })
        })
    }

    /// This head's part of the matrix whose rows start at `part` as the right factor of a product: where it stands, or copied with padding where the head is no whole number of registers wide.
    #[inline(always)]
    pub(super) fn rows<'a>(&self, source: &'a [f32], row: usize, part: usize, packed: &'a mut Vec<f32>) -> Right<'a> {
        let width = padded(self.width);
        if width == self.width {
            return Right { data: &source[self.first * row + part + self.column..], row };
        }
        let rows = room(packed, self.length * width);
        for i in 0..self.length {
            let start = (self.first + i) * row + part + self.column;
            rows[i * width..][..self.width].copy_from_slice(&source[start..start + self.width]);
        }
        Right { data: rows, row: width }
    }

    /// Copies that part transposed into `[width, padded length]`.
    #[inline(always)]
    pub(super) fn copy_transposed(&self, source: &[f32], row: usize, part: usize, to: &mut [f32]) {
        let stride = padded(self.length);
        for i in 0..self.length {
            let start = (self.first + i) * row + part + self.column;
            for (c, &value) in source[start..start + self.width].iter().enumerate() {
                to[c * stride + i] = value;
            }
        }
    }

    /// Writes the `[length, padded width]` rows of `from` to this head's part of `target`.
    #[inline(always)]
    pub(super) fn write_back(&self, from: &[f32], target: &mut [f32], row: usize, part: usize) {
        for (i, values) in from.chunks_exact(padded(self.width)).enumerate() {
            target[(self.first + i) * row + part + self.column..][..self.width].copy_from_slice(&values[..self.width]);
        }
    }

    /// The view of this head's part as the left factor of a product.
    #[inline(always)]
    pub(super) fn view<'a>(&self, source: &'a [f32], row: usize, part: usize) -> Strided<'a> {
        Strided { data: &source[self.first * row + part + self.column..], row, step: 1 }
    }

    /// Drops elements out of (or passes gradients through the same mask of) a `[length, padded length]` matrix.
    #[inline(always)]
    pub(super) fn apply_mask(&self, matrix: &mut [f32]) {
        let Some((mask, scale)) = self.mask else { return };
        for (i, row) in matrix.chunks_exact_mut(padded(self.length)).enumerate() {
            let start = (i as u32) << 16;
            for (j, value) in row.iter_mut().enumerate() {
                *value *= keep(mask, start.wrapping_add(j as u32), scale);
            }
        }
    }
}
