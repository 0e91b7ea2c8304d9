//! The plots of a report: each has a line for every model.

use super::plot::{Axis, Plot};
use crate::ModelFigures;

/// All plots that the figures have something for.
pub(super) fn plots(models: &[ModelFigures]) -> String {
    let mut out = String::from("<div class=\"plots\">\n");
    if models.iter().any(|model| model.evaluation.curve.is_some()) {
        for plot in [roc(models), roc_logarithmic(models), precision_recall(models)] {
            out.push_str(&figure(&plot));
        }
    }
    for plot in [reliability(models), coverage(models)] {
        out.push_str(&figure(&plot));
    }
    out + "</div>\n"
}

fn figure(plot: &Plot) -> String {
    format!("<figure>{}{}</figure>\n", plot.svg(), plot.legend())
}

fn curves(
    plot: &mut Plot,
    models: &[ModelFigures],
    name: impl Fn(&crate::Curve) -> f64,
    point: impl Fn(&crate::CurvePoint) -> (f64, f64),
    start: Option<(f64, f64)>,
) {
    for (series, model) in models.iter().enumerate() {
        if let Some(curve) = &model.evaluation.curve {
            plot.line(series, &format!("{} ({:.4})", model.model, name(curve)), start.into_iter().chain(curve.points.iter().map(&point)));
        }
    }
}

fn roc(models: &[ModelFigures]) -> Plot {
    let mut plot = Plot::new("Attacks found by false-positive rate (ROC; area)", Axis::share("false-positive rate"), Axis::share("attacks found"));
    plot.guide((0.0, 0.0), (1.0, 1.0));
    curves(&mut plot, models, |curve| curve.area_under_roc, |point| (point.false_positive_rate, point.recall), Some((0.0, 0.0)));
    plot
}

fn roc_logarithmic(models: &[ModelFigures]) -> Plot {
    let benign = models.iter().filter_map(|model| model.evaluation.curve.as_ref()).map(|curve| curve.benign).max().unwrap_or(1);
    // Below 3/n nothing is measured.
    let low = (1.0 / benign as f64).clamp(1e-6, 0.1);
    let axis = Axis { title: "false-positive rate", low, high: 1.0, logarithmic: true };
    let mut plot = Plot::new("At small rates (left of the line: too few rows)", axis, Axis::share("attacks found"));
    plot.guide((3.0 / benign as f64, 0.0), (3.0 / benign as f64, 1.0));
    curves(&mut plot, models, |curve| curve.area_under_roc, |point| (point.false_positive_rate, point.recall), None);
    plot
}

fn precision_recall(models: &[ModelFigures]) -> Plot {
    let mut plot = Plot::new("Precision by recall (average precision)", Axis::share("attacks found"), Axis::share("precision"));
    curves(&mut plot, models, |curve| curve.average_precision, |point| (point.recall, point.precision), None);
    plot
}

fn reliability(models: &[ModelFigures]) -> Plot {
    let mut plot = Plot::new("Reliability (expected calibration error)", Axis::share("mean confidence of a bin"), Axis::share("share that is right"));
    plot.guide((0.0, 0.0), (1.0, 1.0));
    for (series, model) in models.iter().enumerate() {
        let calibration = &model.evaluation.calibration;
        let bins = || calibration.bins.iter().filter(|bin| bin.rows > 0);
        let name = format!("{} ({:.4})", model.model, calibration.expected_calibration_error);
        plot.line(series, &name, bins().map(|bin| (bin.confidence, bin.accuracy)));
        let most = bins().map(|bin| bin.rows).max().unwrap_or(1) as f64;
        for bin in bins() {
            let text = format!("{} rows, confidence {:.3}, right {:.3}", bin.rows, bin.confidence, bin.accuracy);
            plot.dot(series, (bin.confidence, bin.accuracy), 2.0 + 6.0 * (bin.rows as f64 / most).sqrt(), &text);
        }
    }
    plot
}

fn coverage(models: &[ModelFigures]) -> Plot {
    let points = || models.iter().flat_map(|model| &model.evaluation.coverage.curve).filter_map(|point| point.accuracy.value());
    let lowest = points().fold(1.0, f64::min);
    let low = [0.99, 0.95, 0.9, 0.8, 0.5].into_iter().find(|low| *low < lowest).unwrap_or(0.0);
    let accuracy = Axis { title: "accuracy of the answered", low, high: 1.0, logarithmic: false };
    let mut plot = Plot::new("Abstaining from the least sure rows", Axis::share("share of rows answered"), accuracy);
    for (series, model) in models.iter().enumerate() {
        let curve = &model.evaluation.coverage.curve;
        plot.line(series, &model.model, curve.iter().filter_map(|point| Some((point.coverage, point.accuracy.value()?))));
    }
    plot
}
