use crate::{EpochReport, Example, TrainError, sampler::below};
use attackline_evaluate::{Report, SeveralReport};
use attackline_kernels::{Loss, binary_cross_entropy, cross_entropy};
use attackline_model::Labels;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// The share of a line's tokens that is to be restored (Devlin et al. 2018).
const HIDDEN_SHARE: f64 = 0.15;

/// What a run learns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Task {
    /// Which labels a line has.
    Label(Labels),
    /// Which tokens of a line were hidden: masked language modelling.
    Restore {
        /// Outputs: as many as tokens.
        vocabulary: usize,
        /// The token that stands for a hidden one.
        mask: u32,
    },
}

/// Figures on the validation rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) loss: f64,
    pub(crate) accuracy: f64,
    pub(crate) macro_f1: Option<f64>,
}

impl Figures {
    /// The mean of parts of so many answers each.
    pub(crate) fn mean(parts: &[(Self, usize)]) -> Self {
        let total = parts.iter().map(|part| part.1).sum::<usize>().max(1) as f64;
        let of = |value: fn(&Self) -> f64| parts.iter().map(|(figures, count)| value(figures) * *count as f64).sum::<f64>() / total;
        Self { loss: of(|figures| figures.loss), accuracy: of(|figures| figures.accuracy), macro_f1: None }
    }

    /// Whether they are better than those of an earlier epoch: by macro F1 where there is one, then by loss.
    pub(crate) fn better_than(&self, other: &EpochReport) -> bool {
        match self.macro_f1.partial_cmp(&other.macro_f1) {
            Some(std::cmp::Ordering::Greater) => true,
            Some(std::cmp::Ordering::Equal) => self.loss < other.validation_loss,
            _ => false,
        }
    }
}

impl Task {
    /// How many outputs the head has.
    pub(crate) fn outputs(&self) -> usize {
        match self {
            Self::Label(labels) => labels.len(),
            Self::Restore { vocabulary, .. } => *vocabulary,
        }
    }

    /// Whether a row may have several labels.
    pub(crate) fn several(&self) -> bool {
        matches!(self, Self::Label(labels) if labels.several())
    }

    /// Whether the labels of a row can be of this task.
    pub(crate) fn accepts(&self, labels: &[usize]) -> bool {
        match self {
            Self::Label(known) => (known.several() || labels.len() == 1) && labels.iter().all(|&label| label < known.len()),
            Self::Restore { .. } => labels.is_empty(),
        }
    }

    /// Figures from the outputs for rows and what would have been right.
    pub(crate) fn figures(&self, logits: &[f32], truth: &[Vec<usize>]) -> Figures {
        let mut unused = vec![0.0; logits.len()];
        if let Self::Label(labels) = self
            && labels.several()
        {
            let report = SeveralReport::new(labels.names(), truth, &positive(logits, labels.len()));
            let loss = f64::from(binary_cross_entropy(logits, truth, Loss::default(), &mut unused));
            return Figures { loss, accuracy: report.exact, macro_f1: Some(report.macro_average.f1) };
        }
        let truth: Vec<usize> = truth.iter().map(|labels| labels[0]).collect();
        let predicted: Vec<usize> = logits.chunks_exact(self.outputs()).map(best).collect();
        let loss = f64::from(cross_entropy(logits, &truth, Loss::default(), &mut unused));
        match self {
            Self::Label(labels) => {
                let report = Report::new(labels.names(), &truth, &predicted);
                Figures { loss, accuracy: report.accuracy, macro_f1: Some(report.macro_average.f1) }
            }
            Self::Restore { .. } => {
                let right = truth.iter().zip(&predicted).filter(|(a, b)| a == b).count();
                Figures { loss, accuracy: right as f64 / truth.len().max(1) as f64, macro_f1: None }
            }
        }
    }
}

/// The place of the greatest logit; the first of equals.
fn best(row: &[f32]) -> usize {
    row.iter().enumerate().fold(0, |best, (index, &value)| if value > row[best] { index } else { best })
}

/// Of each row the outputs that say yes.
fn positive(logits: &[f32], outputs: usize) -> Vec<Vec<usize>> {
    let row = |row: &[f32]| (0..row.len()).filter(|&output| row[output] > 0.0).collect();
    logits.chunks_exact(outputs).map(row).collect()
}

