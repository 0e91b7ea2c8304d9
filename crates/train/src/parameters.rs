use crate::{
    TrainError,
    adapter::{LORA_A, LORA_B},
    embeddings::Embeddings,
    method::Selection,
    ops::{read, updated},
    settings::FrozenType,
};
use attackline_kernels::{AdamW, adamw};
use attackline_model::{Checkpoint, EncoderSpec, LayerRole, ModelError, Role, Tensor, TensorMap, WeightLayout};
use candle_core::{DType, Device, Tensor as GraphTensor, Var};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use rayon::prelude::*;
use std::{collections::BTreeSet, ops::Range};

/// Keeps LoRA's draws apart from the new head's.
const ADAPTER_SEED: u64 = 0x4c6f_5241;

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
    /// The elements that are trained, if any: BitFit trains the bias of a norm, not its gain.
    pub(crate) trained: Range<usize>,
}

impl Parameter {
    /// Whether any of it is trained.
    pub(crate) fn trainable(&self) -> bool {
        !self.trained.is_empty()
    }

    /// The tensor for the graph: with gradient only in training and only where trainable.
    pub(crate) fn tensor(&self, training: bool) -> GraphTensor {
        if training && self.trainable() { self.variable.as_tensor().clone() } else { self.variable.as_detached_tensor() }
    }

