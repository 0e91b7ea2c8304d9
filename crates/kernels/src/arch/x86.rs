//! AVX2 and AVX-512 tiles of the packed f32 product.

use crate::packed::{PANEL, TILE};
use std::arch::x86_64::*;

/// AVX-512 form of [`crate::packed::tile_portable`].
#[target_feature(enable = "avx512f")]
pub(crate) fn tile_avx512(panel: &[f32], bias: &[f32; PANEL], rows: &[f32], inputs: usize, out: &mut [[f32; PANEL]]) {
    assert!(panel.len() >= inputs * PANEL && rows.len() >= out.len() * inputs && out.len() <= TILE);
    for_rows!(out.len(), tile_avx512_rows(panel, bias, rows, inputs, out))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn tile_avx512_rows<const ROWS: usize>(panel: &[f32], bias: &[f32; PANEL], rows: &[f32], inputs: usize, out: &mut [[f32; PANEL]]) {
    let load = |from: &[f32]| -> [__m512; 4] {
        let from: &[f32; PANEL] = from.first_chunk().expect("a panel's row is whole");
        // SAFETY: the four loads read elements 0 to 63 of the 64 that the reference spans.
        unsafe { load_panel_row(from.as_ptr()) }
    };
    let mut sums = [load(bias); ROWS];
    for k in 0..inputs {
        // SAFETY: the caller's assertion: panel holds inputs * PANEL values, rows holds ROWS * inputs.
        unsafe {
            let weights = load_panel_row(panel.as_ptr().add(k * PANEL));
            for (row, sum) in sums.iter_mut().enumerate() {
                let activation = _mm512_set1_ps(*rows.as_ptr().add(row * inputs + k));
                for (sum, weight) in sum.iter_mut().zip(weights) {
                    *sum = _mm512_fmadd_ps(activation, weight, *sum);
                }
            }
        }
    }
    for (sum, line) in sums.iter().zip(out) {
        for (i, part) in sum.iter().enumerate() {
            // SAFETY: the store writes elements 16 i to 16 i + 15 of a line of 64.
            unsafe { _mm512_storeu_ps(line.as_mut_ptr().add(16 * i), *part) };
        }
    }
}

/// Sixty-four values from `at`.
///
/// # Safety
/// `at` points to at least [`PANEL`] readable values.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn load_panel_row(at: *const f32) -> [__m512; 4] {
    // SAFETY: the caller's promise.
    unsafe { [_mm512_loadu_ps(at), _mm512_loadu_ps(at.add(16)), _mm512_loadu_ps(at.add(32)), _mm512_loadu_ps(at.add(48))] }
}

/// AVX2 form of [`crate::packed::tile_portable`]: sixteen columns at a time, so that the sums stay in sixteen registers.
#[target_feature(enable = "avx2,fma")]
pub(crate) fn tile_avx2(panel: &[f32], bias: &[f32; PANEL], rows: &[f32], inputs: usize, out: &mut [[f32; PANEL]]) {
    assert!(panel.len() >= inputs * PANEL && rows.len() >= out.len() * inputs && out.len() <= TILE);
    for_rows!(out.len(), tile_avx2_rows(panel, bias, rows, inputs, out))
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn tile_avx2_rows<const ROWS: usize>(panel: &[f32], bias: &[f32; PANEL], rows: &[f32], inputs: usize, out: &mut [[f32; PANEL]]) {
    for column in (0..PANEL).step_by(16) {
        // SAFETY: column + 15 is below PANEL, the length of the bias.
        let start = unsafe { [_mm256_loadu_ps(bias.as_ptr().add(column)), _mm256_loadu_ps(bias.as_ptr().add(column + 8))] };
        let mut sums = [start; ROWS];
        for k in 0..inputs {
            // SAFETY: the caller's assertion: panel holds inputs * PANEL values, rows holds ROWS * inputs.
            unsafe {
                let at = panel.as_ptr().add(k * PANEL + column);
                let weights = [_mm256_loadu_ps(at), _mm256_loadu_ps(at.add(8))];
                for (row, sum) in sums.iter_mut().enumerate() {
                    let activation = _mm256_set1_ps(*rows.as_ptr().add(row * inputs + k));
                    for (sum, weight) in sum.iter_mut().zip(weights) {
                        *sum = _mm256_fmadd_ps(activation, weight, *sum);
                    }
                }
            }
        }
        for (sum, line) in sums.iter().zip(out.iter_mut()) {
            for (i, part) in sum.iter().enumerate() {
                // SAFETY: the store writes eight elements from column + 8 i, below PANEL, of a line of 64.
                unsafe { _mm256_storeu_ps(line.as_mut_ptr().add(column + 8 * i), *part) };
            }
        }
    }
}
