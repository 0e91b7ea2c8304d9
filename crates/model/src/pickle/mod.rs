//! `pytorch_model.bin`: PyTorch's pickled state dicts, read without running any of them.
//!
//! A pickle is a program for a stack machine that may call any Python function. Ours ([`machine`]) knows the instructions that
//! `torch.save` writes and builds nothing but tensors from them, as data; everything else is refused by name. Two containers exist:
//! a zip archive since PyTorch 1.6, and before that pickles followed by the raw elements.

mod legacy;
mod machine;
mod state_dict;
mod value;
mod zipped;

use crate::{ModelError, stored::StoredTensor};
use std::io::{Read, Seek, SeekFrom};

/// The longest pickle that is read: a state dict of a thousand tensors has about 150 kB.
const PICKLE_LIMIT: u64 = 8 << 20;

/// Where a storage's elements are in the file, `start..end`.
type Storages = std::collections::BTreeMap<String, (u64, u64)>;

/// Lists the tensors of a state dict in `file`, called `name` in messages.
pub(crate) fn index(file: &mut (impl Read + Seek), name: &str) -> Result<Vec<StoredTensor>, ModelError> {
    file.seek(SeekFrom::Start(0))?;
    let mut magic = [0; 4];
    file.read_exact(&mut magic).map_err(|_| ModelError::damaged(name, "too short for a PyTorch file"))?;
    file.seek(SeekFrom::Start(0))?;
    let read = if magic == *b"PK\x03\x04" { zipped::index(file) } else { legacy::index(file) };
    read.map_err(|reason| ModelError::damaged(name, reason))
}

#[cfg(test)]
mod tests;
