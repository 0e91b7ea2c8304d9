//! The n-gram model that is heard beside an encoder: trained a row at a time, in seconds.

use crate::sampler::below;
use attackline_kernels::softmax;
use attackline_model::{Int8Tensor, NgramWeights, Tensor};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

/// How the n-gram model is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NgramOptions {
    /// Buckets that n-grams are hashed into, a power of two.
    pub buckets: usize,
    /// Numbers that the table holds of a bucket.
    pub width: usize,
    /// Passes over the rows.
    pub epochs: usize,
    /// AdaGrad's learning rate of the table and of the head.
    pub learning_rate: f32,
    /// Passes over the rows for the gate.
    pub gate_epochs: usize,
    /// AdaGrad's learning rate of the gate.
    pub gate_learning_rate: f32,
    /// Seed of the table and of the rows' order.
    pub seed: u64,
}

impl Default for NgramOptions {
    fn default() -> Self {
        Self { buckets: 1 << 17, width: 32, epochs: 5, learning_rate: 0.1, gate_epochs: 5, gate_learning_rate: 0.3, seed: 7 }
    }
}

/// A row to learn from.
#[derive(Debug, Clone, PartialEq)]
pub struct NgramRow {
    /// Its n-grams, as [`attackline_model::ngrams`] makes them for as many buckets.
    pub ngrams: Vec<(u32, f32)>,
    /// The index of its label.
    pub label: usize,
    /// What it counts.
    pub weight: f32,
}

/// Trains table and head on the rows' labels by cross entropy, and the gate on whether their label is another than `benign`, both by AdaGrad
/// (Duchi et al. 2011) with one step size a bucket. The same rows and options give the same weights. `epoch` hears the mean loss of each pass.
pub fn train_ngrams(rows: &[NgramRow], labels: usize, benign: usize, options: NgramOptions, mut epoch: impl FnMut(usize, f64)) -> NgramWeights {
    std::thread::scope(|scope| {
        let gate = scope.spawn(|| train_gate(rows, benign, options));
        let mut model = Model::new(labels, options);
        for pass in 0..options.epochs {
            let losses: f64 =
                order(rows.len(), options.seed, pass as u64).into_iter().map(|row| model.learn(&rows[row], options.learning_rate)).sum();
            epoch(pass + 1, losses / rows.len().max(1) as f64);
        }
        let gate = gate.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let table = Tensor { shape: vec![options.buckets, options.width], data: model.table };
        NgramWeights {
            table: Int8Tensor::quantize(&table).expect("a table is a matrix").into(),
            head: Tensor { shape: vec![labels, options.width], data: model.head },
            bias: Tensor { shape: vec![labels], data: model.bias },
            gate: Tensor { shape: vec![options.buckets + 1], data: gate },
            label_bias: Tensor::zeros(&[labels]),
        }
    })
}

fn order(rows: usize, seed: u64, pass: u64) -> Vec<usize> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(pass + 1);
    let mut order: Vec<usize> = (0..rows).collect();
    for last in (1..rows).rev() {
        order.swap(last, below(&mut random, last + 1));
    }
    order
}

/// Table and head, and AdaGrad's sums of squares: one a bucket, one a label.
struct Model {
    width: usize,
    table: Vec<f32>,
    head: Vec<f32>,
    bias: Vec<f32>,
    table_squares: Vec<f32>,
    head_squares: Vec<f32>,
    sum: Vec<f32>,
    back: Vec<f32>,
    scores: Vec<f32>,
}

impl Model {
    fn new(labels: usize, options: NgramOptions) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(options.seed);
        // Uniform, so that a line's sum is small and the head's rows differ.
        let mut draw =
            |count: usize, most: f32| -> Vec<f32> { (0..count).map(|_| (random.next_u32() as f32 / u32::MAX as f32 * 2.0 - 1.0) * most).collect() };
        let width = options.width;
        Self {
            width,
            table: draw(options.buckets * width, 0.02),
            head: draw(labels * width, 0.2),
            bias: vec![0.0; labels],
            table_squares: vec![1e-6; options.buckets],
            head_squares: vec![1e-3; labels],
            sum: vec![0.0; width],
            back: vec![0.0; width],
            scores: vec![0.0; labels],
        }
    }

    /// A step on one row; its loss before.
    fn learn(&mut self, row: &NgramRow, rate: f32) -> f64 {
        let width = self.width;
        self.sum.fill(0.0);
        for &(bucket, value) in &row.ngrams {
            add(&mut self.sum, value, &self.table[bucket as usize * width..][..width]);
        }
        for ((score, head), bias) in self.scores.iter_mut().zip(self.head.chunks_exact(width)).zip(&self.bias) {
            *score = bias + dot(head, &self.sum);
        }
        softmax(&mut self.scores);
        let loss = -f64::from(self.scores[row.label].max(f32::MIN_POSITIVE).ln()) * f64::from(row.weight);
        self.scores[row.label] -= 1.0;
        self.scores.iter_mut().for_each(|slope| *slope *= row.weight);
        self.back.fill(0.0);
        let squared = dot(&self.sum, &self.sum) + 1.0;
        for (label, &slope) in self.scores.iter().enumerate() {
            // Most labels are out of the question.
            if slope.abs() < 1e-5 {
                continue;
            }
            let head = &mut self.head[label * width..(label + 1) * width];
            add(&mut self.back, slope, head);
            self.head_squares[label] += slope * slope * squared / (width + 1) as f32;
            let step = -rate * slope / self.head_squares[label].sqrt();
            add(head, step, &self.sum);
            self.bias[label] += step;
        }
        let norm = dot(&self.back, &self.back) / width as f32;
        for &(bucket, value) in &row.ngrams {
            let bucket = bucket as usize;
            self.table_squares[bucket] += norm * value * value;
            let step = -rate * value / self.table_squares[bucket].sqrt();
            add(&mut self.table[bucket * width..(bucket + 1) * width], step, &self.back);
        }
        loss
    }
}

