//! How a request wants its lines answered.

use crate::ApiError;
use crate::models::LoadedModel;
use attackline_findings::LabelView;
use serde::Deserialize;

/// The most labels that `top` may ask for.
const MOST_TOP: usize = 1000;

/// What a request says, in its JSON or in its query.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Asked {
    /// How many of the most probable labels to list.
    pub top: Option<usize>,
    /// Whether to give the probability of every label.
    #[serde(default)]
    pub scores: bool,
    /// Whether to mark the parts that carry a decision.
    #[serde(default)]
    pub explain: bool,
    /// Benign and these labels only.
    pub labels: Option<Vec<String>>,
    /// The probability of an attack from which a line is a finding.
    pub threshold: Option<f32>,
    /// The model.
    pub model: Option<String>,
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
    /// Checks what was asked of this model.
    pub fn check(&self, model: &LoadedModel) -> Result<LineOptions, ApiError> {
        let labels = model.classifier.labels();
        let chosen = self.labels.as_deref().unwrap_or_default();
        let view = if chosen.is_empty() { Ok(LabelView::all(labels)) } else { LabelView::only(labels, chosen) };
        let view = view.map_err(|error| ApiError::invalid("unknown_label", format!("labels: {error}")))?;
        let threshold = self.threshold.unwrap_or_else(|| view.default_threshold(model.classifier.threshold()));
        if !(0.0..=1.0).contains(&threshold) {
            return Err(ApiError::invalid("threshold", "threshold: a number from 0 to 1 is wanted"));
        }
        let top = self.top.unwrap_or(1);
        if !(1..=MOST_TOP).contains(&top) {
            return Err(ApiError::invalid("top", format!("top: a number from 1 to {MOST_TOP} is wanted")));
        }
        Ok(LineOptions { view, threshold, top, scores: self.scores, explain: self.explain })
    }
}
