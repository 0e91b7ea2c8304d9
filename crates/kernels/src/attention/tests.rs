use super::{backward::attention_backward_on, forward::attention_by, *};
use crate::{crew::Crew, dispatch::for_each_isa, dropout::keep};

const OFFSETS: [usize; 6] = [0, 1, 4, 4, 23, 41];

fn wave(len: usize, step: f32) -> Vec<f32> {
    (0..len).map(|i| (i as f32 * step).sin()).collect()
}

/// A table of relative positions in its plain form, with what the tests say of it.
struct Positions {
    keys: Option<Vec<f32>>,
    queries: Option<Vec<f32>>,
    rows: Vec<u32>,
    hidden: usize,
}

impl Positions {
    /// Rows for lines of up to 20 tokens; with `clamped`, distances beyond 4 share a row.
    fn new(hidden: usize, (keys, queries): (bool, bool), clamped: bool) -> Self {
        let reach: isize = if clamped { 4 } else { 24 };
        let rows: Vec<u32> = (-19..=19isize).map(|distance| (distance.clamp(-reach, reach) + reach) as u32).collect();
        let table = |step| wave((2 * reach as usize + 1) * hidden, step);
        Self { keys: keys.then(|| table(0.23)), queries: queries.then(|| table(0.57)), rows, hidden }
    }

    fn terms(&self, heads: usize) -> RelativeTerms {
        RelativeTerms::new(self.keys.as_deref(), self.queries.as_deref(), self.hidden, heads)
    }
}

fn input<'a>(qkv: &'a [f32], heads: usize, relative: Option<Relative<'a>>, dropout: Option<AttentionDropout>) -> AttentionInput<'a> {
    AttentionInput { qkv, offsets: &OFFSETS, heads, terms: if relative.is_some() { 3 } else { 1 }, relative, dropout }
}

