use crate::{
    TrainError, TrainSettings, blocks::Blocks, builder::Builder, device::open, embeddings::Embeddings, method::Selection, parameter::Parameter,
    settings::FrozenType,
};
use attackline_model::{Checkpoint, EncoderSpec, ModelError, Role, TensorMap, WeightLayout};
use candle_core::{DType, Device};
use std::{collections::BTreeSet, ops::Range};

/// The graph's variables of one layer, as places in [`Parameters::list`].
#[derive(Clone, Copy)]
pub(crate) struct LayerPlaces {
    pub(crate) query_key_value: Product,
    /// The projections of the table of relative positions to what queries and what keys meet, where the layer has its own.
    pub(crate) position_keys: Option<Product>,
    pub(crate) position_queries: Option<Product>,
    pub(crate) attention_output: Product,
    pub(crate) attention_norm: usize,
    pub(crate) up: Product,
    pub(crate) down: Product,
    pub(crate) output_norm: usize,
}

/// The places of a weight and its bias.
#[derive(Clone, Copy)]
pub(crate) struct Product {
    pub(crate) weight: usize,
    pub(crate) bias: Option<usize>,
    /// Its place in [`Parameters::adapters`], where LoRA adds to it.
    pub(crate) adapter: Option<usize>,
}

/// The low-rank addition to a product.
pub(crate) struct Adapter {
    /// Places of A and B, each with all blocks one below the other.
    pub(crate) a: usize,
    pub(crate) b: usize,
    /// The product's outputs that each block adds to.
    pub(crate) blocks: Vec<Range<usize>>,
    pub(crate) rank: usize,
    pub(crate) scale: f32,
    pub(crate) dropout: f32,
}

/// The places of the table of relative positions and of its norm.
#[derive(Clone, Copy)]
pub(crate) struct RelativePlaces {
    pub(crate) table: usize,
    pub(crate) norm: Option<usize>,
}

/// Where the variables live, and in which type.
#[derive(Debug, Clone)]
pub(crate) struct Placement {
    pub(crate) device: Device,
    /// The type of everything but frozen products.
    pub(crate) dtype: DType,
    /// The type of the weights of frozen products, and of the words' table where it is frozen.
    pub(crate) frozen: DType,
}

impl Placement {
    /// For training: in our own operations all is f32 but frozen products, in candle's all is of one type.
    pub(crate) fn training(settings: &TrainSettings) -> Result<Self, TrainError> {
        let frozen = if settings.frozen_dtype == FrozenType::Bf16 { DType::BF16 } else { DType::F32 };
        let dtype = if matches!(settings.blocks(), Blocks::Fused(_)) { DType::F32 } else { frozen };
        Ok(Self { device: open(settings.device)?, dtype, frozen })
    }
}

/// All weights in the graph.
pub(crate) struct Parameters {
    pub(crate) embeddings: Embeddings,
    pub(crate) list: Vec<Parameter>,
    pub(crate) adapters: Vec<Adapter>,
    pub(crate) embedding_projection: Option<Product>,
    pub(crate) embedding_norm: usize,
    pub(crate) relative: Option<RelativePlaces>,
    pub(crate) layers: Vec<LayerPlaces>,
    pub(crate) convolution: Option<(Product, usize)>,
    pub(crate) pooler: Option<Product>,
    pub(crate) classifier: Product,
    /// How many parameters stand before those of the layers.
    before_layers: usize,
    /// Whether the classifier's weight is the table of words.
    pub(crate) tied: bool,
}

