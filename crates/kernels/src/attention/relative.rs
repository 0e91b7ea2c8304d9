use super::{head::Head, padded, zeros};
use crate::{
    lanes::LANES,
    small_product::{Right, Strided, product},
};

/// A layer's projected table of relative positions, laid out for its heads.
///
/// The table's rows stand in reverse, so that for one query the terms of rising keys stand side by side.
#[derive(Debug, Clone)]
pub struct RelativeTerms {
    /// What queries meet (content to position), and what keys meet (position to content), each `[heads, width, stride]`.
    keys: Option<Vec<f32>>,
    queries: Option<Vec<f32>>,
    rows: usize,
    width: usize,
    stride: usize,
}

impl RelativeTerms {
    /// Lays out projected tables, each `[rows, hidden]`: `keys` for the content-to-position term, `queries` for position-to-content.
    pub fn new(keys: Option<&[f32]>, queries: Option<&[f32]>, hidden: usize, heads: usize) -> Self {
        let rows = keys.or(queries).map_or(0, <[f32]>::len) / hidden;
        let width = hidden / heads;
        // A window may begin anywhere and is read in whole registers.
        let stride = padded(rows) + LANES;
        let lay_out = |table: &[f32]| {
            assert_eq!(table.len(), rows * hidden, "tables are [rows, hidden]");
            let mut out = vec![0.0; hidden * stride];
            for (place, row) in table.chunks_exact(hidden).rev().enumerate() {
                for (column, &value) in row.iter().enumerate() {
                    out[column * stride + place] = value;
                }
            }
            out
        };
        Self { keys: keys.map(lay_out), queries: queries.map(lay_out), rows, width, stride }
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        4 * (self.keys.as_ref().map_or(0, Vec::len) + self.queries.as_ref().map_or(0, Vec::len))
    }

    fn window<'a>(&self, table: &'a [f32], head: usize, first: usize) -> Right<'a> {
        Right { data: &table[head * self.width * self.stride + first..], row: self.stride }
    }
}

/// Relative positions of one call: a layer's terms, and which of their rows each distance has.
#[derive(Debug, Clone, Copy)]
pub struct Relative<'a> {
    /// The layer's terms.
    pub terms: &'a RelativeTerms,
    /// Rows by the distance query minus key, from `1 - n` to `n - 1`, rising; `n` is at least the longest line.
    pub rows: &'a [u32],
}

/// The rows of one line's distances.
pub(super) struct Band<'a> {
    /// Rows of the table by the distance query minus key, from `1 - length` to `length - 1`.
    rows: &'a [u32],
    /// The band's last row in the table.
    last: u32,
    /// The first place of the window in the reversed table.
    pub(super) first: usize,
    /// Rows of the band.
    pub(super) count: usize,
    /// Whether each distance has a row of its own, so that a query's terms stand side by side.
    consecutive: bool,
    length: usize,
}

impl<'a> Relative<'a> {
    pub(super) fn check(&self, longest: usize, hidden: usize, heads: usize) {
        let rows = self.rows.len();
        assert!(rows % 2 == 1 && rows.div_ceil(2) >= longest, "a row for every distance");
        assert!(self.rows.is_sorted() && (self.rows[rows - 1] as usize) < self.terms.rows, "rows rise and are in the table");
        assert_eq!(self.terms.width * heads, hidden, "the terms are laid out for these heads");
    }

    pub(super) fn band(&self, length: usize) -> Band<'a> {
        let middle = self.rows.len() / 2;
        let rows = &self.rows[middle + 1 - length..middle + length];
        let (low, high) = (rows[0], rows[rows.len() - 1]);
        let count = (high - low) as usize + 1;
        Band { rows, last: high, first: self.terms.rows - 1 - high as usize, count, consecutive: count == 2 * length - 1, length }
    }

    /// Adds the terms of one head to its scores `[length, padded length]`.
    #[inline(always)]
    pub(super) fn add_terms<const FUSED: bool>(&self, head: &Head, qkv: &[f32], scores: &mut [f32], places: &mut Vec<f32>) {
        let band = self.band(head.length);
        let (columns, stride, row) = (padded(band.count), padded(head.length), 3 * head.hidden);
        if let Some(keys) = &self.terms.keys {
            let met = zeros(places, head.length * columns);
            let right = self.terms.window(keys, head.index, band.first);
            product::<FUSED>(head.view(qkv, row, 0), right, [head.length, head.width, columns], met);
            for i in 0..head.length {
                let (scores, met) = (&mut scores[i * stride..][..head.length], &met[i * columns..][..columns]);
                band.add_row(i, met, scores);
            }
        }
        if let Some(queries) = &self.terms.queries {
            let met = zeros(places, head.length * columns);
            let right = self.terms.window(queries, head.index, band.first);
            product::<FUSED>(head.view(qkv, row, head.hidden), right, [head.length, head.width, columns], met);
            for i in 0..head.length {
                let scores = &mut scores[i * stride..][..head.length];
                for (j, score) in scores.iter_mut().enumerate() {
                    *score += met[j * columns + band.place(i, j)];
                }
            }
        }
    }
}

impl Band<'_> {
    /// The place in the band of query `i` and key `j`.
    #[inline(always)]
    pub(super) fn place(&self, i: usize, j: usize) -> usize {
        if self.consecutive { self.length - 1 + j - i } else { (self.last - self.rows[self.length - 1 + i - j]) as usize }
    }

    /// Adds query `i`'s terms to its scores.
    #[inline(always)]
    fn add_row(&self, i: usize, met: &[f32], scores: &mut [f32]) {
        if self.consecutive {
            for (score, value) in scores.iter_mut().zip(&met[self.length - 1 - i..]) {
                *score += value;
            }
        } else {
            for (j, score) in scores.iter_mut().enumerate() {
                *score += met[self.place(i, j)];
            }
        }
    }

    /// Copies the band's rows of a table `[rows, hidden]` for one head, in reverse, into `[count, padded width]`.
    #[inline(always)]
    pub(super) fn copy(&self, table: &[f32], head: &Head, to: &mut [f32]) {
        for (place, row) in to.chunks_exact_mut(padded(head.width)).enumerate() {
            let start = (self.last as usize - place) * head.hidden + head.column;
            row[..head.width].copy_from_slice(&table[start..start + head.width]);
        }
    }

    /// Adds `[count, padded width]`, in reverse, to the head's part of a table `[rows, hidden]`.
    #[inline(always)]
    pub(super) fn add_back(&self, from: &[f32], head: &Head, table: &mut [f32]) {
        for (place, row) in from.chunks_exact(padded(head.width)).enumerate() {
            let start = (self.last as usize - place) * head.hidden + head.column;
            for (total, value) in table[start..start + head.width].iter_mut().zip(row) {
                *total += value;
            }
        }
    }

    /// Sums a `[length, padded length]` matrix by place: by rows into `[length, columns]` where `by_query`, else by columns.
    #[inline(always)]
    pub(super) fn gather(&self, matrix: &[f32], by_query: bool, columns: usize, to: &mut [f32]) {
        let stride = padded(self.length);
        for i in 0..self.length {
            for j in 0..self.length {
                let owner = if by_query { i } else { j };
                to[owner * columns + self.place(i, j)] += matrix[i * stride + j];
            }
        }
    }
}

/// The left factor that is the transpose of a dense `[_, columns]` matrix.
pub(super) fn flipped(matrix: &[f32], columns: usize) -> Strided<'_> {
    Strided { data: matrix, row: 1, step: columns }
}
