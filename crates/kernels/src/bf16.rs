//! Products of factors rounded to bf16 (eight bits of mantissa), summed in f32, as mixed-precision training multiplies (Micikevicius et al. 2018, Kalamkar et al.
//! 2019). Two factors at a time: what lies beside each other along the inner dimension stands in one 32-bit word, the earlier one in its low half.

use crate::{
    crew::Apart,
    dispatch::multiversion,
    isa::Isa,
    matmul::{Transposed, is_empty_product},
};
use rayon::prelude::*;
use std::cell::RefCell;

/// Columns of a panel: four AVX-512 registers.
pub(crate) const PANEL: usize = 64;
/// Rows of a tile.
pub(crate) const TILE: usize = 6;
/// Rows that a part of the work takes: whole tiles.
const PART_ROWS: usize = 64 * TILE;
/// Words of a side of the squares in which a matrix is turned.
const SQUARE: usize = 16;

/// An instruction set of this processor that multiplies bf16.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bf16(Form);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    #[cfg_attr(not(test), expect(dead_code, reason = "slower than a product in f32, so for tests alone"))]
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

thread_local! {
    /// Both factors as they are laid out for a product: large, and wanted again a moment later.
    static LAID_OUT: RefCell<[Vec<u32>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

impl Bf16 {
    /// The instruction, where this processor has it and `ATTACKLINE_ISA` names no set below AVX-512.
    pub fn detect() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if Isa::detect().floats() == crate::isa::Floats::Avx512 && is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512bw") {
            return Some(Self(Form::Avx512));
        }
        None
    }

    /// `out = a · b`, or `out += a · b` where `accumulate`; `out` is `[m, n]`, the inner dimension is `k`.
    ///
    /// Every element is one chain over the inner dimension, so its bits depend neither on the threads nor on the other rows.
    #[expect(clippy::too_many_arguments, reason = "three matrices and their extents")]
    pub fn matmul(self, out: &mut [f32], a: &[f32], b: &[f32], m: usize, k: usize, n: usize, transposed: Transposed, accumulate: bool) {
        if is_empty_product(out, a, b, [m, k, n], accumulate) {
            return;
        }
        let isa = Isa::detect();
        let [mut left, mut right] = LAID_OUT.take();
        let (pairs, panels) = (k.div_ceil(2), n.div_ceil(PANEL));
        make_room(&mut left, m * pairs);
        left[..m * pairs].par_chunks_mut(PANEL * pairs).enumerate().for_each(|(block, to)| {
            lay_out_rows(isa, to, a, block * PANEL, [m, k], transposed.left);
        });
        make_room(&mut right, panels * PANEL * pairs);
        right[..panels * PANEL * pairs].par_chunks_mut(PANEL * pairs).enumerate().for_each(|(panel, to)| {
            lay_out_panel(isa, to, b, panel * PANEL, [k, n], transposed.right);
        });
        let out = Apart::new(out);
        (0..panels * m.div_ceil(PART_ROWS)).into_par_iter().for_each(|part| {
            let (panel, rows) = (part % panels, part / panels * PART_ROWS);
            let (first, width) = (panel * PANEL, PANEL.min(n - panel * PANEL));
            let weights = &right[panel * pairs * PANEL..][..pairs * PANEL];
            for row in (rows..m.min(rows + PART_ROWS)).step_by(TILE) {
                let height = TILE.min(m - row).min(rows + PART_ROWS - row);
                let mut tile = [[0.0f32; PANEL]; TILE];
                self.tile(weights, &left[row * pairs..][..height * pairs], pairs, &mut tile[..height]);
                for (offset, line) in tile[..height].iter().enumerate() {
                    // SAFETY: these rows of a panel are written by this part of the work alone.
                    let to = unsafe { out.part((row + offset) * n + first, width) };
                    if accumulate {
                        to.iter_mut().zip(line).for_each(|(to, value)| *to += value);
                    } else {
                        to.copy_from_slice(&line[..width]);
                    }
                }
            }
        });
        LAID_OUT.set([left, right]);
    }

    fn tile(self, panel: &[u32], rows: &[u32], pairs: usize, out: &mut [[f32; PANEL]]) {
        match self.0 {
            Form::Portable => tile_portable(panel, rows, pairs, out),
            // SAFETY: this form is only made where the processor was found to have AVX-512 BF16.
            #[cfg(target_arch = "x86_64")]
            Form::Avx512 => unsafe { crate::arch::x86_bf16::tile_avx512(panel, rows, pairs, out) },
        }
    }
}

