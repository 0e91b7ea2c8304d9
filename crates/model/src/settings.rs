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
    /// How the n-gram model beside the encoder is heard; `None` where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ngrams: Option<NgramSettings>,
    /// How what started a process is heard beside its own line; `None` where that was not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<ParentShare>,
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

/// How the answers of an encoder and of the n-gram model beside it are put together: their logits are added up by shares (a logarithmic
/// opinion pool; Genest and Zidek 1986), those of an attack at all apart from those of one technique rather than another.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NgramSettings {
    /// What each part's logit of an attack counts.
    pub attack: AttackShares,
    /// The same where the line is [prose](crate::is_prose); `None` where too few harmless sentences were there to tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prose_attack: Option<AttackShares>,
    /// What each part's technique counts where the line is a command.
    pub technique: TechniqueShares,
    /// The same where it is [prose](crate::is_prose), on which an encoder is surer.
    pub prose: TechniqueShares,
    /// Where the gate may settle lines before the encoder; `None` where that was not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateSettings>,
}

/// What the logits of an attack count that encoder, n-gram head and gate give, how surely a technique is named, and what is added.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AttackShares {
    /// The encoder's.
    pub encoder: f32,
    /// The n-gram head's.
    pub head: f32,
    /// The gate's.
    pub gate: f32,
    /// The logarithm of what the most probable technique has among all of them: text unlike any attack is taken for one without being like one
    /// technique.
    pub named: f32,
    /// What is added.
    pub bias: f32,
}

impl NgramSettings {
    /// What each part's logit of an attack counts for a line that is prose or not.
    pub fn attack_of(&self, prose: bool) -> AttackShares {
        self.prose_attack.filter(|_| prose).unwrap_or(self.attack)
    }

    /// What each part's technique counts for such a line.
    pub fn technique_of(&self, prose: bool) -> TechniqueShares {
        if prose { self.prose } else { self.technique }
    }
}

/// What the log probabilities of the techniques count that encoder and n-gram head give.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TechniqueShares {
    /// The encoder's.
    pub encoder: f32,
    /// The n-gram head's.
    pub head: f32,
}

/// Where the gate settles that a line is benign, and what that cost on the lines that it was set with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GateSettings {
    /// What n-gram head and gate count where no encoder is asked: a line's logit of an attack is then theirs.
    pub attack: AttackShares,
    /// A line whose logit of an attack is below this is benign.
    pub threshold: f32,
    /// The share of attacks that the model finds otherwise and that the gate settles as benign.
    pub lost: f64,
    /// The attack lines that this share is of.
    pub attacks: usize,
    /// The share of benign lines that the gate settles.
    pub settled: f64,
    /// The benign lines that this share is of.
    pub benign: usize,
}

impl Default for GateSettings {
    /// The gate's word alone, as models made before the head was heard have it.
    fn default() -> Self {
        let attack = AttackShares { gate: 1.0, ..AttackShares::default() };
        Self { attack, threshold: f32::MIN, lost: 0.0, attacks: 0, settled: 0.0, benign: 0 }
    }
}

/// What the answer to the parent's command line counts in the answer to a line: `share` times what its logit of an attack is above `usual`
/// is added to the line's.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ParentShare {
    /// What it counts.
    pub share: f32,
    /// The logit of an attack that harmless lines' parents have on average: such a parent changes nothing.
    pub usual: f32,
    /// The furthest from `usual` that is heard, so that no parent decides alone: whoever starts a program chooses what its parent seems to be.
    pub furthest: f32,
}

impl ParentShare {
    fn is_sound(self) -> bool {
        [self.share, self.furthest].iter().all(|value| value.is_finite() && *value >= 0.0) && self.usual.is_finite()
    }
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
            ngrams: None,
            parent: None,
            training: None,
        }
    }
}

impl NgramSettings {
    fn is_sound(&self) -> bool {
        let AttackShares { encoder, head, gate, named, bias } = self.attack;
        let shares = [encoder, head, gate, named, self.technique.encoder, self.technique.head, self.prose.encoder, self.prose.head];
        shares.iter().all(|share| share.is_finite() && *share >= 0.0)
            && bias.is_finite()
            && self.gate.as_ref().is_none_or(|gate| gate.threshold.is_finite())
    }
}

impl Settings {
    /// Reads `attackline.json` and checks its values.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ModelError> {
        let settings: Self = serde_json::from_slice(bytes).map_err(|error| ModelError::damaged("attackline.json", error))?;
        let sound = settings.temperature.is_finite()
            && settings.temperature > 0.0
            && (0.0..=1.0).contains(&settings.threshold)
            && settings.max_length >= 4
            && settings.ngrams.as_ref().is_none_or(NgramSettings::is_sound)
            && settings.parent.is_none_or(ParentShare::is_sound);
        if sound {
            Ok(settings)
        } else {
            Err(ModelError::damaged(
                "attackline.json",
                "temperature must be above 0, threshold from 0 to 1, max_length at least 4, the shares of ngrams and parent numbers from 0 up",
            ))
        }
    }

    /// The bytes of `attackline.json`.
    pub fn to_json(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("settings hold only plain values");
        bytes.push(b'\n');
        bytes
    }
}
