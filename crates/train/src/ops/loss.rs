use super::slices::{read, slice, tensor};
use attackline_kernels::{Loss, cross_entropy};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use std::sync::Arc;

/// Mean cross entropy of `[lines, labels]` logits: a scalar.
pub(crate) struct CrossEntropy {
    pub(crate) labels: Vec<usize>,
    pub(crate) class_weights: Option<Arc<[f32]>>,
    pub(crate) smoothing: f32,
    pub(crate) focus: f32,
}

impl CrossEntropy {
    fn run(&self, logits: &[f32]) -> (f32, Vec<f32>) {
        let mut grad = vec![0.0; logits.len()];
        let loss = Loss { class_weights: self.class_weights.as_deref(), smoothing: self.smoothing, focus: self.focus };
        (cross_entropy(logits, &self.labels, loss, &mut grad), grad)
    }
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (loss, _) = self.run(slice(logits, layout)?);
        Ok((CpuStorage::F32(vec![loss]), Shape::from(())))
    }

    fn bwd(&self, logits: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let scale = grad.to_scalar::<f32>()?;
        let (_, mut out) = self.run(&read(logits)?);
        out.iter_mut().for_each(|value| *value *= scale);
        Ok(Some(tensor(out, logits.shape())?))
    }
}
