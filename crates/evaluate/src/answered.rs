use std::collections::HashMap;

/// Why answers can't be measured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The scores are not one a row and label.
    #[error("{rows} rows and {labels} labels want {} scores, there are {scores}", rows * labels)]
    Shape {
        /// Rows.
        rows: usize,
        /// Labels.
        labels: usize,
        /// Scores.
        scores: usize,
    },
    /// A score is infinite or no number.
    #[error("row {0}: a score is not a finite number")]
    NotFinite(usize),
    /// None of a row's labels is answered with.
    #[error("row {0}: none of its labels is answered with")]
    UnknownLabel(usize),
}

/// Labelled rows and what a model said of them: what every figure is computed from. A row may have several labels, each of which
/// counts as right.
#[derive(Debug, Clone)]
pub struct Answered {
    labels: Vec<String>,
    benign: Option<usize>,
    scores: Vec<f32>,
    /// The first known label of each row.
    first: Vec<usize>,
    /// Further known labels, by row; most rows have none.
    others: HashMap<usize, Vec<usize>>,
    /// The parent techniques of each row's labels, known to the model or not.
    families: Vec<Vec<String>>,
    best: Vec<usize>,
    predicted: Vec<usize>,
    attack_scores: Vec<f32>,
}

/// How far the sum of probabilities may be from one.
const SUM_TOLERANCE: f32 = 1e-3;

/// The technique that a sub-technique belongs to: `T1003` of `T1003.002` and of `T1003`.
pub fn parent_technique(label: &str) -> &str {
    label.split_once('.').map_or(label, |(parent, _)| parent)
}

impl Answered {
    /// `truths` holds each row's labels, the most important first; `scores` a probability for each of `labels`, row after row. A row is
    /// predicted to be its most probable attack label where the probability of an attack reaches `threshold`, else `benign` (where there is
    /// such a label); the first of equals wins.
    pub fn new(labels: &[String], benign: Option<usize>, truths: &[Vec<String>], scores: Vec<f32>, threshold: f32) -> Result<Self, AnswerError> {
        let (rows, width) = (truths.len(), labels.len());
        if width == 0 || scores.len() != rows * width {
            return Err(AnswerError::Shape { rows, labels: width, scores: scores.len() });
        }
        let place: HashMap<&str, usize> = labels.iter().enumerate().map(|(index, name)| (name.as_str(), index)).collect();
        let mut answered = Self {
            labels: labels.to_vec(),
            benign,
            first: Vec::with_capacity(rows),
            others: HashMap::new(),
            families: Vec::with_capacity(rows),
            best: Vec::with_capacity(rows),
            predicted: Vec::with_capacity(rows),
            attack_scores: Vec::with_capacity(rows),
            scores,
        };
        for (row, names) in truths.iter().enumerate() {
            let known: Vec<usize> = names.iter().filter_map(|name| place.get(name.as_str()).copied()).collect();
            let Some((&first, others)) = known.split_first() else { return Err(AnswerError::UnknownLabel(row)) };
            answered.first.push(first);
            if !others.is_empty() {
                answered.others.insert(row, others.to_vec());
            }
            answered.families.push(names.iter().map(|name| parent_technique(name).to_owned()).collect());
            answered.decide(row, threshold)?;
        }
        Ok(answered)
    }

    fn decide(&mut self, row: usize, threshold: f32) -> Result<(), AnswerError> {
        let scores = &self.scores[row * self.labels.len()..(row + 1) * self.labels.len()];
        if scores.iter().any(|score| !score.is_finite()) {
            return Err(AnswerError::NotFinite(row));
        }
        let greatest = |best: (usize, f32), (label, &score): (usize, &f32)| if score > best.1 { (label, score) } else { best };
        let surest = scores.iter().enumerate().filter(|(label, _)| Some(*label) != self.benign).fold((0, f32::MIN), greatest);
        // Labels that exclude each other share what Benign leaves; of others the surest one decides.
        let exclusive = (scores.iter().sum::<f32>() - 1.0).abs() < SUM_TOLERANCE;
        let benign = self.benign.map(|benign| scores[benign]);
        let attack = benign.filter(|_| exclusive).map_or(surest.1.max(0.0), |benign| 1.0 - benign);
        let unless_benign = |attack: bool| self.benign.filter(|_| !attack).unwrap_or(surest.0);
        self.best.push(unless_benign(benign.is_none_or(|benign| attack > benign)));
        self.predicted.push(unless_benign(attack >= threshold));
        self.attack_scores.push(attack);
        Ok(())
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.first.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// The labels that were answered with.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The place of the benign label.
    pub fn benign(&self) -> Option<usize> {
        self.benign
    }

    /// The scores of a row, one a label.
    pub fn scores(&self, row: usize) -> &[f32] {
        &self.scores[row * self.labels.len()..(row + 1) * self.labels.len()]
    }

    /// The first of a row's labels that is answered with.
    pub fn first_label(&self, row: usize) -> usize {
        self.first[row]
    }

    /// Whether a row is an attack.
    pub fn is_attack(&self, row: usize) -> bool {
        Some(self.first[row]) != self.benign
    }

    /// Whether `label` is right for a row.
    pub fn accepts(&self, row: usize, label: usize) -> bool {
        self.first[row] == label || self.others.get(&row).is_some_and(|others| others.contains(&label))
    }

    /// The labels that are right for a row.
    pub(crate) fn accepted(&self, row: usize) -> impl Iterator<Item = usize> + '_ {
        std::iter::once(self.first[row]).chain(self.others.get(&row).into_iter().flatten().copied())
    }

