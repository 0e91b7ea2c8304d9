//! The model inside the binary.

use anyhow::{Context, Result};
use attackline_model::ModelFolder;

/// A pack: the weights in int8, the small files deflated, so that no text of it stands in clear.
static PACK: &[u8] = include_bytes!("../../../models/embedded.alpack");

/// The embedded model's folder, as its pack holds it.
pub fn model() -> Result<ModelFolder> {
    ModelFolder::from_pack(PACK).context("the model inside this program is damaged")
}
