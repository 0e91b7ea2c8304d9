//! `attackline train --find-learning-rate`: the range test of Smith (2017).

use crate::diagnostics::say;
use crate::exit::{Interrupted, Status};
use crate::interrupt;
use anyhow::{Result, bail};
use attackline_model::{Labels, ModelFolder};
use attackline_train::{Observer, Schedule, StepReport, TrainError, TrainSettings, Trainer, TrainingData};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Steps in which the rate rises from a hundred-thousandth of its greatest.
const STEPS: u64 = 100;

/// The greatest rate tried.
const GREATEST: f64 = 0.1;

/// The share of a new loss in the smoothed one.
const SMOOTHING: f64 = 0.15;

/// Steps between two lines of the table.
const SHOWN: usize = 5;

/// Stops where the loss has run away.
struct Watch<'a> {
    cancel: &'a AtomicBool,
    losses: Vec<f32>,
    /// Whether the search came to its end, rather than being interrupted.
    over: bool,
}

impl Observer for Watch<'_> {
    fn step(&mut self, report: &StepReport) {
        self.losses.push(report.loss as f32);
        let smooth = smoothed(&self.losses);
        let least = smooth.iter().copied().fold(f64::INFINITY, f64::min);
        if report.step >= STEPS || smooth.last().is_some_and(|last| *last > 2.0 * least) {
            self.over = true;
            self.cancel.store(true, Ordering::Relaxed);
        }
    }
}

/// Losses that follow the new ones slowly.
fn smoothed(losses: &[f32]) -> Vec<f64> {
    let mut last = None;
    let next = |&loss: &f32| {
        let before = last.unwrap_or(f64::from(loss));
        *last.insert(before + SMOOTHING * (f64::from(loss) - before))
    };
    losses.iter().map(next).collect()
}

/// Raises the rate step by step on the run's own rows, and says where the loss fell fastest and where it ran away. Head and encoder move at
/// the same rate here. With `checkpoints` an interrupted search goes on.
pub fn report(base: &ModelFolder, labels: &Labels, data: &TrainingData, settings: &TrainSettings, checkpoints: Option<&Path>) -> Result<Status> {
    let schedule = Schedule::Rising { steps: STEPS };
    let settings =
        TrainSettings { learning_rate: GREATEST, head_learning_rate: GREATEST, schedule, warmup: 0.0, epochs: STEPS as usize, ..settings.clone() };
    let mut trainer = Trainer::new(base, labels, data, settings)?;
    let place = checkpoints.map(|folder| folder.join("learning-rate"));
    let done = place.as_ref().map_or(Ok(0), |folder| trainer.checkpoints_in(folder))?;
    let asked = interrupt::flag();
    let mut watch = Watch { cancel: &asked, losses: trainer.losses().to_vec(), over: done >= STEPS };
    if done < STEPS {
        match trainer.run(&mut watch, &asked) {
            Ok(_) | Err(TrainError::Diverged { .. }) => {}
            Err(TrainError::Interrupted { step }) if !watch.over => {
                let saved = if checkpoints.is_some() { "the state is saved, --resume goes on from it" } else { "nothing was saved" };
                return Err(Interrupted(format!("interrupted after step {step}; {saved}")).into());
            }
            Err(TrainError::Interrupted { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let smooth = smoothed(trainer.losses());
    let rate = |step: usize| GREATEST * schedule.factor(step as u64 + 1, STEPS, 0.0);
    let seen: Vec<(f64, f64)> = smooth.iter().enumerate().map(|(step, &loss)| (rate(step), loss)).collect();
    say(format_args!("learning rate  smoothed loss"));
    for (rate, loss) in seen.iter().step_by(SHOWN) {
        say(format_args!("{rate:>13.1e}  {loss:.4}"));
    }
    let Some((fastest, last)) = suggestion(&seen) else { bail!("the loss fell at no rate: are the labels right?") };
    say(format_args!("the loss fell fastest at {fastest:.1e} and was least at {last:.1e}: try --learning-rate {fastest:.1e}, not above {last:.1e}"));
    say(format_args!("no model was written"));
    Ok(Status::Done)
}

/// The rate at which the loss fell fastest, and that at which it was least.
fn suggestion(seen: &[(f64, f64)]) -> Option<(f64, f64)> {
    let (least, _) = seen.iter().enumerate().min_by(|a, b| a.1.1.total_cmp(&b.1.1))?;
    // Over a few steps each: single steps are noise.
    let slopes = (0..least.saturating_sub(SHOWN)).map(|step| (step + SHOWN / 2, seen[step + SHOWN].1 - seen[step].1));
    let (fastest, slope) = slopes.min_by(|a, b| a.1.total_cmp(&b.1))?;
    (slope < 0.0).then(|| (seen[fastest].0, seen[least].0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steepest_fall_before_the_least_loss_is_suggested() {
        let loss = |step: i32| if step < 80 { 2.0 - 1.0 / (1.0 + (-(f64::from(step) - 50.0) / 5.0).exp()) } else { 1.0 + f64::from(step - 79) };
        let seen: Vec<(f64, f64)> = (1..=100).map(|step| (f64::from(step), loss(step))).collect();
        let found = suggestion(&seen);
        assert!(found.is_some_and(|(fastest, least)| (46.0..=54.0).contains(&fastest) && (75.0..=80.0).contains(&least)), "{found:?}");
        assert!(suggestion(&[(1.0, 1.0), (2.0, 2.0)]).is_none() && suggestion(&[]).is_none());
    }
}
