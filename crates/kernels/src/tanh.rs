use crate::{dispatch::multiversion, isa::Isa, lanes};

/// The hyperbolic tangent of every element, in place.
pub fn tanh(x: &mut [f32]) {
    tanh_on(Isa::detect(), x);
}

/// Multiplies `grad` by the derivative, given the forward result `y`.
pub fn tanh_backward(y: &[f32], grad: &mut [f32]) {
    for (g, &y) in grad.iter_mut().zip(y) {
        *g *= 1.0 - y * y;
    }
}

multiversion! {
    fn tanh_on(x: &mut [f32]) = tanh_body;
}

#[inline(always)]
fn tanh_body<const FUSED: bool>(x: &mut [f32]) {
    for value in x {
        *value = lanes::tanh::<FUSED>(*value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::for_each_isa;

    #[test]
    fn matches_the_library_on_every_isa_and_its_derivative() {
        let x: Vec<f32> = (-200..=200).map(|i| i as f32 * 0.05).collect();
        for_each_isa(|isa| {
            let mut y = x.clone();
            tanh_on(isa, &mut y);
            for (&y, &x) in y.iter().zip(&x) {
                assert!((y - x.tanh()).abs() < 1e-6, "{} {x}", isa.name());
            }
        });
        let (mut y, mut grad) = ([0.3f32], [2.0f32]);
        tanh(&mut y);
        tanh_backward(&y, &mut grad);
        let slope = ((0.301f64).tanh() - (0.299f64).tanh()) / 0.002;
        assert!((f64::from(grad[0]) - 2.0 * slope).abs() < 1e-5);
    }
}
