//! Weights in the layout that the products want.

use crate::matrix::Matrix;
use attackline_kernels::{Crew, FirstTokenAttention, Int8Matrix, PackedMatrix, RelativeTerms, layer_norm};
use attackline_model::{EncoderSpec, Floats, Int8Tensor, LayerRole, ModelError, ModelFolder, Pooling, RelativePositions, Role, Tensor, WeightLayout};
use std::{collections::BTreeMap, sync::Arc};

/// Gain and bias of a layer norm, each `[hidden]`.
pub(crate) struct Norm {
    pub gain: Vec<f32>,
    pub bias: Vec<f32>,
}

/// What attention is computed from.
pub(crate) enum Projections {
    /// Query, key and value of every token in one product: `[3 · hidden, hidden]`.
    Joint(Matrix),
    /// Of each line's first token alone the query, `[hidden, hidden]`, and attention that needs neither keys nor values.
    FirstTokens { query: Matrix, attention: FirstTokenAttention },
}

pub(crate) struct Layer {
    pub projections: Projections,
    /// The projected table of relative positions, made once at load.
    pub relative: Option<RelativeTerms>,
    pub attention_output: Matrix,
    pub attention_norm: Norm,
    pub up: Matrix,
    pub down: Matrix,
    pub output_norm: Norm,
}

/// DeBERTa-v2's convolution as a product over what [`attackline_kernels::neighbours`] gathers.
pub(crate) struct ConvolutionWeights {
    pub product: PackedMatrix,
    pub norm: Norm,
}

impl Layer {
    /// The products with their names.
    pub fn products(&self) -> [(&'static str, &Matrix); 4] {
        let (Projections::Joint(projections) | Projections::FirstTokens { query: projections, .. }) = &self.projections;
        [("query_key_value", projections), ("attention_output", &self.attention_output), ("up", &self.up), ("down", &self.down)]
    }
}

/// What a layer's products are computed in.
#[derive(Debug, Clone)]
pub(crate) enum Numbers {
    /// In int8 where the folder is quantised and the weights are stored so, else in f32.
    AsStored,
    /// In f32, and in int8 with several sets of factors beside it, to see the errors. The factors need the greatest magnitude of each column
    /// of the products' inputs, by the products' names; without it that is what is seen.
    Compared(Arc<BTreeMap<String, Vec<f32>>>),
}

/// The vectors of the words, `[vocabulary, embedding]`.
pub(crate) enum Words {
    F32(Floats),
    Int8(Arc<Int8Tensor>),
}

impl Words {
    /// Appends the vector of one token.
    pub fn append(&self, id: u32, width: usize, to: &mut Vec<f32>) {
        let place = id as usize * width..(id as usize + 1) * width;
        match self {
            Self::F32(words) => to.extend_from_slice(&words[place]),
            Self::Int8(words) => {
                let scale = words.scales[id as usize];
                to.extend(words.values()[place].iter().map(|&value| f32::from(value) * scale));
            }
        }
    }
}

pub(crate) struct EncoderWeights {
    pub words: Words,
    /// What is added to the words, the vector of token type 0 in it: `[places, embedding]`, one row for each position, one for all
    /// positions, or none.
    pub places: Vec<f32>,
    pub embedding_projection: Option<PackedMatrix>,
    pub embedding_norm: Norm,
    /// Rows of the projected tables by distance, see [`attackline_kernels::Relative`].
    pub distances: Vec<u32>,
    pub layers: Vec<Layer>,
    pub convolution: Option<ConvolutionWeights>,
    pub pooler: Option<PackedMatrix>,
    pub classifier: PackedMatrix,
}

struct Source<'a> {
    folder: &'a ModelFolder,
    numbers: Numbers,
    spec: &'a EncoderSpec,
    layout: WeightLayout,
}

