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

const ROWS: usize = 6;

/// `out = left · right` with extents `[rows, inner, columns]`; `out` is dense and `columns` is a multiple of
/// [`LANES`]. Each element is one chain of multiply-adds over the inner dimension, whatever tile it falls into.
#[inline(always)]
pub(crate) fn product<const FUSED: bool>(left: Strided<'_>, right: Right<'_>, [rows, inner, columns]: [usize; 3], out: &mut [f32]) {
    if rows == 0 || inner == 0 || columns == 0 {
        return out[..rows * columns].fill(0.0);
    }
    assert!(columns.is_multiple_of(LANES) && out.len() >= rows * columns, "columns fill registers, and the result has a place for each");
    assert!(left.data.len() > (rows - 1) * left.row + (inner - 1) * left.step, "the left factor has its extents");
    assert!(right.data.len() >= (inner - 1) * right.row + columns, "the right factor has its extents");
    let mut row = 0;
    while row + ROWS <= rows {
        tiles::<FUSED, ROWS>(left, right, row, inner, columns, out);
        row += ROWS;
    }
    while row + 2 <= rows {
        tiles::<FUSED, 2>(left, right, row, inner, columns, out);
        row += 2;
    }
    if row < rows {
        tiles::<FUSED, 1>(left, right, row, inner, columns, out);
    }
}

/// `R` rows of the product, two registers wide where there are as many columns.
#[inline(always)]
fn tiles<const FUSED: bool, const R: usize>(left: Strided<'_>, right: Right<'_>, row: usize, inner: usize, columns: usize, out: &mut [f32]) {
    let mut column = 0;
    while column + 2 * LANES <= columns {
        tile::<FUSED, R, 2>(left, right, [row, column], inner, columns, out);
        column += 2 * LANES;
    }
    if column < columns {
        tile::<FUSED, R, 1>(left, right, [row, column], inner, columns, out);
    }
}

#[inline(always)]
fn tile<const FUSED: bool, const R: usize, const W: usize>(
    left: Strided<'_>,
    right: Right<'_>,
    [row, column]: [usize; 2],
    inner: usize,
    columns: usize,
    out: &mut [f32],
) {
    let mut sums = [[[0.0f32; LANES]; W]; R];
    for k in 0..inner {
        // SAFETY: `product` has proved that both factors have elements up to the last row, step and column.
        let line: &[[f32; LANES]; W] = unsafe { &*right.data.as_ptr().add(k * right.row + column).cast() };
        for (r, sums) in sums.iter_mut().enumerate() {
            // SAFETY: as above.
            let factor = unsafe { *left.data.get_unchecked((row + r) * left.row + k * left.step) };
            for (sums, values) in sums.iter_mut().zip(line) {
                for (sum, &value) in sums.iter_mut().zip(values) {
                    *sum = fma::<FUSED>(factor, value, *sum);
                }
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        out[(row + r) * columns + column..][..W * LANES].copy_from_slice(sums.as_flattened());
    }
}
