use crate::ModelError;
use serde::{Deserialize, Serialize};

/// What `attackline.json` adds to a Hugging Face folder: how the answers are to be read. Every value has a default, so that a
/// folder without the file works.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// What the model is called in answers.
    pub name: String,
    /// The ATT&CK version that the labels follow.
    pub attack_version: String,
    /// The longest line in tokens, special ones included; longer ones keep their head and their tail.
    pub max_length: usize,
    /// Logits are divided by this before softmax (temperature scaling, Guo et al. 2017).
    pub temperature: f32,
    /// The probability from which an attack label is reported rather than abstained from.
    pub threshold: f32,
    /// That the products of the layers are computed in int8, and what it costs; `None` where everything is computed in f32.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantization: Option<Quantization>,
    /// How the model was trained, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training: Option<TrainingSummary>,
}

/// What `attackline model quantize` found over its sample lines. Products whose weights are stored as int8 are computed in int8.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Quantization {
    /// How many lines were looked at.
    pub lines: usize,
    /// The share of them that got the same label as in f32.
    pub same_label: f64,
    /// The mean, over lines, of the greatest change of a label's probability.
    pub mean_drift: f64,
    /// Products that stayed in f32, such as `layer.3.down`.
    pub kept: Vec<String>,
    /// The relative error of each product's result in int8, by its name.
    pub errors: Vec<(String, f64)>,
}

/// The run that made a model, for its card and for `attackline model info`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainingSummary {
    /// The base model and its licence.
    pub base: String,
    /// `full`, later also `lora` and `bitfit`.
    pub method: String,
    /// The settings of the run as `key=value` words.
    pub settings: Vec<String>,
    /// Names and SHA-256 of the labelled files.
    pub data: Vec<(String, String)>,
    /// Figures on the validation rows, by name.
    pub validation: Vec<(String, f64)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: "unnamed".into(),
            attack_version: "18.1".into(),
            max_length: 128,
            temperature: 1.0,
            threshold: 0.5,
            quantization: None,
            training: None,
        }
    }
}

impl Settings {
    /// Reads `attackline.json` and checks its values.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ModelError> {
        let settings: Self = serde_json::from_slice(bytes).map_err(|error| ModelError::damaged("attackline.json", error))?;
        let sound =
            settings.temperature.is_finite() && settings.temperature > 0.0 && (0.0..=1.0).contains(&settings.threshold) && settings.max_length >= 4;
        if sound {
            Ok(settings)
        } else {
            Err(ModelError::damaged("attackline.json", "temperature must be above 0, threshold from 0 to 1, max_length at least 4"))
        }
    }

    /// The bytes of `attackline.json`.
    pub fn to_json(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("settings hold only plain values");
        bytes.push(b'\n');
        bytes
    }
}
