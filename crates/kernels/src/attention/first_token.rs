use super::{AttentionScratch, room};
use crate::{
    crew::{Apart, Crew},
    dispatch::multiversion,
    isa::Isa,
    lanes::{fma, sum_of},
    packed::PackedMatrix,
    softmax::softmax_body,
};

/// Attention of each line's first token alone, over all tokens of its line: what the last layer needs where nothing else of it is read.
///
/// Keys and values are never computed. With a head's projections `K` and `V`, a query `q` and tokens `x`, the scores are `q · (K x) = (Kᵀ q) · x`, and the result
/// is `Σ p (V x + b) = V (Σ p x) + b`, since probabilities `p` sum to 1; the bias of the keys moves all scores alike, which changes no probability. So
/// two products a line stand for two a token.
#[derive(Debug, Clone)]
pub struct FirstTokenAttention {
    heads: Vec<Projections>,
    hidden: usize,
}

/// A head's projections, `[hidden, width]` and `[width, hidden]`.
#[derive(Debug, Clone)]
struct Projections {
    /// Takes a query to where the tokens are.
    keys: PackedMatrix,
    /// Takes a mean of tokens to the head's result.
    values: PackedMatrix,
}

impl FirstTokenAttention {
    /// Lays out the weights of keys and values, each `[hidden, hidden]`, and the bias of the values.
    pub fn new(keys: &[f32], values: &[f32], value_bias: &[f32], heads: usize) -> Self {
        let hidden = value_bias.len();
        assert!(heads > 0 && hidden.is_multiple_of(heads), "heads of one width");
        assert!(keys.len() == hidden * hidden && values.len() == hidden * hidden, "weights are [hidden, hidden]");
        let width = hidden / heads;
        let head = |index: usize| {
            let rows = index * width * hidden..(index + 1) * width * hidden;
            let own = &keys[rows.clone()];
            let turned: Vec<f32> = (0..hidden).flat_map(|column| (0..width).map(move |row| own[row * hidden + column])).collect();
            Projections {
                keys: PackedMatrix::new(&turned, &vec![0.0; hidden], width),
                values: PackedMatrix::new(&values[rows], &value_bias[index * width..][..width], hidden),
            }
        };
        Self { heads: (0..heads).map(head).collect(), hidden }
    }

    /// The same computed by another instruction set, for tests and comparisons.
    #[cfg(test)]
    fn with_isa(mut self, isa: Isa) -> Self {
        for head in &mut self.heads {
            head.keys = head.keys.clone().with_isa(isa);
            head.values = head.values.clone().with_isa(isa);
        }
        self
    }

    /// Attention of the `queries` of the lines' first tokens, `[lines, hidden]`, over the `tokens`, `[tokens, hidden]`, of lines that begin and end at
    /// `offsets`, into `out`, `[lines, hidden]`. The crew shares the heads; it has a scratch for each.
    ///
    /// # Panics
    /// If the extents don't fit each other, a line has no token, or there are fewer scratches than threads.
    pub fn attend(&self, crew: &Crew<'_>, queries: &[f32], tokens: &[f32], offsets: &[usize], out: &mut [f32], scratches: &mut [AttentionScratch]) {
        self.attend_by(Isa::detect(), crew, queries, tokens, offsets, out, scratches);
    }

    #[expect(clippy::too_many_arguments, reason = "the instruction set beside what is attended to")]
    fn attend_by(
        &self,
        isa: Isa,
        crew: &Crew<'_>,
        queries: &[f32],
        tokens: &[f32],
        offsets: &[usize],
        out: &mut [f32],
        scratches: &mut [AttentionScratch],
    ) {
        let (lines, hidden) = (offsets.len().saturating_sub(1), self.hidden);
        assert!(queries.len() == lines * hidden && out.len() == queries.len(), "queries and results are [lines, hidden]");
        assert!(offsets.is_sorted_by(|a, b| a < b) && tokens.len() == offsets.last().map_or(0, |end| end * hidden), "tokens are [tokens, hidden]");
        let parts = scratches.len();
        assert!(parts > 0, "a scratch for each part");
        let (out, scratches) = (Apart::new(out), Apart::new(scratches));
        crew.share(parts, |part| {
            // SAFETY: each part has its own.
            let scratch = &mut unsafe { scratches.part(part, 1) }[0];
            for index in self.heads.len() * part / parts..self.heads.len() * (part + 1) / parts {
                self.head(isa, index, queries, tokens, offsets, &out, scratch);
            }
        });
    }

