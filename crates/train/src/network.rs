use crate::{
    TrainError, TrainSettings,
    batch::Batch,
    blocks::Blocks,
    graph::{Pass, Stream},
    ops::Dropped,
    optimiser::{Collected, Gradients},
    parameters::{Parameters, Placement},
    task::Task,
};
use attackline_model::{EncoderSpec, Step};
use candle_core::{DType, Device, Result, Tensor, Var};

/// An encoder with its head in the graph, what it learns, and where it runs.
pub(crate) struct Network {
    pub(crate) spec: EncoderSpec,
    pub(crate) parameters: Parameters,
    pub(crate) placement: Placement,
    pub(crate) blocks: Blocks,
    pub(crate) task: Task,
}

impl Network {
    /// The sums of the batch's embeddings, `[tokens, embedding]`.
    fn input(&self, batch: &Batch) -> Result<Tensor> {
        let sums = self.parameters.embeddings.gather(&batch.sources);
        Tensor::from_vec(sums, (batch.tokens, self.spec.embedding), &Device::Cpu)?.to_dtype(self.placement.dtype)?.to_device(&self.placement.device)
    }

    fn picked(&self, batch: &Batch) -> Result<Option<Tensor>> {
        batch.picked.as_ref().map(|tokens| Tensor::new(tokens.as_slice(), &self.placement.device)).transpose()
    }

    fn pass<'a>(&'a self, batch: &'a Batch, picked: Option<&'a Tensor>, training: Option<Dropped>, seen: &'a dyn Fn(Step, &Tensor)) -> Pass<'a> {
        let Self { spec, parameters, blocks, .. } = self;
        Pass { spec, parameters, blocks: *blocks, lines: &batch.lines, picked, training, tracked: training.is_some(), seen }
    }

    /// Logits without gradient and dropout, telling `seen` of every step's result.
    pub(crate) fn logits(&self, batch: &Batch, seen: &dyn Fn(Step, &Tensor)) -> Result<Vec<f32>> {
        let picked = self.picked(batch)?;
        on_processor(&self.pass(batch, picked.as_ref(), None, seen).logits(&self.input(batch)?)?)?.flatten_all()?.to_vec1()
    }

    /// The batch's loss and its gradient, both times `share`.
    pub(crate) fn gradients(
        &self,
        batch: &Batch,
        settings: &TrainSettings,
        dropped: Dropped,
        share: f64,
    ) -> std::result::Result<(f64, Gradients), TrainError> {
        let picked = self.picked(batch)?;
        let pass = self.pass(batch, picked.as_ref(), Some(dropped), &|_, _| {});
        let loss = |logits: &Tensor| on_processor(logits)?.apply_op1(batch.loss(&self.task, settings))? * share;
        let (value, collected) =
            if settings.recompute { recomputed(&pass, &self.input(batch)?, &loss)? } else { at_once(&pass, &self.input(batch)?, &loss)? };
        Ok((value, Gradients::new(&self.parameters, collected, &batch.sources)?))
    }
}

fn on_processor(tensor: &Tensor) -> Result<Tensor> {
    tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)
}

type Loss<'a> = &'a dyn Fn(&Tensor) -> Result<Tensor>;

/// One pass forward and one back.
fn at_once(pass: &Pass<'_>, input: &Tensor, loss: Loss<'_>) -> Result<(f64, Collected)> {
    let embedded = Var::from_tensor(input)?;
    // Nothing before the first trained weight needs a gradient.
    let input = if pass.parameters.embeddings.tables[0].trainable { embedded.as_tensor().clone() } else { embedded.as_detached_tensor() };
    let loss = loss(&pass.logits(&input)?)?;
    let mut collected = Collected::new(pass.parameters);
    let gradients = loss.backward()?;
    collected.add(pass.parameters, &gradients)?;
    collected.embedded = gradients.get(&embedded).cloned();
    Ok((f64::from(loss.to_scalar::<f32>()?), collected))
}

/// The same, but of the way forward only each layer's input is kept; a layer is computed again for its gradient (Chen et al. 2016). Time
/// for memory: a third more work, and the activations of one layer rather than of all.
fn recomputed(pass: &Pass<'_>, input: &Tensor, loss: Loss<'_>) -> Result<(f64, Collected)> {
    let parameters = pass.parameters;
    let untracked = Pass { tracked: false, ..*pass };
    let mut masks = pass.masks();
    let mut stream = untracked.begin(input, &mut masks)?;
    let mut kept = Vec::with_capacity(pass.spec.layers);
    for index in 0..pass.spec.layers {
        let before = masks;
        let next = untracked.layer(index, &stream, &mut masks)?;
        kept.push((std::mem::replace(&mut stream.hidden, next), before));
    }
    let mut collected = Collected::new(parameters);
    let hidden = Var::from_tensor(&stream.hidden)?;
    let loss = loss(&pass.head(&hidden, &mut masks)?)?;
    let gradients = loss.backward()?;
    collected.add(parameters, &gradients)?;
    let value = f64::from(loss.to_scalar::<f32>()?);
    let (lowest, from_start) = parameters.lowest_trained();
    if lowest == pass.spec.layers {
        return Ok((value, collected));
    }
    let mut flow = wanted(&gradients, &hidden)?;
    // The table's rows and the convolution are used by layers and made before them: their gradients add up.
    let (convolved, rows) = (stream.convolved.as_ref().map(Var::from_tensor).transpose()?, stream.rows.as_ref().map(Var::from_tensor).transpose()?);
    let (mut of_convolved, mut of_rows): (Option<Tensor>, Option<Tensor>) = (None, None);
    for (index, (input, mut masks)) in kept.into_iter().enumerate().skip(lowest).rev() {
        let input = Var::from_tensor(&input)?;
        let tensor = |var: &Option<Var>| var.as_ref().map(|var| if from_start { var.as_tensor().clone() } else { var.as_detached_tensor() });
        let stream = Stream { hidden: input.as_tensor().clone(), convolved: tensor(&convolved), rows: tensor(&rows) };
        let gradients = towards(&pass.layer(index, &stream, &mut masks)?, &flow)?.backward()?;
        collected.add(parameters, &gradients)?;
        flow = wanted(&gradients, &input)?;
        for (var, sum) in [(&convolved, &mut of_convolved), (&rows, &mut of_rows)] {
            if let Some(gradient) = var.as_ref().and_then(|var| gradients.get(var)) {
                *sum = Some(sum.take().map_or_else(|| Ok(gradient.clone()), |sum| sum + gradient)?);
            }
        }
    }
    if from_start {
        let embedded = Var::from_tensor(input)?;
        let stream = pass.begin(embedded.as_tensor(), &mut pass.masks())?;
        let mut total = towards(&stream.hidden, &flow)?;
        for (tensor, gradient) in [(stream.convolved, of_convolved), (stream.rows, of_rows)] {
            if let (Some(tensor), Some(gradient)) = (tensor, gradient) {
                total = (total + towards(&tensor, &gradient)?)?;
            }
        }
        let gradients = total.backward()?;
        collected.add(parameters, &gradients)?;
        collected.embedded = gradients.get(&embedded).cloned();
    }
    Ok((value, collected))
}

/// A number whose gradient at `tensor` is `gradient`.
fn towards(tensor: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    (tensor * gradient.detach())?.sum_all()
}

fn wanted(gradients: &candle_core::backprop::GradStore, tensor: &Var) -> Result<Tensor> {
    gradients.get(tensor).cloned().ok_or_else(|| candle_core::Error::Msg("a layer's input got no gradient".into()))
}
