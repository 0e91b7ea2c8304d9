//! Helpers over JSON objects.

use serde_json::{Map, Value};

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
