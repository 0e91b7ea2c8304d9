use crate::{
    dispatch::multiversion,
    isa::Isa,
    lanes::{fma, sum_of},
};

/// Brings each row to mean 0 and variance 1, then scales by `gain` and adds `bias`, in place. A row is as long as `gain`.
pub fn layer_norm(x: &mut [f32], gain: &[f32], bias: &[f32], epsilon: f32) {
    check(x.len(), gain, bias);
    layer_norm_on(Isa::detect(), x, gain, bias, epsilon);
}

/// The gradients of [`layer_norm`] at its input `x`: `grad` comes in as the result's and leaves as the input's; those of
/// `gain` and `bias` are added to `grad_gain` and `grad_bias`.
pub fn layer_norm_backward(x: &[f32], gain: &[f32], epsilon: f32, grad: &mut [f32], grad_gain: &mut [f32], grad_bias: &mut [f32]) {
    check(x.len(), gain, grad_gain);
    check(grad.len(), gain, grad_bias);
    assert_eq!(x.len(), grad.len(), "one gradient an element");
    layer_norm_backward_on(Isa::detect(), x, gain, epsilon, grad, grad_gain, grad_bias);
}

fn check(elements: usize, gain: &[f32], bias: &[f32]) {
    assert!(!gain.is_empty() && gain.len() == bias.len() && elements.is_multiple_of(gain.len()), "rows are as long as gain and bias");
}

multiversion! {
    fn layer_norm_on(x: &mut [f32], gain: &[f32], bias: &[f32], epsilon: f32) = layer_norm_body;
}
multiversion! {
    fn layer_norm_backward_on(x: &[f32], gain: &[f32], epsilon: f32, grad: &mut [f32], grad_gain: &mut [f32], grad_bias: &mut [f32]) = layer_norm_backward_body;
}

/// A row's mean and the reciprocal of its standard deviation. The variance is taken from the differences, not from the
/// squares' mean, which would cancel.
#[inline(always)]
fn statistics(row: &[f32], epsilon: f32) -> (f32, f32) {
    let count = row.len() as f32;
    let mean = sum_of([row], |[value]| value) / count;
    let variance = sum_of([row], |[value]| (value - mean) * (value - mean)) / count;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

#[inline(always)]
fn layer_norm_body<const FUSED: bool>(x: &mut [f32], gain: &[f32], bias: &[f32], epsilon: f32) {
    let width = gain.len();
    for row in x.chunks_exact_mut(width) {
        let (mean, scale) = statistics(row, epsilon);
        for ((value, &g), &b) in row.iter_mut().zip(gain).zip(bias) {
            *value = fma::<FUSED>((*value - mean) * scale, g, b);
        }
    }
}

#[inline(always)]
fn layer_norm_backward_body<const FUSED: bool>(
    x: &[f32],
    gain: &[f32],
    epsilon: f32,
    grad: &mut [f32],
    grad_gain: &mut [f32],
    grad_bias: &mut [f32],
) {
    let width = gain.len();
    let (gain, grad_gain, grad_bias) = (&gain[..width], &mut grad_gain[..width], &mut grad_bias[..width]);
    for (row, grad) in x.chunks_exact(width).zip(grad.chunks_exact_mut(width)) {
        let (mean, scale) = statistics(row, epsilon);
        for i in 0..width {
            grad_gain[i] = fma::<FUSED>(grad[i] * scale, row[i] - mean, grad_gain[i]);
            grad_bias[i] += grad[i];
        }
        let count = width as f32;
        let average = sum_of([grad, gain], |[grad, gain]| grad * gain) / count;
        let along = sum_of([grad, gain, row], |[grad, gain, value]| grad * gain * (value - mean)) * scale * scale / count;
        for i in 0..width {
            grad[i] = (grad[i] * gain[i] - average - (row[i] - mean) * along) * scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::for_each_isa;

    fn wave(len: usize, step: f32) -> Vec<f32> {
        (0..len).map(|i| (i as f32 * step).sin() * 1.7 + 0.3).collect()
    }

    /// The loss `Σ y · weight` in f64.
    fn loss(x: &[f32], gain: &[f32], bias: &[f32], weight: &[f32]) -> f64 {
        let width = gain.len();
        let mut total = 0.0;
        for (row, weight) in x.chunks(width).zip(weight.chunks(width)) {
            let mean = row.iter().map(|&v| f64::from(v)).sum::<f64>() / width as f64;
            let variance = row.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / width as f64;
            for i in 0..width {
                let y = (f64::from(row[i]) - mean) / (variance + 1e-5).sqrt() * f64::from(gain[i]) + f64::from(bias[i]);
                total += y * f64::from(weight[i]);
            }
        }
        total
    }

    #[test]
    fn forward_and_backward_match_f64_on_every_isa() {
        for width in [1, 7, 16, 32, 45] {
            let (x, gain, bias, weight) = (wave(3 * width, 0.7), wave(width, 0.2), wave(width, 0.9), wave(3 * width, 1.3));
            for_each_isa(|isa| {
                let mut y = x.clone();
                layer_norm_on(isa, &mut y, &gain, &bias, 1e-5);
                let got: f64 = y.iter().zip(&weight).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
                assert!((got - loss(&x, &gain, &bias, &weight)).abs() < 1e-3, "{} {width}", isa.name());

                let (mut grad, mut grad_gain, mut grad_bias) = (weight.clone(), vec![0.0; width], vec![0.0; width]);
                layer_norm_backward_on(isa, &x, &gain, 1e-5, &mut grad, &mut grad_gain, &mut grad_bias);
                let check = |which: &str, values: &[f32], got: &[f32], at: &dyn Fn(&[f32]) -> f64| {
                    for i in 0..values.len() {
                        let (mut up, mut down) = (values.to_vec(), values.to_vec());
                        up[i] += 1e-3;
                        down[i] -= 1e-3;
                        let slope = (at(&up) - at(&down)) / f64::from(up[i] - down[i]);
                        assert!(
                            (slope - f64::from(got[i])).abs() < 2e-3 * (1.0 + slope.abs()),
                            "{} {which} {width} {i}: {slope} {}",
                            isa.name(),
                            got[i]
                        );
                    }
                };
                if width > 1 {
                    check("x", &x, &grad, &|v| loss(v, &gain, &bias, &weight));
                }
                check("gain", &gain, &grad_gain, &|v| loss(&x, v, &bias, &weight));
                check("bias", &bias, &grad_bias, &|v| loss(&x, &gain, v, &weight));
            });
        }
    }

    #[test]
    fn a_row_does_not_depend_on_the_others() {
        let (x, gain, bias) = (wave(5 * 48, 0.3), wave(48, 0.2), wave(48, 0.9));
        let mut together = x.clone();
        layer_norm(&mut together, &gain, &bias, 1e-12);
        for (row, expected) in x.chunks(48).zip(together.chunks(48)) {
            let mut alone = row.to_vec();
            layer_norm(&mut alone, &gain, &bias, 1e-12);
            assert_eq!(alone, expected);
        }
    }
}
