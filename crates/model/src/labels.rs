use crate::ModelError;
use serde_json::{Map, Value, json};

/// The label of a line that shows no technique.
pub const BENIGN: &str = "Benign";

/// The labels of a model in the order of its outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    names: Vec<String>,
}

impl Labels {
    /// Labels in the order of the model's outputs. They must be distinct and at least two.
    pub fn new(names: Vec<String>) -> Result<Self, ModelError> {
        let distinct: std::collections::BTreeSet<&String> = names.iter().collect();
        if names.len() < 2 || distinct.len() != names.len() {
            return Err(ModelError::damaged("config.json", format!("labels must be distinct and at least two, found {names:?}")));
        }
        Ok(Self { names })
    }

    /// Reads `id2label` of a `config.json`.
    pub fn from_config(config: &Value) -> Result<Self, ModelError> {
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
        Self::new(names.ok_or_else(|| ModelError::damaged("config.json", "id2label leaves out an index"))?)
    }

    /// Writes `id2label` and `label2id` into a `config.json`.
    pub fn write_to(&self, config: &mut Map<String, Value>) {
        let forward: Map<String, Value> = self.names.iter().enumerate().map(|(i, n)| (i.to_string(), json!(n))).collect();
        let backward: Map<String, Value> = self.names.iter().enumerate().map(|(i, n)| (n.clone(), json!(i))).collect();
        config.insert("id2label".into(), Value::Object(forward));
        config.insert("label2id".into(), Value::Object(backward));
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
        let labels = Labels::new(vec!["Benign".into(), "T1049".into()]).unwrap();
        let mut config = Map::new();
        labels.write_to(&mut config);
        assert_eq!(Labels::from_config(&Value::Object(config)).unwrap(), labels);
        for bad in
            [json!({}), json!({"id2label": {"0": "a", "2": "b"}}), json!({"id2label": {"0": "a", "1": "a"}}), json!({"id2label": {"0": "a", "x": 1}})]
        {
            assert!(Labels::from_config(&bad).is_err(), "{bad}");
        }
    }
}
