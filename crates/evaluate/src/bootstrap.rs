use crate::{Rate, random::Random};
use serde::Serialize;
use std::thread;

/// A figure with the interval that holds its true value with 95 % confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The figure of all rows.
    pub value: f64,
    /// The interval's lower end: the 2.5th percentile of the resamples.
    pub low: f64,
    /// The interval's upper end: the 97.5th percentile.
    pub high: f64,
}

impl Estimate {
    /// The percentile interval (Efron 1979) of `resampled` about `value`; without resamples the interval is the value.
    pub fn new(value: f64, resampled: &[f64]) -> Self {
        let mut sorted = resampled.to_vec();
        sorted.sort_by(f64::total_cmp);
        Self { value, low: quantile(&sorted, 0.025).unwrap_or(value), high: quantile(&sorted, 0.975).unwrap_or(value) }
    }
}

impl Estimate {
    /// The estimate of a share of `total` cases. Where all resamples agree, as they do when no case or every case is a hit, the percentiles
    /// would claim certainty: Wilson's interval stands in.
    pub fn of_share(value: f64, total: u64, resampled: &[f64]) -> Self {
        let found = Self::new(value, resampled);
        let hits = (value * total as f64).round() as u64;
        match Rate::new(hits, total).interval() {
            Some((low, high)) if found.low == found.high => Self { value, low, high },
            _ => found,
        }
    }
}

/// The value below which a share of `sorted` lies, interpolated between neighbours like numpy's `quantile`.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = share * last as f64;
    let below = (place.floor() as usize).min(last);
    let above = (below + 1).min(last);
    Some(sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64))
}

/// Draws rows with replacement, as many of each stratum as it has: how many attacks of each label and how many benign rows a file holds is
/// chosen by whoever made it, and no resample is without a rare label. The resamples depend on the seed only, not on the threads.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    strata: Vec<Vec<u32>>,
    rows: usize,
    seed: u64,
    resamples: usize,
}

impl Bootstrap {
    /// `strata` holds the stratum of each row, numbers from 0.
    pub fn new(strata: &[usize], resamples: usize, seed: u64) -> Self {
        let mut members = vec![Vec::new(); strata.iter().max().map_or(0, |last| last + 1)];
        strata.iter().enumerate().for_each(|(row, &stratum)| members[stratum].push(row as u32));
        Self { strata: members, rows: strata.len(), seed, resamples }
    }

    /// How often each row was drawn into a resample.
    pub fn draw(&self, resample: usize, weights: &mut Vec<u32>) {
        weights.clear();
        weights.resize(self.rows, 0);
        let mut random = Random::new(self.seed, resample as u64);
        for members in &self.strata {
            for _ in 0..members.len() {
                weights[members[random.below(members.len())] as usize] += 1;
            }
        }
    }

    /// `statistic` of every resample, in their order. It is given how often each row was drawn.
    pub fn run<T: Send>(&self, statistic: impl Fn(&[u32]) -> T + Sync) -> Vec<T> {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(self.resamples.max(1));
        let share = self.resamples.div_ceil(threads);
        let part = &|first: usize| {
            let mut weights = Vec::new();
            let mut values = Vec::with_capacity(share);
            for resample in first..(first + share).min(self.resamples) {
                self.draw(resample, &mut weights);
                values.push(statistic(&weights));
            }
            values
        };
        thread::scope(|scope| {
            let parts: Vec<_> = (0..threads).map(|index| scope.spawn(move || part(index * share))).collect();
            parts.into_iter().flat_map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn quantiles_are_numpys() {
        // numpy.quantile([1, 2, 4, 8], [0, 0.025, 0.5, 0.975, 1])
        let found = [0.0, 0.025, 0.5, 0.975, 1.0].map(|share| quantile(&[1.0, 2.0, 4.0, 8.0], share).unwrap());
        assert!(found.iter().zip([1.0, 1.075, 3.0, 7.7, 8.0]).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn certainty_is_not_claimed() {
        let certain = Estimate::of_share(1.0, 22, &[1.0; 50]);
        assert!((certain.low - 0.8513).abs() < 1e-4 && certain.high == 1.0, "{certain:?}");
        let unsure = Estimate::of_share(0.5, 2, &[0.0, 0.5, 1.0]);
        assert!((unsure.low - 0.025).abs() < 1e-12, "{unsure:?}");
    }

    #[test]
    fn strata_keep_their_size_and_threads_change_nothing() {
        let strata: Vec<usize> = (0..1_000).map(|row| usize::from(row % 10 == 0)).collect();
        let bootstrap = Bootstrap::new(&strata, 200, 3);
        let size = |weights: &[u32]| weights.iter().step_by(10).sum::<u32>();
        assert!(bootstrap.run(size).iter().all(|size| *size == 100));
        let (mut weights, mut again) = (Vec::new(), Vec::new());
        for (resample, total) in
            bootstrap.run(|weights| weights.iter().enumerate().map(|(i, w)| i * *w as usize).sum::<usize>()).into_iter().enumerate()
        {
            bootstrap.draw(resample, &mut weights);
            bootstrap.draw(resample, &mut again);
            assert_eq!(weights, again);
            assert_eq!(weights.iter().enumerate().map(|(i, w)| i * *w as usize).sum::<usize>(), total);
        }
        assert!(Bootstrap::new(&[], 5, 1).run(<[u32]>::len).iter().all(|rows| *rows == 0));
    }

    /// The bootstrap's spread of a mean is the sample's own, and about 95 of 100 intervals hold the truth.
    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say() {
        let mut random = Random::new(1, 99);
        let held = (0..200).filter(|&round| {
            let hits: Vec<bool> = (0..400).map(|_| random.below(10) < 3).collect();
            let share = |weights: &[u32]| hits.iter().zip(weights).map(|(&hit, &weight)| f64::from(weight * u32::from(hit))).sum::<f64>() / 400.0;
            let estimate = Estimate::new(share(&[1; 400]), &Bootstrap::new(&[0; 400], 300, round).run(share));
            (estimate.low..=estimate.high).contains(&0.3)
        });
        assert!((180..=199).contains(&held.count()));
    }
}
