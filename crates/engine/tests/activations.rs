//! Every step of the engine against Python `transformers`, for every architecture.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "tests that also report their figures")]

mod common;

use attackline_engine::Engine;
use attackline_model::{Checkpoint, ModelFolder, Step, TokenBatch};
use common::{FOLDERS, difference, expected, folder, greatest_difference};
use serde_json::json;

#[test]
fn every_step_is_within_1e_5_of_transformers() {
    for name in FOLDERS {
        let (expected, engine) = (expected(name), Engine::new(&folder(name)).unwrap());
        let batch: TokenBatch = expected.lines.iter().map(Vec::as_slice).collect();
        let mut seen = Vec::new();
        engine.observed_logits(&batch, &mut |step, result| {
            let worst = difference(&expected, &step.to_string(), result);
            assert!(worst < 1e-5, "{name}: {step} differs by {worst:e}");
            seen.push((step, worst));
        });
        assert!(seen.is_sorted_by_key(|(step, _)| order(*step)), "{name}: {seen:?}");
        let worst = seen.iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        println!("{name}: {} steps, greatest difference {:e} at {}, of the logits {:e}", seen.len(), worst.1, worst.0, seen[seen.len() - 1].1);
    }
}

/// Layers come one after the other, each with its steps in order.
fn order(step: Step) -> (usize, Step) {
    match step {
        Step::Embeddings => (0, step),
        Step::QueryKeyValue(layer) | Step::Context(layer) | Step::Attention(layer) | Step::Output(layer) => (layer + 1, step),
        Step::Pooled | Step::Logits => (usize::MAX, step),
    }
}

#[test]
fn a_line_alone_gets_the_bits_it_gets_in_any_batch_of_any_architecture() {
    for name in FOLDERS {
        let (expected, engine) = (expected(name), Engine::new(&folder(name)).unwrap());
        let batch: TokenBatch = expected.lines.iter().map(Vec::as_slice).collect();
        let together = engine.logits(&batch);
        let labels = together.len() / expected.lines.len();
        for (line, logits) in expected.lines.iter().zip(together.chunks_exact(labels)) {
            assert_eq!(engine.logits(&[line.as_slice()].into_iter().collect()), logits, "{name}");
        }
        // So many tokens are computed a block after the other.
        let times = 3000 / batch.tokens();
        let many: TokenBatch = (0..times).flat_map(|_| expected.lines.iter().map(Vec::as_slice)).collect();
        assert_eq!(engine.logits(&many), together.repeat(times), "{name}");
    }
}

/// The folder with another pooling and without the square layer.
fn pooled(name: &str, pooling: &str) -> ModelFolder {
    let mut folder = folder(name);
    folder.config["classifier_pooling"] = json!(pooling);
    let config = serde_json::to_vec(&folder.config).unwrap();
    folder.files.insert("config.json".into(), config);
    ModelFolder::from_parts(folder.files, folder.weights).unwrap()
}

#[test]
fn mean_and_first_token_pooling_are_what_they_say() {
    for name in ["tiny-bert", "tiny-deberta-v3"] {
        let expected = expected(name);
        let folder = folder(name);
        let last = &expected.values[&Step::Output(folder.spec.layers - 1).to_string()];
        let width = folder.spec.hidden;
        let classifier = |name: &str| folder.weights.tensor(&format!("classifier.{name}")).unwrap().data;
        let (weight, bias) = (classifier("weight"), classifier("bias"));
        for pooling in ["cls", "mean"] {
            let engine = Engine::new(&pooled(name, pooling)).unwrap();
            let batch: TokenBatch = expected.lines.iter().map(Vec::as_slice).collect();
            let wanted: Vec<f32> = expected
                .offsets
                .windows(2)
                .flat_map(|line| {
                    let rows = if pooling == "cls" { line[0]..line[0] + 1 } else { line[0]..line[1] };
                    let mean = |c: usize| rows.clone().map(|row| f64::from(last[row * width + c])).sum::<f64>() / rows.len() as f64;
                    let vector: Vec<f64> = (0..width).map(mean).collect();
                    let logit = |label: usize| {
                        f64::from(bias[label]) + vector.iter().zip(&weight[label * width..]).map(|(x, &w)| x * f64::from(w)).sum::<f64>()
                    };
                    (0..bias.len()).map(|label| logit(label) as f32).collect::<Vec<_>>()
                })
                .collect();
            let worst = greatest_difference(&engine.logits(&batch), &wanted);
            assert!(worst < 1e-5, "{name} {pooling}: {worst:e}");
        }
    }
}

#[test]
fn names_without_a_prefix_and_old_names_of_norms_are_read() {
    for name in FOLDERS {
        let sound = folder(name);
        let prefix = sound.spec.model_type.prefix();
        let mut old = Checkpoint::default();
        for name in sound.weights.names() {
            let bare = name.strip_prefix(prefix).unwrap_or(name);
            let old_name = if bare.contains("LayerNorm") { bare.replace(".weight", ".gamma").replace(".bias", ".beta") } else { bare.to_owned() };
            old.insert(old_name, sound.weights.tensor(name).unwrap());
        }
        old.insert("cls.predictions.bias".into(), attackline_model::Tensor::zeros(&[3]));
        let renamed = ModelFolder::from_parts(sound.files.clone(), old).unwrap();
        let batch: TokenBatch = [&[2u32, 9, 3][..]].into_iter().collect();
        assert_eq!(Engine::new(&renamed).unwrap().logits(&batch), Engine::new(&sound).unwrap().logits(&batch), "{name}");
    }
}
