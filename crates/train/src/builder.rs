use crate::{
    TrainError,
    adapter::{LORA_A, LORA_B},
    initial::uniform,
    method::Selection,
    parameter::Parameter,
    parameters::{Adapter, LayerPlaces, Placement, Product},
};
use attackline_model::{Checkpoint, LayerRole, Role, WeightLayout};
use candle_core::{DType, Device, Tensor as GraphTensor};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use std::ops::Range;

/// Keeps LoRA's draws apart from the new head's.
const ADAPTER_SEED: u64 = 0x4c6f_5241;

/// Puts the parameters of an encoder together.
pub(crate) struct Builder<'a> {
    layout: &'a WeightLayout,
    weights: &'a Checkpoint,
    placement: &'a Placement,
    selection: Option<&'a Selection>,
    random: ChaCha8Rng,
    pub(crate) list: Vec<Parameter>,
    pub(crate) adapters: Vec<Adapter>,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(layout: &'a WeightLayout, weights: &'a Checkpoint, placement: &'a Placement, training: Option<(&'a Selection, u64)>) -> Self {
        let random = ChaCha8Rng::seed_from_u64(training.map_or(0, |(_, seed)| seed ^ ADAPTER_SEED));
        Self { layout, weights, placement, selection: training.map(|(selection, _)| selection), random, list: Vec::new(), adapters: Vec::new() }
    }

    pub(crate) fn add(&mut self, roles: &[Role]) -> Result<usize, TrainError> {
        let (mut names, mut data) = (Vec::new(), Vec::new());
        for &role in roles {
            let entry = self.layout.require(role)?;
            data.extend(self.weights.tensor(&entry.name)?.data);
            names.push((entry.name.clone(), entry.shape.clone()));
        }
        // Weights go one below the other; a norm's vectors become the rows of a matrix; biases are joined end to end.
        let shape = match &names[0].1[..] {
            [width] if roles[0].is_gain() => vec![2, *width],
            [_] => vec![data.len()],
            [outputs, ..] => vec![outputs * roles.len(), data.len() / roles.len() / outputs],
            [] => vec![1],
        };
        let width = data.len() / roles.len();
        let decayed = shape.len() == 2 && !roles[0].is_gain();
        // One operand may hold a norm's gain, which BitFit leaves, above its bias; all other roles in one are trained or not together.
        let trains = |role: &Role| self.selection.is_some_and(|selection| selection.trains(*role));
        let first = roles.iter().position(trains).unwrap_or(roles.len());
        let trained = first * width..data.len();
        // The table of relative positions is cut and normed, so only what is multiplied with is kept short.
        let frozen_product = trained.is_empty() && decayed && roles[0] != Role::RelativeEmbedding;
        let dtype = if frozen_product { self.placement.frozen } else { self.placement.dtype };
        self.push(names, GraphTensor::from_vec(data, shape, &Device::Cpu)?, dtype, (roles[0].is_head(), decayed), trained)
    }

    fn push(
        &mut self,
        tensors: Vec<(String, Vec<usize>)>,
        weights: GraphTensor,
        dtype: DType,
        (head, decayed): (bool, bool),
        trained: Range<usize>,
    ) -> Result<usize, TrainError> {
        self.list.push(Parameter::new(tensors, weights, (&self.placement.device, dtype), (head, decayed), trained)?);
        Ok(self.list.len() - 1)
    }

    pub(crate) fn product(&mut self, weights: &[Role], biases: &[Role]) -> Result<Product, TrainError> {
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
        let (a_len, dtype) = (a.len(), self.placement.dtype);
        let a = GraphTensor::from_vec(a, (blocks.len() * rank, inputs), &Device::Cpu)?;
        let b = GraphTensor::zeros((outputs, rank), DType::F32, &Device::Cpu)?;
        let a = self.push(a_names, a, dtype, (false, true), 0..a_len)?;
        let b = self.push(b_names, b, dtype, (false, true), 0..outputs * rank)?;
        self.adapters.push(Adapter { a, b, blocks, rank, scale: lora.scale() as f32, dropout: lora.dropout });
        Ok(Some(self.adapters.len() - 1))
    }

    /// A product that some architectures have.
    pub(crate) fn optional_product(&mut self, weight: Role, bias: Option<Role>) -> Result<Option<Product>, TrainError> {
        if self.layout.entry(weight).is_none() {
            return Ok(None);
        }
        self.product(&[weight], bias.as_slice()).map(Some)
    }

    pub(crate) fn layer(&mut self, index: usize) -> Result<LayerPlaces, TrainError> {
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
