use crate::{Answered, Rate};
use serde::Serialize;

/// How far down the right label stands, whatever the threshold. Where a row has several labels any of them counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ranking {
    /// The most probable label is right.
    pub top_1: Rate,
    /// The most probable answer or one of the two most probable other labels is right.
    pub top_3: Rate,
    /// The most probable label is right or belongs to the right parent technique: T1003.001 or T1003 for T1003.002.
    pub parent: Rate,
    /// The same three over attack rows only.
    pub attack_top_1: Rate,
    /// One of three, over attack rows.
    pub attack_top_3: Rate,
    /// Right parent, over attack rows.
    pub attack_parent: Rate,
}

impl Ranking {
    /// Counts the rows.
    pub fn new(answered: &Answered) -> Self {
        let mut rates = [[Rate::default(); 3]; 2];
        for row in 0..answered.len() {
            let best = answered.best(row);
            let accepts = |label| answered.accepts(row, label);
            let found = [
                accepts(best),
                std::iter::once(best).chain(top(answered.scores(row), 3).into_iter().filter(|&label| label != best).take(2)).any(accepts),
                answered.accepts_parent(row, best),
            ];
            for group in rates.iter_mut().take(1 + usize::from(answered.is_attack(row))) {
                group.iter_mut().zip(found).for_each(|(rate, hit)| rate.add(hit));
            }
        }
        let [[top_1, top_3, parent], [attack_top_1, attack_top_3, attack_parent]] = rates;
        Self { top_1, top_3, parent, attack_top_1, attack_top_3, attack_parent }
    }
}

/// The places of the `count` greatest scores, the greatest first; the first of equals wins.
pub(crate) fn top(scores: &[f32], count: usize) -> Vec<usize> {
    let mut best: Vec<usize> = Vec::with_capacity(count + 1);
    for label in 0..scores.len() {
        let place = best.partition_point(|&other| scores[other] >= scores[label]);
        if place < count {
            best.insert(place, label);
            best.truncate(count);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_right_parent_is_told_apart() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
        let labels = names(&["Benign", "T1003.001", "T1003.002", "T1049"]);
        let truths = [names(&["T1003.002"]), names(&["T1003"]), names(&["Benign"])];
        // The second row's label is not answered with, but another of its labels is.
        let truths = [truths[0].clone(), [truths[1].clone(), names(&["T1049"])].concat(), truths[2].clone()];
        let scores = vec![0.0, 0.6, 0.3, 0.1, 0.1, 0.2, 0.6, 0.1, 0.1, 0.2, 0.3, 0.4];
        let ranking = Ranking::new(&Answered::new(&labels, Some(0), &truths, scores, 0.5).unwrap());
        assert_eq!((ranking.top_1, ranking.top_3, ranking.parent), (Rate::new(0, 3), Rate::new(1, 3), Rate::new(2, 3)));
        assert_eq!((ranking.attack_top_3, ranking.attack_parent), (Rate::new(1, 2), Rate::new(2, 2)));
    }

    #[test]
    fn equals_keep_their_order() {
        assert_eq!(top(&[0.2, 0.3, 0.3, 0.1, 0.3], 3), [1, 2, 4]);
        assert_eq!(top(&[0.5], 3), [0]);
    }
}
