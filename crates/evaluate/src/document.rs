//! What a report holds: the figures of every model, and what was measured beside them.

use crate::{Comparison, Drift, Evaluation, Mistake, Rate};
use serde::Serialize;
use std::collections::BTreeMap;

/// A wrong answer with its line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShownError {
    /// How it is wrong.
    pub mistake: Mistake,
    /// The right label.
    pub truth: String,
    /// The label predicted.
    pub predicted: String,
    /// The probability of it.
    pub score: f32,
    /// File and row of the line.
    pub source: String,
    /// The line, control characters escaped and cut.
    pub text: String,
}

/// One model's figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelFigures {
    /// What the model is called.
    pub model: String,
    /// The probability from which an attack label counts.
    pub threshold: f32,
    /// All figures.
    #[serde(flatten)]
    pub evaluation: Evaluation,
    /// False-positive rates of benign rows by `column=value` of `realism` and `hard`.
    pub false_positive_rate_by_group: BTreeMap<String, Rate>,
    /// The surest wrong answers.
    pub worst_errors: Vec<ShownError>,
    /// Rows whose labels are not answered with.
    pub rows_left_out: usize,
    /// Seconds that classifying took.
    pub seconds: f64,
    /// Rows a second.
    pub samples_per_second: f64,
}

/// A comparison with the models' names.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NamedComparison {
    /// The first model.
    pub first: String,
    /// The second model.
    pub second: String,
    /// The tests.
    #[serde(flatten)]
    pub comparison: Comparison,
}

/// The answers to lines of one obfuscation, before and after it was put on.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ObfuscationFigures {
    /// The obfuscation.
    pub name: String,
    /// Lines whose most probable label is another one after it.
    pub changed: Rate,
    /// Attack lines reported as some attack before.
    pub found_before: Rate,
    /// Attack lines reported as some attack after.
    pub found_after: Rate,
    /// Attack lines whose most probable label is right, before.
    pub top_1_before: Rate,
    /// Attack lines whose most probable label is right, after.
    pub top_1_after: Rate,
    /// Benign lines reported before.
    pub false_positives_before: Rate,
    /// Benign lines reported after.
    pub false_positives_after: Rate,
}

/// Obfuscations of one model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Robustness {
    /// The model.
    pub model: String,
    /// By obfuscation, and `any` for all of them.
    pub obfuscations: Vec<ObfuscationFigures>,
}

/// Whether the evidence that a model gives is what it decides by (deletion tests, after DeYoung et al. 2020): shares of the lines that it
/// called an attack and marked evidence in.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Faithfulness {
    /// The model.
    pub model: String,
    /// Lines whose answer is another without the marked parts.
    pub changed_without_evidence: Rate,
    /// Lines whose answer is another without about as many letters drawn at random from the rest of the words.
    pub changed_without_others: Rate,
    /// Lines whose answer is the same where nothing but the marked parts is left.
    pub same_with_evidence_alone: Rate,
    /// The marked parts' share of all letters.
    pub marked_share: f64,
}

/// All that is reported.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Document {
    /// Each model's figures, those of the baseline and of rules last.
    pub models: Vec<ModelFigures>,
    /// The first model against each other one.
    pub comparisons: Vec<NamedComparison>,
    /// Each model under obfuscations.
    pub robustness: Vec<Robustness>,
    /// Each model's evidence.
    pub evidence: Vec<Faithfulness>,
    /// New lines beside training lines.
    pub drift: Option<Drift>,
}
