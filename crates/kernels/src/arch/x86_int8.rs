//! AVX2, AVX-VNNI and AVX-512 VNNI tiles of the packed u8 × s8 product. All are exact: the dot product instructions add up in i32, and
//! without them the bytes are widened to i16 first (`maddubs` would saturate).

use crate::int8::{GROUP, PANEL, STEP, groups};
use std::arch::x86_64::*;

/// Registers of a panel's row.
const ZMM: usize = PANEL / 16;

/// Columns that an AVX2 or AVX-VNNI pass computes at once, so that the sums of [`TILE`] rows stay in sixteen registers.
const COLUMNS: usize = 16;

/// Bytes that come from memory together.
const CACHE_LINE: usize = 64;

/// AVX-512 VNNI form of [`crate::int8::tile_portable`], which brings `ahead` nearer to the processor on the way.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(crate) fn tile_avx512_vnni(panel: &[i8], rows: &[u8], stride: usize, ahead: &[i8], out: &mut [[i32; PANEL]]) {
    let groups = groups(panel, rows, stride, out);
    // SAFETY: `groups` checked that the panel has so many steps and that there are as many rows of `stride` bytes as the result has.
    unsafe {
        match out.len() {
            0 => {}
            // Few rows have few sums: several chains of them hide the instruction's latency, and integers may be added in any order.
            1 => tile_vnni::<1, 4>(panel, rows, stride, groups, ahead, out),
            2 => tile_vnni::<2, 2>(panel, rows, stride, groups, ahead, out),
            3 => tile_vnni::<3, 2>(panel, rows, stride, groups, ahead, out),
            4 => tile_vnni::<4, 1>(panel, rows, stride, groups, ahead, out),
            5 => tile_vnni::<5, 1>(panel, rows, stride, groups, ahead, out),
            _ => tile_vnni::<6, 1>(panel, rows, stride, groups, ahead, out),
        }
    }
}

/// `ROWS` rows in `CHAINS` independent chains of sums.
///
/// # Safety
/// The panel holds `groups` steps, `rows` at least `ROWS` rows of `stride` bytes, `stride` at least four bytes a group.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
#[inline]
unsafe fn tile_vnni<const ROWS: usize, const CHAINS: usize>(
    panel: &[i8],
    rows: &[u8],
    stride: usize,
    groups: usize,
    ahead: &[i8],
    out: &mut [[i32; PANEL]],
) {
    let mut sums = [[[_mm512_setzero_si512(); ZMM]; ROWS]; CHAINS];
    let (weights, bytes) = (panel.as_ptr(), rows.as_ptr());
    let whole = groups - groups % CHAINS;
    let mut ahead = ahead.chunks(CACHE_LINE);
    let lines = ahead.len().div_ceil(groups / CHAINS + 1);
    let mut group = 0;
    while group < whole {
        for line in ahead.by_ref().take(lines) {
            _mm_prefetch::<_MM_HINT_T1>(line.as_ptr());
        }
        for (chain, sums) in sums.iter_mut().enumerate() {
            // SAFETY: the caller's promise, for group + chain < groups.
            unsafe { step_vnni(sums, weights.add((group + chain) * STEP), bytes.add((group + chain) * GROUP), stride) };
        }
        group += CHAINS;
    }
    while group < groups {
        // SAFETY: the caller's promise, for group < groups.
        unsafe { step_vnni(&mut sums[0], weights.add(group * STEP), bytes.add(group * GROUP), stride) };
        group += 1;
    }
    for (row, line) in out.iter_mut().enumerate().take(ROWS) {
        for part in 0..ZMM {
            let mut sum = sums[0][row][part];
            for chain in &sums[1..] {
                sum = _mm512_add_epi32(sum, chain[row][part]);
            }
            // SAFETY: the store writes elements 16 · part to 16 · part + 15 of a line of 64.
            unsafe { _mm512_storeu_si512(line.as_mut_ptr().add(16 * part).cast(), sum) };
        }
    }
}

/// Adds one group's products to the sums.
///
/// # Safety
/// `weights` points to a step of the panel, `bytes` to a group of the first of `ROWS` rows that lie `stride` bytes apart.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
#[inline]
unsafe fn step_vnni<const ROWS: usize>(sums: &mut [[__m512i; ZMM]; ROWS], weights: *const i8, bytes: *const u8, stride: usize) {
    let mut loaded = [_mm512_setzero_si512(); ZMM];
    for (part, loaded) in loaded.iter_mut().enumerate() {
        // SAFETY: a step is four registers wide.
        *loaded = unsafe { _mm512_loadu_si512(weights.add(64 * part).cast()) };
    }
    for (row, sums) in sums.iter_mut().enumerate() {
        // SAFETY: a group is four bytes, and row < ROWS.
        let activation = _mm512_set1_epi32(unsafe { bytes.add(row * stride).cast::<i32>().read_unaligned() });
        for (sum, weight) in sums.iter_mut().zip(loaded) {
            *sum = _mm512_dpbusd_epi32(*sum, activation, weight);
        }
    }
}

