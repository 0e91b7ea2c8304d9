//! The baseline that models are measured against.

use super::rows::{file_of, instead, labelled, shown};
use super::subject::Subject;
use crate::diagnostics::say;
use anyhow::{Result, bail};
use attackline_evaluate::{Baseline, BaselineOptions, SparseText};
use attackline_model::ngrams;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A text as the baseline reads it.
pub fn sparse(text: &str) -> SparseText {
    ngrams(text, BaselineOptions::default().buckets)
}

/// Trains it on the rows of `paths` whose labels `model` answers with.
pub fn train(paths: &[PathBuf], model: &Subject, threshold: Option<f32>, seed: u64) -> Result<Subject> {
    let mut rows = Vec::new();
    for path in paths {
        rows.extend(labelled(&file_of(path, "train.csv")?)?);
    }
    let place = |label: &String| model.labels.iter().position(|name| name == label);
    let (texts, truth): (Vec<_>, Vec<usize>) = rows.iter().filter_map(|row| Some((sparse(&row.text), place(&row.label)?))).unzip();
    let mut others = BTreeMap::new();
    rows.iter().filter(|row| place(&row.label).is_none()).for_each(|row| *others.entry(row.label.clone()).or_default() += 1);
    if rows.is_empty() {
        bail!("--baseline-train: there are no rows to train on");
    }
    if texts.is_empty() {
        bail!("--baseline-train: none of the {} rows has a label that is answered with{}", rows.len(), instead(&others, &model.labels));
    }
    if !others.is_empty() {
        say(format_args!("--baseline-train: {} rows left out: their labels are not answered with: {}", rows.len() - texts.len(), shown(&others)));
    }
    let options = BaselineOptions { seed, ..BaselineOptions::default() };
    Ok(Subject::baseline(Baseline::train(texts, &truth, model.labels.len(), options), &model.labels, model.benign, threshold))
}
