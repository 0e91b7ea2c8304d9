use crate::{
    TrainError,
    embeddings::Embeddings,
    ops::{read, updated},
};
use attackline_kernels::{AdamW, adamw};
use attackline_model::{LayerRole, ModelError, ModelFolder, Role, Tensor, TensorMap, WeightLayout};
use candle_core::{Device, Tensor as GraphTensor, Var};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use rayon::prelude::*;

/// Elements of a part of an update.
const PART: usize = 65_536;

/// One variable of the graph with its moments. It may hold several tensors of the checkpoint, one below the other: query,
/// key and value are one product, a norm's gain and bias one operand.
pub(crate) struct Parameter {
    /// Names and shapes of the checkpoint's tensors in it.
    pub(crate) tensors: Vec<(String, Vec<usize>)>,
    pub(crate) variable: Var,
    pub(crate) first: Vec<f32>,
    pub(crate) second: Vec<f32>,
    /// Whether it has the head's learning rate.
    pub(crate) head: bool,
    /// Whether it is decayed.
    pub(crate) decayed: bool,
    pub(crate) trainable: bool,
}

impl Parameter {
    /// The tensor for the graph: with gradient only in training and only where trainable.
    pub(crate) fn tensor(&self, training: bool) -> GraphTensor {
        if training && self.trainable { self.variable.as_tensor().clone() } else { self.variable.as_detached_tensor() }
    }

    pub(crate) fn update(&mut self, gradient: &[f32], settings: &AdamW) -> Result<(), TrainError> {
        let (first, second) = (&mut self.first, &mut self.second);
        updated(&self.variable, |weights| {
            let state = weights.par_chunks_mut(PART).zip(first.par_chunks_mut(PART)).zip(second.par_chunks_mut(PART));
            state.zip(gradient.par_chunks(PART)).for_each(|(((weights, first), second), gradient)| adamw(settings, weights, gradient, first, second));
        })?;
        Ok(())
    }
}

/// The graph's variables of one layer, as places in [`Parameters::list`].
#[derive(Clone, Copy)]
pub(crate) struct LayerPlaces {
    pub(crate) query_key_value: Product,
    pub(crate) attention_output: Product,
    pub(crate) attention_norm: usize,
    pub(crate) up: Product,
    pub(crate) down: Product,
    pub(crate) output_norm: usize,
}

/// The places of a weight and its bias.
#[derive(Clone, Copy)]
pub(crate) struct Product {
    pub(crate) weight: usize,
    pub(crate) bias: usize,
}

/// All weights in training.
pub(crate) struct Parameters {
    pub(crate) embeddings: Embeddings,
    pub(crate) list: Vec<Parameter>,
    pub(crate) embedding_norm: usize,
    pub(crate) layers: Vec<LayerPlaces>,
    pub(crate) pooler: Product,
    pub(crate) classifier: Product,
}

impl Parameters {
    /// Takes the weights of `folder`. A head for other labels than `labels` is replaced by a new one drawn from `seed`.
    pub(crate) fn new(folder: &ModelFolder, labels: &[String], seed: u64) -> Result<Self, TrainError> {
        let layout = WeightLayout::new(&folder.spec, labels.len());
        let mut tensors = folder.tensors.clone();
        if folder.labels.as_ref().is_none_or(|old| old.names() != labels) {
            new_head(&layout, &mut tensors, seed)?;
        }
        layout.check(&tensors, false)?;
        let mut builder = Builder { layout: &layout, tensors: &tensors, list: Vec::new() };
        let embedding_norm = builder.add(&[Role::EmbeddingNormGain, Role::EmbeddingNormBias], false, false)?;
        let layers = (0..folder.spec.layers).map(|layer| builder.layer(layer)).collect::<Result<_, _>>()?;
        let pooler = builder.product(&[Role::PoolerWeight], &[Role::PoolerBias], true)?;
        let classifier = builder.product(&[Role::ClassifierWeight], &[Role::ClassifierBias], true)?;
        let list = builder.list;
        Ok(Self { embeddings: Embeddings::new(&layout, &tensors)?, list, embedding_norm, layers, pooler, classifier })
    }

