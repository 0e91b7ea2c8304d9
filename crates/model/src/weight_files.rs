use crate::ModelError;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// A format of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Safetensors,
    /// A state dict of `torch.save`.
    PyTorch,
}

/// The files that hold a folder's weights.
#[derive(Debug)]
pub(crate) struct WeightFiles {
    pub(crate) kind: Kind,
    pub(crate) files: Vec<PathBuf>,
    /// The name of the index that divides the tensors among several files, and the names that it promises; empty for one file.
    pub(crate) index: String,
    pub(crate) promised: BTreeSet<String>,
}

/// Single file and index of each format, in the order of preference.
const FORMS: [(Kind, &str, &str); 2] =
    [(Kind::Safetensors, "model.safetensors", "model.safetensors.index.json"), (Kind::PyTorch, "pytorch_model.bin", "pytorch_model.bin.index.json")];

/// Finds the weights in a model folder: one file, or an index and the files that it names.
pub(crate) fn weight_files(folder: &Path) -> Result<WeightFiles, ModelError> {
    for (kind, single, index) in FORMS {
        let file = folder.join(single);
        if file.is_file() {
            return Ok(WeightFiles { kind, files: vec![file], index: String::new(), promised: BTreeSet::new() });
        }
        if folder.join(index).is_file() {
            return shards(folder, kind, index);
        }
    }
    let names: Vec<&str> = FORMS.iter().map(|form| form.1).collect();
    Err(ModelError::NotAFolder { path: folder.to_owned(), reason: format!("it has no weights ({})", names.join(" or ")) })
}

fn shards(folder: &Path, kind: Kind, index: &str) -> Result<WeightFiles, ModelError> {
    let damaged = |reason: String| ModelError::damaged(index, reason);
    let value: Value = serde_json::from_slice(&fs_err::read(folder.join(index))?).map_err(|error| damaged(error.to_string()))?;
    let map = value["weight_map"].as_object().ok_or_else(|| damaged("it has no weight_map".into()))?;
    let mut names = BTreeSet::new();
    for (tensor, file) in map {
        let file = file.as_str().ok_or_else(|| damaged(format!("the file of {tensor} is no name")))?;
        // A shard lies in the folder itself: an index must not reach other files.
        if file.is_empty() || file.starts_with('.') || file.contains(['/', '\\', ':']) {
            return Err(damaged(format!("{file:?} is not the name of a file in this folder")));
        }
        if !folder.join(file).is_file() {
            return Err(damaged(format!("it names {file}, which is not there")));
        }
        names.insert(file);
    }
    let files = names.into_iter().map(|name| folder.join(name)).collect();
    Ok(WeightFiles { kind, files, index: index.to_owned(), promised: map.keys().cloned().collect() })
}
