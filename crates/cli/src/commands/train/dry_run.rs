//! `attackline train --dry-run`: what a run would be, measured on a few of its own steps.

use crate::diagnostics::say;
use crate::exit::Status;
use anyhow::Result;
use attackline_model::{Labels, ModelFolder};
use attackline_train::{Observer, StepReport, TrainError, TrainSettings, Trainer, TrainingData};
use std::sync::atomic::{AtomicBool, Ordering};

/// Steps that are measured, after one to warm up.
const MEASURED: u64 = 3;

struct Stopper<'a> {
    cancel: &'a AtomicBool,
    last: Option<StepReport>,
}

impl Observer for Stopper<'_> {
    fn step(&mut self, report: &StepReport) {
        self.cancel.store(report.step > MEASURED, Ordering::Relaxed);
        self.last = Some(report.clone());
    }
}

/// Says what would be trained, runs a few steps to see how long one takes, and throws them away.
pub fn report(base: &ModelFolder, labels: &Labels, data: &TrainingData, settings: &TrainSettings) -> Result<Status> {
    let mut trainer = Trainer::new(base, labels, data, settings.clone())?;
    let (trained, all) = trainer.counts();
    let tokens: usize = data.train.iter().map(|row| row.ids.len()).sum();
    let longest = data.train.iter().map(|row| row.ids.len()).max().unwrap_or(0);
    say(format_args!("trained     {trained} of {all} numbers ({:.2} %)", 100.0 * trained as f64 / all as f64));
    say(format_args!("lines       {} with {tokens} tokens, the longest {longest}", data.train.len()));
    say(format_args!("steps       {} in {} epochs, up to {} tokens each", trainer.total_steps(), settings.epochs, settings.batch_tokens));
    let cancel = AtomicBool::new(false);
    let mut stopper = Stopper { cancel: &cancel, last: None };
    match trainer.run(&mut stopper, &cancel) {
        Ok(_) | Err(TrainError::Interrupted { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    if let Some(last) = &stopper.last {
        // The first step is the slowest, so this rather says too much.
        let seconds = last.seconds_left * trainer.total_steps() as f64 / (trainer.total_steps() - last.step).max(1) as f64;
        let (hours, minutes) = (seconds / 3600.0, seconds / 60.0);
        let time = if hours >= 1.5 { format!("{hours:.1} hours") } else { format!("{minutes:.1} minutes") };
        say(format_args!(
            "speed       {:.0} lines/s, {:.0} tokens/s in the first {} steps",
            last.lines_per_second, last.tokens_per_second, last.step
        ));
        say(format_args!("time        about {time}, validation not counted"));
    }
    match peak_memory() {
        Some(bytes) => say(format_args!("memory      {:.0} MB so far; batches of longer lines can take more", bytes / 1e6)),
        None => say(format_args!("memory      not told by this system")),
    }
    say(format_args!("nothing was written"));
    Ok(Status::Done)
}

/// Peak resident memory of this process in bytes, on Linux.
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kilobytes| kilobytes * 1024.0)
}