    /// All weights under their Hugging Face names.
    pub(crate) fn export(&self) -> Result<TensorMap, TrainError> {
        let mut tensors = TensorMap::new();
        self.embeddings.export(&mut tensors);
        for parameter in &self.list {
            let data = read(parameter.variable.as_tensor())?;
            let mut rest: &[f32] = &data;
            for (name, shape) in &parameter.tensors {
                let (own, others) = rest.split_at(shape.iter().product());
                tensors.insert(name.clone(), Tensor { shape: shape.clone(), data: own.to_vec() });
                rest = others;
            }
        }
        Ok(tensors)
    }
}

struct Builder<'a> {
    layout: &'a WeightLayout,
    tensors: &'a TensorMap,
    list: Vec<Parameter>,
}

impl Builder<'_> {
    fn add(&mut self, roles: &[Role], head: bool, decayed: bool) -> Result<usize, TrainError> {
        let (mut names, mut data) = (Vec::new(), Vec::new());
        for &role in roles {
            let entry = self.layout.entry(role).ok_or_else(|| ModelError::damaged("config.json", format!("the architecture has no {role:?}")))?;
            let missing = || ModelError::MissingTensor { name: entry.name.clone(), shape: entry.shape.clone() };
            data.extend_from_slice(&self.tensors.get(&entry.name).ok_or_else(missing)?.data);
            names.push((entry.name.clone(), entry.shape.clone()));
        }
        // Weights go one below the other; a norm's vectors become the rows of a matrix; biases are joined end to end.
        let shape = match &names[0].1[..] {
            [_, inputs] => vec![data.len() / inputs, *inputs],
            [width] if matches!(roles[0], Role::EmbeddingNormGain | Role::Layer(_, LayerRole::AttentionNormGain | LayerRole::OutputNormGain)) => {
                vec![2, *width]
            }
            _ => vec![data.len()],
        };
        let zeros = vec![0.0; data.len()];
        let variable = Var::from_vec(data, shape, &Device::Cpu)?;
        self.list.push(Parameter { tensors: names, variable, first: zeros.clone(), second: zeros, head, decayed, trainable: true });
        Ok(self.list.len() - 1)
    }

    fn product(&mut self, weights: &[Role], biases: &[Role], head: bool) -> Result<Product, TrainError> {
        Ok(Product { weight: self.add(weights, head, true)?, bias: self.add(biases, head, false)? })
    }

    fn layer(&mut self, index: usize) -> Result<LayerPlaces, TrainError> {
        use LayerRole::*;
        let role = |role| Role::Layer(index, role);
        Ok(LayerPlaces {
            query_key_value: self.product(&[QueryWeight, KeyWeight, ValueWeight].map(role), &[QueryBias, KeyBias, ValueBias].map(role), false)?,
            attention_output: self.product(&[role(AttentionOutputWeight)], &[role(AttentionOutputBias)], false)?,
            attention_norm: self.add(&[AttentionNormGain, AttentionNormBias].map(role), false, false)?,
            up: self.product(&[role(UpWeight)], &[role(UpBias)], false)?,
            down: self.product(&[role(DownWeight)], &[role(DownBias)], false)?,
            output_norm: self.add(&[OutputNormGain, OutputNormBias].map(role), false, false)?,
        })
    }
}

/// A classifier drawn as BERT's initialiser does: normal with deviation 0.02, biases 0.
fn new_head(layout: &WeightLayout, tensors: &mut TensorMap, seed: u64) -> Result<(), TrainError> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut uniform = || (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    // Box-Muller; 1 - u keeps the logarithm finite.
    let mut normal = || (-2.0 * (1.0 - uniform()).ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos();
    for (role, deviation) in [(Role::ClassifierWeight, 0.02), (Role::ClassifierBias, 0.0)] {
        let entry = layout.entry(role).ok_or_else(|| ModelError::damaged("config.json", format!("the architecture has no {role:?}")))?;
        let mut tensor = Tensor::zeros(&entry.shape);
        tensor.data.iter_mut().for_each(|value| *value = (deviation * normal()) as f32);
        tensors.insert(entry.name.clone(), tensor);
    }
    Ok(())
}
