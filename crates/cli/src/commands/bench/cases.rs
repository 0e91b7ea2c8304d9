use attackline_engine::Encoder;
use attackline_model::TokenBatch;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// The longest of the drawn lengths.
const LONGEST_RAGGED: usize = 128;

/// How long lines are, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lengths {
    /// All alike.
    Equal(usize),
    /// Log-normal with the median 24 and the 95th percentile 70, from 4 to 128.
    Ragged,
}

impl FromStr for Lengths {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(length) if length > 0 => Ok(Self::Equal(length)),
            Err(_) if text == "ragged" => Ok(Self::Ragged),
            _ => Err("a number of tokens above 0, or `ragged`, is wanted".into()),
        }
    }
}

impl fmt::Display for Lengths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equal(length) => f.pad(&length.to_string()),
            Self::Ragged => f.pad("ragged"),
        }
    }
}

/// The longest line that these lengths have.
pub fn longest(lengths: &[Lengths]) -> usize {
    let of = |lengths: &Lengths| if let Lengths::Equal(length) = lengths { *length } else { LONGEST_RAGGED };
    lengths.iter().map(of).max().unwrap_or(1)
}

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub lengths: Lengths,
    /// Lines of a batch.
    pub lines: usize,
    pub vocabulary: usize,
    /// The longest line that the model reads.
    pub longest: usize,
}

impl Case {
    /// Batches of random tokens without end, others for every seed.
    pub fn batches(self, seed: u64) -> impl Iterator<Item = TokenBatch> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize
        };
        std::iter::repeat_with(move || {
            let mut batch = TokenBatch::new();
            for _ in 0..self.lines {
                let length = match self.lengths {
                    Lengths::Equal(length) => length,
                    Lengths::Ragged => {
                        // Twelve uniform numbers make a normal one, near enough.
                        let normal = (0..12).map(|_| next() as f64 / f64::from(1u32 << 31)).sum::<f64>() - 6.0;
                        ((24f64.ln() + 0.65 * normal).exp().round() as usize).clamp(4, LONGEST_RAGGED).min(self.longest)
                    }
                };
                let ids: Vec<u32> = (0..length).map(|_| (next() % self.vocabulary) as u32).collect();
                batch.push(&ids);
            }
            batch
        })
    }
}

/// What a case took.
#[derive(Debug)]
pub struct Measured {
    /// Lines and tokens a second, of all threads together.
    pub lines: f64,
    pub tokens: f64,
    /// Milliseconds of each call, rising.
    pub latencies: Vec<f64>,
}

impl Measured {
    /// Answers batches on every thread for `time`, after one that isn't counted.
    pub fn new(encoder: &Encoder, case: &Case, threads: usize, time: Duration) -> Self {
        let work = |seed: u64| {
            let mut batches = case.batches(seed);
            let mut take = || batches.next().expect("batches never end");
            encoder.logits(&take());
            let (start, mut tokens, mut latencies) = (Instant::now(), 0, Vec::new());
            while latencies.is_empty() || start.elapsed() < time {
                let batch = take();
                let before = Instant::now();
                encoder.logits(&batch);
                latencies.push(before.elapsed().as_secs_f64() * 1e3);
                tokens += batch.tokens();
            }
            (start.elapsed().as_secs_f64(), tokens, latencies)
        };
        let results: Vec<_> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|seed| scope.spawn(move || work(seed as u64))).collect();
            workers.into_iter().filter_map(|worker| worker.join().ok()).collect()
        });
        let lines = results.iter().map(|(seconds, _, latencies)| (latencies.len() * case.lines) as f64 / seconds).sum();
        let tokens = results.iter().map(|(seconds, tokens, _)| *tokens as f64 / seconds).sum();
        let mut latencies: Vec<f64> = results.into_iter().flat_map(|result| result.2).collect();
        latencies.sort_by(f64::total_cmp);
        Self { lines, tokens, latencies }
    }

    /// The latency that this share of the calls keeps below.
    pub fn percentile(&self, share: f64) -> f64 {
        let place = (share * self.latencies.len() as f64) as usize;
        self.latencies.get(place.min(self.latencies.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lengths_are_read_and_drawn_as_they_say() {
        assert_eq!("32".parse(), Ok(Lengths::Equal(32)));
        assert_eq!("ragged".parse(), Ok(Lengths::Ragged));
        for bad in ["0", "-1", "", "long"] {
            assert!(bad.parse::<Lengths>().is_err(), "{bad}");
        }
        let case = Case { lengths: Lengths::Ragged, lines: 2001, vocabulary: 50, longest: 100 };
        let batch = case.batches(3).next().unwrap();
        let mut lengths: Vec<usize> = batch.offsets().windows(2).map(|pair| pair[1] - pair[0]).collect();
        lengths.sort_unstable();
        assert!(lengths[0] >= 4 && lengths[2000] <= 100 && batch.ids().iter().all(|&id| id < 50));
        assert!((20..=28).contains(&lengths[1000]) && (60..=80).contains(&lengths[1900]), "{} {}", lengths[1000], lengths[1900]);
        assert_ne!(case.batches(1).next().unwrap().ids(), case.batches(2).next().unwrap().ids());
    }

    #[test]
    fn percentiles_are_of_the_rising_latencies() {
        let measured = Measured { lines: 0.0, tokens: 0.0, latencies: (0..100).map(f64::from).collect() };
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|share| measured.percentile(share)), [0.0, 50.0, 99.0, 99.0]);
    }
}
