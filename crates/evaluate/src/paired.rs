//! Two models on the same rows.

use crate::{Answered, Bootstrap, Estimate, intervals::Weighed};
use serde::Serialize;

/// Rows that one model answers right and the other wrong, and how probable so uneven a count is by chance (McNemar 1947, exact).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct McNemar {
    /// Rows that only the first model answers right.
    pub only_first: u64,
    /// Rows that only the second model answers right.
    pub only_second: u64,
    /// The probability of a split at least as uneven if both were equally good: the two-sided exact binomial test. 1 where the models
    /// never differ.
    pub p_value: f64,
}

impl McNemar {
    /// The test of two counts.
    pub fn new(only_first: u64, only_second: u64) -> Self {
        let (few, all) = (only_first.min(only_second), only_first + only_second);
        // The terms C(n, k) / 2^n by logarithms: 2^n is soon beyond any float.
        let mut logarithm = -(all as f64) * std::f64::consts::LN_2;
        let mut tail = logarithm.exp();
        for k in 1..=few {
            logarithm += ((all - k + 1) as f64).ln() - (k as f64).ln();
            tail += logarithm.exp();
        }
        Self { only_first, only_second, p_value: (2.0 * tail).min(1.0) }
    }
}

/// The first model against the second.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Whose answers are right, the threshold applied.
    pub mcnemar: McNemar,
    /// Macro-F1 of the second less that of the first, over the labels that have rows, with its interval from paired resamples.
    pub macro_f1_difference: Estimate,
    /// Accuracy of the second less that of the first.
    pub accuracy_difference: Estimate,
    /// The share of resamples in which the second model's macro-F1 is higher; equals count half.
    pub second_better: f64,
}

impl Comparison {
    /// Compares the answers of two models to the same rows. Each resample holds the same rows for both.
    ///
    /// # Panics
    /// Where they are not answers to equally many rows.
    pub fn new(first: &Answered, second: &Answered, resamples: usize, seed: u64) -> Self {
        assert_eq!(first.len(), second.len(), "both models answered the same rows");
        let right = |answered: &Answered, row: usize| answered.accepts(row, answered.predicted()[row]);
        let (mut only_first, mut only_second) = (0, 0);
        for row in 0..first.len() {
            let (one, other) = (right(first, row), right(second, row));
            only_first += u64::from(one && !other);
            only_second += u64::from(other && !one);
        }
        let strata: Vec<usize> = (0..first.len()).map(|row| first.first_label(row)).collect();
        let (one, other) = (Weighed::new(first), Weighed::new(second));
        let difference = |weights: &[u32]| {
            let (before, after) = (one.accuracy_and_f1(weights, false), other.accuracy_and_f1(weights, false));
            (after.0 - before.0, after.1 - before.1)
        };
        let whole = difference(&vec![1; first.len()]);
        let drawn = Bootstrap::new(&strata, resamples, seed).run(difference);
        let (accuracy, f1): (Vec<f64>, Vec<f64>) = drawn.into_iter().unzip();
        let better: f64 = f1.iter().map(|difference| if *difference == 0.0 { 0.5 } else { f64::from(u8::from(*difference > 0.0)) }).sum();
        Self {
            mcnemar: McNemar::new(only_first, only_second),
            macro_f1_difference: Estimate::new(whole.1, &f1),
            accuracy_difference: Estimate::new(whole.0, &accuracy),
            second_better: better / f1.len().max(1) as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_model_is_no_better_than_itself_and_worse_than_the_truth() {
        let labels: Vec<String> = ["Benign", "T1049"].map(String::from).to_vec();
        let truths: Vec<Vec<String>> = (0..200).map(|row| vec![labels[row % 2].clone()]).collect();
        let of = |wrong: usize| {
            let scores = (0..200).flat_map(|row| if (row % 2 == 0) == (row >= wrong) { [0.9, 0.1] } else { [0.1, 0.9] }).collect();
            Answered::new(&labels, Some(0), &truths, scores, 0.5).unwrap()
        };
        let same = Comparison::new(&of(50), &of(50), 100, 1);
        assert_eq!((same.mcnemar, same.second_better), (McNemar { only_first: 0, only_second: 0, p_value: 1.0 }, 0.5));
        assert_eq!((same.macro_f1_difference.low, same.macro_f1_difference.high), (0.0, 0.0));
        let better = Comparison::new(&of(50), &of(0), 300, 1);
        assert_eq!((better.mcnemar.only_first, better.mcnemar.only_second, better.second_better), (0, 50, 1.0));
        assert!((better.accuracy_difference.value - 0.25).abs() < 1e-12 && better.macro_f1_difference.low > 0.15);
    }
}
