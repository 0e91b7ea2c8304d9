//! Lines and tokens a second of a model over the lines of a file: `cargo run --release -p attackline-engine --example
//! throughput -- MODEL_DIR FILE [THREADS]`.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use attackline_engine::Engine;
use attackline_model::{Classifier, ModelFolder, TokenBatch};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

/// Lines of one batch.
const BATCH: usize = 16;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let threads = arguments.get(2).map_or(2, |text| text.parse().unwrap());
    let start = Instant::now();
    let engine = Engine::new(&ModelFolder::read(arguments[0].as_ref()).unwrap()).unwrap();
    println!("loaded in {:.3} s", start.elapsed().as_secs_f64());
    let text = std::fs::read_to_string(&arguments[1]).unwrap();
    let lines: Vec<Vec<u32>> = text.lines().map(|line| engine.encode(line).unwrap().ids).collect();
    let batches: Vec<TokenBatch> = lines.chunks(BATCH).map(|batch| batch.iter().map(Vec::as_slice).collect()).collect();
    let (next, start) = (AtomicUsize::new(0), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                    engine.logits(batch);
                }
            });
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    let tokens: usize = lines.iter().map(Vec::len).sum();
    println!(
        "{} lines, {tokens} tokens in {seconds:.2} s: {:.0} lines/s, {:.0} tokens/s",
        lines.len(),
        lines.len() as f64 / seconds,
        tokens as f64 / seconds
    );
}
