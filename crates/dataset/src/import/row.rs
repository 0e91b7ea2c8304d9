use crate::Row;
use serde::Serialize;

/// A labelled row as `attackline import` writes it: what is empty is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ImportedRow {
    /// The text that is classified.
    pub text: String,
    /// `Benign` or a technique id: the first of its labels.
    pub label: String,
    /// All its labels, where it has several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// `process_creation`, `powershell`, `shell`, `narrative` or `other`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// `windows`, `linux` or `macos`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub platform: String,
    /// The place that it comes from: `owner/repository:path`, or `attack:actor|technique`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// What the source's terms are.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub licence: String,
    /// How real a benign line is: `observed`, `script`, `doc`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub realism: String,
    /// Benign, with the attacks' own tools and words.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hard: bool,
}

impl ImportedRow {
    /// Its labels, the first one first.
    pub fn all_labels(&self) -> Vec<String> {
        if self.labels.is_empty() { vec![self.label.clone()] } else { self.labels.clone() }
    }

    /// Gives it these labels, without repetitions; the list is kept only where there are several. An empty list changes nothing.
    pub fn set_labels(&mut self, labels: Vec<String>) {
        let mut distinct: Vec<String> = Vec::with_capacity(labels.len());
        for label in labels {
            if !distinct.contains(&label) {
                distinct.push(label);
            }
        }
        if let Some(first) = distinct.first() {
            self.label.clone_from(first);
            self.labels = if distinct.len() > 1 { distinct } else { Vec::new() };
        }
    }
}

impl From<Row> for ImportedRow {
    fn from(row: Row) -> Self {
        let labels = row.all_labels();
        let mut imported = Self {
            text: row.text,
            label: row.label,
            labels: Vec::new(),
            kind: row.shell,
            platform: row.platform,
            source: row.source,
            licence: row.licence,
            realism: row.realism,
            hard: row.hard,
        };
        imported.set_labels(labels);
        imported
    }
}
