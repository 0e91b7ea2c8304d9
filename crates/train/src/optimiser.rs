use crate::{
    TrainError, TrainSettings,
    embeddings::{RowGradients, Sources},
    ops::read,
    parameters::Parameters,
};
use attackline_kernels::AdamW;
use attackline_model::TensorMap;
use candle_core::{DType, Device, Tensor, backprop::GradStore};
use rayon::prelude::*;

/// Gradients as they come out of one or several passes back.
pub(crate) struct Collected {
    /// One for each parameter, in order.
    list: Vec<Option<Tensor>>,
    /// That of the sums of the embeddings.
    pub(crate) embedded: Option<Tensor>,
}

impl Collected {
    pub(crate) fn new(parameters: &Parameters) -> Self {
        Self { list: vec![None; parameters.list.len()], embedded: None }
    }

    /// Takes the gradients of parameters out of a pass.
    pub(crate) fn add(&mut self, parameters: &Parameters, store: &GradStore) -> candle_core::Result<()> {
        for (parameter, sum) in parameters.list.iter().zip(&mut self.list).filter(|(parameter, _)| parameter.trainable()) {
            if let Some(gradient) = store.get(parameter.variable()) {
                *sum = Some(sum.take().map_or_else(|| Ok(gradient.clone()), |sum| sum + gradient)?);
            }
        }
        Ok(())
    }
}

/// The gradients of one step, in f32 on the processor.
pub(crate) struct Gradients {
    /// One for each parameter, in order; `None` for a frozen one.
    list: Vec<Option<Tensor>>,
    tables: Vec<Option<RowGradients>>,
}

impl Gradients {
    pub(crate) fn new(parameters: &Parameters, collected: Collected, sources: &Sources) -> Result<Self, TrainError> {
        let lost = || candle_core::Error::Msg("a trainable tensor got no gradient".into());
        let here = |tensor: Tensor| tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.contiguous();
        let mut list = Vec::with_capacity(collected.list.len());
        for (parameter, gradient) in parameters.list.iter().zip(collected.list) {
            list.push(if parameter.trainable() { Some(here(gradient.ok_or_else(lost)?)?) } else { None });
        }
        let mut tables = Vec::new();
        if parameters.embeddings.tables[0].trainable {
            let embedded = here(collected.embedded.ok_or_else(lost)?)?;
            tables = parameters.embeddings.gradients(&read(&embedded)?, sources);
        }
        let mut gradients = Self { list, tables };
        if parameters.tied {
            gradients.tie(parameters)?;
        }
        Ok(gradients)
    }

    /// What the table of words has goes to the classifier's weight, which stands for both.
    fn tie(&mut self, parameters: &Parameters) -> Result<(), TrainError> {
        let place = parameters.classifier.weight;
        if let (Some(gradient), Some(rows)) = (&mut self.list[place], self.tables.first_mut().and_then(Option::take)) {
            let mut sums = gradient.flatten_all()?.to_vec1::<f32>()?;
            rows.add_to(&mut sums, parameters.embeddings.width());
            *gradient = Tensor::from_vec(sums, gradient.shape(), &Device::Cpu)?;
        }
        Ok(())
    }

    /// Adds another batch's.
    pub(crate) fn add(&mut self, other: Self) -> Result<(), TrainError> {
        for (sum, gradient) in self.list.iter_mut().zip(other.list) {
            if let (Some(sum), Some(gradient)) = (sum, gradient) {
                *sum = (&*sum + gradient)?;
            }
        }
        for (sum, rows) in self.tables.iter_mut().zip(other.tables) {
            if let (Some(sum), Some(rows)) = (sum, rows) {
                *sum = sum.merged(&rows);
            }
        }
        Ok(())
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
            gradients.add_to(&mut tensor.data, table.shape[1]);
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
        parameters.follow_tie()
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
