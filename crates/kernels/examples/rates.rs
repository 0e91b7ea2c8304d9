//! What the kernels reach on this processor, one thread: `cargo run --release -p attackline-kernels --example rates`.
//! The shapes are those of MiniLM-L6 with one line of 16 tokens and with 376 tokens of ragged lines.
#![allow(clippy::print_stdout)]

use attackline_kernels::{
    AttentionInput, AttentionScratch, Crew, Int8Matrix, PackedMatrix, QuantizedRows, Relative, RelativeTerms, Transposed, attention, gelu,
    layer_norm, matmul,
};
use std::time::Instant;

const SHAPES: [(usize, usize, usize); 5] = [(16, 384, 1536), (376, 384, 1152), (376, 384, 1536), (376, 1536, 384), (376, 384, 384)];

/// Seconds of one call, over a hundred.
fn seconds(mut call: impl FnMut()) -> f64 {
    call();
    let start = Instant::now();
    for _ in 0..100 {
        call();
    }
    start.elapsed().as_secs_f64() / 100.0
}

fn main() {
    for (rows, inner, columns) in SHAPES {
        let (activations, weight, bias) = (vec![0.5; rows * inner], vec![0.25; columns * inner], vec![0.1; columns]);
        let mut out = vec![0.0; rows * columns];
        let matrix = PackedMatrix::new(&weight, &bias, inner);
        let packed = seconds(|| matrix.product(&Crew::alone(), &activations, &mut out));
        let right = Transposed { left: false, right: true };
        let general = seconds(|| matmul(&mut out, &activations, &weight, rows, inner, columns, right, false, 1));
        let gigaflop = 2.0 * (rows * inner * columns) as f64 / 1e9;
        println!("{rows}x{inner}x{columns}: packed {:.0} Gflop/s, general {:.0} Gflop/s", gigaflop / packed, gigaflop / general);
    }
    let mut wide = vec![0.3; 376 * 1536];
    let count = wide.len() as f64;
    // What stays as it is: the small would come to nearly nothing, which processors are slow with.
    wide.fill(20.0);
    println!("gelu {:.2} ns an element", seconds(|| gelu(&mut wide)) * 1e9 / count);
    let (gain, shift) = (vec![1.0; 384], vec![0.0; 384]);
    println!("layer norm {:.2} ns an element", seconds(|| layer_norm(&mut wide, &gain, &shift, 1e-12)) * 1e9 / count);
    let (matrix, mut rounded) = (Int8Matrix::new(&[&[1; 1536]], &[1.0], &[0.0], 1536), QuantizedRows::default());
    println!("to int8 {:.2} ns an element", seconds(|| matrix.quantize(&wide, &mut rounded)) * 1e9 / count);
    let offsets: Vec<usize> = (0..=16).map(|line| line * 376 / 16).collect();
    let (queries, mut context, mut scratch) = (vec![0.01; 376 * 1152], vec![0.0; 376 * 384], [AttentionScratch::default()]);
    let input = AttentionInput { qkv: &queries, offsets: &offsets, heads: 12, terms: 1, relative: None, dropout: None };
    println!("attention over 16 lines of 23 or 24 tokens {:.0} µs", seconds(|| attention(&Crew::alone(), input, &mut context, &mut scratch)) * 1e6);
    let table = vec![0.01; 512 * 768];
    let terms = RelativeTerms::new(Some(&table), Some(&table), 768, 12);
    let distances: Vec<u32> = (256 - 127..=256 + 127).collect();
    let (queries, mut context) = (vec![0.01; 376 * 2304], vec![0.0; 376 * 768]);
    let relative = Some(Relative { terms: &terms, rows: &distances });
    let input = AttentionInput { qkv: &queries, offsets: &offsets, heads: 12, terms: 3, relative, dropout: None };
    println!("the same, 768 wide with relative positions {:.0} µs", seconds(|| attention(&Crew::alone(), input, &mut context, &mut scratch)) * 1e6);
}
