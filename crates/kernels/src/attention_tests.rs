use super::*;
use crate::dispatch::for_each_isa;

const OFFSETS: [usize; 6] = [0, 1, 4, 4, 23, 41];

fn wave(len: usize, step: f32) -> Vec<f32> {
    (0..len).map(|i| (i as f32 * step).sin()).collect()
}

/// Attention by its definition in f64, with the mask asked element by element.
fn reference(qkv: &[f32], heads: usize, hidden: usize, dropout: Option<AttentionDropout>) -> Vec<f64> {
    let width = hidden / heads;
    let mut out = vec![0.0; OFFSETS[5] * hidden];
    for head in heads_of(&OFFSETS, heads, hidden, dropout) {
        let at = |token: usize, part: usize, c: usize| f64::from(qkv[(head.first + token) * 3 * hidden + part * hidden + head.column + c]);
        for i in 0..head.length {
            let scores: Vec<f64> =
                (0..head.length).map(|j| (0..width).map(|c| at(i, 0, c) * at(j, 1, c)).sum::<f64>() / (width as f64).sqrt()).map(f64::exp).collect();
            let total: f64 = scores.iter().sum();
            for (j, score) in scores.iter().enumerate() {
                let kept = head.mask.map_or(1.0, |(mask, scale)| keep(mask, ((i << 16) + j) as u32, scale));
                for c in 0..width {
                    out[(head.first + i) * hidden + head.column + c] += score / total * f64::from(kept) * at(j, 2, c);
                }
            }
        }
    }
    out
}

#[test]
fn forward_and_backward_match_the_definition_on_every_isa() {
    for (heads, hidden) in [(1, 16), (2, 10), (3, 96)] {
        let qkv = wave(OFFSETS[5] * 3 * hidden, 0.37);
        let grad_out = wave(OFFSETS[5] * hidden, 0.91);
        for dropout in [None, Some(AttentionDropout { rate: 0.3, seed: 5, first_line: 2 })] {
            let expected = reference(&qkv, heads, hidden, dropout);
            let loss = |qkv: &[f32]| reference(qkv, heads, hidden, dropout).iter().zip(&grad_out).map(|(y, &g)| y * f64::from(g)).sum::<f64>();
            for_each_isa(|isa| {
                let mut scratch = AttentionScratch::default();
                let mut out = vec![f32::NAN; OFFSETS[5] * hidden];
                attention_on(isa, &qkv, &OFFSETS, heads, dropout, &mut out, &mut scratch);
                for (got, wanted) in out.iter().zip(&expected) {
                    assert!((f64::from(*got) - wanted).abs() < 1e-5, "{} {heads}: {got} {wanted}", isa.name());
                }
                let mut grad = vec![f32::NAN; qkv.len()];
                attention_backward_on(isa, &qkv, &OFFSETS, heads, dropout, &grad_out, &mut grad, &mut scratch);
                assert!(grad.iter().all(|g| g.is_finite()));
                for i in (0..qkv.len()).step_by(if hidden > 16 { 397 } else { 41 }) {
                    let (mut up, mut down) = (qkv.clone(), qkv.clone());
                    up[i] += 1e-3;
                    down[i] -= 1e-3;
                    let slope = (loss(&up) - loss(&down)) / f64::from(up[i] - down[i]);
                    assert!((slope - f64::from(grad[i])).abs() < 1e-4 * (1.0 + slope.abs()), "{} {heads} {i}: {slope} {}", isa.name(), grad[i]);
                }
            });
        }
    }
}

#[test]
fn a_line_does_not_depend_on_the_others() {
    let (heads, hidden) = (2, 32);
    let qkv = wave(OFFSETS[5] * 3 * hidden, 0.37);
    let mut scratch = AttentionScratch::default();
    let mut together = vec![0.0; OFFSETS[5] * hidden];
    attention(&qkv, &OFFSETS, heads, &mut together, &mut scratch);
    for pair in OFFSETS.windows(2) {
        let mut alone = vec![0.0; (pair[1] - pair[0]) * hidden];
        attention(&qkv[pair[0] * 3 * hidden..pair[1] * 3 * hidden], &[0, pair[1] - pair[0]], heads, &mut alone, &mut scratch);
        assert_eq!(alone, together[pair[0] * hidden..pair[1] * hidden]);
    }
}
