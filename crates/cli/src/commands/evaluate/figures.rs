//! From answers to figures, and the figures as JSON.

use super::rows::Rows;
use super::subject::Subject;
use anyhow::Result;
use attackline_evaluate::{
    Answered, Document, Drift, Evaluation, EvaluationOptions, Faithfulness, ModelFigures, NamedComparison, Rate, Robustness, ShownError,
};
use attackline_findings::escape;
use serde::Serialize;
use std::collections::BTreeMap;

/// Columns of a shown line.
const TEXT_COLUMNS: usize = 300;

/// Measures one model's answers.
pub fn measure(rows: &Rows, subject: &Subject, answered: &Answered, options: EvaluationOptions, seconds: f64) -> ModelFigures {
    let evaluation = Evaluation::new(answered, options, |row| rows.properties(row));
    let groups = evaluation.groups.iter().filter(|group| matches!(group.column.as_str(), "realism" | "hard") && group.false_positives.total > 0);
    let false_positive_rate_by_group: BTreeMap<String, Rate> =
        groups.map(|group| (format!("{}={}", group.column, group.value), group.false_positives)).collect();
    let worst_errors = evaluation.worst.iter().map(|wrong| ShownError {
        mistake: wrong.mistake,
        truth: subject.labels[wrong.truth].clone(),
        predicted: subject.labels[wrong.predicted].clone(),
        score: wrong.score,
        source: escape::shown(&rows.place(wrong.row)).into_owned(),
        text: shown(&rows.rows[wrong.row].text),
    });
    ModelFigures {
        model: subject.name.clone(),
        threshold: subject.threshold,
        worst_errors: worst_errors.collect(),
        evaluation,
        false_positive_rate_by_group,
        rows_left_out: rows.left_out,
        seconds,
        samples_per_second: rows.rows.len() as f64 / seconds.max(1e-9),
    }
}

/// A line as it may be shown.
pub fn shown(text: &str) -> String {
    escape::fit(text, TEXT_COLUMNS)
}

/// The first model's figures at the top, as they have always been, the others below.
#[derive(Serialize)]
struct Json<'a> {
    #[serde(flatten)]
    first: Option<&'a ModelFigures>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    other_models: &'a [ModelFigures],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    comparisons: &'a [NamedComparison],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    robustness: &'a [Robustness],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    evidence: &'a [Faithfulness],
    #[serde(skip_serializing_if = "Option::is_none")]
    drift: &'a Option<Drift>,
}

/// Everything as JSON.
pub fn json(document: &Document) -> Result<String> {
    let json = Json {
        first: document.models.first(),
        other_models: document.models.get(1..).unwrap_or_default(),
        comparisons: &document.comparisons,
        robustness: &document.robustness,
        evidence: &document.evidence,
        drift: &document.drift,
    };
    Ok(format!("{}\n", serde_json::to_string_pretty(&json)?))
}
