//! A model folder in one compact file, as the binary embeds it.
//!
//! Layout: the magic, the length of the head (u32, little-endian), the head, then the tensors' bytes. The head is deflated, so that nothing
//! in it stands in clear: the length of the contents (u32, little-endian), the contents (JSON), then the small files one after the other.
//! Matrices are stored in int8 (symmetric, round to nearest): a factor a column where there are some and a scale a row, in f32, then the
//! integers, so that they can be used where they stand. Vectors, and the matrices that a quantised model keeps in f32, are stored in f32.

use crate::{Checkpoint, FolderFiles, Int8Tensor, ModelError, ModelFolder, Tensor, WeightLayout, tensor::element_count};
use bytes::Bytes;
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};

const MAGIC: &[u8; 8] = b"ALPACK03";
const FILE: &str = "model pack";

/// The most that a head may hold once inflated.
const HEAD_LIMIT: u64 = 64 << 20;

#[derive(Serialize, Deserialize)]
struct Contents {
    /// Names and lengths of the small files, in their order.
    files: Vec<(String, usize)>,
    tensors: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    name: String,
    shape: Vec<usize>,
    /// A matrix that is stored in f32 all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    exact: bool,
    /// A matrix in int8 with factors of its columns.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    factors: bool,
}

impl ModelFolder {
    /// The bytes of the pack.
    pub fn to_pack(&self) -> Result<Vec<u8>, ModelError> {
        let files = self.files.iter().map(|(name, bytes)| (name.clone(), bytes.len())).collect();
        let kept = self.kept_in_f32();
        let entry = |name: &str| {
            let exact = kept.iter().any(|kept| kept == name);
            let factors = self.weights.has_factors(name);
            self.weights.shape(name).map(|shape| Entry { name: name.to_owned(), shape: shape.to_vec(), exact, factors })
        };
        let tensors: Vec<Entry> = self.weights.names().filter_map(entry).collect();
        let contents = serde_json::to_vec(&Contents { files, tensors }).map_err(|error| ModelError::damaged(FILE, error))?;
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&(contents.len() as u32).to_le_bytes())?;
        encoder.write_all(&contents)?;
        self.files.values().try_for_each(|bytes| encoder.write_all(bytes))?;
        let head = encoder.finish()?;
        let mut pack = MAGIC.to_vec();
        pack.extend((head.len() as u32).to_le_bytes());
        pack.extend(head);
        for name in self.weights.names() {
            if let Some(tensor) = self.weights.int8(name)? {
                write_int8(&tensor, &mut pack);
                continue;
            }
            let tensor = self.weights.tensor(name)?;
            match Int8Tensor::quantize(&tensor).filter(|_| !kept.iter().any(|kept| kept == name)) {
                Some(tensor) => write_int8(&tensor, &mut pack),
                None => pack.extend(tensor.data.iter().flat_map(|value| value.to_le_bytes())),
            }
        }
        Ok(pack)
    }

    /// Reads a pack and checks it as [`ModelFolder::read`] does.
    /// Matrices in int8 are used where they stand and not copied.
    pub fn from_pack(pack: impl Into<Bytes>) -> Result<Self, ModelError> {
        let pack = pack.into();
        let short = || ModelError::damaged(FILE, "cut short");
        let mut body = pack.strip_prefix(MAGIC.as_slice()).ok_or_else(|| ModelError::damaged(FILE, "not a model pack, or one of another version"))?;
        let head = counted(&mut body).ok_or_else(short)?;
        let mut inflated = Vec::new();
        ZlibDecoder::new(head).take(HEAD_LIMIT).read_to_end(&mut inflated)?;
        let mut head = &inflated[..];
        let contents = counted(&mut head).ok_or_else(short)?;
        let contents: Contents = serde_json::from_slice(contents).map_err(|error| ModelError::damaged(FILE, error))?;
        let mut files = FolderFiles::new();
        for (name, length) in contents.files {
            files.insert(name, head.split_off(..length).ok_or_else(short)?.to_vec());
        }
        let mut weights = Checkpoint::default();
        for entry in contents.tensors {
            match (&entry.shape[..], entry.exact) {
                (&[rows, width], false) => {
                    let (factors, scales, integers) = int8_parts(rows, width, entry.factors, &mut body).ok_or_else(short)?;
                    let tensor = Int8Tensor { shape: [rows, width], bytes: pack.slice_ref(integers), scales, factors };
                    tensor.check(FILE, &entry.name)?;
                    weights.insert_int8(entry.name, tensor);
                }
                _ => {
                    let count = element_count(FILE, &entry.name, &entry.shape)?;
                    let bytes = count.checked_mul(4).and_then(|bytes| body.split_off(..bytes)).ok_or_else(short)?;
                    let data = floats(bytes);
                    if data.iter().any(|value| !value.is_finite()) {
                        return Err(ModelError::damaged(FILE, format!("tensor {} holds a value that is no number", entry.name)));
                    }
                    weights.insert(entry.name, Tensor { shape: entry.shape, data });
                }
            }
        }
        Self::from_parts(files, weights)
    }

    /// The names of the matrices that a quantised model computes in f32, and which a pack therefore stores so.
    fn kept_in_f32(&self) -> Vec<String> {
        if self.settings.quantization.is_none() {
            return Vec::new();
        }
        let layout = WeightLayout::new(&self.spec, self.labels.as_ref().map_or(0, |labels| labels.len()));
        let products = layout.entries().iter().filter(|entry| entry.role.is_layer_product());
        products.filter(|entry| !self.weights.is_int8(&entry.name)).map(|entry| entry.name.clone()).collect()
    }
}

fn write_int8(tensor: &Int8Tensor, pack: &mut Vec<u8>) {
    pack.extend(tensor.factors.iter().chain(&tensor.scales).flat_map(|value| value.to_le_bytes()));
    pack.extend_from_slice(&tensor.bytes);
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

/// Takes what stands behind its length (u32, little-endian) off `bytes`.
fn counted<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, _) = bytes.split_first_chunk::<4>()?;
    *bytes = &bytes[4..];
    bytes.split_off(..u32::from_le_bytes(*length) as usize)
}

/// Takes a matrix's factors, scales and integers off `body`; `None` where the bytes end before it does.
fn int8_parts<'a>(rows: usize, width: usize, with_factors: bool, body: &mut &'a [u8]) -> Option<(Vec<f32>, Vec<f32>, &'a [u8])> {
    let mut numbers = |count: usize| Some(floats(body.split_off(..count.checked_mul(4)?)?));
    let factors = numbers(if with_factors { width } else { 0 })?;
    let scales = numbers(rows)?;
    Some((factors, scales, body.split_off(..rows.checked_mul(width)?)?))
}
