/// The temperature that makes `softmax(logits / temperature)` the most probable account of `truth`: temperature scaling
/// (Guo et al. 2017), found by golden-section search on a logarithmic scale from 1/20 to 20.
///
/// `logits` holds one row of `labels` values a line. Without lines the answer is 1.
pub fn fit_temperature(logits: &[f32], labels: usize, truth: &[usize]) -> f32 {
    if truth.is_empty() {
        return 1.0;
    }
    let loss = |log_temperature: f64| {
        let scale = (-log_temperature).exp();
        logits.chunks_exact(labels).zip(truth).map(|(row, &label)| negative_log_likelihood(row, label, scale)).sum::<f64>()
    };
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (-(20f64.ln()), 20f64.ln());
    for _ in 0..60 {
        let step = golden * (high - low);
        if loss(high - step) < loss(low + step) {
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
            assert!((probability - 0.75).abs() < 1e-3, "margin {margin}: temperature {temperature}, probability {probability}");
        }
        assert!((fit_temperature(&[], 2, &[]) - 1.0).abs() < f32::EPSILON);
    }
}
