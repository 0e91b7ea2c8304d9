//! New lines beside those of training.

use super::figures::shown;
use super::rows::{file_of, labelled};
use super::subject::Subject;
use crate::diagnostics::Diagnostics;
use crate::exit::Unreadable;
use anyhow::{Result, bail};
use attackline_dataset::Random;
use attackline_evaluate::{Drift, Observed, Vocabulary};
use attackline_telemetry::{InputPath, Inputs, ReadOptions};
use std::path::Path;

/// New lines read at most.
const MOST_LINES: usize = 200_000;

/// Lines of either that are classified at most: enough for shares to a hundredth.
const CLASSIFIED: usize = 2_000;

/// Compares the log `new` with the labelled lines `train`.
pub fn measure(train: &Path, new: &Path, subject: &Subject, threads: usize, seed: u64, examples: usize, diagnostics: &Diagnostics) -> Result<Drift> {
    let reference: Vec<String> = labelled(&file_of(train, "train.csv")?)?.into_iter().map(|row| row.text).collect();
    let mut lines = Vec::new();
    for line in Inputs::new(vec![InputPath::from(new.to_owned())], ReadOptions::default()).take(MOST_LINES) {
        match line {
            Ok(line) => lines.push(line.text),
            Err(error) => diagnostics.error(&error),
        }
    }
    for (name, lines) in [(train, &reference), (new, &lines)] {
        if lines.is_empty() && diagnostics.errors() > 0 {
            return Err(Unreadable(format!("--drift: no line of {} could be read", name.display())).into());
        }
        if lines.is_empty() {
            bail!("--drift: there are no lines in {}", name.display());
        }
    }
    let mut vocabulary = Vocabulary::default();
    reference.iter().for_each(|text| vocabulary.add(text));
    let mut words = vocabulary.compare(lines.iter().map(String::as_str), examples);
    words.examples.iter_mut().for_each(|example| example.text = shown(&lines[example.line]));
    let before = observe(&reference, subject, threads, seed, diagnostics)?;
    let after = observe(&lines, subject, threads, seed, diagnostics)?;
    Ok(Drift {
        reference: shown(&train.display().to_string()),
        new: shown(&new.display().to_string()),
        model: subject.name.clone(),
        ..Drift::new(&before, &after, words)
    })
}

fn observe(lines: &[String], subject: &Subject, threads: usize, seed: u64, diagnostics: &Diagnostics) -> Result<Observed> {
    let mut order: Vec<usize> = (0..lines.len()).collect();
    Random::new(seed, 0).shuffle(&mut order);
    order.truncate(CLASSIFIED);
    let scores = subject.scores(order.iter().map(|&line| lines[line].as_str()), order.len(), threads, diagnostics)?;
    let truths = vec![vec![subject.labels[0].clone()]; order.len()];
    let answered = subject.answered(&truths, scores)?;
    Ok(Observed {
        labels: answered.predicted().iter().map(|&label| subject.labels[label].clone()).collect(),
        scores: (0..answered.len()).map(|row| f64::from(answered.confidence(row))).collect(),
        lengths: lines.iter().map(|line| line.chars().count() as f64).collect(),
    })
}
