//! How much each of several answers should count when they are put together.

/// Newton steps at most.
const STEPS: usize = 50;

/// How strongly each share is held at 1: as by so many rows at even odds in which the source speaks with a difference of 2 for its label. A few
/// rows that some share tells apart without an error would have it grow without end, and thousands of rows don't feel it.
const PRIOR: f64 = 2.0;

/// A row of the fit.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolRow {
    /// Each source's score of every label, such as its logarithmic probability.
    pub sources: Vec<Vec<f32>>,
    /// The labels that are right; any of them counts.
    pub truth: Vec<usize>,
    /// What the row counts.
    pub weight: f64,
}

/// The shares from 0 up that make `softmax(Σ share · source)` the most probable account of the rows' labels: a logarithmic opinion pool
/// (Genest and Zidek 1986), fitted by Newton's method with halved steps. Without rows all are 1, and few rows leave them near it.
pub fn fit_pool(rows: &[PoolRow], sources: usize) -> Vec<f64> {
    let mut shares = vec![1.0; sources];
    let mut best = loss(rows, &shares);
    for _ in 0..STEPS {
        let (gradient, mut curvature) = derivatives(rows, &shares);
        for (place, row) in curvature.iter_mut().enumerate() {
            row[place] += 1e-9 + 1e-6 * row[place].abs();
        }
        let Some(step) = solve(curvature, gradient) else { break };
        let mut factor = 1.0;
        let next = loop {
            let tried: Vec<f64> = shares.iter().zip(&step).map(|(share, step)| (share - factor * step).max(0.0)).collect();
            let found = loss(rows, &tried);
            if found < best {
                break Some((tried, found));
            }
            factor /= 2.0;
            if factor < 1e-6 {
                break None;
            }
        };
        let Some((tried, found)) = next else { break };
        let gained = best - found;
        (shares, best) = (tried, found);
        if gained < 1e-9 * best.abs() {
            break;
        }
    }
    shares
}

/// The labels' probabilities among those of `which`, and the logarithm of their sum.
fn pooled(row: &PoolRow, shares: &[f64], which: &[usize]) -> (Vec<f64>, f64) {
    let score = |label: usize| -> f64 { row.sources.iter().zip(shares).map(|(source, share)| share * f64::from(source[label])).sum() };
    let scores: Vec<f64> = which.iter().map(|&label| score(label)).collect();
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let odds: Vec<f64> = scores.iter().map(|score| (score - top).exp()).collect();
    let total: f64 = odds.iter().sum();
    (odds.into_iter().map(|odds| odds / total).collect(), top + total.ln())
}

fn all_labels(row: &PoolRow) -> Vec<usize> {
    (0..row.sources.first().map_or(0, Vec::len)).collect()
}

fn loss(rows: &[PoolRow], shares: &[f64]) -> f64 {
    let of_rows: f64 = rows.iter().map(|row| row.weight * (pooled(row, shares, &all_labels(row)).1 - pooled(row, shares, &row.truth).1)).sum();
    of_rows + shares.iter().map(|share| PRIOR / 2.0 * (share - 1.0).powi(2)).sum::<f64>()
}

/// The loss's gradient and its matrix of second derivatives, the latter of the convex part alone so that steps always fall.
fn derivatives(rows: &[PoolRow], shares: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let count = shares.len();
    let mut gradient: Vec<f64> = shares.iter().map(|share| PRIOR * (share - 1.0)).collect();
    let mut curvature = vec![vec![0.0; count]; count];
    (0..count).for_each(|place| curvature[place][place] = PRIOR);
    for row in rows {
        let labels = all_labels(row);
        let mean = |which: &[usize]| -> (Vec<f64>, Vec<f64>) {
            let (probabilities, _) = pooled(row, shares, which);
            let mean = |source: &Vec<f32>| which.iter().zip(&probabilities).map(|(&label, p)| p * f64::from(source[label])).sum();
            (row.sources.iter().map(mean).collect(), probabilities)
        };
        let ((all, probabilities), (right, _)) = (mean(&labels), mean(&row.truth));
        for a in 0..count {
            gradient[a] += row.weight * (all[a] - right[a]);
            for b in 0..=a {
                let (x, y) = (&row.sources[a], &row.sources[b]);
                let product = |(&label, p): (&usize, &f64)| p * (f64::from(x[label]) - all[a]) * (f64::from(y[label]) - all[b]);
                curvature[a][b] += row.weight * labels.iter().zip(&probabilities).map(product).sum::<f64>();
                curvature[b][a] = curvature[a][b];
            }
        }
    }
    (gradient, curvature)
}

