use attackline_model::{Checkpoint, FolderFiles, ModelError, ModelFolder, Tensor, WeightLayout};

/// A published architecture, to measure the speed of without its weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// MiniLM-L6: BERT, 6 layers, 384 wide.
    MiniLm,
    /// RoBERTa-base: 12 layers, 768 wide.
    RobertaBase,
    /// DeBERTa-v3-base: 12 layers, 768 wide, relative positions.
    DebertaV3Base,
}

const LABELS: &str = r#""id2label": {"0": "Benign", "1": "T1003.002", "2": "T1049", "3": "T1087.001"}"#;

impl Shape {
    /// All, by the names that the command line knows them by.
    pub const NAMES: [(&str, Self); 3] = [("minilm", Self::MiniLm), ("roberta-base", Self::RobertaBase), ("deberta-v3-base", Self::DebertaV3Base)];

    fn config(self) -> String {
        let own = match self {
            Self::MiniLm => {
                r#""model_type": "bert", "architectures": ["BertForSequenceClassification"], "vocab_size": 30522, "hidden_size": 384,
                "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536, "hidden_act": "gelu",
                "max_position_embeddings": 512, "type_vocab_size": 2, "layer_norm_eps": 1e-12"#
            }
            Self::RobertaBase => {
                r#""model_type": "roberta", "architectures": ["RobertaForSequenceClassification"], "vocab_size": 50265, "hidden_size": 768,
                "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072, "hidden_act": "gelu",
                "max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5, "pad_token_id": 1"#
            }
            Self::DebertaV3Base => {
                r#""model_type": "deberta-v2", "architectures": ["DebertaV2ForSequenceClassification"], "vocab_size": 128100,
                "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072, "hidden_act": "gelu",
                "max_position_embeddings": 512, "type_vocab_size": 0, "layer_norm_eps": 1e-7, "relative_attention": true,
                "max_relative_positions": -1, "position_buckets": 256, "norm_rel_ebd": "layer_norm", "share_att_key": true,
                "pos_att_type": ["p2c", "c2p"], "position_biased_input": false, "pooler_hidden_size": 768, "pooler_hidden_act": "gelu",
                "pooler_dropout": 0"#
            }
        };
        format!("{{{own}, {LABELS}}}")
    }

    /// A folder of the architecture with random weights, the same every time, and without a tokenizer.
    pub fn folder(self) -> Result<ModelFolder, ModelError> {
        let config = self.config().into_bytes();
        let spec = ModelFolder::spec_of(&config)?;
        let mut weights = Checkpoint::default();
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        for entry in WeightLayout::new(&spec, 4).entries() {
            let count = entry.shape.iter().product();
            let value = if entry.role.is_gain() { 1.0 } else { 0.0 };
            let data = if entry.role.is_norm() || entry.role.is_bias() { vec![value; count] } else { (0..count).map(|_| 0.03 * next()).collect() };
            weights.insert(entry.name.clone(), Tensor { shape: entry.shape.clone(), data });
        }
        ModelFolder::from_parts(FolderFiles::from([("config.json".to_owned(), config)]), weights)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_shape_is_an_architecture() {
        for (name, shape) in Shape::NAMES {
            let spec = ModelFolder::spec_of(shape.config().as_bytes()).unwrap();
            assert_eq!(spec.hidden, if shape == Shape::MiniLm { 384 } else { 768 }, "{name}");
            assert_eq!(spec.used_relative().is_some(), shape == Shape::DebertaV3Base, "{name}");
        }
    }
}
