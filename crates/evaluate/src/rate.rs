use serde::{Deserialize, Serialize};
use std::fmt;

/// So many of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rate {
    /// How many did.
    pub hits: u64,
    /// Of how many.
    pub total: u64,
}

impl Rate {
    /// `hits` of `total`.
    pub fn new(hits: u64, total: u64) -> Self {
        Self { hits, total }
    }

    /// Counts one more case.
    pub fn add(&mut self, hit: bool) {
        self.hits += u64::from(hit);
        self.total += 1;
    }

    /// The share, or nothing where there was no case.
    pub fn value(&self) -> Option<f64> {
        (self.total > 0).then(|| self.hits as f64 / self.total as f64)
    }

    /// The 95 % interval by Wilson's score, which holds for small numbers and for rates near 0 and 1 too: no false positive in
    /// 100 lines is not a rate of nought.
    pub fn interval(&self) -> Option<(f64, f64)> {
        const Z: f64 = 1.959_963_984_540_054;
        let share = self.value()?;
        let n = self.total as f64;
        let scale = 1.0 + Z * Z / n;
        let middle = (share + Z * Z / (2.0 * n)) / scale;
        let half = Z / scale * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        let low = if self.hits == 0 { 0.0 } else { middle - half };
        let high = if self.hits == self.total { 1.0 } else { middle + half };
        Some((low, high))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.value(), self.interval()) {
            (Some(value), Some((low, high))) => {
                write!(out, "{:.2} % ({} of {}; 95 %: {:.2} to {:.2} %)", value * 100.0, self.hits, self.total, low * 100.0, high * 100.0)
            }
            _ => write!(out, "no rows"),
        }
    }
}

/// How many rows that are `negative` in truth were predicted to be anything else.
///
/// # Panics
/// Where the two have different lengths.
pub fn false_positive_rate(negative: usize, truth: &[usize], predicted: &[usize]) -> Rate {
    assert_eq!(truth.len(), predicted.len(), "each row has one true and one predicted label");
    let mut rate = Rate::default();
    for (_, &found) in truth.iter().zip(predicted).filter(|(label, _)| **label == negative) {
        rate.add(found != negative);
    }
    rate
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn wilson_agrees_with_published_figures() {
        // statsmodels.stats.proportion.proportion_confint(hits, total, method="wilson")
        for (hits, total, low, high) in [(0, 10, 0.0, 0.277533), (1, 10, 0.017876, 0.404150), (5, 10, 0.236593, 0.763407), (10, 10, 0.722467, 1.0)] {
            let (found_low, found_high) = Rate::new(hits, total).interval().unwrap();
            assert!((found_low - low).abs() < 1e-6 && (found_high - high).abs() < 1e-6, "{hits} of {total}: {found_low} {found_high}");
        }
        assert_eq!(Rate::default().interval(), None);
        assert_eq!(Rate::default().to_string(), "no rows");
        assert_eq!(Rate::new(1, 10).to_string(), "10.00 % (1 of 10; 95 %: 1.79 to 40.42 %)");
    }

    #[test]
    fn only_negative_rows_count() {
        assert_eq!(false_positive_rate(0, &[0, 0, 0, 1, 2], &[0, 1, 2, 0, 1]), Rate::new(2, 3));
        assert_eq!(false_positive_rate(3, &[0, 1], &[0, 0]).value(), None);
    }
}
