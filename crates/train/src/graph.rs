use crate::{
    blocks::{Blocks, Shape, Weights},
    lines::Lines,
    ops::{AddNorm, Dropped, LoraLinear, PositionColumns},
    parameters::{Adapter, LayerPlaces, Parameters, Product},
};
use attackline_model::{Activation, EncoderSpec, ModelType, RelativePositions, Step};
use candle_core::{Result, Tensor};

/// One pass through the encoder.
pub(crate) struct Pass<'a> {
    pub(crate) spec: &'a EncoderSpec,
    pub(crate) parameters: &'a Parameters,
    pub(crate) blocks: Blocks,
    pub(crate) lines: &'a Lines,
    /// Tokens that the head answers for, one by one, rather than for whole lines.
    pub(crate) picked: Option<&'a Tensor>,
    /// Dropout and its seed for this step; `None` to predict.
    pub(crate) training: Option<Dropped>,
    /// Whether gradients are wanted.
    pub(crate) tracked: bool,
    /// Told of every step's result.
    pub(crate) seen: &'a dyn Fn(Step, &Tensor),
}

/// What goes from layer to layer.
pub(crate) struct Stream {
    /// `[tokens, hidden]`.
    pub(crate) hidden: Tensor,
    /// What the convolution adds to the first layer's output.
    pub(crate) convolved: Option<Tensor>,
    /// The band of the table of relative positions that this batch needs, normed: `[rows, hidden]`.
    pub(crate) rows: Option<Tensor>,
}

