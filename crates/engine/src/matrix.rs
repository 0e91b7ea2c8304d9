use crate::profile::{Operation, Profile};
use attackline_kernels::{Crew, Edge, Int8Matrix, PackedMatrix, QuantizedRows, gelu};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The weights and the bias of a product with every token, in the numbers that it is computed in.
pub(crate) enum Matrix {
    F32(PackedMatrix),
    Int8(Int8Matrix),
    /// Both: f32 gives the result, and the errors of int8 are added up.
    Compared(Box<Compared>),
}

pub(crate) struct Compared {
    exact: PackedMatrix,
    candidates: Vec<Int8Matrix>,
    seen: Mutex<Seen>,
}

/// What went through a product.
#[derive(Default)]
struct Seen {
    /// The greatest magnitude of each column of the activations.
    greatest: Vec<f32>,
    rows: usize,
    /// The sum of squares of the exact results.
    whole: f64,
    errors: Vec<Errors>,
}

/// How far a candidate's results are from the exact ones.
#[derive(Default, Clone)]
struct Errors {
    /// The sum of squares.
    squares: f64,
    /// The sum of the differences of each output.
    differences: Vec<f64>,
}

impl Errors {
    /// What stays of the squares when each output's mean difference, over so many rows, is added to its bias.
    fn left(&self, rows: usize) -> f64 {
        self.squares - self.differences.iter().map(|sum| sum * sum).sum::<f64>() / rows.max(1) as f64
    }
}

/// The candidate with the least error.
pub(crate) struct Choice {
    /// The root of the mean square error over that of the results, once the shift is added.
    pub error: f64,
    /// The factors of its columns; none where they stay as they are.
    pub factors: Vec<f32>,
    /// What the results lack on average, one an output: to be added to the bias (Nagel et al. 2019).
    pub shift: Vec<f32>,
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
    pub(crate) fn compared(exact: PackedMatrix, candidates: Vec<Int8Matrix>) -> Self {
        Self::Compared(Box::new(Compared { exact, candidates, seen: Mutex::default() }))
    }

    /// The greatest magnitude of each column of the activations, where it was looked at.
    pub(crate) fn greatest(&self) -> Option<Vec<f32>> {
        let Self::Compared(compared) = self else { return None };
        Some(compared.seen().greatest.clone())
    }

    /// The best of the forms in int8 that were looked at.
    pub(crate) fn choice(&self) -> Option<Choice> {
        let Self::Compared(compared) = self else { return None };
        let seen = compared.seen();
        let left = |errors: &Errors| errors.left(seen.rows).max(0.0);
        let (best, errors) = seen.errors.iter().enumerate().min_by(|a, b| left(a.1).total_cmp(&left(b.1)))?;
        Some(Choice {
            error: if seen.whole > 0.0 { (left(errors) / seen.whole).sqrt() } else { 0.0 },
            factors: compared.candidates[best].factors().to_vec(),
            shift: errors.differences.iter().map(|sum| (sum / seen.rows.max(1) as f64) as f32).collect(),
        })
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
                matrix.quantize(rows, &mut scratch.quantized);
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
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, crew: &Crew<'_>, rows: &[f32], scratch: &mut ProductScratch) {
        let wanted = &mut scratch.result;
        wanted.resize(rows.len() / self.exact.inputs() * self.exact.outputs(), 0.0);
        self.exact.product(crew, rows, wanted);
        let square = |value: f32| f64::from(value) * f64::from(value);
        let mut rounded = vec![0.0; wanted.len()];
        let outputs = self.exact.outputs();
        let errors = |candidate: &Int8Matrix| {
            candidate.quantize(rows, &mut scratch.quantized);
            candidate.product(crew, &scratch.quantized, Edge::Write, &mut rounded);
            let mut errors = Errors { squares: 0.0, differences: vec![0.0; outputs] };
            for (wanted, rounded) in wanted.chunks_exact(outputs).zip(rounded.chunks_exact(outputs)) {
                for ((sum, wanted), rounded) in errors.differences.iter_mut().zip(wanted).zip(rounded) {
                    *sum += f64::from(wanted - rounded);
                    errors.squares += square(wanted - rounded);
                }
            }
            errors
        };
        let errors: Vec<Errors> = self.candidates.iter().map(errors).collect();
        let mut seen = self.seen();
        seen.greatest.resize(self.exact.inputs(), 0.0);
        for row in rows.chunks_exact(self.exact.inputs()) {
            seen.greatest.iter_mut().zip(row).for_each(|(most, value)| *most = most.max(value.abs()));
        }
        seen.rows += rows.len() / self.exact.inputs();
        seen.whole += wanted.iter().map(|&value| square(value)).sum::<f64>();
        seen.errors.resize(errors.len(), Errors { squares: 0.0, differences: vec![0.0; outputs] });
        for (sum, new) in seen.errors.iter_mut().zip(errors) {
            sum.squares += new.squares;
            sum.differences.iter_mut().zip(new.differences).for_each(|(sum, new)| *sum += new);
        }
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
