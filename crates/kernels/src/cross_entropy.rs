/// The mean cross entropy of rows of logits with their labels, as PyTorch defines it: `class_weights` (one a class) weigh
/// the rows, `smoothing` moves that share of the target evenly to all classes. Writes the gradient for a loss gradient of
/// 1 into `grad` (as large as `logits`).
pub fn cross_entropy(logits: &[f32], labels: &[usize], class_weights: Option<&[f32]>, smoothing: f32, grad: &mut [f32]) -> f32 {
    assert!(!labels.is_empty() && logits.len().is_multiple_of(labels.len()), "one row of logits a label");
    assert_eq!(logits.len(), grad.len(), "one gradient a logit");
    let classes = logits.len() / labels.len();
    let weight = |class: usize| class_weights.map_or(1.0, |weights| f64::from(weights[class]));
    let total: f64 = labels.iter().map(|&label| weight(label)).sum();
    let total = if total > 0.0 { total } else { 1.0 };
    let smoothing = f64::from(smoothing);
    let share = smoothing / classes as f64;
    let mut loss = 0.0;
    for ((row, grad), &label) in logits.chunks_exact(classes).zip(grad.chunks_exact_mut(classes)).zip(labels) {
        let top = row.iter().fold(f64::NEG_INFINITY, |top, &value| top.max(f64::from(value)));
        let sum: f64 = row.iter().map(|&value| (f64::from(value) - top).exp()).sum();
        let log_sum = top + sum.ln();
        // What the target gives to a class, times that class's weight.
        let pull = |class: usize| (share + if class == label { 1.0 - smoothing } else { 0.0 }) * weight(class);
        let all: f64 = (0..classes).map(pull).sum();
        for (class, (&value, grad)) in row.iter().zip(grad).enumerate() {
            let log_probability = f64::from(value) - log_sum;
            loss -= pull(class) * log_probability;
            *grad = ((all * log_probability.exp() - pull(class)) / total) as f32;
        }
    }
    (loss / total) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 6] = [0.2, -1.0, 2.0, 1.5, 0.3, -0.7];

    #[test]
    fn plain_weighted_and_smoothed_values_match_the_definition() {
        let mut grad = [0.0; 6];
        let log_probability = |row: usize, class: usize| {
            let row = &LOGITS[row * 3..][..3];
            f64::from(row[class]) - row.iter().map(|&v| f64::from(v).exp()).sum::<f64>().ln()
        };
        let plain = -(log_probability(0, 2) + log_probability(1, 1)) / 2.0;
        assert!((f64::from(cross_entropy(&LOGITS, &[2, 1], None, 0.0, &mut grad)) - plain).abs() < 1e-6);
        let weighted = -(4.0 * log_probability(0, 2) + 2.0 * log_probability(1, 1)) / 6.0;
        assert!((f64::from(cross_entropy(&LOGITS, &[2, 1], Some(&[1.0, 2.0, 4.0]), 0.0, &mut grad)) - weighted).abs() < 1e-6);
        let spread: f64 = (0..2).flat_map(|row| (0..3).map(move |class| (row, class))).map(|(row, class)| log_probability(row, class)).sum();
        let smoothed = 0.9 * plain - 0.1 / 3.0 * spread / 2.0;
        assert!((f64::from(cross_entropy(&LOGITS, &[2, 1], None, 0.1, &mut grad)) - smoothed).abs() < 1e-6);
    }

    #[test]
    fn gradient_matches_finite_differences() {
        let weights = [1.0, 0.5, 3.0];
        let at = |logits: &[f32], grad: &mut [f32]| cross_entropy(logits, &[2, 1], Some(&weights), 0.15, grad);
        let (mut grad, mut unused) = ([0.0; 6], [0.0; 6]);
        at(&LOGITS, &mut grad);
        for i in 0..6 {
            let (mut up, mut down) = (LOGITS, LOGITS);
            up[i] += 1e-2;
            down[i] -= 1e-2;
            let slope = (at(&up, &mut unused) - at(&down, &mut unused)) / 2e-2;
            assert!((slope - grad[i]).abs() < 1e-4, "{i}: {slope} {}", grad[i]);
        }
    }
}
