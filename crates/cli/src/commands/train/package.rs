//! From the weights of a run to a model folder.

use super::{Args, card, data::Rows, place};
use crate::diagnostics::say;
use crate::exit::Status;
use anyhow::{Context, Result};
use attackline_engine::Engine;
use attackline_evaluate::{Report, SeveralReport, fit_independent_temperature, fit_temperature, temperature_is_at_bound};
use attackline_model::{Labels, ModelFolder, Settings, TokenBatch, TrainingSummary};
use attackline_train::{Example, Method, Outcome, TrainSettings, TrainingData, curves, write_adapter};
use std::path::Path;

/// A run that is over.
pub struct Run<'a> {
    pub args: &'a Args,
    pub base: &'a ModelFolder,
    pub rows: &'a Rows,
    pub data: &'a TrainingData,
    pub settings: &'a TrainSettings,
    pub outcome: &'a Outcome,
    /// Numbers that were trained, and all.
    pub counts: (usize, usize),
}

impl Run<'_> {
    /// Calibrates the best weights on the validation rows, says how well they do there, and writes the folder.
    pub fn finish(&self, labels: Labels) -> Result<Status> {
        let output = &self.args.output;
        let name = output.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let max_length = self.args.max_length.min(self.base.spec.longest);
        let plain = Settings { name, max_length, training: Some(self.summary()), ..Settings::default() };
        let mut folder = self.base.with_head(labels, plain, self.outcome.weights.clone())?;
        let checked = Checked::new(&folder, &self.data.validation)?;
        say(format_args!(
            "on the {} validation rows, with which the epoch and the temperature were chosen:\n{}\n{}",
            self.data.validation.len(),
            checked.table.trim_end(),
            checked.rule
        ));
        if temperature_is_at_bound(checked.temperature) {
            say(format_args!("warning: {}", bound_words(checked.temperature)));
        }
        folder.change_settings(|settings| settings.temperature = checked.temperature);
        folder.files.insert("training.svg".into(), curves(&folder.settings.name, &self.outcome.losses, &self.outcome.epochs).into_bytes());
        folder.files.insert("README.md".into(), card::card(&folder, self, &checked.table, checked.rule).into_bytes());
        place::put(output, self.args.clobber, |fresh| self.write(&folder, fresh))?;
        say(format_args!("{}: the weights of epoch {}, temperature {:.3}", output.display(), self.outcome.best_epoch, checked.temperature));
        Ok(Status::Done)
    }

    /// Writes the model, or the adapter alone, to a folder that isn't there yet.
    fn write(&self, folder: &ModelFolder, output: &Path) -> Result<()> {
        match &self.settings.selection.method {
            Method::Lora(lora) if self.args.method.no_merge => {
                let base_name = self.args.base.to_string_lossy();
                // Labels and settings go with the adapter, for `model merge`; peft takes no notice of them.
                let kept = ["config.json", "attackline.json", "README.md", "training.svg"];
                let files: Vec<(&str, &[u8])> = kept.iter().filter_map(|name| Some((*name, folder.files.get(*name)?.as_slice()))).collect();
                write_adapter(output, self.base, &base_name, lora, &self.outcome.trained, &files)?;
            }
            _ => folder.write(output)?,
        }
        Ok(())
    }

    fn summary(&self) -> TrainingSummary {
        let best = self.outcome.epochs.iter().find(|report| report.epoch == self.outcome.best_epoch);
        let figures = best.map(|best| [("loss", Some(best.validation_loss)), ("accuracy", Some(best.accuracy)), ("macro_f1", best.macro_f1)]);
        TrainingSummary {
            base: self.args.base.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            method: self.args.method.name(),
            settings: described(self.settings),
            data: self.rows.sources.iter().map(|source| (source.name.clone(), source.hash.clone())).collect(),
            validation: figures.into_iter().flatten().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
        }
    }
}

/// What the validation rows say.
struct Checked {
    temperature: f32,
    /// The report, laid out.
    table: String,
    /// How the rows were answered for it.
    rule: &'static str,
}

/// How rows are answered where they have one label.
const ONE_LABEL: &str = "Each row is answered here with its most probable label of all; attackline evaluate asks first whether the probability of an \
                         attack reaches the threshold, so its figures may differ.";

/// How rows are answered where they may have several.
const SEVERAL_LABELS: &str = "Each row is answered here with the labels that are more probable than not; attackline evaluate counts a row as an attack \
                              where the probability of one reaches the threshold, so its figures may differ.";

/// What a temperature says that could not be fitted.
fn bound_words(temperature: f32) -> String {
    let why = if temperature < 1.0 {
        "hardly a validation row is answered wrongly, which says little about how sure answers may be: validate with more rows, and harder ones"
    } else {
        "the answers to the validation rows are little better than guesses: look at the report above before you use the model"
    };
    format!("the temperature ends at a bound of its range ({temperature:.2}), so probabilities are not to be relied on; {why}")
}

impl Checked {
    fn new(folder: &ModelFolder, rows: &[Example]) -> Result<Self> {
        let engine = Engine::new(folder)?;
        let labels = folder.labels.as_ref().context("a model without labels")?;
        let mut logits = Vec::with_capacity(rows.len() * labels.len());
        for chunk in rows.chunks(64) {
            logits.extend(engine.logits(&chunk.iter().map(|row| row.ids.as_slice()).collect::<TokenBatch>()));
        }
        let answers = logits.chunks_exact(labels.len());
        let truth: Vec<Vec<usize>> = rows.iter().map(|row| row.labels.clone()).collect();
        if labels.several() {
            let predicted: Vec<Vec<usize>> = answers.map(|row| (0..row.len()).filter(|&label| row[label] > 0.0).collect()).collect();
            let temperature = fit_independent_temperature(&logits, labels.len(), &truth);
            let table = SeveralReport::new(labels.names(), &truth, &predicted).to_string();
            return Ok(Self { temperature, table, rule: SEVERAL_LABELS });
        }
        let truth: Vec<usize> = truth.iter().map(|labels| labels[0]).collect();
        let predicted: Vec<usize> =
            answers.map(|row| (0..row.len()).fold(0, |best, label| if row[label] > row[best] { label } else { best })).collect();
        let temperature = fit_temperature(&logits, labels.len(), &truth);
        Ok(Self { temperature, table: Report::new(labels.names(), &truth, &predicted).to_string(), rule: ONE_LABEL })
    }
}

fn described(settings: &TrainSettings) -> Vec<String> {
    let value = serde_json::to_value(settings).unwrap_or_default();
    let known = value.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    known.map(|(key, value)| format!("{key}={}", value.to_string().trim_matches('"'))).collect()
}
