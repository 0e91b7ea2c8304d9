//! What the server says of itself and of ATT&CK.

use crate::Models;
use attackline_catalog::{ATTACK_VERSION, TACTICS, Technique, techniques as all_techniques};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The description of the interface, OpenAPI 3.1.
const OPENAPI: &str = include_str!("openapi.json");

/// The description of this server: the names of its models and their labels, the techniques of ATT&CK, and whether tokens are wanted.
pub fn openapi(models: &Models, wants_tokens: bool) -> Value {
    let mut document: Value = serde_json::from_str(OPENAPI).unwrap_or_default();
    let schemas = &mut document["components"]["schemas"];
    let loaded = models.names().filter_map(|name| models.get(Some(name)).ok());
    let labels: BTreeSet<String> = loaded.flat_map(|model| model.classifier.labels().names().to_vec()).filter(|label| label != "Benign").collect();
    schemas["ModelName"]["enum"] = models.names().collect();
    schemas["Label"]["enum"] = labels.into_iter().collect();
    schemas["TechniqueId"]["enum"] = std::iter::once("Benign").chain(all_techniques().iter().map(|technique| technique.id)).collect();
    if wants_tokens {
        document["security"] = json!([{"token": []}]);
    }
    document
}

/// All tactics, and the techniques that ATT&CK keeps.
pub fn techniques() -> Value {
    let tactics: Vec<Value> = TACTICS.iter().map(|tactic| json!({"id": tactic.id, "name": tactic.name, "shortname": tactic.shortname})).collect();
    let techniques: Vec<Value> = kept().map(described).collect();
    json!({"version": ATTACK_VERSION, "tactics": tactics, "techniques": techniques})
}

fn kept() -> impl Iterator<Item = &'static Technique> {
    all_techniques().iter().filter(|technique| !technique.is_withdrawn())
}

/// One technique, also one that was withdrawn, with its sub-techniques.
pub fn technique(id: &str) -> Option<Value> {
    let found = attackline_catalog::technique(id)?;
    let mut value = described(found);
    value["full_name"] = found.full_name().into();
    let below = kept().filter(|other| other.parent == Some(found.id));
    value["sub_techniques"] = below.map(|other| other.id).collect();
    Some(value)
}

fn described(technique: &Technique) -> Value {
    let mut value = json!({"id": technique.id, "name": technique.name, "tactics": technique.tactics, "url": technique.url()});
    if let Some(parent) = technique.parent {
        value["parent"] = parent.into();
    }
    if technique.is_withdrawn() {
        value["withdrawn"] = true.into();
    }
    if let Some(successor) = technique.revoked_by {
        value["revoked_by"] = successor.into();
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
