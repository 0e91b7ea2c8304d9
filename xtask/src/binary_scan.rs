//! Looks for attack strings in clear in the binary: antivirus scanners do the same.

use anyhow::Result;
use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
};

/// A literal piece of a template must be this long to be looked for; shorter ones are ordinary words.
const SHORTEST: usize = 20;

/// What stands in the program for other reasons: reasons of HTTP's statuses, the first line of XML.
const ELSEWHERE: [&str; 2] = ["Proxy Authentication Required", "<?xml version=\"1.0\" encoding=\"utf-8\"?>"];

/// The long literal pieces of the attack templates.
pub fn needles(root: &Path) -> Result<BTreeSet<String>> {
    let mut needles = BTreeSet::new();
    for text in texts(&root.join("crates/dataset/grammar/attack"))? {
        let bodies = text.lines().filter(|line| !line.starts_with(['#', '['])).filter_map(|line| line.split_once(": "));
        for piece in bodies.flat_map(|(_, body)| body.split(['«', '»', '‹', '›', '¦', '⏎'])).map(str::trim) {
            if piece.len() >= SHORTEST && piece.is_ascii() {
                needles.insert(piece.to_owned());
            }
        }
    }
    Ok(needles)
}

/// Takes out of `found` what harmless lines have too, such as the folders of an operating system, the parents that renderings of every label
/// name, and what ATT&CK's names say.
pub fn without_harmless<'a>(root: &Path, found: BTreeSet<&'a str>) -> Result<BTreeSet<&'a str>> {
    let grammar = root.join("crates/dataset/grammar");
    let mut harmless = texts(&grammar.join("benign"))?;
    harmless.push(fs_err::read_to_string(grammar.join("lexicon.grammar"))?);
    harmless.push(fs_err::read_to_string(root.join("crates/catalog/data/attack-enterprise-18.1.tsv"))?);
    // As the source writes it: with its backslashes doubled.
    harmless.push(fs_err::read_to_string(root.join("crates/dataset/src/render.rs"))?.replace("\\\\", "\\"));
    harmless.extend(ELSEWHERE.map(String::from));
    Ok(found.into_iter().filter(|piece| !harmless.iter().any(|text| text.contains(piece.trim_end_matches('\\')))).collect())
}

/// The files of a folder.
fn texts(folder: &Path) -> Result<Vec<String>> {
    fs_err::read_dir(folder)?.map(|entry| Ok(fs_err::read_to_string(entry?.path())?)).collect()
}

/// Bytes of a needle's beginning that are looked up at once.
const BEGINNING: usize = 8;

/// Those that `binary` holds, in ASCII or in UTF-16: one pass over the bytes, however many needles there are.
pub fn found<'a>(binary: &[u8], needles: &'a BTreeSet<String>) -> BTreeSet<&'a str> {
    let mut beginnings: HashMap<&[u8], Vec<&str>> = HashMap::new();
    // Nearly all places are passed over by their first two bytes.
    let mut possible = vec![false; 1 << 16];
    let pair = |bytes: &[u8]| usize::from(bytes[0]) << 8 | usize::from(bytes[1]);
    for needle in needles.iter().filter(|needle| needle.len() >= BEGINNING) {
        beginnings.entry(&needle.as_bytes()[..BEGINNING]).or_default().push(needle);
        possible[pair(needle.as_bytes())] = true;
    }
    // Every second byte, from the first and from the second: text in UTF-16 becomes text in ASCII.
    let halves = (0..2).map(|start| binary.iter().skip(start).step_by(2).copied().collect::<Vec<u8>>());
    let mut found = BTreeSet::new();
    for form in std::iter::once(binary.to_vec()).chain(halves) {
        for (place, beginning) in form.windows(BEGINNING).enumerate().filter(|(_, beginning)| possible[pair(beginning)]) {
            let here = beginnings.get(beginning).into_iter().flatten();
            found.extend(here.filter(|needle| form[place..].starts_with(needle.as_bytes())));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_found_in_both_encodings_and_only_there() {
        let needles = BTreeSet::from(["a string to look for".to_owned(), "another one, absent".to_owned()]);
        let wide: Vec<u8> = "xa string to look for".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for binary in [b"\0\xffa string to look for\0".to_vec(), wide.clone(), [&[0][..], &wide].concat()] {
            assert_eq!(found(&binary, &needles), BTreeSet::from(["a string to look for"]));
        }
        assert!(found(b"nothing of the kind", &needles).is_empty());
    }
}
