//! Measures training steps: `cargo run --release -p attackline-train --example step_speed -- MODEL_DIR METHOD LINES LENGTH [STEPS] [THREADS] [bf16] [recompute]`.
//!
//! METHOD is full, lora (all products of each layer, rank 8), bitfit or head; every batch has LINES lines of LENGTH tokens; LENGTH may be
//! `ragged:FILE`, a JSON list of lengths, of which each step takes the next LINES. Prints one JSON object: milliseconds of each step but
//! the first, and the peak resident memory where the system tells it.
#![allow(clippy::print_stdout, reason = "an example that reports")]

use attackline_model::{Labels, ModelFolder};
use attackline_train::{
    Example, FrozenType, Lora, Method, Observer, Selection, StepReport, Target, TrainError, TrainSettings, Trainer, TrainingData,
};
use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

struct Meter<'a> {
    last: Instant,
    milliseconds: Vec<f64>,
    steps: usize,
    loss: f64,
    cancel: &'a AtomicBool,
}

impl Observer for Meter<'_> {
    fn step(&mut self, report: &StepReport) {
        self.milliseconds.push(self.last.elapsed().as_secs_f64() * 1e3);
        self.last = Instant::now();
        self.loss = report.loss;
        self.cancel.store(self.milliseconds.len() > self.steps, Ordering::Relaxed);
    }
}

/// Peak resident memory in MB, on Linux.
fn peak() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? * 1024.0 / 1e6)
}

fn lengths(text: &str, lines: usize, steps: usize) -> Vec<usize> {
    let Some(file) = text.strip_prefix("ragged:") else { return vec![text.parse().unwrap_or(32); lines * (steps + 1)] };
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let all: Vec<usize> = serde_json::from_str(&text).unwrap_or_default();
    assert!(!all.is_empty(), "{file} holds a JSON list of lengths");
    all.into_iter().cycle().take(lines * (steps + 1)).collect()
}

fn main() -> Result<(), TrainError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, method, lines, length, rest @ ..] = &arguments[..] else {
        println!("usage: step_speed MODEL_DIR full|lora|bitfit|head LINES LENGTH|ragged:FILE [STEPS] [THREADS] [bf16] [recompute]");
        return Ok(());
    };
    let number = |index: usize, default: usize| rest.get(index).and_then(|text: &String| text.parse().ok()).unwrap_or(default);
    let (lines, steps, threads) = (lines.parse().unwrap_or(16), number(0, 4), number(1, 2));
    let method = match method.as_str() {
        "lora" => Method::Lora(Lora { targets: Target::ALL.to_vec(), ..Lora::default() }),
        "bitfit" => Method::BitFit { norms: true },
        "head" => Method::Head,
        _ => Method::Full,
    };
    let folder = ModelFolder::read(Path::new(model))?;
    let labels = Labels::new((0..4).map(|label| format!("label {label}")).collect())?;
    let vocabulary = folder.spec.vocabulary as u64;
    let token = |line: usize, place: usize| ((line as u64 * 2_654_435_761 + place as u64 * 40_503) % vocabulary) as u32;
    let lengths = lengths(length, lines, steps);
    let train: Vec<Example> =
        lengths.iter().enumerate().map(|(line, &length)| Example::new((0..length).map(|place| token(line, place)).collect(), line % 4)).collect();
    // Batches are cut by tokens: as many as LINES lines have on average.
    let batch_tokens = lengths.iter().sum::<usize>() / (steps + 1);
    let data = TrainingData { validation: train[..1].to_vec(), train };
    let selection = Selection { method, frozen_layers: 0 };
    let asked = |word: &str| rest.iter().any(|text| text == word);
    let frozen_dtype = if asked("bf16") { FrozenType::Bf16 } else { FrozenType::F32 };
    let settings =
        TrainSettings { batch_tokens, threads, selection, frozen_dtype, recompute: asked("recompute"), epochs: 2, ..TrainSettings::default() };
    let mut trainer = Trainer::new(&folder, &labels, &data, settings)?;
    let cancel = AtomicBool::new(false);
    let mut meter = Meter { last: Instant::now(), milliseconds: Vec::new(), steps, loss: 0.0, cancel: &cancel };
    match trainer.run(&mut meter, &cancel) {
        Ok(_) | Err(TrainError::Interrupted { .. }) => {}
        Err(error) => return Err(error),
    }
    let (trained, all) = trainer.counts();
    let report = serde_json::json!({
        "step_ms": meter.milliseconds[1..], "trained": trained, "all": all, "tokens": batch_tokens, "loss": meter.loss, "peak_mb": peak(),
    });
    println!("{report}");
    Ok(())
}
