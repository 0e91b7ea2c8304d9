use crate::{
    TrainError, TrainSettings,
    embeddings::{RowGradients, Sources},
    ops::read,
    parameters::Parameters,
};
use attackline_kernels::AdamW;
use attackline_model::TensorMap;
use candle_core::{Tensor, Var, backprop::GradStore};
use rayon::prelude::*;

/// The gradients of one step.
pub(crate) struct Gradients {
    /// One for each parameter, in order; `None` for a frozen one.
    list: Vec<Option<Tensor>>,
    tables: Vec<Option<RowGradients>>,
}

impl Gradients {
    pub(crate) fn new(parameters: &Parameters, store: &GradStore, embedded: &Var, sources: &Sources) -> Result<Self, TrainError> {
        let find = |tensor: &Tensor| store.get(tensor).ok_or_else(|| candle_core::Error::Msg("a trainable tensor got no gradient".into()));
        let list = parameters
            .list
            .iter()
            .map(|parameter| parameter.trainable().then(|| find(parameter.variable.as_tensor()).and_then(Tensor::contiguous)).transpose())
            .collect::<Result<_, _>>()?;
        let tables = if parameters.embeddings.tables[0].trainable {
            parameters.embeddings.gradients(&read(find(embedded.as_tensor())?)?, sources)
        } else {
            Vec::new()
        };
        Ok(Self { list, tables })
    }

    /// The gradients under the tensors' Hugging Face names, rows that got none as zeros.
    pub(crate) fn export(&self, parameters: &Parameters) -> Result<TensorMap, TrainError> {
        let mut tensors = TensorMap::new();
        for (parameter, gradient) in parameters.list.iter().zip(&self.list) {
            if let Some(gradient) = gradient {
                parameter.divide(&read(gradient)?, &mut tensors);
            }
        }
        for (table, gradients) in parameters.embeddings.tables.iter().zip(&self.tables) {
            let Some(gradients) = gradients else { continue };
            let mut tensor = attackline_model::Tensor::zeros(&table.shape);
            let width = table.shape[1];
            for (&row, values) in gradients.rows.iter().zip(gradients.data.chunks_exact(width)) {
                tensor.data[row * width..][..width].copy_from_slice(values);
            }
            tensors.insert(table.name.clone(), tensor);
        }
        Ok(tensors)
    }

    /// The norm over all tensors, added up in a fixed order.
    pub(crate) fn norm(&self, parameters: &Parameters) -> Result<f64, TrainError> {
        let mut total = 0.0;
        for (parameter, gradient) in parameters.list.iter().zip(&self.list) {
            if let Some(gradient) = gradient {
                total += squares(&read(gradient)?[parameter.trained.clone()]);
            }
        }
        total += self.tables.iter().flatten().map(|rows| squares(&rows.data)).sum::<f64>();
        Ok(total.sqrt())
    }

    /// One AdamW step number `step`, at `factor` of the learning rates, the gradient multiplied by `scale`.
    pub(crate) fn apply(&self, parameters: &mut Parameters, settings: &TrainSettings, step: u64, factor: f64, scale: f64) -> Result<(), TrainError> {
        let adamw = |head: bool, decayed: bool| AdamW {
            learning_rate: (factor * if head { settings.head_learning_rate } else { settings.learning_rate }) as f32,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: if decayed { settings.weight_decay as f32 } else { 0.0 },
            step,
            gradient_scale: scale as f32,
        };
        for (parameter, gradient) in parameters.list.iter_mut().zip(&self.list) {
            if let Some(gradient) = gradient {
                parameter.update(&read(gradient)?, &adamw(parameter.head, parameter.decayed))?;
            }
        }
        parameters.embeddings.update(&self.tables, &adamw(false, true));
        Ok(())
    }
}

/// The sum of squares: by parts in parallel, then over the parts in order.
fn squares(data: &[f32]) -> f64 {
    let part = |part: &[f32]| {
        let mut lanes = [0.0f64; 8];
        for chunk in part.chunks(8) {
            for (lane, &value) in lanes.iter_mut().zip(chunk) {
                *lane += f64::from(value) * f64::from(value);
            }
        }
        lanes.iter().sum::<f64>()
    };
    let parts: Vec<f64> = data.par_chunks(65_536).map(part).collect();
    parts.iter().sum()
}
