#![allow(clippy::unwrap_used)]

use super::*;
use attackline_model::Pooling;
use candle_core::{Device, Result, Tensor, Var};
use std::sync::Arc;

fn wave(rows: usize, columns: usize, step: f32) -> Var {
    Var::from_vec((0..rows * columns).map(|i| (i as f32 * step).sin()).collect(), (rows, columns), &Device::Cpu).unwrap()
}

/// Compares the gradients of `Σ run(variables) · weight` with finite differences.
fn check(name: &str, variables: &[Var], run: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let tensors = || variables.iter().map(|v| v.as_tensor().clone()).collect::<Vec<_>>();
    let shape = run(&tensors()).unwrap().shape().clone();
    let weight = Tensor::from_vec((0..shape.elem_count()).map(|i| (i as f32 * 1.7).cos()).collect(), &shape, &Device::Cpu).unwrap();
    let loss = |tensors: &[Tensor]| (run(tensors).unwrap() * &weight).unwrap().sum_all().unwrap();
    let at = |tensors: &[Tensor]| {
        let y = run(tensors).unwrap();
        let (y, w) = (read(&y).unwrap(), read(&weight).unwrap());
        y.iter().zip(w.iter()).map(|(&y, &w)| f64::from(y) * f64::from(w)).sum::<f64>()
    };
    let gradients = loss(&tensors()).backward().unwrap();
    for (index, variable) in variables.iter().enumerate() {
        let gradient = gradients.get(variable.as_tensor()).unwrap();
        let gradient = read(gradient).unwrap();
        assert!(gradient.iter().any(|g| *g != 0.0), "{name}: argument {index} got no gradient");
        let values = read(variable.as_tensor()).unwrap().to_vec();
        for place in (0..values.len()).step_by(1 + values.len() / 40) {
            let moved = |shift: f32| {
                let mut values = values.clone();
                values[place] += shift;
                let mut tensors = tensors();
                tensors[index] = Tensor::from_vec(values, variable.shape(), &Device::Cpu).unwrap();
                at(&tensors)
            };
            let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            let got = f64::from(gradient[place]);
            assert!((slope - got).abs() < 6e-3 * (1.0 + slope.abs()), "{name}: argument {index} at {place}: {slope} {got}");
        }
    }
}

#[test]
fn every_block_has_the_gradient_of_what_it_computes() {
    let rows = 70; // more than two parts
    let dropped = Dropped { rate: 0.25, seed: 3 };
    let offsets: Arc<[usize]> = [0, 5, 6, 20, 31, 50, 51, 70].into();
    let (trainable, epsilon) = (true, 1e-5);
    check("linear", &[wave(rows, 6, 0.3), wave(9, 6, 0.7), Var::from_tensor(&wave(1, 9, 0.4).flatten_all().unwrap()).unwrap()], |v| {
        v[0].apply_op3(&v[1], &v[2], Linear { gelu: false, weight_trainable: trainable, bias_trainable: trainable, outputs: 9, bf16: None })
    });
    check("linear of a GELU", &[wave(rows, 6, 0.3), wave(9, 6, 0.7), Var::from_tensor(&wave(1, 9, 0.4).flatten_all().unwrap()).unwrap()], |v| {
        v[0].apply_op3(&v[1], &v[2], Linear { gelu: true, weight_trainable: trainable, bias_trainable: trainable, outputs: 9, bf16: None })
    });
    check("norm", &[wave(rows, 8, 0.31), wave(2, 8, 0.9)], |v| v[0].apply_op2(&v[1], Norm { epsilon, norm_trainable: trainable }));
    check("add-norm", &[wave(rows, 8, 0.31), wave(rows, 8, 0.57), wave(2, 8, 0.9)], |v| {
        v[0].apply_op3(&v[1], &v[2], AddNorm { epsilon, dropped, norm_trainable: trainable })
    });
    check("gelu", &[wave(rows, 8, 0.31)], |v| v[0].apply_op1(Gelu));
    check("tanh", &[wave(rows, 8, 0.31)], |v| v[0].apply_op1(Tanh));
    check("dropout", &[wave(rows, 8, 0.31)], |v| v[0].apply_op1(Dropout(dropped)));
    for pooling in [Pooling::First, Pooling::Mean] {
        check("pool", &[wave(rows, 8, 0.31)], |v| v[0].apply_op1(Pool { offsets: offsets.clone(), pooling }));
    }
    check("neighbours", &[wave(rows, 8, 0.31)], |v| v[0].apply_op1(Neighbours { offsets: offsets.clone(), kernel: 3 }));
    check("linear without bias, first outputs", &[wave(rows, 6, 0.3), wave(9, 6, 0.7)], |v| {
        v[0].apply_op2(&v[1], Linear { gelu: false, weight_trainable: trainable, bias_trainable: false, outputs: 5, bf16: None })
    });
    let attention = |positions, terms| Attention {
        offsets: offsets.clone(),
        distances: (-18..=18i32).map(|distance| (distance.clamp(-6, 6) + 6) as u32).collect(),
        heads: 2,
        terms,
        positions,
        dropped,
    };
    check("attention", &[wave(rows, 24, 0.31)], |v| v[0].apply_op1(attention(PositionColumns::default(), 1)));
    check("disentangled attention", &[wave(rows, 24, 0.31), wave(13, 16, 0.47)], |v| {
        v[0].apply_op2(&v[1], attention(PositionColumns { keys: Some(8), queries: Some(0) }, 3))
    });
    let class_weights: Option<Arc<[f32]>> = Some([1.0, 2.0, 0.5].into());
    let row_weights: Arc<[f32]> = (0..rows).map(|row| 0.5 + (row % 4) as f32).collect();
    for several in [false, true] {
        let labels: Arc<[Vec<usize>]> = (0..rows).map(|row| if several && row % 5 == 0 { vec![0, 2] } else { vec![row * 7 % 3] }).collect();
        check("cross entropy", &[wave(rows, 3, 0.31)], |v| {
            let (labels, row_weights, class_weights) = (labels.clone(), row_weights.clone(), class_weights.clone());
            v[0].apply_op1(CrossEntropy { labels, row_weights, class_weights, smoothing: 0.1, focus: 0.0, several })
        });
    }
}

#[test]
fn frozen_weights_get_no_gradient() {
    let (x, w, b) = (wave(4, 6, 0.3), wave(9, 6, 0.7), Var::from_tensor(&wave(1, 9, 0.4).flatten_all().unwrap()).unwrap());
    let linear = Linear { gelu: false, weight_trainable: false, bias_trainable: true, outputs: 9, bf16: None };
    let y = x.apply_op3(w.as_tensor(), b.as_tensor(), linear).unwrap();
    let gradients = y.backward().unwrap();
    assert!(gradients.get(w.as_tensor()).is_none() && gradients.get(b.as_tensor()).is_some());
}

#[test]
fn the_number_of_threads_does_not_show_in_pointwise_results() {
    let (x, norm) = (wave(200, 32, 0.13), wave(2, 32, 0.9));
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let y = x.apply_op2(norm.as_tensor(), Norm { epsilon: 1e-5, norm_trainable: true }).unwrap().apply_op1(Gelu).unwrap();
            let gradients = y.backward().unwrap();
            [x.as_tensor(), norm.as_tensor()].map(|t| read(gradients.get(t).unwrap()).unwrap().to_vec())
        })
    };
    assert_eq!(run(1), run(3));
}
