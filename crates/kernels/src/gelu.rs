use crate::{
    dispatch::multiversion,
    isa::Isa,
    lanes::{self, above_half, exp, fma},
};
use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

/// The exact Gaussian error linear unit, `x · Φ(x)`, of every element, in place.
pub fn gelu(x: &mut [f32]) {
    gelu_on(Isa::detect(), x);
}

/// Multiplies `grad` by the derivative at the forward input `x`.
pub fn gelu_backward(x: &[f32], grad: &mut [f32]) {
    assert_eq!(x.len(), grad.len(), "one gradient an element");
    gelu_backward_on(Isa::detect(), x, grad);
}

multiversion! {
    fn gelu_on(x: &mut [f32]) = gelu_body;
}
multiversion! {
    fn gelu_backward_on(x: &[f32], grad: &mut [f32]) = gelu_backward_body;
}

#[inline(always)]
fn gelu_body<const FUSED: bool>(x: &mut [f32]) {
    for value in x {
        *value = lanes::gelu::<FUSED>(*value);
    }
}

#[inline(always)]
fn gelu_backward_body<const FUSED: bool>(x: &[f32], grad: &mut [f32]) {
    for (g, &x) in grad.iter_mut().zip(x) {
        let cumulative = above_half::<FUSED>(x) + 0.5;
        let density = 0.5 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2 * exp::<FUSED>(-0.5 * x * x);
        *g *= fma::<FUSED>(x, density, cumulative);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::for_each_isa;

    #[test]
    fn known_values_on_every_isa() {
        for_each_isa(|isa| {
            // From PyTorch's torch.nn.functional.gelu in f64.
            let mut x = [-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 20.0, -20.0];
            gelu_on(isa, &mut x);
            let expected = [-0.004_049_694, -0.158_655_25, -0.154_268_77, 0.0, 0.345_731_23, 0.841_344_8, 2.995_950_2, 20.0, 0.0];
            for (got, wanted) in x.iter().zip(expected) {
                assert!((got - wanted).abs() < 2e-6, "{}: {got} {wanted}", isa.name());
            }
        });
    }

    #[test]
    fn backward_matches_finite_differences_on_every_isa() {
        let x: Vec<f32> = (-80..=80).map(|i| i as f32 * 0.061).collect();
        let value = |shift: f32| {
            let mut moved: Vec<f32> = x.iter().map(|v| v + shift).collect();
            gelu(&mut moved);
            moved
        };
        let (above, below) = (value(5e-3), value(-5e-3));
        for_each_isa(|isa| {
            let mut grad = vec![3.0; x.len()];
            gelu_backward_on(isa, &x, &mut grad);
            for i in 0..x.len() {
                let slope = 3.0 * (above[i] - below[i]) / 1e-2;
                assert!((grad[i] - slope).abs() < 1e-3, "{} at {}: {} {slope}", isa.name(), x[i], grad[i]);
            }
        });
    }
}
