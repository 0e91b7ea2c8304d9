//! Models by their names on the Hugging Face hub.

use anyhow::Result;
use std::path::{Path, PathBuf};

/// `OWNER/NAME`, where the path is that and no folder on this machine.
pub fn name(path: &Path) -> Option<&str> {
    let text = path.to_str()?;
    let (owner, name) = text.split_once('/')?;
    let plain = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    (plain(owner) && plain(name) && !path.exists()).then_some(text)
}

/// Without the feature nothing is fetched.
#[cfg(not(feature = "hub"))]
pub fn fetch(name: &str) -> Result<PathBuf> {
    anyhow::bail!(
        "there is no folder {name}. If you mean the model of that name on the Hugging Face hub: this attackline was built without network \
         access (build with --features hub), so download it to a folder and name that"
    )
}

/// Forms of the weights.
#[cfg(feature = "hub")]
const WEIGHTS: [&str; 4] = ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"];

/// Fetches the model's files into the hub's own cache, or takes them from there, and gives their folder.
#[cfg(feature = "hub")]
pub fn fetch(name: &str) -> Result<PathBuf> {
    use anyhow::Context;
    let unreachable = || {
        format!(
            "the model {name} can't be fetched from the Hugging Face hub. Without a network, copy its folder here and name that; behind a mirror, \
             set HF_ENDPOINT"
        )
    };
    let model = hf_hub::api::sync::ApiBuilder::from_env().build().with_context(unreachable)?.model(name.to_owned());
    let info = model.info().with_context(unreachable)?;
    let names: Vec<String> = info.siblings.into_iter().map(|file| file.rfilename).collect();
    // PyTorch's weights are wanted only where there are no safetensors.
    let safetensors = names.iter().any(|name| name.starts_with("model") && name.contains(".safetensors"));
    let wanted = |name: &str| {
        let shard = (name.starts_with("model-") && name.ends_with(".safetensors")) || (name.starts_with("pytorch_model-") && name.ends_with(".bin"));
        (attackline_model::SMALL_FILES.contains(&name) || WEIGHTS.contains(&name) || shard) && !(safetensors && name.starts_with("pytorch_model"))
    };
    let mut folder = None;
    for name in names.iter().filter(|name| wanted(name)) {
        let file = model.get(name).with_context(unreachable)?;
        if name == "config.json" {
            folder = file.parent().map(Path::to_path_buf);
        }
    }
    folder.with_context(|| format!("the model {name} on the Hugging Face hub has no config.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_a_name_is_one() {
        assert_eq!(name(Path::new("microsoft/deberta-v3-base")), Some("microsoft/deberta-v3-base"));
        for path in ["models", "a/b/c", "/tmp/model", "./model", "../a/b", "src/commands", "a b/c", "a/.."] {
            assert_eq!(name(Path::new(path)), None, "{path}");
        }
    }
}
