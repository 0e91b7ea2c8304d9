//! Figures against slower ways to the same.
#![allow(clippy::unwrap_used)]

use attackline_evaluate::{Answered, Bootstrap, Comparison, Coverage, Curve, Evaluation, EvaluationOptions, McNemar, population_stability};
use proptest::prelude::*;

fn answered(rows: &[(usize, [u8; 3])]) -> Answered {
    let labels: Vec<String> = ["Benign", "T1003.001", "T1003.002"].map(String::from).to_vec();
    let truths: Vec<Vec<String>> = rows.iter().map(|row| vec![labels[row.0].clone()]).collect();
    let scores = rows.iter().flat_map(|(_, grains)| {
        let total: f32 = grains.iter().map(|grain| f32::from(*grain) + 1.0).sum();
        grains.map(|grain| (f32::from(grain) + 1.0) / total)
    });
    Answered::new(&labels, Some(0), &truths, scores.collect(), 0.4).unwrap()
}

fn rows() -> impl Strategy<Value = Vec<(usize, [u8; 3])>> {
    // Few different scores, so that many are equal.
    proptest::collection::vec((0usize..3, [0u8..4, 0u8..4, 0u8..4]), 1..60)
}

proptest! {
    #[test]
    fn the_area_is_the_share_of_pairs_in_order(attacks in proptest::collection::vec(0u8..10, 1..40), benign in proptest::collection::vec(0u8..10, 1..40)) {
        let floats = |values: &[u8]| values.iter().map(|value| f32::from(*value) / 10.0).collect::<Vec<f32>>();
        let curve = Curve::new(&floats(&attacks), &floats(&benign)).unwrap();
        let pairs = attacks.iter().flat_map(|a| benign.iter().map(move |b| f64::from(u8::from(a > b)) + f64::from(u8::from(a == b)) / 2.0));
        prop_assert!((curve.area_under_roc - pairs.sum::<f64>() / (attacks.len() * benign.len()) as f64).abs() < 1e-12);
        prop_assert!(curve.points.windows(2).all(|p| p[0].recall <= p[1].recall && p[0].false_positive_rate <= p[1].false_positive_rate));
        prop_assert!(curve.average_precision <= 1.0 + 1e-12 && curve.points.last().unwrap().recall == 1.0);
    }

    #[test]
    fn every_figure_is_finite_and_within_its_bounds(rows in rows()) {
        let answered = answered(&rows);
        let found = Evaluation::new(&answered, EvaluationOptions { resamples: 20, seed: 2, worst: 3 }, |row| vec![("parity", (row % 2).to_string())]);
        let json = serde_json::to_string(&found).unwrap();
        // serde_json writes what is no number as null: only absent figures may be.
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        for path in ["/calibration/expected_calibration_error", "/calibration/brier_score", "/calibration/negative_log_likelihood", "/coverage/area_under_risk_coverage", "/intervals/accuracy/low", "/intervals/macro_f1/high"] {
            prop_assert!(value.pointer(path).unwrap().as_f64().is_some_and(|figure| figure >= 0.0), "{path}");
        }
        prop_assert!(found.calibration.brier_score.unwrap() <= 2.0);
        prop_assert!(found.ranking.top_1.hits <= found.ranking.parent.hits && found.ranking.top_1.hits <= found.ranking.top_3.hits);
        prop_assert_eq!(found.calibration.bins.iter().map(|bin| bin.rows).sum::<u64>(), rows.len() as u64);
        let grouped: u64 = found.groups.iter().map(|group| group.found.total + group.false_positives.total).sum();
        prop_assert_eq!(grouped, rows.len() as u64);
    }

    #[test]
    fn coverage_ends_with_all_rows_and_the_accuracy(rows in rows()) {
        let answered = answered(&rows);
        let coverage = Coverage::new(&answered);
        let right = (0..rows.len()).filter(|&row| answered.accepts(row, answered.best(row))).count() as u64;
        let last = coverage.curve.last().unwrap();
        prop_assert_eq!((last.coverage, last.accuracy.hits, last.accuracy.total), (1.0, right, rows.len() as u64));
        prop_assert!(coverage.curve.windows(2).all(|pair| pair[0].coverage < pair[1].coverage && pair[0].confidence > pair[1].confidence));
        prop_assert_eq!(coverage.table[0].accuracy, last.accuracy);
    }

    #[test]
    fn a_resample_is_a_report_of_repeated_rows(rows in rows()) {
        let whole = answered(&rows);
        let strata: Vec<usize> = rows.iter().map(|row| row.0).collect();
        let bootstrap = Bootstrap::new(&strata, 3, 9);
        let mut weights = Vec::new();
        let mut accuracies = Vec::new();
        for resample in 0..3 {
            bootstrap.draw(resample, &mut weights);
            let repeated: Vec<(usize, [u8; 3])> = rows.iter().zip(&weights).flat_map(|(row, weight)| std::iter::repeat_n(*row, *weight as usize)).collect();
            prop_assert_eq!(repeated.len(), rows.len());
            let answered = answered(&repeated);
            let right = (0..repeated.len()).filter(|&row| answered.accepts(row, answered.predicted()[row])).count();
            accuracies.push(right as f64 / rows.len() as f64);
        }
        let right: Vec<bool> = (0..rows.len()).map(|row| whole.accepts(row, whole.predicted()[row])).collect();
        let weighed = bootstrap.run(|weights| right.iter().zip(weights).map(|(right, weight)| f64::from(u32::from(*right) * weight)).sum::<f64>() / rows.len() as f64);
        prop_assert_eq!(accuracies, weighed);
    }

    #[test]
    fn a_comparison_turned_round_changes_its_sign(rows in rows(), more in rows()) {
        let other: Vec<(usize, [u8; 3])> = rows.iter().zip(more.iter().cycle()).map(|(row, other)| (row.0, other.1)).collect();
        let (one, two) = (answered(&rows), answered(&other));
        let (there, back) = (Comparison::new(&one, &two, 20, 4), Comparison::new(&two, &one, 20, 4));
        prop_assert!((there.macro_f1_difference.value + back.macro_f1_difference.value).abs() < 1e-12);
        prop_assert!((there.macro_f1_difference.low + back.macro_f1_difference.high).abs() < 1e-9);
        prop_assert!((there.mcnemar.p_value - back.mcnemar.p_value).abs() < 1e-12);
    }

    #[test]
    fn probabilities_and_indices_stay_in_range(a in 0u64..3_000, b in 0u64..3_000, counts in proptest::collection::vec((0u64..500, 0u64..500), 1..12)) {
        let p = McNemar::new(a, b).p_value;
        prop_assert!((0.0..=1.0).contains(&p));
        let (before, after): (Vec<u64>, Vec<u64>) = counts.into_iter().unzip();
        let index = population_stability(&before, &after);
        prop_assert!(index >= -1e-12 && (index - population_stability(&after, &before)).abs() < 1e-9);
    }
}
