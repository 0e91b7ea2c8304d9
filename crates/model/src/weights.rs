use crate::{Checkpoint, EncoderSpec, ModelError, ModelType, ngrams::is_ngram_tensor};
use std::collections::{BTreeMap, BTreeSet};

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
    /// Projects the table of relative positions to what queries meet, where the layer's key weights don't do it.
    PositionKeyWeight,
    PositionKeyBias,
    /// Projects the table of relative positions to what keys meet, where the layer's query weights don't do it.
    PositionQueryWeight,
    PositionQueryBias,
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
    /// From the embeddings' width to the hidden one, without a bias.
    EmbeddingProjection,
    EmbeddingNormGain,
    EmbeddingNormBias,
    /// The table of relative positions, shared by all layers.
    RelativeEmbedding,
    RelativeNormGain,
    RelativeNormBias,
    /// A weight of layer `.0`.
    Layer(usize, LayerRole),
    /// `[hidden, hidden, kernel]`.
    ConvolutionWeight,
    ConvolutionBias,
    ConvolutionNormGain,
    ConvolutionNormBias,
    /// The square layer between pooling and classifier.
    PoolerWeight,
    PoolerBias,
    ClassifierWeight,
    ClassifierBias,
}

impl Role {
    /// Whether it is added to a product's or a norm's result.
    pub fn is_bias(self) -> bool {
        use LayerRole::*;
        match self {
            Self::EmbeddingNormBias | Self::RelativeNormBias | Self::ConvolutionBias | Self::ConvolutionNormBias => true,
            Self::PoolerBias | Self::ClassifierBias => true,
            Self::Layer(_, role) => matches!(
                role,
                QueryBias
                    | KeyBias
                    | ValueBias
                    | PositionKeyBias
                    | PositionQueryBias
                    | AttentionOutputBias
                    | AttentionNormBias
                    | UpBias
                    | DownBias
                    | OutputNormBias
            ),
            _ => false,
        }
    }

    /// Whether it is the gain or the bias of a layer norm.
    pub fn is_norm(self) -> bool {
        use LayerRole::*;
        match self {
            Self::EmbeddingNormGain | Self::EmbeddingNormBias | Self::RelativeNormGain | Self::RelativeNormBias => true,
            Self::ConvolutionNormGain | Self::ConvolutionNormBias => true,
            Self::Layer(_, role) => matches!(role, AttentionNormGain | AttentionNormBias | OutputNormGain | OutputNormBias),
            _ => false,
        }
    }

    /// Whether it is the gain of a layer norm.
    pub fn is_gain(self) -> bool {
        self.is_norm() && !self.is_bias()
    }

    /// The layer that it belongs to, where it belongs to one.
    pub fn layer(self) -> Option<usize> {
        match self {
            Self::Layer(layer, _) => Some(layer),
            _ => None,
        }
    }

    /// Whether it is the weight of one of the six products that every token goes through in a layer.
    pub fn is_layer_product(self) -> bool {
        use LayerRole::*;
        matches!(self, Self::Layer(_, QueryWeight | KeyWeight | ValueWeight | AttentionOutputWeight | UpWeight | DownWeight))
    }

    /// Whether the weight belongs to the head that a classifier has and a base model need not have.
    pub fn is_head(self) -> bool {
        matches!(self, Self::PoolerWeight | Self::PoolerBias | Self::ClassifierWeight | Self::ClassifierBias)
    }
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
    places: BTreeMap<Role, usize>,
    prefix: &'static str,
}

