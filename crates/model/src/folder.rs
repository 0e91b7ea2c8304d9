use crate::{
    Checkpoint, EncoderSpec, Int8Tensor, Labels, ModelError, Quantization, Role, Settings, TextTokenizer, WeightLayout,
    export::pretty,
    tokenizer::{lacking, tokenizer_json},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
};

/// The small files of a folder by name (`config.json`, `tokenizer.json`, …), byte for byte; everything but the weights.
pub type FolderFiles = BTreeMap<String, Vec<u8>>;

const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
const SETTINGS: &str = "attackline.json";
const WEIGHTS: &str = "model.safetensors";

/// The files of a folder beside its weights that are read, and carried along when a model is written again.
pub const SMALL_FILES: [&str; 11] = [
    CONFIG,
    TOKENIZER,
    SETTINGS,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "spm.model",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "README.md",
];

/// What `tokenizer.json` is made from where a folder has none; of no use beside it.
const TOKENIZER_SOURCES: [&str; 4] = ["spm.model", "vocab.json", "merges.txt", "vocab.txt"];

/// A model as a folder holds it, read and checked.
#[derive(Debug, Clone)]
pub struct ModelFolder {
    /// The small files, byte for byte.
    pub files: FolderFiles,
    /// `config.json`, parsed.
    pub config: Value,
    /// The architecture that `config.json` describes.
    pub spec: EncoderSpec,
    /// The labels, where the model is a classifier rather than a base.
    pub labels: Option<Labels>,
    /// `attackline.json`, or its defaults.
    pub settings: Settings,
    /// All weights under the names of [`WeightLayout`].
    pub weights: Checkpoint,
}

