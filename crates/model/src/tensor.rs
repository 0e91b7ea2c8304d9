use crate::ModelError;
use std::collections::BTreeMap;

/// A tensor in f32, row-major.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tensor {
    /// Its extents, outermost first.
    pub shape: Vec<usize>,
    /// Its elements; as many as the product of the extents.
    pub data: Vec<f32>,
}

impl Tensor {
    /// A tensor of zeros.
    pub fn zeros(shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), data: vec![0.0; shape.iter().product()] }
    }
}

/// Tensors by their Hugging Face names, in the order of the names so that files come out the same every time.
pub type TensorMap = BTreeMap<String, Tensor>;

/// The number of elements of `shape`, refused where it overflows (a lying header).
pub(crate) fn element_count(file: &str, name: &str, shape: &[usize]) -> Result<usize, ModelError> {
    shape
        .iter()
        .try_fold(1usize, |product, &extent| product.checked_mul(extent))
        .ok_or_else(|| ModelError::damaged(file, format!("tensor {name} claims the impossible shape {shape:?}")))
}
