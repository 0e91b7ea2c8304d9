use crate::Answered;
use serde::Serialize;

/// How an answer is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mistake {
    /// A benign row reported as an attack.
    FalseAlarm,
    /// An attack that was not reported.
    Missed,
    /// An attack reported as another.
    Confused,
}

/// A wrong answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct WrongAnswer {
    /// The row, from 0.
    pub row: usize,
    /// How it is wrong.
    pub mistake: Mistake,
    /// The label that would have been right, an index.
    pub truth: usize,
    /// The label predicted, the threshold applied; an index.
    pub predicted: usize,
    /// How sure the model was of its mistake: the predicted label's probability.
    pub score: f32,
}

/// The surest wrong answers, at most `most` of each kind, the surest first.
pub fn worst_errors(answered: &Answered, most: usize) -> Vec<WrongAnswer> {
    let mut wrong: Vec<WrongAnswer> = (0..answered.len()).filter_map(|row| mistake(answered, row)).collect();
    wrong.sort_by(|a, b| a.mistake.cmp(&b.mistake).then(b.score.total_cmp(&a.score)).then(a.row.cmp(&b.row)));
    wrong.chunk_by(|a, b| a.mistake == b.mistake).flat_map(|kind| kind.iter().take(most).copied()).collect()
}

fn mistake(answered: &Answered, row: usize) -> Option<WrongAnswer> {
    let predicted = answered.predicted()[row];
    if answered.accepts(row, predicted) {
        return None;
    }
    let mistake = match (answered.is_attack(row), Some(predicted) == answered.benign()) {
        (false, _) => Mistake::FalseAlarm,
        (true, true) => Mistake::Missed,
        (true, false) => Mistake::Confused,
    };
    Some(WrongAnswer { row, mistake, truth: answered.first_label(row), predicted, score: answered.scores(row)[predicted] })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_surest_of_each_kind_come_first() {
        let labels: Vec<String> = ["Benign", "T1", "T2"].map(String::from).to_vec();
        let truths: Vec<Vec<String>> = ["Benign", "T1", "T1", "T1", "Benign", "T2"].map(|name| vec![name.to_owned()]).to_vec();
        let scores = vec![0.2, 0.7, 0.1, 0.6, 0.3, 0.1, 0.9, 0.1, 0.0, 0.1, 0.1, 0.8, 0.1, 0.9, 0.0, 0.0, 0.1, 0.9];
        let answered = Answered::new(&labels, Some(0), &truths, scores, 0.5).unwrap();
        let rows = |most| worst_errors(&answered, most).iter().map(|wrong| (wrong.row, wrong.mistake)).collect::<Vec<_>>();
        use Mistake::*;
        assert_eq!(rows(9), [(4, FalseAlarm), (0, FalseAlarm), (2, Missed), (1, Missed), (3, Confused)]);
        assert_eq!(rows(1), [(4, FalseAlarm), (2, Missed), (3, Confused)]);
        assert!(rows(0).is_empty());
    }
}
