use serde::Serialize;

/// What a threshold buys: attacks found at a rate of false alarms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct OperatingPoint {
    /// The false-positive rate that was asked for.
    pub wanted_rate: f64,
    /// How many benign rows there are to measure it on.
    pub benign_rows: usize,
    /// How many benign rows may lie above the threshold: what the claim rests on.
    pub benign_allowed: usize,
    /// How many benign rows are wanted before the rate is measured at all: 3 divided by it.
    pub benign_needed: usize,
    /// The threshold, the rates that it gives; `None` where the benign rows are too few to measure a rate so small.
    pub reached: Option<Reached>,
}

/// A measured operating point.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Reached {
    /// A line with this score or more is reported.
    pub threshold: f32,
    /// The share of benign rows that it reports: at most the wanted rate.
    pub false_positive_rate: f64,
    /// The share of attack rows that it reports.
    pub true_positive_rate: f64,
}

/// How many benign rows must lie beyond a threshold on average before the rate there says anything.
const FEWEST: f64 = 3.0;

/// For each false-positive rate wanted, the lowest threshold that keeps it and the share of attacks found there. A rate below
/// 3/n, n being the number of benign rows, is refused rather than guessed: fewer than three rows would decide it.
pub fn threshold_table(attack_scores: &[f32], benign_scores: &[f32], wanted_rates: &[f64]) -> Vec<OperatingPoint> {
    let mut benign = benign_scores.to_vec();
    benign.sort_by(|a, b| b.total_cmp(a));
    wanted_rates.iter().map(|&wanted_rate| point(attack_scores, &benign, wanted_rate)).collect()
}

/// `benign` falls.
fn point(attacks: &[f32], benign: &[f32], wanted_rate: f64) -> OperatingPoint {
    let benign_allowed = allowed(benign, wanted_rate);
    let benign_needed = (FEWEST / wanted_rate - 1e-9).ceil() as usize;
    OperatingPoint { wanted_rate, benign_rows: benign.len(), benign_allowed, benign_needed, reached: reach(attacks, benign, wanted_rate) }
}

/// The lowest threshold at which no more than `rate` of these benign rows lie: a rule that may be kept by any number of rows, without a claim about others.
pub fn threshold_keeping(benign_scores: &[f32], rate: f64) -> f32 {
    let mut benign = benign_scores.to_vec();
    benign.sort_by(|a, b| b.total_cmp(a));
    above(&benign, rate)
}

/// How many of the rows may lie beyond a threshold.
fn allowed(benign: &[f32], rate: f64) -> usize {
    (rate * benign.len() as f64 + 1e-9).floor() as usize
}

/// Just above the highest score that must stay out, 0 where none must; `benign` falls.
fn above(benign: &[f32], rate: f64) -> f32 {
    benign.get(allowed(benign, rate)).map_or(0.0, |score| score.next_up())
}

/// `benign` falls.
fn reach(attacks: &[f32], benign: &[f32], wanted: f64) -> Option<Reached> {
    let count = benign.len() as f64;
    if attacks.is_empty() || benign.is_empty() || wanted * count < FEWEST - 1e-9 {
        return None;
    }
    let threshold = above(benign, wanted);
    let share = |scores: &[f32]| scores.iter().filter(|score| **score >= threshold).count() as f64 / scores.len() as f64;
    Some(Reached { threshold, false_positive_rate: share(benign), true_positive_rate: share(attacks) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_lowest_threshold_that_keeps_the_rate() {
        let benign: Vec<f32> = (0..100).map(|i| i as f32 / 100.0).collect();
        let attacks = [0.5, 0.949, 0.955, 0.99, 1.0];
        let table = threshold_table(&attacks, &benign, &[0.05, 0.03, 0.02, 1.0]);
        let five = table[0].reached.unwrap();
        assert_eq!((five.false_positive_rate, five.true_positive_rate), (0.05, 0.8));
        assert!(five.threshold > 0.94 && five.threshold < 0.949);
        assert_eq!(table[1].reached.unwrap().false_positive_rate, 0.03);
        assert_eq!(threshold_keeping(&benign, 0.05), five.threshold);
        assert_eq!([threshold_keeping(&benign, 0.001), threshold_keeping(&benign, 1.0), threshold_keeping(&[], 0.1)], [0.99f32.next_up(), 0.0, 0.0]);
        assert_eq!(table[2].reached, None, "2 of 100 rows are too few to decide");
        assert_eq!((table[2].benign_rows, table[2].benign_allowed, table[2].benign_needed), (100, 2, 150));
        assert_eq!(table[3].reached.unwrap().true_positive_rate, 1.0);
    }

    #[test]
    fn equal_scores_stay_on_one_side() {
        let reached = threshold_table(&[0.9, 0.8], &[0.8; 10], &[0.5])[0].reached.unwrap();
        assert_eq!((reached.false_positive_rate, reached.true_positive_rate), (0.0, 0.5));
    }

    #[test]
    fn nothing_to_measure() {
        assert_eq!(threshold_table(&[], &[0.1; 10], &[0.5])[0].reached, None);
        assert_eq!(threshold_table(&[0.1], &[], &[0.5])[0].reached, None);
    }
}
