//! Products of the small matrices inside attention, where packing for a general product would cost more than it gives.

use crate::lanes::{LANES, fma};

/// A left factor: element `(i, k)` is `data[i · row + k · step]`.
#[derive(Clone, Copy)]
pub(crate) struct Strided<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) row: usize,
    pub(crate) step: usize,
}

/// A right factor: element `(k, j)` is `data[k · row + j]`.
#[derive(Clone, Copy)]
pub(crate) struct Right<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) row: usize,
}

const TILE: usize = 6;

/// `out = left · right` with extents `[rows, inner, columns]`; `out` is dense and `columns` is a multiple of
/// [`LANES`]. Each element is one chain of multiply-adds over the inner dimension, whatever tile it falls into.
#[inline(always)]
pub(crate) fn product<const FUSED: bool>(left: Strided<'_>, right: Right<'_>, [rows, inner, columns]: [usize; 3], out: &mut [f32]) {
    let mut row = 0;
    while row + TILE <= rows {
        tile_row::<FUSED, TILE>(left, right, row, inner, columns, out);
        row += TILE;
    }
    while row + 2 <= rows {
        tile_row::<FUSED, 2>(left, right, row, inner, columns, out);
        row += 2;
    }
    if row < rows {
        tile_row::<FUSED, 1>(left, right, row, inner, columns, out);
    }
}

#[inline(always)]
fn tile_row<const FUSED: bool, const R: usize>(left: Strided<'_>, right: Right<'_>, row: usize, inner: usize, columns: usize, out: &mut [f32]) {
    let mut column = 0;
    while column < columns {
        let mut sums = [[0.0f32; LANES]; R];
        for k in 0..inner {
            let line: &[f32; LANES] = right.data[k * right.row + column..][..LANES].try_into().expect("a slice of LANES elements");
            for (r, sums) in sums.iter_mut().enumerate() {
                let factor = left.data[(row + r) * left.row + k * left.step];
                for (sum, &value) in sums.iter_mut().zip(line) {
                    *sum = fma::<FUSED>(factor, value, *sum);
                }
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            out[(row + r) * columns + column..][..LANES].copy_from_slice(sums);
        }
        column += LANES;
    }
}
