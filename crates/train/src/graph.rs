use crate::{
    ops::{AddNorm, Attention, Dropout, Dropped, FirstTokens, Gelu, Linear, Norm, Tanh},
    parameters::{Parameters, Product},
};
use attackline_model::EncoderSpec;
use candle_core::{Result, Tensor};
use std::sync::Arc;

/// One pass through the encoder.
pub(crate) struct Pass<'a> {
    pub(crate) spec: &'a EncoderSpec,
    pub(crate) parameters: &'a Parameters,
    pub(crate) offsets: Arc<[usize]>,
    /// Dropout and its seed for this step; `None` to predict, without gradients.
    pub(crate) training: Option<Dropped>,
}

impl Pass<'_> {
    /// Logits `[lines, labels]` from the sums of the embeddings, `[tokens, hidden]`.
    pub(crate) fn logits(&self, embedded: &Tensor) -> Result<Tensor> {
        let mut masks = Masks(self.training, 0);
        let places = self.parameters;
        let norm = Norm { epsilon: self.spec.norm_epsilon, norm_trainable: self.trainable(places.embedding_norm) };
        let mut hidden = embedded.apply_op2(&self.tensor(places.embedding_norm), norm)?;
        hidden = dropout(&hidden, masks.next())?;
        for layer in &places.layers {
            let qkv = self.product(&hidden, layer.query_key_value)?;
            let attention = Attention { offsets: self.offsets.clone(), heads: self.spec.heads, dropped: masks.next() };
            let context = self.product(&qkv.apply_op1(attention)?, layer.attention_output)?;
            hidden = self.add_norm(&context, &hidden, layer.attention_norm, masks.next())?;
            let wide = self.product(&hidden, layer.up)?.apply_op1(Gelu)?;
            hidden = self.add_norm(&self.product(&wide, layer.down)?, &hidden, layer.output_norm, masks.next())?;
        }
        let first = hidden.apply_op1(FirstTokens { offsets: self.offsets.clone() })?;
        let pooled = self.product(&first, places.pooler)?.apply_op1(Tanh)?;
        self.product(&dropout(&pooled, masks.next())?, places.classifier)
    }

    fn tensor(&self, place: usize) -> Tensor {
        self.parameters.list[place].tensor(self.training.is_some())
    }

    fn trainable(&self, place: usize) -> bool {
        self.parameters.list[place].trainable
    }

    fn product(&self, x: &Tensor, product: Product) -> Result<Tensor> {
        let linear = Linear { weight_trainable: self.trainable(product.weight), bias_trainable: self.trainable(product.bias) };
        x.apply_op3(&self.tensor(product.weight), &self.tensor(product.bias), linear)
    }

    fn add_norm(&self, x: &Tensor, residual: &Tensor, norm: usize, dropped: Dropped) -> Result<Tensor> {
        let block = AddNorm { epsilon: self.spec.norm_epsilon, dropped, norm_trainable: self.trainable(norm) };
        x.apply_op3(residual, &self.tensor(norm), block)
    }
}

fn dropout(x: &Tensor, dropped: Dropped) -> Result<Tensor> {
    if dropped.rate > 0.0 { x.apply_op1(Dropout(dropped)) } else { Ok(x.clone()) }
}

/// A mask of its own for every place that drops out.
struct Masks(Option<Dropped>, u64);

impl Masks {
    fn next(&mut self) -> Dropped {
        self.1 += 1;
        let base = self.0.unwrap_or(Dropped { rate: 0.0, seed: 0 });
        Dropped { rate: base.rate, seed: base.seed.wrapping_add(self.1.wrapping_mul(0xd6e8_feb8_6659_fd93)) }
    }
}
