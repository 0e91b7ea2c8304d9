use super::{head::Head, padded, room};
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

    /// Adds the terms of one head to its scores `[length, padded length]`, a row for each key (`by_key`) or for each query.
    #[inline(always)]
    pub(super) fn add_terms<const FUSED: bool>(&self, head: &Head, by_key: bool, qkv: &[f32], scores: &mut [f32], places: &mut Vec<f32>) {
        let band = self.band(head.length);
        let (columns, row) = (padded(band.count), 3 * head.hidden);
        for (table, part, of_key) in [(&self.terms.keys, 0, false), (&self.terms.queries, head.hidden, true)] {
            let Some(table) = table else { continue };
            let met = room(places, head.length * columns);
            let right = self.terms.window(table, head.index, band.first);
            product::<FUSED>(head.view(qkv, row, part), right, [head.length, head.width, columns], met);
            band.add(met, columns, of_key, by_key, scores);
        }
    }
}

impl Band<'_> {
    /// The place in the band of query `i` and key `j`.
    #[inline(always)]
    pub(super) fn place(&self, i: usize, j: usize) -> usize {
        if self.consecutive { self.length - 1 + j - i } else { (self.last - self.rows[self.length - 1 + i - j]) as usize }
    }

    /// Adds to the scores what tokens met of the table, `[length, columns]`: keys (`of_key`) or queries; the scores have a row for each key (`by_key`) or for each query.
    #[inline(always)]
    fn add(&self, met: &[f32], columns: usize, of_key: bool, by_key: bool, scores: &mut [f32]) {
        let length = self.length;
        for (r, scores) in scores.chunks_exact_mut(padded(length)).enumerate() {
            let scores = &mut scores[..length];
            if !self.consecutive {
                for (c, score) in scores.iter_mut().enumerate() {
                    let (i, j) = if by_key { (c, r) } else { (r, c) };
                    *score += met[if of_key { j } else { i } * columns + self.place(i, j)];
                }
                continue;
            }
            // A row's places in `met` stand at equal distances.
            match (of_key, by_key) {
                (false, false) => add_each(scores, met[r * columns + length - 1 - r..].iter()),
                (true, true) => add_each(scores, met[r * columns + r..][..length].iter().rev()),
                (true, false) => add_each(scores, met[length - 1 - r..].iter().step_by(columns + 1)),
                (false, true) => add_each(scores, met[length - 1 + r..].iter().step_by(columns - 1)),
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

#[inline(always)]
fn add_each<'a>(totals: &mut [f32], values: impl Iterator<Item = &'a f32>) {
    totals.iter_mut().zip(values).for_each(|(total, value)| *total += value);
}

/// The left factor that is the transpose of a dense `[_, columns]` matrix.
pub(super) fn flipped(matrix: &[f32], columns: usize) -> Strided<'_> {
    Strided { data: matrix, row: 1, step: columns }
}
