//! Every figure against scikit-learn's, scipy's and numpy's. `tests/data/make_reference.py` made the values.
#![allow(clippy::unwrap_used)]

use attackline_evaluate::{Answered, Evaluation, EvaluationOptions, McNemar, population_stability, threshold_table};
use serde_json::Value;

fn cases() -> Vec<Value> {
    serde_json::from_str(include_str!("data/reference.json")).unwrap()
}

fn answered(case: &Value) -> Answered {
    let labels: Vec<String> = (0..case["labels"].as_u64().unwrap()).map(|label| format!("label{label}")).collect();
    let truths: Vec<Vec<String>> =
        case["truth"].as_array().unwrap().iter().map(|label| vec![labels[label.as_u64().unwrap() as usize].clone()]).collect();
    let grains = case["thousandths"].as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap());
    let scores = grains.map(|grain| (grain.as_f64().unwrap() / 1000.0) as f32).collect();
    Answered::new(&labels, Some(0), &truths, scores, 0.5001).unwrap()
}

fn evaluation(answered: &Answered) -> Evaluation {
    Evaluation::new(answered, EvaluationOptions { resamples: 50, seed: 1, worst: 5 }, |_| Vec::<(&str, &str)>::new())
}

fn close(name: &str, found: f64, case: &Value) {
    let expected = case[name].as_f64().unwrap();
    assert!((found - expected).abs() < 1e-12, "{name}: {found}, scikit-learn has {expected}");
}

#[test]
fn figures_are_scikit_learns() {
    for case in cases() {
        let answered = answered(&case);
        let found = evaluation(&answered);
        close("accuracy", found.report.accuracy, &case);
        close("macro_f1", found.report.macro_average.f1, &case);
        close("top_3", found.ranking.top_3.value().unwrap(), &case);
        close("accuracy", found.ranking.top_1.value().unwrap(), &case);
        let curve = found.curve.unwrap();
        close("area_under_roc", curve.area_under_roc, &case);
        close("average_precision", curve.average_precision, &case);
        close("brier_score", found.calibration.brier_score.unwrap(), &case);
        close("negative_log_likelihood", found.calibration.negative_log_likelihood.unwrap(), &case);
        close("calibration_error", found.calibration.expected_calibration_error, &case);
        close("maximum_calibration_error", found.calibration.maximum_calibration_error, &case);
        let bins: Vec<u64> = found.calibration.bins.iter().map(|bin| bin.rows).collect();
        assert_eq!(bins, serde_json::from_value::<Vec<u64>>(case["bins"].clone()).unwrap());
        assert_eq!(found.report.matrix, serde_json::from_value::<Vec<Vec<u64>>>(case["matrix"].clone()).unwrap());
    }
}

#[test]
fn the_report_is_scikit_learns_to_the_last_digit() {
    for case in cases() {
        let found = evaluation(&answered(&case)).report.to_string();
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<String>>();
        assert!(words(&found).starts_with(&words(case["report"].as_str().unwrap())), "{found}");
    }
}

#[test]
fn operating_points_are_those_of_the_roc_curve() {
    for case in cases() {
        let (attacks, benign) = answered(&case).split_scores();
        for (rate, expected) in case["true_positive_rates"].as_object().unwrap() {
            let point = threshold_table(&attacks, &benign, &[rate.parse().unwrap()])[0];
            let measurable = benign.len() as f64 * rate.parse::<f64>().unwrap() >= 3.0;
            assert_eq!(point.reached.map(|reached| reached.true_positive_rate), measurable.then(|| expected.as_f64().unwrap()), "{rate}");
        }
    }
}

#[test]
fn bootstrapped_figures_start_from_the_reports() {
    for case in cases() {
        let found = evaluation(&answered(&case));
        let intervals = found.intervals.unwrap();
        assert!((intervals.accuracy.value - found.report.accuracy).abs() < 1e-12);
        assert!((intervals.macro_f1.value - found.report.macro_average.f1).abs() < 1e-12);
        assert!(intervals.macro_f1.low <= intervals.macro_f1.value && intervals.macro_f1.value <= intervals.macro_f1.high);
        for (point, estimate) in found.operating_points.iter().zip(&intervals.true_positive_rates) {
            assert_eq!(point.reached.map(|reached| reached.true_positive_rate), estimate.map(|estimate| estimate.value));
        }
    }
}

#[test]
fn mcnemar_is_the_exact_binomial_test() {
    let tests: Value = serde_json::from_str(include_str!("data/tests.json")).unwrap();
    for row in tests["mcnemar"].as_array().unwrap() {
        let found = McNemar::new(row[0].as_u64().unwrap(), row[1].as_u64().unwrap()).p_value;
        let expected = row[2].as_f64().unwrap();
        assert!((found - expected).abs() <= 1e-9 * expected.max(1e-300), "{row}: {found}");
    }
}

#[test]
fn the_stability_index_is_its_definition() {
    let tests: Value = serde_json::from_str(include_str!("data/tests.json")).unwrap();
    for row in tests["stability"].as_array().unwrap() {
        let counts = |index: usize| serde_json::from_value::<Vec<u64>>(row[index].clone()).unwrap();
        assert!((population_stability(&counts(0), &counts(1)) - row[2].as_f64().unwrap()).abs() < 1e-12, "{row}");
    }
}
