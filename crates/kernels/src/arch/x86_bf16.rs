//! The AVX-512 BF16 tile.

use crate::bf16::{PANEL, TILE};
use std::arch::x86_64::*;

/// `out[r] = rows[r] · panel`: words of two bf16 each, `pairs` of them a row; the panel is `[pairs, PANEL]`.
#[target_feature(enable = "avx512f,avx512bf16,avx512bw")]
pub(crate) fn tile_avx512(panel: &[u32], rows: &[u32], pairs: usize, out: &mut [[f32; PANEL]]) {
    assert!(panel.len() >= pairs * PANEL && rows.len() >= out.len() * pairs && out.len() <= TILE);
    match out.len() {
        1 => tile_rows::<1>(panel, rows, pairs, out),
        2 => tile_rows::<2>(panel, rows, pairs, out),
        3 => tile_rows::<3>(panel, rows, pairs, out),
        4 => tile_rows::<4>(panel, rows, pairs, out),
        5 => tile_rows::<5>(panel, rows, pairs, out),
        _ => tile_rows::<6>(panel, rows, pairs, out),
    }
}

#[target_feature(enable = "avx512f,avx512bf16,avx512bw")]
#[inline]
fn tile_rows<const ROWS: usize>(panel: &[u32], rows: &[u32], pairs: usize, out: &mut [[f32; PANEL]]) {
    let mut sums = [[_mm512_setzero_ps(); 4]; ROWS];
    for i in 0..pairs {
        // SAFETY: the caller's assertion: panel holds pairs * PANEL words, rows holds ROWS * pairs.
        unsafe {
            let at = panel.as_ptr().add(i * PANEL).cast::<__m512i>();
            let weights = [at, at.add(1), at.add(2), at.add(3)].map(|at| _mm512_loadu_si512(at));
            for (row, sum) in sums.iter_mut().enumerate() {
                let activation = _mm512_set1_epi32(*rows.as_ptr().add(row * pairs + i) as i32);
                for (sum, weight) in sum.iter_mut().zip(weights) {
                    // SAFETY: both types are 64 bytes of any value.
                    let [a, b] = std::mem::transmute::<[__m512i; 2], [__m512bh; 2]>([activation, weight]);
                    *sum = _mm512_dpbf16_ps(*sum, a, b);
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
