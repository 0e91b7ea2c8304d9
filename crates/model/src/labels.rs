use crate::ModelError;
use serde_json::{Map, Value, json};

/// The label of a line that shows no technique.
pub const BENIGN: &str = "Benign";

/// `problem_type` of a model that answers with one label, and of one that answers with any number.
const PROBLEM_TYPES: [&str; 2] = ["single_label_classification", "multi_label_classification"];

/// The labels of a model in the order of its outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    names: Vec<String>,
    several: bool,
}

impl Labels {
    /// Labels in the order of the model's outputs. They must be distinct and at least two.
    pub fn new(names: Vec<String>) -> Result<Self, ModelError> {
        let distinct: std::collections::BTreeSet<&String> = names.iter().collect();
        if names.len() < 2 || distinct.len() != names.len() {
            return Err(ModelError::damaged("config.json", format!("labels must be distinct and at least two, found {names:?}")));
        }
        Ok(Self { names, several: false })
    }

    /// The same labels for a model that answers yes or no to each of them, so that a line may have several.
    pub fn with_several(self, several: bool) -> Self {
        Self { several, ..self }
    }

    /// Whether a line may have several of the labels: then each output is a probability of its own, and they need not sum to 1.
    pub fn several(&self) -> bool {
        self.several
    }

    /// Reads `id2label` and `problem_type` of a `config.json`.
    pub fn from_config(config: &Value) -> Result<Self, ModelError> {
        let problem = config["problem_type"].as_str().unwrap_or(PROBLEM_TYPES[0]);
        let table =
            config["id2label"].as_object().ok_or_else(|| ModelError::damaged("config.json", "no id2label: this is not a classification model"))?;
        let mut names = vec![None; table.len()];
        for (key, name) in table {
            let slot = key.parse::<usize>().ok().and_then(|index| names.get_mut(index));
            match (slot, name.as_str()) {
                (Some(slot), Some(name)) => *slot = Some(name.to_owned()),
                _ => {
                    return Err(ModelError::damaged(
                        "config.json",
                        format!("id2label has the entry {key:?}: {name}, wanted indices 0 to {}", table.len() - 1),
                    ));
                }
            }
        }
        let names = names.into_iter().collect::<Option<Vec<String>>>();
        let labels = Self::new(names.ok_or_else(|| ModelError::damaged("config.json", "id2label leaves out an index"))?)?;
        Ok(labels.with_several(problem == PROBLEM_TYPES[1]))
    }

    /// Writes `id2label`, `label2id` and `problem_type` into a `config.json`.
    pub fn write_to(&self, config: &mut Map<String, Value>) {
        let forward: Map<String, Value> = self.names.iter().enumerate().map(|(i, n)| (i.to_string(), json!(n))).collect();
        let backward: Map<String, Value> = self.names.iter().enumerate().map(|(i, n)| (n.clone(), json!(i))).collect();
        config.insert("id2label".into(), Value::Object(forward));
        config.insert("label2id".into(), Value::Object(backward));
        config.insert("problem_type".into(), json!(PROBLEM_TYPES[usize::from(self.several)]));
    }

    /// All names in output order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The name of output `index`.
    pub fn name(&self, index: usize) -> &str {
        &self.names[index]
    }

    /// The output that answers with `name`.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|n| n == name)
    }

    /// How many labels there are.
    #[expect(clippy::len_without_is_empty, reason = "never empty by construction")]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// The output of [`BENIGN`], where the model has one.
    pub fn benign(&self) -> Option<usize> {
        self.index(BENIGN)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn config_round_trip_and_refusals() {
        for several in [false, true] {
            let labels = Labels::new(vec!["Benign".into(), "T1049".into()]).unwrap().with_several(several);
            let mut config = Map::new();
            labels.write_to(&mut config);
            assert_eq!(Labels::from_config(&Value::Object(config)).unwrap(), labels);
        }
        for bad in
            [json!({}), json!({"id2label": {"0": "a", "2": "b"}}), json!({"id2label": {"0": "a", "1": "a"}}), json!({"id2label": {"0": "a", "x": 1}})]
        {
            assert!(Labels::from_config(&bad).is_err(), "{bad}");
        }
    }
}
