use std::path::PathBuf;

/// What can be wrong with a model folder, always naming the file or the value that is wrong.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file of the folder could not be read or written; the message of the operating system names the path.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The path is not a model folder.
    #[error("{path}: not a model folder: {reason}")]
    NotAFolder {
        /// The path that was given.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// A file of the folder does not hold what it should.
    #[error("{file}: {reason}")]
    Damaged {
        /// The file inside the folder, such as `model.safetensors`.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A value of `config.json` that this version does not implement. It is refused, never ignored.
    #[error("config.json: {key} = {value} is not supported (supported: {supported})")]
    Unsupported {
        /// The key in `config.json`.
        key: String,
        /// The value found.
        value: String,
        /// What would be accepted.
        supported: String,
    },
    /// Tensors that the architecture needs are not in the weights.
    #[error("weights: {}", list_missing(missing, surplus))]
    MissingTensors {
        /// Hugging Face names, and the shapes that the configuration asks for.
        missing: Vec<(String, Vec<usize>)>,
        /// Names in the weights that the architecture does not know.
        surplus: Vec<String>,
    },
    /// A tensor has another shape than the configuration says.
    #[error("weights: tensor {name} has shape {found:?}, the configuration asks for {expected:?}")]
    WrongShape {
        /// Its Hugging Face name.
        name: String,
        /// The shape in the file.
        found: Vec<usize>,
        /// The shape that the configuration asks for.
        expected: Vec<usize>,
    },
    /// The tokenizer failed on a text or could not be built.
    #[error("tokenizer.json: {0}")]
    Tokenizer(String),
}

impl ModelError {
    /// A [`ModelError::Damaged`] for `file`.
    pub fn damaged(file: impl Into<String>, reason: impl ToString) -> Self {
        Self::Damaged { file: file.into(), reason: reason.to_string() }
    }
}

/// How many names a message lists.
const LISTED: usize = 8;

fn list_missing(missing: &[(String, Vec<usize>)], surplus: &[String]) -> String {
    let mut text = match missing {
        [(name, shape)] => format!("tensor {name} is missing (wanted shape {shape:?})"),
        _ => {
            let names: Vec<String> = missing.iter().take(LISTED).map(|(name, shape)| format!("{name} {shape:?}")).collect();
            format!("{} tensors are missing: {}{}", missing.len(), names.join(", "), if missing.len() > LISTED { ", …" } else { "" })
        }
    };
    if !surplus.is_empty() {
        let names: Vec<&str> = surplus.iter().take(LISTED).map(String::as_str).collect();
        let more = if surplus.len() > LISTED { ", …" } else { "" };
        text.push_str(&format!("; {} not known to this architecture: {}{more}", surplus.len(), names.join(", ")));
    }
    text
}
