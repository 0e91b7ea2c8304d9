//! Whole runs on a small random model: learning, resuming, stopping.
#![allow(clippy::unwrap_used)]

mod common;

use attackline_model::{Labels, Tensor};
use attackline_train::{EpochReport, MetricsFile, Observer, Schedule, Silent, StepReport, TrainError, TrainSettings, Trainer, TrainingData};
use common::{data, folder, labels};
use std::sync::atomic::{AtomicBool, Ordering};

fn settings() -> TrainSettings {
    TrainSettings { epochs: 4, learning_rate: 1e-3, head_learning_rate: 1e-3, batch_tokens: 64, threads: 2, ..TrainSettings::default() }
}

/// Sets the flag after a step.
struct StopAt<'a>(u64, &'a AtomicBool);

impl Observer for StopAt<'_> {
    fn step(&mut self, report: &StepReport) {
        self.1.store(report.step == self.0, Ordering::Relaxed);
    }
}

#[test]
fn learns_its_rows_by_heart() {
    let (folder, labels, data) = (folder(), labels(), data(32));
    let settings =
        TrainSettings { epochs: 100, learning_rate: 2e-3, head_learning_rate: 2e-3, dropout: 0.0, schedule: Schedule::Cosine, ..settings() };
    let outcome = Trainer::new(&folder, &labels, &data, settings).unwrap().run(&mut Silent, &AtomicBool::new(false)).unwrap();
    let first = outcome.epochs[0].train_loss;
    let last = outcome.epochs.last().unwrap();
    assert!(first > 0.5 && last.train_loss < 0.01, "{first} {}", last.train_loss);
    assert_eq!(last.accuracy, 1.0);
    assert!(folder.with_head(labels.clone(), folder.settings.clone(), outcome.weights).is_ok(), "what comes out makes a model folder");
}

#[test]
fn an_interrupted_run_goes_on_to_the_same_bits() {
    let (folder, labels, data) = (folder(), labels(), data(40));
    let straight = Trainer::new(&folder, &labels, &data, settings()).unwrap().run(&mut Silent, &AtomicBool::new(false)).unwrap();
    assert!(straight.steps > 20, "{}", straight.steps);
    // The first stop lies inside the first epoch, the second behind a best epoch.
    let home = tempfile::tempdir().unwrap();
    for stop in [3, straight.steps - 2] {
        let cancel = AtomicBool::new(false);
        let mut trainer = Trainer::new(&folder, &labels, &data, settings()).unwrap();
        trainer.checkpoints_in(home.path()).unwrap();
        let error = trainer.run(&mut StopAt(stop, &cancel), &cancel).unwrap_err();
        assert!(matches!(error, TrainError::Interrupted { step } if step == stop), "{error}");
    }
    let mut trainer = Trainer::new(&folder, &labels, &data, settings()).unwrap();
    assert_eq!(trainer.checkpoints_in(home.path()).unwrap(), straight.steps - 2);
    let resumed = trainer.run(&mut Silent, &AtomicBool::new(false)).unwrap();
    assert_eq!(resumed.trained, straight.trained);
    assert_eq!(resumed.epochs, straight.epochs);
    assert_ne!(
        straight.trained["classifier.weight"],
        Trainer::new(&folder, &labels, &data, settings()).unwrap().trained().unwrap()["classifier.weight"]
    );
    assert!(!home.path().join("checkpoint.safetensors.partial").exists());

    let other = TrainSettings { seed: 8, ..settings() };
    let error = Trainer::new(&folder, &labels, &data, other).unwrap().checkpoints_in(home.path()).unwrap_err();
    assert!(error.to_string().contains("other settings"), "{error}");
}

/// Takes the folder of checkpoints away after a step, and counts complaints.
struct Saboteur<'a>(&'a std::path::Path, usize);

impl Observer for Saboteur<'_> {
    fn step(&mut self, report: &StepReport) {
        if report.step == 2 {
            std::fs::remove_dir_all(self.0).unwrap();
            std::fs::write(self.0, "in the way").unwrap();
        }
    }

    fn unsaved(&mut self, _: &TrainError) {
        self.1 += 1;
    }
}

#[test]
fn a_checkpoint_that_cannot_be_saved_costs_no_run() {
    let (folder, labels, data) = (folder(), labels(), data(40));
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("checkpoints");
    std::fs::create_dir(&place).unwrap();
    let mut trainer = Trainer::new(&folder, &labels, &data, settings()).unwrap();
    trainer.checkpoints_in(&place).unwrap();
    let mut saboteur = Saboteur(&place, 0);
    let outcome = trainer.run(&mut saboteur, &AtomicBool::new(false)).unwrap();
    assert_eq!((outcome.epochs.len(), saboteur.1), (4, 4));
    let cancel = AtomicBool::new(true);
    let mut trainer = Trainer::new(&folder, &labels, &data, settings()).unwrap();
    trainer.checkpoints_in(&place).unwrap();
    let error = trainer.run(&mut Silent, &cancel).unwrap_err();
    assert!(!matches!(error, TrainError::Interrupted { .. }), "who is interrupted must know that nothing was saved: {error}");
}

