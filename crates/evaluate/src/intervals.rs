use crate::{Answered, Bootstrap, Estimate, NO_TECHNIQUE};
use serde::Serialize;

/// Bootstrap intervals of the figures that have no formula for theirs. Of a model without any mistake the interval of macro-F1 is a point,
/// since no resample has one either; those of shares are Wilson's then.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Intervals {
    /// Resamples drawn.
    pub resamples: usize,
    /// The seed they were drawn with.
    pub seed: u64,
    /// The share of rows predicted right.
    pub accuracy: Estimate,
    /// The mean of the labels' F1, in the report and in every resample over the labels that occur in all of the rows.
    pub macro_f1: Estimate,
    /// The share of attacks found at each false-positive rate, in the order asked for; `None` where it is refused.
    pub true_positive_rates: Vec<Option<Estimate>>,
}

/// The figures of weighted rows, prepared so that a resample costs one pass.
pub(crate) struct Weighed {
    labels: usize,
    counted: Vec<u32>,
    predicted: Vec<u32>,
    /// Whether a label has rows.
    present: Vec<bool>,
    /// Whether a row has a label or was predicted to have it, so that averages count it.
    occurring: Vec<bool>,
    /// Rows and their attack scores, the highest first.
    attacks: Vec<(f32, u32)>,
    benign: Vec<(f32, u32)>,
}

impl Weighed {
    pub fn new(answered: &Answered) -> Self {
        let narrow = |values: &[usize]| values.iter().map(|&value| value as u32).collect::<Vec<u32>>();
        let counted = answered.counted();
        let mut present = vec![false; answered.labels().len()];
        counted.iter().for_each(|&label| present[label] = true);
        let mut occurring = present.clone();
        answered.predicted().iter().for_each(|&label| occurring[label] = answered.labels()[label] != NO_TECHNIQUE);
        let order = |attack: bool| {
            let rows = (0..answered.len()).filter(|&row| answered.is_attack(row) == attack);
            let mut rows: Vec<(f32, u32)> = rows.map(|row| (answered.attack_scores()[row], row as u32)).collect();
            rows.sort_by(|a, b| b.0.total_cmp(&a.0));
            rows
        };
        let (attacks, benign) = (order(true), order(false));
        Self { labels: present.len(), counted: narrow(&counted), predicted: narrow(answered.predicted()), present, occurring, attacks, benign }
    }

    /// Accuracy and macro-F1, over the labels that rows have or were predicted to have, or over those that have rows.
    pub fn accuracy_and_f1(&self, weights: &[u32], answers_too: bool) -> (f64, f64) {
        let (mut hits, mut rows) = (vec![0u64; self.labels], vec![0u64; self.labels]);
        let mut all = 0u64;
        for ((&truth, &found), &weight) in self.counted.iter().zip(&self.predicted).zip(weights) {
            let weight = u64::from(weight);
            all += weight;
            // Precision and recall share one numerator: F1 is twice the hits over true and predicted rows together.
            rows[truth as usize] += weight;
            rows[found as usize] += weight;
            hits[truth as usize] += if truth == found { weight } else { 0 };
        }
        let right: u64 = hits.iter().sum();
        let f1 = |label: usize| if rows[label] == 0 { 0.0 } else { 2.0 * hits[label] as f64 / rows[label] as f64 };
        let labels = (0..self.labels).filter(|&label| if answers_too { self.occurring[label] } else { self.present[label] });
        let (sum, count) = labels.fold((0.0, 0u32), |(sum, count), label| (sum + f1(label), count + 1));
        (right as f64 / all.max(1) as f64, sum / f64::from(count.max(1)))
    }

    /// The share of attacks above the lowest threshold that keeps false positives at `rate` or below.
    pub fn true_positive_rate(&self, weights: &[u32], rate: f64) -> f64 {
        let total = |rows: &[(f32, u32)]| rows.iter().map(|&(_, row)| u64::from(weights[row as usize])).sum::<u64>();
        let allowed = (rate * total(&self.benign) as f64 + 1e-9).floor() as u64;
        let mut passed = 0;
        let first_out = self.benign.iter().find(|(_, row)| {
            passed += u64::from(weights[*row as usize]);
            passed > allowed
        });
        let reached = first_out.map_or(self.attacks.len(), |out| self.attacks.partition_point(|attack| attack.0 > out.0));
        total(&self.attacks[..reached]) as f64 / total(&self.attacks).max(1) as f64
    }
}

impl Intervals {
    /// Draws `resamples` of the rows, by their label, and measures each. `rates` are false-positive rates with whether each can be measured.
    pub fn new(answered: &Answered, rates: &[(f64, bool)], resamples: usize, seed: u64) -> Self {
        let strata: Vec<usize> = (0..answered.len()).map(|row| answered.first_label(row)).collect();
        let weighed = Weighed::new(answered);
        let measure = |weights: &[u32]| {
            let (accuracy, macro_f1) = weighed.accuracy_and_f1(weights, true);
            let at_rate = |&(rate, measurable): &(f64, bool)| if measurable { weighed.true_positive_rate(weights, rate) } else { 0.0 };
            [accuracy, macro_f1].into_iter().chain(rates.iter().map(at_rate)).collect::<Vec<f64>>()
        };
        let whole = measure(&vec![1; answered.len()]);
        let drawn = Bootstrap::new(&strata, resamples, seed).run(measure);
        let drawn = |figure: usize| drawn.iter().map(|figures| figures[figure]).collect::<Vec<f64>>();
        let share = |figure: usize, total: usize| Estimate::of_share(whole[figure], total as u64, &drawn(figure));
        let true_positive_rates =
            rates.iter().enumerate().map(|(index, (_, measurable))| measurable.then(|| share(2 + index, weighed.attacks.len()))).collect();
        let macro_f1 = Estimate::new(whole[1], &drawn(1));
        Self { resamples, seed, accuracy: share(0, answered.len()), macro_f1, true_positive_rates }
    }
}
