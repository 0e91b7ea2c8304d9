//! The container before PyTorch 1.6: four pickles (magic number, protocol, system, the object), one with the storages' keys, and then
//! each storage's count and elements.

use super::{PICKLE_LIMIT, Storages, machine, state_dict, value::Value};
use crate::stored::StoredTensor;
use std::io::{Read, Seek, SeekFrom};

/// 0x1950a86a20f9469cfc6c, little-endian.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// The version that PyTorch has always written.
const PROTOCOL: i64 = 1001;

pub(super) fn index(file: &mut (impl Read + Seek)) -> Result<Vec<StoredTensor>, String> {
    let text = |error: std::io::Error| error.to_string();
    let size = file.seek(SeekFrom::End(0)).map_err(text)?;
    file.seek(SeekFrom::Start(0)).map_err(text)?;
    let mut head = Vec::new();
    file.take(PICKLE_LIMIT).read_to_end(&mut head).map_err(text)?;
    let mut at = 0;
    let mut next = || -> Result<machine::Built, String> {
        let built = machine::run(&head[at..])?;
        at += built.length;
        Ok(built)
    };
    let no_such_file = "neither an archive nor an old file of torch.save";
    let (magic, protocol, _system) = (next().map_err(|_| no_such_file)?, next()?, next()?);
    if !matches!(magic.value(magic.root), Value::Long(bytes) if bytes[..] == MAGIC) {
        return Err(no_such_file.into());
    }
    if !matches!(protocol.value(protocol.root), Value::Integer(PROTOCOL)) {
        return Err("an old file of torch.save in a version that is not known".into());
    }
    let (object, keys) = (next()?, next()?);
    let Value::Sequence(items) = keys.value(keys.root) else { return Err("the list of storages is none".into()) };
    let known = state_dict::storages(&object);
    let mut storages = Storages::new();
    let mut position = at as u64;
    for &item in items {
        let Value::Text(key) = keys.value(item) else { return Err("a storage's key is no text".into()) };
        let storage = known.get(&**key).ok_or_else(|| format!("storage {key} belongs to nothing"))?;
        let mut count = [0; 8];
        file.seek(SeekFrom::Start(position)).map_err(text)?;
        file.read_exact(&mut count).map_err(|_| format!("cut short before storage {key}"))?;
        let count = u64::from_le_bytes(count);
        if count != storage.count {
            return Err(format!("storage {key} has {count} elements, {} were promised", storage.count));
        }
        let start = position + 8;
        let end = count.checked_mul(storage.element.bytes as u64).and_then(|bytes| start.checked_add(bytes));
        position = end.filter(|&end| end <= size).ok_or_else(|| format!("cut short in storage {key}"))?;
        storages.insert(key.to_string(), (start, position));
    }
    state_dict::tensors(&object, &storages)
}