impl Source<'_> {
    fn tensor(&self, role: Role) -> Result<Tensor, ModelError> {
        self.folder.weights.tensor(&self.layout.require(role)?.name)
    }

    fn data(&self, role: Role) -> Result<Vec<f32>, ModelError> {
        self.tensor(role).map(|tensor| tensor.data)
    }

    fn norm(&self, gain: Role, bias: Role) -> Result<Norm, ModelError> {
        Ok(Norm { gain: self.data(gain)?, bias: self.data(bias)? })
    }

    fn product(&self, weight: Role, bias: Role) -> Result<PackedMatrix, ModelError> {
        let weight = self.tensor(weight)?;
        Ok(PackedMatrix::new(&weight.data, &self.data(bias)?, weight.shape[1]))
    }

    fn words(&self) -> Result<Words, ModelError> {
        let name = &self.layout.require(Role::WordEmbedding)?.name;
        match self.folder.weights.int8_in_place(name)? {
            Some(words) => Ok(Words::Int8(words)),
            None => self.folder.weights.floats_in_place(name).map(Words::F32),
        }
    }

    /// The weights in int8, where the folder is quantised and they are stored so.
    fn int8(&self, role: Role) -> Result<Option<Arc<Int8Tensor>>, ModelError> {
        let quantized = self.folder.settings.quantization.is_some();
        if quantized { self.folder.weights.int8(&self.layout.require(role)?.name) } else { Ok(None) }
    }

    /// The product `name` of the outputs of several weights.
    fn layer_product(&self, index: usize, name: &str, parts: &[(LayerRole, LayerRole)]) -> Result<Matrix, ModelError> {
        let mut bias = Vec::new();
        for &(_, part) in parts {
            bias.extend(self.data(Role::Layer(index, part))?);
        }
        if let Numbers::AsStored = self.numbers
            && let Some(matrix) = self.stored_int8(index, parts, &bias)?
        {
            return Ok(Matrix::Int8(matrix));
        }
        let (mut weight, mut inputs) = (Vec::new(), 0);
        for &(part, _) in parts {
            let part = self.tensor(Role::Layer(index, part))?;
            inputs = part.shape[1];
            weight.extend(part.data);
        }
        let exact = PackedMatrix::new(&weight, &bias, inputs);
        Ok(match &self.numbers {
            Numbers::AsStored => Matrix::F32(exact),
            Numbers::Compared(greatest) => {
                let weight = Tensor { shape: vec![bias.len(), inputs], data: weight };
                let greatest = greatest.get(&format!("layer.{index}.{name}"));
                Matrix::compared(exact, greatest.map(|greatest| candidates(&weight, &bias, greatest)).unwrap_or_default())
            }
        })
    }

    /// A product as it is stored in int8; `None` where a part of it isn't.
    fn stored_int8(&self, index: usize, parts: &[(LayerRole, LayerRole)], bias: &[f32]) -> Result<Option<Int8Matrix>, ModelError> {
        let mut stored = Vec::new();
        for &(part, _) in parts {
            let role = Role::Layer(index, part);
            let Some(tensor) = self.int8(role)? else { return Ok(None) };
            stored.push(tensor);
            if stored[0].factors != stored[stored.len() - 1].factors {
                let reason = format!("tensor {} has other factors than those that are multiplied with the same", self.layout.require(role)?.name);
                return Err(ModelError::damaged("model.safetensors", reason));
            }
        }
        let values: Vec<&[i8]> = stored.iter().map(|tensor| tensor.values()).collect();
        let scales: Vec<f32> = stored.iter().flat_map(|tensor| &tensor.scales).copied().collect();
        Ok(Some(Int8Matrix::new(&values, &scales, bias, stored[0].shape[1]).with_factors(stored[0].factors.clone())))
    }

    /// What is added to the words' vectors.
    fn places(&self) -> Result<Vec<f32>, ModelError> {
        let width = self.spec.embedding;
        let mut places = match self.spec.absolute {
            Some(absolute) => self.data(Role::PositionEmbedding)?.split_off(absolute.first * width),
            None if self.spec.token_types > 0 => vec![0.0; width],
            None => Vec::new(),
        };
        if self.spec.token_types > 0 {
            let types = self.data(Role::TokenTypeEmbedding)?;
            for row in places.chunks_exact_mut(width) {
                row.iter_mut().zip(&types).for_each(|(value, add)| *value += add);
            }
        }
        Ok(places)
    }

    /// The rows of the table of relative positions that lines of up to `longest` tokens need, normed: `[rows, hidden]`.
    fn relative_rows(&self, relative: &RelativePositions, longest: usize) -> Result<Vec<f32>, ModelError> {
        let band = relative.band(longest);
        let mut rows = self.data(Role::RelativeEmbedding)?;
        rows.truncate(band.end * self.spec.hidden);
        rows.drain(..band.start * self.spec.hidden);
        if relative.normed {
            let norm = self.norm(Role::RelativeNormGain, Role::RelativeNormBias)?;
            layer_norm(&mut rows, &norm.gain, &norm.bias, self.spec.norm_epsilon);
        }
        Ok(rows)
    }

    /// The table's `rows` through one projection.
    fn project(&self, rows: &[f32], weight: Role, bias: Role) -> Result<Vec<f32>, ModelError> {
        let mut out = vec![0.0; rows.len()];
        self.product(weight, bias)?.product(&Crew::alone(), rows, &mut out);
        Ok(out)
    }

    fn relative_terms(&self, relative: &RelativePositions, rows: &[f32], layer: usize) -> Result<RelativeTerms, ModelError> {
        use LayerRole::*;
        let role = |role| Role::Layer(layer, role);
        let (keys, queries) = if relative.shared_projections {
            ((KeyWeight, KeyBias), (QueryWeight, QueryBias))
        } else {
            ((PositionKeyWeight, PositionKeyBias), (PositionQueryWeight, PositionQueryBias))
        };
        let project = |used: bool, (weight, bias)| used.then(|| self.project(rows, role(weight), role(bias))).transpose();
        let (keys, queries) = (project(relative.content_to_position, keys)?, project(relative.position_to_content, queries)?);
        Ok(RelativeTerms::new(keys.as_deref(), queries.as_deref(), self.spec.hidden, self.spec.heads))
    }

    fn layer(&self, index: usize, relative_rows: Option<(&RelativePositions, &[f32])>) -> Result<Layer, ModelError> {
        use LayerRole::*;
        let role = |role| Role::Layer(index, role);
        let query = (QueryWeight, QueryBias);
        let projections = if self.reads_first_tokens(index) {
            let data = |part| self.data(role(part));
            let attention = FirstTokenAttention::new(&data(KeyWeight)?, &data(ValueWeight)?, &data(ValueBias)?, self.spec.heads);
            Projections::FirstTokens { query: self.layer_product(index, "query_key_value", &[query])?, attention }
        } else {
            Projections::Joint(self.layer_product(index, "query_key_value", &[query, (KeyWeight, KeyBias), (ValueWeight, ValueBias)])?)
        };
        Ok(Layer {
            projections,
            relative: relative_rows.map(|(relative, rows)| self.relative_terms(relative, rows, index)).transpose()?,
            attention_output: self.layer_product(index, "attention_output", &[(AttentionOutputWeight, AttentionOutputBias)])?,
            attention_norm: self.norm(role(AttentionNormGain), role(AttentionNormBias))?,
            up: self.layer_product(index, "up", &[(UpWeight, UpBias)])?,
            down: self.layer_product(index, "down", &[(DownWeight, DownBias)])?,
            output_norm: self.norm(role(OutputNormGain), role(OutputNormBias))?,
        })
    }

    /// Whether of a layer nothing but each line's first token is read, and its attention has no relative positions. While int8 is tried, all tokens' projections
    /// are looked at in any case.
    fn reads_first_tokens(&self, index: usize) -> bool {
        let last = index + 1 == self.spec.layers && self.spec.head.pooling == Pooling::First;
        last && self.spec.used_relative().is_none() && self.spec.convolution.is_none() && matches!(self.numbers, Numbers::AsStored)
    }

    fn convolution(&self) -> Result<ConvolutionWeights, ModelError> {
        let (weight, bias) = (self.data(Role::ConvolutionWeight)?, self.data(Role::ConvolutionBias)?);
        Ok(ConvolutionWeights {
            product: PackedMatrix::new(&weight, &bias, weight.len() / bias.len()),
            norm: self.norm(Role::ConvolutionNormGain, Role::ConvolutionNormBias)?,
        })
    }
}