/// AVX-VNNI form of [`crate::int8::tile_portable`].
#[target_feature(enable = "avx2,avxvnni")]
pub(crate) fn tile_avx_vnni(panel: &[i8], rows: &[u8], stride: usize, out: &mut [[i32; PANEL]]) {
    let groups = groups(panel, rows, stride, out);
    // SAFETY: `groups` checked that the panel has so many steps and that there are as many rows of `stride` bytes as the result has.
    unsafe { for_rows!(out.len(), tile_vnni256(panel, rows, stride, groups, out)) }
}

/// # Safety
/// As of [`tile_vnni`].
#[target_feature(enable = "avx2,avxvnni")]
#[inline]
unsafe fn tile_vnni256<const ROWS: usize>(panel: &[i8], rows: &[u8], stride: usize, groups: usize, out: &mut [[i32; PANEL]]) {
    for column in (0..PANEL).step_by(COLUMNS) {
        let mut sums = [[_mm256_setzero_si256(); 2]; ROWS];
        for group in 0..groups {
            // SAFETY: the caller's promise; column + 15 is below PANEL, four bytes a column.
            unsafe {
                let at = panel.as_ptr().add(group * STEP + column * GROUP);
                let weights = [_mm256_loadu_si256(at.cast()), _mm256_loadu_si256(at.add(32).cast())];
                for (row, sums) in sums.iter_mut().enumerate() {
                    let activation = _mm256_set1_epi32(rows.as_ptr().add(row * stride + group * GROUP).cast::<i32>().read_unaligned());
                    for (sum, weight) in sums.iter_mut().zip(weights) {
                        *sum = _mm256_dpbusd_avx_epi32(*sum, activation, weight);
                    }
                }
            }
        }
        for (sums, line) in sums.iter().zip(out.iter_mut()) {
            for (part, sum) in sums.iter().enumerate() {
                // SAFETY: the store writes eight elements from column + 8 · part, below PANEL, of a line of 64.
                unsafe { _mm256_storeu_si256(line.as_mut_ptr().add(column + 8 * part).cast(), *sum) };
            }
        }
    }
}

/// AVX2 form of [`crate::int8::tile_portable`]: bytes are widened, and pairs of i16 products added into i32.
#[target_feature(enable = "avx2")]
pub(crate) fn tile_avx2(panel: &[i8], rows: &[u8], stride: usize, out: &mut [[i32; PANEL]]) {
    let groups = groups(panel, rows, stride, out);
    for (pair, lines) in out.chunks_mut(3).enumerate() {
        let rows = &rows[pair * 3 * stride..];
        // SAFETY: `groups` checked the panel and the rows of the whole tile, of which these are up to three.
        unsafe {
            match lines.len() {
                1 => tile_widened::<1>(panel, rows, stride, groups, lines),
                2 => tile_widened::<2>(panel, rows, stride, groups, lines),
                _ => tile_widened::<3>(panel, rows, stride, groups, lines),
            }
        }
    }
}

/// # Safety
/// As of [`tile_vnni`].
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn tile_widened<const ROWS: usize>(panel: &[i8], rows: &[u8], stride: usize, groups: usize, out: &mut [[i32; PANEL]]) {
    for column in (0..PANEL).step_by(COLUMNS) {
        // Four columns a register, each in two halves that are added up at the end.
        let mut sums = [[_mm256_setzero_si256(); 4]; ROWS];
        for group in 0..groups {
            // SAFETY: the caller's promise; column + 15 is below PANEL, four bytes a column.
            unsafe {
                let at = panel.as_ptr().add(group * STEP + column * GROUP);
                let mut activations = [_mm256_setzero_si256(); ROWS];
                for (row, activation) in activations.iter_mut().enumerate() {
                    let bytes = rows.as_ptr().add(row * stride + group * GROUP).cast::<i32>().read_unaligned();
                    *activation = _mm256_cvtepu8_epi16(_mm_set1_epi32(bytes));
                }
                for part in 0..4 {
                    let weights = _mm256_cvtepi8_epi16(_mm_loadu_si128(at.add(16 * part).cast()));
                    for (sums, activation) in sums.iter_mut().zip(activations) {
                        sums[part] = _mm256_add_epi32(sums[part], _mm256_madd_epi16(activation, weights));
                    }
                }
            }
        }
        for (sums, line) in sums.iter().zip(out.iter_mut()) {
            for (part, pairs) in sums.chunks_exact(2).enumerate() {
                // The horizontal sum works in halves of a register; the permutation puts the columns back in order.
                let joined = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(pairs[0], pairs[1]));
                // SAFETY: the store writes eight elements from column + 8 · part, below PANEL, of a line of 64.
                unsafe { _mm256_storeu_si256(line.as_mut_ptr().add(column + 8 * part).cast(), joined) };
            }
        }
    }
}