/// Solves `matrix · x = right` by elimination; `None` where it can't be.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Option<Vec<f64>> {
    let count = right.len();
    for column in 0..count {
        let pivot = (column..count).max_by(|&a, &b| matrix[a][column].abs().total_cmp(&matrix[b][column].abs()))?;
        matrix.swap(column, pivot);
        right.swap(column, pivot);
        if matrix[column][column].abs() < 1e-300 {
            return None;
        }
        for row in column + 1..count {
            let factor = matrix[row][column] / matrix[column][column];
            let (above, below) = matrix.split_at_mut(row);
            below[0].iter_mut().zip(&above[column]).skip(column).for_each(|(value, pivot)| *value -= factor * pivot);
            right[row] -= factor * right[column];
        }
    }
    for column in (0..count).rev() {
        let known: f64 = (column + 1..count).map(|place| matrix[column][place] * right[place]).sum();
        right[column] = (right[column] - known) / matrix[column][column];
    }
    Some(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_source_counts_and_noise_does_not() {
        // The first source is right three times in four and says so twice too strongly; the second knows nothing.
        let row = |number: usize| {
            let says = usize::from(number.is_multiple_of(2));
            let noise = if number.is_multiple_of(3) { 1.0 } else { -1.0 };
            let mut strong = vec![0.0, 0.0];
            strong[says] = 2.0 * 3f32.ln();
            let truth = if number % 8 < 6 { says } else { 1 - says };
            PoolRow { sources: vec![strong, vec![noise * (number as f32 * 0.37).sin(), 0.0]], truth: vec![truth], weight: 1.0 }
        };
        let rows: Vec<PoolRow> = (0..2400).map(row).collect();
        let shares = fit_pool(&rows, 2);
        assert!((shares[0] - 0.5).abs() < 0.02 && shares[1] < 0.1, "{shares:?}");
        let doubled: Vec<PoolRow> = rows.iter().map(|row| PoolRow { weight: 2.0, ..row.clone() }).collect();
        assert!((fit_pool(&doubled, 2)[0] - shares[0]).abs() < 1e-3);
        assert_eq!(fit_pool(&[], 2), [1.0, 1.0]);
    }

    #[test]
    fn few_rows_that_are_told_apart_leave_the_shares_near_one() {
        // Two sources of which both are always right, the second timidly; then both of a bias's sides.
        let row = |number: usize| {
            let right = number % 2;
            let source = |margin: f32| (0..2).map(|label| if label == right { margin } else { 0.0 }).collect::<Vec<f32>>();
            PoolRow { sources: vec![source(1.0), source(0.01), vec![0.0, 1.0], vec![1.0, 0.0]], truth: vec![right], weight: 1.0 }
        };
        let rows: Vec<PoolRow> = (0..20).map(row).collect();
        let shares = fit_pool(&rows, 4);
        assert!(shares.iter().all(|share| (0.5..4.0).contains(share)), "{shares:?}");
        let of_one_kind: Vec<PoolRow> = (0..20).map(|_| row(1)).collect();
        let shares = fit_pool(&of_one_kind, 4);
        assert!(shares.iter().all(|share| (0.0..4.0).contains(share)), "{shares:?}");
    }

    #[test]
    fn any_of_several_right_labels_counts() {
        let row = PoolRow { sources: vec![vec![0.0, 1.0, 1.0]], truth: vec![1, 2], weight: 1.0 };
        let wrong = PoolRow { truth: vec![0], ..row.clone() };
        let rows: Vec<PoolRow> = (0..4_000).map(|number| if number % 4 < 3 { row.clone() } else { wrong.clone() }).collect();
        let share = fit_pool(&rows, 1)[0];
        assert!((2.0 * share.exp() / (1.0 + 2.0 * share.exp()) - 0.75).abs() < 1e-3, "{share}");
    }
}
