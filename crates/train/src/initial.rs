//! Weights that training starts from where there are none.

use attackline_model::{Checkpoint, EncoderSpec, ModelError, Role, Tensor, TensorMap, WeightLayout};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

/// Standard deviation of a new head's weights, as BERT's initialiser has it.
pub(crate) const DEVIATION: f64 = 0.02;

/// Standard deviation of the weights of an encoder of this width that learns from nothing (the small initialisation of Nguyen and Salazar
/// 2019). BERT's 0.02 is made for widths of 768; a narrow encoder hardly learns from it.
pub(crate) fn small_deviation(width: usize) -> f64 {
    (2.0 / (5.0 * width as f64)).sqrt()
}

/// A number from 0 to below 1.
pub(crate) fn uniform(random: &mut ChaCha8Rng) -> f64 {
    (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// `weights` with a head for `labels` outputs: what is missing of it, and the classifier in any case, is drawn from `seed`,
/// normal with this standard deviation and biases 0. Of the classifier that is there, the rows in `kept` stay: pairs of a new output and an
/// old one.
pub(crate) fn with_new_head(
    spec: &EncoderSpec,
    weights: &Checkpoint,
    labels: usize,
    kept: &[(usize, usize)],
    deviation: f64,
    seed: u64,
) -> Result<Checkpoint, ModelError> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut weights = weights.clone();
    let layout = WeightLayout::new(spec, labels);
    let is_classifier = |role| matches!(role, Role::ClassifierWeight | Role::ClassifierBias);
    // The classifier first, so that a base with a pooler and one without draw the same.
    let mut entries: Vec<_> = layout.entries().iter().filter(|entry| entry.role.is_head()).collect();
    entries.sort_by_key(|entry| !is_classifier(entry.role));
    for entry in entries {
        if is_classifier(entry.role) || weights.shape(&entry.name).is_none() {
            let mut tensor = drawn(&entry.shape, deviation, &mut random);
            if is_classifier(entry.role) && !kept.is_empty() {
                let old = weights.tensor(&entry.name)?;
                let width = tensor.data.len() / labels;
                for &(new, old_row) in kept {
                    tensor.data[new * width..][..width].copy_from_slice(&old.data[old_row * width..][..width]);
                }
            }
            weights.insert(entry.name.clone(), tensor);
        }
    }
    Ok(weights)
}

/// An encoder of this architecture, without a head, whose weights are drawn from `seed`, small enough for its width: what
/// [`Trainer::restoring`](crate::Trainer::restoring) starts from.
pub fn random_encoder(spec: &EncoderSpec, seed: u64) -> Checkpoint {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut tensors = TensorMap::new();
    for entry in WeightLayout::new(spec, 0).entries().iter().filter(|entry| !entry.role.is_head()) {
        let tensor = if entry.role.is_gain() {
            Tensor { data: vec![1.0; entry.shape.iter().product()], shape: entry.shape.clone() }
        } else {
            drawn(&entry.shape, small_deviation(spec.hidden), &mut random)
        };
        tensors.insert(entry.name.clone(), tensor);
    }
    tensors.into()
}

/// A matrix of normal numbers, or a vector of zeros.
fn drawn(shape: &[usize], deviation: f64, random: &mut ChaCha8Rng) -> Tensor {
    let mut tensor = Tensor::zeros(shape);
    if shape.len() > 1 {
        // Box-Muller; 1 - u keeps the logarithm finite.
        let mut normal = || (-2.0 * (1.0 - uniform(random)).ln()).sqrt() * (std::f64::consts::TAU * uniform(random)).cos();
        tensor.data.iter_mut().for_each(|value| *value = (deviation * normal()) as f32);
    }
    tensor
}
