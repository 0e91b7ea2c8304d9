use super::GROUP;
use crate::{dispatch::multiversion, isa::Isa, lanes::extremes};

/// Rows of activations as u8, each with its own scale and zero point: `value ≈ scale · (byte - zero)`. The buffers are kept
/// from call to call.
#[derive(Debug, Default, Clone)]
pub struct QuantizedRows {
    pub(super) bytes: Vec<u8>,
    pub(super) scales: Vec<f32>,
    pub(super) zeros: Vec<i32>,
    /// Bytes from one row to the next: the width, rounded up to whole groups.
    pub(super) stride: usize,
    pub(super) width: usize,
    /// One row, its columns scaled.
    scaled: Vec<f32>,
}

impl QuantizedRows {
    /// Takes the place of what was held: `rows` is `[rows, width]`. The least and the greatest value of a row become 0 and 255,
    /// and 0 is always exact.
    pub fn quantize(&mut self, rows: &[f32], width: usize) {
        self.quantize_with(Isa::detect(), rows, width, &[]);
    }

    /// [`QuantizedRows::quantize`] of rows whose columns are first multiplied by `factors`, one a column; none leave them as they are.
    pub(super) fn quantize_with(&mut self, isa: Isa, rows: &[f32], width: usize, factors: &[f32]) {
        assert!(factors.is_empty() || factors.len() == width, "each column has a factor");
        assert!(width > 0 && rows.len().is_multiple_of(width), "rows are [rows, width]");
        let count = rows.len() / width;
        self.width = width;
        self.stride = width.next_multiple_of(GROUP);
        self.bytes.resize(count * self.stride, 0);
        self.scales.resize(count, 0.0);
        self.zeros.resize(count, 0);
        quantize_on(isa, rows, width, factors, self);
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.scales.len()
    }
}

multiversion! {
    fn quantize_on(rows: &[f32], width: usize, factors: &[f32], out: &mut QuantizedRows) = quantize_body;
}

/// The same bits on every instruction set: nothing here is fused.
#[inline(always)]
fn quantize_body<const FUSED: bool>(rows: &[f32], width: usize, factors: &[f32], out: &mut QuantizedRows) {
    // Adding this rounds to a whole number, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let places = out.scales.iter_mut().zip(&mut out.zeros);
    out.scaled.resize(factors.len(), 0.0);
    for ((row, bytes), (scale, zero)) in rows.chunks_exact(width).zip(out.bytes.chunks_exact_mut(out.stride)).zip(places) {
        let row = if factors.is_empty() {
            row
        } else {
            for ((scaled, &value), &factor) in out.scaled.iter_mut().zip(row).zip(factors) {
                *scaled = value * factor;
            }
            &out.scaled
        };
        let [low, high] = extremes(row);
        let (low, high) = (low.min(0.0), high.max(0.0));
        let step = (high - low) / 255.0;
        let inverse = if step > 0.0 { 1.0 / step } else { 0.0 };
        let shift = (-low * inverse).round_ties_even();
        *scale = step;
        *zero = shift as i32;
        for (byte, &value) in bytes.iter_mut().zip(row) {
            let place = value * inverse + shift;
            let place = if place > 255.0 { 255.0 } else { place };
            let place = if place < 0.0 { 0.0 } else { place };
            *byte = (place + ROUND).to_bits() as u8;
        }
        bytes[width..].fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::for_each_isa;

    #[test]
    fn a_value_comes_back_within_half_a_step_and_zero_exactly() {
        for_each_isa(|isa| {
            for (low, high) in [(-1.0f32, 3.0f32), (0.0, 5.0), (-4.0, -1.0), (0.5, 0.75), (0.0, 0.0)] {
                let width = 37;
                let mut row: Vec<f32> = (0..width).map(|i| low + (high - low) * (i * 7 % width) as f32 / (width - 1) as f32).collect();
                row[3] = 0.0;
                let mut rows = QuantizedRows::default();
                rows.quantize_with(isa, &row, width, &[]);
                for (i, &value) in row.iter().enumerate() {
                    let back = rows.scales[0] * (i32::from(rows.bytes[i]) - rows.zeros[0]) as f32;
                    assert!((back - value).abs() <= 1.01 * rows.scales[0], "{}: {value} came back as {back}", isa.name());
                    assert!(value != 0.0 || back == 0.0, "{}: zero came back as {back}", isa.name());
                }
                assert_eq!(rows.bytes[width..], [0; 3]);
            }
        });
    }

    #[test]
    fn every_isa_gives_the_same_bytes() {
        let row: Vec<f32> = (0..1000).map(|i| ((i * 7919 % 1009) as f32 - 400.0) * 0.013).collect();
        let factors: Vec<f32> = (0..100).map(|i| 0.3 + 0.07 * (i % 31) as f32).collect();
        let scaled: Vec<f32> = row.iter().zip(factors.iter().cycle()).map(|(value, factor)| value * factor).collect();
        let quantized = |isa, row: &[f32], factors: &[f32]| {
            let mut rows = QuantizedRows::default();
            rows.quantize_with(isa, row, 100, factors);
            (rows.bytes, rows.scales, rows.zeros)
        };
        let portable = Isa::available()[0];
        for_each_isa(|isa| {
            assert_eq!(quantized(isa, &row, &[]), quantized(portable, &row, &[]), "{}", isa.name());
            assert_eq!(quantized(isa, &row, &factors), quantized(portable, &scaled, &[]), "{}, by factors", isa.name());
        });
    }
}
