//! `config.json` to an [`EncoderSpec`]: what isn't supported is refused by name, never ignored.

use super::{AbsolutePositions, Activation, Convolution, EncoderSpec, Head, ModelType, Pooling, RelativePositions};
use crate::ModelError;
use serde_json::Value;

const ACTIVATIONS: [(&str, Activation); 2] = [("gelu", Activation::Gelu), ("tanh", Activation::Tanh)];

impl EncoderSpec {
    /// Reads a Hugging Face `config.json`. What isn't supported is refused by name.
    ///
    /// `classifier_pooling` (`pooler`, the default, or `cls` or `mean`) is the only key that `transformers` doesn't know for these
    /// models: the last two classify the first token's vector or the mean of all without a square layer between.
    pub fn from_config(config: &Value) -> Result<Self, ModelError> {
        let model_type = one_of(config, "model_type", None, &ModelType::NAMES)?;
        one_of(
            config,
            "problem_type",
            Some("single_label_classification"),
            &[("single_label_classification", ()), ("multi_label_classification", ())],
        )?;
        for flag in ["is_decoder", "add_cross_attention", "tie_encoder_decoder"] {
            if flag_of(config, flag, false)? {
                return Err(unsupported(flag, "true", "false"));
            }
        }
        let hidden = count(config, "hidden_size", 65_536)?;
        let heads = count(config, "num_attention_heads", 1_024)?;
        if !hidden.is_multiple_of(heads) {
            return Err(unsupported("num_attention_heads", &heads.to_string(), "a divisor of hidden_size"));
        }
        let spec = Self {
            model_type,
            vocabulary: count(config, "vocab_size", 10_000_000)?,
            embedding: hidden,
            hidden,
            layers: count(config, "num_hidden_layers", 1_000)?,
            heads,
            intermediate: count(config, "intermediate_size", 262_144)?,
            longest: count(config, "max_position_embeddings", 1_000_000)?,
            absolute: None,
            relative: None,
            token_types: count_from(config, "type_vocab_size", if model_type == ModelType::DebertaV2 { Some(0) } else { Some(2) }, 0, 1_024)?,
            attention_terms: 1,
            norm_epsilon: epsilon(config, if model_type == ModelType::DebertaV2 { 1e-7 } else { 1e-12 })?,
            activation: one_of(config, "hidden_act", Some("gelu"), &ACTIVATIONS)?,
            convolution: None,
            head: Head { pooling: Pooling::First, dense: Some(Activation::Tanh) },
        };
        let spec = match model_type {
            ModelType::Bert => spec.with_absolute(config, 0)?,
            ModelType::Roberta => {
                let padding = count_from(config, "pad_token_id", Some(1), 0, 1_000_000)?;
                spec.with_absolute(config, padding + 1)?
            }
            ModelType::DebertaV2 => spec.with_deberta(config)?,
        };
        spec.with_pooling(config)
    }

    fn with_absolute(mut self, config: &Value, first: usize) -> Result<Self, ModelError> {
        one_of(config, "position_embedding_type", Some("absolute"), &[("absolute", ())])?;
        if self.token_types == 0 {
            return Err(unsupported("type_vocab_size", "0", "at least 1"));
        }
        let rows = self.longest;
        self.longest = rows.checked_sub(first).filter(|&longest| longest > 0).ok_or_else(|| {
            unsupported("max_position_embeddings", &rows.to_string(), &format!("more than the {first} that stand before a line's first token"))
        })?;
        self.absolute = Some(AbsolutePositions { rows, first });
        Ok(self)
    }

    fn with_deberta(mut self, config: &Value) -> Result<Self, ModelError> {
        self.embedding = count_from(config, "embedding_size", Some(self.hidden), 1, 65_536)?;
        for (key, wanted) in [("attention_head_size", self.head_width()), ("pooler_hidden_size", self.hidden), ("conv_groups", 1)] {
            let value = count_from(config, key, Some(wanted), 0, 65_536)?;
            if value != wanted {
                return Err(unsupported(key, &value.to_string(), &wanted.to_string()));
            }
        }
        if flag_of(config, "position_biased_input", true)? {
            self.absolute = Some(AbsolutePositions { rows: self.longest, first: 0 });
        }
        let terms = position_terms(config)?;
        self.attention_terms = 1 + usize::from(terms.0) + usize::from(terms.1);
        let normed = position_norm(config)?;
        if flag_of(config, "relative_attention", false)? {
            self.relative = Some(relative(config, self.longest, terms, normed)?);
        } else if self.absolute.is_none() {
            return Err(unsupported("relative_attention", "false", "true, or position_biased_input = true: this model would know no positions"));
        }
        let kernel = count_from(config, "conv_kernel_size", Some(0), 0, 1_023)?;
        if kernel > 0 {
            if kernel.is_multiple_of(2) {
                return Err(unsupported("conv_kernel_size", &kernel.to_string(), "0 or an odd number"));
            }
            self.convolution = Some(Convolution { kernel, activation: one_of(config, "conv_act", Some("tanh"), &ACTIVATIONS)? });
        }
        self.head.dense = Some(one_of(config, "pooler_hidden_act", Some("gelu"), &ACTIVATIONS)?);
        Ok(self)
    }