/// Rounded to the nearest bf16, to even where two are as near.
#[inline(always)]
fn round(value: f32) -> u32 {
    let bits = value.to_bits();
    if value.is_nan() { (bits >> 16) | 0x40 } else { bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16 }
}

#[inline(always)]
fn pair(first: f32, second: f32) -> u32 {
    round(first) | round(second) << 16
}

/// Room for `len` words, of any value.
fn make_room(words: &mut Vec<u32>, len: usize) {
    if words.len() < len {
        // What lay there is not wanted, so it need not be moved.
        *words = Vec::new();
        words.resize(len, 0);
    }
}

/// Words of one row: the elements `2 i` and `2 i + 1`, a zero after the last.
#[inline(always)]
fn pairs_along(to: &mut [u32], row: &[f32]) {
    let (whole, rest) = row.as_chunks::<2>();
    for (to, [first, second]) in to.iter_mut().zip(whole) {
        *to = pair(*first, *second);
    }
    if let (Some(to), [last]) = (to.get_mut(whole.len()), rest) {
        *to = pair(*last, 0.0);
    }
}

/// Words of the rows `2 i` and `2 i + 1` of `matrix`, `[rows, columns]`: one for each column that `to` has room for, from `first` on.
#[inline(always)]
fn pairs_across(to: &mut [u32], matrix: &[f32], i: usize, first: usize, [rows, columns]: [usize; 2]) {
    let row = |row: usize| &matrix[row * columns + first..][..to.len()];
    let upper = row(2 * i);
    if 2 * i + 1 < rows {
        let lower = row(2 * i + 1);
        to.iter_mut().zip(upper.iter().zip(lower)).for_each(|(to, (&a, &b))| *to = pair(a, b));
    } else {
        to.iter_mut().zip(upper).for_each(|(to, &a)| *to = pair(a, 0.0));
    }
}

type Square = [[u32; SQUARE]; SQUARE];

/// Writes the square turned, its columns as rows of `to` that are `stride` apart from `start` on; so many rows and columns of what is written.
#[inline(always)]
fn write_turned(square: &Square, to: &mut [u32], start: usize, stride: usize, [rows, columns]: [usize; 2]) {
    for row in 0..rows {
        let to = &mut to[start + row * stride..][..columns];
        for (column, to) in to.iter_mut().enumerate() {
            *to = square[column][row];
        }
    }
}

multiversion! {
    /// Rows of the left factor, `[m, k]` or as `turned` `[k, m]`, from `first` on: `[rows, pairs]`.
    fn lay_out_rows(to: &mut [u32], matrix: &[f32], first: usize, extents: [usize; 2], turned: bool) = lay_out_rows_body;
}

#[inline(always)]
fn lay_out_rows_body<const FUSED: bool>(to: &mut [u32], matrix: &[f32], first: usize, [m, k]: [usize; 2], turned: bool) {
    let pairs = k.div_ceil(2);
    let rows = to.len() / pairs;
    if !turned {
        return to.chunks_exact_mut(pairs).zip(matrix[first * k..].chunks_exact(k)).for_each(|(to, row)| pairs_along(to, row));
    }
    for row in (0..rows).step_by(SQUARE) {
        let high = SQUARE.min(rows - row);
        for start in (0..pairs).step_by(SQUARE) {
            let wide = SQUARE.min(pairs - start);
            let mut square: Square = [[0; SQUARE]; SQUARE];
            for (i, words) in square[..wide].iter_mut().enumerate() {
                pairs_across(&mut words[..high], matrix, start + i, first + row, [k, m]);
            }
            write_turned(&square, to, row * pairs + start, pairs, [high, wide]);
        }
    }
}

multiversion! {
    /// A panel of the right factor, `[k, n]` or as `turned` `[n, k]`, from column `first` on: `[pairs, PANEL]`, zeros beyond the last column.
    fn lay_out_panel(to: &mut [u32], matrix: &[f32], first: usize, extents: [usize; 2], turned: bool) = lay_out_panel_body;
}

