//! The forward pass, step by step, over packed tokens.

use crate::weights::{EncoderWeights, Layer, Norm};
use attackline_kernels::{AttentionScratch, PackedMatrix, attention, gelu, layer_norm, tanh};
use attackline_model::{EncoderSpec, TokenBatch};

/// Buffers of one forward pass.
#[derive(Default)]
struct Scratch {
    query_key_value: Vec<f32>,
    context: Vec<f32>,
    projected: Vec<f32>,
    wide: Vec<f32>,
    attention: AttentionScratch,
}

/// Logits `[lines, labels]` of a batch.
pub(crate) fn logits(spec: &EncoderSpec, weights: &EncoderWeights, batch: &TokenBatch) -> Vec<f32> {
    let mut hidden = embed(spec, weights, batch);
    let mut scratch = Scratch::default();
    let last = weights.layers.len() - 1;
    for (index, layer) in weights.layers.iter().enumerate() {
        attend(spec, layer, batch, &hidden, &mut scratch);
        // Pooling reads only each line's first token, so the last layer computes nothing else after its attention.
        if index == last {
            hidden = first_rows(&hidden, batch, spec.hidden);
            scratch.context = first_rows(&scratch.context, batch, spec.hidden);
        }
        finish_layer(spec, layer, &mut hidden, &mut scratch);
    }
    let mut pooled = product(&weights.pooler, &hidden);
    tanh(&mut pooled);
    product(&weights.classifier, &pooled)
}

/// Word, position and type vectors, summed and normed: `[tokens, hidden]`.
fn embed(spec: &EncoderSpec, weights: &EncoderWeights, batch: &TokenBatch) -> Vec<f32> {
    let width = spec.hidden;
    let mut hidden = Vec::with_capacity(batch.tokens() * width);
    for line in batch.offsets().windows(2) {
        for (position, &id) in batch.ids()[line[0]..line[1]].iter().enumerate() {
            let word = &weights.words[id as usize * width..][..width];
            let place = &weights.positions[position * width..][..width];
            hidden.extend(word.iter().zip(place).map(|(word, place)| word + place));
        }
    }
    norm(&mut hidden, &weights.embedding_norm, spec);
    hidden
}

/// Queries, keys and values of all tokens, then attention within each line, into `scratch.context`.
fn attend(spec: &EncoderSpec, layer: &Layer, batch: &TokenBatch, hidden: &[f32], scratch: &mut Scratch) {
    product_into(&layer.query_key_value, hidden, &mut scratch.query_key_value);
    scratch.context.resize(hidden.len(), 0.0);
    attention(&scratch.query_key_value, batch.offsets(), spec.heads, &mut scratch.context, &mut scratch.attention);
}

/// Output projection, residual and norm; feed-forward block, residual and norm.
fn finish_layer(spec: &EncoderSpec, layer: &Layer, hidden: &mut [f32], scratch: &mut Scratch) {
    product_into(&layer.attention_output, &scratch.context, &mut scratch.projected);
    add(hidden, &scratch.projected);
    norm(hidden, &layer.attention_norm, spec);
    product_into(&layer.up, hidden, &mut scratch.wide);
    gelu(&mut scratch.wide);
    product_into(&layer.down, &scratch.wide, &mut scratch.projected);
    add(hidden, &scratch.projected);
    norm(hidden, &layer.output_norm, spec);
}

/// The rows of each line's first token.
fn first_rows(rows: &[f32], batch: &TokenBatch, width: usize) -> Vec<f32> {
    let starts = &batch.offsets()[..batch.lines()];
    starts.iter().flat_map(|&start| &rows[start * width..][..width]).copied().collect()
}

fn product(matrix: &PackedMatrix, rows: &[f32]) -> Vec<f32> {
    let mut out = Vec::new();
    product_into(matrix, rows, &mut out);
    out
}

fn product_into(matrix: &PackedMatrix, rows: &[f32], out: &mut Vec<f32>) {
    out.resize(rows.len() / matrix.inputs() * matrix.outputs(), 0.0);
    matrix.product(rows, out);
}

fn add(rows: &mut [f32], residual: &[f32]) {
    rows.iter_mut().zip(residual).for_each(|(value, add)| *value += add);
}

fn norm(rows: &mut [f32], norm: &Norm, spec: &EncoderSpec) {
    layer_norm(rows, &norm.gain, &norm.bias, spec.norm_epsilon);
}
