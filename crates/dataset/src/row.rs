use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// The names by which a labelled file gives what a [`Row`] holds. `kind` and `shell` are two names of one thing.
pub(crate) const COLUMNS: [&str; 17] = [
    "text",
    "label",
    "labels",
    "template",
    "platform",
    "kind",
    "shell",
    "wrapper",
    "rendering",
    "obfuscation",
    "hard",
    "source",
    "realism",
    "licence",
    "image",
    "parent",
    "user",
];

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
    #[serde(deserialize_with = "text_or_nothing")]
    pub template: String,
    /// `windows`, `linux`, `macos` or `any`.
    #[serde(deserialize_with = "text_or_nothing")]
    pub platform: String,
    /// What kind of text it is: the template's shell, or the source's `kind`.
    #[serde(alias = "kind", deserialize_with = "text_or_nothing")]
    pub shell: String,
    /// The wrapper round the command, `none` without one.
    #[serde(deserialize_with = "text_or_nothing")]
    pub wrapper: String,
    /// How the line is logged.
    #[serde(deserialize_with = "text_or_nothing")]
    pub rendering: String,
    /// What was done to hide it, `none` for most.
    #[serde(deserialize_with = "text_or_nothing")]
    pub obfuscation: String,
    /// Benign, with the attacks' own tools and words.
    #[serde(deserialize_with = "flag")]
    pub hard: bool,
    /// `generated`, or the place that a real line comes from.
    #[serde(deserialize_with = "text_or_nothing")]
    pub source: String,
    /// How real a benign line is: `observed`, `script`, `doc`; empty where unknown.
    #[serde(deserialize_with = "text_or_nothing")]
    pub realism: String,
    /// What the source's terms are; empty where unknown.
    #[serde(deserialize_with = "text_or_nothing", skip_serializing_if = "String::is_empty")]
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
fn text_or_nothing<'de, D: Deserializer<'de>>(source: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(source)? {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    })
}

/// `true` and 1, as a text too and in any case, or nothing: pandas writes `True`, and `1.0` where some rows don't say.
fn flag<'de, D: Deserializer<'de>>(source: D) -> Result<bool, D::Error> {
    let value = Value::deserialize(source)?;
    let text = |text: &str| text.eq_ignore_ascii_case("true") || text == "1" || text == "1.0";
    Ok(value == true || value.as_f64() == Some(1.0) || value.as_str().is_some_and(text))
}

/// A list of strings, or one string that holds them, or nothing.
fn list<'de, D: Deserializer<'de>>(source: D) -> Result<Vec<String>, D::Error> {
    let divided = |text: &str| text.split([' ', ',', ';', '|']).filter(|part| !part.is_empty()).map(str::to_owned).collect();
    match Value::deserialize(source)? {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(divided(&text)),
        Value::Array(items) if items.iter().all(Value::is_string) => Ok(items.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
        other => Err(D::Error::custom(format!("labels are a list of names, not {other}"))),
    }
}

/// A row as a file gives it: the [`COLUMNS`] and their values.
pub(crate) struct Fields(pub(crate) Map<String, Value>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Fields;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object with text and label")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Fields, A::Error> {
                let mut fields = Map::new();
                while let Some(name) = members.next_key::<String>()? {
                    if !COLUMNS.contains(&name.as_str()) {
                        members.next_value::<IgnoredAny>()?;
                    } else if fields.contains_key(&name) {
                        return Err(A::Error::custom(format!("it names {name:?} twice")));
                    } else {
                        let value = members.next_value()?;
                        fields.insert(name, value);
                    }
                }
                Ok(Fields(fields))
            }
        }
        source.deserialize_map(Members)
    }
}

impl Row {
    /// The row that a file gives so, or what is wrong with it. What is not known may be null.
    pub(crate) fn from_fields(Fields(mut fields): Fields) -> Result<Self, String> {
        fields.retain(|name, value| !value.is_null() && COLUMNS.contains(&name.as_str()));
        // Both names stand in tables that were put together from two sources; then each row has one of them.
        if fields.get("kind").is_some_and(|kind| kind != "") {
            fields.remove("shell");
        } else if fields.contains_key("shell") {
            fields.remove("kind");
        }
        for needed in ["text", "label"] {
            if let Some(value) = fields.get(needed).filter(|value| !value.is_string()) {
                return Err(format!("its {needed} is {}; a text is wanted", value.to_string().chars().take(40).collect::<String>()));
            }
        }
        if !fields.contains_key("text") {
            return Err("it has no text".into());
        }
        let mut row: Self = serde_json::from_value(Value::Object(fields)).map_err(|error| error.to_string())?;
        if row.label.trim().is_empty() {
            row.label = row.labels.first().cloned().ok_or("it has no label")?;
        }
        Ok(row)
    }

    /// Its labels, the first one first; those of a row without a list are its only one.
    pub fn all_labels(&self) -> Vec<String> {
        if self.labels.is_empty() { vec![self.label.clone()] } else { self.labels.clone() }
    }
}
