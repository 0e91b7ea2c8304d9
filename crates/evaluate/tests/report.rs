//! The report against scikit-learn's and against its own definition.
#![allow(clippy::unwrap_used)]

use attackline_evaluate::{NO_TECHNIQUE, Report};
use proptest::prelude::*;

fn labels(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn repeat(runs: &[(usize, usize)]) -> Vec<usize> {
    runs.iter().flat_map(|&(label, count)| std::iter::repeat_n(label, count)).collect()
}

/// `classification_report(truth, predicted, digits=4, zero_division=0)` of scikit-learn, then the matrix.
const EXPECTED: &str = "              precision    recall  f1-score   support

      Benign     0.8000    0.8000    0.8000        10
   T1003.002     0.6667    0.8000    0.7273         5
       T1049     0.7500    0.7500    0.7500         4
   T1087.001     0.0000    0.0000    0.0000         1

    accuracy                         0.7500        20
   macro avg     0.5542    0.5875    0.5693        20
weighted avg     0.7167    0.7500    0.7318        20

true \\ predicted     Benign  T1003.002      T1049  T1087.001
          Benign          8          1          1          0
       T1003.002          1          4          0          0
           T1049          0          1          3          0
       T1087.001          1          0          0          0
";

#[test]
fn prints_what_scikit_learn_prints() {
    let truth = repeat(&[(0, 10), (1, 5), (2, 4), (3, 1)]);
    let predicted = repeat(&[(0, 8), (1, 1), (2, 1), (1, 4), (0, 1), (2, 3), (1, 1), (0, 1)]);
    let report = Report::new(&labels(&["Benign", "T1003.002", "T1049", "T1087.001"]), &truth, &predicted);
    assert_eq!(report.to_string(), EXPECTED);
}

#[test]
fn a_label_without_rows_counts_as_nought() {
    let report = Report::new(&labels(&["a", "b", "c"]), &[0, 0, 1], &[0, 2, 1]);
    assert_eq!((report.macro_average.precision, report.macro_average.recall), (2.0 / 3.0, 0.5));
    assert_eq!((report.weighted_average.precision, report.weighted_average.recall), (1.0, 2.0 / 3.0));
    assert_eq!((report.classes[2].precision, report.classes[2].support), (0.0, 0));
}

/// scikit-learn's `f1_score(["Benign", "T7"], ["Benign", "T7"], average="macro")` is 1, whatever else a model could have said.
#[test]
fn labels_that_do_not_occur_are_in_no_average() {
    let mut names: Vec<String> = (0..692).map(|label| format!("T{label}")).collect();
    for kept in [692, 12] {
        names.truncate(kept);
        let report = Report::new(&names, &[0, 7], &[0, 7]);
        assert_eq!((report.macro_average.precision, report.macro_average.recall, report.macro_average.f1), (1.0, 1.0, 1.0));
        assert_eq!(report.occurring().map(|class| class.label.as_str()).collect::<Vec<_>>(), ["T0", "T7"]);
        let text = report.to_string();
        assert!(text.contains(&format!("{kept} labels, {} of them neither in the data nor among the answers", kept - 2)), "{text}");
        assert!(!text.contains("0.0000"), "{text}");
    }
    assert_eq!(Report::new(&names, &[0, 7], &[0, 3]).macro_average.f1, 1.0 / 3.0, "a label that was answered counts");
    assert_eq!(Report::new(&names[..2], &[0, 1], &[0, 1]).absent_labels(), None);
}

#[test]
fn no_rows_give_no_figures_and_no_nan() {
    let report = Report::new(&labels(&["a", "b"]), &[], &[]);
    assert_eq!((report.accuracy, report.total, report.weighted_average.f1), (0.0, 0, 0.0));
    assert!(!report.to_string().contains("NaN"));
}

#[test]
#[should_panic(expected = "one true and one predicted")]
fn lengths_must_agree() {
    Report::new(&labels(&["a"]), &[0, 0], &[0]);
}

proptest! {
    #[test]
    fn figures_follow_from_their_definitions(rows in proptest::collection::vec((0usize..4, 0usize..4), 1..200)) {
        let (truth, predicted): (Vec<usize>, Vec<usize>) = rows.iter().copied().unzip();
        let report = Report::new(&labels(&["a", "b", "c", "d"]), &truth, &predicted);
        let right = rows.iter().filter(|(a, b)| a == b).count() as f64;
        prop_assert!((report.accuracy - right / rows.len() as f64).abs() < 1e-12);
        prop_assert!((report.weighted_average.recall - report.accuracy).abs() < 1e-12, "weighted recall is the accuracy");
        for (index, class) in report.classes.iter().enumerate() {
            prop_assert_eq!(class.support, truth.iter().filter(|label| **label == index).count() as u64);
            let harmonic = if class.precision + class.recall == 0.0 { 0.0 } else { 2.0 * class.precision * class.recall / (class.precision + class.recall) };
            prop_assert!((class.f1 - harmonic).abs() < 1e-12);
        }
    }
}

#[test]
fn hundreds_of_labels_are_shown_by_what_occurs() {
    let labels: Vec<String> = (0..300).map(|label| format!("T{label}")).collect();
    let report = Report::new(&labels, &[0, 0, 0, 7, 7], &[0, 9, 9, 7, 0]);
    let text = report.to_string();
    assert!(text.contains("2  T9 for T0") && text.contains("1  T0 for T7") && !text.contains("true \\ predicted"), "{text}");
    assert!(text.contains("300 labels, 297 of them neither") && text.lines().count() < 20, "{text}");
    assert_eq!(report.confusions(), [(0, 9, 2), (7, 0, 1)]);
}

#[test]
fn averages_leave_out_the_label_that_no_row_can_have() {
    let (truth, predicted) = (repeat(&[(0, 4), (1, 4)]), repeat(&[(0, 4), (1, 2), (2, 2)]));
    let report = Report::new(&labels(&["Benign", "T1049", NO_TECHNIQUE]), &truth, &predicted);
    assert!((report.macro_average.f1 - (1.0 + 2.0 / 3.0) / 2.0).abs() < 1e-12);
    assert_eq!((report.accuracy, report.matrix[1][2]), (0.75, 2));
}
