//! Looks for attack strings in clear in the binary: antivirus scanners do the same.

use anyhow::Result;
use std::{collections::BTreeSet, path::Path};

/// A literal piece of a template must be this long to be looked for; shorter ones are ordinary words.
const SHORTEST: usize = 20;

/// What stands in the program for other reasons: reasons of HTTP's statuses.
const ELSEWHERE: &str = "Proxy Authentication Required";

/// The long literal pieces of the attack templates, without those that harmless lines have too, such as the folders of an operating
/// system, without the parents that renderings of every label name, and without what ATT&CK's names say.
pub fn needles(root: &Path) -> Result<BTreeSet<String>> {
    let mut needles = BTreeSet::new();
    let grammar = root.join("crates/dataset/grammar");
    let mut harmless = texts(&grammar.join("benign"))?;
    harmless.push(fs_err::read_to_string(grammar.join("lexicon.grammar"))?);
    harmless.push(fs_err::read_to_string(root.join("crates/catalog/data/attack-enterprise-18.1.tsv"))?);
    // As the source writes it: with its backslashes doubled.
    harmless.push(fs_err::read_to_string(root.join("crates/dataset/src/render.rs"))?.replace("\\\\", "\\"));
    harmless.push(ELSEWHERE.into());
    for text in texts(&grammar.join("attack"))? {
        let bodies = text.lines().filter(|line| !line.starts_with(['#', '['])).filter_map(|line| line.split_once(": "));
        for piece in bodies.flat_map(|(_, body)| body.split(['«', '»', '‹', '›', '¦', '⏎'])).map(str::trim) {
            if piece.len() >= SHORTEST && piece.is_ascii() && !harmless.iter().any(|text| text.contains(piece.trim_end_matches('\\'))) {
                needles.insert(piece.to_owned());
            }
        }
    }
    Ok(needles)
}

/// The files of a folder.
fn texts(folder: &Path) -> Result<Vec<String>> {
    fs_err::read_dir(folder)?.map(|entry| Ok(fs_err::read_to_string(entry?.path())?)).collect()
}

/// Those that `binary` holds, in ASCII or in UTF-16.
pub fn found<'a>(binary: &[u8], needles: &'a BTreeSet<String>) -> Vec<&'a str> {
    let narrow = String::from_utf8_lossy(binary);
    // Every second byte, from the first and from the second: text in UTF-16 becomes text in ASCII.
    let halves: Vec<String> = (0..2).map(|start| binary.iter().skip(start).step_by(2).map(|&byte| char::from(byte)).collect()).collect();
    needles.iter().map(String::as_str).filter(|needle| narrow.contains(needle) || halves.iter().any(|half| half.contains(needle))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_found_in_both_encodings_and_only_there() {
        let needles = BTreeSet::from(["a string to look for".to_owned(), "another one, absent".to_owned()]);
        let wide: Vec<u8> = "xa string to look for".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for binary in [b"\0\xffa string to look for\0".to_vec(), wide.clone(), [&[0][..], &wide].concat()] {
            assert_eq!(found(&binary, &needles), ["a string to look for"]);
        }
        assert!(found(b"nothing of the kind", &needles).is_empty());
    }
}
