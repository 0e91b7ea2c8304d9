use crate::{
    TrainError,
    embeddings::Embeddings,
    ops::{read, updated},
};
use attackline_kernels::{AdamW, adamw};
use attackline_model::{Checkpoint, EncoderSpec, LayerRole, ModelError, Role, Tensor, TensorMap, WeightLayout};
use candle_core::{DType, Device, Tensor as GraphTensor, Var};
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
    /// Moments of the optimiser; empty for a frozen one.
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

    /// Divides the variable's elements, or their gradients, among the checkpoint's tensors.
    pub(crate) fn divide(&self, mut data: &[f32], tensors: &mut TensorMap) {
        for (name, shape) in &self.tensors {
            let (own, others) = data.split_at(shape.iter().product());
            tensors.insert(name.clone(), Tensor { shape: shape.clone(), data: own.to_vec() });
            data = others;
        }
    }
}

/// The graph's variables of one layer, as places in [`Parameters::list`].
#[derive(Clone, Copy)]
pub(crate) struct LayerPlaces {
    pub(crate) query_key_value: Product,
    /// The projections of the table of relative positions to what queries and what keys meet, where the layer has its own.
    pub(crate) position_keys: Option<Product>,
    pub(crate) position_queries: Option<Product>,
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
    pub(crate) bias: Option<usize>,
}

/// The places of the table of relative positions and of its norm.
#[derive(Clone, Copy)]
pub(crate) struct RelativePlaces {
    pub(crate) table: usize,
    pub(crate) norm: Option<usize>,
}

/// Where the variables live, and in which type.
#[derive(Debug, Clone)]
pub(crate) struct Placement {
    pub(crate) device: Device,
    pub(crate) dtype: DType,
}

impl Placement {
    /// f32 on the processor, as training wants it.
    pub(crate) fn cpu() -> Self {
        Self { device: Device::Cpu, dtype: DType::F32 }
    }
}

/// All weights in the graph.
pub(crate) struct Parameters {
    pub(crate) embeddings: Embeddings,
    pub(crate) list: Vec<Parameter>,
    pub(crate) embedding_projection: Option<Product>,
    pub(crate) embedding_norm: usize,
    pub(crate) relative: Option<RelativePlaces>,
    pub(crate) layers: Vec<LayerPlaces>,
    pub(crate) convolution: Option<(Product, usize)>,
    pub(crate) pooler: Option<Product>,
    pub(crate) classifier: Product,
}

impl Parameters {
    /// Takes `weights`, which hold a head for `labels` outputs.
    pub(crate) fn new(spec: &EncoderSpec, weights: &Checkpoint, labels: usize, trainable: bool, placement: &Placement) -> Result<Self, TrainError> {
        use Role::*;
        let layout = WeightLayout::new(spec, labels);
        layout.check(weights, false)?;
        let mut builder = Builder { layout: &layout, weights, placement, trainable, list: Vec::new() };
        let embedding_projection = builder.optional_product(EmbeddingProjection, None)?;
        let embedding_norm = builder.add(&[EmbeddingNormGain, EmbeddingNormBias])?;
        let relative = match spec.relative.as_ref().filter(|relative| relative.is_used()) {
            Some(relative) => {
                let norm = if relative.normed { Some(builder.add(&[RelativeNormGain, RelativeNormBias])?) } else { None };
                Some(RelativePlaces { table: builder.add(&[RelativeEmbedding])?, norm })
            }
            None => None,
        };
        let layers = (0..spec.layers).map(|layer| builder.layer(layer)).collect::<Result<_, _>>()?;
        let convolution = match builder.optional_product(ConvolutionWeight, Some(ConvolutionBias))? {
            Some(product) => Some((product, builder.add(&[ConvolutionNormGain, ConvolutionNormBias])?)),
            None => None,
        };
        let pooler = builder.optional_product(PoolerWeight, Some(PoolerBias))?;
        let classifier = builder.product(&[ClassifierWeight], &[ClassifierBias])?;
        let list = builder.list;
        let embeddings = Embeddings::new(spec, weights, trainable)?;
        Ok(Self { embeddings, list, embedding_projection, embedding_norm, relative, layers, convolution, pooler, classifier })
    }

    /// All weights under their Hugging Face names.
    pub(crate) fn export(&self) -> Result<TensorMap, TrainError> {
        let mut tensors = TensorMap::new();
        self.embeddings.export(&mut tensors);
        for parameter in &self.list {
            parameter.divide(&read(parameter.variable.as_tensor())?, &mut tensors);
        }
        Ok(tensors)
    }
}

struct Builder<'a> {
    layout: &'a WeightLayout,
    weights: &'a Checkpoint,
    placement: &'a Placement,
    trainable: bool,
    list: Vec<Parameter>,
}