    fn with_pooling(mut self, config: &Value) -> Result<Self, ModelError> {
        let pooling =
            one_of(config, "classifier_pooling", Some("pooler"), &[("pooler", None), ("cls", Some(Pooling::First)), ("mean", Some(Pooling::Mean))])?;
        if let Some(pooling) = pooling {
            self.head = Head { pooling, dense: None };
        }
        Ok(self)
    }
}

/// Whether `pos_att_type` (a list, or words joined by `|`) names `c2p` and `p2c`.
fn position_terms(config: &Value) -> Result<(bool, bool), ModelError> {
    let words: Vec<String> = match &config["pos_att_type"] {
        Value::Null => Vec::new(),
        Value::String(text) => text.split('|').map(|word| word.trim().to_lowercase()).filter(|word| !word.is_empty()).collect(),
        Value::Array(items) => items.iter().map(|item| item.as_str().unwrap_or("?").trim().to_lowercase()).collect(),
        other => vec![other.to_string()],
    };
    match words.iter().find(|word| !matches!(word.as_str(), "c2p" | "p2c")) {
        Some(other) => Err(unsupported("pos_att_type", other, "c2p, p2c")),
        None => Ok((words.iter().any(|word| word == "c2p"), words.iter().any(|word| word == "p2c"))),
    }
}

fn position_norm(config: &Value) -> Result<bool, ModelError> {
    let text = match &config["norm_rel_ebd"] {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.to_lowercase(),
        other => other.to_string(),
    };
    one_of_text("norm_rel_ebd", text.trim(), &[("none", false), ("layer_norm", true)])
}

fn relative(
    config: &Value,
    longest: usize,
    (content_to_position, position_to_content): (bool, bool),
    normed: bool,
) -> Result<RelativePositions, ModelError> {
    let greatest = positive_or(config, "max_relative_positions", longest)?;
    let buckets = match positive_or(config, "position_buckets", 0)? {
        0 => None,
        buckets if buckets < 4 || buckets / 2 + 1 >= greatest => {
            return Err(unsupported("position_buckets", &buckets.to_string(), "at least 4, and half of them below max_relative_positions"));
        }
        buckets => Some((buckets, greatest)),
    };
    Ok(RelativePositions {
        span: buckets.map_or(greatest, |(buckets, _)| buckets),
        buckets,
        content_to_position,
        position_to_content,
        shared_projections: flag_of(config, "share_att_key", false)?,
        normed,
    })
}

/// A whole number that counts only when it is above 0, as DeBERTa's -1 for "not set".
fn positive_or(config: &Value, key: &str, otherwise: usize) -> Result<usize, ModelError> {
    match &config[key] {
        Value::Null => Ok(otherwise),
        value if value.as_i64().is_some_and(|value| value < 1) => Ok(otherwise),
        _ => count(config, key, 1_000_000),
    }
}

fn epsilon(config: &Value, default: f64) -> Result<f32, ModelError> {
    match &config["layer_norm_eps"] {
        Value::Null => Ok(default as f32),
        value => match value.as_f64() {
            Some(epsilon) if (0.0..1.0).contains(&epsilon) => Ok(epsilon as f32),
            _ => Err(unsupported("layer_norm_eps", &value.to_string(), "a number from 0 to 1")),
        },
    }
}

fn flag_of(config: &Value, key: &str, default: bool) -> Result<bool, ModelError> {
    match &config[key] {
        Value::Null => Ok(default),
        Value::Bool(value) => Ok(*value),
        other => Err(unsupported(key, &other.to_string(), "true, false")),
    }
}

fn count(config: &Value, key: &str, most: u64) -> Result<usize, ModelError> {
    count_from(config, key, None, 1, most)
}

