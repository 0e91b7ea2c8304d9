//! The graph in candle's own operations, as a GPU would run it, against the engine.
#![allow(clippy::unwrap_used)]

#[path = "../../engine/tests/common/mod.rs"]
mod common;

use attackline_engine::Engine;
use attackline_model::{Classifier, Encoded, TokenBatch};
use attackline_train::{DeviceKind, FloatType, GraphClassifier};
use common::{FOLDERS, expected, folder, greatest_difference};

#[test]
fn plain_operations_give_the_engines_logits() {
    for name in FOLDERS {
        let folder = folder(name);
        let lines = expected(name).lines;
        let batch: TokenBatch = lines.iter().map(Vec::as_slice).collect();
        let engine = Engine::new(&folder).unwrap();
        let graph = GraphClassifier::new(&folder, DeviceKind::Cpu, FloatType::F32).unwrap();
        let worst = greatest_difference(&graph.logits(&batch).unwrap(), &engine.logits(&batch));
        assert!(worst < 1e-5, "{name}: {worst:e}");
        let lines: Vec<Encoded> = lines.into_iter().map(Encoded::from).collect();
        assert_eq!(graph.classify(&lines).len(), engine.classify(&lines).len());
        assert!(graph.logits(&TokenBatch::new()).unwrap().is_empty());
    }
}

#[test]
fn half_the_bits_give_nearly_the_same_probabilities() {
    let folder = folder("tiny-deberta-v3");
    let batch: Vec<Encoded> = expected("tiny-deberta-v3").lines.into_iter().map(Encoded::from).collect();
    let exact = Engine::new(&folder).unwrap().classify(&batch);
    let graph = GraphClassifier::new(&folder, DeviceKind::Cpu, FloatType::Bf16).unwrap();
    for (a, b) in exact.iter().zip(graph.classify(&batch)) {
        assert!(greatest_difference(&a.scores, &b.scores) < 0.15, "{a:?} {b:?}");
    }
}

#[test]
#[cfg(not(feature = "cuda"))]
fn a_device_that_is_not_there_is_refused_by_name() {
    let Err(error) = GraphClassifier::new(&folder("tiny-bert"), DeviceKind::Cuda, FloatType::F32) else { panic!("there is no such device") };
    assert!(error.to_string().contains("--features cuda"), "{error}");
}
