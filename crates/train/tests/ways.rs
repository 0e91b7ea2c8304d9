//! Ways to compute the same step: in parts, twice, in candle's operations; and other things to learn than one label.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests that say what they skip")]

#[path = "../../engine/tests/common/mod.rs"]
mod common;

use attackline_model::Labels;
use attackline_train::{
    Example, FrozenType, Lora, Method, Outcome, Schedule, Selection, Silent, Target, TrainSettings, Trainer, TrainingData, random_encoder,
};
use common::{Expected, expected, folder};
use std::sync::atomic::AtomicBool;

const NAMES: [&str; 4] = ["tiny-bert", "tiny-roberta", "tiny-deberta-v3", "tiny-deberta-v2"];

fn rows(expected: &Expected) -> TrainingData {
    let train: Vec<Example> = expected.lines.iter().zip(&expected.labels).map(|(ids, &label)| Example::new(ids.clone(), label)).collect();
    TrainingData { validation: train.clone(), train }
}

fn methods() -> [Method; 4] {
    let lora = Lora { targets: Target::ALL.to_vec(), dropout: 0.1, ..Lora::default() };
    [Method::Full, Method::Lora(lora), Method::BitFit { norms: true }, Method::Head]
}

fn settings(method: Method, frozen_layers: usize) -> TrainSettings {
    TrainSettings {
        selection: Selection { method, frozen_layers },
        epochs: 4,
        learning_rate: 1e-3,
        head_learning_rate: 1e-3,
        schedule: Schedule::Constant,
        batch_tokens: 400,
        ..TrainSettings::default()
    }
}

fn run(name: &str, data: &TrainingData, settings: TrainSettings) -> Outcome {
    let folder = folder(name);
    Trainer::new(&folder, folder.labels.as_ref().unwrap(), data, settings).unwrap().run(&mut Silent, &AtomicBool::new(false)).unwrap()
}

