//! A weight matrix laid out once for products with activations: `out = activations · weightᵀ + bias`.
//!
//! Every element of the result is one chain of fused multiply-adds over the inner dimension, from its first to its last
//! element, whatever tile computes it. So a row's result does not depend on the other rows: a line alone and the same
//! line in any batch get the same bits. (A general product that blocks the inner dimension by the row count can't
//! promise that.)

use crate::{
    crew::{Apart, Crew},
    isa::Isa,
};

/// Columns of a panel: four AVX-512 registers.
pub(crate) const PANEL: usize = 64;

/// Rows of a tile: with four registers a row, six rows leave room for the panel's registers.
pub(crate) const TILE: usize = 6;

/// A matrix of shape `[outputs, inputs]` packed into panels of 64 outputs, the inner dimension outermost.
#[derive(Debug, Clone)]
pub struct PackedMatrix {
    panels: Vec<f32>,
    bias: Vec<f32>,
    outputs: usize,
    inputs: usize,
    isa: Isa,
}

impl PackedMatrix {
    /// Packs `weight` (`[outputs, inputs]`, row-major, as `transformers` stores it) with its `bias` (`[outputs]`).
    pub fn new(weight: &[f32], bias: &[f32], inputs: usize) -> Self {
        let outputs = bias.len();
        assert_eq!(weight.len(), outputs * inputs, "weight is [outputs, inputs]");
        let count = outputs.div_ceil(PANEL);
        let mut panels = vec![0.0; count * PANEL * inputs];
        for (panel, block) in panels.chunks_exact_mut(PANEL * inputs).enumerate() {
            let first = panel * PANEL;
            for column in 0..PANEL.min(outputs - first) {
                let row = &weight[(first + column) * inputs..][..inputs];
                for (k, &value) in row.iter().enumerate() {
                    block[k * PANEL + column] = value;
                }
            }
        }
        let mut padded = bias.to_vec();
        padded.resize(count * PANEL, 0.0);
        Self { panels, bias: padded, outputs, inputs, isa: Isa::detect() }
    }

    /// The same matrix computed by another instruction set, for tests and comparisons.
    #[must_use]
    pub fn with_isa(mut self, isa: Isa) -> Self {
        self.isa = isa;
        self
    }

    /// Columns of the result.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Columns of the activations.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// `out[rows, outputs] = activations[rows, inputs] · weightᵀ + bias`. The crew shares the outputs.
    pub fn product(&self, crew: &Crew<'_>, activations: &[f32], out: &mut [f32]) {
        let rows = activations.len() / self.inputs;
        assert_eq!(activations.len(), rows * self.inputs, "activations are [rows, inputs]");
        assert_eq!(out.len(), rows * self.outputs, "out is [rows, outputs]");
        let out = Apart::new(out);
        crew.share(self.outputs.div_ceil(PANEL), |index| {
            let panel = &self.panels[index * PANEL * self.inputs..][..PANEL * self.inputs];
            let first = index * PANEL;
            let width = PANEL.min(self.outputs - first);
            let bias: &[f32; PANEL] = self.bias[first..].first_chunk().expect("the bias is padded to whole panels");
            let mut row = 0;
            while row < rows {
                let height = TILE.min(rows - row);
                let mut tile = [[0.0f32; PANEL]; TILE];
                let block = &activations[row * self.inputs..(row + height) * self.inputs];
                self.isa.tile(panel, bias, block, self.inputs, &mut tile[..height]);
                for (offset, line) in tile[..height].iter().enumerate() {
                    let start = (row + offset) * self.outputs + first;
                    // SAFETY: a panel's outputs are written by the one part of the work that has the panel.
                    unsafe { out.part(start, width) }.copy_from_slice(&line[..width]);
                }
                row += height;
            }
        });
    }
}

/// The portable tile: the same chain of operations as the vector forms, element by element.
pub(crate) fn tile_portable(panel: &[f32], bias: &[f32; PANEL], rows: &[f32], inputs: usize, out: &mut [[f32; PANEL]]) {
    for (row, line) in rows.chunks_exact(inputs).zip(out) {
        *line = *bias;
        for (&activation, weights) in row.iter().zip(panel.chunks_exact(PANEL)) {
            for (sum, &weight) in line.iter_mut().zip(weights) {
                *sum += activation * weight;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    fn reference(activations: &[f32], weight: &[f32], bias: &[f32], inputs: usize) -> Vec<f32> {
        let dot = |row: &[f32], output: usize| {
            let products = row.iter().zip(&weight[output * inputs..][..inputs]).map(|(a, w)| f64::from(*a) * f64::from(*w));
            (products.sum::<f64>() + f64::from(bias[output])) as f32
        };
        activations.chunks_exact(inputs).flat_map(|row| (0..bias.len()).map(move |output| dot(row, output)).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn every_instruction_set_agrees_with_the_definition() {
        for (rows, inputs, outputs) in [(1, 1, 1), (5, 33, 64), (7, 40, 65), (13, 384, 130), (6, 96, 63)] {
            let (a, w, b) = (values(rows * inputs, 1), values(outputs * inputs, 2), values(outputs, 3));
            let expected = reference(&a, &w, &b, inputs);
            for isa in Isa::available() {
                let mut out = vec![f32::NAN; rows * outputs];
                PackedMatrix::new(&w, &b, inputs).with_isa(isa).product(&Crew::alone(), &a, &mut out);
                let worst = out.iter().zip(&expected).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
                assert!(worst < 2e-5, "{isa:?} {rows}x{inputs}x{outputs}: {worst}");
            }
        }
    }

    #[test]
    fn a_row_alone_gets_the_bits_it_gets_in_company() {
        let (inputs, outputs, rows) = (100, 150, 29);
        let (a, w, b) = (values(rows * inputs, 4), values(outputs * inputs, 5), values(outputs, 6));
        for isa in Isa::available() {
            let matrix = PackedMatrix::new(&w, &b, inputs).with_isa(isa);
            let mut together = vec![0.0; rows * outputs];
            Crew::gather(3, |crew| matrix.product(crew, &a, &mut together));
            for row in 0..rows {
                let mut alone = vec![0.0; outputs];
                matrix.product(&Crew::alone(), &a[row * inputs..][..inputs], &mut alone);
                assert!(alone.iter().zip(&together[row * outputs..]).all(|(x, y)| x.to_bits() == y.to_bits()), "{isa:?} row {row}");
            }
        }
    }
}
