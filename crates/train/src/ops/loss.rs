use super::slices::{read, slice, tensor};
use attackline_kernels::{Loss, binary_cross_entropy, cross_entropy};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use std::sync::Arc;

/// Mean cross entropy of `[rows, outputs]` logits: a scalar.
pub(crate) struct CrossEntropy {
    /// The right outputs of each row.
    pub(crate) labels: Arc<[Vec<usize>]>,
    /// What each row counts.
    pub(crate) row_weights: Arc<[f32]>,
    pub(crate) class_weights: Option<Arc<[f32]>>,
    pub(crate) smoothing: f32,
    pub(crate) focus: f32,
    /// Whether a row may have several labels or none: each output is a yes or no then. Otherwise it has one.
    pub(crate) several: bool,
}

impl CrossEntropy {
    fn loss(&self) -> Loss<'_> {
        let (class_weights, row_weights) = (self.class_weights.as_deref(), Some(&*self.row_weights));
        Loss { class_weights, row_weights, smoothing: self.smoothing, focus: self.focus }
    }

    /// The only label of each row.
    fn single(&self) -> Vec<usize> {
        self.labels.iter().map(|labels| labels[0]).collect()
    }

    /// What the rows count together: the mean divides by it.
    pub(crate) fn total_weight(&self) -> f64 {
        if self.several { self.row_weights.iter().copied().map(f64::from).sum() } else { self.loss().total_weight(&self.single()) }
    }

    /// The loss and its gradient.
    pub(crate) fn run(&self, logits: &[f32]) -> (f32, Vec<f32>) {
        let mut grad = vec![0.0; logits.len()];
        let loss = if self.several {
            binary_cross_entropy(logits, &self.labels, self.loss(), &mut grad)
        } else {
            cross_entropy(logits, &self.single(), self.loss(), &mut grad)
        };
        (loss, grad)
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
