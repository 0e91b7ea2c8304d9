use crate::{TrainError, ops::updated};
use attackline_kernels::{AdamW, adamw};
use attackline_model::{Tensor, TensorMap};
use candle_core::{DType, Device, Tensor as GraphTensor, Var};
use rayon::prelude::*;
use std::ops::Range;

/// Elements of a part of an update.
const PART: usize = 65_536;

/// One variable of the graph with its moments. It may hold several tensors of the checkpoint, one below the other: query,
/// key and value are one product, a norm's gain and bias one operand.
pub(crate) struct Parameter {
    /// Names and shapes of the checkpoint's tensors in it.
    pub(crate) tensors: Vec<(String, Vec<usize>)>,
    variable: Var,
    /// The weights in f32 where the variable is not f32 on the processor but what is computed with is trained: the optimiser works here, and
    /// the variable is a copy.
    host: Option<Vec<f32>>,
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
    /// Puts f32 weights on the processor where and how they are computed with.
    pub(crate) fn new(
        tensors: Vec<(String, Vec<usize>)>,
        weights: GraphTensor,
        (device, dtype): (&Device, DType),
        (head, decayed): (bool, bool),
        trained: Range<usize>,
    ) -> Result<Self, TrainError> {
        let moments = vec![0.0; trained.len()];
        let in_place = device.is_cpu() && dtype == DType::F32;
        let host = if trained.is_empty() || in_place { None } else { Some(weights.flatten_all()?.to_vec1()?) };
        let variable = Var::from_tensor(&weights.to_dtype(dtype)?.to_device(device)?)?;
        Ok(Self { tensors, variable, host, first: moments.clone(), second: moments, head, decayed, trained })
    }

    /// Whether any of it is trained.
    pub(crate) fn trainable(&self) -> bool {
        !self.trained.is_empty()
    }

    /// The tensor for the graph: with gradient only where it is wanted and trained.
    pub(crate) fn tensor(&self, tracked: bool) -> GraphTensor {
        if tracked && self.trainable() { self.variable.as_tensor().clone() } else { self.variable.as_detached_tensor() }
    }

    /// The variable, by which its gradient is found.
    pub(crate) fn variable(&self) -> &GraphTensor {
        self.variable.as_tensor()
    }

    /// How many numbers it has.
    pub(crate) fn len(&self) -> usize {
        self.variable.elem_count()
    }

    /// Its weights in f32.
    pub(crate) fn values(&self) -> Result<Vec<f32>, TrainError> {
        match &self.host {
            Some(host) => Ok(host.clone()),
            None => Ok(self.variable.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?),
        }
    }

    /// Changes its weights.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut [f32])) -> Result<(), TrainError> {
        change_weights(&self.variable, &mut self.host, change)
    }

    /// A step of the optimiser.
    pub(crate) fn update(&mut self, gradient: &[f32], settings: &AdamW) -> Result<(), TrainError> {
        let (first, second, trained) = (&mut self.first, &mut self.second, self.trained.clone());
        let gradient = &gradient[trained.clone()];
        change_weights(&self.variable, &mut self.host, |weights| {
            let state = weights[trained].par_chunks_mut(PART).zip(first.par_chunks_mut(PART)).zip(second.par_chunks_mut(PART));
            state.zip(gradient.par_chunks(PART)).for_each(|(((weights, first), second), gradient)| adamw(settings, weights, gradient, first, second));
        })
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

fn change_weights(variable: &Var, host: &mut Option<Vec<f32>>, change: impl FnOnce(&mut [f32])) -> Result<(), TrainError> {
    let Some(host) = host else { return Ok(updated(variable, change)?) };
    change(host);
    let copy = GraphTensor::from_slice(host, variable.shape(), &Device::Cpu)?;
    Ok(variable.set(&copy.to_dtype(variable.dtype())?.to_device(variable.device())?)?)
}
