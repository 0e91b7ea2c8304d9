//! A bias for each label, fitted on lines that were not trained on.

/// Steps of the fit; the loss is convex, and so many are enough for four digits.
const STEPS: usize = 400;

/// A row of the fit.
#[derive(Debug, Clone, PartialEq)]
pub struct BiasRow {
    /// The probability of each label.
    pub probabilities: Vec<f32>,
    /// The labels that are right; any of them counts.
    pub truth: Vec<usize>,
    /// What the row counts.
    pub weight: f64,
}

/// The biases `b` that make `softmax(ln p + b)` the most probable account of the rows' labels, less `penalty / rows` times the sum of their
/// squares: vector scaling (Guo et al. 2017) with the scale held at one. A label that is answered too readily gets a negative bias.
///
/// Without rows all are 0. Found by Nesterov's accelerated gradient; the same rows give the same biases.
pub fn fit_label_biases(rows: &[BiasRow], labels: usize, penalty: f64) -> Vec<f64> {
    let total: f64 = rows.iter().map(|row| row.weight).sum();
    let (mut biases, mut ahead) = (vec![0.0; labels], vec![0.0; labels]);
    if total <= 0.0 {
        return biases;
    }
    let ridge = 2.0 * penalty / rows.len() as f64;
    // The cross entropy's second derivative is at most a half.
    let rate = 1.0 / (0.5 + ridge);
    for step in 0..STEPS {
        let mut gradient: Vec<f64> = ahead.iter().map(|bias| ridge * bias).collect();
        for row in rows {
            add_gradient(row, &ahead, row.weight / total, &mut gradient);
        }
        let momentum = step as f64 / (step as f64 + 3.0);
        for (label, slope) in gradient.iter().enumerate() {
            let next = ahead[label] - rate * slope;
            ahead[label] = next + momentum * (next - biases[label]);
            biases[label] = next;
        }
    }
    biases
}

fn add_gradient(row: &BiasRow, biases: &[f64], weight: f64, gradient: &mut [f64]) {
    let odds: Vec<f64> = row.probabilities.iter().zip(biases).map(|(p, bias)| f64::from(p.max(f32::MIN_POSITIVE)) * bias.exp()).collect();
    let all: f64 = odds.iter().sum();
    let right: f64 = row.truth.iter().map(|&label| odds[label]).sum();
    for (slope, odds) in gradient.iter_mut().zip(&odds) {
        *slope += weight * odds / all;
    }
    for &label in &row.truth {
        gradient[label] -= weight * odds[label] / right;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two labels at even odds, of which the second is right `share` of the time.
    fn rows(share: usize) -> Vec<BiasRow> {
        let row = |number: usize| BiasRow { probabilities: vec![0.5, 0.5], truth: vec![usize::from(number % 100 < share)], weight: 1.0 };
        (0..1000).map(row).collect()
    }

    #[test]
    fn biases_make_the_shares_right() {
        let biases = fit_label_biases(&rows(20), 2, 0.0);
        assert!((biases[1] - biases[0] - (0.2f64 / 0.8).ln()).abs() < 1e-3, "{biases:?}");
        let held = fit_label_biases(&rows(20), 2, 1e4);
        assert!(held.iter().all(|bias| bias.abs() < 0.05), "a great penalty leaves them: {held:?}");
        assert_eq!(fit_label_biases(&[], 3, 1.0), [0.0; 3]);
    }

    #[test]
    fn any_of_several_labels_counts_and_weights_do() {
        let both = BiasRow { probabilities: vec![0.2, 0.4, 0.4], truth: vec![1, 2], weight: 1.0 };
        let biases = fit_label_biases(std::slice::from_ref(&both), 3, 0.01);
        assert!(biases[0] < 0.0 && (biases[1] - biases[2]).abs() < 1e-9, "{biases:?}");
        let doubled = fit_label_biases(&[both.clone(), both.clone()], 3, 0.02);
        let weighed = fit_label_biases(&[BiasRow { weight: 2.0, ..both }], 3, 0.01);
        assert!(doubled.iter().zip(&weighed).all(|(a, b)| (a - b).abs() < 1e-9), "{doubled:?} {weighed:?}");
    }
}
