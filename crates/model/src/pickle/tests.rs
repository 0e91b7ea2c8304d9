#![allow(clippy::unwrap_used)]

use super::*;
use crate::{TensorMap, stored::ElementType};
use std::io::Cursor;

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/data/pickle/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn read(bytes: &[u8]) -> Result<TensorMap, ModelError> {
    let mut file = Cursor::new(bytes);
    let tensors = index(&mut file, "x.bin")?.into_iter().filter(|tensor| tensor.element != ElementType::Other);
    tensors.map(|tensor| Ok((tensor.name.clone(), tensor.read(&mut file, "x.bin")?))).collect()
}

fn refusal(bytes: &[u8]) -> String {
    read(bytes).unwrap_err().to_string()
}

#[test]
fn every_form_holds_what_pytorch_saved() {
    let bytes = fixture("expected.safetensors");
    let expected = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    for name in ["zipped.bin", "zipped4.bin", "legacy.bin", "nested.bin"] {
        let tensors = read(&fixture(name)).unwrap();
        assert_eq!(tensors.len(), expected.len(), "{name}: {:?}", tensors.keys());
        for (key, tensor) in tensors {
            let wanted = expected.tensor(&key).unwrap();
            assert_eq!(tensor.shape, wanted.shape(), "{name} {key}");
            let floats: Vec<f32> = wanted.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
            assert_eq!(tensor.data, floats, "{name} {key}");
        }
    }
}

#[test]
fn files_cut_anywhere_are_refused() {
    for name in ["zipped.bin", "legacy.bin"] {
        let bytes = fixture(name);
        for length in (0..bytes.len()).step_by(if name == "zipped.bin" { 37 } else { 1 }) {
            assert!(read(&bytes[..length]).is_err(), "{name} cut to {length}");
        }
    }
}

/// Any change of any byte is read or refused, and never more than that.
#[test]
fn no_damage_is_a_panic() {
    for name in ["zipped.bin", "legacy.bin", "nested.bin"] {
        let sound = fixture(name);
        let mut state = 1u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize
        };
        for _ in 0..4_000 {
            let mut bytes = sound.clone();
            for _ in 0..1 + next() % 4 {
                let place = next() % bytes.len();
                bytes[place] = next() as u8;
            }
            let _ = read(&bytes);
        }
    }
}

