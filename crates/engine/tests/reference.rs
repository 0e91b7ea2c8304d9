//! The engine against Python `transformers` on a small checkpoint, and its promise that company changes nothing.
#![allow(clippy::unwrap_used, missing_docs)]

use attackline_engine::{Engine, EngineError};
use attackline_model::{Classifier, ModelFolder, Tensor, TokenBatch};
use serde_json::Value;
use std::path::PathBuf;

fn folder() -> ModelFolder {
    ModelFolder::read(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/tiny-bert")).unwrap()
}

fn expected() -> Vec<Value> {
    serde_json::from_str(include_str!("data/tiny-bert/expected.json")).unwrap()
}

fn ids(row: &Value) -> Vec<u32> {
    row["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

#[test]
fn tokens_and_logits_equal_those_of_transformers() {
    let engine = Engine::new(&folder()).unwrap();
    let rows = expected();
    let mut batch = TokenBatch::new();
    for row in &rows {
        assert_eq!(engine.encode(row["text"].as_str().unwrap()).unwrap().ids, ids(row), "{}", row["text"]);
        batch.push(&ids(row));
    }
    let logits = engine.logits(&batch);
    let wanted = rows.iter().flat_map(|row| row["logits"].as_array().unwrap()).map(|logit| logit.as_f64().unwrap() as f32);
    let worst = logits.iter().zip(wanted).map(|(got, wanted)| (got - wanted).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-5, "largest difference {worst:e}");
}

#[test]
fn a_line_alone_gets_the_bits_it_gets_in_any_batch() {
    let engine = Engine::new(&folder()).unwrap();
    let rows: Vec<Vec<u32>> = expected().iter().map(ids).collect();
    let bits = |lines: Vec<&[u32]>| -> Vec<u32> { engine.logits(&lines.into_iter().collect()).iter().map(|logit| logit.to_bits()).collect() };
    let together = bits(rows.iter().map(Vec::as_slice).collect());
    let mut backwards: Vec<Vec<u32>> = bits(rows.iter().rev().map(Vec::as_slice).collect()).chunks(4).map(<[u32]>::to_vec).collect();
    backwards.reverse();
    assert_eq!(together, backwards.concat());
    for (index, row) in rows.iter().enumerate() {
        assert_eq!(bits(vec![row]), together[index * 4..][..4], "line {index}");
    }
}

#[test]
fn scores_are_probabilities_and_the_temperature_flattens_them() {
    let row = ids(&expected()[0]);
    let score = |temperature| {
        let mut folder = folder();
        folder.settings.temperature = temperature;
        let scores = Engine::new(&folder).unwrap().classify(&[row.clone().into()]).remove(0).scores;
        assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        scores.into_iter().fold(0.0, f32::max)
    };
    assert!(score(4.0) < score(1.0));
}

#[test]
fn a_pack_holds_the_same_model_within_int8() {
    let folder = folder();
    let pack = folder.to_pack().unwrap();
    let unpacked = ModelFolder::from_pack(pack.clone()).unwrap();
    assert_eq!(unpacked.files, folder.files);
    let lines: TokenBatch = expected().iter().map(ids).collect::<Vec<_>>().iter().map(Vec::as_slice).collect();
    let (exact, stored) = (Engine::new(&folder).unwrap().logits(&lines), Engine::new(&unpacked).unwrap().logits(&lines));
    let worst = exact.iter().zip(&stored).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst > 0.0 && worst < 0.3, "largest difference {worst}");
    for length in (0..pack.len()).step_by(997) {
        assert!(ModelFolder::from_pack(pack[..length].to_vec()).is_err(), "cut to {length} bytes");
    }
    let in_place = ModelFolder::from_pack(&*pack.leak()).unwrap();
    assert_eq!(in_place.files, folder.files);
    assert_eq!(Engine::new(&in_place).unwrap().logits(&lines), stored);
}

#[test]
fn what_is_wrong_with_a_folder_is_named() {
    let sound = folder();
    let broken = |change: &dyn Fn(&mut ModelFolder)| {
        let mut folder = sound.clone();
        change(&mut folder);
        ModelFolder::from_parts(folder.files, folder.weights).unwrap_err().to_string()
    };
    let missing = broken(&|folder| folder.weights.remove("bert.encoder.layer.1.output.dense.bias"));
    assert!(missing.contains("bert.encoder.layer.1.output.dense.bias is missing"), "{missing}");
    let misshapen = broken(&|folder| folder.weights.insert("classifier.bias".into(), Tensor { shape: vec![5], data: vec![0.0; 5] }));
    assert!(misshapen.contains("classifier.bias") && misshapen.contains("[5]"), "{misshapen}");
    let unknown = broken(&|folder| {
        let config = String::from_utf8(folder.files["config.json"].clone()).unwrap();
        folder.files.insert("config.json".into(), config.replace("\"model_type\": \"bert\"", "\"model_type\": \"mamba\"").into_bytes());
    });
    assert!(unknown.contains("model_type = mamba"), "{unknown}");
    let mut base = sound.clone();
    base.labels = None;
    assert!(matches!(Engine::new(&base), Err(EngineError::NoLabels)));
}
