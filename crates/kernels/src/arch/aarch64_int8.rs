//! Tiles of the packed u8 × s8 product by NEON's dot products, which add up in i32, so both are exact. The instructions are written out, since the
//! standard library's functions for them are not stable yet.

use crate::int8::{GROUP, PANEL, STEP, TILE, groups};
use std::arch::{aarch64::*, asm};

/// Columns that are computed at once, so that the sums of [`TILE`] rows stay in registers.
const COLUMNS: usize = 16;

/// Bytes of a row that are made signed at a time.
const BLOCK: usize = 512;

/// What makes a u8 the s8 that is 128 less.
const SIGN: u8 = 0x80;

/// Makes `$name::<ROWS>`: adds to `out` the products of `ROWS` rows of bytes and a panel, by the instruction `$dot`.
macro_rules! tile {
    ($name:ident, $features:literal, $dot:literal) => {
        /// # Safety
        /// The panel holds `groups` steps, `bytes` points to `ROWS` rows that lie `stride` bytes apart, each of at least four bytes a group.
        #[target_feature(enable = $features)]
        #[inline]
        unsafe fn $name<const ROWS: usize>(panel: &[i8], bytes: *const u8, stride: usize, groups: usize, out: &mut [[i32; PANEL]]) {
            for column in (0..PANEL).step_by(COLUMNS) {
                let mut sums = [[vdupq_n_s32(0); COLUMNS / 4]; ROWS];
                for group in 0..groups {
                    // SAFETY: the caller's promise; column + 15 is below PANEL, four bytes a column.
                    unsafe {
                        let at = panel.as_ptr().add(group * STEP + column * GROUP);
                        let weights = [vld1q_s8(at), vld1q_s8(at.add(16)), vld1q_s8(at.add(32)), vld1q_s8(at.add(48))];
                        for (row, sums) in sums.iter_mut().enumerate() {
                            let activations = vdupq_n_u32(bytes.add(row * stride + group * GROUP).cast::<u32>().read_unaligned());
                            for (sum, weights) in sums.iter_mut().zip(weights) {
                                asm!(
                                    concat!($dot, " {sum:v}.4s, {activations:v}.16b, {weights:v}.16b"),
                                    sum = inout(vreg) *sum,
                                    activations = in(vreg) activations,
                                    weights = in(vreg) weights,
                                    options(pure, nomem, nostack, preserves_flags),
                                );
                            }
                        }
                    }
                }
                for (sums, line) in sums.iter().zip(out.iter_mut()) {
                    for (part, &sum) in sums.iter().enumerate() {
                        // SAFETY: four elements from column + 4 · part, below PANEL, of a line of 64.
                        unsafe {
                            let at = line.as_mut_ptr().add(column + 4 * part);
                            vst1q_s32(at, vaddq_s32(vld1q_s32(at), sum));
                        }
                    }
                }
            }
        }
    };
}

tile!(add_mixed, "neon,i8mm", "usdot");
tile!(add_signed, "neon,dotprod", "sdot");

/// The form of [`crate::int8::tile_portable`] for processors that multiply u8 by s8 (I8MM).
#[target_feature(enable = "neon,i8mm")]
pub(crate) fn tile_i8mm(panel: &[i8], rows: &[u8], stride: usize, out: &mut [[i32; PANEL]]) {
    let groups = groups(panel, rows, stride, out);
    out.fill([0; PANEL]);
    // SAFETY: `groups` checked that the panel has so many steps and that there are as many rows of `stride` bytes as the result has.
    unsafe { for_rows!(out.len(), add_mixed(panel, rows.as_ptr(), stride, groups, out)) }
}

/// The form of [`crate::int8::tile_portable`] for processors that multiply s8 by s8 alone (DotProd): 128 is taken off the activations, and 128 times
/// the sum of the weights added in the end.
#[target_feature(enable = "neon,dotprod")]
pub(crate) fn tile_dotprod(panel: &[i8], rows: &[u8], stride: usize, out: &mut [[i32; PANEL]]) {
    let all = groups(panel, rows, stride, out);
    out.fill([0; PANEL]);
    let mut weights = [[0; PANEL]];
    let (mut signed, ones) = ([0; TILE * BLOCK], [1; BLOCK]);
    for first in (0..all).step_by(BLOCK / GROUP) {
        let groups = (all - first).min(BLOCK / GROUP);
        let bytes = first * GROUP..(first + groups) * GROUP;
        for (row, signed) in rows.chunks_exact(stride).zip(signed.chunks_exact_mut(BLOCK)).take(out.len()) {
            signed.iter_mut().zip(&row[bytes.clone()]).for_each(|(signed, byte)| *signed = byte ^ SIGN);
        }
        let (panel, bytes) = (&panel[first * STEP..], signed.as_ptr());
        // SAFETY: `groups` checked that the panel has steps for all of a row's bytes; `signed` and `ones` have rows of BLOCK bytes, as many as the result has.
        unsafe {
            add_signed::<1>(panel, ones.as_ptr(), BLOCK, groups, &mut weights);
            for_rows!(out.len(), add_signed(panel, bytes, BLOCK, groups, out))
        }
    }
    for (sum, weights) in out.iter_mut().flat_map(|line| line.iter_mut().zip(&weights[0])) {
        *sum += i32::from(SIGN) * weights;
    }
}
