use crate::{ModelError, Tensor, TensorMap};
use std::{collections::BTreeMap, sync::Arc};

/// A model's weights by their Hugging Face names. Copies share the elements.
#[derive(Debug, Clone, Default)]
pub struct Checkpoint {
    entries: BTreeMap<String, Arc<Tensor>>,
}

impl Checkpoint {
    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The extents of a tensor, where it is there.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entries.get(name).map(|tensor| &tensor.shape[..])
    }

    /// Reads a tensor.
    pub fn tensor(&self, name: &str) -> Result<Tensor, ModelError> {
        match self.entries.get(name) {
            Some(tensor) => Ok(Tensor::clone(tensor)),
            None => Err(ModelError::MissingTensors { missing: vec![(name.to_owned(), Vec::new())], surplus: Vec::new() }),
        }
    }

    /// Adds or replaces a tensor.
    pub fn insert(&mut self, name: String, tensor: Tensor) {
        self.entries.insert(name, Arc::new(tensor));
    }

    /// Takes a tensor out.
    pub fn remove(&mut self, name: &str) {
        self.entries.remove(name);
    }

    /// The number of elements of all tensors.
    pub fn elements(&self) -> usize {
        self.entries.values().map(|tensor| tensor.data.len()).sum()
    }

    /// The same tensors under other names.
    #[must_use]
    pub(crate) fn renamed(self, name: impl Fn(&str) -> String) -> Self {
        Self { entries: self.entries.into_iter().map(|(old, tensor)| (name(&old), tensor)).collect() }
    }
}

impl From<TensorMap> for Checkpoint {
    fn from(tensors: TensorMap) -> Self {
        Self { entries: tensors.into_iter().map(|(name, tensor)| (name, Arc::new(tensor))).collect() }
    }
}
