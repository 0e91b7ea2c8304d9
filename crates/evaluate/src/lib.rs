//! Metrics of labelled predictions: the confusion matrix, the report that scikit-learn's users know, false-positive rates
//! with their uncertainty, and what a threshold buys. Pure: numbers in, numbers out.
//!
//! [`Answered`] holds rows and answers; [`Evaluation`] measures them, [`Comparison`] two models of the same rows.

mod answered;
mod baseline;
mod bootstrap;
mod calibration;
mod coverage;
mod curve;
mod document;
mod drift;
mod errors;
mod evaluation;
mod groups;
mod html;
mod intervals;
mod label_bias;
mod paired;
mod parent_share;
mod pool;
mod random;
mod ranking;
mod rate;
mod report;
mod several;
mod temperature;
mod thresholds;

pub use answered::{AnswerError, Answered, parent_technique};
pub use baseline::{Baseline, BaselineOptions, SparseText};
pub use bootstrap::{Bootstrap, Estimate};
pub use calibration::{CALIBRATION_BINS, Calibration, ReliabilityBin};
pub use coverage::{CONFIDENCES, Coverage, CoveragePoint};
pub use curve::{Curve, CurvePoint};
pub use document::{Document, Faithfulness, ModelFigures, NamedComparison, ObfuscationFigures, Robustness, ShownError};
pub use drift::{Drift, Observed, Stability, StabilityBin, UnlikeLine, Verdict, Vocabulary, WordDrift, population_stability};
pub use errors::{Mistake, WrongAnswer, worst_errors};
pub use evaluation::{Evaluation, EvaluationOptions, FALSE_POSITIVE_RATES};
pub use groups::{Group, by_group, length_group};
pub use html::html_page;
pub use intervals::Intervals;
pub use label_bias::{BiasRow, fit_label_biases};
pub use paired::{Comparison, McNemar};
pub use parent_share::{FittedParent, ParentBounds, ParentRow, fit_parent_share};
pub use pool::{PoolRow, fit_pool};
pub use ranking::Ranking;
pub use rate::{Rate, false_positive_rate};
pub use report::{Averages, ClassFigures, NO_TECHNIQUE, Report};
pub use several::SeveralReport;
pub use temperature::{fit_independent_temperature, fit_temperature, temperature_is_at_bound};
pub use thresholds::{OperatingPoint, Reached, threshold_keeping, threshold_table};
