//! What int8 changes in a model's answers: `cargo run --release -p attackline-engine --example int8_answers -- MODEL_DIR LINES.jsonl...`.
//! Of every file the field `text` is read. The model is quantised on every 16th line, and all lines are answered both ways.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use attackline_engine::{Engine, QuantizeOptions, quantize};
use attackline_model::{Classifier, Encoded, ModelFolder, Prediction};
use std::time::Instant;

fn answers(engine: &Engine, lines: &[Encoded]) -> (Vec<Prediction>, f64) {
    let start = Instant::now();
    let answers = engine.classify(lines);
    (answers, start.elapsed().as_secs_f64())
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = ModelFolder::read(arguments[0].as_ref()).unwrap();
    let mut texts = Vec::new();
    for path in &arguments[1..] {
        for line in std::fs::read_to_string(path).unwrap().lines() {
            texts.push(serde_json::from_str::<serde_json::Value>(line).unwrap()["text"].as_str().unwrap().to_owned());
        }
    }
    let exact = Engine::new(&folder).unwrap();
    let lines: Vec<Encoded> = texts.iter().map(|text| exact.encode(text).unwrap()).collect();
    let sample: Vec<Vec<u32>> = lines.iter().step_by(16).map(|line| line.ids.clone()).collect();
    let rounded_folder = quantize(&folder, &sample, QuantizeOptions::default()).unwrap();
    println!("{:?}", rounded_folder.settings.quantization);
    let rounded = Engine::new(&rounded_folder).unwrap();
    let ((wanted, exact_time), (got, rounded_time)) = (answers(&exact, &lines), answers(&rounded, &lines));
    let change = |a: &Prediction, b: &Prediction| a.scores.iter().zip(&b.scores).map(|(a, b)| (a - b).abs()).fold(0.0f32, f32::max);
    let mut changes: Vec<(f32, usize)> = wanted.iter().zip(&got).enumerate().map(|(i, (a, b))| (change(a, b), i)).collect();
    let same = wanted.iter().zip(&got).filter(|(a, b)| a.best().0 == b.best().0).count();
    let mean = changes.iter().map(|(change, _)| f64::from(*change)).sum::<f64>() / changes.len() as f64;
    println!("{same} of {} lines have the same label ({:.3} %), mean change {mean:.6}", lines.len(), 100.0 * same as f64 / lines.len() as f64);
    println!("f32 {exact_time:.2} s, int8 {rounded_time:.2} s: {:.2} times as fast", exact_time / rounded_time);
    changes.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (change, i) in changes.iter().take(8) {
        let ((a, p), (b, q)) = (wanted[*i].best(), got[*i].best());
        let (a, b) = (exact.labels().name(a), exact.labels().name(b));
        println!("{change:.4}  {a} {p:.3} -> {b} {q:.3}  {}", texts[*i].chars().take(90).collect::<String>());
    }
}
