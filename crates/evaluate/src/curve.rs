use serde::Serialize;

/// A point of the curves: what reporting every line with this score or more gives.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CurvePoint {
    /// The score.
    pub threshold: f32,
    /// Of the benign rows, the share reported.
    pub false_positive_rate: f64,
    /// Of the attack rows, the share reported.
    pub recall: f64,
    /// Of the reported rows, the share that are attacks.
    pub precision: f64,
}

/// How well a score tells attacks from benign rows, over all thresholds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Curve {
    /// Attack rows.
    pub attacks: usize,
    /// Benign rows.
    pub benign: usize,
    /// The area under the receiver operating characteristic: the probability that an attack scores above a benign row, equals counting
    /// half (Fawcett 2006). scikit-learn's `roc_auc_score`.
    pub area_under_roc: f64,
    /// The mean of precision over recall, without interpolation: scikit-learn's `average_precision_score`. It depends on the share of attacks
    /// among the rows.
    pub average_precision: f64,
    /// One point a distinct score, the highest first; [`thinned`](Curve::thinned) for a plot.
    pub points: Vec<CurvePoint>,
}

impl Curve {
    /// The curve of the scores of attack and of benign rows; nothing where there are none of either.
    pub fn new(attacks: &[f32], benign: &[f32]) -> Option<Self> {
        if attacks.is_empty() || benign.is_empty() {
            return None;
        }
        let mut rows: Vec<(f32, bool)> = attacks.iter().map(|&score| (score, true)).chain(benign.iter().map(|&score| (score, false))).collect();
        rows.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (mut hits, mut alarms) = (0u64, 0u64);
        let (mut area, mut average_precision) = (0.0, 0.0);
        let mut points = Vec::new();
        for equals in rows.chunk_by(|a, b| a.0 == b.0) {
            let more = equals.iter().filter(|row| row.1).count() as u64;
            let false_ones = equals.len() as u64 - more;
            area += false_ones as f64 * (hits as f64 + more as f64 / 2.0);
            hits += more;
            alarms += false_ones;
            let precision = hits as f64 / (hits + alarms) as f64;
            average_precision += more as f64 / attacks.len() as f64 * precision;
            let (false_positive_rate, recall) = (alarms as f64 / benign.len() as f64, hits as f64 / attacks.len() as f64);
            points.push(CurvePoint { threshold: equals[0].0, false_positive_rate, recall, precision });
        }
        let area_under_roc = area / (attacks.len() as f64 * benign.len() as f64);
        Some(Self { attacks: attacks.len(), benign: benign.len(), area_under_roc, average_precision, points })
    }

    /// The curve with at most about `most` points, both ends among them and every corner of the receiver operating characteristic left where
    /// it is visible.
    pub fn thinned(&self, most: usize) -> Self {
        let step = 4.0 / most.max(8) as f64;
        let mut points: Vec<CurvePoint> = Vec::new();
        for (index, point) in self.points.iter().enumerate() {
            // Small rates are looked at on a logarithmic scale.
            let far = points.last().is_none_or(|last| {
                let ratio = (point.false_positive_rate + 1e-6).ln() - (last.false_positive_rate + 1e-6).ln();
                (point.recall - last.recall).abs() > step || ratio > step * 8.0 || (point.precision - last.precision).abs() > step
            });
            if far || index + 1 == self.points.len() {
                points.push(*point);
            }
        }
        Self { points, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn perfect_useless_and_absent() {
        let perfect = Curve::new(&[0.9, 0.8], &[0.1, 0.2]).unwrap();
        assert_eq!((perfect.area_under_roc, perfect.average_precision), (1.0, 1.0));
        let useless = Curve::new(&[0.5; 3], &[0.5; 7]).unwrap();
        assert_eq!((useless.area_under_roc, useless.average_precision, useless.points.len()), (0.5, 0.3, 1));
        assert_eq!(Curve::new(&[], &[0.5]), None);
        assert_eq!(Curve::new(&[0.5], &[]), None);
    }

    #[test]
    fn a_thinned_curve_keeps_its_ends() {
        let scores: Vec<f32> = (0..50_000).map(|i| i as f32 / 50_000.0).collect();
        let curve = Curve::new(&scores[20_000..], &scores[..40_000]).unwrap();
        let thin = curve.thinned(200);
        assert!(thin.points.len() < 300, "{}", thin.points.len());
        assert_eq!((thin.points[0], thin.points.last()), (curve.points[0], curve.points.last()));
        assert_eq!(thin.area_under_roc, curve.area_under_roc);
    }
}
