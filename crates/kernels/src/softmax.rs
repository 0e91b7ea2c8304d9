use crate::{
    dispatch::multiversion,
    isa::Isa,
    lanes::{LANES, exp, greatest, sum_of},
};

/// Turns a row of scores into probabilities.
pub fn softmax(row: &mut [f32]) {
    softmax_on(Isa::detect(), row);
}

/// The logarithm of the sum of a row's exponentials: what makes its scores logarithms of probabilities when taken off.
pub fn log_sum_exp(row: &[f32]) -> f32 {
    log_sum_exp_on(Isa::detect(), row)
}

/// The probabilities of a row of logits at a temperature (temperature scaling, Guo et al. 2017), one of which is right.
pub fn probabilities(logits: &[f32], temperature: f32) -> Vec<f32> {
    let mut scores: Vec<f32> = logits.iter().map(|logit| logit / temperature).collect();
    softmax(&mut scores);
    scores
}

/// The probabilities of a row of logits at a temperature, each a yes or no of its own.
pub fn independent_probabilities(logits: &[f32], temperature: f32) -> Vec<f32> {
    logits.iter().map(|&logit| (1.0 / (1.0 + (-f64::from(logit) / f64::from(temperature)).exp())) as f32).collect()
}

multiversion! {
    fn softmax_on(row: &mut [f32]) = softmax_body;
}

multiversion! {
    fn log_sum_exp_on(row: &[f32]) -> f32 = log_sum_exp_body;
}

#[inline(always)]
fn log_sum_exp_body<const FUSED: bool>(row: &[f32]) -> f32 {
    let top = greatest(row);
    top + sum_of([row], |[value]| exp::<FUSED>(value - top)).ln()
}

#[inline(always)]
pub(crate) fn softmax_body<const FUSED: bool>(row: &mut [f32]) {
    let top = greatest(row);
    for value in row.iter_mut() {
        *value = exp::<FUSED>(*value - top);
    }
    let total = sum_of([row], |[value]| value);
    let scale = 1.0 / total;
    for value in row.iter_mut() {
        *value *= scale;
    }
}

/// Turns every column of the scores `[rows, stride]`, multiplied by `scale`, into probabilities; `stride` is a multiple of [`LANES`]. A column's sum is
/// one chain from the first row to the last.
#[inline(always)]
pub(crate) fn softmax_columns<const FUSED: bool>(scores: &mut [f32], stride: usize, scale: f32) {
    for column in (0..stride).step_by(LANES) {
        let mut top = [f32::NEG_INFINITY; LANES];
        for row in scores.chunks_exact(stride) {
            let row: &[f32; LANES] = row[column..][..LANES].try_into().expect("a slice of LANES elements");
            for (top, &value) in top.iter_mut().zip(row) {
                *top = if value > *top { value } else { *top };
            }
        }
        let mut total = [0.0; LANES];
        for row in scores.chunks_exact_mut(stride) {
            let row: &mut [f32; LANES] = (&mut row[column..][..LANES]).try_into().expect("a slice of LANES elements");
            for ((value, top), total) in row.iter_mut().zip(top).zip(&mut total) {
                *value = exp::<FUSED>((*value - top) * scale);
                *total += *value;
            }
        }
        let share = total.map(|total| 1.0 / total);
        for row in scores.chunks_exact_mut(stride) {
            row[column..][..LANES].iter_mut().zip(share).for_each(|(value, share)| *value *= share);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::for_each_isa;

    #[test]
    fn matches_f64_on_every_isa() {
        for_each_isa(|isa| {
            for len in [1usize, 3, 16, 33, 100] {
                let scores: Vec<f32> = (0..len).map(|i| ((i * 37 % 23) as f32) - 9.5).collect();
                let total: f64 = scores.iter().map(|&s| f64::from(s).exp()).sum();
                let mut row = scores.clone();
                softmax_on(isa, &mut row);
                for (&p, &s) in row.iter().zip(&scores) {
                    assert!((f64::from(p) - f64::from(s).exp() / total).abs() < 1e-6, "{} {len}", isa.name());
                }
                assert!((f64::from(log_sum_exp_on(isa, &scores)) - total.ln()).abs() < 1e-5, "{} {len}", isa.name());
            }
        });
    }

    #[test]
    fn columns_are_rows_turned_round() {
        for (rows, columns) in [(1usize, 16usize), (5, 32), (33, 48)] {
            let scores: Vec<f32> = (0..rows * columns).map(|i| ((i * 37 % 101) as f32) * 0.3 - 15.0).collect();
            let mut by_column = scores.clone();
            softmax_columns::<false>(&mut by_column, columns, 0.5);
            for column in 0..columns {
                let mut line: Vec<f32> = (0..rows).map(|row| scores[row * columns + column] * 0.5).collect();
                softmax(&mut line);
                for (row, wanted) in line.iter().enumerate() {
                    assert!((by_column[row * columns + column] - wanted).abs() < 1e-6, "{rows} {columns}");
                }
            }
        }
    }
}
