//! LoRA's additions as `peft` keeps them, and their merging into the weights.

use crate::{Lora, Target, TrainError};
use attackline_kernels::{Transposed, matmul};
use attackline_model::{Checkpoint, ModelError, ModelFolder, ModelType, TensorMap, WeightLayout};
use serde_json::{Value, json};
use std::path::Path;

/// How the names of an addition's factors end.
pub(crate) const LORA_A: &str = ".lora_A.weight";
pub(crate) const LORA_B: &str = ".lora_B.weight";

/// What `peft` puts before every name.
const PREFIX: &str = "base_model.model.";
const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";

/// `base` with what was trained: additions multiplied out and added to their products' weights, everything else replaced.
pub fn merge(base: &Checkpoint, trained: &TensorMap, scale: f64) -> Result<Checkpoint, TrainError> {
    let mut merged = base.clone();
    for (name, tensor) in trained {
        if name.ends_with(LORA_B) {
            continue;
        }
        let Some(module) = name.strip_suffix(LORA_A) else {
            merged.insert(name.clone(), tensor.clone());
            continue;
        };
        let damaged = |reason: &str| ModelError::damaged(WEIGHTS, format!("{module}: {reason}"));
        let b = trained.get(&format!("{module}{LORA_B}")).ok_or_else(|| damaged("it has lora_A without lora_B"))?;
        let weight_name = format!("{module}.weight");
        let mut weight = base.tensor(&weight_name)?;
        let (&[outputs, inputs], &[rank, a_inputs], &[b_outputs, b_rank]) = (&weight.shape[..], &tensor.shape[..], &b.shape[..]) else {
            return Err(damaged("an addition is two matrices").into());
        };
        if (a_inputs, b_outputs, b_rank) != (inputs, outputs, rank) {
            return Err(damaged(&format!("factors of shapes {:?} and {:?} do not fit a weight of {:?}", tensor.shape, b.shape, weight.shape)).into());
        }
        let scaled: Vec<f32> = b.data.iter().map(|value| (f64::from(*value) * scale) as f32).collect();
        matmul(&mut weight.data, &scaled, &tensor.data, outputs, rank, inputs, Transposed::default(), true, rayon::current_num_threads());
        merged.insert(weight_name, weight);
    }
    Ok(merged)
}

/// Writes what LoRA trained as a folder that `peft` loads over the base model: `adapter_config.json`, `adapter_model.safetensors`.
/// The folder must not exist yet; `files` are put beside.
pub fn write_adapter(
    path: &Path,
    base: &ModelFolder,
    base_name: &str,
    lora: &Lora,
    trained: &TensorMap,
    files: &[(&str, &[u8])],
) -> Result<(), TrainError> {
    let named: TensorMap = trained.iter().map(|(name, tensor)| (format!("{PREFIX}{name}"), tensor.clone())).collect();
    // The pooler of RoBERTa is a part of its classifier.
    let saved: &[&str] = match base.spec.model_type {
        ModelType::Roberta => &["classifier"],
        ModelType::Bert | ModelType::DebertaV2 if base.spec.head.dense.is_some() => &["classifier", "pooler"],
        ModelType::Bert | ModelType::DebertaV2 => &["classifier"],
    };
    let config = json!({
        "peft_type": "LORA", "task_type": "SEQ_CLS", "base_model_name_or_path": base_name, "r": lora.rank, "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout, "use_rslora": lora.rank_stabilised, "target_modules": target_modules(base.spec.model_type, &lora.targets),
        "modules_to_save": saved, "bias": "none", "fan_in_fan_out": false, "inference_mode": true, "init_lora_weights": true,
    });
    let mut text = serde_json::to_vec_pretty(&config).expect("a JSON object always serialises");
    text.push(b'\n');
    Checkpoint::from(named).write_folder(path, WEIGHTS, &[&[(CONFIG, &text[..])], files].concat())?;
    Ok(())
}

/// The names of the targets' modules: a list, or a pattern where a list would name others too.
fn target_modules(model_type: ModelType, targets: &[Target]) -> Value {
    let suffix = if model_type == ModelType::DebertaV2 { "_proj" } else { "" };
    let mut patterns = Vec::new();
    let mut names = Vec::new();
    for target in targets {
        let (name, simple) = match target {
            Target::Query => (format!("query{suffix}"), true),
            Target::Key => (format!("key{suffix}"), true),
            Target::Value => (format!("value{suffix}"), true),
            Target::AttentionOutput => ("attention.output.dense".to_owned(), true),
            Target::Up => ("intermediate.dense".to_owned(), true),
            Target::Down => ("output.dense".to_owned(), false),
        };
        let before = if simple { r".*\." } else { r".*\.layer\.\d+\." };
        patterns.push(format!("{before}{}", name.replace('.', r"\.")));
        names.push((name, simple));
    }
    if names.iter().all(|(_, simple)| *simple) {
        json!(names.into_iter().map(|(name, _)| name).collect::<Vec<_>>())
    } else {
        json!(patterns.join("|"))
    }
}

/// Reads a folder that `peft` wrote: what it adds or replaces, by the Hugging Face names of `base` with a head of so many `labels`,
/// and the factor of the additions.
pub fn read_adapter(path: &Path, base: &ModelFolder, labels: usize) -> Result<(TensorMap, f64), TrainError> {
    let text = fs_err::read(path.join(CONFIG))?;
    let config: Value = serde_json::from_slice(&text).map_err(|error| ModelError::damaged(CONFIG, error))?;
    let refuse =
        |key: &str, supported: &str| ModelError::damaged(CONFIG, format!("{key} = {} is not supported (supported: {supported})", config[key]));
    if config["peft_type"] != "LORA" {
        return Err(refuse("peft_type", "LORA").into());
    }
    for key in ["use_dora", "fan_in_fan_out", "lora_bias"] {
        if config[key].as_bool() == Some(true) {
            return Err(refuse(key, "false").into());
        }
    }
    for key in ["rank_pattern", "alpha_pattern"] {
        if config[key].as_object().is_some_and(|pattern| !pattern.is_empty()) {
            return Err(refuse(key, "none").into());
        }
    }
    let (Some(rank), Some(alpha)) = (config["r"].as_u64().filter(|&rank| rank > 0), config["lora_alpha"].as_f64()) else {
        return Err(ModelError::damaged(CONFIG, "r and lora_alpha must be numbers above 0").into());
    };
    let lora = Lora { rank: rank as usize, alpha, rank_stabilised: config["use_rslora"].as_bool() == Some(true), ..Lora::default() };
    let layout = WeightLayout::new(&base.spec, labels);
    let weights = Checkpoint::read_file(&path.join(WEIGHTS))?;
    let mut trained = TensorMap::new();
    for name in weights.names() {
        let bare = name.strip_prefix(PREFIX).unwrap_or(name).replace(".modules_to_save.default", "").replace(".default.weight", ".weight");
        let target = bare.strip_suffix(LORA_A).or(bare.strip_suffix(LORA_B)).map_or_else(|| bare.clone(), |module| format!("{module}.weight"));
        if !layout.entries().iter().any(|entry| entry.name == target) {
            return Err(ModelError::damaged(WEIGHTS, format!("{name} belongs to nothing in the base model")).into());
        }
        trained.insert(bare, weights.tensor(name)?);
    }
    Ok((trained, lora.scale()))
}
