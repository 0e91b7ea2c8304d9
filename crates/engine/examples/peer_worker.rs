//! The engine as a worker that a script beside other engines' workers asks (checks/inference_speed.py): a request a line on standard input,
//! `{"name", "batches": [[lengths]], "repeat"}`, answered by `{"ms": [[a batch's milliseconds]]}`. Arguments: SHAPE f32|int8 THREADS.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use attackline_engine::{Encoder, Shape};
use attackline_model::{Quantization, TokenBatch};
use serde_json::{Value, json};
use std::io::BufRead;
use std::time::Instant;

fn batch(lengths: &Value, vocabulary: u32) -> TokenBatch {
    let mut state = 7u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        5 + (state >> 8) % (vocabulary - 10)
    };
    let lines: Vec<Vec<u32>> = lengths.as_array().unwrap().iter().map(|n| (0..n.as_u64().unwrap()).map(|_| next()).collect()).collect();
    lines.iter().map(Vec::as_slice).collect()
}

fn peak_mebibytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let start = Instant::now();
    let shape = Shape::NAMES.iter().find(|(name, _)| *name == arguments[0]).expect("a shape").1;
    let threads: usize = arguments[2].parse().unwrap();
    let mut folder = shape.folder().unwrap();
    if arguments[1] == "int8" {
        folder = folder.quantized(Quantization::default(), |_| Some(&[])).unwrap();
    }
    let encoder = Encoder::new(&folder, 128).unwrap();
    let vocabulary = folder.spec.vocabulary as u32;
    drop(folder);
    println!("{}", json!({"ready": "attackline", "load_s": start.elapsed().as_secs_f64(), "note": attackline_engine::instruction_set()}));
    for line in std::io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let batches: Vec<TokenBatch> = request["batches"].as_array().unwrap().iter().map(|lengths| batch(lengths, vocabulary)).collect();
        encoder.logits_on(&batches[0], threads);
        let milliseconds = |batch: &TokenBatch| {
            let start = Instant::now();
            assert!(encoder.logits_on(batch, threads).iter().all(|logit| logit.is_finite()));
            start.elapsed().as_secs_f64() * 1e3
        };
        let runs: Vec<Vec<f64>> = (0..request["repeat"].as_u64().unwrap()).map(|_| batches.iter().map(milliseconds).collect()).collect();
        println!("{}", json!({"name": request["name"], "ms": runs, "peak_rss_mib": peak_mebibytes()}));
    }
}
