//! Ten steps of each method against PyTorch and `peft`, adapters both ways, and what each method leaves alone.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests that also report their figures")]

#[path = "../../engine/tests/common/mod.rs"]
mod common;

use attackline_engine::Engine;
use attackline_model::{Labels, ModelFolder, TokenBatch};
use attackline_train::{
    Example, FrozenType, Lora, Method, Observer, Schedule, Selection, Silent, StepReport, Target, TrainSettings, Trainer, TrainingData, merge,
    read_adapter, write_adapter,
};
use common::{Expected, expected, folder, greatest_difference};
use serde_json::Value;
use std::{path::PathBuf, sync::atomic::AtomicBool};

const NAMES: [&str; 4] = ["tiny-bert", "tiny-roberta", "tiny-deberta-v3", "tiny-deberta-v2"];

fn here(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path)
}

fn reference() -> Value {
    serde_json::from_slice(&std::fs::read(here("steps.json")).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().unwrap() as f32],
    }
}

fn rows(expected: &Expected) -> TrainingData {
    let train: Vec<Example> = expected.lines.iter().zip(&expected.labels).map(|(ids, &label)| Example::new(ids.clone(), label)).collect();
    TrainingData { validation: train.clone(), train }
}

fn lora() -> Lora {
    Lora { rank: 4, alpha: 8.0, targets: vec![Target::Query, Target::Value, Target::AttentionOutput, Target::Up], ..Lora::default() }
}

/// One batch an epoch, so ten epochs are ten steps; everything as make_steps.py has it.
fn settings(method: Method) -> TrainSettings {
    TrainSettings {
        selection: Selection { method, frozen_layers: 0 },
        epochs: 10,
        learning_rate: 2e-3,
        head_learning_rate: 2e-3,
        warmup: 0.0,
        schedule: Schedule::Constant,
        dropout: 0.0,
        batch_tokens: 1_000_000,
        ..TrainSettings::default()
    }
}

struct Losses(Vec<f64>);

impl Observer for Losses {
    fn step(&mut self, report: &StepReport) {
        self.0.push(report.loss);
    }
}

#[test]
fn ten_steps_lose_what_pytorch_loses() {
    let reference = reference();
    for name in NAMES {
        let (expected, folder) = (expected(name), folder(name));
        let (labels, data) = (folder.labels.clone().unwrap(), rows(&expected));
        for (key, method) in [("full", Method::Full), ("bitfit", Method::BitFit { norms: true }), ("lora", Method::Lora(lora()))] {
            let mut trainer = Trainer::new(&folder, &labels, &data, settings(method)).unwrap();
            if key == "lora" {
                let (before, _) = read_adapter(&here(&format!("adapters/{name}/before")), &folder, labels.len()).unwrap();
                trainer.set_trained(&before).unwrap();
            }
            let mut losses = Losses(Vec::new());
            trainer.run(&mut losses, &AtomicBool::new(false)).unwrap();
            let wanted = numbers(&reference[name][key]);
            assert_eq!(losses.0.len(), wanted.len());
            let worst = losses.0.iter().zip(&wanted).map(|(got, wanted)| (got - f64::from(*wanted)).abs()).fold(0.0, f64::max);
            println!("{name} {key}: ten losses within {worst:.1e}");
            assert!(worst < 1e-4, "{name} {key}: {:?} {wanted:?}", losses.0);
        }
    }
}

#[test]
fn frozen_weights_in_bf16_learn_as_well() {
    for name in NAMES {
        let (expected, folder) = (expected(name), folder(name));
        let (labels, data) = (folder.labels.clone().unwrap(), rows(&expected));
        let losses = |frozen_dtype| {
            let settings = TrainSettings { frozen_dtype, ..settings(Method::Lora(lora())) };
            let mut losses = Losses(Vec::new());
            Trainer::new(&folder, &labels, &data, settings).unwrap().run(&mut losses, &AtomicBool::new(false)).unwrap();
            losses.0
        };
        let (exact, short) = (losses(FrozenType::F32), losses(FrozenType::Bf16));
        let worst = exact.iter().zip(&short).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst > 0.0 && worst < 0.05, "{name}: {exact:?} {short:?}");
    }
}

fn logits(folder: &ModelFolder, lines: &[Vec<u32>]) -> Vec<f32> {
    let batch: TokenBatch = lines.iter().map(Vec::as_slice).collect();
    Engine::new(folder).unwrap().logits(&batch)
}

#[test]
fn an_adapter_of_peft_merges_into_the_same_logits() {
    let reference = reference();
    for name in NAMES {
        let (expected, folder) = (expected(name), folder(name));
        let (trained, scale) = read_adapter(&here(&format!("adapters/{name}/after")), &folder, 4).unwrap();
        let merged =
            folder.with_head(folder.labels.clone().unwrap(), folder.settings.clone(), merge(&folder.weights, &trained, scale).unwrap()).unwrap();
        let worst = greatest_difference(&logits(&merged, &expected.lines), &numbers(&reference[name]["lora_logits"]));
        assert!(worst < 1e-5, "{name}: {worst:e}");
    }
}

