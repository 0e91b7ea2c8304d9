use crate::{
    Averages, ClassFigures,
    report::{average, ratio, table},
};
use serde::Serialize;
use std::fmt;

/// The figures of predictions where a row may have any number of labels: each label is a yes or no of its own, as in scikit-learn's
/// `classification_report` of an indicator matrix.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeveralReport {
    /// Figures by label, in the labels' order.
    pub classes: Vec<ClassFigures>,
    /// The share of rows whose labels were all found and no other (subset accuracy); 0 where there are no rows.
    pub exact: f64,
    /// Each label counts the same.
    pub macro_average: Averages,
    /// Each label counts by its support.
    pub weighted_average: Averages,
    /// How many rows there were.
    pub total: u64,
}

impl SeveralReport {
    /// Counts `predicted` against `truth`; both hold indices of `labels`, each at most once a row.
    ///
    /// # Panics
    /// Where the two have different lengths or an index lies outside the labels.
    pub fn new(labels: &[String], truth: &[Vec<usize>], predicted: &[Vec<usize>]) -> Self {
        assert_eq!(truth.len(), predicted.len(), "each row has true and predicted labels");
        let (mut hits, mut found, mut support) = (vec![0; labels.len()], vec![0; labels.len()], vec![0; labels.len()]);
        let mut exact = 0;
        for (truth, predicted) in truth.iter().zip(predicted) {
            truth.iter().for_each(|&label| support[label] += 1);
            predicted.iter().for_each(|&label| found[label] += 1);
            let right = predicted.iter().filter(|label| truth.contains(label));
            right.clone().for_each(|&label| hits[label] += 1);
            exact += u64::from(right.count() == truth.len() && predicted.len() == truth.len());
        }
        let class = |index: usize| ClassFigures::from_counts(&labels[index], hits[index], found[index], support[index]);
        let classes: Vec<ClassFigures> = (0..labels.len()).map(class).collect();
        let total = truth.len() as u64;
        Self {
            macro_average: average(&classes, |_| 1.0),
            weighted_average: average(&classes, |class| class.support as f64),
            exact: ratio(exact, total),
            classes,
            total,
        }
    }
}

impl fmt::Display for SeveralReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let averages = [("macro avg", self.macro_average), ("weighted avg", self.weighted_average)];
        table(out, &self.classes, ("all labels", self.exact), averages, self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_each_label_alone() {
        let labels: Vec<String> = ["a", "b", "c"].map(String::from).to_vec();
        let truth = [vec![0, 1], vec![], vec![2], vec![0]];
        let predicted = [vec![0], vec![], vec![2, 0], vec![0]];
        let report = SeveralReport::new(&labels, &truth, &predicted);
        assert_eq!((report.exact, report.total), (0.5, 4));
        let a = &report.classes[0];
        assert_eq!((a.precision, a.recall, a.support), (2.0 / 3.0, 1.0, 2));
        assert_eq!((report.classes[1].f1, report.classes[2].f1), (0.0, 1.0));
        assert!((report.macro_average.f1 - (0.8 + 0.0 + 1.0) / 3.0).abs() < 1e-12);
    }
}
