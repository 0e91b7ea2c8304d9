use super::{GROUP, PANEL, QuantizedRows, STEP, TILE};
use crate::{
    crew::{Apart, Crew},
    dispatch::multiversion,
    isa::Isa,
    lanes::{LANES, fma, gelu},
};

/// What happens to an element of the result on its way into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// It is written.
    Write,
    /// Its exact Gaussian error linear unit is written.
    Gelu,
    /// It is added to what stands there: a residual.
    Add,
}

/// A weight matrix of s8, laid out once for products with [`QuantizedRows`]: `out = activations · weightᵀ + bias`.
///
/// Panels of 64 outputs; in a panel, four inner elements of each output stand side by side, as the dot product instructions want them.
#[derive(Debug, Clone)]
pub struct Int8Matrix {
    panels: Vec<i8>,
    /// The value of a weight of 1, of each output; 0 in the padding.
    scales: Vec<f32>,
    /// The sum of each output's weights: what a zero point of 1 adds to the sum of products.
    sums: Vec<f32>,
    bias: Vec<f32>,
    /// What the columns of the activations are multiplied by before they are rounded; none where they stay as they are.
    factors: Vec<f32>,
    outputs: usize,
    inputs: usize,
    isa: Isa,
}

impl Int8Matrix {
    /// Lays out `parts` (each some rows of `[outputs, inputs]`, one after the other) with the `scales` and the `bias` of their outputs.
    ///
    /// # Panics
    /// If the lengths differ, or there are more inputs than an i32 sum is exact for (65,536).
    pub fn new(parts: &[&[i8]], scales: &[f32], bias: &[f32], inputs: usize) -> Self {
        let outputs = bias.len();
        assert!(inputs <= 1 << 16, "sums of more inputs could overflow");
        let elements: usize = parts.iter().map(|part| part.len()).sum();
        assert!(scales.len() == outputs && elements == outputs * inputs, "parts are [outputs, inputs], each output has a scale");
        let (count, groups) = (outputs.div_ceil(PANEL), inputs.div_ceil(GROUP));
        let mut panels = vec![0; count * groups * STEP];
        let mut sums = vec![0.0; count * PANEL];
        for (output, row) in parts.iter().flat_map(|part| part.chunks_exact(inputs.max(1))).enumerate() {
            let (panel, column) = (output / PANEL, output % PANEL);
            let block = &mut panels[panel * groups * STEP..][..groups * STEP];
            let (whole, rest) = row.as_chunks::<GROUP>();
            for (step, values) in block.chunks_exact_mut(STEP).zip(whole) {
                step.as_chunks_mut().0[column] = *values;
            }
            block[whole.len() * STEP..].iter_mut().skip(column * GROUP).zip(rest).for_each(|(place, value)| *place = *value);
            sums[output] = row.iter().map(|&value| i32::from(value)).sum::<i32>() as f32;
        }
        let padded = |values: &[f32]| {
            let mut values = values.to_vec();
            values.resize(count * PANEL, 0.0);
            values
        };
        Self { panels, scales: padded(scales), sums, bias: padded(bias), factors: Vec::new(), outputs, inputs, isa: Isa::detect() }
    }

    /// The same matrix for activations whose columns are multiplied by `factors`, one an input, before they are rounded; its values are those of
    /// weights divided by them. So columns of very different size lose as little as if they were alike (SmoothQuant; Xiao et al. 2023).
    /// No factors: the columns stay as they are.
    ///
    /// # Panics
    /// If there are factors, but not one an input.
    #[must_use]
    pub fn with_factors(mut self, factors: Vec<f32>) -> Self {
        assert!(factors.is_empty() || factors.len() == self.inputs, "each input has a factor");
        self.factors = factors;
        self
    }

    /// What the columns of the activations are multiplied by before they are rounded; none where they stay as they are.
    pub fn factors(&self) -> &[f32] {
        &self.factors
    }

