//! The forward pass, step by step, over packed tokens.

use crate::{
    matrix::{Matrix, ProductScratch},
    profile::{Operation, timed},
    weights::{EncoderWeights, Layer, Norm, Projections},
};
use attackline_kernels::{
    AttentionInput, AttentionScratch, Crew, Edge, FirstTokenAttention, PackedMatrix, Relative, attention, gelu, layer_norm, neighbours, tanh,
};
use attackline_model::{Activation, EncoderSpec, Pooling, Step, TokenBatch};

/// Buffers of one forward pass, kept for the next.
#[derive(Default)]
pub(crate) struct Scratch {
    query_key_value: Vec<f32>,
    context: Vec<f32>,
    wide: Vec<f32>,
    pub(crate) products: ProductScratch,
    attention: Vec<AttentionScratch>,
}

impl Scratch {
    /// Sees to it that every thread of the crew has a scratch for attention, and says how many these are.
    fn parts(&mut self, crew: &Crew<'_>) -> usize {
        self.attention.resize_with(crew.threads().max(self.attention.len()), AttentionScratch::default);
        crew.threads()
    }
}

/// One forward pass over a batch.
pub(crate) struct Pass<'a> {
    pub spec: &'a EncoderSpec,
    pub weights: &'a EncoderWeights,
    pub batch: &'a TokenBatch,
    /// Who computes.
    pub crew: &'a Crew<'a>,
    /// Told of every step. Where the head reads only first tokens, the last layer's results after its attention are of those alone.
    pub seen: &'a mut dyn FnMut(Step, &[f32]),
}

impl Pass<'_> {
    /// What the head reads of each line, `[lines, hidden]`.
    pub(crate) fn pooled(mut self, scratch: &mut Scratch) -> Vec<f32> {
        let mut hidden = timed(&mut scratch.products.profile, Operation::Embeddings, || self.embed());
        (self.seen)(Step::Embeddings, &hidden);
        let convolved = self.convolve(&hidden);
        let last = self.weights.layers.len() - 1;
        for (index, layer) in self.weights.layers.iter().enumerate() {
            // Pooling reads only each line's first token, so the last layer computes nothing else after its attention.
            let pooled_next = index == last && self.spec.head.pooling == Pooling::First && (index > 0 || convolved.is_none());
            match &layer.projections {
                Projections::Joint(projections) => {
                    self.attend(index, layer, projections, &hidden, scratch);
                    if pooled_next {
                        hidden = self.first_rows(&hidden);
                        scratch.context = self.first_rows(&scratch.context);
                    }
                }
                Projections::FirstTokens { query, attention } => {
                    let firsts = self.first_rows(&hidden);
                    self.attend_from_first_tokens(index, query, attention, [&firsts, &hidden], scratch);
                    hidden = firsts;
                }
            }
            self.finish_layer(index, layer, &mut hidden, scratch);
            if let (0, Some(convolved), Some(weights)) = (index, &convolved, &self.weights.convolution) {
                add(&mut hidden, convolved);
                self.norm(&mut hidden, &weights.norm);
            }
            (self.seen)(Step::Output(index), &hidden);
        }
        self.pool(hidden)
    }

    /// Word, position and type vectors, summed, projected where the tables are narrower, and normed: `[tokens, hidden]`.
    fn embed(&self) -> Vec<f32> {
        let (width, weights) = (self.spec.embedding, self.weights);
        let mut sums = Vec::with_capacity(self.batch.tokens() * width);
        for line in self.batch.offsets().windows(2) {
            for (position, &id) in self.batch.ids()[line[0]..line[1]].iter().enumerate() {
                let start = sums.len();
                weights.words.append(id, width, &mut sums);
                if !weights.places.is_empty() {
                    let row = if self.spec.absolute.is_some() { position } else { 0 };
                    add(&mut sums[start..], &weights.places[row * width..][..width]);
                }
            }
        }
        let mut hidden = match &weights.embedding_projection {
            Some(projection) => product(self.crew, projection, &sums),
            None => sums,
        };
        self.norm(&mut hidden, &weights.embedding_norm);
        hidden
    }

    /// Queries, keys and values of all tokens, then attention within each line, into `scratch.context`.
    fn attend(&mut self, index: usize, layer: &Layer, projections: &Matrix, hidden: &[f32], scratch: &mut Scratch) {
        projections.product(self.crew, Operation::QueryKeyValue, hidden, Edge::Write, &mut scratch.query_key_value, &mut scratch.products);
        (self.seen)(Step::QueryKeyValue(index), &scratch.query_key_value);
        scratch.context.resize(hidden.len(), 0.0);
        let parts = scratch.parts(self.crew);
        let input = AttentionInput {
            qkv: &scratch.query_key_value,
            offsets: self.batch.offsets(),
            heads: self.spec.heads,
            terms: self.spec.attention_terms,
            relative: layer.relative.as_ref().map(|terms| Relative { terms, rows: &self.weights.distances }),
            dropout: None,
        };
        timed(&mut scratch.products.profile, Operation::Attention, || {
            attention(self.crew, input, &mut scratch.context, &mut scratch.attention[..parts])
        });
        (self.seen)(Step::Context(index), &scratch.context);
    }

    /// Queries of the first tokens, then their attention over their lines, into `scratch.context`, `[lines, hidden]`.
    fn attend_from_first_tokens(&mut self, index: usize, query: &Matrix, attention: &FirstTokenAttention, rows: [&[f32]; 2], scratch: &mut Scratch) {
        let [firsts, hidden] = rows;
        query.product(self.crew, Operation::QueryKeyValue, firsts, Edge::Write, &mut scratch.query_key_value, &mut scratch.products);
        scratch.context.resize(firsts.len(), 0.0);
        let parts = scratch.parts(self.crew);
        let Scratch { query_key_value, context, products, attention: scratches, .. } = scratch;
        timed(&mut products.profile, Operation::Attention, || {
            attention.attend(self.crew, query_key_value, hidden, self.batch.offsets(), context, &mut scratches[..parts])
        });
        (self.seen)(Step::Context(index), &scratch.context);
    }

    /// Output projection, residual and norm; feed-forward block, residual and norm.
    fn finish_layer(&mut self, index: usize, layer: &Layer, hidden: &mut Vec<f32>, scratch: &mut Scratch) {
        layer.attention_output.product(self.crew, Operation::AttentionOutput, &scratch.context, Edge::Add, hidden, &mut scratch.products);
        timed(&mut scratch.products.profile, Operation::Norm, || self.norm(hidden, &layer.attention_norm));
        (self.seen)(Step::Attention(index), hidden);
        let edge = if self.spec.activation == Activation::Gelu { Edge::Gelu } else { Edge::Write };
        layer.up.product(self.crew, Operation::Up, hidden, edge, &mut scratch.wide, &mut scratch.products);
        if self.spec.activation != Activation::Gelu {
            activate(self.spec.activation, &mut scratch.wide);
        }
        layer.down.product(self.crew, Operation::Down, &scratch.wide, Edge::Add, hidden, &mut scratch.products);
        timed(&mut scratch.products.profile, Operation::Norm, || self.norm(hidden, &layer.output_norm));
    }

    /// The convolution over each line's tokens, nothing standing beyond its ends: `[tokens, hidden]`. `None` where the model has none.
    fn convolve(&self, hidden: &[f32]) -> Option<Vec<f32>> {
        let (convolution, weights) = self.spec.convolution.zip(self.weights.convolution.as_ref())?;
        let mut out = product(self.crew, &weights.product, &neighbours(hidden, self.batch.offsets(), convolution.kernel));
        activate(convolution.activation, &mut out);
        Some(out)
    }

    fn pool(&self, hidden: Vec<f32>) -> Vec<f32> {
        let (width, lines) = (self.spec.hidden, self.batch.lines());
        match self.spec.head.pooling {
            Pooling::First if hidden.len() == lines * width => hidden,
            Pooling::First => self.first_rows(&hidden),
            Pooling::Mean => {
                let line_mean = |line: &[usize]| mean_row(&hidden[line[0] * width..line[1] * width], width);
                self.batch.offsets().windows(2).flat_map(line_mean).collect()
            }
        }
    }

    /// The rows of each line's first token.
    fn first_rows(&self, rows: &[f32]) -> Vec<f32> {
        let (starts, width) = (&self.batch.offsets()[..self.batch.lines()], self.spec.hidden);
        starts.iter().flat_map(|&start| &rows[start * width..][..width]).copied().collect()
    }

    fn norm(&self, rows: &mut [f32], norm: &Norm) {
        layer_norm(rows, &norm.gain, &norm.bias, self.spec.norm_epsilon);
    }
}