    /// Whether `label` belongs to the parent technique of one of a row's labels, or is right.
    pub fn accepts_parent(&self, row: usize, label: usize) -> bool {
        self.accepts(row, label) || self.families[row].iter().any(|family| family == parent_technique(&self.labels[label]))
    }

    /// What a row most probably is, whatever the threshold: its most probable attack label where an attack is more probable than not, else
    /// benign.
    pub fn best(&self, row: usize) -> usize {
        self.best[row]
    }

    /// The probability of [`best`](Self::best).
    pub fn confidence(&self, row: usize) -> f32 {
        self.scores(row)[self.best[row]]
    }

    /// What the row is predicted to be, the threshold applied.
    pub fn predicted(&self) -> &[usize] {
        &self.predicted
    }

    /// The label that the row counts under in reports: the predicted one where that is right, else its first.
    pub fn counted(&self) -> Vec<usize> {
        (0..self.len()).map(|row| if self.accepts(row, self.predicted[row]) { self.predicted[row] } else { self.first[row] }).collect()
    }

    /// The probability that it is an attack, by row: what benign leaves, or that of the surest attack label where labels don't exclude each
    /// other.
    pub fn attack_scores(&self) -> &[f32] {
        &self.attack_scores
    }

    /// The attack scores of attack rows and of benign rows.
    pub fn split_scores(&self) -> (Vec<f32>, Vec<f32>) {
        let of = |attack: bool| (0..self.len()).filter(|&row| self.is_attack(row) == attack).map(|row| self.attack_scores[row]).collect();
        (of(true), of(false))
    }

    /// Whether each row's scores sum to one, so that they are probabilities of labels that exclude each other.
    pub fn is_distribution(&self) -> bool {
        (0..self.len()).all(|row| (self.scores(row).iter().sum::<f32>() - 1.0).abs() < SUM_TOLERANCE)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn thresholds_parents_and_several_labels() {
        let labels = names(&["Benign", "T1003.001", "T1003.002", "T1049"]);
        let truths = [names(&["T1003.003", "T1003.002"]), names(&["Benign"]), names(&["T1049", "T1003.002"])];
        let scores = vec![0.1, 0.6, 0.2, 0.1, 0.3, 0.4, 0.2, 0.1, 0.0, 0.1, 0.8, 0.1];
        let answered = Answered::new(&labels, Some(0), &truths, scores, 0.75).unwrap();
        assert_eq!((answered.predicted(), answered.counted()), (&[1, 0, 2][..], vec![2, 0, 2]));
        assert!(!answered.accepts(0, 1) && answered.accepts_parent(0, 1) && answered.accepts(0, 2) && !answered.accepts_parent(1, 1));
        assert_eq!((answered.best(1), answered.confidence(1), answered.attack_scores()[1]), (1, 0.4, 0.7));
        assert_eq!(answered.split_scores(), (vec![0.9, 1.0], vec![0.7]));
        assert!(answered.is_distribution());
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        let labels = names(&["Benign", "T1049"]);
        let of = |truth: &str, scores: Vec<f32>| Answered::new(&labels, Some(0), &[names(&[truth])], scores, 0.0).unwrap_err();
        assert_eq!(of("T1", vec![0.5, 0.5]), AnswerError::UnknownLabel(0));
        assert_eq!(of("Benign", vec![0.5, f32::NAN]), AnswerError::NotFinite(0));
        assert_eq!(of("Benign", vec![0.5]).to_string(), "1 rows and 2 labels want 2 scores, there are 1");
    }
}
