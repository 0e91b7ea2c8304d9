use crate::{
    Answered, Calibration, Coverage, Curve, Group, Intervals, OperatingPoint, Ranking, Rate, Report, WrongAnswer, by_group, false_positive_rate,
    threshold_table, worst_errors,
};
use serde::Serialize;

/// False-positive rates at which the share of attacks found is measured.
pub const FALSE_POSITIVE_RATES: [f64; 4] = [0.05, 0.01, 0.001, 0.0001];

/// Points of curves that are kept.
const CURVE_POINTS: usize = 400;

/// What to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvaluationOptions {
    /// Resamples of the bootstrap; 0 leaves intervals out.
    pub resamples: usize,
    /// The seed of the bootstrap.
    pub seed: u64,
    /// How many wrong answers of each kind to keep.
    pub worst: usize,
}

/// All figures of one model on one set of rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// By label, with the confusion matrix.
    pub report: Report,
    /// Of the benign rows, those reported. `None` where no label is benign.
    pub false_positive_rate: Option<Rate>,
    /// At [`FALSE_POSITIVE_RATES`].
    pub operating_points: Vec<OperatingPoint>,
    /// Bootstrap intervals.
    pub intervals: Option<Intervals>,
    /// Attack against benign by the best attack score. `None` without rows of both.
    pub curve: Option<Curve>,
    /// How far the probabilities can be believed.
    pub calibration: Calibration,
    /// What abstaining gives.
    pub coverage: Coverage,
    /// How far down the right label stands.
    pub ranking: Ranking,
    /// By properties of the rows.
    pub groups: Vec<Group>,
    /// The surest wrong answers; not written here, since they want their text.
    #[serde(skip)]
    pub worst: Vec<WrongAnswer>,
}

impl Evaluation {
    /// Measures. `properties` gives the columns and values that a row is grouped by.
    pub fn new<'a, V: AsRef<str>>(answered: &Answered, options: EvaluationOptions, properties: impl Fn(usize) -> Vec<(&'a str, V)>) -> Self {
        let counted = answered.counted();
        let (attacks, benign) = answered.split_scores();
        let operating_points = threshold_table(&attacks, &benign, &FALSE_POSITIVE_RATES);
        let rates: Vec<(f64, bool)> = operating_points.iter().map(|point| (point.wanted_rate, point.reached.is_some())).collect();
        Self {
            report: Report::new(answered.labels(), &counted, answered.predicted()),
            false_positive_rate: answered.benign().map(|label| false_positive_rate(label, &counted, answered.predicted())),
            intervals: (options.resamples > 0).then(|| Intervals::new(answered, &rates, options.resamples, options.seed)),
            operating_points,
            curve: Curve::new(&attacks, &benign).map(|curve| curve.thinned(CURVE_POINTS)),
            calibration: Calibration::new(answered),
            coverage: Coverage::new(answered),
            ranking: Ranking::new(answered),
            groups: by_group(answered, properties),
            worst: worst_errors(answered, options.worst),
        }
    }
}
