//! `attackline model retokenize`: a base model with another tokenizer.

use crate::commands::tokenizer::read_tokenizer;
use crate::models;
use anyhow::{Context, Result};
use attackline_model::ModelFolder;
use std::path::Path;

/// The model with the tokenizer of another folder. Its settings stay as they are: threshold and temperature want to be set anew once it has learnt.
pub fn retokenize(model: &Path, tokenizer: &Path) -> Result<ModelFolder> {
    let folder = models::folder(Some(model))?;
    attackline_train::retokenize(&folder, &read_tokenizer(tokenizer)?).with_context(|| format!("the tokenizer {}", tokenizer.display()))
}
