//! Which model answers.

use crate::embedded;
use anyhow::{Context, Result};
use attackline_engine::Engine;
use attackline_model::ModelFolder;
use std::path::Path;

/// The folder named, or the embedded model.
pub fn folder(path: Option<&Path>) -> Result<ModelFolder> {
    match path {
        Some(path) => ModelFolder::read(path).with_context(|| format!("the model {} can't be used", path.display())),
        None => embedded::model(),
    }
}

/// The engine over the folder named, or over the embedded model.
pub fn engine(path: Option<&Path>) -> Result<Engine> {
    let folder = folder(path)?;
    let name = path.map_or_else(|| "inside this binary".to_owned(), |path| path.display().to_string());
    Engine::new(&folder).with_context(|| format!("the model {name} can't be used"))
}
