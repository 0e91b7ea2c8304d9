use crate::Loss;

/// The mean binary cross entropy of rows of logits, each of which may have any number of labels, as PyTorch's `BCEWithLogitsLoss` defines
/// it: every logit is a yes or no of its own, and the mean goes over all of them. `labels` holds the labels of each row. Weights of classes
/// and rows multiply; smoothing draws the targets towards one half; focal loss counts each logit by its own doubt. Writes the gradient
/// for a loss gradient of 1 into `grad` (as large as `logits`).
pub fn binary_cross_entropy(logits: &[f32], labels: &[Vec<usize>], loss: Loss<'_>, grad: &mut [f32]) -> f32 {
    assert!(!labels.is_empty() && logits.len().is_multiple_of(labels.len()), "one row of logits a row of labels");
    assert_eq!(logits.len(), grad.len(), "one gradient a logit");
    assert!(loss.focus == 0.0 || loss.smoothing == 0.0, "focal loss has no smoothing");
    let classes = logits.len() / labels.len();
    let total: f64 = (0..labels.len()).map(|row| loss.row_weight(row)).sum::<f64>() * classes as f64;
    let total = if total > 0.0 { total } else { 1.0 };
    let mut sum = 0.0;
    for (index, ((row, grad), labels)) in logits.chunks_exact(classes).zip(grad.chunks_exact_mut(classes)).zip(labels).enumerate() {
        for (class, (&logit, grad)) in row.iter().zip(grad).enumerate() {
            let weight = loss.row_weight(index) * loss.class_weights.map_or(1.0, |weights| f64::from(weights[class]));
            let (value, slope) = term(f64::from(logit), labels.contains(&class), f64::from(loss.smoothing), f64::from(loss.focus));
            sum += weight * value;
            *grad = (weight * slope / total) as f32;
        }
    }
    (sum / total) as f32
}

/// A logit's loss and its derivative.
fn term(logit: f64, yes: bool, smoothing: f64, power: f64) -> (f64, f64) {
    let sigmoid = |z: f64| if z >= 0.0 { 1.0 / (1.0 + (-z).exp()) } else { z.exp() / (1.0 + z.exp()) };
    // ln(1 + e^z) without overflow.
    let softplus = |z: f64| z.max(0.0) + (-z.abs()).exp().ln_1p();
    if power == 0.0 {
        let target = if yes { 1.0 } else { 0.0 } * (1.0 - smoothing) + smoothing / 2.0;
        return (softplus(logit) - target * logit, sigmoid(logit) - target);
    }
    // From the side of the right answer, whose probability is p.
    let sign = if yes { 1.0 } else { -1.0 };
    let (p, doubt, minus_log) = (sigmoid(sign * logit), sigmoid(-sign * logit), softplus(-sign * logit));
    let factor = doubt.powf(power);
    (factor * minus_log, -sign * factor * (power * p * minus_log + doubt))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 6] = [0.2, -1.0, 2.0, 1.5, 0.3, -0.7];

    fn rows() -> [Vec<usize>; 2] {
        [vec![0, 2], vec![]]
    }

    #[test]
    fn plain_value_is_pytorchs() {
        // torch.nn.BCEWithLogitsLoss()(logits, [[1, 0, 1], [0, 0, 0]]), in f64
        let loss = binary_cross_entropy(&LOGITS, &rows(), Loss::default(), &mut [0.0; 6]);
        assert!((loss - 0.666_213_86).abs() < 1e-6, "{loss}");
        let sure = binary_cross_entropy(&[500.0, -500.0], &[vec![0]], Loss { focus: 2.0, ..Loss::default() }, &mut [0.0; 2]);
        assert_eq!(sure, 0.0);
    }

    #[test]
    fn gradient_matches_finite_differences() {
        let (class_weights, row_weights) = (Some(&[1.0, 2.0, 0.5][..]), Some(&[0.5, 3.0][..]));
        for loss in [
            Loss::default(),
            Loss { class_weights, row_weights, smoothing: 0.15, focus: 0.0 },
            Loss { class_weights, row_weights: None, smoothing: 0.0, focus: 2.0 },
            Loss { focus: 0.7, ..Loss::default() },
        ] {
            let (mut grad, mut unused) = ([0.0; 6], [0.0; 6]);
            binary_cross_entropy(&LOGITS, &rows(), loss, &mut grad);
            for i in 0..6 {
                let (mut up, mut down) = (LOGITS, LOGITS);
                up[i] += 1e-2;
                down[i] -= 1e-2;
                let mut at = |logits: &[f32]| binary_cross_entropy(logits, &rows(), loss, &mut unused);
                let slope = (at(&up) - at(&down)) / 2e-2;
                assert!((slope - grad[i]).abs() < 1e-4, "{loss:?} {i}: {slope} {}", grad[i]);
            }
        }
    }
}