#[test]
fn merged_and_unmerged_answer_alike_and_adapters_come_back_as_written() {
    let home = tempfile::tempdir().unwrap();
    for name in NAMES {
        let (expected, folder) = (expected(name), folder(name));
        let (labels, data) = (folder.labels.clone().unwrap(), rows(&expected));
        for targets in [vec![Target::Down], Target::ALL.to_vec()] {
            let lora = Lora { targets, rank_stabilised: true, ..lora() };
            let mut trainer = Trainer::new(&folder, &labels, &data, settings(Method::Lora(lora.clone()))).unwrap();
            let outcome = trainer.run(&mut Silent, &AtomicBool::new(false)).unwrap();
            trainer.set_trained(&outcome.trained).unwrap();
            let unmerged = trainer.predict(&data.train).unwrap();
            let merged = folder.with_head(labels.clone(), folder.settings.clone(), outcome.weights.clone()).unwrap();
            let worst = greatest_difference(&logits(&merged, &expected.lines), &unmerged);
            assert!(worst < 1e-5, "{name}: {worst:e}");
            assert_ne!(logits(&merged, &expected.lines), logits(&folder, &expected.lines), "{name} learnt something");

            let path = home.path().join(format!("{name}-{}", lora.targets.len()));
            write_adapter(&path, &folder, name, &lora, &outcome.trained, &[]).unwrap();
            let (again, scale) = read_adapter(&path, &folder, 4).unwrap();
            assert_eq!(again, outcome.trained, "{name}");
            assert_eq!(scale, lora.scale());
        }
    }
}

#[test]
fn what_a_method_trains_changes_and_the_rest_stays_to_the_byte() {
    for name in NAMES {
        let (expected, folder) = (expected(name), folder(name));
        let (labels, data) = (folder.labels.clone().unwrap(), rows(&expected));
        for method in [Method::Full, Method::BitFit { norms: false }, Method::BitFit { norms: true }, Method::Lora(lora()), Method::Head] {
            for frozen_layers in [0, 1] {
                let settings =
                    TrainSettings { selection: Selection { method: method.clone(), frozen_layers }, dropout: 0.1, ..settings(method.clone()) };
                let mut trainer = Trainer::new(&folder, &labels, &data, settings).unwrap();
                let before = trainer.trained().unwrap();
                let outcome = trainer.run(&mut Silent, &AtomicBool::new(false)).unwrap();
                for (tensor, old) in &before {
                    // A norm's gain stands in one operand with the bias that BitFit trains.
                    let frozen = matches!(method, Method::BitFit { .. }) && tensor.ends_with("LayerNorm.weight");
                    assert_eq!(old == &outcome.trained[tensor], frozen, "{name} {method:?} {frozen_layers}: {tensor}");
                }
                for tensor in folder.weights.names().filter(|tensor| !outcome.trained.contains_key(*tensor)) {
                    let adapted = outcome.trained.contains_key(&tensor.replace(".weight", ".lora_A.weight"));
                    let same = folder.weights.tensor(tensor).unwrap() == outcome.weights.tensor(tensor).unwrap();
                    assert_eq!(same, !adapted, "{name} {method:?} {frozen_layers}: {tensor}");
                }
            }
        }
    }
}

#[test]
fn every_method_learns_lines_by_heart() {
    for name in NAMES {
        let folder = folder(name);
        let labels = Labels::new(vec!["Benign".into(), "T1003.002".into(), "T1049".into()]).unwrap();
        let line = |i: usize| Example::new(vec![2, 10 + (i * 37 % 180) as u32, 10 + (i * 91 % 180) as u32, 3], i % 3);
        let train: Vec<Example> = (0..32).map(line).collect();
        let data = TrainingData { validation: train.clone(), train };
        // The head alone has to do with what a random encoder gives it.
        for (method, rate, epochs) in [
            (Method::Full, 3e-3, 100),
            (Method::Lora(Lora { targets: Target::ALL.to_vec(), ..Lora::default() }), 1e-2, 150),
            (Method::BitFit { norms: true }, 2e-2, 400),
            (Method::Head, 3e-2, 800),
        ] {
            let settings = TrainSettings { epochs, learning_rate: rate, head_learning_rate: rate, weight_decay: 0.0, ..settings(method.clone()) };
            let outcome = Trainer::new(&folder, &labels, &data, settings).unwrap().run(&mut Silent, &AtomicBool::new(false)).unwrap();
            let last = outcome.epochs.last().unwrap();
            assert!(last.train_loss < 0.02, "{name} {method:?}: {}", last.train_loss);
        }
    }
}

#[test]
fn adapters_that_cannot_be_are_refused() {
    let folder = folder("tiny-deberta-v3");
    let home = tempfile::tempdir().unwrap();
    let refusal = |from: &str, to: &str| {
        let path = home.path().join("adapter");
        std::fs::create_dir_all(&path).unwrap();
        for file in ["adapter_config.json", "adapter_model.safetensors"] {
            std::fs::copy(here("adapters/tiny-deberta-v3/after").join(file), path.join(file)).unwrap();
        }
        let config = std::fs::read_to_string(path.join("adapter_config.json")).unwrap();
        assert!(config.contains(from));
        std::fs::write(path.join("adapter_config.json"), config.replace(from, to)).unwrap();
        read_adapter(&path, &folder, 4).unwrap_err().to_string()
    };
    assert!(refusal("\"LORA\"", "\"IA3\"").contains("peft_type"));
    assert!(refusal("\"use_dora\": false", "\"use_dora\": true").contains("use_dora"));
    assert!(refusal("\"rank_pattern\": {}", "\"rank_pattern\": {\"query\": 3}").contains("rank_pattern"));
    assert!(refusal("\"r\": 4", "\"r\": 0").contains("above 0"));
    let other = read_adapter(&here("adapters/tiny-bert/after"), &folder, 4).unwrap_err().to_string();
    assert!(other.contains("belongs to nothing"), "{other}");
}
