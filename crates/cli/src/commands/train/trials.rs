//! `--trials`: a small search over settings, as random search does it (Bergstra and Bengio 2012).

use super::session;
use crate::diagnostics::say;
use anyhow::{Context, Result};
use attackline_dataset::Random;
use attackline_model::{Labels, ModelFolder};
use attackline_train::{Method, Outcome, TrainSettings, Trainer, TrainingData};
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

/// Where finished trials are kept, in the folder of checkpoints.
const FILE: &str = "trials.ndjson";

/// A finished trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Trial {
    trial: usize,
    macro_f1: f64,
    validation_loss: f64,
    settings: TrainSettings,
}

/// The best trial.
pub struct Best {
    pub settings: TrainSettings,
    pub outcome: Outcome,
    /// Numbers that are trained, and all.
    pub counts: (usize, usize),
}

/// Runs the trials that `folder` does not hold yet, and gives the best. Of the finished ones only the best keeps its checkpoint.
pub fn search(count: usize, base: &ModelFolder, labels: &Labels, data: &TrainingData, settings: &TrainSettings, folder: &Path) -> Result<Best> {
    let mut done = finished(&folder.join(FILE))?;
    let place = |trial: usize| folder.join(format!("trial-{trial}"));
    for trial in 1..=count.max(1) {
        if done.iter().any(|other| other.trial == trial) {
            continue;
        }
        let settings = drawn(settings, trial);
        say(format_args!("trial {trial} of {count}: {}", differences(&settings)));
        let mut trainer = Trainer::new(base, labels, data, settings.clone())?;
        let outcome = session::run(&mut trainer, Some(&place(trial)), None, None)?;
        let best = outcome.epochs.iter().find(|report| report.epoch == outcome.best_epoch).context("a run without epochs")?;
        done.push(Trial { trial, macro_f1: best.macro_f1.unwrap_or_default(), validation_loss: best.validation_loss, settings });
        let keep = winner(&done).map(|best| best.trial);
        for other in done.iter().map(|other| other.trial).filter(|other| Some(*other) != keep && place(*other).is_dir()) {
            fs_err::remove_dir_all(place(other))?;
        }
        let mut line = serde_json::to_vec(&done[done.len() - 1])?;
        line.push(b'\n');
        OpenOptions::new().create(true).append(true).open(folder.join(FILE))?.write_all(&line)?;
    }
    say(format_args!("trial  macro F1  validation loss  settings"));
    for trial in &done {
        say(format_args!("{:>5}  {:>8.4}  {:>15.4}  {}", trial.trial, trial.macro_f1, trial.validation_loss, differences(&trial.settings)));
    }
    let best = winner(&done).context("no trial")?;
    say(format_args!("the best is trial {}", best.trial));
    // Its run is over: the checkpoint alone gives the outcome.
    let mut trainer = Trainer::new(base, labels, data, best.settings.clone())?;
    let outcome = session::run(&mut trainer, Some(&place(best.trial)), None, None)?;
    Ok(Best { settings: best.settings.clone(), outcome, counts: trainer.counts() })
}

fn winner(trials: &[Trial]) -> Option<&Trial> {
    trials.iter().min_by(|a, b| b.macro_f1.total_cmp(&a.macro_f1).then(a.validation_loss.total_cmp(&b.validation_loss)))
}

/// The trials of a file; a last line that was cut off is passed over.
fn finished(path: &Path) -> Result<Vec<Trial>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    Ok(fs_err::read_to_string(path)?.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// The settings of a trial: the first as given, the others near by, from the seed and the trial's number alone.
fn drawn(settings: &TrainSettings, trial: usize) -> TrainSettings {
    if trial == 1 {
        return settings.clone();
    }
    let mut random = Random::new(settings.seed, trial as u64);
    let mut choice = |values: &[f64]| values[random.below(values.len())];
    let rate = choice(&[0.25, 0.5, 1.0, 2.0, 4.0]);
    let mut near = TrainSettings {
        learning_rate: settings.learning_rate * rate,
        head_learning_rate: settings.head_learning_rate * rate,
        dropout: choice(&[0.0, 0.05, 0.1, 0.2]) as f32,
        batch_tokens: (settings.batch_tokens as f64 * choice(&[0.5, 1.0, 2.0])).ceil() as usize,
        weight_decay: choice(&[0.0, 0.01, 0.1]),
        ..settings.clone()
    };
    if near.focus == 0.0 {
        near.label_smoothing = choice(&[0.0, 0.05, 0.1]) as f32;
    }
    if let Method::Lora(lora) = &mut near.selection.method {
        // The scale stays: alpha goes with the rank.
        let factor = choice(&[0.5, 1.0, 2.0, 4.0]);
        lora.rank = (lora.rank as f64 * factor).ceil() as usize;
        lora.alpha *= factor;
    }
    near
}

fn differences(settings: &TrainSettings) -> String {
    let mut words = format!(
        "rate {:.1e}, head {:.1e}, dropout {}, batch {}, decay {}, smoothing {}",
        settings.learning_rate, settings.head_learning_rate, settings.dropout, settings.batch_tokens, settings.weight_decay, settings.label_smoothing
    );
    if let Method::Lora(lora) = &settings.selection.method {
        words.push_str(&format!(", rank {}", lora.rank));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trials_are_drawn_from_seed_and_number_and_the_best_wins() {
        let settings = TrainSettings::default();
        assert_eq!(drawn(&settings, 1), settings);
        let drawn_once: Vec<TrainSettings> = (2..12).map(|trial| drawn(&settings, trial)).collect();
        assert_eq!(drawn_once, (2..12).map(|trial| drawn(&settings, trial)).collect::<Vec<_>>());
        assert!(drawn_once.iter().all(|drawn| drawn.check(3).is_ok()) && drawn_once.windows(2).any(|pair| pair[0] != pair[1]));
        let trial = |trial, macro_f1, validation_loss| Trial { trial, macro_f1, validation_loss, settings: settings.clone() };
        let trials = [trial(1, 0.9, 0.2), trial(2, 0.95, 0.3), trial(3, 0.95, 0.1)];
        assert_eq!(winner(&trials).map(|best| best.trial), Some(3));
    }
}
