use crate::random::Random;

/// A label whose probability is wrong by less than this is left alone.
const LEAST_GRADIENT: f32 = 1e-5;

/// A text as buckets and values, the buckets below [`BaselineOptions::buckets`].
pub type SparseText = Vec<(u32, f32)>;

/// How the baseline is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BaselineOptions {
    /// Passes over the rows.
    pub epochs: usize,
    /// AdaGrad's learning rate.
    pub learning_rate: f32,
    /// Seed of the rows' order.
    pub seed: u64,
    /// Buckets that texts are hashed into.
    pub buckets: usize,
}

impl Default for BaselineOptions {
    fn default() -> Self {
        Self { epochs: 10, learning_rate: 0.3, seed: 1, buckets: 1 << 18 }
    }
}

/// Multi-class logistic regression over hashed n-grams (Joachims 1998 for the idea, Weinberger et al. 2009 for hashing), trained a row at a
/// time with AdaGrad (Duchi et al. 2011). One step size is kept a bucket, not a weight, so memory is 4 bytes × buckets × (labels + 1).
#[derive(Debug, Clone)]
pub struct Baseline {
    labels: usize,
    /// The bucket of the bias, behind the last.
    bias: u32,
    /// `labels` weights a bucket, the bias behind the last.
    weights: Vec<f32>,
}

impl Baseline {
    /// Trains on texts and the indices of their labels. The same rows and options give the same weights.
    ///
    /// # Panics
    /// Where a label is `labels` or more or a bucket too large, or texts and labels have different lengths.
    pub fn train(texts: Vec<SparseText>, truth: &[usize], labels: usize, options: BaselineOptions) -> Self {
        assert_eq!(texts.len(), truth.len(), "each text has a label");
        let bias = options.buckets as u32;
        let mut model = Self { labels, bias, weights: vec![0.0; (options.buckets + 1) * labels] };
        let rows: Vec<SparseText> = texts.into_iter().map(|text| with_bias(text, bias)).collect();
        let mut squares = vec![1e-6f32; options.buckets + 1];
        let mut order: Vec<usize> = (0..rows.len()).collect();
        let (mut probabilities, mut moved) = (vec![0.0; labels], Vec::new());
        for epoch in 0..options.epochs {
            Random::new(options.seed, epoch as u64).shuffle(&mut order);
            for &row in &order {
                model.answer(&rows[row], &mut probabilities);
                probabilities[truth[row]] -= 1.0;
                let norm: f32 = probabilities.iter().map(|gradient| gradient * gradient).sum();
                // Most labels are soon out of the question, and a bucket's weights are too many to fetch and write for nothing.
                moved.clear();
                moved.extend(probabilities.iter().copied().enumerate().filter(|(_, gradient)| gradient.abs() >= LEAST_GRADIENT));
                for &(bucket, value) in &rows[row] {
                    let bucket = bucket as usize;
                    squares[bucket] += norm * value * value;
                    let step = options.learning_rate * value / squares[bucket].sqrt();
                    let weights = &mut model.weights[bucket * labels..(bucket + 1) * labels];
                    moved.iter().for_each(|&(label, gradient)| weights[label] -= step * gradient);
                }
            }
        }
        model
    }

    /// The probability of each label; they sum to one.
    pub fn predict(&self, text: SparseText) -> Vec<f32> {
        let mut probabilities = vec![0.0; self.labels];
        self.answer(&with_bias(text, self.bias), &mut probabilities);
        probabilities
    }

    fn answer(&self, features: &[(u32, f32)], probabilities: &mut [f32]) {
        probabilities.fill(0.0);
        for &(bucket, value) in features {
            let weights = &self.weights[bucket as usize * self.labels..(bucket as usize + 1) * self.labels];
            probabilities.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += weight * value);
        }
        let greatest = probabilities.iter().fold(f32::MIN, |most, &logit| most.max(logit));
        probabilities.iter_mut().for_each(|logit| *logit = (*logit - greatest).exp());
        let total: f32 = probabilities.iter().sum();
        probabilities.iter_mut().for_each(|share| *share /= total);
    }
}

fn with_bias(mut text: SparseText, bias: u32) -> SparseText {
    text.push((bias, 1.0));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four labels, each with a bucket of its own among others that say nothing.
    fn rows(count: usize, seed: u64) -> (Vec<SparseText>, Vec<usize>) {
        let mut random = Random::new(seed, 0);
        let text =
            |label: usize, random: &mut Random| vec![(label as u32, 0.5), (4 + random.below(50) as u32, 0.6), (60 + random.below(200) as u32, 0.6)];
        (0..count).map(|row| (text(row % 4, &mut random), row % 4)).unzip()
    }

    #[test]
    fn learns_what_buckets_tell_and_repeats_itself() {
        let options = BaselineOptions { buckets: 1 << 9, ..BaselineOptions::default() };
        let (texts, truth) = rows(400, 1);
        let model = Baseline::train(texts.clone(), &truth, 4, options);
        let (held_out, expected) = rows(200, 2);
        for (text, expected) in held_out.into_iter().zip(expected) {
            let found = model.predict(text);
            assert!((found.iter().sum::<f32>() - 1.0).abs() < 1e-5 && found[expected] > 0.5, "{expected}: {found:?}");
        }
        assert_eq!(model.predict(vec![(7, 1.0)]), Baseline::train(texts, &truth, 4, options).predict(vec![(7, 1.0)]));
    }

    #[test]
    fn without_rows_all_labels_are_equal() {
        assert_eq!(Baseline::train(Vec::new(), &[], 4, BaselineOptions::default()).predict(vec![(3, 1.0)]), [0.25; 4]);
    }
}
