//! What the answer to a line's parent counts in the line's own, fitted on lines that were not trained on.

/// Newton's steps; the loss is convex in two variables, and a handful is enough.
const STEPS: usize = 50;

/// Holds the fit at 0 where parents say nothing.
const RIDGE: f64 = 1e-3;

/// A line that has a parent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParentRow {
    /// The line's logit of an attack, read alone.
    pub attack: f64,
    /// The parent's.
    pub parent: f64,
    /// Whether the line is an attack.
    pub is_attack: bool,
    /// What the row counts.
    pub weight: f64,
}

/// What a parent counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FittedParent {
    /// Times what its logit of an attack is above the usual one.
    pub share: f64,
    /// The logit that harmless lines' parents have on average.
    pub usual: f64,
}

/// Within what bounds a parent is heard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParentBounds {
    /// How far from the usual its logit is heard.
    pub furthest: f64,
    /// The greatest share: lines whose parents tell all would have them count without end.
    pub most: f64,
    /// The fewest attacks, and the fewest benign lines, that it is fitted on.
    pub least: usize,
}

/// The share `w` that makes `attack + w · clamp(parent - usual, ±furthest) + b` the most probable account of which rows are attacks. The bias `b` is
/// fitted beside it and left out: how many of these lines with parents are attacks says nothing of others. Never below 0. `None` where there are too
/// few rows.
pub fn fit_parent_share(rows: &[ParentRow], bounds: ParentBounds) -> Option<FittedParent> {
    let ParentBounds { furthest, most, least } = bounds;
    let attacks = rows.iter().filter(|row| row.is_attack).count();
    if attacks < least.max(1) || rows.len() - attacks < least.max(1) {
        return None;
    }
    let harmless = || rows.iter().filter(|row| !row.is_attack);
    let usual = harmless().map(|row| row.weight * row.parent).sum::<f64>() / harmless().map(|row| row.weight).sum::<f64>();
    let (mut share, mut bias) = (0.0, 0.0);
    for _ in 0..STEPS {
        let (mut slope, mut curve) = ([RIDGE * share, RIDGE * bias], [RIDGE, 0.0, RIDGE]);
        for row in rows {
            let parent = (row.parent - usual).clamp(-furthest, furthest);
            let probability = 1.0 / (1.0 + (-(row.attack + share * parent + bias)).exp());
            let error = row.weight * (probability - f64::from(u8::from(row.is_attack)));
            let bend = row.weight * probability * (1.0 - probability);
            slope = [slope[0] + error * parent, slope[1] + error];
            curve = [curve[0] + bend * parent * parent, curve[1] + bend * parent, curve[2] + bend];
        }
        let [first, mixed, second] = curve;
        let determinant = first * second - mixed * mixed;
        // A step of more than one would leave the part of the curve that it was measured on.
        share -= ((second * slope[0] - mixed * slope[1]) / determinant).clamp(-1.0, 1.0);
        bias -= ((first * slope[1] - mixed * slope[0]) / determinant).clamp(-1.0, 1.0);
    }
    Some(FittedParent { share: share.clamp(0.0, most), usual })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(rows: &[ParentRow], furthest: f64, least: usize) -> Option<FittedParent> {
        fit_parent_share(rows, ParentBounds { furthest, most: 2.0, least })
    }

    /// Lines at even odds of which, below parents at `near` and `far`, shares of e^near and e^far to one are attacks.
    fn rows(near: f64, far: f64) -> Vec<ParentRow> {
        let below = |parent: f64| {
            let probability = 1.0 / (1.0 + (-parent).exp());
            [(true, probability), (false, 1.0 - probability)].map(|(is_attack, weight)| ParentRow { attack: 0.0, parent, is_attack, weight })
        };
        [below(near), below(far)].concat()
    }

    #[test]
    fn the_share_is_what_the_parents_are_worth() {
        let found = fitted(&rows(-1.0, 2.0), 10.0, 2).map(|found| found.share);
        assert!(found.is_some_and(|share| (share - 1.0).abs() < 0.01), "{found:?}");
        let halved: Vec<ParentRow> = rows(-1.0, 2.0).into_iter().map(|row| ParentRow { parent: 2.0 * row.parent + 7.0, ..row }).collect();
        let found = fitted(&halved, 20.0, 2).map(|found| found.share);
        assert!(found.is_some_and(|share| (share - 0.5).abs() < 0.01), "wherever they lie: {found:?}");
    }

    #[test]
    fn parents_that_say_nothing_or_the_opposite_count_nothing() {
        let misled: Vec<ParentRow> = rows(-1.0, 2.0).into_iter().map(|row| ParentRow { is_attack: !row.is_attack, ..row }).collect();
        assert_eq!(fitted(&misled, 10.0, 2).map(|found| found.share), Some(0.0));
        let same: Vec<ParentRow> = rows(-1.0, 2.0).into_iter().map(|row| ParentRow { parent: -3.0, ..row }).collect();
        let found = fitted(&same, 10.0, 2);
        assert!(found.is_some_and(|found| found.share.abs() < 1e-9 && found.usual == -3.0), "{found:?}");
        let telling = [(true, 4.0), (false, -4.0)].map(|(is_attack, parent)| ParentRow { attack: 0.0, parent, is_attack, weight: 50.0 });
        assert_eq!(fitted(&telling, 3.0, 1).map(|found| found.share), Some(2.0), "no more than is allowed");
        assert_eq!(fitted(&rows(-1.0, 2.0), 10.0, 3), None, "too few to say");
        assert_eq!(fitted(&[], 10.0, 0), None);
    }
}