/// The zipped fixture with each entry written again as `change` says: its bytes, and whether they are compressed.
fn rezipped(change: impl Fn(&str, &mut Vec<u8>) -> bool) -> Vec<u8> {
    let mut archive = zip::ZipArchive::new(Cursor::new(fixture("zipped.bin"))).unwrap();
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for place in 0..archive.len() {
        let mut entry = archive.by_index(place).unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let method = if change(entry.name(), &mut bytes) { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
        writer.start_file(entry.name(), zip::write::SimpleFileOptions::default().compression_method(method)).unwrap();
        std::io::Write::write_all(&mut writer, &bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn an_archive_that_pytorch_would_not_write_is_refused() {
    assert_eq!(read(&rezipped(|_, _| false)).unwrap(), read(&fixture("zipped.bin")).unwrap());
    let compressed = refusal(&rezipped(|name, _| name.ends_with("/data/0")));
    assert!(compressed.contains("data/0 is compressed"), "{compressed}");
    let big = refusal(&rezipped(|name, bytes| {
        if name.ends_with("byteorder") {
            *bytes = b"big".to_vec();
        }
        false
    }));
    assert!(big.contains("big-endian"), "{big}");
    let short = refusal(&rezipped(|name, bytes| {
        if name.ends_with("/data/0") {
            bytes.pop();
        }
        false
    }));
    assert!(short.contains("tensor plain") && short.contains("beyond its storage of 14 elements"), "{short}");
    let bomb = refusal(&rezipped(|name, bytes| {
        let pickle = name.ends_with("data.pkl");
        if pickle {
            bytes.resize(PICKLE_LIMIT as usize + 1, 0);
        }
        pickle
    }));
    assert!(bomb.contains("more than"), "{bomb}");
    // The sizes in the directory at the end: the compressed one is at byte 20 of a record, the other at 24.
    let mut lying = rezipped(|_, _| false);
    let name = lying.windows(7).rposition(|bytes| bytes == b"/data/0").unwrap();
    let record = lying[..name].windows(4).rposition(|bytes| bytes == b"PK\x01\x02").unwrap();
    lying[record + 24..record + 28].copy_from_slice(&400u32.to_le_bytes());
    let error = refusal(&lying);
    assert!(error.contains("claims 400 bytes"), "{error}");
}

#[test]
fn a_view_needs_no_more_than_its_own_stretch_of_the_storage() {
    let bytes = fixture("zipped.bin");
    let tensors = index(&mut Cursor::new(&bytes), "x.bin").unwrap();
    let part = tensors.iter().find(|tensor| tensor.name == "part").unwrap();
    // Rows 1 and 2, columns 2 to 4 of a matrix of six columns: from element 8 to element 16.
    assert_eq!((part.end - part.start, &part.strides[..]), (9 * 4, &[6, 1][..]));
}

/// An old file whose object is `pickle`.
fn legacy(pickle: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.".to_vec();
    bytes.extend(pickle);
    bytes.extend(b"\x80\x02]X\x01\x00\x00\x000a.");
    bytes.extend(2u64.to_le_bytes());
    bytes.extend([0; 8]);
    bytes
}

/// A state dict with one tensor of a two-element storage, described by the pickled `offset`, `shape` and `strides`.
fn one_tensor(offset: &str, shape: &str, strides: &str) -> Vec<u8> {
    let text = |text: &str| format!("X{}\0\0\0{text}", char::from(text.len() as u8));
    let storage = format!("({}ctorch\nFloatStorage\n{}{}K\x02NtQ", text("storage"), text("0"), text("cpu"));
    legacy(format!("}}({}ctorch._utils\n_rebuild_tensor_v2\n({storage}{offset}{shape}{strides}NNtRu.", text("w")).as_bytes())
}

#[test]
fn tensors_must_lie_in_their_storage() {
    let tuple = |items: &str| format!("({items}t");
    let sound = one_tensor("K\0", &tuple("K\x02"), &tuple("K\x01"));
    assert_eq!(read(&sound).unwrap()["w"].data, [0.0, 0.0]);
    for (offset, shape, strides) in [
        ("K\x01", tuple("K\x02"), tuple("K\x01")),
        ("K\0", tuple("K\x03"), tuple("K\x01")),
        ("K\0", tuple("K\x02"), tuple("K\x02")),
        ("K\0", tuple("K\x02K\x02"), tuple("K\0K\0")),
        ("K\0", tuple("I1099511627776\n"), tuple("K\0")),
        ("K\0", tuple("I9223372036854775807\nI9223372036854775807\n"), tuple("K\x01K\x01")),
        ("K\0", tuple("K\x02"), tuple("I9223372036854775807\n")),
        ("K\0", tuple("K\x02"), tuple("")),
        ("I-1\n", tuple("K\x02"), tuple("K\x01")),
    ] {
        let error = refusal(&one_tensor(offset, &shape, &strides));
        assert!(error.contains("storage") || error.contains("strides") || error.contains("count"), "{error}");
    }
}

#[test]
fn nothing_else_is_run_or_believed() {
    for (pickle, message) in [
        (&b"\x80\x02cos\nsystem\n(X\x02\x00\x00\x00lstR."[..], "os.system"),
        (b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02ls\x85R.", "posix.system"),
        (b"\x80\x02(ios\nsystem\n.", "0x69"),
        (b"\x80\x02(cbuiltins\neval\no.", "builtins.eval"),
        (b"\x80\x02\x82\x01.", "0x82"),
        (b"\x80\x02K\x01K\x02R.", "sequence"),
        (b"\x80\x02X\xff\xff\xff\xffabc.", "cut short"),
        (b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc.", "cut short"),
        (b"\x80\x02h\x07.", "never stored"),
        (b"\x80\x020.", "empty stack"),
        (b"\x80\x02t.", "mark"),
        (b"\x80\x02]q\x00h\x00a.", "belongs to nothing"),
        (b"\x80\x02K\x01.", "belongs to nothing"),
    ] {
        let error = refusal(&legacy(pickle));
        assert!(error.contains(message), "{error}");
    }
    let endless: Vec<u8> = [b"\x80\x02".to_vec(), vec![b'N'; 2 << 20], b".".to_vec()].concat();
    assert!(refusal(&legacy(&endless)).contains("values"));
    let nested: Vec<u8> = [b"\x80\x02".to_vec(), vec![b']'; 200_000], vec![b'a'; 199_999], b".".to_vec()].concat();
    assert!(refusal(&legacy(&nested)).contains("belongs to nothing"));
    assert!(refusal(b"version https://git-lfs").contains("neither"));
    assert!(refusal(b"PK\x03\x04 but no archive").contains("archive"));
}