/// Logits `[lines, labels]` from what was [pooled](Pass::pooled).
pub(crate) fn head(
    spec: &EncoderSpec,
    weights: &EncoderWeights,
    crew: &Crew<'_>,
    mut pooled: Vec<f32>,
    seen: &mut dyn FnMut(Step, &[f32]),
) -> Vec<f32> {
    if let (Some(dense), Some(activation)) = (&weights.pooler, spec.head.dense) {
        pooled = product(crew, dense, &pooled);
        activate(activation, &mut pooled);
    }
    seen(Step::Pooled, &pooled);
    let logits = product(crew, &weights.classifier, &pooled);
    seen(Step::Logits, &logits);
    logits
}

/// The mean of the rows, summed from the first to the last.
fn mean_row(rows: &[f32], width: usize) -> Vec<f32> {
    let mut mean = vec![0.0; width];
    for row in rows.chunks_exact(width) {
        add(&mut mean, row);
    }
    let count = (rows.len() / width) as f32;
    mean.iter_mut().for_each(|value| *value /= count);
    mean
}

fn activate(activation: Activation, values: &mut [f32]) {
    match activation {
        Activation::Gelu => gelu(values),
        Activation::Tanh => tanh(values),
    }
}

fn product(crew: &Crew<'_>, matrix: &PackedMatrix, rows: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; rows.len() / matrix.inputs() * matrix.outputs()];
    matrix.product(crew, rows, &mut out);
    out
}

fn add(rows: &mut [f32], residual: &[f32]) {
    rows.iter_mut().zip(residual).for_each(|(value, add)| *value += add);
}
