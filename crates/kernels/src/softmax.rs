use crate::{
    dispatch::multiversion,
    isa::Isa,
    lanes::{exp, greatest, sum_of},
};

/// Turns a row of scores into probabilities.
pub fn softmax(row: &mut [f32]) {
    softmax_on(Isa::detect(), row);
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

#[inline(always)]
pub(crate) fn softmax_body<const FUSED: bool>(row: &mut [f32]) {
    let top = greatest(row);
    for value in row.iter_mut() {
        *value = exp::<FUSED>(*value - top);
    }
    let total = sum_of(row.len(), |i| row[i]);
    let scale = 1.0 / total;
    for value in row.iter_mut() {
        *value *= scale;
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
            }
        });
    }
}