    pub(crate) fn update(&mut self, gradient: &[f32], settings: &AdamW) -> Result<(), TrainError> {
        let (first, second, trained) = (&mut self.first, &mut self.second, self.trained.clone());
        let gradient = &gradient[trained.clone()];
        updated(&self.variable, |weights| {
            let state = weights[trained].par_chunks_mut(PART).zip(first.par_chunks_mut(PART)).zip(second.par_chunks_mut(PART));
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
    /// Its place in [`Parameters::adapters`], where LoRA adds to it.
    pub(crate) adapter: Option<usize>,
}

/// The low-rank addition to a product.
pub(crate) struct Adapter {
    /// Places of A and B, each with all blocks one below the other.
    pub(crate) a: usize,
    pub(crate) b: usize,
    /// The product's outputs that each block adds to.
    pub(crate) blocks: Vec<Range<usize>>,
    pub(crate) rank: usize,
    pub(crate) scale: f32,
    pub(crate) dropout: f32,
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
    /// The type of everything but frozen products.
    pub(crate) dtype: DType,
    /// The type of the weights of frozen products, and of the words' table where it is frozen.
    pub(crate) frozen: DType,
}

impl Placement {
    /// The processor, as training wants it.
    pub(crate) fn training(frozen: FrozenType) -> Self {
        let frozen = if frozen == FrozenType::Bf16 { DType::BF16 } else { DType::F32 };
        Self { device: Device::Cpu, dtype: DType::F32, frozen }
    }
}

/// All weights in the graph.
pub(crate) struct Parameters {
    pub(crate) embeddings: Embeddings,
    pub(crate) list: Vec<Parameter>,
    pub(crate) adapters: Vec<Adapter>,
    pub(crate) embedding_projection: Option<Product>,
    pub(crate) embedding_norm: usize,
    pub(crate) relative: Option<RelativePlaces>,
    pub(crate) layers: Vec<LayerPlaces>,
    pub(crate) convolution: Option<(Product, usize)>,
    pub(crate) pooler: Option<Product>,
    pub(crate) classifier: Product,
}

impl Parameters {
    /// Takes `weights`, which hold a head for `labels` outputs. What is trained is said by `training`, with the seed of what it adds;
    /// `None` trains nothing.
    pub(crate) fn new(
        spec: &EncoderSpec,
        weights: &Checkpoint,
        labels: usize,
        training: Option<(&Selection, u64)>,
        placement: &Placement,
    ) -> Result<Self, TrainError> {
        use Role::*;
        let layout = WeightLayout::new(spec, labels);
        layout.check(weights, false)?;
        let random = ChaCha8Rng::seed_from_u64(training.map_or(0, |(_, seed)| seed ^ ADAPTER_SEED));
        let selection = training.map(|(selection, _)| selection);
        let mut builder = Builder { layout: &layout, weights, placement, selection, random, list: Vec::new(), adapters: Vec::new() };
        let embedding_projection = builder.optional_product(EmbeddingProjection, None)?;
        let embedding_norm = builder.add(&[EmbeddingNormGain, EmbeddingNormBias])?;
        let relative = match spec.used_relative() {
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
        let (list, adapters) = (builder.list, builder.adapters);
        let trained = selection.is_some_and(|selection| selection.trains(WordEmbedding));
        let embeddings = Embeddings::new(spec, weights, trained, !trained && placement.frozen == DType::BF16)?;
        Ok(Self { embeddings, list, adapters, embedding_projection, embedding_norm, relative, layers, convolution, pooler, classifier })
    }

    /// What is trained, under its Hugging Face names; LoRA's additions as `….lora_A.weight` and `….lora_B.weight`.
    pub(crate) fn trained(&self) -> Result<TensorMap, TrainError> {
        let mut tensors = TensorMap::new();
        if self.embeddings.tables[0].trainable {
            self.embeddings.export(&mut tensors);
        }
        for parameter in self.list.iter().filter(|parameter| parameter.trainable()) {
            parameter.divide(&read(parameter.variable.as_tensor())?, &mut tensors);
        }
        Ok(tensors)
    }

    /// Sets tensors of the list that are trained.
    pub(crate) fn set_trained(&mut self, tensors: &TensorMap) -> Result<(), TrainError> {
        let mut left: BTreeSet<&String> = tensors.keys().collect();
        for parameter in self.list.iter().filter(|parameter| parameter.trainable()) {
            let mut start = 0;
            for (name, shape) in &parameter.tensors {
                let end = start + shape.iter().product::<usize>();
                if let Some(tensor) = tensors.get(name) {
                    if tensor.shape != *shape {
                        return Err(ModelError::WrongShape { name: name.clone(), found: tensor.shape.clone(), expected: shape.clone() }.into());
                    }
                    updated(&parameter.variable, |own| own[start..end].copy_from_slice(&tensor.data))?;
                    left.remove(name);
                }
                start = end;
            }
        }
        match left.first() {
            Some(name) => Err(TrainError::Data(format!("this run does not train the tensor {name}"))),
            None => Ok(()),
        }
    }

    /// Numbers that are trained, and all numbers.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let tables = self.embeddings.tables.iter().map(|table| (if table.trainable { table.weights.len() } else { 0 }, table.shape.iter().product()));
        let list = self.list.iter().map(|parameter| (parameter.first.len(), parameter.variable.elem_count()));
        tables.chain(list).fold((0, 0), |total, next| (total.0 + next.0, total.1 + next.1))
    }
}

struct Builder<'a> {
    layout: &'a WeightLayout,
    weights: &'a Checkpoint,
    placement: &'a Placement,
    selection: Option<&'a Selection>,
    random: ChaCha8Rng,
    list: Vec<Parameter>,
    adapters: Vec<Adapter>,
}

impl Builder<'_> {
    fn add(&mut self, roles: &[Role]) -> Result<usize, TrainError> {
        let (mut names, mut data) = (Vec::new(), Vec::new());
        for &role in roles {
            let entry = self.layout.require(role)?;
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
        let width = data.len() / roles.len();
        let decayed = shape.len() == 2 && !is_gain(roles[0]);
        // One operand may hold a norm's gain, which BitFit leaves, above its bias; all other roles in one are trained or not together.
        let trains = |role: &Role| self.selection.is_some_and(|selection| selection.trains(*role));
        let first = roles.iter().position(trains).unwrap_or(roles.len());
        let trained = first * width..data.len();
        // The table of relative positions is cut and normed, so only what is multiplied with is kept short.
        let frozen_product = trained.is_empty() && decayed && roles[0] != Role::RelativeEmbedding;
        let dtype = if frozen_product { self.placement.frozen } else { self.placement.dtype };
        let tensor = GraphTensor::from_vec(data, shape, &self.placement.device)?.to_dtype(dtype)?;
        self.push(names, tensor, (roles[0].is_head(), decayed), trained)
    }

    fn push(
        &mut self,
        tensors: Vec<(String, Vec<usize>)>,
        tensor: GraphTensor,
        (head, decayed): (bool, bool),
        trained: Range<usize>,
    ) -> Result<usize, TrainError> {
        let moments = vec![0.0; trained.len()];
        let variable = Var::from_tensor(&tensor)?;
        self.list.push(Parameter { tensors, variable, first: moments.clone(), second: moments, head, decayed, trained });
        Ok(self.list.len() - 1)
    }

    fn product(&mut self, weights: &[Role], biases: &[Role]) -> Result<Product, TrainError> {
        let weight = self.add(weights)?;
        let bias = if biases.is_empty() { None } else { Some(self.add(biases)?) };
        Ok(Product { weight, bias, adapter: self.adapter(weights)? })
    }

    /// The addition that LoRA makes to a product of these weights: A drawn as PyTorch draws a product's weight, B 0.
    fn adapter(&mut self, weights: &[Role]) -> Result<Option<usize>, TrainError> {
        let Some(selection) = self.selection else { return Ok(None) };
        let Some(lora) = weights.iter().find_map(|&role| selection.adapts(role)) else { return Ok(None) };
        let (mut a_names, mut b_names, mut blocks, mut rows) = (Vec::new(), Vec::new(), Vec::new(), 0);
        let (mut inputs, rank) = (0, lora.rank);
        for &role in weights {
            let entry = self.layout.require(role)?;
            let [outputs, width] = entry.shape[..] else { continue };
            if selection.adapts(role).is_some() {
                let module = entry.name.strip_suffix(".weight").unwrap_or(&entry.name);
                a_names.push((format!("{module}{LORA_A}"), vec![rank, width]));
                b_names.push((format!("{module}{LORA_B}"), vec![outputs, rank]));
                blocks.push(rows..rows + outputs);
            }
            rows += outputs;
            inputs = width;
        }
        let bound = 1.0 / (inputs as f64).sqrt();
        let a: Vec<f32> = (0..blocks.len() * rank * inputs).map(|_| (bound * (2.0 * uniform(&mut self.random) - 1.0)) as f32).collect();
        let outputs: usize = blocks.iter().map(Range::len).sum();
        let (a_len, device) = (a.len(), &self.placement.device);
        let a = GraphTensor::from_vec(a, (blocks.len() * rank, inputs), device)?;
        let b = GraphTensor::zeros((outputs, rank), DType::F32, device)?;
        let a = self.push(a_names, a, (false, true), 0..a_len)?;
        let b = self.push(b_names, b, (false, true), 0..outputs * rank)?;
        self.adapters.push(Adapter { a, b, blocks, rank, scale: lora.scale() as f32, dropout: lora.dropout });
        Ok(Some(self.adapters.len() - 1))
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

/// A number from 0 to below 1.
fn uniform(random: &mut ChaCha8Rng) -> f64 {
    (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// `weights` with a head for `labels` outputs: what is missing of it, and the classifier in any case, is drawn from `seed` as BERT's
/// initialiser does, normal with deviation 0.02 and biases 0.
pub(crate) fn with_new_head(spec: &EncoderSpec, weights: &Checkpoint, labels: usize, seed: u64) -> Checkpoint {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    // Box-Muller; 1 - u keeps the logarithm finite.
    let mut normal = || (-2.0 * (1.0 - uniform(&mut random)).ln()).sqrt() * (std::f64::consts::TAU * uniform(&mut random)).cos();
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