fn count_from(config: &Value, key: &str, default: Option<usize>, least: u64, most: u64) -> Result<usize, ModelError> {
    match (&config[key], default) {
        (Value::Null, Some(default)) => Ok(default),
        (value, _) => match value.as_u64() {
            Some(value) if (least..=most).contains(&value) => Ok(value as usize),
            _ => Err(unsupported(key, &value.to_string(), &format!("a whole number from {least} to {most}"))),
        },
    }
}

/// The meaning of a word of the configuration among those that are supported.
fn one_of<T: Copy>(config: &Value, key: &str, default: Option<&str>, supported: &[(&str, T)]) -> Result<T, ModelError> {
    let value = match &config[key] {
        Value::Null => default.unwrap_or("nothing").to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    one_of_text(key, &value, supported)
}

fn one_of_text<T: Copy>(key: &str, value: &str, supported: &[(&str, T)]) -> Result<T, ModelError> {
    let names: Vec<&str> = supported.iter().map(|(name, _)| *name).collect();
    supported.iter().find(|(name, _)| *name == value).map(|(_, meaning)| *meaning).ok_or_else(|| unsupported(key, value, &names.join(", ")))
}

fn unsupported(key: &str, value: &str, supported: &str) -> ModelError {
    ModelError::Unsupported { key: key.to_owned(), value: value.to_owned(), supported: supported.to_owned() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn config(model_type: &str) -> Value {
        json!({"model_type": model_type, "vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
               "intermediate_size": 64, "max_position_embeddings": 64})
    }

    /// microsoft/deberta-v3-base's values, smaller.
    fn deberta() -> Value {
        let mut config = config("deberta-v2");
        let own = json!({"relative_attention": true, "position_buckets": 16, "max_relative_positions": -1, "norm_rel_ebd": "layer_norm",
            "share_att_key": true, "pos_att_type": "p2c|c2p", "position_biased_input": false, "type_vocab_size": 0, "pooler_hidden_act": "gelu"});
        config.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        config
    }

    #[test]
    fn reads_each_model_type() {
        let bert = EncoderSpec::from_config(&config("bert")).unwrap();
        assert_eq!((bert.hidden, bert.heads, bert.norm_epsilon, bert.longest), (32, 4, 1e-12, 64));
        let roberta = EncoderSpec::from_config(&config("roberta")).unwrap();
        assert_eq!((roberta.longest, roberta.absolute), (62, Some(AbsolutePositions { rows: 64, first: 2 })));
        let deberta = EncoderSpec::from_config(&deberta()).unwrap();
        let relative = deberta.relative.unwrap();
        assert_eq!((relative.span, relative.buckets, relative.normed, relative.shared_projections), (16, Some((16, 64)), true, true));
        assert_eq!((deberta.attention_terms, deberta.absolute, deberta.norm_epsilon), (3, None, 1e-7));
        assert_eq!(deberta.head, Head { pooling: Pooling::First, dense: Some(Activation::Gelu) });
    }

    #[test]
    fn refuses_by_name_what_is_not_supported() {
        let refused = |mut config: Value, key: &str, value: Value| {
            config[key] = value;
            let message = EncoderSpec::from_config(&config).unwrap_err().to_string();
            assert!(message.contains(key), "{message}");
        };
        for (key, value) in [
            ("model_type", json!("gpt2")),
            ("hidden_act", json!("gelu_new")),
            ("position_embedding_type", json!("relative_key")),
            ("problem_type", json!("regression")),
            ("is_decoder", json!(true)),
            ("num_attention_heads", json!(5)),
            ("hidden_size", json!(-3)),
            ("vocab_size", json!(1e18)),
            ("layer_norm_eps", json!("small")),
            ("classifier_pooling", json!("max")),
            ("type_vocab_size", json!(0)),
        ] {
            refused(config("bert"), key, value);
        }
        refused(config("roberta"), "max_position_embeddings", json!(2));
        for (key, value) in [
            ("pos_att_type", json!(["c2p", "p2p"])),
            ("norm_rel_ebd", json!("batch_norm")),
            ("position_buckets", json!(500)),
            ("conv_kernel_size", json!(4)),
            ("conv_groups", json!(2)),
            ("relative_attention", json!(false)),
            ("relative_attention", json!("yes")),
            ("pooler_hidden_size", json!(16)),
            ("attention_head_size", json!(64)),
            ("pooler_hidden_act", json!("relu")),
        ] {
            refused(deberta(), key, value);
        }
    }
}