    /// The same matrix computed by another instruction set, for tests and comparisons.
    #[must_use]
    pub fn with_isa(mut self, isa: Isa) -> Self {
        self.isa = isa;
        self
    }

    /// Rounds activations (`[rows, inputs]`) for the product with this matrix, into `quantized`.
    pub fn quantize(&self, rows: &[f32], quantized: &mut QuantizedRows) {
        quantized.quantize_with(self.isa, rows, self.inputs, &self.factors);
    }

    /// Columns of the result.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Columns of the activations.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.panels.len() + 12 * self.sums.len() + 4 * self.factors.len()
    }

    /// `out[rows, outputs]` becomes (or grows by, as `edge` says) `activations · weightᵀ + bias`. The crew shares the outputs.
    pub fn product(&self, crew: &Crew<'_>, activations: &QuantizedRows, edge: Edge, out: &mut [f32]) {
        assert_eq!(activations.width, self.inputs, "activations are [rows, inputs]");
        assert_eq!(out.len(), activations.rows() * self.outputs, "out is [rows, outputs]");
        let (out, threads) = (Apart::new(out), crew.threads());
        crew.share(self.outputs.div_ceil(PANEL), |panel| {
            let mut values = [[0.0; PANEL]; TILE];
            self.tiles(activations, panel, panel + threads, |row, tile| {
                finish_on(self.isa, self, activations, [panel * PANEL, row], edge, (tile, &mut values), &out)
            });
        });
    }

    /// Hands every tile of exact sums of products with a panel's outputs to `take`, with its first row. Few rows are computed faster than a
    /// panel comes from memory, so the panel that is `next` is asked for meanwhile.
    fn tiles(&self, activations: &QuantizedRows, panel: usize, next: usize, mut take: impl FnMut(usize, &[[i32; PANEL]])) {
        let (stride, rows) = (activations.stride, activations.rows());
        let size = stride * PANEL;
        let panel = &self.panels[panel * size..][..size];
        let next = self.panels.get(next * size..).map_or(&[][..], |rest| &rest[..size.min(rest.len())]);
        let share = size.div_ceil(rows.div_ceil(TILE).max(1));
        let mut next = next.chunks(share);
        let mut tile = [[0; PANEL]; TILE];
        let mut row = 0;
        while row < rows {
            let height = TILE.min(rows - row);
            let block = &activations.bytes[row * stride..(row + height) * stride];
            self.isa.int8_tile(panel, block, stride, next.next().unwrap_or_default(), &mut tile[..height]);
            take(row, &tile[..height]);
            row += height;
        }
    }
}

multiversion! {
    fn finish_on(
        matrix: &Int8Matrix, activations: &QuantizedRows, place: [usize; 2], edge: Edge,
        tile: (&[[i32; PANEL]], &mut [[f32; PANEL]; TILE]), out: &Apart<'_, f32>
    ) = finish;
}

/// Takes the zero point's part off a tile's sums (in f32, rounded once), scales them back, adds the bias and does what the edge says. `values` is room for
/// what lies between.
#[inline(always)]
fn finish<const FUSED: bool>(
    matrix: &Int8Matrix,
    activations: &QuantizedRows,
    [first, row]: [usize; 2],
    edge: Edge,
    (tile, values): (&[[i32; PANEL]], &mut [[f32; PANEL]; TILE]),
    out: &Apart<'_, f32>,
) {
    let width = PANEL.min(matrix.outputs - first);
    let (sums, scales, bias) = (panel_of(&matrix.sums, first), panel_of(&matrix.scales, first), panel_of(&matrix.bias, first));
    let values = &mut values[..tile.len()];
    for (offset, (values, exact)) in values.iter_mut().zip(tile).enumerate() {
        let (scale, zero) = (activations.scales[row + offset], activations.zeros[row + offset] as f32);
        for column in 0..PANEL {
            let sum = fma::<FUSED>(-zero, sums[column], exact[column] as f32);
            values[column] = fma::<FUSED>(sum, scale * scales[column], bias[column]);
        }
    }
    if edge == Edge::Gelu {
        // A register at a time, so that the polynomial's coefficients stay in registers for the whole tile.
        for lanes in values.as_flattened_mut().as_chunks_mut::<LANES>().0 {
            for value in lanes {
                *value = gelu::<FUSED>(*value);
            }
        }
    }
    for (offset, values) in values.iter().enumerate() {
        // SAFETY: a panel's outputs are written by the one part of the work that has the panel.
        let to = unsafe { out.part((row + offset) * matrix.outputs + first, width) };
        match to.as_mut_array::<PANEL>() {
            Some(to) if edge == Edge::Add => (0..PANEL).for_each(|column| to[column] += values[column]),
            Some(to) => *to = *values,
            None if edge == Edge::Add => to.iter_mut().zip(values).for_each(|(to, value)| *to += value),
            None => to.copy_from_slice(&values[..width]),
        }
    }
}