impl Pass<'_> {
    /// Logits, a row for each line or each token picked, from the sums of the embeddings, `[tokens, embedding]`.
    pub(crate) fn logits(&self, embedded: &Tensor) -> Result<Tensor> {
        let mut masks = self.masks();
        let mut stream = self.begin(embedded, &mut masks)?;
        for index in 0..self.spec.layers {
            stream.hidden = self.layer(index, &stream, &mut masks)?;
        }
        self.head(&stream.hidden, &mut masks)
    }

    /// The dropout masks of a pass, in the order in which they are used.
    pub(crate) fn masks(&self) -> Masks {
        Masks(self.training, 0)
    }

    /// What the layers start from.
    pub(crate) fn begin(&self, embedded: &Tensor, masks: &mut Masks) -> Result<Stream> {
        let places = self.parameters;
        let projected = match places.embedding_projection {
            Some(projection) => self.product(embedded, projection)?,
            None => embedded.clone(),
        };
        let normed = self.norm(&projected, places.embedding_norm)?;
        (self.seen)(Step::Embeddings, &normed);
        let hidden = self.blocks.dropout(&normed, masks.next())?;
        Ok(Stream { convolved: self.convolve(&hidden, masks)?, rows: self.relative_rows()?, hidden })
    }

    /// A layer's output.
    pub(crate) fn layer(&self, index: usize, stream: &Stream, masks: &mut Masks) -> Result<Tensor> {
        let mut hidden = self.encode(index, stream, masks)?;
        if let (0, Some(convolved), Some((_, norm))) = (index, &stream.convolved, self.parameters.convolution) {
            hidden = self.add_norm(convolved, &hidden, norm, Dropped::NONE)?;
        }
        (self.seen)(Step::Output(index), &hidden);
        Ok(hidden)
    }

    /// Attention and feed-forward block.
    fn encode(&self, index: usize, stream: &Stream, masks: &mut Masks) -> Result<Tensor> {
        let (layer, hidden) = (&self.parameters.layers[index], &stream.hidden);
        let qkv = self.product(hidden, layer.query_key_value)?;
        (self.seen)(Step::QueryKeyValue(index), &qkv);
        let positions = match (self.spec.used_relative(), &stream.rows) {
            (Some(relative), Some(rows)) => Some(self.project_positions(relative, &self.blocks.dropout(rows, masks.next())?, layer)?),
            _ => None,
        };
        let shape = Shape {
            heads: self.spec.heads,
            terms: self.spec.attention_terms,
            positions: positions.as_ref().map(|(table, columns)| (table, *columns)),
            dropped: masks.next(),
        };
        let context = self.blocks.attention(&qkv, self.lines, &shape)?;
        (self.seen)(Step::Context(index), &context);
        let attended = self.add_norm(&self.product(&context, layer.attention_output)?, hidden, layer.attention_norm, masks.next())?;
        (self.seen)(Step::Attention(index), &attended);
        let wide = self.product(&attended, layer.up)?;
        let narrow = match self.spec.activation {
            Activation::Gelu => self.product_of(&wide, layer.down, None, true)?,
            other => self.product(&self.blocks.activation(&wide, other)?, layer.down)?,
        };
        self.add_norm(&narrow, &attended, layer.output_norm, masks.next())
    }

    fn relative_rows(&self) -> Result<Option<Tensor>> {
        let (Some(relative), Some(places)) = (self.spec.used_relative(), self.parameters.relative) else { return Ok(None) };
        let band = relative.band(self.lines.longest());
        let rows = self.tensor(places.table).narrow(0, band.start, band.len())?;
        let rows = match places.norm {
            Some(norm) => self.norm(&rows, norm)?,
            None => rows,
        };
        Ok(Some(rows))
    }

    /// The band through the layer's projections, and where in the result the sides stand.
    fn project_positions(&self, relative: &RelativePositions, rows: &Tensor, layer: &LayerPlaces) -> Result<(Tensor, PositionColumns)> {
        let hidden = self.spec.hidden;
        if relative.shared_projections {
            // Queries and keys are the first two parts of the joint product.
            let table = self.product_of(rows, layer.query_key_value, Some(2 * hidden), false)?;
            let columns =
                PositionColumns { queries: relative.position_to_content.then_some(0), keys: relative.content_to_position.then_some(hidden) };
            return Ok((table, columns));
        }
        let sides = [layer.position_queries, layer.position_keys];
        let tables = sides.iter().flatten().map(|&side| self.product(rows, side)).collect::<Result<Vec<_>>>()?;
        let table = if tables.len() == 1 { tables[0].clone() } else { Tensor::cat(&tables, 1)? };
        let queries = sides[0].map(|_| 0);
        Ok((table, PositionColumns { queries, keys: sides[1].map(|_| if queries.is_some() { hidden } else { 0 }) }))
    }

    /// What DeBERTa-v2's convolution adds to the first layer's output.
    fn convolve(&self, hidden: &Tensor, masks: &mut Masks) -> Result<Option<Tensor>> {
        let (Some(convolution), Some((product, _))) = (self.spec.convolution, self.parameters.convolution) else { return Ok(None) };
        let gathered = self.blocks.neighbours(hidden, self.lines, convolution.kernel)?;
        let product = self.blocks.dropout(&self.product(&gathered, product)?, masks.next())?;
        self.blocks.activation(&product, convolution.activation).map(Some)
    }

    pub(crate) fn head(&self, hidden: &Tensor, masks: &mut Masks) -> Result<Tensor> {
        let mut pooled = match self.picked {
            Some(tokens) => hidden.index_select(tokens, 0)?,
            None => self.blocks.pool(hidden, self.lines, self.spec.head.pooling)?,
        };
        if let (Some(dense), Some(activation)) = (self.parameters.pooler, self.spec.head.dense) {
            if self.spec.model_type == ModelType::Roberta {
                pooled = self.blocks.dropout(&pooled, masks.next())?;
            }
            pooled = self.blocks.activation(&self.product(&pooled, dense)?, activation)?;
        }
        (self.seen)(Step::Pooled, &pooled);
        let logits = self.product(&self.blocks.dropout(&pooled, masks.next())?, self.parameters.classifier)?;
        (self.seen)(Step::Logits, &logits);
        Ok(logits)
    }

    fn tensor(&self, place: usize) -> Tensor {
        self.parameters.list[place].tensor(self.tracked)
    }

    fn trainable(&self, place: usize) -> bool {
        self.parameters.list[place].trainable()
    }

    fn product(&self, x: &Tensor, product: Product) -> Result<Tensor> {
        self.product_of(x, product, None, false)
    }

    /// The first outputs of a product, or all, of `x` or of its GELU.
    fn product_of(&self, x: &Tensor, product: Product, outputs: Option<usize>, gelu: bool) -> Result<Tensor> {
        let (weight, bias) = (self.tensor(product.weight), product.bias.map(|bias| self.tensor(bias)));
        if let Some(adapter) = product.adapter {
            let adapter = &self.parameters.adapters[adapter];
            let block = LoraLinear {
                gelu,
                bf16: None,
                outputs: outputs.unwrap_or(weight.dim(0)?),
                weight: weight.detach(),
                bias: bias.map(|bias| bias.detach()),
                blocks: adapter.blocks.clone(),
                rank: adapter.rank,
                scale: adapter.scale,
                dropped: self.adapter_dropout(adapter, outputs.is_some()),
            };
            return self.blocks.lora(x, &self.tensor(adapter.a), &self.tensor(adapter.b), block);
        }
        let weights = Weights {
            weight: &weight,
            bias: bias.as_ref(),
            weight_trainable: self.trainable(product.weight),
            bias_trainable: product.bias.is_some_and(|bias| self.trainable(bias)),
            outputs,
            gelu,
        };
        self.blocks.linear(x, &weights)
    }

    /// The dropout before an addition. The same product may be used twice, for tokens and for relative positions.
    fn adapter_dropout(&self, adapter: &Adapter, positions: bool) -> Dropped {
        let Some(training) = self.training.filter(|training| training.seed != 0) else { return Dropped::NONE };
        let place = (2 * adapter.a + usize::from(positions)) as u64;
        Dropped { rate: adapter.dropout, seed: training.seed.wrapping_add(place.wrapping_mul(0xe703_7ed1_a0b4_28db)) }
    }

    fn norm(&self, x: &Tensor, norm: usize) -> Result<Tensor> {
        self.blocks.norm(x, &self.tensor(norm), self.spec.norm_epsilon, self.trainable(norm))
    }

    fn add_norm(&self, x: &Tensor, residual: &Tensor, norm: usize, dropped: Dropped) -> Result<Tensor> {
        let block = AddNorm { epsilon: self.spec.norm_epsilon, dropped, norm_trainable: self.trainable(norm) };
        self.blocks.add_norm(x, residual, &self.tensor(norm), block)
    }
}

/// A mask of its own for every place that drops out.
#[derive(Clone, Copy)]
pub(crate) struct Masks(Option<Dropped>, u64);

impl Masks {
    fn next(&mut self) -> Dropped {
        self.1 += 1;
        let base = self.0.unwrap_or(Dropped::NONE);
        Dropped { rate: base.rate, seed: base.seed.wrapping_add(self.1.wrapping_mul(0xd6e8_feb8_6659_fd93)) }
    }
}
