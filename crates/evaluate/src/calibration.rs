use crate::Answered;
use serde::Serialize;

/// Bins of the reliability diagram, of equal width.
pub const CALIBRATION_BINS: usize = 15;

/// Rows whose confidence lies in one range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ReliabilityBin {
    /// The range's lower end, not in it.
    pub low: f64,
    /// The range's upper end, in it.
    pub high: f64,
    /// How many rows.
    pub rows: u64,
    /// The mean probability that the model gave its answer; 0 without rows.
    pub confidence: f64,
    /// The share of answers that are right; 0 without rows.
    pub accuracy: f64,
}

/// How far the probabilities can be believed. Answers are the most probable labels, whatever the threshold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    /// The reliability diagram over [`CALIBRATION_BINS`] bins of equal width.
    pub bins: Vec<ReliabilityBin>,
    /// The mean distance of confidence and accuracy over the bins, by their rows (Naeini et al. 2015, Guo et al. 2017); from 0 to 1.
    pub expected_calibration_error: f64,
    /// The greatest distance in a bin with rows.
    pub maximum_calibration_error: f64,
    /// Brier's score (1950): the squared distance to the truth summed over the labels, from 0 to 2. scikit-learn's `brier_score_loss` with
    /// `scale_by_half=False`. `None` where the scores don't sum to one.
    pub brier_score: Option<f64>,
    /// The mean of −ln of the true label's probability, in nats: scikit-learn's `log_loss`, probabilities kept from 0 by 2.2e-16.
    /// `None` where the scores don't sum to one.
    pub negative_log_likelihood: Option<f64>,
}

impl Calibration {
    /// Measures the probabilities. Where a row has several labels the most probable of them is its truth.
    pub fn new(answered: &Answered) -> Self {
        let mut sums = [(0u64, 0.0f64, 0u64); CALIBRATION_BINS];
        for row in 0..answered.len() {
            let confidence = f64::from(answered.confidence(row));
            // Each bin has its upper end, as Guo et al. have it.
            let bin = ((confidence * CALIBRATION_BINS as f64).ceil() as usize).clamp(1, CALIBRATION_BINS) - 1;
            sums[bin].0 += 1;
            sums[bin].1 += confidence;
            sums[bin].2 += u64::from(answered.accepts(row, answered.best(row)));
        }
        let width = 1.0 / CALIBRATION_BINS as f64;
        let bins: Vec<ReliabilityBin> = sums
            .iter()
            .enumerate()
            .map(|(bin, &(rows, confidence, right))| {
                let count = rows.max(1) as f64;
                let (low, high) = (bin as f64 * width, (bin + 1) as f64 * width);
                ReliabilityBin { low, high, rows, confidence: confidence / count, accuracy: right as f64 / count }
            })
            .collect();
        let gap = |bin: &ReliabilityBin| (bin.confidence - bin.accuracy).abs();
        let rows = answered.len().max(1) as f64;
        let probabilities = answered.is_distribution() && !answered.is_empty();
        Self {
            expected_calibration_error: bins.iter().map(|bin| gap(bin) * bin.rows as f64).sum::<f64>() / rows,
            maximum_calibration_error: bins.iter().filter(|bin| bin.rows > 0).map(gap).fold(0.0, f64::max),
            brier_score: probabilities.then(|| (0..answered.len()).map(|row| brier(answered, row)).sum::<f64>() / rows),
            negative_log_likelihood: probabilities.then(|| (0..answered.len()).map(|row| surprise(answered, row)).sum::<f64>() / rows),
            bins,
        }
    }
}

/// The row's label that the model finds most probable.
fn truth(answered: &Answered, row: usize) -> usize {
    let scores = answered.scores(row);
    answered.accepted(row).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap_or(answered.first_label(row))
}

fn brier(answered: &Answered, row: usize) -> f64 {
    let truth = truth(answered, row);
    answered.scores(row).iter().enumerate().map(|(label, &score)| (f64::from(score) - f64::from(u8::from(label == truth))).powi(2)).sum()
}

fn surprise(answered: &Answered, row: usize) -> f64 {
    -f64::from(answered.scores(row)[truth(answered, row)]).clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
}