#[inline(always)]
fn lay_out_panel_body<const FUSED: bool>(to: &mut [u32], matrix: &[f32], first: usize, [k, n]: [usize; 2], turned: bool) {
    let width = PANEL.min(n - first);
    if !turned {
        for (i, to) in to.as_chunks_mut::<PANEL>().0.iter_mut().enumerate() {
            pairs_across(&mut to[..width], matrix, i, first, [k, n]);
            to[width..].fill(0);
        }
        return;
    }
    let pairs = k.div_ceil(2);
    for column in (0..PANEL).step_by(SQUARE) {
        let wide = SQUARE.min(width.saturating_sub(column));
        for start in (0..pairs).step_by(SQUARE) {
            let high = SQUARE.min(pairs - start);
            let mut square: Square = [[0; SQUARE]; SQUARE];
            for (i, words) in square[..wide].iter_mut().enumerate() {
                let row = &matrix[(first + column + i) * k..][..k];
                pairs_along(words, &row[2 * start..k.min(2 * (start + SQUARE))]);
            }
            write_turned(&square, to, start * PANEL + column, PANEL, [high, SQUARE]);
        }
    }
}

/// The portable twin of the tile.
fn tile_portable(panel: &[u32], rows: &[u32], pairs: usize, out: &mut [[f32; PANEL]]) {
    let low = |word: u32| f32::from_bits(word << 16);
    let high = |word: u32| f32::from_bits(word & 0xffff_0000);
    for (row, line) in rows.chunks_exact(pairs).zip(out) {
        *line = [0.0; PANEL];
        for (&a, weights) in row.iter().zip(panel.chunks_exact(PANEL)) {
            for (sum, &b) in line.iter_mut().zip(weights) {
                *sum += low(a) * low(b) + high(a) * high(b);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matmul;

    fn forms() -> Vec<Bf16> {
        if Bf16::detect().is_none() {
            eprintln!("SKIPPED: this processor multiplies no bf16, so only the portable form is tested");
        }
        [Some(Bf16(Form::Portable)), Bf16::detect()].into_iter().flatten().collect()
    }

    #[test]
    fn whole_numbers_come_out_exactly_in_every_layout() {
        for (m, k, n) in [(1, 1, 1), (3, 5, 7), (33, 17, 20), (4, 0, 3), (70, 66, 130), (390, 35, 64)] {
            let a: Vec<f32> = (0..m * k).map(|i| ((i * 7 % 13) as f32) - 6.0).collect();
            let b: Vec<f32> = (0..k * n).map(|i| ((i * 5 % 11) as f32) - 5.0).collect();
            for (left, right) in [(false, false), (false, true), (true, false), (true, true)] {
                let mut expected = vec![f32::NAN; m * n];
                matmul(&mut expected, &a, &b, m, k, n, Transposed { left, right }, false, 1);
                for form in forms() {
                    let mut out = vec![f32::NAN; m * n];
                    form.matmul(&mut out, &a, &b, m, k, n, Transposed { left, right }, false);
                    assert_eq!(out, expected, "{form:?} {m} {k} {n} {left} {right}");
                    form.matmul(&mut out, &a, &b, m, k, n, Transposed { left, right }, true);
                    assert!(out.iter().zip(&expected).all(|(&got, &once)| got == 2.0 * once));
                }
            }
        }
    }

    #[test]
    fn a_product_differs_by_the_rounding_of_its_factors() {
        let (m, k, n) = (30, 200, 70);
        let value = |i: usize| ((i * 2_654_435_761) % 1_000_003) as f32 / 500_000.0 - 1.0;
        let (a, b): (Vec<f32>, Vec<f32>) = ((0..m * k).map(value).collect(), (0..k * n).map(|i| value(i + 77)).collect());
        let rounded = |values: &[f32]| values.iter().map(|&value| f32::from_bits(round(value) << 16)).collect::<Vec<_>>();
        let mut expected = vec![0.0; m * n];
        matmul(&mut expected, &rounded(&a), &rounded(&b), m, k, n, Transposed::default(), false, 1);
        for form in forms() {
            let mut out = vec![0.0; m * n];
            form.matmul(&mut out, &a, &b, m, k, n, Transposed::default(), false);
            let worst = out.iter().zip(&expected).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-4, "{form:?}: {worst}");
        }
    }

    #[test]
    fn rounding_is_to_the_nearest_and_to_even() {
        let rounded = |value: f32| f32::from_bits(round(value) << 16);
        assert_eq!([1.0, -2.5, 0.0].map(rounded), [1.0, -2.5, 0.0]);
        let step = 1.0 / 128.0;
        assert_eq!([1.0 + 0.49 * step, 1.0 + 0.51 * step, 1.0 + 0.5 * step, 1.0 + 1.5 * step].map(rounded), [1.0, 1.0 + step, 1.0, 1.0 + 2.0 * step]);
        assert!(rounded(f32::NAN).is_nan() && rounded(f32::from_bits(0x7f80_0001)).is_nan() && rounded(f32::INFINITY) == f32::INFINITY);
    }
}
