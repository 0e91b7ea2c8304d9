/// How rows and classes count in [`cross_entropy`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Loss<'a> {
    /// One weight a class: rows count by that of their label.
    pub class_weights: Option<&'a [f32]>,
    /// One weight a row.
    pub row_weights: Option<&'a [f32]>,
    /// This share of the target goes evenly to all classes.
    pub smoothing: f32,
    /// Rows count by `(1 - p)` to this power, `p` their label's probability: what is known already counts less (focal loss, Lin et al.
    /// 2017). Not together with smoothing.
    pub focus: f32,
}

impl Loss<'_> {
    pub(crate) fn row_weight(&self, row: usize) -> f64 {
        self.row_weights.map_or(1.0, |weights| f64::from(weights[row]))
    }

    /// What rows with these labels count together in [`cross_entropy`], which divides by it.
    pub fn total_weight(&self, labels: &[usize]) -> f64 {
        let of_class = |label: usize| self.class_weights.map_or(1.0, |weights| f64::from(weights[label]));
        labels.iter().enumerate().map(|(row, &label)| of_class(label) * self.row_weight(row)).sum()
    }
}

/// The mean cross entropy of rows of logits with their labels, as PyTorch defines it. Writes the gradient for a loss gradient of 1
/// into `grad` (as large as `logits`).
pub fn cross_entropy(logits: &[f32], labels: &[usize], loss: Loss<'_>, grad: &mut [f32]) -> f32 {
    assert!(!labels.is_empty() && logits.len().is_multiple_of(labels.len()), "one row of logits a label");
    assert_eq!(logits.len(), grad.len(), "one gradient a logit");
    assert!(loss.focus == 0.0 || loss.smoothing == 0.0, "focal loss has no smoothing");
    let classes = logits.len() / labels.len();
    let weight = |class: usize| loss.class_weights.map_or(1.0, |weights| f64::from(weights[class]));
    let total = loss.total_weight(labels);
    let total = if total > 0.0 { total } else { 1.0 };
    let smoothing = f64::from(loss.smoothing);
    let share = smoothing / classes as f64;
    let mut sum_of_losses = 0.0;
    for (index, ((row, grad), &label)) in logits.chunks_exact(classes).zip(grad.chunks_exact_mut(classes)).zip(labels).enumerate() {
        let row_weight = loss.row_weight(index);
        let top = row.iter().fold(f64::NEG_INFINITY, |top, &value| top.max(f64::from(value)));
        let sum: f64 = row.iter().map(|&value| (f64::from(value) - top).exp()).sum();
        let log_sum = top + sum.ln();
        let (factor, slope) = focus(f64::from(row[label]) - log_sum, f64::from(loss.focus));
        // What the target gives to a class, times that class's weight.
        let pull = |class: usize| (share + if class == label { 1.0 - smoothing } else { 0.0 }) * weight(class) * row_weight;
        let all: f64 = (0..classes).map(pull).sum();
        for (class, (&value, grad)) in row.iter().zip(grad).enumerate() {
            let log_probability = f64::from(value) - log_sum;
            sum_of_losses -= factor * pull(class) * log_probability;
            *grad = (slope * (all * log_probability.exp() - pull(class)) / total) as f32;
        }
    }
    (sum_of_losses / total) as f32
}

/// The factor of a row's loss, and that of its gradient, where its label has this log-probability.
fn focus(log_probability: f64, power: f64) -> (f64, f64) {
    if power == 0.0 {
        return (1.0, 1.0);
    }
    let p = log_probability.exp();
    let doubt = (1.0 - p).max(0.0);
    let factor = doubt.powf(power);
    let slope = if doubt > 0.0 { factor - power * doubt.powf(power - 1.0) * p * log_probability } else { 0.0 };
    (factor, slope)
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
        assert!((f64::from(cross_entropy(&LOGITS, &[2, 1], Loss::default(), &mut grad)) - plain).abs() < 1e-6);
        let weighted = -(4.0 * log_probability(0, 2) + 2.0 * log_probability(1, 1)) / 6.0;
        assert!(
            (f64::from(cross_entropy(&LOGITS, &[2, 1], Loss { class_weights: Some(&[1.0, 2.0, 4.0]), ..Loss::default() }, &mut grad)) - weighted)
                .abs()
                < 1e-6
        );
        let spread: f64 = (0..2).flat_map(|row| (0..3).map(move |class| (row, class))).map(|(row, class)| log_probability(row, class)).sum();
        let smoothed = 0.9 * plain - 0.1 / 3.0 * spread / 2.0;
        assert!((f64::from(cross_entropy(&LOGITS, &[2, 1], Loss { smoothing: 0.1, ..Loss::default() }, &mut grad)) - smoothed).abs() < 1e-6);
    }

    #[test]
    fn focal_loss_is_its_definition() {
        let mut grad = [0.0; 6];
        let p = |row: usize, class: usize| {
            let row = &LOGITS[row * 3..][..3];
            f64::from(row[class]).exp() / row.iter().map(|&v| f64::from(v).exp()).sum::<f64>()
        };
        let wanted = -((1.0 - p(0, 2)).powi(2) * p(0, 2).ln() + (1.0 - p(1, 1)).powi(2) * p(1, 1).ln()) / 2.0;
        assert!((f64::from(cross_entropy(&LOGITS, &[2, 1], Loss { focus: 2.0, ..Loss::default() }, &mut grad)) - wanted).abs() < 1e-6);
        let sure = cross_entropy(&[200.0, 0.0, 0.0], &[0], Loss { focus: 0.5, ..Loss::default() }, &mut grad[..3]);
        assert!(sure == 0.0 && grad[..3] == [0.0; 3]);
    }

    #[test]
    fn gradient_matches_finite_differences() {
        let weights = [1.0, 2.0, 0.5];
        let class_weights = Some(&weights[..]);
        for loss in [
            Loss { class_weights, row_weights: Some(&[0.5, 3.0]), smoothing: 0.15, focus: 0.0 },
            Loss { class_weights, focus: 2.0, ..Loss::default() },
            Loss { focus: 0.7, ..Loss::default() },
        ] {
            let at = |logits: &[f32], grad: &mut [f32]| cross_entropy(logits, &[2, 1], loss, grad);
            let (mut grad, mut unused) = ([0.0; 6], [0.0; 6]);
            at(&LOGITS, &mut grad);
            for i in 0..6 {
                let (mut up, mut down) = (LOGITS, LOGITS);
                up[i] += 1e-2;
                down[i] -= 1e-2;
                let slope = (at(&up, &mut unused) - at(&down, &mut unused)) / 2e-2;
                assert!((slope - grad[i]).abs() < 1e-4, "{loss:?} {i}: {slope} {}", grad[i]);
            }
        }
    }
}