impl WeightLayout {
    /// The encoder's weights followed by those of a classification head with `labels` outputs.
    pub fn new(spec: &EncoderSpec, labels: usize) -> Self {
        let prefix = spec.model_type.prefix();
        let mut entries: Vec<WeightEntry> = Vec::new();
        let mut encoder =
            |role, name: &str, shape: &[usize]| entries.push(WeightEntry { role, name: format!("{prefix}{name}"), shape: shape.to_vec() });
        let h = spec.hidden;
        encoder(Role::WordEmbedding, "embeddings.word_embeddings.weight", &[spec.vocabulary, spec.embedding]);
        if let Some(absolute) = spec.absolute {
            encoder(Role::PositionEmbedding, "embeddings.position_embeddings.weight", &[absolute.rows, spec.embedding]);
        }
        if spec.token_types > 0 {
            encoder(Role::TokenTypeEmbedding, "embeddings.token_type_embeddings.weight", &[spec.token_types, spec.embedding]);
        }
        if spec.embedding != h {
            encoder(Role::EmbeddingProjection, "embeddings.embed_proj.weight", &[h, spec.embedding]);
        }
        encoder(Role::EmbeddingNormGain, "embeddings.LayerNorm.weight", &[h]);
        encoder(Role::EmbeddingNormBias, "embeddings.LayerNorm.bias", &[h]);
        if let Some(relative) = spec.relative.as_ref() {
            encoder(Role::RelativeEmbedding, "encoder.rel_embeddings.weight", &[2 * relative.span, h]);
            if relative.normed {
                encoder(Role::RelativeNormGain, "encoder.LayerNorm.weight", &[h]);
                encoder(Role::RelativeNormBias, "encoder.LayerNorm.bias", &[h]);
            }
        }
        for layer in 0..spec.layers {
            for (role, name, shape) in layer_entries(spec) {
                encoder(Role::Layer(layer, role), &format!("encoder.layer.{layer}.{name}"), &shape);
            }
        }
        if let Some(convolution) = spec.convolution {
            encoder(Role::ConvolutionWeight, "encoder.conv.conv.weight", &[h, h, convolution.kernel]);
            encoder(Role::ConvolutionBias, "encoder.conv.conv.bias", &[h]);
            encoder(Role::ConvolutionNormGain, "encoder.conv.LayerNorm.weight", &[h]);
            encoder(Role::ConvolutionNormBias, "encoder.conv.LayerNorm.bias", &[h]);
        }
        let (dense, classifier) = match spec.model_type {
            ModelType::Bert => ("bert.pooler.dense", "classifier"),
            ModelType::Roberta => ("classifier.dense", "classifier.out_proj"),
            ModelType::DebertaV2 => ("pooler.dense", "classifier"),
        };
        let mut head = |role, name: String, shape: &[usize]| entries.push(WeightEntry { role, name, shape: shape.to_vec() });
        if spec.head.dense.is_some() {
            head(Role::PoolerWeight, format!("{dense}.weight"), &[h, h]);
            head(Role::PoolerBias, format!("{dense}.bias"), &[h]);
        }
        head(Role::ClassifierWeight, format!("{classifier}.weight"), &[labels, h]);
        head(Role::ClassifierBias, format!("{classifier}.bias"), &[labels]);
        let places = entries.iter().enumerate().map(|(place, entry)| (entry.role, place)).collect();
        Self { entries, places, prefix }
    }

    /// All entries: embeddings, layers from the first to the last, convolution, head.
    pub fn entries(&self) -> &[WeightEntry] {
        &self.entries
    }

    /// The entry of `role`, where the architecture has it.
    pub fn entry(&self, role: Role) -> Option<&WeightEntry> {
        self.places.get(&role).map(|&place| &self.entries[place])
    }

    /// The entry of a role that the architecture must have.
    pub fn require(&self, role: Role) -> Result<&WeightEntry, ModelError> {
        self.entry(role).ok_or_else(|| ModelError::damaged("config.json", format!("the architecture has no {role:?}")))
    }