impl Parameters {
    /// Takes `weights`, which hold a head for `labels` outputs. What is trained is said by `training`, with the seed of what it adds;
    /// `None` trains nothing.
    pub(crate) fn new(
        spec: &EncoderSpec,
        weights: &Checkpoint,
        labels: usize,
        training: Option<(&Selection, u64)>,
        placement: &Placement,
    ) -> Result<Self, TrainError> {
        use Role::*;
        let layout = WeightLayout::new(spec, labels);
        layout.check(weights, false)?;
        let mut builder = Builder::new(&layout, weights, placement, training);
        let embedding_projection = builder.optional_product(EmbeddingProjection, None)?;
        let embedding_norm = builder.add(&[EmbeddingNormGain, EmbeddingNormBias])?;
        let relative = match spec.used_relative() {
            Some(relative) => {
                let norm = if relative.normed { Some(builder.add(&[RelativeNormGain, RelativeNormBias])?) } else { None };
                Some(RelativePlaces { table: builder.add(&[RelativeEmbedding])?, norm })
            }
            None => None,
        };
        let before_layers = builder.list.len();
        let layers = (0..spec.layers).map(|layer| builder.layer(layer)).collect::<Result<_, _>>()?;
        let convolution = match builder.optional_product(ConvolutionWeight, Some(ConvolutionBias))? {
            Some(product) => Some((product, builder.add(&[ConvolutionNormGain, ConvolutionNormBias])?)),
            None => None,
        };
        let pooler = builder.optional_product(PoolerWeight, Some(PoolerBias))?;
        let classifier = builder.product(&[ClassifierWeight], &[ClassifierBias])?;
        let (list, adapters) = (builder.list, builder.adapters);
        let trained = training.is_some_and(|(selection, _)| selection.trains(WordEmbedding));
        let embeddings = Embeddings::new(spec, weights, trained, !trained && placement.frozen == DType::BF16)?;
        let tied = false;
        Ok(Self {
            embeddings,
            list,
            adapters,
            embedding_projection,
            embedding_norm,
            relative,
            layers,
            convolution,
            pooler,
            classifier,
            before_layers,
            tied,
        })
    }

    /// Makes the classifier's weight and the table of words one: the outputs are the vocabulary then.
    pub(crate) fn tie(&mut self) -> Result<(), TrainError> {
        self.tied = true;
        let words = &self.embeddings.tables[0].weights;
        self.list[self.classifier.weight].change(|own| own.copy_from_slice(words))
    }

    /// After the classifier's weight was changed, the table of words follows it where they are one.
    pub(crate) fn follow_tie(&mut self) -> Result<(), TrainError> {
        if self.tied {
            self.embeddings.tables[0].weights = self.list[self.classifier.weight].values()?;
        }
        Ok(())
    }

    /// The first layer that anything trained stands in or before, and whether it is before all layers; the number of layers where only
    /// the head is trained. Nothing below needs a gradient.
    pub(crate) fn lowest_trained(&self) -> (usize, bool) {
        let is_trained = |place: &usize| self.list[*place].trainable();
        let convolved = self.convolution.is_some_and(|(product, norm)| [product.weight, norm].iter().chain(&product.bias).any(is_trained));
        if self.embeddings.tables[0].trainable || convolved || (0..self.before_layers).any(|place| is_trained(&place)) {
            return (0, true);
        }
        let trains = |layer: &LayerPlaces| (layer.query_key_value.weight..=layer.output_norm).any(|place| is_trained(&place));
        (self.layers.iter().position(trains).unwrap_or(self.layers.len()), false)
    }

    /// What is trained, under its Hugging Face names; LoRA's additions as `….lora_A.weight` and `….lora_B.weight`.
    pub(crate) fn trained(&self) -> Result<TensorMap, TrainError> {
        let mut tensors = TensorMap::new();
        if self.embeddings.tables[0].trainable {
            self.embeddings.export(&mut tensors);
        }
        for parameter in self.list.iter().filter(|parameter| parameter.trainable()) {
            parameter.divide(&parameter.values()?, &mut tensors);
        }
        Ok(tensors)
    }

    /// Sets tensors of the list that are trained.
    pub(crate) fn set_trained(&mut self, tensors: &TensorMap) -> Result<(), TrainError> {
        let mut left: BTreeSet<&String> = tensors.keys().collect();
        for parameter in self.list.iter_mut().filter(|parameter| parameter.trainable()) {
            let mut start = 0;
            for (name, shape) in parameter.tensors.clone() {
                let end = start + shape.iter().product::<usize>();
                if let Some(tensor) = tensors.get(&name) {
                    if tensor.shape != shape {
                        return Err(ModelError::WrongShape { name, found: tensor.shape.clone(), expected: shape }.into());
                    }
                    parameter.change(|own| own[start..end].copy_from_slice(&tensor.data))?;
                    left.remove(&name);
                }
                start = end;
            }
        }
        match left.first() {
            Some(name) => Err(TrainError::Data(format!("this run does not train the tensor {name}"))),
            None => Ok(()),
        }
    }

    /// Numbers that are trained, and all numbers.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let tables = self.embeddings.tables.iter().map(|table| (if table.trainable { table.weights.len() } else { 0 }, table.shape.iter().product()));
        let list = self.list.iter().map(|parameter| (parameter.first.len(), parameter.len()));
        tables.chain(list).fold((0, 0), |total, next| (total.0 + next.0, total.1 + next.1))
    }
}
