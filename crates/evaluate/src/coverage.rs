use crate::{Answered, Rate};
use serde::Serialize;

/// What answering only above a confidence gives.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CoveragePoint {
    /// Rows whose most probable label has this probability or more are answered, the others abstained from.
    pub confidence: f32,
    /// The share of rows that are answered.
    pub coverage: f64,
    /// Of the answered rows, those answered right.
    pub accuracy: Rate,
    /// Of the rows answered with an attack label, those answered right.
    pub attack_precision: Rate,
}

/// Coverage against accuracy: selective classification (El-Yaniv and Wiener 2010, Geifman and El-Yaniv 2017).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Coverage {
    /// At [`CONFIDENCES`].
    pub table: Vec<CoveragePoint>,
    /// Over all confidences that occur, thinned for a plot; coverage grows.
    pub curve: Vec<CoveragePoint>,
    /// The mean share of errors over all coverages: 0 is best, an order that knows nothing gives the error rate.
    pub area_under_risk_coverage: f64,
}

/// Confidences of the table.
pub const CONFIDENCES: [f32; 8] = [0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99];

/// Points of the curve at most.
const MOST_POINTS: usize = 200;

impl Coverage {
    /// Measures what abstaining gives. Answers are the most probable labels.
    pub fn new(answered: &Answered) -> Self {
        let mut order: Vec<usize> = (0..answered.len()).collect();
        order.sort_by(|&a, &b| answered.confidence(b).total_cmp(&answered.confidence(a)));
        let (mut accuracy, mut attack_precision) = (Rate::default(), Rate::default());
        let (mut points, mut risks) = (Vec::new(), 0.0);
        for equals in order.chunk_by(|&a, &b| answered.confidence(a) == answered.confidence(b)) {
            for &row in equals {
                let right = answered.accepts(row, answered.best(row));
                accuracy.add(right);
                if Some(answered.best(row)) != answered.benign() {
                    attack_precision.add(right);
                }
            }
            risks += (1.0 - accuracy.value().unwrap_or(0.0)) * equals.len() as f64;
            let coverage = accuracy.total as f64 / answered.len() as f64;
            points.push(CoveragePoint { confidence: answered.confidence(equals[0]), coverage, accuracy, attack_precision });
        }
        let at = |confidence: f32| {
            let reached = points.partition_point(|point| point.confidence >= confidence);
            let nothing = CoveragePoint { confidence, coverage: 0.0, accuracy: Rate::default(), attack_precision: Rate::default() };
            reached.checked_sub(1).map_or(nothing, |last| CoveragePoint { confidence, ..points[last] })
        };
        let step = points.len().div_ceil(MOST_POINTS).max(1);
        let last = points.len().saturating_sub(1);
        let curve = points.iter().enumerate().filter(|(index, _)| index % step == 0 || *index == last).map(|(_, point)| *point).collect();
        Self { table: CONFIDENCES.map(at).to_vec(), curve, area_under_risk_coverage: risks / answered.len().max(1) as f64 }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn abstaining_from_the_unsure_row_leaves_the_right_ones() {
        let labels: Vec<String> = ["Benign", "T1049"].map(String::from).to_vec();
        let truths: Vec<Vec<String>> = ["T1049", "Benign", "T1049", "Benign"].map(|name| vec![name.to_owned()]).to_vec();
        let scores = vec![0.05, 0.95, 0.75, 0.25, 0.55, 0.45, 0.45, 0.55];
        let coverage = Coverage::new(&Answered::new(&labels, Some(0), &truths, scores, 0.5).unwrap());
        let at = |confidence: f32| *coverage.table.iter().find(|point| point.confidence == confidence).unwrap();
        assert_eq!((at(0.0).coverage, at(0.0).accuracy, at(0.0).attack_precision), (1.0, Rate::new(2, 4), Rate::new(1, 2)));
        assert_eq!((at(0.7).coverage, at(0.7).accuracy, at(0.7).attack_precision), (0.5, Rate::new(2, 2), Rate::new(1, 1)));
        assert_eq!((at(0.99).coverage, at(0.99).accuracy.value()), (0.0, None));
        assert_eq!(coverage.area_under_risk_coverage, 0.25, "0, 0, then two rows at one half");
    }
}
