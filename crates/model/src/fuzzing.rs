//! Ways into the readers for the fuzz targets, which see hostile bytes first.

use crate::{EncoderSpec, ModelError, TextTokenizer, WeightLayout, pickle, safetensors_file, stored::StoredTensor};
use std::io::Cursor;

fn read_all(index: impl Fn(&mut Cursor<&[u8]>) -> Result<Vec<StoredTensor>, ModelError>, data: &[u8]) {
    let mut file = Cursor::new(data);
    let Ok(tensors) = index(&mut file) else { return };
    for tensor in tensors {
        if let Ok(read) = tensor.read(&mut file, "fuzz") {
            assert!(read.data.len() * 2 <= data.len(), "no tensor is larger than its file");
        }
    }
}

pub fn safetensors(data: &[u8]) {
    read_all(|file| safetensors_file::index(file, "fuzz"), data);
}

pub fn pytorch(data: &[u8]) {
    read_all(|file| pickle::index(file, "fuzz"), data);
}

pub fn tokenizer(data: &[u8]) {
    if let Ok(tokenizer) = TextTokenizer::new(data, 64, 1 << 20) {
        for line in ["", "net user /add", "\u{202e}😀 a\u{301} \0"] {
            if let Ok(encoded) = tokenizer.encode(line) {
                assert!(encoded.ids.len() <= 64);
            }
        }
    }
}

pub fn sentence_piece(data: &[u8]) {
    let files = crate::FolderFiles::from([("spm.model".to_owned(), data.to_vec())]);
    if let Ok(json) = crate::tokenizer::tokenizer_json(&files, crate::ModelType::DebertaV2) {
        tokenizer(&json);
    }
}

pub fn config(data: &[u8]) {
    if let Ok(value) = serde_json::from_slice(data)
        && let Ok(spec) = EncoderSpec::from_config(&value)
    {
        drop(WeightLayout::new(&spec, 4));
        if let Some(relative) = &spec.relative {
            assert!(relative.band(spec.longest.min(4_096)).end <= 2 * relative.span);
        }
    }
}
