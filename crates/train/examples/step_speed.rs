//! Measures training: `cargo run --release -p attackline-train --example step_speed -- MODEL_DIR [STEPS] [BATCH_TOKENS]`.
#![allow(clippy::print_stdout, reason = "an example that reports")]

use attackline_model::{Labels, ModelFolder};
use attackline_train::{Example, Observer, StepReport, TrainError, TrainSettings, Trainer, TrainingData};
use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

struct Meter<'a> {
    last: Instant,
    steps: u64,
    cancel: &'a AtomicBool,
}

impl Observer for Meter<'_> {
    fn step(&mut self, report: &StepReport) {
        let took = self.last.elapsed();
        self.last = Instant::now();
        println!(
            "step {} loss {:.4} norm {:.3} {:.0} ms, so far {:.0} tokens/s",
            report.step,
            report.loss,
            report.gradient_norm,
            took.as_secs_f64() * 1e3,
            report.tokens_per_second
        );
        self.cancel.store(report.step >= self.steps, Ordering::Relaxed);
    }
}

fn main() -> Result<(), TrainError> {
    let mut arguments = std::env::args().skip(1);
    let Some(model) = arguments.next() else {
        println!("usage: step_speed MODEL_DIR [STEPS] [BATCH_TOKENS]");
        return Ok(());
    };
    let mut number = |default: usize| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (steps, batch_tokens) = (number(10) as u64, number(2048));
    let folder = ModelFolder::read(Path::new(&model))?;
    let labels = Labels::new((0..4).map(|label| format!("label {label}")).collect())?;
    let lines = batch_tokens * steps as usize / 20;
    let vocabulary = folder.spec.vocabulary as u64;
    let token = |line: usize, place: usize| ((line as u64 * 2_654_435_761 + place as u64 * 40_503) % vocabulary) as u32;
    let train: Vec<Example> =
        (0..lines).map(|line| Example { ids: (0..16 + line % 49).map(|place| token(line, place)).collect(), label: line % 4 }).collect();
    let data = TrainingData { validation: train[..4].to_vec(), train };
    let mut trainer = Trainer::new(&folder, &labels, &data, TrainSettings { batch_tokens, ..TrainSettings::default() })?;
    let cancel = AtomicBool::new(false);
    match trainer.run(&mut Meter { last: Instant::now(), steps, cancel: &cancel }, &cancel) {
        Ok(_) | Err(TrainError::Interrupted { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
