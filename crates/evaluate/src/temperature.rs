/// The sharpest and the flattest temperature that a fit gives. Where every answer is right the likelihood asks for no end of sharpness, and a
/// few thousand rows without an error are no ground for it.
const RANGE: (f64, f64) = (0.25, 20.0);

/// Whether a fitted temperature is the sharpest or the flattest that a fit gives, so that the rows would have it further on.
pub fn temperature_is_at_bound(temperature: f32) -> bool {
    let near = |bound: f64| (f64::from(temperature) / bound).ln().abs() < 1e-3;
    near(RANGE.0) || near(RANGE.1)
}

/// The temperature that makes `softmax(logits / temperature)` the most probable account of `truth`: temperature scaling
/// (Guo et al. 2017), found by golden-section search on a logarithmic scale from 1/4 to 20.
///
/// `logits` holds one row of `labels` values a line. Without lines the answer is 1.
pub fn fit_temperature(logits: &[f32], labels: usize, truth: &[usize]) -> f32 {
    let loss = |scale: f64| logits.chunks_exact(labels).zip(truth).map(|(row, &label)| negative_log_likelihood(row, label, scale)).sum();
    if truth.is_empty() { 1.0 } else { least(loss) }
}

/// [`fit_temperature`] where a line may have any number of labels, each a yes or no of its own.
pub fn fit_independent_temperature(logits: &[f32], labels: usize, truth: &[Vec<usize>]) -> f32 {
    let of_row = |row: &[f32], truth: &[usize], scale: f64| -> f64 {
        let term = |(label, &logit): (usize, &f32)| {
            let against = scale * f64::from(if truth.contains(&label) { -logit } else { logit });
            against.max(0.0) + (-against.abs()).exp().ln_1p()
        };
        row.iter().enumerate().map(term).sum()
    };
    let loss = |scale: f64| logits.chunks_exact(labels).zip(truth).map(|(row, truth)| of_row(row, truth, scale)).sum();
    if truth.is_empty() { 1.0 } else { least(loss) }
}

/// The temperature at which the loss, given 1 over it, is least.
fn least(loss: impl Fn(f64) -> f64) -> f32 {
    let at = |log_temperature: f64| loss((-log_temperature).exp());
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (RANGE.0.ln(), RANGE.1.ln());
    for _ in 0..60 {
        let step = golden * (high - low);
        if at(high - step) < at(low + step) {
            high = low + step;
        } else {
            low = high - step;
        }
    }
    f64::midpoint(low, high).exp() as f32
}

fn negative_log_likelihood(row: &[f32], label: usize, scale: f64) -> f64 {
    let greatest = row.iter().fold(f64::MIN, |best, &logit| best.max(f64::from(logit) * scale));
    let total: f64 = row.iter().map(|&logit| (f64::from(logit) * scale - greatest).exp()).sum();
    total.ln() + greatest - f64::from(row[label]) * scale
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three lines in four are right at a margin of `margin`: the best temperature makes that margin say 0.75.
    #[test]
    fn overconfident_and_timid_logits_come_out_calibrated() {
        for margin in [0.3f32, 1.0, 8.0] {
            let logits: Vec<f32> = (0..400).flat_map(|_| [margin, 0.0]).collect();
            let truth: Vec<usize> = (0..400).map(|line| usize::from(line % 4 == 0)).collect();
            let temperature = fit_temperature(&logits, 2, &truth);
            let probability = 1.0 / (1.0 + (-margin / temperature).exp());
            let several: Vec<Vec<usize>> = truth.iter().map(|&label| if label == 0 { vec![0] } else { vec![] }).collect();
            let alone: Vec<f32> = (0..400).map(|_| margin).collect();
            assert!((fit_independent_temperature(&alone, 1, &several) - temperature).abs() < 1e-3 * temperature);
            assert!((probability - 0.75).abs() < 1e-3, "margin {margin}: temperature {temperature}, probability {probability}");
        }
        let sure = fit_temperature(&[1.0, 0.0], 2, &[0]);
        assert!((sure - 0.25).abs() < 1e-6 && temperature_is_at_bound(sure), "{sure}");
        let wrong = fit_temperature(&[9.0, 0.0], 2, &[1]);
        assert!(temperature_is_at_bound(wrong) && !temperature_is_at_bound(1.0), "{wrong}");
        assert!((fit_temperature(&[], 2, &[]) - 1.0).abs() < f32::EPSILON);
    }
}
