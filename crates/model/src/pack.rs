//! A model folder in one compact file, as the binary embeds it.
//!
//! Layout: the magic, the length of the header (u32, little-endian), the header (JSON, deflated, so that nothing in it
//! stands in clear), then the tensors' bytes. Matrices are stored in int8 with one f32 scale a row (symmetric, round to
//! nearest), some with one f32 factor a column before them all; vectors, and the matrices that a quantised model keeps in f32, in f32.

use crate::{Checkpoint, FolderFiles, Int8Tensor, ModelError, ModelFolder, Tensor, WeightLayout, tensor::element_count};
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};

const MAGIC: &[u8; 8] = b"ALPACK01";

/// The magic of a pack in which matrices have factors: a program that knows none must not read it.
const MAGIC_WITH_FACTORS: &[u8; 8] = b"ALPACK02";
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
    /// A matrix that is stored in f32 all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    exact: bool,
    /// A matrix in int8 with factors of its columns.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    factors: bool,
}

impl ModelFolder {
    /// The bytes of the pack. Every small file must be UTF-8 text.
    pub fn to_pack(&self) -> Result<Vec<u8>, ModelError> {
        let text = |(name, bytes): (&String, &Vec<u8>)| match String::from_utf8(bytes.clone()) {
            Ok(text) => Ok((name.clone(), text)),
            Err(error) => Err(ModelError::damaged(name.clone(), error)),
        };
        let files = self.files.iter().map(text).collect::<Result<_, _>>()?;
        let kept = self.kept_in_f32();
        let entry = |name: &str| {
            let exact = kept.iter().any(|kept| kept == name);
            let factors = self.weights.has_factors(name);
            self.weights.shape(name).map(|shape| Entry { name: name.to_owned(), shape: shape.to_vec(), exact, factors })
        };
        let tensors: Vec<Entry> = self.weights.names().filter_map(entry).collect();
        let magic = if tensors.iter().any(|entry| entry.factors) { MAGIC_WITH_FACTORS } else { MAGIC };
        let header = serde_json::to_vec(&Header { files, tensors }).map_err(|error| ModelError::damaged(FILE, error))?;
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&header)?;
        let header = encoder.finish()?;
        let mut pack = magic.to_vec();
        pack.extend((header.len() as u32).to_le_bytes());
        pack.extend(header);
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
    pub fn from_pack(pack: &[u8]) -> Result<Self, ModelError> {
        let short = || ModelError::damaged(FILE, "cut short");
        let rest = pack.strip_prefix(MAGIC).or_else(|| pack.strip_prefix(MAGIC_WITH_FACTORS));
        let rest = rest.ok_or_else(|| ModelError::damaged(FILE, "not a model pack, or one of another version"))?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let (header, mut body) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(short)?;
        let mut json = Vec::new();
        ZlibDecoder::new(header).take(HEADER_LIMIT).read_to_end(&mut json)?;
        let header: Header = serde_json::from_slice(&json).map_err(|error| ModelError::damaged(FILE, error))?;
        let mut weights = Checkpoint::default();
        for entry in header.tensors {
            match (&entry.shape[..], entry.exact) {
                (&[rows, width], false) => {
                    let tensor = read_int8(rows, width, entry.factors, &mut body).ok_or_else(short)?;
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
        let files: FolderFiles = header.files.into_iter().map(|(name, text)| (name, text.into_bytes())).collect();
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
    pack.extend(tensor.factors.iter().flat_map(|factor| factor.to_le_bytes()));
    for (row, scale) in tensor.values.chunks_exact(tensor.shape[1].max(1)).zip(&tensor.scales) {
        pack.extend(scale.to_le_bytes());
        pack.extend(row.iter().map(|&value| value as u8));
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

/// Takes a matrix off `body`; `None` where the bytes end before it does.
fn read_int8(rows: usize, width: usize, with_factors: bool, body: &mut &[u8]) -> Option<Int8Tensor> {
    let factors = if with_factors { floats(body.split_off(..width.checked_mul(4)?)?) } else { Vec::new() };
    let stride = width.checked_add(4)?;
    let bytes = body.split_off(..rows.checked_mul(stride)?)?;
    let (mut values, mut scales) = (Vec::with_capacity(rows * width), Vec::with_capacity(rows));
    for row in bytes.chunks_exact(stride) {
        let (scale, row) = row.split_first_chunk::<4>()?;
        scales.push(f32::from_le_bytes(*scale));
        values.extend(row.iter().map(|&byte| byte as i8));
    }
    Some(Int8Tensor { shape: [rows, width], values, scales, factors })
}
