use serde::{Deserialize, Serialize};

/// One labelled line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Row {
    /// The text that is classified.
    pub text: String,
    /// `Benign` or a technique id.
    pub label: String,
    /// All its labels, where it may have several: a list, or text divided by spaces, commas, semicolons or bars. Not written.
    #[serde(deserialize_with = "list", skip_serializing)]
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
    /// What the source's terms are; empty where unknown.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub licence: String,
    /// The program's file, of a process that is logged with it; empty where unknown.
    #[serde(deserialize_with = "text_or_nothing", skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// The parent process: its command line, or its program's file; empty where unknown.
    #[serde(deserialize_with = "text_or_nothing", skip_serializing_if = "String::is_empty")]
    pub parent: String,
    /// Who ran it; empty where unknown.
    #[serde(deserialize_with = "text_or_nothing", skip_serializing_if = "String::is_empty")]
    pub user: String,
}

/// A text, or nothing; what else stands there, such as a number for a user, becomes one. No row is refused for a column that says more.
fn text_or_nothing<'de, D: serde::Deserializer<'de>>(source: D) -> Result<String, D::Error> {
    Ok(match serde_json::Value::deserialize(source)? {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    })
}

/// `true`, `"true"`, `1`, or nothing.
fn flag<'de, D: serde::Deserializer<'de>>(source: D) -> Result<bool, D::Error> {
    let value = serde_json::Value::deserialize(source)?;
    Ok(value == true || value == 1 || value.as_str().is_some_and(|text| text == "true" || text == "1"))
}

/// A list of strings, or one string that holds them, or nothing.
fn list<'de, D: serde::Deserializer<'de>>(source: D) -> Result<Vec<String>, D::Error> {
    use serde_json::Value;
    let divided = |text: &str| text.split([' ', ',', ';', '|']).filter(|part| !part.is_empty()).map(str::to_owned).collect();
    match Value::deserialize(source)? {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(divided(&text)),
        Value::Array(items) if items.iter().all(Value::is_string) => Ok(items.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
        other => Err(serde::de::Error::custom(format!("labels are a list of names, not {other}"))),
    }
}

impl Row {
    /// Its labels, the first one first; those of a row without a list are its only one.
    pub fn all_labels(&self) -> Vec<String> {
        if self.labels.is_empty() { vec![self.label.clone()] } else { self.labels.clone() }
    }
}
