//! The reference checkpoints of `tests/data` and what Python `transformers` computes with them.
#![allow(clippy::unwrap_used, dead_code)]

use attackline_model::ModelFolder;
use safetensors::{Dtype, SafeTensors};
use std::{collections::BTreeMap, path::PathBuf};

/// Every architecture that has a reference.
pub const FOLDERS: [&str; 6] = ["tiny-bert", "tiny-roberta", "tiny-deberta-v3", "tiny-deberta-v2", "tiny-deberta-c2p", "tiny-deberta-plain"];

pub fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/data").join(name)
}

pub fn folder(name: &str) -> ModelFolder {
    ModelFolder::read(&path(name)).unwrap()
}

/// What `transformers` computed, without padding.
pub struct Expected {
    /// Token ids of each line.
    pub lines: Vec<Vec<u32>>,
    /// Each line's label.
    pub labels: Vec<usize>,
    pub offsets: Vec<usize>,
    /// Activations by step, the loss, and gradients by tensor.
    pub values: BTreeMap<String, Vec<f32>>,
}

pub fn expected(name: &str) -> Expected {
    let bytes = std::fs::read(path(name).join("expected.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let integers = |name: &str| -> Vec<usize> {
        let view = file.tensor(name).unwrap();
        assert_eq!(view.dtype(), Dtype::I64);
        view.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as usize).collect()
    };
    let (ids, offsets, labels) = (integers("ids"), integers("offsets"), integers("labels"));
    let lines = offsets.windows(2).map(|pair| ids[pair[0]..pair[1]].iter().map(|&id| id as u32).collect()).collect();
    let floats = |data: &[u8]| data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let values = file.tensors().into_iter().filter(|(_, view)| view.dtype() == Dtype::F32).map(|(name, view)| (name, floats(view.data()))).collect();
    Expected { lines, labels, offsets, values }
}

/// The greatest difference of the step's `got` from the reference, in which the rows of the lines' first tokens are chosen where
/// `got` holds those alone.
pub fn difference(expected: &Expected, name: &str, got: &[f32]) -> f32 {
    let wanted = &expected.values[name];
    let (tokens, lines) = (expected.offsets[expected.offsets.len() - 1], expected.offsets.len() - 1);
    if got.len() == wanted.len() {
        return greatest_difference(got, wanted);
    }
    let width = wanted.len() / tokens;
    assert_eq!(got.len(), lines * width, "{name} has the extents of all tokens or of the first ones");
    let firsts: Vec<f32> = expected.offsets[..lines].iter().flat_map(|&first| &wanted[first * width..][..width]).copied().collect();
    greatest_difference(got, &firsts)
}

pub fn greatest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}
