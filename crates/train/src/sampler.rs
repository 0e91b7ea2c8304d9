use crate::Example;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

/// The batches of an epoch, as indices of rows: all rows once in an order drawn from `seed` and `epoch`, cut where the
/// token budget is full. Batches carry no padding, so lines need not be grouped by length, and the order stays random.
pub(crate) fn epoch_batches(rows: &[Example], budget: usize, seed: u64, epoch: usize) -> Vec<Vec<usize>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(epoch as u64 + 1);
    let mut order: Vec<usize> = (0..rows.len()).collect();
    for last in (1..order.len()).rev() {
        order.swap(last, below(&mut random, last + 1));
    }
    batches_in_order(rows, budget, order)
}

/// Rows in the given order, cut where the budget is full.
pub(crate) fn batches_in_order(rows: &[Example], budget: usize, order: impl IntoIterator<Item = usize>) -> Vec<Vec<usize>> {
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut filled = usize::MAX;
    for index in order {
        let tokens = rows[index].ids.len();
        if filled.saturating_add(tokens) > budget {
            batches.push(Vec::new());
            filled = 0;
        }
        filled += tokens;
        if let Some(batch) = batches.last_mut() {
            batch.push(index);
        }
    }
    batches
}

/// A number below `limit`; the bias of a 64-bit product is out of sight.
pub(crate) fn below(random: &mut ChaCha8Rng, limit: usize) -> usize {
    ((u128::from(random.next_u64()) * limit as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_once_within_the_budget_and_by_the_seed() {
        let rows: Vec<Example> = (0..100).map(|i| Example::new(vec![0; 1 + i % 13], 0)).collect();
        let batches = epoch_batches(&rows, 32, 7, 0);
        assert!(batches.iter().all(|batch| !batch.is_empty() && batch.iter().map(|&i| rows[i].ids.len()).sum::<usize>() <= 32));
        let mut seen: Vec<usize> = batches.iter().flatten().copied().collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
        assert_eq!(batches, epoch_batches(&rows, 32, 7, 0));
        assert_ne!(batches, epoch_batches(&rows, 32, 7, 1));
        assert_ne!(batches, epoch_batches(&rows, 32, 8, 0));
    }

    #[test]
    fn a_line_above_the_budget_stands_alone() {
        let rows = [5, 50, 5].map(|len| Example::new(vec![0; len], 0));
        assert_eq!(batches_in_order(&rows, 10, 0..3), [vec![0], vec![1], vec![2]]);
    }
}
