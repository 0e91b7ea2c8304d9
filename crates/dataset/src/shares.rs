//! How many rows of a generated set each label has, and what becomes of it where there are too few.

use crate::{BENIGN, DatasetError, Grammar, LabelSet, Side};
use std::collections::BTreeMap;

/// The specification's labels and their shares of the rows, in sixths.
const SIXTHS: [(&str, usize); 4] = [(BENIGN, 3), ("T1003.002", 1), ("T1087.001", 1), ("T1049", 1)];

/// Where a generated set has less than was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shortfall {
    /// Rows that were asked for.
    pub asked: usize,
    /// Rows that there are.
    pub made: usize,
    /// Techniques that were asked for.
    pub techniques: usize,
    /// Those of them whose share of the smallest file is less than a row.
    pub thin: usize,
    /// The fewest samples of which each technique's share of every file is a row.
    pub enough: usize,
    /// Labels whose templates gave fewer lines than their share.
    pub exhausted: usize,
    /// Files without a row of a kind that was asked for, and which kind.
    pub without: Vec<(Side, &'static str)>,
}

/// The labels' shares of the rows.
pub(crate) enum Shares {
    /// The specification's four.
    Specification,
    /// Half of the rows are benign and the rest is divided among techniques by their weights, whose sum stands beside them.
    Weighted(Vec<(String, f64)>, f64),
}

impl Shares {
    /// Beyond the specification's four, a technique weighs the root of the number of its templates: what shows itself in more ways needs more
    /// lines to be known, but not as many more.
    pub fn new(labels: &LabelSet, grammar: &Grammar) -> Result<Self, DatasetError> {
        let mut known: BTreeMap<&str, f64> = BTreeMap::new();
        for template in grammar.templates().iter().filter(|template| template.label != BENIGN) {
            *known.entry(&template.label).or_default() += 1.0;
        }
        let techniques: Vec<&str> = match labels {
            LabelSet::Specification => return Ok(Self::Specification),
            LabelSet::All => known.keys().copied().collect(),
            LabelSet::Only(wanted) => {
                let wanted = wanted.iter().filter(|label| *label != BENIGN).map(String::as_str);
                wanted
                    .map(|label| known.get_key_value(label).map(|(label, _)| *label).ok_or_else(|| DatasetError::NoTemplates(label.to_owned())))
                    .collect::<Result<_, _>>()?
            }
        };
        let weights: Vec<(String, f64)> = techniques.iter().map(|label| ((*label).to_owned(), known[label].sqrt())).collect();
        let all = weights.iter().map(|(_, weight)| weight).sum();
        Ok(Self::Weighted(weights, all))
    }

    /// Whether each label must have all of its rows. Elsewhere one whose templates give fewer lines has fewer.
    pub fn exact(&self) -> bool {
        matches!(self, Self::Specification)
    }

    /// Each label's rows in a side of `total` rows, Benign first.
    pub fn of(&self, total: usize) -> Vec<(String, usize)> {
        match self {
            Self::Specification => SIXTHS.iter().map(|&(label, sixths)| (label.to_owned(), rows_of_label(total, sixths))).collect(),
            Self::Weighted(weights, all) => {
                let attacks = if weights.is_empty() { 0 } else { total / 2 };
                let each = weights.iter().map(|(label, weight)| (label.clone(), (attacks as f64 * weight / all) as usize));
                std::iter::once((BENIGN.to_owned(), total - attacks)).chain(each).collect()
            }
        }
    }

    /// What is known of `samples` rows before any is made. Refuses so few that a file would have no attack or no benign row.
    pub fn expect(&self, samples: usize) -> Result<Shortfall, DatasetError> {
        let smallest = |samples: usize| self.of(rows_of_side(samples, Side::Test));
        let both_kinds = |samples: usize| {
            let rows = smallest(samples);
            let attacks = &rows[1..];
            rows[0].1 > 0 && (attacks.is_empty() || attacks.iter().any(|(_, rows)| *rows > 0))
        };
        if !both_kinds(samples) {
            return Err(DatasetError::OneKind { samples, wanted: least(both_kinds) });
        }
        let thin = smallest(samples).iter().filter(|(_, rows)| *rows == 0).count();
        let enough = if thin == 0 { samples } else { least(|samples| smallest(samples).iter().all(|(_, rows)| *rows > 0)) };
        Ok(Shortfall { asked: samples, techniques: smallest(samples).len() - 1, thin, enough, ..Shortfall::default() })
    }
}

/// The fewest samples that are enough; more are enough too.
fn least(enough: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, 1);
    while !enough(high) && high < 1 << 40 {
        (low, high) = (high, 2 * high);
    }
    while high - low > 1 {
        let middle = usize::midpoint(low, high);
        *(if enough(middle) { &mut high } else { &mut low }) = middle;
    }
    high
}

/// The rows of a side: a tenth for validation and for test each, train takes what doesn't divide.
pub(crate) fn rows_of_side(samples: usize, side: Side) -> usize {
    let tenth = samples / 10;
    if side == Side::Train { samples - 2 * tenth } else { tenth }
}

/// The rows of a label in a side of `total` rows; the three sixths of the benign rows take what doesn't divide.
fn rows_of_label(total: usize, sixths: usize) -> usize {
    let sixth = total / 6;
    if sixths == 3 { total - 3 * sixth } else { sixth * sixths }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn too_few_samples_are_refused_with_how_many_are_wanted() {
        let refused = Shares::Specification.expect(59).unwrap_err().to_string();
        assert!(refused.contains("59 samples are too few") && refused.contains("at least 60"), "{refused}");
        assert_eq!(Shares::Specification.expect(60).unwrap().thin, 0);
        let shares = Shares::Weighted(vec![("T1".into(), 3.0), ("T2".into(), 1.0)], 4.0);
        assert!(shares.expect(39).unwrap_err().to_string().contains("at least 40"));
        let some = shares.expect(40).unwrap();
        assert_eq!((some.techniques, some.thin, some.enough), (2, 1, 80));
        assert_eq!((shares.expect(80).unwrap().thin, shares.of(100)[0].1), (0, 50));
        let benign = Shares::Weighted(Vec::new(), 0.0);
        assert_eq!((benign.expect(10).unwrap().thin, benign.of(100)), (0, vec![(BENIGN.to_owned(), 100)]));
    }
}
