//! Every step of the graph and every gradient against PyTorch and `transformers`, for every architecture.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests that also report their figures")]

#[path = "../../engine/tests/common/mod.rs"]
mod common;

use attackline_train::{Example, TrainSettings, Trainer, TrainingData};
use common::{FOLDERS, difference, expected, folder};

#[test]
fn steps_are_within_1e_5_and_gradients_within_1e_4_of_pytorch() {
    for name in FOLDERS {
        let (expected, folder) = (expected(name), folder(name));
        let labels = folder.labels.clone().unwrap();
        let train: Vec<Example> = expected.lines.iter().zip(&expected.labels).map(|(ids, &label)| Example::new(ids.clone(), label)).collect();
        let data = TrainingData { validation: train.clone(), train };
        let settings = TrainSettings { label_smoothing: 0.0, ..TrainSettings::default() };
        let trainer = Trainer::new(&folder, &labels, &data, settings).unwrap();
        let (mut steps, mut greatest) = (0, 0.0f32);
        trainer
            .observed_logits(&data.train, &mut |step, result| {
                let worst = difference(&expected, &step.to_string(), result);
                assert!(worst < 1e-5, "{name}: {step} differs by {worst:e}");
                (steps, greatest) = (steps + 1, greatest.max(worst));
            })
            .unwrap();
        assert_eq!(steps, 3 + 4 * folder.spec.layers, "{name}");

        let (loss, gradients) = trainer.gradients(&data.train).unwrap();
        assert!((loss as f32 - expected.values["loss"][0]).abs() < 1e-5, "{name}: loss {loss}");
        let mut relative = 0.0f32;
        let mut compared = 0;
        for (key, wanted) in &expected.values {
            let Some(tensor) = key.strip_prefix("gradient.") else { continue };
            let got = &gradients.get(tensor).unwrap_or_else(|| panic!("{name}: no gradient of {tensor}")).data;
            // Relative to the tensor's greatest: single elements are sums that cancel.
            let scale = wanted.iter().fold(0.0f32, |most, value| most.max(value.abs()));
            let worst = common::greatest_difference(got, wanted);
            assert!(worst <= 1e-4 * scale.max(1e-3), "{name}: {tensor} differs by {worst:e}, its greatest is {scale:e}");
            relative = relative.max(worst / scale.max(1e-3));
            compared += 1;
        }
        assert_eq!(compared, gradients.len(), "{name}: every trainable tensor has a reference");
        println!("{name}: {steps} steps within {greatest:e}, {compared} gradients within {relative:e}");
    }
}
