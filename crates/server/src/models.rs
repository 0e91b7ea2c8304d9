//! The models that answer, by name. A model can be loaded again while it answers: lines that have been taken keep the one that they were
//! taken with.

use crate::ApiError;
use attackline_model::{AnswerCache, Classifier};
use std::sync::{Arc, PoisonError, RwLock};

/// Makes a model ready: reads its folder anew each time it is called.
pub type Loader = Box<dyn Fn() -> Result<Box<dyn Classifier>, String> + Send + Sync>;

/// A model as it answers.
pub struct LoadedModel {
    /// Its name in requests.
    pub name: String,
    /// How often it has been loaded, from 1, and what it calls itself: tells answers before and after a reload apart.
    pub version: String,
    /// What answers.
    pub classifier: Box<dyn Classifier>,
    /// Its answers to lines that may come again.
    pub cache: AnswerCache,
}

struct Entry {
    name: String,
    loader: Loader,
    loaded: RwLock<Arc<LoadedModel>>,
    loads: std::sync::atomic::AtomicU64,
}

/// All models; the first is the default.
pub struct Models {
    entries: Vec<Entry>,
    cache_bytes: usize,
}

impl Models {
    /// Loads each named model. The first is asked where a request names none.
    pub fn load(named: Vec<(String, Loader)>, cache_bytes: usize) -> Result<Self, String> {
        let mut entries: Vec<Entry> = Vec::new();
        for (name, loader) in named {
            if entries.iter().any(|entry| entry.name == name) {
                return Err(format!("two models are called {name:?}; give one another name with NAME=DIR"));
            }
            let loaded = loaded(&name, &loader, 1, cache_bytes)?;
            entries.push(Entry { name, loader, loaded: RwLock::new(Arc::new(loaded)), loads: 1.into() });
        }
        if entries.is_empty() {
            return Err("a server wants at least one model".into());
        }
        Ok(Self { entries, cache_bytes })
    }

    /// The model of this name, or the default.
    pub fn get(&self, name: Option<&str>) -> Result<Arc<LoadedModel>, ApiError> {
        let entry = self.entry(name)?;
        Ok(Arc::clone(&entry.loaded.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Loads a model again. What fails leaves the one that answers now.
    pub fn reload(&self, name: &str) -> Result<Arc<LoadedModel>, ApiError> {
        let entry = self.entry(Some(name)).map_err(|error| ApiError::not_found(error.message))?;
        let number = entry.loads.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        let fresh = loaded(name, &entry.loader, number, self.cache_bytes)
            .map_err(|error| ApiError::invalid("model", format!("the model could not be loaded, the one before goes on answering: {error}")))?;
        let fresh = Arc::new(fresh);
        *entry.loaded.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&fresh);
        Ok(fresh)
    }

    /// All names, the default first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    fn entry(&self, name: Option<&str>) -> Result<&Entry, ApiError> {
        let Some(name) = name else { return Ok(&self.entries[0]) };
        let unknown = || {
            let known: Vec<&str> = self.names().collect();
            ApiError::invalid("unknown_model", format!("there is no model {name:?}; there is {}", known.join(", ")))
        };
        self.entries.iter().find(|entry| entry.name == name).ok_or_else(unknown)
    }
}

fn loaded(name: &str, loader: &Loader, number: u64, cache_bytes: usize) -> Result<LoadedModel, String> {
    let classifier = loader()?;
    let version = if number == 1 { classifier.name().to_owned() } else { format!("{} (load {number})", classifier.name()) };
    Ok(LoadedModel { name: name.to_owned(), version, classifier, cache: AnswerCache::new(cache_bytes) })
}