    /// Gives the checkpoint's tensors the names of this layout: with or without the model's prefix, under the `module.` of a
    /// distributed run, and with the old `gamma`/`beta` names of norms. Names that the architecture doesn't know stay as they are.
    pub fn normalise(&self, checkpoint: Checkpoint) -> Checkpoint {
        let known: BTreeSet<&str> = self.entries.iter().map(|entry| entry.name.as_str()).collect();
        checkpoint.renamed(|name| {
            let bare = name.strip_prefix("module.").unwrap_or(name);
            let modern = match bare.strip_suffix(".gamma") {
                Some(stem) => format!("{stem}.weight"),
                None => bare.strip_suffix(".beta").map_or_else(|| bare.to_owned(), |stem| format!("{stem}.bias")),
            };
            let prefixed = format!("{}{modern}", self.prefix);
            [modern, prefixed].into_iter().find(|candidate| known.contains(candidate.as_str())).unwrap_or_else(|| name.to_owned())
        })
    }

    /// Checks that every weight is there with its shape. `head_optional` lets the head be absent (a base model).
    pub fn check(&self, checkpoint: &Checkpoint, head_optional: bool) -> Result<(), ModelError> {
        let mut missing = Vec::new();
        for entry in &self.entries {
            match checkpoint.shape(&entry.name) {
                None if head_optional && entry.role.is_head() => {}
                None => missing.push((entry.name.clone(), entry.shape.clone())),
                // A base's head, if it has one, was made for other labels.
                Some(_) if head_optional && matches!(entry.role, Role::ClassifierWeight | Role::ClassifierBias) => {}
                Some(shape) if shape != entry.shape => {
                    return Err(ModelError::WrongShape { name: entry.name.clone(), found: shape.to_vec(), expected: entry.shape.clone() });
                }
                Some(_) => {}
            }
        }
        if missing.is_empty() { Ok(()) } else { Err(ModelError::MissingTensors { missing, surplus: self.surplus(checkpoint) }) }
    }

    /// The names in `checkpoint` that the architecture does not use, such as buffers or another task's head.
    pub fn surplus(&self, checkpoint: &Checkpoint) -> Vec<String> {
        let known: BTreeSet<&str> = self.entries.iter().map(|entry| entry.name.as_str()).collect();
        checkpoint.names().filter(|name| !known.contains(name) && !is_ngram_tensor(name)).map(str::to_owned).collect()
    }
}

fn layer_entries(spec: &EncoderSpec) -> Vec<(LayerRole, &'static str, Vec<usize>)> {
    use LayerRole::*;
    let (h, wide) = (spec.hidden, spec.intermediate);
    let deberta = spec.model_type == ModelType::DebertaV2;
    let named = |deberta_name, name| if deberta { deberta_name } else { name };
    let mut entries = vec![
        (QueryWeight, named("attention.self.query_proj.weight", "attention.self.query.weight"), vec![h, h]),
        (QueryBias, named("attention.self.query_proj.bias", "attention.self.query.bias"), vec![h]),
        (KeyWeight, named("attention.self.key_proj.weight", "attention.self.key.weight"), vec![h, h]),
        (KeyBias, named("attention.self.key_proj.bias", "attention.self.key.bias"), vec![h]),
        (ValueWeight, named("attention.self.value_proj.weight", "attention.self.value.weight"), vec![h, h]),
        (ValueBias, named("attention.self.value_proj.bias", "attention.self.value.bias"), vec![h]),
    ];
    if let Some(relative) = spec.relative.as_ref().filter(|relative| !relative.shared_projections) {
        if relative.content_to_position {
            entries.push((PositionKeyWeight, "attention.self.pos_key_proj.weight", vec![h, h]));
            entries.push((PositionKeyBias, "attention.self.pos_key_proj.bias", vec![h]));
        }
        if relative.position_to_content {
            entries.push((PositionQueryWeight, "attention.self.pos_query_proj.weight", vec![h, h]));
            entries.push((PositionQueryBias, "attention.self.pos_query_proj.bias", vec![h]));
        }
    }
    entries.extend([
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
    ]);
    entries
}
