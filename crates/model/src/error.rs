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
    /// A tensor that the architecture needs is not in the weights.
    #[error("model.safetensors: tensor {name} is missing (wanted shape {shape:?})")]
    MissingTensor {
        /// Its Hugging Face name.
        name: String,
        /// The shape that the configuration asks for.
        shape: Vec<usize>,
    },
    /// A tensor has another shape than the configuration says.
    #[error("model.safetensors: tensor {name} has shape {found:?}, the configuration asks for {expected:?}")]
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
