use crate::{EncoderSpec, ModelError, Tensor, TensorMap};

/// A weight's part in one transformer layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LayerRole {
    QueryWeight,
    QueryBias,
    KeyWeight,
    KeyBias,
    ValueWeight,
    ValueBias,
    AttentionOutputWeight,
    AttentionOutputBias,
    AttentionNormGain,
    AttentionNormBias,
    UpWeight,
    UpBias,
    DownWeight,
    DownBias,
    OutputNormGain,
    OutputNormBias,
}

/// A weight's part in the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Role {
    WordEmbedding,
    PositionEmbedding,
    TokenTypeEmbedding,
    EmbeddingNormGain,
    EmbeddingNormBias,
    /// A weight of layer `.0`.
    Layer(usize, LayerRole),
    PoolerWeight,
    PoolerBias,
    ClassifierWeight,
    ClassifierBias,
}

/// One weight: its part, its Hugging Face name and its shape (`[out, in]` for products).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightEntry {
    /// Its part in the encoder.
    pub role: Role,
    /// Its name in a `transformers` checkpoint of a sequence classification model.
    pub name: String,
    /// Its extents.
    pub shape: Vec<usize>,
}

/// All weights of an architecture: the one place where Hugging Face names and parts meet. Loader, trainer and exporter use it.
#[derive(Debug, Clone)]
pub struct WeightLayout {
    entries: Vec<WeightEntry>,
}

const PREFIX: &str = "bert.";

impl WeightLayout {
    /// The encoder's weights followed by those of a classification head with `labels` outputs.
    pub fn new(spec: &EncoderSpec, labels: usize) -> Self {
        let h = spec.hidden;
        let mut entries = vec![
            encoder(Role::WordEmbedding, "embeddings.word_embeddings.weight", &[spec.vocabulary, h]),
            encoder(Role::PositionEmbedding, "embeddings.position_embeddings.weight", &[spec.positions, h]),
            encoder(Role::TokenTypeEmbedding, "embeddings.token_type_embeddings.weight", &[spec.token_types, h]),
            encoder(Role::EmbeddingNormGain, "embeddings.LayerNorm.weight", &[h]),
            encoder(Role::EmbeddingNormBias, "embeddings.LayerNorm.bias", &[h]),
        ];
        for layer in 0..spec.layers {
            entries.extend(layer_entries(spec, layer));
        }
        entries.push(encoder(Role::PoolerWeight, "pooler.dense.weight", &[h, h]));
        entries.push(encoder(Role::PoolerBias, "pooler.dense.bias", &[h]));
        entries.push(WeightEntry { role: Role::ClassifierWeight, name: "classifier.weight".into(), shape: vec![labels, h] });
        entries.push(WeightEntry { role: Role::ClassifierBias, name: "classifier.bias".into(), shape: vec![labels] });
        Self { entries }
    }

    /// All entries: embeddings, layers from the first to the last, pooler, classifier.
    pub fn entries(&self) -> &[WeightEntry] {
        &self.entries
    }

    /// The entry of `role`.
    pub fn entry(&self, role: Role) -> Option<&WeightEntry> {
        self.entries.iter().find(|entry| entry.role == role)
    }

    /// Gives the checkpoint's tensors the names of this layout: with or without the model's prefix, and with the old
    /// `gamma`/`beta` names of norms. Names that the architecture doesn't know come back as they were.
    pub fn normalise(&self, tensors: TensorMap) -> TensorMap {
        let known: std::collections::BTreeSet<&str> = self.entries.iter().map(|entry| entry.name.as_str()).collect();
        tensors
            .into_iter()
            .map(|(name, tensor)| {
                let modern = match name.strip_suffix(".gamma") {
                    Some(stem) => format!("{stem}.weight"),
                    None => name.strip_suffix(".beta").map_or_else(|| name.clone(), |stem| format!("{stem}.bias")),
                };
                let prefixed = format!("{PREFIX}{modern}");
                let chosen = [modern, prefixed].into_iter().find(|candidate| known.contains(candidate.as_str()));
                (chosen.unwrap_or(name), tensor)
            })
            .collect()
    }

    /// Checks that every weight is there with its shape. `head_optional` lets the classifier be absent (a base model).
    pub fn check(&self, tensors: &TensorMap, head_optional: bool) -> Result<(), ModelError> {
        for entry in &self.entries {
            let head = matches!(entry.role, Role::ClassifierWeight | Role::ClassifierBias);
            match tensors.get(&entry.name) {
                None if head && head_optional => {}
                None => return Err(ModelError::MissingTensor { name: entry.name.clone(), shape: entry.shape.clone() }),
                Some(Tensor { shape, .. }) if *shape != entry.shape => {
                    return Err(ModelError::WrongShape { name: entry.name.clone(), found: shape.clone(), expected: entry.shape.clone() });
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// The names in `tensors` that the architecture does not use, such as buffers or another task's head.
    pub fn surplus<'a>(&self, tensors: &'a TensorMap) -> Vec<&'a str> {
        tensors.keys().map(String::as_str).filter(|name| !self.entries.iter().any(|entry| entry.name == *name)).collect()
    }
}

fn encoder(role: Role, name: &str, shape: &[usize]) -> WeightEntry {
    WeightEntry { role, name: format!("{PREFIX}{name}"), shape: shape.to_vec() }
}

fn layer_entries(spec: &EncoderSpec, layer: usize) -> impl Iterator<Item = WeightEntry> {
    use LayerRole::*;
    let (h, wide) = (spec.hidden, spec.intermediate);
    [
        (QueryWeight, "attention.self.query.weight", vec![h, h]),
        (QueryBias, "attention.self.query.bias", vec![h]),
        (KeyWeight, "attention.self.key.weight", vec![h, h]),
        (KeyBias, "attention.self.key.bias", vec![h]),
        (ValueWeight, "attention.self.value.weight", vec![h, h]),
        (ValueBias, "attention.self.value.bias", vec![h]),
        (AttentionOutputWeight, "attention.output.dense.weight", vec![h, h]),
        (AttentionOutputBias, "attention.output.dense.bias", vec![h]),
        (AttentionNormGain, "attention.output.LayerNorm.weight", vec![h]),
        (AttentionNormBias, "attention.output.LayerNorm.bias", vec![h]),
        (UpWeight, "intermediate.dense.weight", vec![wide, h]),
        (UpBias, "intermediate.dense.bias", vec![wide]),
        (DownWeight, "output.dense.weight", vec![h, wide]),
        (DownBias, "output.dense.bias", vec![h]),
        (OutputNormGain, "output.LayerNorm.weight", vec![h]),
        (OutputNormBias, "output.LayerNorm.bias", vec![h]),
    ]
    .into_iter()
    .map(move |(role, name, shape)| encoder(Role::Layer(layer, role), &format!("encoder.layer.{layer}.{name}"), &shape))
}
