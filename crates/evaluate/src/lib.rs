//! Metrics of labelled predictions: the confusion matrix, the report that scikit-learn's users know, false-positive rates
//! with their uncertainty, and what a threshold buys. Pure: numbers in, numbers out.

mod rate;
mod report;
mod several;
mod temperature;
mod thresholds;

pub use rate::{Rate, false_positive_rate};
pub use report::{Averages, ClassFigures, Report};
pub use several::SeveralReport;
pub use temperature::{fit_independent_temperature, fit_temperature};
pub use thresholds::{OperatingPoint, Reached, threshold_table};
