//! What each part of a model says of labelled lines, one JSON object a line, to look at how they should be put together:
//! `cargo run --release -p attackline-engine --example parts -- MODEL_DIR LINES.jsonl...`. The encoder's and the n-gram head's logarithmic scores
//! (in the order of the labels), the gate's logit, and whether the line is prose.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use attackline_engine::{Engine, WithNgrams};
use attackline_model::{Classifier, Encoded, ModelFolder};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = ModelFolder::read(arguments[0].as_ref()).unwrap();
    let encoder = Engine::new(&folder).unwrap();
    println!("{}", serde_json::json!({"labels": folder.labels.as_ref().unwrap().names()}));
    let both = WithNgrams::new(Engine::new(&folder).unwrap(), &folder).unwrap().ok();
    for path in &arguments[1..] {
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = row["text"].as_str().unwrap();
            let ids = encoder.encode(text).unwrap().ids;
            let logits = encoder.logits(&[ids.as_slice()].into_iter().collect());
            let line = both.as_ref().map_or_else(Encoded::default, |both| both.encode(text).unwrap());
            println!("{}", serde_json::json!({"encoder": logits, "head": line.ngrams.head, "gate": line.ngrams.gate, "prose": line.prose}));
        }
    }
}