    /// One head of all lines.
    #[expect(clippy::too_many_arguments, reason = "what `attend` got, for one head")]
    fn head(&self, isa: Isa, index: usize, queries: &[f32], tokens: &[f32], offsets: &[usize], out: &Apart<'_, f32>, scratch: &mut AttentionScratch) {
        let (head, hidden) = (&self.heads[index], self.hidden);
        let (width, lines) = (head.values.outputs(), offsets.len() - 1);
        let AttentionScratch { transposed, probabilities, packed, result, .. } = scratch;
        let own = room(packed, lines * width);
        for (own, row) in own.chunks_exact_mut(width).zip(queries.chunks_exact(hidden)) {
            own.copy_from_slice(&row[index * width..][..width]);
        }
        let means = room(transposed, lines * hidden);
        head.keys.product(&Crew::alone(), own, means);
        weigh(isa, means, tokens, offsets, 1.0 / (width as f32).sqrt(), probabilities);
        let results = room(result, lines * width);
        head.values.product(&Crew::alone(), means, results);
        for (line, row) in results.chunks_exact(width).enumerate() {
            // SAFETY: the columns of a head are written by the one part of the work that has the head.
            unsafe { out.part(line * hidden + index * width, width) }.copy_from_slice(row);
        }
    }
}

multiversion! {
    /// Puts in the place of each line's query, `[lines, hidden]`, the mean of its tokens by the probabilities of their scores.
    fn weigh(queries: &mut [f32], tokens: &[f32], offsets: &[usize], scale: f32, probabilities: &mut Vec<f32>) = weigh_body;
}

#[inline(always)]
fn weigh_body<const FUSED: bool>(queries: &mut [f32], tokens: &[f32], offsets: &[usize], scale: f32, probabilities: &mut Vec<f32>) {
    let hidden = queries.len() / (offsets.len() - 1).max(1);
    for (query, line) in queries.chunks_exact_mut(hidden.max(1)).zip(offsets.windows(2)) {
        let tokens = &tokens[line[0] * hidden..line[1] * hidden];
        let count = line[1] - line[0];
        let scores = room(probabilities, count);
        for (score, token) in scores.iter_mut().zip(tokens.chunks_exact(hidden)) {
            *score = scale * sum_of([&*query, token], |[a, b]| a * b);
        }
        softmax_body::<FUSED>(scores);
        query.fill(0.0);
        for (&probability, token) in scores.iter().zip(tokens.chunks_exact(hidden)) {
            for (mean, &value) in query.iter_mut().zip(token) {
                *mean = fma::<FUSED>(probability, value, *mean);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attention::{AttentionInput, attention};

    fn wave(count: usize, step: f32) -> Vec<f32> {
        (0..count).map(|i| (i as f32 * step).sin()).collect()
    }

    #[test]
    fn first_tokens_get_what_attention_gives_them() {
        let (hidden, offsets) = (48, [0usize, 5, 6, 20, 57]);
        let lines = offsets.len() - 1;
        let tokens = wave(offsets[lines] * hidden, 0.37);
        let weights = wave(3 * hidden * hidden, 0.71);
        let bias = wave(3 * hidden, 0.9);
        for heads in [1, 3, 4] {
            let mut qkv = vec![0.0; 3 * tokens.len()];
            PackedMatrix::new(&weights, &bias, hidden).product(&Crew::alone(), &tokens, &mut qkv);
            let mut whole = vec![0.0; tokens.len()];
            let input = AttentionInput { qkv: &qkv, offsets: &offsets, heads, terms: 1, relative: None, dropout: None };
            attention(&Crew::alone(), input, &mut whole, &mut [AttentionScratch::default()]);
            let firsts = |rows: &[f32], stride: usize| -> Vec<f32> {
                offsets[..lines].iter().flat_map(|&at| rows[at * stride..][..hidden].to_vec()).collect()
            };
            let (queries, expected) = (firsts(&qkv, 3 * hidden), firsts(&whole, hidden));
            let square = hidden * hidden;
            let block = FirstTokenAttention::new(&weights[square..2 * square], &weights[2 * square..], &bias[2 * hidden..], heads);
            for isa in Isa::available() {
                let block = block.clone().with_isa(isa);
                let attend = |queries: &[f32], tokens: &[f32], offsets: &[usize], threads: usize| {
                    let mut out = vec![f32::NAN; queries.len()];
                    let mut scratches = vec![AttentionScratch::default(); threads];
                    Crew::gather(threads, |crew| block.attend_by(isa, crew, queries, tokens, offsets, &mut out, &mut scratches));
                    out
                };
                let together = attend(&queries, &tokens, &offsets, 1);
                let worst = together.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst < 2e-5, "{} {heads}: {worst}", isa.name());
                assert_eq!(attend(&queries, &tokens, &offsets, 3), together, "{}", isa.name());
                for (line, place) in offsets.windows(2).enumerate() {
                    let (query, tokens) = (&queries[line * hidden..][..hidden], &tokens[place[0] * hidden..place[1] * hidden]);
                    assert_eq!(
                        attend(query, tokens, &[0, place[1] - place[0]], 1),
                        together[line * hidden..][..hidden],
                        "{} line {line}",
                        isa.name()
                    );
                }
            }
        }
    }
}
