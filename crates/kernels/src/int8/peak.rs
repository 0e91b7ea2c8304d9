use super::{Edge, Int8Matrix, QuantizedRows};
use crate::crew::Crew;
use std::time::Instant;

/// Multiplications and additions a second (two for each pair) of the int8 product where it is at its best on this processor, one thread:
/// everything in the nearest cache. What other shapes reach is judged by it.
pub fn int8_peak() -> f64 {
    const SHAPE: (usize, usize, usize) = (48, 512, 64);
    let (rows, inputs, outputs) = SHAPE;
    let matrix = Int8Matrix::new(&[&vec![3; inputs * outputs]], &vec![0.1; outputs], &vec![0.0; outputs], inputs);
    let mut activations = QuantizedRows::default();
    activations.quantize(&vec![0.5; rows * inputs], inputs);
    let mut out = vec![0.0; rows * outputs];
    let mut run = || {
        let start = Instant::now();
        for _ in 0..100 {
            matrix.product(&Crew::alone(), &activations, Edge::Write, &mut out);
        }
        200.0 * (rows * inputs * outputs) as f64 / start.elapsed().as_secs_f64()
    };
    (0..40).map(|_| run()).fold(0.0, f64::max)
}