/// How much of a column's magnitude the factors take off the activations; what is left of it they give to the weights. 0 would be no factors.
const SHARES: [f32; 5] = [0.4, 0.5, 0.6, 0.7, 0.8];

/// The product in int8 without factors, then with those of [`SHARES`]: `weight^(1 - share) / greatest^share` by column, where `greatest` is the
/// greatest magnitude of a column of the activations and `weight` that of the weights (SmoothQuant; Xiao et al. 2023).
fn candidates(weight: &Tensor, bias: &[f32], greatest: &[f32]) -> Vec<Int8Matrix> {
    let mut columns = vec![0.0f32; greatest.len()];
    for row in weight.data.chunks_exact(greatest.len()) {
        columns.iter_mut().zip(row).for_each(|(most, value)| *most = most.max(value.abs()));
    }
    let factors = |share: f32| -> Vec<f32> {
        let factor = |(greatest, weight): (&f32, &f32)| weight.max(LEAST).powf(1.0 - share) / greatest.max(LEAST).powf(share);
        greatest.iter().zip(&columns).map(factor).collect()
    };
    let sets = std::iter::once(Vec::new()).chain(SHARES.map(factors));
    let matrix = |factors: Vec<f32>| {
        let rounded = Int8Tensor::quantize_by(weight, &factors)?;
        Some(Int8Matrix::new(&[rounded.values()], &rounded.scales, bias, greatest.len()).with_factors(factors))
    };
    sets.filter_map(matrix).collect()
}

