//! A small random model and rows that it can learn.

use attackline_model::{FolderFiles, Labels, ModelFolder, Tensor, TensorMap, WeightLayout};
use attackline_train::{Example, TrainingData};
use serde_json::json;

pub fn labels() -> Labels {
    Labels::new(vec!["Benign".into(), "T1003.002".into(), "T1049".into()]).unwrap()
}

/// Two layers of width 32 with weights from a fixed formula. It has no head yet.
pub fn folder() -> ModelFolder {
    let config = json!({"model_type": "bert", "vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 48, "max_position_embeddings": 24, "type_vocab_size": 2, "architectures": ["BertModel"]});
    let spec = attackline_model::EncoderSpec::from_config(&config).unwrap();
    let mut tensors = TensorMap::new();
    let mut state = 1u64;
    for entry in WeightLayout::new(&spec, 0).entries() {
        if entry.name.starts_with("classifier") {
            continue;
        }
        let mut tensor = Tensor::zeros(&entry.shape);
        for value in &mut tensor.data {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let noise = (state >> 40) as f32 / 16_777_216.0 - 0.5;
            *value = if entry.name.ends_with("LayerNorm.weight") { 1.0 + 0.2 * noise } else { 0.3 * noise };
        }
        tensors.insert(entry.name.clone(), tensor);
    }
    let files = FolderFiles::from([("config.json".to_owned(), serde_json::to_vec(&config).unwrap()), ("tokenizer.json".to_owned(), b"{}".to_vec())]);
    ModelFolder::from_parts(files, tensors.into()).unwrap()
}

/// Lines of 3 to 16 tokens whose label is decided by their second token.
pub fn data(lines: usize) -> TrainingData {
    let token = |i: usize, place: usize| if place == 1 { (i % 3) as u32 } else { (3 + (i * 7 + place * 11) % 46) as u32 };
    let line = |i: usize| Example::new((0..3 + i * 5 % 14).map(|place| token(i, place)).collect(), i % 3);
    let train: Vec<Example> = (0..lines).map(line).collect();
    TrainingData { validation: train.clone(), train }
}
