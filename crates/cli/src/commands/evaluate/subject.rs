//! What is measured: a model, the baseline, or Sigma rules.

use super::rows::Rows;
use super::sigma::SigmaRules;
use crate::diagnostics::Diagnostics;
use crate::pipeline::{self, Answer};
use anyhow::{Context, Result, bail};
use attackline_dataset::Row;
use attackline_evaluate::{Answered, Baseline, NO_TECHNIQUE};
use attackline_findings::{Evidence, LabelView};
use attackline_model::{AnswerCache, Classifier};
use attackline_telemetry::{Event, LogLine};
use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Instant;

/// Something that answers lines with a probability for each label.
pub struct Subject {
    /// What it is called.
    pub name: String,
    /// The labels that it answers with.
    pub labels: Vec<String>,
    /// The place of Benign.
    pub benign: Option<usize>,
    /// Probability from which an attack label counts.
    pub threshold: f32,
    kind: Kind,
}

/// What is asked about: a text, and the row that it is of or was made from, where there is one.
#[derive(Clone, Copy)]
pub struct Line<'a> {
    /// The text.
    pub text: &'a str,
    /// What started it, where that is known.
    pub parent: Option<&'a str>,
    /// What else is known of it. Rules read it; models read text and parent.
    pub row: Option<&'a Row>,
}

impl<'a> From<&'a str> for Line<'a> {
    fn from(text: &'a str) -> Self {
        Self { text, parent: None, row: None }
    }
}

impl<'a> From<&'a Row> for Line<'a> {
    fn from(row: &'a Row) -> Self {
        let parent = Some(row.parent.as_str()).filter(|parent| !parent.is_empty());
        Self { text: &row.text, parent, row: Some(row) }
    }
}

impl<'a> Line<'a> {
    /// The same line with another text.
    pub fn with_text(self, text: &'a str) -> Self {
        Self { text, ..self }
    }

    fn log_line(self) -> LogLine {
        let event = Event { parent: self.parent.map(str::to_owned), ..Event::default() };
        LogLine { text: self.text.to_owned(), event, ..LogLine::default() }
    }
}

/// Probability from which a rule's match counts as an attack, which is any match: `--sigma-level` says which rules count.
const RULES_THRESHOLD: f32 = 0.5;

/// A text's answer and what carries it.
pub struct Explained {
    /// The label, an index.
    pub label: usize,
    /// The parts of the text that carry it.
    pub evidence: Vec<Evidence>,
}

enum Kind {
    Model(Box<dyn Classifier>, LabelView),
    Baseline(Baseline),
    Rules(SigmaRules),
}

impl Subject {
    /// A model that answers with all its labels, or with Benign and `labels`.
    pub fn model(engine: Box<dyn Classifier>, labels: &[String], threshold: Option<f32>) -> Result<Self> {
        let view = if labels.is_empty() { LabelView::all(engine.labels()) } else { LabelView::only(engine.labels(), labels).context("--labels")? };
        Ok(Self {
            name: engine.name().to_owned(),
            labels: view.names().to_vec(),
            benign: view.benign(),
            threshold: threshold.unwrap_or_else(|| view.default_threshold(engine.threshold())),
            kind: Kind::Model(engine, view),
        })
    }

    /// The baseline; its threshold is 0.5 unless another is given.
    pub fn baseline(baseline: Baseline, labels: &[String], benign: Option<usize>, threshold: Option<f32>) -> Self {
        let name = "n-gram baseline".to_owned();
        Self { name, labels: labels.to_vec(), benign, threshold: threshold.unwrap_or(0.5), kind: Kind::Baseline(baseline) }
    }

    /// Sigma rules, which answer with `labels` and with attacks of no technique among them.
    pub fn rules(rules: SigmaRules, labels: &[String], benign: Option<usize>) -> Self {
        let labels = labels.iter().cloned().chain([NO_TECHNIQUE.to_owned()]).collect();
        Self { name: rules.name(), labels, benign, threshold: RULES_THRESHOLD, kind: Kind::Rules(rules) }
    }