impl ModelFolder {
    /// Reads a folder as it is published and checks that every weight is there with the right shape. The weights themselves are read when
    /// they are asked for.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let files = read_files(path)?;
        let mut folder = Self::from_parts(files, Checkpoint::open(path)?)?;
        if let Some(what) = lacking(&folder.files, folder.spec.model_type) {
            return Err(ModelError::NotAFolder { path: path.to_owned(), reason: format!("it has {what}") });
        }
        // From here on the tokenizer is tokenizer.json alone, whatever files it came in.
        let json = tokenizer_json(&folder.files, folder.spec.model_type)?;
        folder.files.insert(TOKENIZER.into(), json);
        folder.files.retain(|name, _| !TOKENIZER_SOURCES.contains(&name.as_str()));
        Ok(folder)
    }

    /// The architecture that the bytes of a `config.json` describe.
    pub fn spec_of(config: &[u8]) -> Result<EncoderSpec, ModelError> {
        EncoderSpec::from_config(&serde_json::from_slice(config).map_err(|error| ModelError::damaged(CONFIG, error))?)
    }

    /// Reads the tokenizer of a folder that need not have weights, for lines of up to `max_length` tokens.
    pub fn read_tokenizer(path: &Path, max_length: usize) -> Result<TextTokenizer, ModelError> {
        let files = read_files(path)?;
        let spec = EncoderSpec::from_config(&parse_config(&files)?)?;
        TextTokenizer::new(&tokenizer_json(&files, spec.model_type)?, max_length, spec.vocabulary)
    }

    /// Puts a model together from its small files and its weights, and checks both.
    pub fn from_parts(files: FolderFiles, weights: Checkpoint) -> Result<Self, ModelError> {
        let config = parse_config(&files)?;
        let spec = EncoderSpec::from_config(&config)?;
        let labels = if is_classifier(&config) { Some(Labels::from_config(&config)?) } else { None };
        let settings = match files.get(SETTINGS) {
            Some(bytes) => Settings::from_json(bytes)?,
            None => Settings { max_length: Settings::default().max_length.min(spec.longest), ..Settings::default() },
        };
        if settings.max_length > spec.longest {
            return Err(ModelError::damaged(
                SETTINGS,
                format!("max_length {} is above the model's longest line, {} tokens", settings.max_length, spec.longest),
            ));
        }
        let layout = WeightLayout::new(&spec, labels.as_ref().map_or(0, Labels::len));
        let weights = layout.normalise(weights);
        layout.check(&weights, labels.is_none())?;
        Ok(Self { files, config, spec, labels, settings, weights })
    }

    /// The longest line in tokens that the [tokenizer](Self::tokenizer) gives.
    pub fn longest_line(&self) -> usize {
        self.settings.max_length.min(self.spec.longest)
    }

    /// The tokenizer, cutting lines to `max_length` tokens (that of the settings, unless told otherwise).
    pub fn tokenizer(&self, max_length: Option<usize>) -> Result<TextTokenizer, ModelError> {
        let json = self.files.get(TOKENIZER).ok_or_else(|| ModelError::Tokenizer("is missing".into()))?;
        let length = max_length.map_or(self.longest_line(), |length| length.min(self.spec.longest));
        TextTokenizer::new(json, length, self.spec.vocabulary)
    }

    /// The same architecture and tokenizer with other weights, labels and settings: what training makes of a base.
    pub fn with_head(&self, labels: Labels, settings: Settings, weights: impl Into<Checkpoint>) -> Result<Self, ModelError> {
        let mut config = self.config.as_object().cloned().unwrap_or_default();
        labels.write_to(&mut config);
        config.insert("architectures".into(), json!([self.spec.model_type.architecture()]));
        config.insert("torch_dtype".into(), json!("float32"));
        config.remove("_name_or_path");
        let mut files = self.files.clone();
        files.insert(CONFIG.into(), pretty(&config));
        files.insert(SETTINGS.into(), settings.to_json());
        files.remove("README.md");
        Self::from_parts(files, weights.into())
    }

    /// The bare encoder with its tokenizer: a base without labels, pooler, n-grams and settings.
    pub fn without_head(&self) -> Result<Self, ModelError> {
        let mut config = self.config.as_object().cloned().unwrap_or_default();
        ["id2label", "label2id", "num_labels", "problem_type", "architectures"].iter().for_each(|key| drop(config.remove(*key)));
        let mut weights = self.weights.clone();
        let layout = WeightLayout::new(&self.spec, self.labels.as_ref().map_or(0, Labels::len));
        let encoder: HashSet<&str> = layout.entries().iter().filter(|entry| !entry.role.is_head()).map(|entry| entry.name.as_str()).collect();
        let others: Vec<String> = weights.names().filter(|name| !encoder.contains(name)).map(str::to_owned).collect();
        others.iter().for_each(|name| weights.remove(name));
        let mut files = self.files.clone();
        files.insert(CONFIG.into(), pretty(&config));
        ["README.md", SETTINGS].iter().for_each(|name| drop(files.remove(*name)));
        Self::from_parts(files, weights.in_f32())
    }

    /// The same model with the word embedding in int8, and the matrices of the layers' products with the factors of their columns that `factors`
    /// gives (empty for none), but for those that it gives `None` for; `quantization` says what that costs.
    pub fn quantized<'a>(&self, quantization: Quantization, factors: impl Fn(Role) -> Option<&'a [f32]>) -> Result<Self, ModelError> {
        let mut folder = self.clone();
        let layout = WeightLayout::new(&self.spec, self.labels.as_ref().map_or(0, Labels::len));
        for entry in layout.entries() {
            let chosen = match entry.role {
                Role::WordEmbedding => Some(&[][..]),
                role if role.is_layer_product() => factors(role),
                _ => None,
            };
            let Some(factors) = chosen else { continue };
            if let Some(tensor) = Int8Tensor::quantize_by(&self.weights.tensor(&entry.name)?, factors) {
                folder.weights.insert_int8(entry.name.clone(), tensor);
            }
        }
        folder.change_settings(|settings| settings.quantization = Some(quantization));
        Ok(folder)
    }

    /// Changes the settings, and `attackline.json` with them.
    pub fn change_settings(&mut self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings);
        self.files.insert(SETTINGS.into(), self.settings.to_json());
    }

    /// Writes the folder, which must not exist yet; it appears whole or not at all.
    pub fn write(&self, path: &Path) -> Result<(), ModelError> {
        let files: Vec<(&str, &[u8])> = self.files.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
        // A pack holds int8 to be small; in a folder it says how the model computes.
        let weights = if self.settings.quantization.is_some() { self.weights.clone() } else { self.weights.clone().in_f32() };
        weights.write_folder(path, WEIGHTS, &files)
    }
}

/// The small files of a folder, `config.json` among them.
fn read_files(path: &Path) -> Result<FolderFiles, ModelError> {
    let not_a_folder = |reason: &str| ModelError::NotAFolder { path: path.to_owned(), reason: reason.to_owned() };
    if path.is_file() {
        return Err(not_a_folder(
            "it is a file; name the folder with config.json and the weights (a pack is for building a program with the model inside)",
        ));
    }
    if !path.is_dir() {
        return Err(not_a_folder("there is no such folder"));
    }
    let mut files = FolderFiles::new();
    for name in SMALL_FILES {
        let file = path.join(name);
        if file.is_file() {
            files.insert(name.to_owned(), fs_err::read(file)?);
        }
    }
    if files.contains_key(CONFIG) { Ok(files) } else { Err(not_a_folder(&format!("it has no {CONFIG}"))) }
}

fn parse_config(files: &FolderFiles) -> Result<Value, ModelError> {
    serde_json::from_slice(files.get(CONFIG).map_or(&[][..], Vec::as_slice)).map_err(|error| ModelError::damaged(CONFIG, error))
}

fn is_classifier(config: &Value) -> bool {
    config["architectures"]
        .as_array()
        .is_some_and(|names| names.iter().any(|name| name.as_str().is_some_and(|name| name.ends_with("ForSequenceClassification"))))
}
