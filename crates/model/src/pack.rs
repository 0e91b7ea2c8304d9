//! A model folder in one compact file, as the binary embeds it.
//!
//! Layout: the magic, the length of the header (u32, little-endian), the header (JSON, deflated, so that nothing in it
//! stands in clear), then the tensors' bytes. Matrices are stored in int8 with one f32 scale a row (symmetric, round to
//! nearest); vectors in f32. Reading gives f32 back.

use crate::{FolderFiles, ModelError, ModelFolder, Tensor, TensorMap, tensor::element_count};
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};

const MAGIC: &[u8; 8] = b"ALPACK01";
const FILE: &str = "model pack";

/// The most that a header may hold once inflated.
const HEADER_LIMIT: u64 = 64 << 20;

#[derive(Serialize, Deserialize)]
struct Header {
    files: std::collections::BTreeMap<String, String>,
    tensors: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    name: String,
    shape: Vec<usize>,
}

impl ModelFolder {
    /// The bytes of the pack. Every small file must be UTF-8 text.
    pub fn to_pack(&self) -> Result<Vec<u8>, ModelError> {
        let text = |(name, bytes): (&String, &Vec<u8>)| match String::from_utf8(bytes.clone()) {
            Ok(text) => Ok((name.clone(), text)),
            Err(error) => Err(ModelError::damaged(name.clone(), error)),
        };
        let files = self.files.iter().map(text).collect::<Result<_, _>>()?;
        let entry = |name: &str| self.weights.shape(name).map(|shape| Entry { name: name.to_owned(), shape: shape.to_vec() });
        let tensors = self.weights.names().filter_map(entry).collect();
        let header = serde_json::to_vec(&Header { files, tensors }).map_err(|error| ModelError::damaged(FILE, error))?;
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&header)?;
        let header = encoder.finish()?;
        let mut pack = MAGIC.to_vec();
        pack.extend((header.len() as u32).to_le_bytes());
        pack.extend(header);
        for name in self.weights.names() {
            write_tensor(&self.weights.tensor(name)?, &mut pack);
        }
        Ok(pack)
    }

    /// Reads a pack and checks it as [`ModelFolder::read`] does.
    pub fn from_pack(pack: &[u8]) -> Result<Self, ModelError> {
        let short = || ModelError::damaged(FILE, "cut short");
        let rest = pack.strip_prefix(MAGIC).ok_or_else(|| ModelError::damaged(FILE, "not a model pack, or one of another version"))?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let (header, mut body) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(short)?;
        let mut json = Vec::new();
        ZlibDecoder::new(header).take(HEADER_LIMIT).read_to_end(&mut json)?;
        let header: Header = serde_json::from_slice(&json).map_err(|error| ModelError::damaged(FILE, error))?;
        let mut tensors = TensorMap::new();
        for entry in header.tensors {
            let tensor = read_tensor(&entry, &mut body).transpose()?.ok_or_else(short)?;
            if tensor.data.iter().any(|value| !value.is_finite()) {
                return Err(ModelError::damaged(FILE, format!("tensor {} holds a value that is no number", entry.name)));
            }
            tensors.insert(entry.name, tensor);
        }
        let files: FolderFiles = header.files.into_iter().map(|(name, text)| (name, text.into_bytes())).collect();
        Self::from_parts(files, tensors.into())
    }
}

fn write_tensor(tensor: &Tensor, pack: &mut Vec<u8>) {
    let [rows, width] = tensor.shape[..] else {
        pack.extend(tensor.data.iter().flat_map(|value| value.to_le_bytes()));
        return;
    };
    debug_assert_eq!(rows * width, tensor.data.len());
    for row in tensor.data.chunks_exact(width) {
        let largest = row.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        let scale = largest / 127.0;
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        pack.extend(scale.to_le_bytes());
        pack.extend(row.iter().map(|value| (value * inverse).round() as i8 as u8));
    }
}

/// Takes one tensor off `body`; `None` where the bytes end before it does.
fn read_tensor(entry: &Entry, body: &mut &[u8]) -> Option<Result<Tensor, ModelError>> {
    let count = match element_count(FILE, &entry.name, &entry.shape) {
        Ok(count) => count,
        Err(error) => return Some(Err(error)),
    };
    let [rows, width] = entry.shape[..] else {
        let bytes = body.split_off(..count.checked_mul(4)?)?;
        let data = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        return Some(Ok(Tensor { shape: entry.shape.clone(), data }));
    };
    let stride = width.checked_add(4)?;
    let bytes = body.split_off(..rows.checked_mul(stride)?)?;
    let mut data = Vec::with_capacity(count);
    for row in bytes.chunks_exact(stride) {
        let scale = f32::from_le_bytes([row[0], row[1], row[2], row[3]]);
        data.extend(row[4..].iter().map(|&value| f32::from(value as i8) * scale));
    }
    Some(Ok(Tensor { shape: entry.shape.clone(), data }))
}