    /// Answers all rows; the seconds are those of classifying.
    pub fn answer(&self, rows: &Rows, threads: usize, diagnostics: &Diagnostics) -> Result<(Answered, f64)> {
        let start = Instant::now();
        let scores = self.scores(rows.rows.iter(), rows.rows.len(), threads, diagnostics)?;
        let seconds = start.elapsed().as_secs_f64();
        Ok((self.answered(&rows.truths(), scores)?, seconds))
    }

    /// Answers that were given to rows with these labels.
    pub fn answered(&self, truths: &[Vec<String>], scores: Vec<f32>) -> Result<Answered> {
        Answered::new(&self.labels, self.benign, truths, scores, self.threshold)
            .with_context(|| format!("the answers of {} can't be measured", self.name))
    }

    /// The label of the answer to each line: the most probable one, whatever the threshold.
    pub fn answers(&self, lines: &[Line<'_>], threads: usize, diagnostics: &Diagnostics) -> Result<Vec<usize>> {
        let scores = self.scores(lines.iter().copied(), lines.len(), threads, diagnostics)?;
        let answered = self.answered(&vec![vec![self.labels[0].clone()]; lines.len()], scores)?;
        Ok((0..lines.len()).map(|row| answered.best(row)).collect())
    }

    /// The evidence for the answer to each line, and that answer's label; `None` of the baseline and of rules, which mark nothing.
    pub fn evidence(&self, lines: &[Line<'_>], threads: usize, diagnostics: &Diagnostics) -> Result<Option<Vec<Explained>>> {
        let Kind::Model(engine, view) = &self.kind else { return Ok(None) };
        let lines = lines.iter().map(|line| Ok::<_, Infallible>(line.log_line()));
        let explain = pipeline::explain(engine.as_ref(), view, self.threshold);
        let mut found = Vec::new();
        let _rest = pipeline::run(lines, engine.as_ref(), threads, diagnostics, &AnswerCache::new(0), &explain, |answers| {
            let label = |answer: &Answer| view.decide(&answer.prediction.scores, self.threshold).label;
            found.extend(answers.into_iter().map(|answer| Explained { label: label(&answer), evidence: answer.evidence.unwrap_or_default() }));
            Ok(())
        })?;
        Ok(Some(found))
    }

    /// The probabilities of `count` lines, one a label, row after row.
    pub fn scores<'a, L: Into<Line<'a>>>(
        &self,
        lines: impl Iterator<Item = L> + Send,
        count: usize,
        threads: usize,
        diagnostics: &Diagnostics,
    ) -> Result<Vec<f32>> {
        let mut scores = Vec::with_capacity(count * self.labels.len());
        let lines = lines.map(|line| -> Line<'a> { line.into() });
        match &self.kind {
            Kind::Rules(rules) => scores = rules.scores(lines, count, &self.labels, self.benign)?,
            Kind::Baseline(baseline) => lines.for_each(|line| scores.extend(baseline.predict(super::baseline::sparse(line.text)))),
            Kind::Model(engine, view) => {
                let lines = lines.map(|line| Ok::<_, Infallible>(line.log_line()));
                let _rest = pipeline::run(lines, engine.as_ref(), threads, diagnostics, &AnswerCache::new(0), &|_| (), |answers| {
                    let attacks = answers.iter().fold(0, |attacks, answer| {
                        let decision = view.decide(&answer.prediction.scores, self.threshold);
                        scores.extend_from_slice(&decision.scores);
                        attacks + u64::from(decision.is_attack)
                    });
                    diagnostics.advance(answers.len() as u64, attacks);
                    Ok(())
                })?;
            }
        }
        let answered = scores.len() / self.labels.len();
        if answered != count {
            bail!("{} rows could not be classified; see the messages above", count - answered);
        }
        Ok(scores)
    }
}

/// Gives models of one name their folder's name too.
pub fn tell_apart(subjects: &mut [Subject], paths: &[PathBuf]) {
    let names: Vec<String> = subjects.iter().map(|subject| subject.name.clone()).collect();
    for (index, subject) in subjects.iter_mut().enumerate() {
        if names.iter().filter(|name| **name == subject.name).count() > 1 {
            subject.name = format!("{} ({})", subject.name, paths.get(index).map_or_else(String::new, |path| path.display().to_string()));
        }
    }
}
