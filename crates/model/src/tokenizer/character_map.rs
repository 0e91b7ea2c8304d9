//! SentencePiece's compiled character map: a double-array trie from bytes to places in a text of replacements. The library that applies
//! it trusts it, so it is walked through once before.

use base64::{Engine, engine::general_purpose::STANDARD};

/// Checks that no text can lead out of the map. An empty map is none.
pub(super) fn check(map: &[u8]) -> Result<(), &'static str> {
    let Some((size, rest)) = map.split_first_chunk::<4>() else {
        return if map.is_empty() { Ok(()) } else { Err("cut short") };
    };
    let size = u32::from_le_bytes(*size) as usize;
    if size == 0 || !size.is_multiple_of(4) || size > rest.len() {
        return Err("its size is not that of its trie");
    }
    let (trie, replacements) = rest.split_at(size);
    let replacements = std::str::from_utf8(replacements).map_err(|_| "its replacements are not UTF-8")?;
    let units: Vec<usize> = trie.as_chunks().0.iter().map(|&unit| u32::from_le_bytes(unit) as usize).collect();
    let mut seen = vec![false; units.len()];
    let mut open = vec![offset(units[0])];
    while let Some(base) = open.pop() {
        // Every byte of a text may be looked up here.
        if base | 0xff >= units.len() {
            return Err("its trie leads out of itself");
        }
        if std::mem::replace(&mut seen[base], true) {
            continue;
        }
        for byte in 1..=0xff {
            let place = base ^ byte;
            let unit = units[place];
            if unit & (1 << 31 | 0xff) != byte {
                continue;
            }
            let child = place ^ offset(unit);
            let leaf = unit >> 8 & 1 == 1;
            if leaf && !units.get(child).is_some_and(|leaf| replacements.is_char_boundary(leaf & 0x7fff_ffff)) {
                return Err("a replacement is not where its trie says");
            }
            open.push(child);
        }
    }
    Ok(())
}

fn offset(unit: usize) -> usize {
    (unit >> 10) << ((unit & 1 << 9) >> 6)
}

/// Checks the maps inside a `tokenizer.json`'s normaliser.
pub(super) fn check_normaliser(normaliser: &str) -> Result<(), String> {
    let value: serde_json::Value = serde_json::from_str(normaliser).map_err(|error| error.to_string())?;
    let mut open = vec![&value];
    while let Some(value) = open.pop() {
        match value {
            serde_json::Value::Object(entries) => {
                if let Some(serde_json::Value::String(map)) = entries.get("precompiled_charsmap") {
                    let map = STANDARD.decode(map).map_err(|error| format!("the character map: {error}"))?;
                    check(&map).map_err(|reason| format!("the character map: {reason}"))?;
                }
                open.extend(entries.values());
            }
            serde_json::Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    Ok(())
}
