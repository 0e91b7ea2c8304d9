//! The container since PyTorch 1.6: a zip archive with the pickle and one uncompressed entry a storage.

use super::{PICKLE_LIMIT, Storages, machine, state_dict};
use crate::stored::StoredTensor;
use std::io::{Read, Seek, SeekFrom};
use zip::{CompressionMethod, ZipArchive};

pub(super) fn index(file: &mut (impl Read + Seek)) -> Result<Vec<StoredTensor>, String> {
    let size = file.seek(SeekFrom::End(0)).map_err(|error| error.to_string())?;
    let mut archive = ZipArchive::new(file).map_err(|error| format!("the archive: {error}"))?;
    let name = archive.file_names().find(|name| *name == "data.pkl" || name.ends_with("/data.pkl")).map(str::to_owned);
    let name = name.ok_or("the archive holds no data.pkl: not a state dict that torch.save wrote")?;
    let prefix = name.strip_suffix("data.pkl").unwrap_or_default().to_owned();
    let pickle = read(&mut archive, &name)?;
    // PyTorch before 2.1 wrote no such entry; one that is there must be sound.
    let order = format!("{prefix}byteorder");
    if archive.index_for_name(&order).is_some() && read(&mut archive, &order)? != b"little" {
        return Err("it was written on a big-endian machine".into());
    }
    let mut storages = Storages::new();
    for place in 0..archive.len() {
        let entry = archive.by_index_raw(place).map_err(|error| format!("the archive: {error}"))?;
        let Some(key) = entry.name().strip_prefix(&prefix).and_then(|rest| rest.strip_prefix("data/")).map(str::to_owned) else { continue };
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            return Err(format!("the entry {} is compressed or encrypted, which torch.save never does", entry.name()));
        }
        if entry.size() != entry.compressed_size() {
            return Err(format!("the entry {} claims {} bytes and {} stored ones", entry.name(), entry.size(), entry.compressed_size()));
        }
        let start = entry.data_start().ok_or_else(|| format!("the entry {} can't be found", entry.name()))?;
        let end = start.checked_add(entry.size()).filter(|&end| end <= size).ok_or_else(|| format!("the entry {} is cut short", entry.name()))?;
        storages.insert(key, (start, end));
    }
    state_dict::tensors(&machine::run(&pickle)?, &storages)
}

/// The bytes of a small entry.
fn read<R: Read + Seek>(archive: &mut ZipArchive<R>, name: &str) -> Result<Vec<u8>, String> {
    let entry = archive.by_name(name).map_err(|error| format!("the archive's {name}: {error}"))?;
    let mut bytes = Vec::new();
    entry.take(PICKLE_LIMIT + 1).read_to_end(&mut bytes).map_err(|error| format!("the archive's {name}: {error}"))?;
    if bytes.len() as u64 > PICKLE_LIMIT { Err(format!("the archive's {name} has more than {PICKLE_LIMIT} bytes")) } else { Ok(bytes) }
}
