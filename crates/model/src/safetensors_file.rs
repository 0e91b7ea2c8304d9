use crate::{ModelError, Tensor, TensorMap, tensor::element_count};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

const FILE: &str = "model.safetensors";

/// Reads the bytes of a safetensors file; f32, f16 and bf16 become f32. Integer buffers (`position_ids`) are left out.
pub(crate) fn read(bytes: &[u8]) -> Result<TensorMap, ModelError> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| ModelError::damaged(FILE, error))?;
    let mut tensors = TensorMap::new();
    for (name, view) in file.tensors() {
        let count = element_count(FILE, &name, view.shape())?;
        let data: Vec<f32> = match view.dtype() {
            Dtype::F32 => view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
            Dtype::F16 => view.data().chunks_exact(2).map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
            Dtype::BF16 => view.data().chunks_exact(2).map(|b| half::bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
            Dtype::I64 | Dtype::I32 | Dtype::U8 | Dtype::BOOL => continue,
            other => return Err(ModelError::damaged(FILE, format!("tensor {name} has type {other:?}; f32, f16 and bf16 are read"))),
        };
        if data.len() != count {
            return Err(ModelError::damaged(FILE, format!("tensor {name} holds {} values, its shape asks for {count}", data.len())));
        }
        if let Some(bad) = data.iter().find(|value| !value.is_finite()) {
            return Err(ModelError::damaged(FILE, format!("tensor {name} holds the value {bad}")));
        }
        tensors.insert(name, Tensor { shape: view.shape().to_vec(), data });
    }
    Ok(tensors)
}

/// The bytes of a safetensors file in f32, tensors in the order of their names.
pub(crate) fn write(tensors: &TensorMap) -> Result<Vec<u8>, ModelError> {
    let bytes: Vec<(&String, &Tensor, Vec<u8>)> =
        tensors.iter().map(|(name, tensor)| (name, tensor, tensor.data.iter().flat_map(|value| value.to_le_bytes()).collect())).collect();
    let views = bytes
        .iter()
        .map(|(name, tensor, data)| TensorView::new(Dtype::F32, tensor.shape.clone(), data).map(|view| (name.as_str(), view)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| ModelError::damaged(FILE, error))?;
    let metadata = std::collections::HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize(views, Some(metadata)).map_err(|error| ModelError::damaged(FILE, error))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn round_trip_and_damage() {
        let tensors = TensorMap::from([("a".to_owned(), Tensor { shape: vec![2, 3], data: vec![1.0, 2.0, 3.0, -4.0, 5.5, 0.0] })]);
        let bytes = write(&tensors).unwrap();
        assert_eq!(read(&bytes).unwrap(), tensors);
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "cut to {length}");
        }
        let mut lying = bytes.clone();
        lying[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(read(&lying).is_err());
        let mut poisoned = bytes;
        let last = poisoned.len() - 4;
        poisoned[last..].copy_from_slice(&f32::NAN.to_le_bytes());
        assert!(read(&poisoned).unwrap_err().to_string().contains("NaN"));
    }
}
