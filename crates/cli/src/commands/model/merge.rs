//! `attackline model merge`.

use crate::models;
use anyhow::{Context, Result, bail};
use attackline_model::{Labels, ModelFolder, Settings};
use attackline_train::read_adapter;
use serde_json::Value;
use std::path::Path;

/// The base with the adapter in it. Labels come from the command line, from the adapter's own `config.json`, or from the base.
pub(super) fn merge(base: &Path, adapter: &Path, labels: &[String]) -> Result<ModelFolder> {
    let base = models::folder(Some(base))?;
    if !adapter.join("adapter_config.json").is_file() {
        bail!("the adapter {}: it has no adapter_config.json, as peft and train --no-merge write it", adapter.display());
    }
    let read = |name: &str| adapter.join(name).is_file().then(|| fs_err::read(adapter.join(name))).transpose();
    let own = match read("config.json")? {
        Some(bytes) => Labels::from_config(&serde_json::from_slice::<Value>(&bytes).context("the adapter's config.json")?).ok(),
        None => None,
    };
    let labels = match (labels, own, &base.labels) {
        ([], Some(own), _) => own,
        ([], None, Some(labels)) => labels.clone(),
        ([], None, None) => bail!("neither the adapter nor the base says which labels there are: give them with --labels, in the adapter's order"),
        (names, ..) => Labels::new(names.to_vec())?,
    };
    let settings = match read("attackline.json")? {
        Some(bytes) => Settings::from_json(&bytes)?,
        None => base.settings.clone(),
    };
    let (trained, scale) = read_adapter(adapter, &base, labels.len()).with_context(|| format!("the adapter {}", adapter.display()))?;
    let merged = attackline_train::merge(&base.weights, &trained, scale)?;
    Ok(base.with_head(labels, settings, merged)?)
}
