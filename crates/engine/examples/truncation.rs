//! Which end of a line that is too long tells more: `truncation MODEL_DIR LIMIT FILE...` cuts every line of more than LIMIT tokens in
//! several ways and prints how often the model's answer is the row's label, and the mean log-probability of that label.
//! FILE is NDJSON with `text` and `label`; rows of other labels than the model's are left out.
#![allow(clippy::print_stdout, reason = "an example that reports")]

use attackline_engine::Engine;
use attackline_model::{Classifier, ModelFolder, prepare};
use std::{error::Error, path::Path};

/// Quarters of the room that the tail gets.
const TAIL_QUARTERS: [usize; 5] = [0, 1, 2, 3, 4];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, limit, files @ ..] = &arguments[..] else {
        println!("usage: truncation MODEL_DIR LIMIT FILE...");
        return Ok(());
    };
    let limit: usize = limit.parse()?;
    let engine = Engine::new(&ModelFolder::read(Path::new(model))?)?;
    let tokenizer = ModelFolder::read_tokenizer(Path::new(model), 1 << 20)?;
    let ends = engine.encode("")?.ids;
    let [first, last] = ends[..] else { return Err("one token before and one after a line are expected".into()) };
    let mut tally = [(0, 0.0); TAIL_QUARTERS.len()];
    let mut lines = [0; 2];
    for file in files {
        for line in std::fs::read_to_string(file)?.lines() {
            let row: serde_json::Value = serde_json::from_str(line)?;
            let Some(label) = row["label"].as_str().and_then(|label| engine.labels().index(label)) else { continue };
            let tokens = tokenizer.tokens(&prepare(row["text"].as_str().unwrap_or_default()).text)?;
            let room = limit - 2;
            if tokens.len() <= room {
                continue;
            }
            lines[usize::from(Some(label) != engine.labels().benign())] += 1;
            for (quarters, (right, total)) in TAIL_QUARTERS.iter().zip(&mut tally) {
                let tail = room * quarters / 4;
                let ids = [&[first], &tokens[..room - tail], &tokens[tokens.len() - tail..], &[last]].concat();
                let answer = engine.classify(&[ids.into()]).remove(0);
                *right += usize::from(answer.best().0 == label);
                *total += f64::from(answer.scores[label].max(1e-9).ln());
            }
        }
    }
    let count = lines[0] + lines[1];
    println!("{} benign lines and {} attack lines of more than {limit} tokens", lines[0], lines[1]);
    for (quarters, (right, total)) in TAIL_QUARTERS.iter().zip(tally) {
        println!("tail {quarters}/4: right {right} ({:.4}), mean log-probability {:.4}", right as f64 / count as f64, total / count as f64);
    }
    Ok(())
}