/// The greatest difference between the losses of two runs.
fn apart(a: &Outcome, b: &Outcome) -> f32 {
    assert!(a.losses.len() == b.losses.len() && a.losses.len() >= 4, "{} {}", a.losses.len(), b.losses.len());
    a.losses.iter().zip(&b.losses).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn products_of_bf16_learn_what_products_of_f32_learn() {
    if !TrainSettings::multiplies_bf16() {
        eprintln!("SKIPPED: this processor multiplies no bf16");
    }
    for name in NAMES {
        let data = rows(&expected(name));
        for method in methods() {
            let exact = settings(method.clone(), 0);
            let rounded = TrainSettings { bf16_products: true, ..exact.clone() };
            let (exact, rounded) = (run(name, &data, exact), run(name, &data, rounded));
            let apart = apart(&exact, &rounded);
            assert!(apart < 0.02, "{name} {method:?}: {:?} {:?}", exact.losses, rounded.losses);
            assert_eq!(apart > 0.0, TrainSettings::multiplies_bf16(), "{name} {method:?}");
        }
    }
}

#[test]
fn computing_layers_twice_changes_nothing() {
    for name in NAMES {
        let data = rows(&expected(name));
        for method in methods() {
            for frozen_layers in [0, 1] {
                let once = settings(method.clone(), frozen_layers);
                let twice = TrainSettings { recompute: true, ..once.clone() };
                let (once, twice) = (run(name, &data, once), run(name, &data, twice));
                assert!(apart(&once, &twice) < 1e-5, "{name} {method:?} {frozen_layers}: {:?} {:?}", once.losses, twice.losses);
            }
        }
    }
}

#[test]
fn batches_added_up_are_one_large_batch() {
    for name in ["tiny-bert", "tiny-deberta-v3"] {
        let data = rows(&expected(name));
        for method in methods() {
            // Dropout would draw other masks.
            let mut large = TrainSettings { dropout: 0.0, batch_tokens: 400, class_weights: Some(vec![1.0, 2.0, 0.5, 3.0]), ..settings(method, 0) };
            if let Method::Lora(lora) = &mut large.selection.method {
                lora.dropout = 0.0;
            }
            let parts = TrainSettings { batch_tokens: 100, accumulate: 4, ..large.clone() };
            let (large, parts) = (run(name, &data, large), run(name, &data, parts));
            assert!(apart(&large, &parts) < 1e-5, "{name}: {:?} {:?}", large.losses, parts.losses);
        }
    }
}

#[test]
fn plain_operations_train_alike() {
    for name in NAMES {
        let data = rows(&expected(name));
        for method in methods() {
            let mut fused = TrainSettings { dropout: 0.0, ..settings(method, 0) };
            if let Method::Lora(lora) = &mut fused.selection.method {
                lora.dropout = 0.0;
            }
            let plain = TrainSettings { plain: true, ..fused.clone() };
            let half = TrainSettings { frozen_dtype: FrozenType::Bf16, ..plain.clone() };
            let (fused, plain, half) = (run(name, &data, fused), run(name, &data, plain), run(name, &data, half));
            assert!(apart(&fused, &plain) < 1e-4, "{name}: {:?} {:?}", fused.losses, plain.losses);
            assert!(apart(&fused, &half) < 0.2 && apart(&plain, &half) > 0.0, "{name}: {:?} {:?}", fused.losses, half.losses);
        }
    }
}

#[test]
fn dropout_in_plain_operations_is_at_work() {
    let data = rows(&expected("tiny-deberta-v3"));
    let dropped = TrainSettings { plain: true, dropout: 0.3, ..settings(Method::Full, 0) };
    let kept = TrainSettings { dropout: 0.0, ..dropped.clone() };
    assert!(apart(&run("tiny-deberta-v3", &data, dropped), &run("tiny-deberta-v3", &data, kept)) > 1e-3);
}

#[test]
fn lines_with_several_labels_are_learnt() {
    let folder = folder("tiny-bert");
    let labels = Labels::new(["Benign", "T1003.002", "T1049"].map(String::from).to_vec()).unwrap().with_several(true);
    let line = |i: usize| {
        let ids = vec![2, 10 + (i * 37 % 180) as u32, 10 + (i * 91 % 180) as u32, 3];
        Example { labels: [vec![0], vec![1, 2], vec![], vec![2]][i % 4].clone(), ..Example::new(ids, 0) }
    };
    let train: Vec<Example> = (0..32).map(line).collect();
    let data = TrainingData { validation: train.clone(), train };
    let settings = TrainSettings { epochs: 150, learning_rate: 3e-3, head_learning_rate: 3e-3, dropout: 0.0, ..settings(Method::Full, 0) };
    let outcome = Trainer::new(&folder, &labels, &data, settings.clone()).unwrap().run(&mut Silent, &AtomicBool::new(false)).unwrap();
    let last = outcome.epochs.last().unwrap();
    assert!(last.train_loss < 0.02 && last.accuracy == 1.0 && last.macro_f1 == Some(1.0), "{last:?}");
    let single = labels.with_several(false);
    let error = Trainer::new(&folder, &single, &data, settings).err().unwrap().to_string();
    assert!(error.contains("training row 2"), "{error}");
}

#[test]
fn a_row_counts_by_its_weight() {
    let folder = folder("tiny-bert");
    let labels = folder.labels.as_ref().unwrap();
    let data = rows(&expected("tiny-bert"));
    let loss = |rows: &[Example]| Trainer::new(&folder, labels, &data, settings(Method::Head, 0)).unwrap().gradients(rows).unwrap().0;
    let (first, second) = (loss(&data.train[..1]), loss(&data.train[1..2]));
    let weighted = [Example { weight: 3.0, ..data.train[0].clone() }, data.train[1].clone()];
    assert!((loss(&weighted) - (3.0 * first + second) / 4.0).abs() < 1e-6);
}

#[test]
fn hidden_tokens_are_learnt_from_nothing() {
    for name in ["tiny-bert", "tiny-deberta-v3"] {
        let spec = folder(name).spec;
        let line = |i: usize| {
            let ids = [2].into_iter().chain((0..12).map(|place| 10 + ((i % 4) * 20 + place) as u32)).chain([3]);
            Example { labels: Vec::new(), ..Example::new(ids.collect(), 0) }
        };
        let train: Vec<Example> = (0..32).map(line).collect();
        let data = TrainingData { validation: train[..8].to_vec(), train };
        let settings = TrainSettings {
            epochs: 400,
            learning_rate: 3e-3,
            head_learning_rate: 3e-3,
            dropout: 0.0,
            batch_tokens: 256,
            ..settings(Method::Full, 0)
        };
        let weights = random_encoder(&spec, 7);
        let mut trainer = Trainer::restoring(&spec, &weights, 4, &data, settings.clone()).unwrap();
        let outcome = trainer.run(&mut Silent, &AtomicBool::new(false)).unwrap();
        let last = outcome.epochs.last().unwrap();
        assert!(last.accuracy > 0.9 && last.macro_f1.is_none(), "{name}: {last:?}");
        let words = outcome.weights.names().find(|name| name.ends_with("word_embeddings.weight")).unwrap();
        let (words, outputs) = (outcome.weights.tensor(words).unwrap(), outcome.weights.tensor("classifier.weight").unwrap());
        assert_eq!(words.data, outputs.data, "{name}: one table");
        let twice = Trainer::restoring(&spec, &weights, 4, &data, TrainSettings { recompute: true, epochs: 4, ..settings.clone() });
        let twice = twice.unwrap().run(&mut Silent, &AtomicBool::new(false)).unwrap();
        let once = Trainer::restoring(&spec, &weights, 4, &data, TrainSettings { epochs: 4, ..settings });
        assert!(apart(&once.unwrap().run(&mut Silent, &AtomicBool::new(false)).unwrap(), &twice) < 1e-5, "{name}");
    }
}
