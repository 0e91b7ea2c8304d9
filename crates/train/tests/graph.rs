//! The graph against the engine, and what a step changes.
#![allow(clippy::unwrap_used)]

mod common;

use attackline_engine::Engine;
use attackline_model::{ModelFolder, TokenBatch};
use attackline_train::{Observer, StepReport, TrainSettings, Trainer};
use common::{data, folder, labels};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn every_tensor_changes_in_a_step_and_unused_rows_do_not() {
    struct Once<'a>(&'a AtomicBool);
    impl Observer for Once<'_> {
        fn step(&mut self, _: &StepReport) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let (folder, labels, mut data) = (folder(), labels(), data(12));
    data.train.iter_mut().for_each(|row| row.ids.iter_mut().for_each(|id| *id = (*id).min(40)));
    let mut trainer = Trainer::new(&folder, &labels, &data, TrainSettings { warmup: 0.0, learning_rate: 1e-3, ..TrainSettings::default() }).unwrap();
    let before = trainer.trained().unwrap();
    let cancel = AtomicBool::new(false);
    trainer.run(&mut Once(&cancel), &cancel).unwrap_err();
    let after = trainer.trained().unwrap();
    for (name, tensor) in &before {
        assert_ne!(tensor.data, after[name].data, "{name}");
    }
    let words = "bert.embeddings.word_embeddings.weight";
    assert_eq!(before[words].data[41 * 32..], after[words].data[41 * 32..]);
}

#[test]
fn predicts_what_the_engine_computes() {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../engine/tests/data/tiny-bert");
    let folder = ModelFolder::read(Path::new(fixture)).unwrap();
    let labels = folder.labels.clone().unwrap();
    let mut data = data(30);
    data.train.iter_mut().chain(&mut data.validation).for_each(|row| row.labels[0] %= labels.len());
    let trainer = Trainer::new(&folder, &labels, &data, TrainSettings { batch_tokens: 64, ..TrainSettings::default() }).unwrap();
    let graph = trainer.predict(&data.train).unwrap();
    let batch: TokenBatch = data.train.iter().map(|row| &row.ids[..]).collect();
    let expected = Engine::new(&folder).unwrap().logits(&batch);
    assert_eq!(graph.len(), expected.len());
    for (index, (a, b)) in graph.iter().zip(&expected).enumerate() {
        assert!((a - b).abs() < 1e-5, "{index}: {a} {b}");
    }
}
