//! The model inside the binary.

use anyhow::{Result, bail};
use attackline_model::ModelFolder;

/// The embedded model's folder, as its pack holds it.
pub fn model() -> Result<ModelFolder> {
    bail!("this build has no model inside; name one with --model DIR")
}
