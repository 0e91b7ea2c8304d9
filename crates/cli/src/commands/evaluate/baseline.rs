//! The baseline that models are measured against.

use super::rows::labelled;
use super::subject::Subject;
use anyhow::{Result, bail};
use attackline_evaluate::{Baseline, BaselineOptions, SparseText};
use attackline_model::ngrams;
use std::path::PathBuf;

/// A text as the baseline reads it.
pub fn sparse(text: &str) -> SparseText {
    ngrams(text, BaselineOptions::default().buckets)
}

/// Trains it on the rows of `paths` whose labels `model` answers with.
pub fn train(paths: &[PathBuf], model: &Subject, threshold: Option<f32>, seed: u64) -> Result<Subject> {
    let mut rows = Vec::new();
    for path in paths {
        rows.extend(labelled(path)?);
    }
    let place = |label: &String| model.labels.iter().position(|name| name == label);
    let (texts, truth): (Vec<_>, Vec<usize>) = rows.iter().filter_map(|row| Some((sparse(&row.text), place(&row.label)?))).unzip();
    if texts.is_empty() {
        bail!("--baseline-train: none of the {} rows has a label that is answered with ({})", rows.len(), model.labels.join(", "));
    }
    let options = BaselineOptions { seed, ..BaselineOptions::default() };
    Ok(Subject::baseline(Baseline::train(texts, &truth, model.labels.len(), options), &model.labels, model.benign, threshold))
}