/// A column that is nearly nothing counts as so much.
const LEAST: f32 = 1e-5;

impl EncoderWeights {
    /// Lays out the weights for lines of up to `longest` tokens.
    pub fn new(folder: &ModelFolder, labels: usize, longest: usize, numbers: Numbers) -> Result<Self, ModelError> {
        let spec = &folder.spec;
        let source = Source { folder, numbers, spec, layout: WeightLayout::new(spec, labels) };
        let relative = spec.used_relative();
        let rows = relative.map(|relative| source.relative_rows(relative, longest)).transpose()?;
        let relative_rows = relative.zip(rows.as_deref());
        let projection = source.layout.entry(Role::EmbeddingProjection).map(|_| source.tensor(Role::EmbeddingProjection)).transpose()?;
        Ok(Self {
            words: source.words()?,
            places: source.places()?,
            embedding_projection: projection.map(|weight| PackedMatrix::new(&weight.data, &vec![0.0; spec.hidden], spec.embedding)),
            embedding_norm: source.norm(Role::EmbeddingNormGain, Role::EmbeddingNormBias)?,
            distances: relative.map(|relative| relative.rows(longest)).unwrap_or_default(),
            layers: (0..spec.layers).map(|index| source.layer(index, relative_rows)).collect::<Result<_, _>>()?,
            convolution: spec.convolution.map(|_| source.convolution()).transpose()?,
            pooler: spec.head.dense.map(|_| source.product(Role::PoolerWeight, Role::PoolerBias)).transpose()?,
            classifier: source.product(Role::ClassifierWeight, Role::ClassifierBias)?,
        })
    }
}
