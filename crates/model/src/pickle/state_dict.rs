//! From what a pickle built to tensors with names.

use super::{
    Storages,
    machine::Built,
    value::{Place, Storage, Tensor, Value},
};
use crate::stored::{ElementType, StoredTensor};
use std::collections::BTreeMap;

/// Keys under which training scripts keep the weights beside other things.
const NESTED: [&str; 3] = ["state_dict", "model_state_dict", "model"];

/// The tensors of the state dict, with where `storages` says that they are.
pub(super) fn tensors(built: &Built, storages: &Storages) -> Result<Vec<StoredTensor>, String> {
    let found = named_tensors(built, built.root).ok_or("it holds no state dict")?;
    let mut tensors = BTreeMap::new();
    for (name, tensor) in found {
        let place = storages.get(&*tensor.storage.key).ok_or_else(|| format!("tensor {name}: its elements are not in the file"))?;
        tensors.insert(name.to_owned(), stored(name, tensor, *place)?);
    }
    Ok(tensors.into_values().collect())
}

/// Every storage that the pickle refers to, by key.
pub(super) fn storages(built: &Built) -> BTreeMap<&str, &Storage> {
    built.values.iter().filter_map(|value| if let Value::Storage(storage) = value { Some((&*storage.key, storage)) } else { None }).collect()
}

/// Names and tensors of the dictionary at `place`, or of the one nested in it.
fn named_tensors(built: &Built, place: Place) -> Option<Vec<(&str, &Tensor)>> {
    let direct = entries(built, place)?;
    let tensors = |entries: &[(&'_ str, Place)]| entries.iter().any(|(_, value)| matches!(built.value(*value), Value::Tensor(_)));
    let chosen = if tensors(&direct) {
        direct
    } else {
        NESTED.iter().find_map(|key| direct.iter().find(|(name, _)| name == key).and_then(|(_, value)| entries(built, *value)))?
    };
    Some(
        chosen
            .into_iter()
            .filter_map(|(name, value)| if let Value::Tensor(tensor) = built.value(value) { Some((name, tensor)) } else { None })
            .collect(),
    )
}

/// The entries of a dictionary whose keys are text.
fn entries(built: &Built, place: Place) -> Option<Vec<(&str, Place)>> {
    let Value::Dict(entries) = built.value(place) else { return None };
    Some(entries.iter().filter_map(|(key, value)| if let Value::Text(key) = built.value(*key) { Some((&**key, *value)) } else { None }).collect())
}

/// Checks the tensor's claims against the bytes `start..end` that its storage has.
fn stored(name: &str, tensor: &Tensor, (start, end): (u64, u64)) -> Result<StoredTensor, String> {
    let lies = |reason: &str| format!("tensor {name}: {reason}");
    if tensor.shape.len() != tensor.strides.len() {
        return Err(lies("it has not as many strides as extents"));
    }
    let element = tensor.element;
    if element.kind == ElementType::Other {
        return Ok(StoredTensor { name: name.to_owned(), element: element.kind, shape: Vec::new(), strides: Vec::new(), start, end: start });
    }
    let room = (end - start) / element.bytes as u64;
    let impossible = || lies(&format!("shape {:?} with strides {:?} reaches beyond its storage of {room} elements", tensor.shape, tensor.strides));
    let count = tensor.shape.iter().try_fold(1u64, |product, &extent| product.checked_mul(extent)).ok_or_else(impossible)?;
    let mut reach = tensor.offset;
    if count > 0 {
        for (&extent, &stride) in tensor.shape.iter().zip(&tensor.strides) {
            reach = (extent - 1).checked_mul(stride).and_then(|more| reach.checked_add(more)).ok_or_else(impossible)?;
        }
        reach = reach.checked_add(1).ok_or_else(impossible)?;
    }
    // A view that repeats elements could claim any size.
    if reach > room || count > room {
        return Err(impossible());
    }
    let shape: Vec<usize> = tensor.shape.iter().map(|&extent| extent as usize).collect();
    let mut strides: Vec<usize> = tensor.strides.iter().map(|&stride| stride as usize).collect();
    // The stride of a single element plays no part.
    for ((stride, dense), &extent) in strides.iter_mut().zip(StoredTensor::dense_strides(&shape)).zip(&shape) {
        if extent <= 1 || count == 0 {
            *stride = dense;
        }
    }
    // Up to its last element only: a small view of a large storage is not to cost what the storage does.
    let bytes = element.bytes as u64;
    let (start, end) = (start + tensor.offset.min(reach) * bytes, start + reach * bytes);
    Ok(StoredTensor { name: name.to_owned(), element: element.kind, shape, strides, start, end })
}
