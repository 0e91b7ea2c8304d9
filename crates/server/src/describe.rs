//! What the server says of itself and of ATT&CK.

use attackline_catalog::{TACTICS, Technique, techniques as all_techniques};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The description of the interface, OpenAPI 3.1.
pub const OPENAPI: &str = include_str!("openapi.json");

/// All tactics and techniques.
pub fn techniques() -> Value {
    let tactics: Vec<Value> = TACTICS.iter().map(|tactic| json!({"id": tactic.id, "name": tactic.name, "shortname": tactic.shortname})).collect();
    json!({"tactics": tactics, "techniques": all_techniques().iter().map(described).collect::<Vec<Value>>()})
}

/// One technique, with its sub-techniques.
pub fn technique(id: &str) -> Option<Value> {
    let found = attackline_catalog::technique(id)?;
    let mut value = described(found);
    value["full_name"] = found.full_name().into();
    let below = all_techniques().iter().filter(|other| other.parent == Some(found.id));
    value["sub_techniques"] = below.map(|other| other.id).collect();
    Some(value)
}

fn described(technique: &Technique) -> Value {
    let mut value = json!({"id": technique.id, "name": technique.name, "tactics": technique.tactics, "url": technique.url()});
    if let Some(parent) = technique.parent {
        value["parent"] = parent.into();
    }
    value
}

/// The description as a page for people, made from [`OPENAPI`].
pub fn page() -> String {
    let document: Value = serde_json::from_str(OPENAPI).unwrap_or_default();
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>attackline: interface</title><link rel=\"stylesheet\" href=\"style.css\"><main><h1>attackline: interface</h1>",
    );
    let text = |value: &Value| escaped(value.as_str().unwrap_or_default());
    let _ = write!(page, "<p>{}</p><p><a href=\"openapi.json\">openapi.json</a></p>", text(&document["info"]["description"]));
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten().filter(|(method, _)| *method != "parameters") {
            let _ = write!(page, "<h2><code>{} {}</code></h2><p>{}</p>", method.to_uppercase(), escaped(path), text(&operation["summary"]));
            if let Some(more) = operation["description"].as_str() {
                let _ = write!(page, "<p>{}</p>", escaped(more));
            }
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let rows: String = parameters
                .map(|parameter| format!("<li><code>{}</code> {}</li>", text(&parameter["name"]), text(&parameter["description"])))
                .collect();
            let answers = operation["responses"].as_object().into_iter().flatten();
            let answers: String =
                answers.map(|(status, answer)| format!("<li><code>{}</code> {}</li>", escaped(status), text(&answer["description"]))).collect();
            let _ = write!(page, "<ul>{rows}</ul><ul>{answers}</ul>");
        }
    }
    page + "</main></html>"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