/// The panel that begins at `first` of what each output has one of.
#[inline(always)]
fn panel_of(values: &[f32], first: usize) -> &[f32; PANEL] {
    values[first..].first_chunk().expect("padded to whole panels")
}

/// The portable tile: `out[r][c]` is the sum of the products of row `r` and output `c`.
pub(crate) fn tile_portable(panel: &[i8], rows: &[u8], stride: usize, out: &mut [[i32; PANEL]]) {
    for (row, sums) in rows.chunks_exact(stride).zip(out) {
        *sums = [0; PANEL];
        for (group, weights) in row.chunks_exact(GROUP).zip(panel.chunks_exact(STEP)) {
            for (sum, weights) in sums.iter_mut().zip(weights.chunks_exact(GROUP)) {
                *sum += group.iter().zip(weights).map(|(&a, &w)| i32::from(a) * i32::from(w)).sum::<i32>();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gelu;

    fn numbers(count: usize, seed: u32) -> Vec<u32> {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 8
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    fn weights(count: usize, seed: u32) -> Vec<i8> {
        numbers(count, seed).iter().map(|n| (n % 255) as i32 as i16 as i8).collect()
    }

    fn rows(count: usize, width: usize) -> QuantizedRows {
        let values: Vec<f32> = numbers(count * width, 9).iter().map(|&n| (n % 2001) as f32 / 1000.0 - 0.7).collect();
        let mut rows = QuantizedRows::default();
        rows.quantize(&values, width);
        rows
    }

    /// All exact sums, `[rows, padded outputs]`.
    fn sums(matrix: &Int8Matrix, activations: &QuantizedRows) -> Vec<i32> {
        let width = matrix.outputs.next_multiple_of(PANEL);
        let mut all = vec![i32::MIN; activations.rows() * width];
        for panel in 0..width / PANEL {
            matrix.tiles(activations, panel, panel + 1, |row, tile| {
                for (offset, line) in tile.iter().enumerate() {
                    all[(row + offset) * width + panel * PANEL..][..PANEL].copy_from_slice(line);
                }
            });
        }
        all
    }

    #[test]
    fn every_instruction_set_gets_the_very_integers_of_the_definition() {
        for (count, inputs, outputs) in [(1, 1, 1), (2, 7, 64), (3, 33, 65), (4, 384, 130), (5, 100, 63), (6, 96, 64), (13, 1536, 70), (19, 44, 200)]
        {
            let (activations, values) = (rows(count, inputs), weights(outputs * inputs, 3));
            let matrix = Int8Matrix::new(&[&values], &vec![1.0; outputs], &vec![0.0; outputs], inputs);
            let width = outputs.next_multiple_of(PANEL);
            for isa in Isa::available() {
                let got = sums(&matrix.clone().with_isa(isa), &activations);
                for row in 0..count {
                    for output in 0..outputs {
                        let bytes = &activations.bytes[row * activations.stride..][..inputs];
                        let exact: i32 = bytes.iter().zip(&values[output * inputs..]).map(|(&a, &w)| i32::from(a) * i32::from(w)).sum();
                        assert_eq!(got[row * width + output], exact, "{} {count}x{inputs}x{outputs} at {row}, {output}", isa.name());
                    }
                }
            }
        }
    }

    #[test]
    fn the_greatest_values_do_not_saturate() {
        let inputs = 3072;
        for extreme in [-128i8, 127] {
            let matrix = Int8Matrix::new(&[&vec![extreme; 64 * inputs]], &[1.0; 64], &[0.0; 64], inputs);
            let mut activations = QuantizedRows::default();
            activations.quantize(&vec![1.0; 7 * inputs], inputs);
            assert!(activations.bytes.iter().all(|&byte| byte == 255));
            for isa in Isa::available() {
                let got = sums(&matrix.clone().with_isa(isa), &activations);
                assert!(got.iter().all(|&sum| sum == 255 * i32::from(extreme) * inputs as i32), "{}", isa.name());
            }
        }
    }

    #[test]
    fn factors_multiply_the_columns_of_the_activations() {
        let (count, inputs, outputs) = (5, 33, 70);
        let values: Vec<f32> = numbers(count * inputs, 6).iter().map(|&n| (n % 1999) as f32 / 700.0 - 1.0).collect();
        let factors: Vec<f32> = (0..inputs).map(|i| 0.25 + 0.5 * (i % 7) as f32).collect();
        let scaled: Vec<f32> = values.iter().zip(factors.iter().cycle()).map(|(value, factor)| value * factor).collect();
        let product = |matrix: &Int8Matrix, rows: &[f32]| {
            let (mut quantized, mut out) = (QuantizedRows::default(), vec![0.0; count * outputs]);
            matrix.quantize(rows, &mut quantized);
            matrix.product(&Crew::alone(), &quantized, Edge::Write, &mut out);
            out
        };
        for isa in Isa::available() {
            let plain = Int8Matrix::new(&[&weights(outputs * inputs, 7)], &vec![0.01; outputs], &vec![0.5; outputs], inputs).with_isa(isa);
            assert_eq!(product(&plain.clone().with_factors(factors.clone()), &values), product(&plain, &scaled), "{}", isa.name());
        }
    }

    #[test]
    fn edges_scale_add_and_bend_as_the_definition_does() {
        let (count, inputs, outputs) = (9, 40, 70);
        let values: Vec<f32> = numbers(count * inputs, 4).iter().map(|&n| (n % 1999) as f32 / 700.0 - 1.0).collect();
        let mut activations = QuantizedRows::default();
        activations.quantize(&values, inputs);
        let weights = weights(outputs * inputs, 5);
        let scales: Vec<f32> = (0..outputs).map(|i| 1e-3 * (1 + i % 5) as f32).collect();
        let bias: Vec<f32> = (0..outputs).map(|i| 0.1 * i as f32 - 2.0).collect();
        let mut expected = Vec::new();
        for row in 0..count {
            for output in 0..outputs {
                let dot: f64 = (0..inputs)
                    .map(|k| {
                        let byte = i32::from(activations.bytes[row * activations.stride + k]) - activations.zeros[row];
                        f64::from(activations.scales[row]) * f64::from(byte) * f64::from(weights[output * inputs + k]) * f64::from(scales[output])
                    })
                    .sum();
                expected.push((dot + f64::from(bias[output])) as f32);
            }
        }
        let mut bent = expected.clone();
        gelu(&mut bent);
        let added: Vec<f32> = expected.iter().map(|value| value + 0.5).collect();
        for isa in Isa::available() {
            let matrix = Int8Matrix::new(&[&weights], &scales, &bias, inputs).with_isa(isa);
            for (edge, expected) in [(Edge::Write, &expected), (Edge::Gelu, &bent), (Edge::Add, &added)] {
                let mut out = vec![0.5; count * outputs];
                Crew::gather(2, |crew| matrix.product(crew, &activations, edge, &mut out));
                let worst = out.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst < 1e-5, "{} {edge:?}: {worst}", isa.name());
            }
        }
    }
}
