//! The safetensors format: an index of what a file holds, and a writer.

use crate::{
    Checkpoint, ModelError,
    stored::{ElementType, StoredTensor},
    tensor::element_count,
};
use serde_json::{Map, json};
use std::{
    collections::BTreeSet,
    io::{Read, Seek, SeekFrom, Write},
};

/// The longest header that is read: a thousand tensors need about 100 kB.
const HEADER_LIMIT: u64 = 16 << 20;

/// Lists the tensors of a file, called `name` in messages. Only the header is read, and every claim in it is checked against the
/// file's size. Integer buffers are listed as [`ElementType::Other`].
pub(crate) fn index(file: &mut (impl Read + Seek), name: &str) -> Result<Vec<StoredTensor>, ModelError> {
    let damaged = |reason: String| ModelError::damaged(name, reason);
    let size = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(|_| damaged("too short for a safetensors file".into()))?;
    let length = u64::from_le_bytes(length);
    if length > HEADER_LIMIT || length > size - 8 {
        return Err(damaged(format!("the header claims {length} bytes, the file has {size}: damaged, cut short, or no safetensors file")));
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header)?;
    let Entries(entries) = serde_json::from_slice(&header).map_err(|error| damaged(format!("the header: {error}")))?;
    let body = size - 8 - length;
    let mut names = BTreeSet::new();
    let mut tensors = Vec::new();
    for (tensor, claim) in entries {
        if !names.insert(tensor.clone()) {
            return Err(damaged(format!("tensor {tensor} is there twice")));
        }
        tensors.push(stored(name, tensor, claim, 8 + length, body)?);
    }
    let mut ranges: Vec<(u64, u64)> =
        tensors.iter().map(|tensor: &StoredTensor| (tensor.start, tensor.end)).filter(|(start, end)| start < end).collect();
    ranges.sort_unstable();
    if ranges.windows(2).any(|pair| pair[0].1 > pair[1].0) {
        return Err(damaged("tensors lie on top of each other".into()));
    }
    Ok(tensors)
}

/// The header's entries in order: a name that comes twice must be seen, which a map would hide.
struct Entries(Vec<(String, Claim)>);

/// What the header says of a tensor.
#[derive(serde::Deserialize)]
struct Claim {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [usize; 2],
}

impl<'de> serde::Deserialize<'de> for Entries {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Entries;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<serde::de::IgnoredAny>()?;
                    } else {
                        entries.push((name, map.next_value()?));
                    }
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// One entry of the header, whose offsets count from `base` in a body of `size` bytes.
fn stored(file: &str, name: String, claim: Claim, base: u64, size: u64) -> Result<StoredTensor, ModelError> {
    let damaged = |reason: &str| ModelError::damaged(file, format!("tensor {name}: {reason}"));
    let (element, bytes) = match claim.dtype.as_str() {
        "F32" => (ElementType::F32, 4),
        "F16" => (ElementType::F16, 2),
        "BF16" => (ElementType::Bf16, 2),
        "F64" => (ElementType::F64, 8),
        "I8" => (ElementType::I8, 1),
        "BOOL" | "U8" => (ElementType::Other, 1),
        "U16" | "I16" => (ElementType::Other, 2),
        "U32" | "I32" => (ElementType::Other, 4),
        "U64" | "I64" => (ElementType::Other, 8),
        other => return Err(damaged(&format!("type {other}: f64, f32, f16 and bf16 are read"))),
    };
    let (shape, [start, end]) = (claim.shape, claim.data_offsets);
    let wanted = element_count(file, &name, &shape)?.checked_mul(bytes);
    if start > end || end as u64 > size || wanted != Some(end - start) {
        return Err(damaged(&format!("it claims bytes {start} to {end} of {size} for shape {shape:?}")));
    }
    let strides = StoredTensor::dense_strides(&shape);
    Ok(StoredTensor { name, element, shape, strides, start: base + start as u64, end: base + end as u64 })
}

/// Stands behind the name of an int8 matrix in the name of its rows' scales.
pub(crate) const SCALE: &str = ".scale";

/// The same for its columns' factors, where it has some.
pub(crate) const FACTOR: &str = ".factor";

