use super::{
    AttentionInput, AttentionScratch, Head, padded,
    relative::{Band, flipped},
    zeros,
};
use crate::{
    dispatch::multiversion,
    isa::Isa,
    lanes::sum_of,
    small_product::{Right, Strided, product},
};

/// Where the gradients go.
#[derive(Debug)]
pub struct AttentionGradients<'a> {
    /// Of queries, keys and values; overwritten.
    pub qkv: &'a mut [f32],
    /// Of the projected tables of relative positions, where there are such terms: `(table, its gradient)`, both `[rows, hidden]`; the
    /// gradients are added to. First what queries meet.
    pub keys: Option<(&'a [f32], &'a mut [f32])>,
    /// What keys meet.
    pub queries: Option<(&'a [f32], &'a mut [f32])>,
}

/// The gradient of [`attention`](super::attention). The probabilities are computed again, and the mask is drawn again, so that neither
/// is stored.
pub fn attention_backward(input: AttentionInput<'_>, grad_out: &[f32], gradients: AttentionGradients<'_>, scratch: &mut AttentionScratch) {
    input.check(grad_out.len());
    assert_eq!(input.qkv.len(), gradients.qkv.len(), "one gradient an element");
    for (table, grad) in [&gradients.keys, &gradients.queries].into_iter().flatten() {
        assert_eq!(table.len(), grad.len(), "one gradient an element of the table");
    }
    attention_backward_on(Isa::detect(), input, grad_out, gradients, scratch);
}

multiversion! {
    fn attention_backward_on(input: AttentionInput<'_>, grad_out: &[f32], gradients: AttentionGradients<'_>, scratch: &mut AttentionScratch) = attention_backward_body;
}

#[inline(always)]
fn attention_backward_body<const FUSED: bool>(
    input: AttentionInput<'_>,
    grad_out: &[f32],
    mut gradients: AttentionGradients<'_>,
    scratch: &mut AttentionScratch,
) {
    if input.tokens() == 0 {
        return;
    }
    let hidden = input.hidden();
    let wide = 3 * hidden;
    for head in input.heads() {
        let (length, stride, width) = (head.length, padded(head.length), padded(head.width));
        head.slopes::<FUSED>(&input, grad_out, scratch);
        let AttentionScratch { packed, result, slopes, dropped, .. } = &mut *scratch;
        // Of values, queries and keys in turn: a square matrix (as it is or transposed) times a packed part.
        for (matrix, transposed, source, row, part, target) in [
            (&dropped[..], true, grad_out, hidden, 0, 2 * hidden),
            (&slopes[..], false, input.qkv, wide, hidden, 0),
            (&slopes[..], true, input.qkv, wide, 0, hidden),
        ] {
            let right = head.rows(source, row, part, packed);
            let result = zeros(result, length * width);
            let left = if transposed { flipped(matrix, stride) } else { Strided { data: matrix, row: stride, step: 1 } };
            product::<FUSED>(left, right, [length, length, width], result);
            head.write_back(result, gradients.qkv, wide, target);
        }
        if let Some(relative) = &input.relative {
            let band = relative.band(length);
            if let Some((table, grad)) = &mut gradients.keys {
                head.position_gradients::<FUSED>(&band, (true, 0), input.qkv, table, grad, gradients.qkv, scratch);
            }
            if let Some((table, grad)) = &mut gradients.queries {
                head.position_gradients::<FUSED>(&band, (false, hidden), input.qkv, table, grad, gradients.qkv, scratch);
            }
        }
    }
}

impl Head {
    /// The gradient of the unscaled scores into `scratch.slopes` and the probabilities after dropout into `scratch.dropped`, both
    /// `[length, padded length]`.
    #[inline(always)]
    fn slopes<const FUSED: bool>(&self, input: &AttentionInput<'_>, grad_out: &[f32], scratch: &mut AttentionScratch) {
        let AttentionScratch { transposed, probabilities, slopes, dropped, places, .. } = scratch;
        let stride = padded(self.length);
        self.probabilities::<FUSED>(input, transposed, probabilities, places);
        // Of the probabilities: (out's gradient) · valuesᵀ through the mask, then through softmax.
        let values = zeros(transposed, self.width * stride);
        self.copy_transposed(input.qkv, 3 * self.hidden, 2 * self.hidden, values);
        let slopes = zeros(slopes, self.length * stride);
        product::<FUSED>(self.view(grad_out, self.hidden, 0), Right { data: values, row: stride }, [self.length, self.width, stride], slopes);
        self.apply_mask(slopes);
        dropped.clone_from(probabilities);
        self.apply_mask(dropped);
        for (slope, p) in slopes.chunks_exact_mut(stride).zip(probabilities.chunks_exact(stride)) {
            let mean = sum_of([slope, p], |[slope, p]| slope * p);
            for (slope, &p) in slope.iter_mut().zip(p) {
                *slope = (*slope - mean) * p * self.scale;
            }
        }
    }

    /// The gradients through one term of relative positions: of the queries (`part` 0) or keys that meet `table`, added to `grad_qkv`,
    /// and of the table, added to `grad_table`.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "slices and their extents")]
    fn position_gradients<const FUSED: bool>(
        &self,
        band: &Band<'_>,
        (by_query, part): (bool, usize),
        qkv: &[f32],
        table: &[f32],
        grad_table: &mut [f32],
        grad_qkv: &mut [f32],
        scratch: &mut AttentionScratch,
    ) {
        let AttentionScratch { packed, result, slopes, places, .. } = scratch;
        let (wide, width, columns) = (3 * self.hidden, padded(self.width), padded(band.count));
        let by_place = zeros(places, self.length * columns);
        band.gather(slopes, by_query, columns, by_place);

        let rows = zeros(packed, band.count * width);
        band.copy(table, self, rows);
        let of_content = zeros(result, self.length * width);
        let left = Strided { data: by_place, row: columns, step: 1 };
        product::<FUSED>(left, Right { data: rows, row: width }, [self.length, band.count, width], of_content);
        for (i, values) in of_content.chunks_exact(width).enumerate() {
            let target = &mut grad_qkv[(self.first + i) * wide + part + self.column..][..self.width];
            target.iter_mut().zip(values).for_each(|(total, value)| *total += value);
        }

        let content = self.rows(qkv, wide, part, packed);
        let of_table = zeros(result, band.count * width);
        product::<FUSED>(flipped(by_place, columns), content, [band.count, self.length, width], of_table);
        band.add_back(of_table, self, grad_table);
    }
}
