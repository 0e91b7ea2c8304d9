use crate::profile::{Operation, Profile};
use attackline_kernels::{Crew, Edge, Int8Matrix, PackedMatrix, QuantizedRows, gelu};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The weights and the bias of a product with every token, in the numbers that it is computed in.
pub(crate) enum Matrix {
    F32(PackedMatrix),
    Int8(Int8Matrix),
    /// Both: f32 gives the result, and the error of int8 is added up.
    Compared(Box<Compared>),
}

pub(crate) struct Compared {
    exact: PackedMatrix,
    int8: Int8Matrix,
    /// Sums of squares: of the differences, and of the exact results.
    squares: Mutex<[f64; 2]>,
}

/// Buffers of the products.
#[derive(Default)]
pub(crate) struct ProductScratch {
    quantized: QuantizedRows,
    result: Vec<f32>,
    /// Where the time goes, where somebody asked.
    pub(crate) profile: Option<Profile>,
}

impl Matrix {
    pub(crate) fn compared(exact: PackedMatrix, int8: Int8Matrix) -> Self {
        Self::Compared(Box::new(Compared { exact, int8, squares: Mutex::default() }))
    }

    /// The root of the mean square error of int8 over that of the results, where it was looked at.
    pub(crate) fn error(&self) -> Option<f64> {
        let Self::Compared(compared) = self else { return None };
        let [error, whole] = *compared.squares.lock().unwrap_or_else(PoisonError::into_inner);
        Some(if whole > 0.0 { (error / whole).sqrt() } else { 0.0 })
    }

    /// The product with `rows`, into `out`: written, bent, or added to what stands there.
    pub(crate) fn product(&self, crew: &Crew<'_>, operation: Operation, rows: &[f32], edge: Edge, out: &mut Vec<f32>, scratch: &mut ProductScratch) {
        let start = Instant::now();
        match self {
            Self::F32(matrix) => {
                exact(crew, matrix, rows, edge, out, &mut scratch.result);
                if let Some(profile) = &mut scratch.profile {
                    profile.add(operation, start.elapsed(), 2.0 * (out.len() * matrix.inputs()) as f64, false);
                }
            }
            Self::Int8(matrix) => {
                scratch.quantized.quantize(rows, matrix.inputs());
                let quantized = Instant::now();
                out.resize(scratch.quantized.rows() * matrix.outputs(), 0.0);
                matrix.product(crew, &scratch.quantized, edge, out);
                if let Some(profile) = &mut scratch.profile {
                    let operations = 2.0 * (out.len() * matrix.inputs()) as f64;
                    profile.add(Operation::Quantize, quantized - start, 0.0, false);
                    profile.add(operation, quantized.elapsed(), operations, true);
                }
            }
            Self::Compared(compared) => {
                compared.look(crew, rows, scratch);
                exact(crew, &compared.exact, rows, edge, out, &mut scratch.result);
            }
        }
    }
}

impl Compared {
    fn look(&self, crew: &Crew<'_>, rows: &[f32], scratch: &mut ProductScratch) {
        scratch.quantized.quantize(rows, self.int8.inputs());
        let mut rounded = vec![0.0; scratch.quantized.rows() * self.int8.outputs()];
        self.int8.product(crew, &scratch.quantized, Edge::Write, &mut rounded);
        scratch.result.resize(rounded.len(), 0.0);
        self.exact.product(crew, rows, &mut scratch.result);
        let square = |value: f32| f64::from(value) * f64::from(value);
        let mut squares = self.squares.lock().unwrap_or_else(PoisonError::into_inner);
        squares[0] += rounded.iter().zip(&scratch.result).map(|(a, b)| square(a - b)).sum::<f64>();
        squares[1] += scratch.result.iter().map(|&value| square(value)).sum::<f64>();
    }
}

fn exact(crew: &Crew<'_>, matrix: &PackedMatrix, rows: &[f32], edge: Edge, out: &mut Vec<f32>, result: &mut Vec<f32>) {
    let length = rows.len() / matrix.inputs() * matrix.outputs();
    if edge == Edge::Add {
        result.resize(length, 0.0);
        matrix.product(crew, rows, result);
        out.iter_mut().zip(&*result).for_each(|(value, add)| *value += add);
        return;
    }
    out.resize(length, 0.0);
    matrix.product(crew, rows, out);
    if edge == Edge::Gelu {
        gelu(out);
    }
}