/// Attention by its definition in f64, with the mask asked element by element.
fn reference(input: &AttentionInput<'_>, positions: Option<&Positions>) -> Vec<f64> {
    let hidden = input.hidden();
    let mut out = vec![0.0; OFFSETS[5] * hidden];
    for head in input.heads() {
        let at = |token: usize, part: usize, c: usize| f64::from(input.qkv[(head.first + token) * 3 * hidden + part * hidden + head.column + c]);
        let width = head.width;
        for i in 0..head.length {
            let score = |j: usize| {
                let mut total: f64 = (0..width).map(|c| at(i, 0, c) * at(j, 1, c)).sum();
                if let Some(positions) = positions {
                    let row = positions.rows[19 + i - j] as usize * hidden + head.column;
                    let entry = |table: &Option<Vec<f32>>, c: usize| table.as_ref().map_or(0.0, |table| f64::from(table[row + c]));
                    total += (0..width).map(|c| at(i, 0, c) * entry(&positions.keys, c) + at(j, 1, c) * entry(&positions.queries, c)).sum::<f64>();
                }
                (total / ((width * input.terms) as f64).sqrt()).exp()
            };
            let scores: Vec<f64> = (0..head.length).map(score).collect();
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

/// Compares `grad` with finite differences of `loss` at every `step`th element of `x`.
fn check_gradient(name: &str, x: &[f32], grad: &[f32], step: usize, loss: impl Fn(&[f32]) -> f64) {
    assert!(grad.iter().all(|g| g.is_finite()), "{name}");
    for i in (0..x.len()).step_by(step) {
        let (mut up, mut down) = (x.to_vec(), x.to_vec());
        up[i] += 1e-3;
        down[i] -= 1e-3;
        let slope = (loss(&up) - loss(&down)) / f64::from(up[i] - down[i]);
        assert!((slope - f64::from(grad[i])).abs() < 1e-4 * (1.0 + slope.abs()), "{name} {i}: {slope} {}", grad[i]);
    }
}

fn check(heads: usize, hidden: usize, positions: Option<&Positions>, dropout: Option<AttentionDropout>) {
    let qkv = wave(OFFSETS[5] * 3 * hidden, 0.37);
    let grad_out = wave(OFFSETS[5] * hidden, 0.91);
    let terms = positions.map(|positions| positions.terms(heads));
    let relative = terms.as_ref().zip(positions).map(|(terms, positions)| Relative { terms, rows: &positions.rows });
    let expected = reference(&input(&qkv, heads, relative, dropout), positions);
    let weigh = |out: Vec<f64>| out.iter().zip(&grad_out).map(|(y, &g)| y * f64::from(g)).sum::<f64>();
    for_each_isa(|isa| {
        let (mut scratch, mut scratches) = (AttentionScratch::default(), vec![AttentionScratch::default(); 3]);
        let mut out = vec![f32::NAN; OFFSETS[5] * hidden];
        Crew::gather(2, |crew| attention_by(isa, crew, input(&qkv, heads, relative, dropout), &mut out, &mut scratches));
        for (got, wanted) in out.iter().zip(&expected) {
            assert!((f64::from(*got) - wanted).abs() < 1e-5, "{} {heads}: {got} {wanted}", isa.name());
        }
        let mut grad = vec![f32::NAN; qkv.len()];
        let table = |which: fn(&Positions) -> Option<&Vec<f32>>| positions.and_then(which).map(|table| (table.clone(), vec![0.0; table.len()]));
        let (mut keys, mut queries) = (table(|p| p.keys.as_ref()), table(|p| p.queries.as_ref()));
        let gradients = AttentionGradients {
            qkv: &mut grad,
            keys: keys.as_mut().map(|(table, grad)| (&table[..], &mut grad[..])),
            queries: queries.as_mut().map(|(table, grad)| (&table[..], &mut grad[..])),
        };
        attention_backward_on(isa, input(&qkv, heads, relative, dropout), &grad_out, gradients, &mut scratch);
        let step = if hidden > 16 { 397 } else { 41 };
        check_gradient("qkv", &qkv, &grad, step, |qkv| weigh(reference(&input(qkv, heads, relative, dropout), positions)));
        for (which, side) in [("keys", &keys), ("queries", &queries)] {
            let (Some((table, grad)), Some(positions)) = (side, positions) else { continue };
            check_gradient(which, table, grad, step / 4, |moved| {
                let (mut keys, mut queries) = (positions.keys.clone(), positions.queries.clone());
                *(if which == "keys" { &mut keys } else { &mut queries }) = Some(moved.to_vec());
                let moved = Positions { keys, queries, rows: positions.rows.clone(), hidden };
                weigh(reference(&input(&qkv, heads, relative, dropout), Some(&moved)))
            });
        }
    });
}

const SHAPES: [(usize, usize); 3] = [(1, 16), (2, 10), (3, 96)];

fn with_and_without_dropout() -> [Option<AttentionDropout>; 2] {
    [None, Some(AttentionDropout { rate: 0.3, seed: 5, first_line: 2 })]
}

#[test]
fn forward_and_backward_match_the_definition_on_every_isa() {
    for (heads, hidden) in SHAPES {
        for dropout in with_and_without_dropout() {
            check(heads, hidden, None, dropout);
        }
    }
}

#[test]
fn relative_positions_match_the_definition_on_every_isa() {
    for ((heads, hidden), clamped) in SHAPES.into_iter().zip([true, false, true]) {
        for terms in [(true, true), (true, false), (false, true)] {
            let positions = Positions::new(hidden, terms, clamped);
            for dropout in with_and_without_dropout() {
                check(heads, hidden, Some(&positions), dropout);
            }
        }
    }
}

#[test]
fn a_line_does_not_depend_on_the_others() {
    let (heads, hidden) = (2, 32);
    let qkv = wave(OFFSETS[5] * 3 * hidden, 0.37);
    let mut scratch = [AttentionScratch::default()];
    for positions in [None, Some(Positions::new(hidden, (true, true), true)), Some(Positions::new(hidden, (true, true), false))] {
        let terms = positions.as_ref().map(|positions| positions.terms(heads));
        let relative = terms.as_ref().zip(positions.as_ref()).map(|(terms, positions)| Relative { terms, rows: &positions.rows });
        let whole = input(&qkv, heads, relative, None);
        let mut together = vec![0.0; OFFSETS[5] * hidden];
        attention(&Crew::alone(), whole, &mut together, &mut scratch);
        for pair in OFFSETS.windows(2) {
            let mut alone = vec![0.0; (pair[1] - pair[0]) * hidden];
            let offsets = [0, pair[1] - pair[0]];
            let line = AttentionInput { qkv: &qkv[pair[0] * 3 * hidden..pair[1] * 3 * hidden], offsets: &offsets, ..whole };
            attention(&Crew::alone(), line, &mut alone, &mut scratch);
            assert_eq!(alone, together[pair[0] * hidden..pair[1] * hidden]);
        }
    }
}
