use serde::Serialize;
use std::collections::BTreeMap;

/// The share of lines in one bin, before and now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StabilityBin {
    /// What the bin holds.
    pub name: String,
    /// Its lines of the reference.
    pub reference: u64,
    /// Its new lines.
    pub new: u64,
}

/// How far two distributions are apart: the population stability index, which is the symmetrised Kullback–Leibler divergence
/// Σ (q − p) ln(q / p) over bins (Jeffreys 1946; Siddiqi 2006 for its use).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stability {
    /// The index: 0 where nothing moved; no unit.
    pub index: f64,
    /// What 95 of 100 samples of these sizes stay below where nothing moved: chi-squared of the bins less one, times the sum of the
    /// reciprocal sizes (Yurdakul 2018).
    pub by_chance: f64,
    /// What to make of it.
    pub verdict: Verdict,
    /// The bins.
    pub bins: Vec<StabilityBin>,
}

/// What to make of a population stability index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Chance alone does as much.
    Chance,
    /// Below 0.1: measurable, seldom of consequence.
    Small,
    /// Below 0.25: look what moved before trusting old figures.
    Some,
    /// 0.25 and more: figures measured on the reference say little about the new lines.
    Large,
}

impl Verdict {
    /// In plain words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Chance => "no more than chance does",
            Self::Small => "a small shift, seldom of consequence",
            Self::Some => "a shift: look what moved before trusting old figures",
            Self::Large => "a large shift: figures measured on the reference say little about these lines",
        }
    }
}

/// The population stability index of counts by bin; half a line is added to each bin, so that none is empty.
pub fn population_stability(reference: &[u64], new: &[u64]) -> f64 {
    let share = |counts: &[u64], bin: usize| (counts[bin] as f64 + 0.5) / (counts.iter().sum::<u64>() as f64 + 0.5 * counts.len() as f64);
    (0..reference.len())
        .map(|bin| {
            let (p, q) = (share(reference, bin), share(new, bin));
            (q - p) * (q / p).ln()
        })
        .sum()
}

impl Stability {
    fn new(bins: Vec<StabilityBin>) -> Self {
        let (reference, new): (Vec<u64>, Vec<u64>) = bins.iter().map(|bin| (bin.reference, bin.new)).unzip();
        let index = population_stability(&reference, &new);
        let reciprocal = |counts: &[u64]| 1.0 / counts.iter().sum::<u64>().max(1) as f64;
        let by_chance = chi_squared_95(bins.len().saturating_sub(1)) * (reciprocal(&reference) + reciprocal(&new));
        let verdict = match index {
            index if index <= by_chance => Verdict::Chance,
            index if index < 0.1 => Verdict::Small,
            index if index < 0.25 => Verdict::Some,
            _ => Verdict::Large,
        };
        Self { index, by_chance, verdict, bins }
    }

    /// The bin whose share of lines changed most, with its shares of the reference and of the new lines.
    pub fn moved_most(&self) -> Option<(&str, f64, f64)> {
        let total = |of: fn(&StabilityBin) -> u64| self.bins.iter().map(of).sum::<u64>().max(1) as f64;
        let (reference, new) = (total(|bin| bin.reference), total(|bin| bin.new));
        let shares = self.bins.iter().map(|bin| (bin.name.as_str(), bin.reference as f64 / reference, bin.new as f64 / new));
        shares.max_by(|a, b| (a.1 - a.2).abs().total_cmp(&(b.1 - b.2).abs()))
    }

    /// Of names, each a bin.
    pub(super) fn of_names(reference: &[String], new: &[String]) -> Self {
        let mut counts = BTreeMap::<&str, (u64, u64)>::new();
        reference.iter().for_each(|name| counts.entry(name).or_default().0 += 1);
        new.iter().for_each(|name| counts.entry(name).or_default().1 += 1);
        Self::new(counts.into_iter().map(|(name, (reference, new))| StabilityBin { name: name.to_owned(), reference, new }).collect())
    }

    /// Of numbers, by tenths of the reference (fewer where values are equal); shown with so many digits.
    pub(super) fn of_numbers(reference: &[f64], new: &[f64], digits: usize) -> Self {
        let mut sorted = reference.to_vec();
        sorted.sort_by(f64::total_cmp);
        let mut bounds: Vec<f64> = (1..10).filter_map(|tenth| sorted.get(sorted.len() * tenth / 10).copied()).collect();
        bounds.dedup();
        bounds.retain(|bound| sorted.first().is_some_and(|least| bound > least));
        let count = |values: &[f64]| {
            let mut counts = vec![0u64; bounds.len() + 1];
            values.iter().for_each(|value| counts[bounds.partition_point(|bound| bound <= value)] += 1);
            counts
        };
        let name = |bin: usize| match (bin.checked_sub(1).map(|below| bounds[below]), bounds.get(bin)) {
            (None, None) => "all".to_owned(),
            (None, Some(high)) => format!("below {high:.digits$}"),
            (Some(low), None) => format!("{low:.digits$} and more"),
            (Some(low), Some(high)) => format!("{low:.digits$} to {high:.digits$}"),
        };
        let bins = count(reference).into_iter().zip(count(new)).enumerate();
        Self::new(bins.map(|(bin, (reference, new))| StabilityBin { name: name(bin), reference, new }).collect())
    }
}

/// The 95th percentile of chi-squared (Wilson and Hilferty 1931; within 1 % from two degrees of freedom on).
fn chi_squared_95(degrees: usize) -> f64 {
    if degrees == 0 {
        return 0.0;
    }
    let scale = 2.0 / (9.0 * degrees as f64);
    degrees as f64 * (1.0 - scale + 1.644_854 * scale.sqrt()).powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_lines_have_not_moved() {
        let lengths: Vec<f64> = (0..1_000).map(f64::from).collect();
        let same = Stability::of_numbers(&lengths, &lengths, 0);
        assert_eq!((same.index, same.verdict, same.bins.len()), (0.0, Verdict::Chance, 10));
        let moved = Stability::of_numbers(&lengths, &lengths.iter().map(|length| length + 300.0).collect::<Vec<f64>>(), 0);
        assert_eq!(moved.verdict, Verdict::Large);
        assert_eq!((moved.bins[0].name.as_str(), moved.bins[9].name.as_str(), moved.bins[0].new), ("below 100", "900 and more", 0));
        assert_eq!(moved.bins.iter().map(|bin| bin.new).sum::<u64>(), 1_000);
        assert_eq!(moved.moved_most(), Some(("900 and more", 0.1, 0.4)));
    }

    #[test]
    fn few_and_equal_values_do_no_harm() {
        assert_eq!(Stability::of_numbers(&[], &[], 0).bins.len(), 1);
        let equal = Stability::of_numbers(&[1.0; 50], &[1.0, 2.0], 1);
        assert_eq!((equal.bins.len(), equal.index), (1, 0.0));
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
        let labels = Stability::of_names(&names(&["Benign", "Benign", "T1049"]), &names(&["Benign", "T1087.001"]));
        assert_eq!((labels.bins.len(), labels.verdict), (3, Verdict::Chance), "five lines prove nothing");
    }

    #[test]
    fn chance_is_chi_squared() {
        for (degrees, expected) in [(1, 3.841), (3, 7.815), (9, 16.919), (30, 43.773)] {
            assert!((chi_squared_95(degrees) / expected - 1.0).abs() < 0.03, "{degrees}");
        }
    }
}
