use crate::{Checkpoint, ModelError, Tensor, TensorMap, tensor::element_count};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, json};
use std::io::Write;

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

/// Writes a safetensors file in f32, tensors in the order of their names, each read when it is written.
pub(crate) fn write(weights: &Checkpoint, out: &mut impl Write) -> Result<(), ModelError> {
    let mut header = Map::from_iter([("__metadata__".to_owned(), json!({"format": "pt"}))]);
    let mut end = 0;
    for name in weights.names() {
        let shape = weights.shape(name).unwrap_or_default();
        let start = end;
        end += 4 * element_count(FILE, name, shape)?;
        header.insert(name.to_owned(), json!({"dtype": "F32", "shape": shape, "data_offsets": [start, end]}));
    }
    let mut header = serde_json::to_vec(&header).expect("a JSON object always serialises");
    // The tensors begin at a multiple of eight bytes.
    header.resize(header.len().next_multiple_of(8), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    for name in weights.names() {
        let tensor = weights.tensor(name)?;
        for part in tensor.data.chunks(16_384) {
            let bytes: Vec<u8> = part.iter().flat_map(|value| value.to_le_bytes()).collect();
            out.write_all(&bytes)?;
        }
    }
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn round_trip_and_damage() {
        let tensors = TensorMap::from([("a".to_owned(), Tensor { shape: vec![2, 3], data: vec![1.0, 2.0, 3.0, -4.0, 5.5, 0.0] })]);
        let mut bytes = Vec::new();
        write(&tensors.clone().into(), &mut bytes).unwrap();
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
