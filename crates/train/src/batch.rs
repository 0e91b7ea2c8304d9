use crate::{
    Example, TrainSettings,
    embeddings::Sources,
    lines::Lines,
    ops::CrossEntropy,
    parameters::Parameters,
    task::{Task, hide, thin},
};
use attackline_model::EncoderSpec;
use std::sync::Arc;

/// Lines packed for the graph, and what is right for them.
pub(crate) struct Batch {
    pub(crate) sources: Sources,
    pub(crate) lines: Lines,
    pub(crate) tokens: usize,
    /// The right outputs of each row of logits.
    pub(crate) labels: Arc<[Vec<usize>]>,
    /// What each row counts.
    weights: Arc<[f32]>,
    /// Tokens that the head answers for, where it isn't whole lines.
    pub(crate) picked: Option<Vec<u32>>,
}

impl Batch {
    /// Packs rows. Where tokens are to be restored, `seed` decides which are hidden, else which `thinned` share of them is left out.
    pub(crate) fn new(
        rows: &[Example],
        indices: &[usize],
        (spec, parameters): (&EncoderSpec, &Parameters),
        task: &Task,
        (thinned, seed): (f32, u64),
    ) -> Self {
        let (mut ids, mut offsets) = (Vec::new(), vec![0]);
        let (mut labels, mut weights, mut picked) = (Vec::new(), Vec::new(), Vec::new());
        for &index in indices {
            let row = &rows[index];
            match *task {
                Task::Label(_) => {
                    if thinned > 0.0 {
                        ids.extend(thin(&row.ids, thinned, seed, index as u64));
                    } else {
                        ids.extend_from_slice(&row.ids);
                    }
                    labels.push(row.labels.clone());
                    weights.push(row.weight);
                }
                Task::Restore { vocabulary, mask } => {
                    let (hidden, restored) = hide(&row.ids, (vocabulary, mask), seed, index as u64);
                    for (place, id) in restored {
                        picked.push((ids.len() + place) as u32);
                        labels.push(vec![id as usize]);
                        weights.push(row.weight);
                    }
                    ids.extend(hidden);
                }
            }
            offsets.push(ids.len());
        }
        Self {
            sources: parameters.embeddings.sources(&ids, &offsets),
            lines: Lines::new(&offsets, spec.used_relative()),
            tokens: ids.len(),
            labels: labels.into(),
            weights: weights.into(),
            picked: matches!(task, Task::Restore { .. }).then_some(picked),
        }
    }

    /// The loss of its rows.
    pub(crate) fn loss(&self, task: &Task, settings: &TrainSettings) -> CrossEntropy {
        CrossEntropy {
            labels: self.labels.clone(),
            row_weights: self.weights.clone(),
            class_weights: settings.class_weights.as_deref().map(Arc::from),
            smoothing: settings.label_smoothing,
            focus: settings.focus,
            several: task.several(),
        }
    }
}
