//! Weights in the layout that the products want.

use attackline_kernels::PackedMatrix;
use attackline_model::{EncoderSpec, LayerRole, ModelError, ModelFolder, Role, Tensor, WeightLayout};

/// Gain and bias of a layer norm, each `[hidden]`.
pub(crate) struct Norm {
    pub gain: Vec<f32>,
    pub bias: Vec<f32>,
}

pub(crate) struct Layer {
    /// Query, key and value in one product: `[3 · hidden, hidden]`.
    pub query_key_value: PackedMatrix,
    pub attention_output: PackedMatrix,
    pub attention_norm: Norm,
    pub up: PackedMatrix,
    pub down: PackedMatrix,
    pub output_norm: Norm,
}

pub(crate) struct EncoderWeights {
    /// `[vocabulary, hidden]`.
    pub words: Vec<f32>,
    /// `[positions, hidden]`, the vector of token type 0 already added.
    pub positions: Vec<f32>,
    pub embedding_norm: Norm,
    pub layers: Vec<Layer>,
    pub pooler: PackedMatrix,
    pub classifier: PackedMatrix,
}

struct Source<'a> {
    folder: &'a ModelFolder,
    layout: WeightLayout,
}

impl Source<'_> {
    fn tensor(&self, role: Role) -> Result<&Tensor, ModelError> {
        let entry = self.layout.entry(role).ok_or_else(|| ModelError::damaged("config.json", format!("the architecture has no {role:?}")))?;
        self.folder.tensors.get(&entry.name).ok_or_else(|| ModelError::MissingTensor { name: entry.name.clone(), shape: entry.shape.clone() })
    }

    fn data(&self, role: Role) -> Result<Vec<f32>, ModelError> {
        self.tensor(role).map(|tensor| tensor.data.clone())
    }

    fn norm(&self, gain: Role, bias: Role) -> Result<Norm, ModelError> {
        Ok(Norm { gain: self.data(gain)?, bias: self.data(bias)? })
    }

    fn product(&self, weight: Role, bias: Role) -> Result<PackedMatrix, ModelError> {
        let weight = self.tensor(weight)?;
        Ok(PackedMatrix::new(&weight.data, &self.tensor(bias)?.data, weight.shape[1]))
    }

    fn layer(&self, index: usize, spec: &EncoderSpec) -> Result<Layer, ModelError> {
        use LayerRole::*;
        let role = |role| Role::Layer(index, role);
        let mut weight = Vec::with_capacity(3 * spec.hidden * spec.hidden);
        let mut bias = Vec::with_capacity(3 * spec.hidden);
        for (part_weight, part_bias) in [(QueryWeight, QueryBias), (KeyWeight, KeyBias), (ValueWeight, ValueBias)] {
            weight.extend_from_slice(&self.tensor(role(part_weight))?.data);
            bias.extend_from_slice(&self.tensor(role(part_bias))?.data);
        }
        Ok(Layer {
            query_key_value: PackedMatrix::new(&weight, &bias, spec.hidden),
            attention_output: self.product(role(AttentionOutputWeight), role(AttentionOutputBias))?,
            attention_norm: self.norm(role(AttentionNormGain), role(AttentionNormBias))?,
            up: self.product(role(UpWeight), role(UpBias))?,
            down: self.product(role(DownWeight), role(DownBias))?,
            output_norm: self.norm(role(OutputNormGain), role(OutputNormBias))?,
        })
    }
}

impl EncoderWeights {
    pub fn new(folder: &ModelFolder, labels: usize) -> Result<Self, ModelError> {
        let spec = &folder.spec;
        let source = Source { folder, layout: WeightLayout::new(spec, labels) };
        let first_type = &source.tensor(Role::TokenTypeEmbedding)?.data[..spec.hidden];
        let mut positions = source.data(Role::PositionEmbedding)?;
        for row in positions.chunks_exact_mut(spec.hidden) {
            row.iter_mut().zip(first_type).for_each(|(value, add)| *value += add);
        }
        Ok(Self {
            words: source.data(Role::WordEmbedding)?,
            positions,
            embedding_norm: source.norm(Role::EmbeddingNormGain, Role::EmbeddingNormBias)?,
            layers: (0..spec.layers).map(|index| source.layer(index, spec)).collect::<Result<_, _>>()?,
            pooler: source.product(Role::PoolerWeight, Role::PoolerBias)?,
            classifier: source.product(Role::ClassifierWeight, Role::ClassifierBias)?,
        })
    }
}
