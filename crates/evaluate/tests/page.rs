//! The HTML page.
#![allow(clippy::unwrap_used)]

use attackline_evaluate::{
    Answered, Comparison, Document, Drift, Evaluation, EvaluationOptions, Faithfulness, Mistake, ModelFigures, NamedComparison, ObfuscationFigures,
    Observed, Rate, Robustness, ShownError, Vocabulary, html_page,
};

const HOSTILE: &str = "<script>alert('x')</script>\"&\u{1b}[2J<img src=x onerror=alert(1)>";

fn answered(rows: usize, labels: usize, wrong: usize) -> Answered {
    let names: Vec<String> = (0..labels).map(|label| if label == 0 { "Benign".to_owned() } else { format!("T{label}{HOSTILE}") }).collect();
    let truths: Vec<Vec<String>> = (0..rows).map(|row| vec![names[row % labels].clone()]).collect();
    let answer = |row: usize| if row < wrong { (row + 1) % labels } else { row % labels };
    let score = |row: usize, label: usize| if label == answer(row) { 0.75 } else { 0.25 / (labels - 1) as f32 };
    let scores = (0..rows).flat_map(|row| (0..labels).map(move |label| score(row, label))).collect();
    Answered::new(&names, Some(0), &truths, scores, 0.5).unwrap()
}

fn figures(answered: &Answered) -> ModelFigures {
    let options = EvaluationOptions { resamples: 20, seed: 1, worst: 2 };
    let error = ShownError {
        mistake: Mistake::Missed,
        truth: HOSTILE.into(),
        predicted: HOSTILE.into(),
        score: 0.5,
        source: HOSTILE.into(),
        text: HOSTILE.into(),
    };
    ModelFigures {
        model: HOSTILE.into(),
        threshold: 0.5,
        evaluation: Evaluation::new(answered, options, |_| vec![("kind", HOSTILE)]),
        false_positive_rate_by_group: Default::default(),
        worst_errors: vec![error],
        rows_left_out: 0,
        seconds: 1.0,
        samples_per_second: 1.0,
    }
}

fn document(answers: &[Answered]) -> Document {
    let mut words = Vocabulary::default().compare([HOSTILE, HOSTILE], 3);
    words.examples.iter_mut().for_each(|example| example.text = HOSTILE.into());
    let observed = Observed { labels: vec![HOSTILE.into()], scores: vec![0.5], lengths: vec![4.0] };
    let drift = Drift { reference: HOSTILE.into(), new: HOSTILE.into(), model: HOSTILE.into(), ..Drift::new(&observed, &observed, words) };
    let changed = ObfuscationFigures { name: HOSTILE.into(), changed: Rate::new(1, 2), ..Default::default() };
    Document {
        models: answers.iter().map(figures).collect(),
        comparisons: answers
            .iter()
            .skip(1)
            .map(|other| NamedComparison { first: HOSTILE.into(), second: HOSTILE.into(), comparison: Comparison::new(&answers[0], other, 10, 1) })
            .collect(),
        robustness: vec![Robustness { model: HOSTILE.into(), obfuscations: vec![changed] }],
        evidence: vec![Faithfulness { model: HOSTILE.into(), changed_without_evidence: Rate::new(1, 2), ..Default::default() }],
        drift: Some(drift),
    }
}

/// Elements and attributes that a page could be made to run or fetch something with.
fn assert_harmless(page: &str) {
    let lower = page.to_lowercase();
    for forbidden in ["<script", "<img", "<iframe", "<link", "javascript:", "http://", "https://", "@import", "url("] {
        let found: Vec<&str> = lower.match_indices(forbidden).map(|(at, _)| &lower[at..(at + 40).min(lower.len())]).collect();
        assert!(found.iter().all(|part| part.starts_with("http://www.w3.org/2000/svg")), "{forbidden}: {found:?}");
    }
    assert!(!page.contains('\u{1b}') && !page.contains("NaN") && !page.contains(">inf"), "{page}");
    for tag in ["svg", "table", "section", "figure", "div", "td", "text"] {
        let count = |pattern: String| page.matches(&pattern).count();
        let opened = count(format!("<{tag} ")) + count(format!("<{tag}>"));
        assert_eq!(opened, count(format!("</{tag}>")), "{tag}");
    }
}

#[test]
fn nothing_from_a_log_gets_into_the_pages_code() {
    let page = html_page(&document(&[answered(90, 3, 10), answered(90, 3, 30)]));
    assert_harmless(&page);
    assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;") && page.contains("default-src 'none'"));
    for part in ["ROC", "Reliability", "Confusion matrix", "Operating points", "McNemar", "Obfuscated", "Drift", "prefers-color-scheme:dark"] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn many_labels_and_few_rows_make_a_page_too() {
    assert_harmless(&html_page(&document(&[answered(200, 60, 50)])));
    assert_harmless(&html_page(&document(&[answered(1, 2, 0)])));
    assert_harmless(&html_page(&Document::default()));
    assert!(html_page(&document(&[answered(200, 60, 50)])).contains("Labels confused most"));
}
