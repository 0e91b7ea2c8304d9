use super::{AttentionInput, AttentionScratch, Head, padded, room};
use crate::{
    crew::{Apart, Crew},
    dispatch::multiversion,
    isa::Isa,
    small_product::{Right, Strided, product},
    softmax::{softmax_body, softmax_columns},
};
use std::ops::Range;

/// Attention of each line over itself, into `out` `[tokens, hidden]`. The crew shares the heads, in as many parts as there are `scratches`.
pub fn attention(crew: &Crew<'_>, input: AttentionInput<'_>, out: &mut [f32], scratches: &mut [AttentionScratch]) {
    attention_by(Isa::detect(), crew, input, out, scratches);
}

pub(super) fn attention_by(isa: Isa, crew: &Crew<'_>, input: AttentionInput<'_>, out: &mut [f32], scratches: &mut [AttentionScratch]) {
    input.check(out.len());
    let parts = scratches.len();
    assert!(parts > 0, "a scratch for each part");
    let (out, scratches) = (Apart::new(out), Apart::new(scratches));
    crew.share(parts, |part| {
        let heads = input.heads * part / parts..input.heads * (part + 1) / parts;
        // SAFETY: each part has its own.
        let scratch = &mut unsafe { scratches.part(part, 1) }[0];
        attention_on(isa, input, heads, &out, scratch);
    });
}

multiversion! {
    fn attention_on(input: AttentionInput<'_>, heads: Range<usize>, out: &Apart<'_, f32>, scratch: &mut AttentionScratch) = attention_body;
}

#[inline(always)]
fn attention_body<const FUSED: bool>(input: AttentionInput<'_>, heads: Range<usize>, out: &Apart<'_, f32>, scratch: &mut AttentionScratch) {
    if input.tokens() == 0 {
        return;
    }
    let hidden = input.hidden();
    let AttentionScratch { transposed, probabilities, packed, result, places, .. } = scratch;
    for head in input.heads().filter(|head| heads.contains(&head.index)) {
        let (stride, width) = (padded(head.length), padded(head.width));
        // Side by side, queries need no sums across a register; masks are drawn for keys side by side.
        let [row, step] = if head.mask.is_none() {
            head.probabilities_by_key::<FUSED>(&input, transposed, probabilities, places);
            [1, stride]
        } else {
            head.probabilities::<FUSED>(&input, transposed, probabilities, places);
            head.apply_mask(probabilities);
            [stride, 1]
        };
        let values = head.rows(input.qkv, 3 * hidden, 2 * hidden, packed);
        let context = room(result, head.length * width);
        let left = Strided { data: probabilities, row, step };
        product::<FUSED>(left, values, [head.length, head.length, width], context);
        for (i, values) in context.chunks_exact(width).enumerate() {
            // SAFETY: the columns of a head are written by the one part of the work that has the head.
            unsafe { out.part((head.first + i) * hidden + head.column, head.width) }.copy_from_slice(&values[..head.width]);
        }
    }
}

impl Head {
    /// The probabilities with a row for each key, `[length, padded length]`: what stands in the padding belongs to no query.
    #[inline(always)]
    fn probabilities_by_key<const FUSED: bool>(
        &self,
        input: &AttentionInput<'_>,
        transposed: &mut Vec<f32>,
        probabilities: &mut Vec<f32>,
        places: &mut Vec<f32>,
    ) {
        let (row, stride) = (3 * self.hidden, padded(self.length));
        let queries = room(transposed, self.width * stride);
        self.copy_transposed(input.qkv, row, 0, queries);
        let scores = room(probabilities, self.length * stride);
        product::<FUSED>(self.view(input.qkv, row, self.hidden), Right { data: queries, row: stride }, [self.length, self.width, stride], scores);
        if let Some(relative) = &input.relative {
            relative.add_terms::<FUSED>(self, true, input.qkv, scores, places);
        }
        softmax_columns::<FUSED>(scores, stride, self.scale);
    }

    /// The probabilities before dropout, `[length, padded length]`, 0 in the padding.
    #[inline(always)]
    pub(super) fn probabilities<const FUSED: bool>(
        &self,
        input: &AttentionInput<'_>,
        transposed: &mut Vec<f32>,
        probabilities: &mut Vec<f32>,
        places: &mut Vec<f32>,
    ) {
        let (row, stride) = (3 * self.hidden, padded(self.length));
        let keys = room(transposed, self.width * stride);
        self.copy_transposed(input.qkv, row, self.hidden, keys);
        let scores = room(probabilities, self.length * stride);
        product::<FUSED>(self.view(input.qkv, row, 0), Right { data: keys, row: stride }, [self.length, self.width, stride], scores);
        if let Some(relative) = &input.relative {
            relative.add_terms::<FUSED>(self, false, input.qkv, scores, places);
        }
        for row in scores.chunks_exact_mut(stride) {
            for value in row.iter_mut() {
                *value *= self.scale;
            }
            row[self.length..].fill(f32::NEG_INFINITY);
            softmax_body::<FUSED>(row);
            row[self.length..].fill(0.0);
        }
    }
}
