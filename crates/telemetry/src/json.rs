//! Helpers over JSON objects.

use serde_json::{Map, Value};
use std::borrow::Cow;

/// JSON with what it can't say, bytes that are no UTF-8 and halves of surrogate pairs, as U+FFFD; `None` where there is nothing of that. Readers
/// take it so: else whoever writes a log could hide a line.
pub fn mended_json(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let owned = |text: Cow<'_, str>| if let Cow::Owned(text) = text { Some(text) } else { None };
    let mended = owned(mend_surrogates(&text));
    mended.or_else(|| owned(text))
}

/// Parses a record. Half a surrogate pair, which Windows allows in names and JSON can't say, becomes U+FFFD: no line is lost for it.
pub(crate) fn parse(text: &str) -> serde_json::Result<Value> {
    serde_json::from_str(text).or_else(|error| match mend_surrogates(text) {
        Cow::Borrowed(_) => Err(error),
        Cow::Owned(mended) => serde_json::from_str(&mended),
    })
}

/// `text` with the escapes of lone surrogates replaced.
fn mend_surrogates(text: &str) -> Cow<'_, str> {
    const ESCAPE: usize = 6;
    let unit = |at: usize| match text.get(at..at + ESCAPE).and_then(|escape| escape.strip_prefix("\\u")) {
        Some(digits) => u16::from_str_radix(digits, 16).ok(),
        None => None,
    };
    let (mut mended, mut kept, mut at) = (String::new(), 0, 0);
    while let Some(found) = text[at..].find('\\') {
        at += found;
        match unit(at) {
            Some(0xd800..=0xdbff) if matches!(unit(at + ESCAPE), Some(0xdc00..=0xdfff)) => at += 2 * ESCAPE,
            Some(0xd800..=0xdfff) => {
                mended.push_str(&text[kept..at]);
                mended.push_str("\\ufffd");
                at += ESCAPE;
                kept = at;
            }
            Some(_) => at += ESCAPE,
            // Another escape: its second character is no beginning of one.
            None => at = text.ceil_char_boundary(at + 2),
        }
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    mended.push_str(&text[kept..]);
    Cow::Owned(mended)
}

/// The member at a dotted path. Members whose own name holds dots are found too, as flattened ECS has them.
pub(crate) fn member<'a>(map: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = map.get(path) {
        return Some(value);
    }
    path.match_indices('.').find_map(|(at, _)| match map.get(&path[..at]) {
        Some(Value::Object(inner)) => member(inner, &path[at + 1..]),
        _ => None,
    })
}

/// Takes the member at a dotted path out of the object.
pub(crate) fn take_member(map: &mut Map<String, Value>, path: &str) -> Option<Value> {
    if let Some(value) = map.shift_remove(path) {
        return Some(value);
    }
    path.match_indices('.').find_map(|(at, _)| match map.get_mut(&path[..at]) {
        Some(Value::Object(inner)) => take_member(inner, &path[at + 1..]),
        _ => None,
    })
}

/// A value as text, if it is one that has a text: logs write numbers with and without quotes. `-` and empty mean nothing there.
pub(crate) fn scalar(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Bool(bool) => bool.to_string(),
        // An element with attributes, as the EVTX renderer writes it.
        Value::Object(map) => return map.get("#text").and_then(scalar),
        Value::Null | Value::Array(_) => return None,
    };
    (!text.is_empty() && text != "-").then_some(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lone_surrogates_become_replacement_characters() {
        for (text, wanted) in [
            (r#""a\ud800b""#, "a\u{fffd}b"),
            (r#""\udc00\ud83d\ude00\ud83d""#, "\u{fffd}😀\u{fffd}"),
            (r#""\\ud800 \\\ud801""#, "\\ud800 \\\u{fffd}"),
            (r#""\ud800\ud83d\ude00 é\n\DFFF""#, ""),
            (r#""é\uDFFF漢""#, "é\u{fffd}漢"),
        ] {
            assert_eq!(parse(text).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default(), wanted, "{text}");
        }
        assert!(parse(r#"{"a": "\ud800""#).is_err() && parse("\\").is_err() && parse(r#""\u12"#).is_err());
        assert_eq!(mended_json(b"\"a\xff\\ud800b\""), Some("\"a\u{fffd}\\ufffdb\"".into()));
        assert_eq!(mended_json(b"\"a\xff\""), Some("\"a\u{fffd}\"".into()));
        assert_eq!(mended_json("\"é\\ud83d\\ude00\"".as_bytes()), None);
    }

    #[test]
    fn dotted_paths_reach_nested_and_flat_members() {
        let row = r#"{"a":{"b":{"c":1},"x.y":2},"p.q":{"r":3},"s.t":4}"#;
        let mut map: Map<String, Value> = serde_json::from_str(row).unwrap();
        for (path, wanted) in [("a.b.c", 1), ("a.x.y", 2), ("p.q.r", 3), ("s.t", 4)] {
            assert_eq!(member(&map, path), Some(&Value::from(wanted)), "{path}");
            assert_eq!(take_member(&mut map, path), Some(Value::from(wanted)), "{path}");
            assert_eq!(member(&map, path), None, "{path}");
        }
        assert_eq!(member(&map, "a.b.c.d"), None);
    }
}