#[test]
fn a_damaged_checkpoint_is_refused_by_name() {
    let (folder, labels, data) = (folder(), labels(), data(8));
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("checkpoint.safetensors"), b"\xff\xff\xff\xff\xff\xff\xff\xff{}").unwrap();
    let error = Trainer::new(&folder, &labels, &data, settings()).unwrap().checkpoints_in(home.path()).unwrap_err();
    assert!(matches!(error, TrainError::Checkpoint { .. }) && error.to_string().contains("checkpoint.safetensors"), "{error}");
}

#[test]
fn a_diverging_run_stops_and_names_its_step() {
    let (mut folder, labels, data) = (folder(), labels(), data(32));
    let settings = TrainSettings { learning_rate: 1e30, head_learning_rate: 1e30, warmup: 0.0, ..settings() };
    let error = Trainer::new(&folder, &labels, &data, settings).unwrap().run(&mut Silent, &AtomicBool::new(false)).unwrap_err();
    assert!(matches!(error, TrainError::Diverged { step, .. } if step >= 2) && error.to_string().starts_with("step "), "{error}");

    folder.weights.insert("bert.pooler.dense.bias".into(), Tensor { shape: vec![32], data: vec![f32::NAN; 32] });
    let error = Trainer::new(&folder, &labels, &data, self::settings()).unwrap().run(&mut Silent, &AtomicBool::new(false)).unwrap_err();
    assert!(error.to_string().starts_with("step 1:"), "{error}");
}

#[test]
fn stops_early_and_keeps_the_best_epoch() {
    let (folder, labels, data) = (folder(), labels(), data(32));
    // Without a learning rate worth the name no epoch is better than the first.
    let settings = TrainSettings { epochs: 10, learning_rate: 1e-30, head_learning_rate: 1e-30, weight_decay: 0.0, patience: 2, ..settings() };
    let outcome = Trainer::new(&folder, &labels, &data, settings).unwrap().run(&mut Silent, &AtomicBool::new(false)).unwrap();
    assert_eq!((outcome.epochs.len(), outcome.best_epoch), (3, 1));
}

#[test]
fn labels_that_the_base_has_keep_what_its_head_knows() {
    let (folder, known, data) = (folder(), labels(), data(8));
    let outcome = Trainer::new(&folder, &known, &data, settings()).unwrap().run(&mut Silent, &AtomicBool::new(false)).unwrap();
    let base = folder.with_head(known.clone(), folder.settings.clone(), outcome.weights).unwrap();
    let names: Vec<String> = std::iter::once("T1012".to_owned()).chain(known.names().iter().rev().cloned()).collect();
    let more = Labels::new(names).unwrap();
    let started = Trainer::new(&base, &more, &data, settings()).unwrap().trained().unwrap();
    for tensor in ["classifier.weight", "classifier.bias"] {
        let (old, new) = (base.weights.tensor(tensor).unwrap(), &started[tensor]);
        let width = old.data.len() / known.len();
        let row = |of: &Tensor, place: usize| of.data[place * width..][..width].to_vec();
        for (place, name) in known.names().iter().enumerate() {
            assert_eq!(row(&old, place), row(new, more.index(name).unwrap()), "{tensor} of {name}");
        }
        assert_eq!(row(new, 0).iter().any(|value| *value != 0.0), tensor == "classifier.weight", "a new label's weights are drawn, its bias is 0");
    }
}

#[test]
fn rows_and_settings_that_cannot_work_are_refused() {
    let refusal = |data: &TrainingData, settings| Trainer::new(&folder(), &labels(), data, settings).err().unwrap().to_string();
    let mut wrong = data(8);
    wrong.train[3].ids[1] = 10_000;
    assert!(refusal(&wrong, settings()).contains("training row 4"));
    wrong.validation.clear();
    wrong.train.truncate(3);
    assert!(refusal(&wrong, settings()).contains("no validation rows"));
    assert!(refusal(&data(8), TrainSettings { dropout: 1.0, ..settings() }).contains("dropout"));
    assert!(refusal(&data(8), TrainSettings { class_weights: Some(vec![1.0]), ..settings() }).contains("class-weights"));
}

#[test]
fn metrics_are_one_json_object_a_line() {
    let (folder, labels, data) = (folder(), labels(), data(16));
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("metrics.ndjson");
    let mut metrics = MetricsFile::append(&path).unwrap();
    let outcome = Trainer::new(&folder, &labels, &data, settings()).unwrap().run(&mut metrics, &AtomicBool::new(false)).unwrap();
    metrics.finish().unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().filter(|line| line["kind"] == "step").count() as u64, outcome.steps);
    let epochs: Vec<EpochReport> =
        lines.iter().filter(|line| line["kind"] == "epoch").map(|line| serde_json::from_value(line.clone()).unwrap()).collect();
    assert_eq!(epochs, outcome.epochs);
}
