use crate::{EpochReport, TrainError, parameters::Parameters};
use attackline_model::{Tensor, TensorMap};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    io::Write,
    path::{Path, PathBuf},
};

const FILE: &str = "checkpoint.safetensors";
const STATE: &str = "attackline";
const LOSSES: &str = "losses";

/// Where a run stands, apart from its weights.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// Hash of settings, data and base weights: a checkpoint goes on with the run that wrote it only.
    pub(crate) fingerprint: String,
    /// Steps done.
    pub(crate) step: u64,
    /// The epoch in work, from 0.
    pub(crate) epoch: usize,
    /// Batches done of it.
    pub(crate) batch: usize,
    /// The sum of its losses, weighted by lines.
    pub(crate) loss: f64,
    /// Lines seen in it.
    pub(crate) lines: usize,
    /// Epochs since the best.
    pub(crate) without_better: usize,
    /// What was reported so far.
    pub(crate) epochs: Vec<EpochReport>,
    /// Every step's loss; a tensor of its own in the file.
    #[serde(skip)]
    pub(crate) losses: Vec<f32>,
}

fn damaged(path: &Path, reason: impl ToString) -> TrainError {
    TrainError::Checkpoint { path: path.to_owned(), reason: reason.to_string() }
}

/// Little-endian bytes of floats.
fn bytes(data: &[f32]) -> Vec<u8> {
    data.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn floats(data: &[u8]) -> Vec<f32> {
    data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

/// Writes the run's state under a temporary name, makes sure that it is on the disk, and renames it: there is always one
/// whole checkpoint.
pub(crate) fn save(folder: &Path, state: &State, parameters: &Parameters, best: &TensorMap) -> Result<(), TrainError> {
    let mut entries: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
    let mut add = |name: String, shape: &[usize], data: &[f32]| entries.push((name, Dtype::F32, shape.to_vec(), bytes(data)));
    for (index, parameter) in parameters.list.iter().enumerate().filter(|(_, parameter)| parameter.trainable()) {
        let shape = [parameter.first.len()];
        add(format!("weights/{index}"), &shape, &parameter.values()?[parameter.trained.clone()]);
        add(format!("first/{index}"), &shape, &parameter.first);
        add(format!("second/{index}"), &shape, &parameter.second);
    }
    for (index, table) in parameters.embeddings.tables.iter().enumerate().filter(|(_, table)| table.trainable) {
        add(format!("table-weights/{index}"), &table.shape, &table.weights);
        add(format!("table-first/{index}"), &table.shape, &table.first);
        add(format!("table-second/{index}"), &table.shape, &table.second);
    }
    add(LOSSES.into(), &[state.losses.len()], &state.losses);
    for (name, tensor) in best {
        add(format!("best/{name}"), &tensor.shape, &tensor.data);
    }
    for (index, table) in parameters.embeddings.tables.iter().enumerate().filter(|(_, table)| table.trainable) {
        entries.push((format!("table-used/{index}"), Dtype::U8, vec![table.used.len()], table.used.iter().map(|&used| u8::from(used)).collect()));
    }
    fs_err::create_dir_all(folder)?;
    let path = folder.join(FILE);
    let views = entries
        .iter()
        .map(|(name, kind, shape, data)| TensorView::new(*kind, shape.clone(), data).map(|view| (name.as_str(), view)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| damaged(&path, error))?;
    let state = serde_json::to_string(state).map_err(|error| damaged(&path, error))?;
    let data = safetensors::serialize(views, Some(HashMap::from([(STATE.to_owned(), state)]))).map_err(|error| damaged(&path, error))?;
    let partial = folder.join(format!("{FILE}.partial"));
    let mut file = fs_err::File::create(&partial)?;
    file.write_all(&data)?;
    file.sync_all()?;
    drop(file);
    fs_err::rename(&partial, &path)?;
    Ok(())
}

/// Brings `parameters` to the checkpoint of `folder` and gives its state and best weights; `None` where there is none.
pub(crate) fn load(folder: &Path, fingerprint: &str, parameters: &mut Parameters) -> Result<Option<(State, TensorMap)>, TrainError> {
    let path: PathBuf = folder.join(FILE);
    if !path.is_file() {
        return Ok(None);
    }
    let data = fs_err::read(&path)?;
    let (_, header) = SafeTensors::read_metadata(&data).map_err(|error| damaged(&path, error))?;
    let state = header.metadata().as_ref().and_then(|metadata| metadata.get(STATE)).ok_or_else(|| damaged(&path, "holds no training state"))?;
    let mut state: State = serde_json::from_str(state).map_err(|error| damaged(&path, error))?;
    if state.fingerprint != fingerprint {
        return Err(damaged(&path, "was written by a run with other settings, data or base weights"));
    }
    let file = SafeTensors::deserialize(&data).map_err(|error| damaged(&path, error))?;
    let raw = |name: String, len: usize| match file.tensor(&name) {
        Ok(view) if view.shape().iter().product::<usize>() == len => Ok(view.data().to_vec()),
        _ => Err(damaged(&path, format!("tensor {name} is missing or has another size"))),
    };
    let values = |name: String, len: usize| raw(name, len).map(|data| floats(&data));
    state.losses = values(LOSSES.into(), state.step as usize)?;
    for (index, parameter) in parameters.list.iter_mut().enumerate().filter(|(_, parameter)| parameter.trainable()) {
        let (len, trained) = (parameter.first.len(), parameter.trained.clone());
        let weights = values(format!("weights/{index}"), len)?;
        parameter.change(|own| own[trained].copy_from_slice(&weights))?;
        parameter.first = values(format!("first/{index}"), len)?;
        parameter.second = values(format!("second/{index}"), len)?;
    }
    for (index, table) in parameters.embeddings.tables.iter_mut().enumerate().filter(|(_, table)| table.trainable) {
        let len = table.weights.len();
        table.weights = values(format!("table-weights/{index}"), len)?;
        table.first = values(format!("table-first/{index}"), len)?;
        table.second = values(format!("table-second/{index}"), len)?;
        table.used = raw(format!("table-used/{index}"), table.used.len())?.into_iter().map(|used| used != 0).collect();
    }
    let mut best = TensorMap::new();
    for (name, view) in file.tensors() {
        if let Some(name) = name.strip_prefix("best/") {
            best.insert(name.to_owned(), Tensor { shape: view.shape().to_vec(), data: floats(view.data()) });
        }
    }
    Ok(Some((state, best)))
}