/// Logistic regression of attack or not: a weight a bucket and the bias behind the last.
fn train_gate(rows: &[NgramRow], benign: usize, options: NgramOptions) -> Vec<f32> {
    let mut weights = vec![0.0f32; options.buckets + 1];
    let mut squares = vec![1e-6f32; options.buckets + 1];
    for pass in 0..options.gate_epochs {
        for row in order(rows.len(), options.seed, pass as u64).into_iter().map(|row| &rows[row]) {
            let bias = (options.buckets as u32, 1.0);
            let inputs = || row.ngrams.iter().chain([&bias]);
            let logit: f32 = inputs().map(|&(bucket, value)| weights[bucket as usize] * value).sum();
            let wanted = if row.label == benign { 0.0 } else { 1.0 };
            let slope = row.weight * (1.0 / (1.0 + (-logit).exp()) - wanted);
            for &(bucket, value) in inputs() {
                let (bucket, gradient) = (bucket as usize, slope * value);
                squares[bucket] += gradient * gradient;
                weights[bucket] -= options.gate_learning_rate * gradient / squares[bucket].sqrt();
            }
        }
    }
    weights
}

/// `to += factor · from`.
fn add(to: &mut [f32], factor: f32, from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += factor * from);
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, b) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0f32; 8];
    for (a, b) in a.0.iter().zip(b.0) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + a.1.iter().zip(b.1).map(|(a, b)| a * b).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use attackline_model::ngrams;

    const OPTIONS: NgramOptions =
        NgramOptions { buckets: 1 << 12, width: 8, epochs: 5, learning_rate: 0.1, gate_epochs: 5, gate_learning_rate: 0.3, seed: 3 };

    fn rows(first: usize) -> Vec<NgramRow> {
        let verbs = ["list", "save", "open", "send"];
        let row = |number: usize| NgramRow {
            ngrams: ngrams(&format!("tool{} {} item{}", number * 7 % 50, verbs[number % 4], number * 13 % 500), OPTIONS.buckets),
            label: number % 4,
            weight: 1.0,
        };
        (first..first + 600).map(row).collect()
    }

    #[test]
    fn learns_what_words_tell_and_repeats_itself() {
        let mut losses = Vec::new();
        let trained = train_ngrams(&rows(0), 4, 0, OPTIONS, |_, loss| losses.push(loss));
        assert!(losses.len() == 5 && losses[4] < 0.3 * losses[0], "{losses:?}");
        assert_eq!(trained, train_ngrams(&rows(0), 4, 0, OPTIONS, |_, _| ()));
        let gate = &trained.gate.data;
        for row in rows(10_000) {
            let logit: f32 = gate[OPTIONS.buckets] + row.ngrams.iter().map(|&(bucket, value)| gate[bucket as usize] * value).sum::<f32>();
            assert_eq!(logit > 0.0, row.label != 0, "{logit}");
        }
        let table = trained.table.widened();
        let held_out = rows(20_000);
        let hits = held_out.iter().filter(|row| {
            let mut sum = vec![0.0; OPTIONS.width];
            row.ngrams.iter().for_each(|&(bucket, value)| add(&mut sum, value, &table.data[bucket as usize * 8..][..8]));
            let scores: Vec<f32> = trained.head.data.chunks_exact(8).zip(&trained.bias.data).map(|(head, bias)| bias + dot(head, &sum)).collect();
            (0..4).all(|label| label == row.label || scores[label] < scores[row.label])
        });
        assert!(hits.count() > 590);
    }

    #[test]
    fn without_rows_nothing_is_known() {
        let trained = train_ngrams(&[], 2, 0, OPTIONS, |_, _| ());
        assert_eq!((trained.bias.data, trained.gate.data[0]), (vec![0.0, 0.0], 0.0));
    }
}