/// Hides tokens of a line: gives the line with masks in their places, the places and what stood there. The first and the last token are
/// special and stay. Of those hidden, one in ten stays as it is and one in ten becomes any token, so that the model can't rely on masks.
pub(crate) fn hide(ids: &[u32], (vocabulary, mask): (usize, u32), seed: u64, line: u64) -> (Vec<u32>, Vec<(usize, u32)>) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(line);
    let mut below = |limit: usize| below(&mut random, limit);
    let mut places: Vec<usize> = (1..ids.len().saturating_sub(1)).collect();
    let count = ((places.len() as f64 * HIDDEN_SHARE).round() as usize).max(1).min(places.len());
    for index in 0..count {
        let other = index + below(places.len() - index);
        places.swap(index, other);
    }
    let mut hidden = ids.to_vec();
    let mut restored = Vec::with_capacity(count);
    for &place in &places[..count] {
        restored.push((place, ids[place]));
        hidden[place] = match below(10) {
            0 => ids[place],
            1 => below(vocabulary) as u32,
            _ => mask,
        };
    }
    restored.sort_unstable();
    (hidden, restored)
}

/// Leaves out `share` of a line's tokens, drawn by `seed` and `line`. The first and the last token are special and stay.
pub(crate) fn thin(ids: &[u32], share: f32, seed: u64, line: u64) -> Vec<u32> {
    const PARTS: usize = 1 << 24;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(line);
    let limit = (f64::from(share) * PARTS as f64) as usize;
    let inner = 1..ids.len().saturating_sub(1);
    ids.iter().enumerate().filter(|(place, _)| !inner.contains(place) || below(&mut random, PARTS) >= limit).map(|(_, &id)| id).collect()
}

/// Refuses rows that the model or the task can't take.
pub(crate) fn check_rows(what: &str, rows: &[Example], task: &Task, (longest, vocabulary): (usize, usize)) -> Result<(), TrainError> {
    if rows.is_empty() {
        return Err(TrainError::Data(format!("there are no {what} rows")));
    }
    let sound = |row: &Example| {
        let tokens = !row.ids.is_empty() && row.ids.len() <= longest && row.ids.iter().all(|&id| (id as usize) < vocabulary);
        tokens && task.accepts(&row.labels) && row.weight.is_finite() && row.weight > 0.0
    };
    match rows.iter().position(|row| !sound(row)) {
        Some(index) => Err(TrainError::Data(format!("{what} row {}: a token, the length, a label or the weight can't be", index + 1))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_tokens_is_left_out_and_the_ends_stay() {
        let ids: Vec<u32> = (0..1000).collect();
        let left = thin(&ids, 0.2, 7, 3);
        assert!((740..860).contains(&left.len()) && left[0] == 0 && left[left.len() - 1] == 999 && left.is_sorted(), "{}", left.len());
        assert_eq!(left, thin(&ids, 0.2, 7, 3));
        assert_ne!(left, thin(&ids, 0.2, 8, 3));
        assert_eq!(thin(&[1, 2], 0.9, 1, 0), [1, 2]);
    }

    #[test]
    fn hidden_tokens_are_a_share_of_the_line_and_come_from_the_seed() {
        let ids: Vec<u32> = [2].into_iter().chain(10..210).chain([3]).collect();
        let (hidden, restored) = hide(&ids, (500, 4), 7, 3);
        assert_eq!(restored.len(), 30);
        assert!(restored.iter().all(|&(place, id)| ids[place] == id && place != 0 && place != ids.len() - 1));
        let masked = restored.iter().filter(|&&(place, _)| hidden[place] == 4).count();
        assert!((15..30).contains(&masked), "{masked}");
        let changed = ids.iter().zip(&hidden).enumerate().filter(|(_, (a, b))| a != b);
        assert!(changed.clone().all(|(place, _)| restored.iter().any(|entry| entry.0 == place)) && changed.count() >= masked);
        assert_eq!(hide(&ids, (500, 4), 7, 3), (hidden.clone(), restored.clone()));
        assert_ne!(hide(&ids, (500, 4), 7, 4).1, restored);
        assert_eq!(hide(&[2, 3], (500, 4), 7, 0).1, []);
    }
}
