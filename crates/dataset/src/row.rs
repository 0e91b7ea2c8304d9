use serde::{Deserialize, Serialize};

/// One labelled line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Row {
    /// The text that is classified.
    pub text: String,
    /// `Benign` or a technique id.
    pub label: String,
    /// All labels where there are several, `label` among them; empty where it is the only one. In CSV divided by commas, semicolons or blanks.
    #[serde(deserialize_with = "names", skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// The template that made it.
    pub template: String,
    /// `windows`, `linux`, `macos` or `any`.
    pub platform: String,
    /// What kind of text it is: the template's shell, or the source's `kind`.
    #[serde(alias = "kind")]
    pub shell: String,
    /// The wrapper round the command, `none` without one.
    pub wrapper: String,
    /// How the line is logged.
    pub rendering: String,
    /// What was done to hide it, `none` for most.
    pub obfuscation: String,
    /// Benign, with the attacks' own tools and words.
    #[serde(deserialize_with = "flag")]
    pub hard: bool,
    /// `generated`, or the place that a real line comes from.
    pub source: String,
    /// How real a benign line is: `observed`, `script`, `doc`; empty where unknown.
    pub realism: String,
}

/// `true`, `"true"`, `1`, or nothing.
fn flag<'de, D: serde::Deserializer<'de>>(source: D) -> Result<bool, D::Error> {
    let value = serde_json::Value::deserialize(source)?;
    Ok(value == true || value == 1 || value.as_str().is_some_and(|text| text == "true" || text == "1"))
}

/// A list, or one text.
fn names<'de, D: serde::Deserializer<'de>>(source: D) -> Result<Vec<String>, D::Error> {
    let texts = match serde_json::Value::deserialize(source)? {
        serde_json::Value::Array(items) => items.into_iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
        serde_json::Value::String(text) => vec![text],
        _ => Vec::new(),
    };
    let parts = texts.iter().flat_map(|text| text.split([',', ';', ' ', '[', ']', '"', '\'']));
    Ok(parts.filter(|name| !name.is_empty()).map(str::to_owned).collect())
}
