use crate::ModelError;
use serde_json::Value;

/// How a token's place in the line reaches the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PositionScheme {
    /// A learned vector for each absolute position is added to the token's (BERT).
    Absolute,
}

/// The function between the two products of the feed-forward block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// The exact Gaussian error linear unit, by erf. Its tanh approximation gives other numbers.
    Gelu,
}

/// How a line's tokens become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The first token through a square layer and tanh (BERT's pooler).
    FirstTokenTanh,
}

/// An encoder's architecture as data: the engine and the trainer are two interpreters of it.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderSpec {
    /// Rows of the word embedding.
    pub vocabulary: usize,
    /// Width of a token's vector.
    pub hidden: usize,
    /// Number of transformer layers.
    pub layers: usize,
    /// Attention heads; divides `hidden`.
    pub heads: usize,
    /// Width of the feed-forward block.
    pub intermediate: usize,
    /// Rows of the position embedding: the longest line in tokens.
    pub positions: usize,
    /// Rows of the token type embedding; every token of ours has type 0.
    pub token_types: usize,
    /// Added to the variance in every layer norm.
    pub norm_epsilon: f32,
    /// How positions enter.
    pub position_scheme: PositionScheme,
    /// The feed-forward block's function.
    pub activation: Activation,
    /// How a line becomes one vector.
    pub pooling: Pooling,
}

impl EncoderSpec {
    /// Reads a Hugging Face `config.json`. What isn't supported is refused by name.
    pub fn from_config(config: &Value) -> Result<Self, ModelError> {
        expect_one_of(config, "model_type", None, &["bert"])?;
        expect_one_of(config, "hidden_act", Some("gelu"), &["gelu"])?;
        expect_one_of(config, "position_embedding_type", Some("absolute"), &["absolute"])?;
        expect_one_of(config, "problem_type", Some("single_label_classification"), &["single_label_classification"])?;
        for flag in ["is_decoder", "add_cross_attention"] {
            if config[flag].as_bool() == Some(true) {
                return Err(unsupported(flag, "true", &["false"]));
            }
        }
        let spec = Self {
            vocabulary: count(config, "vocab_size", 10_000_000)?,
            hidden: count(config, "hidden_size", 65_536)?,
            layers: count(config, "num_hidden_layers", 1_000)?,
            heads: count(config, "num_attention_heads", 1_024)?,
            intermediate: count(config, "intermediate_size", 262_144)?,
            positions: count(config, "max_position_embeddings", 1_000_000)?,
            token_types: count(config, "type_vocab_size", 1_024)?,
            norm_epsilon: config["layer_norm_eps"].as_f64().unwrap_or(1e-12) as f32,
            position_scheme: PositionScheme::Absolute,
            activation: Activation::Gelu,
            pooling: Pooling::FirstTokenTanh,
        };
        if !spec.hidden.is_multiple_of(spec.heads) {
            return Err(unsupported("num_attention_heads", &spec.heads.to_string(), &["a divisor of hidden_size"]));
        }
        Ok(spec)
    }
}

fn count(config: &Value, key: &str, most: u64) -> Result<usize, ModelError> {
    match config[key].as_u64() {
        Some(value) if (1..=most).contains(&value) => Ok(value as usize),
        _ => Err(unsupported(key, &config[key].to_string(), &[&format!("a whole number from 1 to {most}")])),
    }
}

fn expect_one_of(config: &Value, key: &str, default: Option<&str>, supported: &[&str]) -> Result<(), ModelError> {
    let value = match &config[key] {
        Value::Null => default.unwrap_or("nothing").to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if supported.contains(&value.as_str()) { Ok(()) } else { Err(unsupported(key, &value, supported)) }
}

fn unsupported(key: &str, value: &str, supported: &[&str]) -> ModelError {
    ModelError::Unsupported { key: key.to_owned(), value: value.to_owned(), supported: supported.join(", ") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn config() -> Value {
        json!({"model_type": "bert", "vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
               "intermediate_size": 64, "max_position_embeddings": 64, "type_vocab_size": 2})
    }

    #[test]
    fn reads_a_bert_config() {
        let spec = EncoderSpec::from_config(&config()).unwrap();
        assert_eq!((spec.hidden, spec.heads, spec.norm_epsilon), (32, 4, 1e-12));
    }

    #[test]
    fn refuses_by_name_what_is_not_supported() {
        for (key, value) in [
            ("model_type", json!("gpt2")),
            ("hidden_act", json!("gelu_new")),
            ("position_embedding_type", json!("relative_key")),
            ("problem_type", json!("regression")),
            ("is_decoder", json!(true)),
            ("num_attention_heads", json!(5)),
            ("hidden_size", json!(-3)),
            ("vocab_size", json!(1e18)),
        ] {
            let mut config = config();
            config[key] = value;
            let message = EncoderSpec::from_config(&config).unwrap_err().to_string();
            assert!(message.contains(key), "{message}");
        }
    }
}
