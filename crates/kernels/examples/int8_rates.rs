//! What the int8 product reaches on this processor, one thread, beside f32 and the bare instruction's rate in registers:
//! `cargo run --release -p attackline-kernels --example int8_rates`. Shapes are those of MiniLM (384, 1536) and of base models (768, 3072).
#![allow(clippy::print_stdout)]

use attackline_kernels::{Crew, Edge, Int8Matrix, Isa, PackedMatrix, QuantizedRows};
use std::time::Instant;

const WIDTHS: [(usize, usize); 8] = [(384, 1152), (384, 384), (384, 1536), (1536, 384), (768, 2304), (768, 768), (768, 3072), (3072, 768)];
const ROWS: [usize; 6] = [1, 8, 16, 32, 64, 512];

/// Seconds of one call: the median of several runs of many.
fn seconds(work: f64, mut call: impl FnMut()) -> f64 {
    let calls = ((2e9 / work) as usize).clamp(1, 2000);
    let mut runs: Vec<f64> = (0..5)
        .map(|_| {
            let start = Instant::now();
            (0..calls).for_each(|_| call());
            start.elapsed().as_secs_f64() / calls as f64
        })
        .collect();
    runs.sort_by(f64::total_cmp);
    runs[2]
}

fn main() {
    println!("{}; Gop/s (a multiplication and an addition are two)", Isa::detect().name());
    println!("{:>5} {:>12} {:>8} {:>8} {:>8} {:>8} {:>8}", "rows", "shape", "int8", "+ gelu", "+ add", "quantise", "f32");
    for (inputs, outputs) in WIDTHS {
        let weight: Vec<f32> = (0..inputs * outputs).map(|i| (i % 251) as f32 / 125.0 - 1.0).collect();
        let values: Vec<i8> = (0..inputs * outputs).map(|i| (i % 255) as u8 as i8).collect();
        let (scales, bias) = (vec![0.01; outputs], vec![0.1; outputs]);
        let (exact, int8) = (PackedMatrix::new(&weight, &bias, inputs), Int8Matrix::new(&[&values], &scales, &bias, inputs));
        for rows in ROWS {
            let activations: Vec<f32> = (0..rows * inputs).map(|i| (i % 97) as f32 / 40.0 - 1.0).collect();
            let mut out = vec![0.0; rows * outputs];
            let mut quantized = QuantizedRows::default();
            quantized.quantize(&activations, inputs);
            let work = 2.0 * (rows * inputs * outputs) as f64;
            let rate = |seconds: f64| work / seconds / 1e9;
            let mut product = |edge| rate(seconds(work, || int8.product(&Crew::alone(), &quantized, edge, &mut out)));
            let (plain, gelu, add) = (product(Edge::Write), product(Edge::Gelu), product(Edge::Add));
            let share = seconds(work, || quantized.quantize(&activations, inputs)) * plain * 1e9 / work;
            let f32_rate = rate(seconds(work, || exact.product(&Crew::alone(), &activations, &mut out)));
            let shape = format!("{inputs}x{outputs}");
            println!("{rows:>5} {shape:>12} {plain:>8.0} {gelu:>8.0} {add:>8.0} {:>7.1}% {f32_rate:>8.0}", 100.0 * share);
        }
    }
}
