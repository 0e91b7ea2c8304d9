//! How a request wants its lines answered.

use crate::ApiError;
use crate::models::LoadedModel;
use attackline_findings::LabelView;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The most labels that `top` may ask for.
const MOST_TOP: usize = 1000;

/// What a request says, in its JSON or in its query.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Asked {
    /// How many of the most probable labels to list.
    #[serde(default, deserialize_with = "whole")]
    pub top: Option<usize>,
    /// Whether to give the probability of every label.
    pub scores: Option<bool>,
    /// Whether to mark the parts that carry a decision.
    pub explain: Option<bool>,
    /// Benign and these labels only.
    pub labels: Option<Vec<String>>,
    /// The probability of an attack from which a line is a finding.
    pub threshold: Option<f64>,
    /// The model.
    pub model: Option<String>,
    /// What is no option.
    #[serde(flatten)]
    pub others: BTreeMap<String, Value>,
}

/// The same, checked.
#[derive(Debug, Clone)]
pub struct LineOptions {
    /// The labels that are answered with.
    pub view: LabelView,
    /// The probability of an attack from which a line is a finding.
    pub threshold: f32,
    /// How many labels are listed.
    pub top: usize,
    /// Whether every label's probability is given.
    pub scores: bool,
    /// Whether evidence is looked for.
    pub explain: bool,
}

impl Asked {
    /// What is asked here, and where nothing is, what is asked there.
    pub fn or(self, other: Self) -> Self {
        Self {
            top: self.top.or(other.top),
            scores: self.scores.or(other.scores),
            explain: self.explain.or(other.explain),
            labels: self.labels.or(other.labels),
            threshold: self.threshold.or(other.threshold),
            model: self.model.or(other.model),
            others: self.others.into_iter().chain(other.others).collect(),
        }
    }

    /// Checks what was asked of this model.
    pub fn check(&self, model: &LoadedModel) -> Result<LineOptions, ApiError> {
        if let Some(name) = self.others.keys().next() {
            return Err(ApiError::invalid(
                "option",
                format!("there is no option {name:?}; there are model, labels, threshold, top, scores and explain"),
            ));
        }
        let labels = model.classifier.labels();
        let chosen = self.labels.as_deref().unwrap_or_default();
        let view = if chosen.is_empty() { Ok(LabelView::all(labels)) } else { LabelView::only(labels, chosen) };
        let view = view.map_err(|error| ApiError::invalid("unknown_label", format!("labels: {error}")))?;
        let threshold = self.threshold.unwrap_or_else(|| view.default_threshold(model.classifier.threshold()).into());
        if !(0.0..=1.0).contains(&threshold) {
            return Err(ApiError::invalid("threshold", "threshold: a number from 0 to 1 is wanted"));
        }
        let top = self.top.unwrap_or(1);
        if !(1..=MOST_TOP).contains(&top) {
            return Err(ApiError::invalid("top", format!("top: a number from 1 to {MOST_TOP} is wanted")));
        }
        Ok(LineOptions { view, threshold: threshold as f32, top, scores: self.scores.unwrap_or(false), explain: self.explain.unwrap_or(false) })
    }
}

/// A whole number, which JSON may also write as `5.0`.
fn whole<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    let Some(number) = Option::<f64>::deserialize(deserializer)? else { return Ok(None) };
    if number.fract() != 0.0 || number < 0.0 {
        return Err(serde::de::Error::custom(format!("{number} is no whole number")));
    }
    // What is too large stays too large.
    Ok(Some(number as usize))
}
