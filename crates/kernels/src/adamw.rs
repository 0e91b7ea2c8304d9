use crate::{dispatch::multiversion, isa::Isa, lanes::fma};

/// The numbers of one AdamW step (Loshchilov and Hutter 2019: decay is apart from the gradient).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// Learning rate of this step.
    pub learning_rate: f32,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// Weight decay per unit of learning rate.
    pub weight_decay: f32,
    /// The step's number, from 1.
    pub step: u64,
    /// The gradient is multiplied by this first (clipping).
    pub gradient_scale: f32,
}

/// Updates one tensor and its two moments.
pub fn adamw(settings: &AdamW, weights: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) {
    assert!(
        weights.len() == gradient.len() && weights.len() == first.len() && weights.len() == second.len(),
        "as many gradients and moments as weights"
    );
    assert!(settings.step > 0, "steps count from 1");
    adamw_on(Isa::detect(), settings, weights, gradient, first, second);
}

multiversion! {
    fn adamw_on(settings: &AdamW, weights: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) = adamw_body;
}

#[inline(always)]
fn adamw_body<const FUSED: bool>(settings: &AdamW, weights: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) {
    let AdamW { learning_rate, beta1, beta2, epsilon, weight_decay, step, gradient_scale } = *settings;
    let step = step.min(i32::MAX as u64) as i32;
    let correction1 = 1.0 - f64::from(beta1).powi(step);
    let correction2 = 1.0 - f64::from(beta2).powi(step);
    let rate = (f64::from(learning_rate) / correction1) as f32;
    let root = (1.0 / correction2).sqrt() as f32;
    let shrink = 1.0 - learning_rate * weight_decay;
    for (((w, &g), m), v) in weights.iter_mut().zip(gradient).zip(first.iter_mut()).zip(second.iter_mut()) {
        let g = g * gradient_scale;
        *m = fma::<FUSED>(beta1, *m, (1.0 - beta1) * g);
        *v = fma::<FUSED>(beta2, *v, (1.0 - beta2) * g * g);
        *w = *w * shrink - rate * *m / fma::<FUSED>(v.sqrt(), root, epsilon);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::for_each_isa;

    #[test]
    fn follows_the_definition_on_every_isa() {
        for_each_isa(|isa| {
            let gradients: Vec<f32> = (0..37).map(|i| (i as f32 * 0.9).sin()).collect();
            let mut weights: Vec<f32> = (0..37).map(|i| i as f32 * 0.1 - 1.0).collect();
            let mut exact: Vec<[f64; 3]> = weights.iter().map(|&w| [f64::from(w), 0.0, 0.0]).collect();
            let (mut first, mut second) = (vec![0.0; 37], vec![0.0; 37]);
            for step in 1..=5u64 {
                let settings = AdamW { learning_rate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.1, step, gradient_scale: 0.5 };
                adamw_on(isa, &settings, &mut weights, &gradients, &mut first, &mut second);
                for ([w, m, v], &g) in exact.iter_mut().zip(&gradients) {
                    let g = f64::from(g) * 0.5;
                    *m = 0.9 * *m + 0.1 * g;
                    *v = 0.999 * *v + 0.001 * g * g;
                    let (m_hat, v_hat) = (*m / (1.0 - 0.9f64.powi(step as i32)), *v / (1.0 - 0.999f64.powi(step as i32)));
                    *w -= 0.01 * 0.1 * *w + 0.01 * m_hat / (v_hat.sqrt() + 1e-8);
                }
            }
            for (i, (&w, [exact, ..])) in weights.iter().zip(&exact).enumerate() {
                assert!((f64::from(w) - exact).abs() < 1e-5, "{} {i}: {w} {exact}", isa.name());
            }
        });
    }
}
