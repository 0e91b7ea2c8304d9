//! What the trainer's products reach on this processor, in f32 and with factors in bf16, all threads: `cargo run --release -p attackline-kernels --example bf16_rates`.
//! A batch of 2,048 tokens through MiniLM's widths (384, 1536) and a base model's (768, 3072): forward, and the gradients at the input and at the weight.
#![allow(clippy::print_stdout)]

use attackline_kernels::{Bf16, Transposed, matmul};
use std::time::Instant;

const ROWS: usize = 2048;
const WIDTHS: [(usize, usize); 6] = [(384, 1152), (384, 384), (384, 1536), (1536, 384), (768, 3072), (3072, 768)];

/// Seconds of one call: the least of several.
fn seconds(mut call: impl FnMut()) -> f64 {
    let runs = (0..7).map(|_| {
        let start = Instant::now();
        call();
        start.elapsed().as_secs_f64()
    });
    runs.fold(f64::INFINITY, f64::min)
}

fn main() {
    let bf16 = Bf16::detect();
    println!("Gop/s (a multiplication and an addition are two); bf16: {}", if bf16.is_some() { "yes" } else { "this processor has none" });
    println!("{:>12} {:>10} {:>8} {:>8}", "shape", "", "f32", "bf16");
    for (inputs, outputs) in WIDTHS {
        let value = |i: usize| (i % 251) as f32 / 125.0 - 1.0;
        let x: Vec<f32> = (0..ROWS * inputs).map(value).collect();
        let weight: Vec<f32> = (0..inputs * outputs).map(value).collect();
        let grads: Vec<f32> = (0..ROWS * outputs).map(value).collect();
        let cases = [
            ("forward", &x, &weight, [ROWS, inputs, outputs], Transposed { left: false, right: true }),
            ("at input", &grads, &weight, [ROWS, outputs, inputs], Transposed::default()),
            ("at weight", &grads, &x, [outputs, ROWS, inputs], Transposed { left: true, right: false }),
        ];
        for (name, a, b, [m, k, n], transposed) in cases {
            let mut out = vec![0.0; m * n];
            let rate = |seconds: f64| 2.0 * (ROWS * inputs * outputs) as f64 / seconds / 1e9;
            let f32_rate = rate(seconds(|| matmul(&mut out, a, b, m, k, n, transposed, false, rayon::current_num_threads())));
            let bf16_rate = bf16.map(|bf16| rate(seconds(|| bf16.matmul(&mut out, a, b, m, k, n, transposed, false))));
            println!("{:>12} {name:>10} {f32_rate:>8.0} {:>8.0}", format!("{inputs}x{outputs}"), bf16_rate.unwrap_or_default());
        }
    }
}
