//! The NEON tile of the packed f32 product.

use crate::packed::{PANEL, TILE};
use std::arch::aarch64::*;

/// Columns that are computed at once, so that the sums of [`TILE`] rows stay in registers.
const COLUMNS: usize = 16;

/// NEON form of [`crate::packed::tile_portable`].
pub(crate) fn tile_neon(panel: &[f32], bias: &[f32; PANEL], rows: &[f32], inputs: usize, out: &mut [[f32; PANEL]]) {
    assert!(panel.len() >= inputs * PANEL && rows.len() >= out.len() * inputs && out.len() <= TILE);
    for_rows!(out.len(), tile_rows(panel, bias, rows, inputs, out))
}

#[inline]
fn tile_rows<const ROWS: usize>(panel: &[f32], bias: &[f32; PANEL], rows: &[f32], inputs: usize, out: &mut [[f32; PANEL]]) {
    for column in (0..PANEL).step_by(COLUMNS) {
        // SAFETY: column + 15 is below PANEL, the length of the bias.
        let mut sums = [unsafe { load(bias.as_ptr().add(column)) }; ROWS];
        for k in 0..inputs {
            // SAFETY: the caller's assertion: panel holds inputs * PANEL values, rows holds ROWS * inputs.
            unsafe {
                let weights = load(panel.as_ptr().add(k * PANEL + column));
                for (row, sums) in sums.iter_mut().enumerate() {
                    let activation = *rows.as_ptr().add(row * inputs + k);
                    for (sum, weight) in sums.iter_mut().zip(weights) {
                        *sum = vfmaq_n_f32(*sum, weight, activation);
                    }
                }
            }
        }
        for (sums, line) in sums.iter().zip(out.iter_mut()) {
            for (part, sum) in sums.iter().enumerate() {
                // SAFETY: the store writes four elements from column + 4 · part, below PANEL, of a line of 64.
                unsafe { vst1q_f32(line.as_mut_ptr().add(column + 4 * part), *sum) };
            }
        }
    }
}

/// Sixteen values from `at`.
///
/// # Safety
/// `at` points to at least [`COLUMNS`] readable values.
#[inline(always)]
unsafe fn load(at: *const f32) -> [float32x4_t; COLUMNS / 4] {
    // SAFETY: the caller's promise.
    unsafe { [vld1q_f32(at), vld1q_f32(at.add(4)), vld1q_f32(at.add(8)), vld1q_f32(at.add(12))] }
}