impl Builder<'_> {
    fn add(&mut self, roles: &[Role]) -> Result<usize, TrainError> {
        let (mut names, mut data) = (Vec::new(), Vec::new());
        for &role in roles {
            let entry = self.layout.entry(role).ok_or_else(|| ModelError::damaged("config.json", format!("the architecture has no {role:?}")))?;
            data.extend(self.weights.tensor(&entry.name)?.data);
            names.push((entry.name.clone(), entry.shape.clone()));
        }
        // Weights go one below the other; a norm's vectors become the rows of a matrix; biases are joined end to end.
        let shape = match &names[0].1[..] {
            [width] if is_gain(roles[0]) => vec![2, *width],
            [_] => vec![data.len()],
            [outputs, ..] => vec![outputs * roles.len(), data.len() / roles.len() / outputs],
            [] => vec![1],
        };
        let moments = vec![0.0; if self.trainable { data.len() } else { 0 }];
        let decayed = shape.len() == 2 && !is_gain(roles[0]);
        let tensor = GraphTensor::from_vec(data, shape, &self.placement.device)?.to_dtype(self.placement.dtype)?;
        let variable = Var::from_tensor(&tensor)?;
        let head = roles[0].is_head();
        self.list.push(Parameter { tensors: names, variable, first: moments.clone(), second: moments, head, decayed, trainable: self.trainable });
        Ok(self.list.len() - 1)
    }

    fn product(&mut self, weights: &[Role], biases: &[Role]) -> Result<Product, TrainError> {
        let weight = self.add(weights)?;
        let bias = if biases.is_empty() { None } else { Some(self.add(biases)?) };
        Ok(Product { weight, bias })
    }

    /// A product that some architectures have.
    fn optional_product(&mut self, weight: Role, bias: Option<Role>) -> Result<Option<Product>, TrainError> {
        if self.layout.entry(weight).is_none() {
            return Ok(None);
        }
        self.product(&[weight], bias.as_slice()).map(Some)
    }

    fn layer(&mut self, index: usize) -> Result<LayerPlaces, TrainError> {
        use LayerRole::*;
        let role = |role| Role::Layer(index, role);
        Ok(LayerPlaces {
            query_key_value: self.product(&[QueryWeight, KeyWeight, ValueWeight].map(role), &[QueryBias, KeyBias, ValueBias].map(role))?,
            position_keys: self.optional_product(role(PositionKeyWeight), Some(role(PositionKeyBias)))?,
            position_queries: self.optional_product(role(PositionQueryWeight), Some(role(PositionQueryBias)))?,
            attention_output: self.product(&[role(AttentionOutputWeight)], &[role(AttentionOutputBias)])?,
            attention_norm: self.add(&[AttentionNormGain, AttentionNormBias].map(role))?,
            up: self.product(&[role(UpWeight)], &[role(UpBias)])?,
            down: self.product(&[role(DownWeight)], &[role(DownBias)])?,
            output_norm: self.add(&[OutputNormGain, OutputNormBias].map(role))?,
        })
    }
}

/// Whether the role is the first of a norm's two vectors.
fn is_gain(role: Role) -> bool {
    use LayerRole::{AttentionNormGain, OutputNormGain};
    matches!(role, Role::EmbeddingNormGain | Role::RelativeNormGain | Role::ConvolutionNormGain | Role::Layer(_, AttentionNormGain | OutputNormGain))
}

/// `weights` with a head for `labels` outputs: what is missing of it, and the classifier in any case, is drawn from `seed` as BERT's
/// initialiser does, normal with deviation 0.02 and biases 0.
pub(crate) fn with_new_head(spec: &EncoderSpec, weights: &Checkpoint, labels: usize, seed: u64) -> Checkpoint {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut uniform = || (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    // Box-Muller; 1 - u keeps the logarithm finite.
    let mut normal = || (-2.0 * (1.0 - uniform()).ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos();
    let mut weights = weights.clone();
    let layout = WeightLayout::new(spec, labels);
    let is_classifier = |role| matches!(role, Role::ClassifierWeight | Role::ClassifierBias);
    // The classifier first, so that a base with a pooler and one without draw the same.
    let mut entries: Vec<_> = layout.entries().iter().filter(|entry| entry.role.is_head()).collect();
    entries.sort_by_key(|entry| !is_classifier(entry.role));
    for entry in entries {
        if is_classifier(entry.role) || weights.shape(&entry.name).is_none() {
            let deviation = if entry.shape.len() == 2 { 0.02 } else { 0.0 };
            let mut tensor = Tensor::zeros(&entry.shape);
            tensor.data.iter_mut().for_each(|value| *value = (deviation * normal()) as f32);
            weights.insert(entry.name.clone(), tensor);
        }
    }
    weights
}