/// Writes a safetensors file, tensors in the order of their names, each read when it is written: in f32, or in int8 with the scales of the
/// rows, and where there are some the factors of the columns, before them.
pub(crate) fn write(weights: &Checkpoint, out: &mut impl Write) -> Result<(), ModelError> {
    let mut header = Map::from_iter([("__metadata__".to_owned(), json!({"format": "pt"}))]);
    let mut end = 0;
    let mut entry = |name: String, dtype: &str, shape: &[usize], bytes: usize| -> Result<(), ModelError> {
        let start = end;
        end += bytes * element_count("model.safetensors", &name, shape)?;
        header.insert(name, json!({"dtype": dtype, "shape": shape, "data_offsets": [start, end]}));
        Ok(())
    };
    // What is wider comes first, so that every tensor begins at a multiple of its elements' size.
    let (integers, floats): (Vec<&str>, Vec<&str>) = weights.names().partition(|name| weights.is_int8(name));
    for name in &floats {
        entry((*name).to_owned(), "F32", weights.shape(name).unwrap_or_default(), 4)?;
    }
    for name in &integers {
        let shape = weights.shape(name).unwrap_or_default();
        entry(format!("{name}{SCALE}"), "F32", &shape[..1], 4)?;
        if weights.has_factors(name) {
            entry(format!("{name}{FACTOR}"), "F32", &shape[1..], 4)?;
        }
    }
    for name in &integers {
        entry((*name).to_owned(), "I8", weights.shape(name).unwrap_or_default(), 1)?;
    }
    let mut header = serde_json::to_vec(&header).expect("a JSON object always serialises");
    // The tensors begin at a multiple of eight bytes.
    header.resize(header.len().next_multiple_of(8), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    for name in floats {
        write_floats(&weights.tensor(name)?.data, out)?;
    }
    let read = |name: &str| weights.int8(name)?.ok_or_else(|| ModelError::damaged("model.safetensors", format!("{name} is no longer int8")));
    for name in &integers {
        let tensor = read(name)?;
        write_floats(&tensor.scales, out)?;
        write_floats(&tensor.factors, out)?;
    }
    for name in &integers {
        out.write_all(&read(name)?.bytes)?;
    }
    Ok(out.flush()?)
}

fn write_floats(values: &[f32], out: &mut impl Write) -> Result<(), ModelError> {
    for part in values.chunks(16_384) {
        let bytes: Vec<u8> = part.iter().flat_map(|value| value.to_le_bytes()).collect();
        out.write_all(&bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Tensor, TensorMap};
    use std::io::Cursor;

    fn read(bytes: &[u8]) -> Result<TensorMap, ModelError> {
        let mut file = Cursor::new(bytes);
        let tensors = index(&mut file, "x")?;
        tensors.iter().map(|tensor| Ok((tensor.name.clone(), tensor.read(&mut file, "x")?))).collect()
    }

    fn file(header: &str, body: usize) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.resize(bytes.len() + body, 0);
        bytes
    }

    #[test]
    fn round_trip_and_damage() {
        let tensors = TensorMap::from([
            ("a".to_owned(), Tensor { shape: vec![2, 3], data: vec![1.0, 2.0, 3.0, -4.0, 5.5, 0.0] }),
            ("b".to_owned(), Tensor { shape: vec![1], data: vec![7.0] }),
        ]);
        let mut bytes = Vec::new();
        write(&tensors.clone().into(), &mut bytes).unwrap();
        assert_eq!(read(&bytes).unwrap(), tensors);
        assert_eq!(safetensors::SafeTensors::deserialize(&bytes).unwrap().tensor("a").unwrap().shape(), [2, 3]);
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "cut to {length}");
        }
        let mut poisoned = bytes;
        let last = poisoned.len() - 4;
        poisoned[last..].copy_from_slice(&f32::NAN.to_le_bytes());
        assert!(read(&poisoned).unwrap_err().to_string().contains("NaN"));
    }

    #[test]
    fn every_float_type_is_widened_and_buffers_are_listed() {
        let header = r#"{"h":{"dtype":"F16","shape":[1],"data_offsets":[0,2]},"b":{"dtype":"BF16","shape":[1],"data_offsets":[2,4]},
            "d":{"dtype":"F64","shape":[1],"data_offsets":[4,12]},"i":{"dtype":"I64","shape":[1],"data_offsets":[12,20]}}"#;
        let mut bytes = file(header, 20);
        let body = bytes.len() - 20;
        bytes[body..body + 2].copy_from_slice(&half::f16::from_f32(1.5).to_le_bytes());
        bytes[body + 2..body + 4].copy_from_slice(&half::bf16::from_f32(-2.0).to_le_bytes());
        bytes[body + 4..body + 12].copy_from_slice(&0.25f64.to_le_bytes());
        let mut tensors = read(&bytes).unwrap();
        assert_eq!(tensors.remove("h").unwrap().data, [1.5]);
        assert_eq!(tensors.remove("b").unwrap().data, [-2.0]);
        assert_eq!(tensors.remove("d").unwrap().data, [0.25]);
        assert!(tensors.remove("i").unwrap().data.is_empty());
    }

    #[test]
    fn lies_are_refused_without_being_believed() {
        for (header, body, message) in [
            (r#"{"a":{"dtype":"F32","shape":[1099511627776,1024],"data_offsets":[0,4]}}"#, 4, "claims bytes"),
            (r#"{"a":{"dtype":"F32","shape":[18446744073709551615,2],"data_offsets":[0,4]}}"#, 4, "impossible shape"),
            (r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,400]}}"#, 4, "claims bytes"),
            (r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, 8, "claims bytes"),
            (r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4, "header"),
            (r#"{"a":{"dtype":"F8","shape":[1],"data_offsets":[0,1]}}"#, 4, "type F8"),
            (r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}"#, 8, "on top"),
            (r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, 8, "twice"),
            (r#"{"a":3}"#, 4, "header"),
            ("[]", 0, "header"),
            ("{", 0, "header"),
        ] {
            let error = read(&file(header, body)).unwrap_err().to_string();
            assert!(error.contains(message), "{header}: {error}");
        }
        let mut endless = file("{}", 0);
        endless[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(read(&endless).unwrap_err().to_string().contains("header claims"));
        let deep = format!("{{\"a\":{}", "[".repeat(100_000));
        assert!(read(&file(&deep, 0)).is_err());
    }
}
