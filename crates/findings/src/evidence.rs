//! Which parts of a line carry the decision, by leaving them out: a part's weight is how much the label's log-odds fall without it (erasure:
//! Zeiler and Fergus 2014; Li, Monroe and Jurafsky 2016). The model itself is asked, so what is marked is what it used.

use crate::{Decision, LabelView, ParentWord};
use attackline_model::{Classifier, Encoded};
use serde::Serialize;

/// A part of a line and its share in the decision.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Evidence {
    /// Where it begins, in bytes of the text.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// Its share of what all parts together carry, from 0 to 1.
    #[serde(serialize_with = "crate::finding::rounded")]
    pub weight: f32,
}

/// Parts that are left out in turn, at most; of a longer line neighbours go together first, and the heaviest groups are then divided.
const MOST_PARTS: usize = 24;

/// Groups of a long line that are divided.
const DIVIDED: usize = 3;

/// A part with a smaller share than this is not marked.
const LEAST_WEIGHT: f32 = 0.05;

/// Once parts with this share together are marked, no more are.
const ENOUGH: f32 = 0.7;

/// Characters that part words besides white space.
const BOUNDARIES: &[char] = &['(', ')', '{', '}', '[', ']', ';', '|', '&', '"', '\'', ',', '=', '<', '>', '`'];

/// Marks the parts of `text` that carry a decision for an attack label, in their order in the text; empty for Benign, and where no part alone
/// matters. `parent` is what was heard for the decision. Costs up to about fifty short lines.
pub fn evidence(classifier: &dyn Classifier, view: &LabelView, text: &str, parent: Option<&ParentWord>, decision: &Decision) -> Vec<Evidence> {
    if Some(decision.label) == view.benign() {
        return Vec::new();
    }
    let words = words(text);
    let whole = log_odds(decision.scores[decision.label]);
    let fall = |parts: &[(usize, usize)]| -> Vec<f32> {
        let scores = scores_without(classifier, view, text, parent, parts, decision.label);
        scores.into_iter().map(|score| score.map_or(0.0, |score| (whole - log_odds(score)).max(0.0))).collect()
    };
    let group = words.len().div_ceil(MOST_PARTS).max(1);
    let mut parts = joined(&words, group);
    let mut weights = fall(&parts);
    if group > 1 {
        let mut order: Vec<usize> = (0..parts.len()).collect();
        order.sort_by(|&a, &b| weights[b].total_cmp(&weights[a]));
        let mut divided: Vec<usize> = order.into_iter().take(DIVIDED).filter(|&part| weights[part] > 0.0).collect();
        divided.sort_unstable_by(|a, b| b.cmp(a));
        for part in divided {
            let inner = &words[part * group..words.len().min((part + 1) * group)];
            let inner = joined(inner, inner.len().div_ceil(MOST_PARTS));
            let of_inner = fall(&inner);
            // Where no word of the group matters alone, the group stays whole.
            if of_inner.iter().any(|weight| *weight > 0.0) {
                weights.splice(part..=part, of_inner);
                parts.splice(part..=part, inner);
            }
        }
    }
    heaviest(parts, weights)
}

/// The fewest parts that carry [`ENOUGH`], in the order of the text.
fn heaviest(parts: Vec<(usize, usize)>, weights: Vec<f32>) -> Vec<Evidence> {
    let total: f32 = weights.iter().sum();
    let mut all: Vec<Evidence> =
        parts.into_iter().zip(weights).map(|((start, end), weight)| Evidence { start, end, weight: weight / total }).collect();
    all.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.start.cmp(&b.start)));
    let mut carried = 0.0;
    all.retain(|part| {
        let wanted = carried < ENOUGH && part.weight >= LEAST_WEIGHT;
        carried += part.weight;
        wanted
    });
    all.sort_by_key(|part| part.start);
    all
}

/// The words' byte ranges: what stands between white space and the marks that divide a command.
fn words(text: &str) -> Vec<(usize, usize)> {
    let divides = |letter: char| letter.is_whitespace() || BOUNDARIES.contains(&letter);
    text.split(divides)
        .filter(|word| word.contains(|letter: char| letter.is_alphanumeric()))
        .map(|word| {
            let start = word.as_ptr() as usize - text.as_ptr() as usize;
            (start, start + word.len())
        })
        .collect()
}

/// Ranges of `group` neighbouring words each.
fn joined(words: &[(usize, usize)], group: usize) -> Vec<(usize, usize)> {
    words.chunks(group).map(|group| (group[0].0, group[group.len() - 1].1)).collect()
}

/// The label's score without each of the parts; `None` where the rest can't be read.
fn scores_without(
    classifier: &dyn Classifier,
    view: &LabelView,
    text: &str,
    parent: Option<&ParentWord>,
    parts: &[(usize, usize)],
    label: usize,
) -> Vec<Option<f32>> {
    let without = |&(start, end): &(usize, usize)| classifier.encode(&format!("{}{}", &text[..start], &text[end..])).ok();
    let rests: Vec<Option<Encoded>> = parts.iter().map(without).collect();
    let readable: Vec<bool> = rests.iter().map(Option::is_some).collect();
    let mut predictions = classifier.classify(&rests.into_iter().flatten().collect::<Vec<_>>()).into_iter();
    let score = |readable: bool| {
        let prediction = if readable { predictions.next() } else { None }?;
        let prediction = if let Some(parent) = parent { parent.heard(&prediction) } else { prediction };
        Some(view.decide(&prediction.scores, 0.5).scores[label])
    };
    readable.into_iter().map(score).collect()
}

/// The logarithm of a probability's odds; nobody is surer than a million to one.
pub fn log_odds(probability: f32) -> f32 {
    let probability = probability.clamp(1e-6, 1.0 - 1e-6);
    (probability / (1.0 - probability)).ln()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use attackline_model::{Encoded, Labels, ModelError, Prediction, Prepared};

    /// Sure of an attack as far as the line has the words that it knows: each id is a word's length.
    struct Knows(Labels);

    impl Classifier for Knows {
        fn labels(&self) -> &Labels {
            &self.0
        }

        fn encode_prepared(&self, line: &Prepared<'_>) -> Result<Encoded, ModelError> {
            let known = ["reg", "save", "sam"].iter().filter(|word| line.text.to_lowercase().contains(*word)).count() as u32;
            Ok(vec![known, 9].into())
        }

        fn classify(&self, lines: &[Encoded]) -> Vec<Prediction> {
            let score = |line: &Encoded| [0.1, 0.3, 0.7, 0.9][line.ids[0] as usize];
            lines.iter().map(score).map(|attack| Prediction { scores: vec![1.0 - attack, attack] }).collect()
        }

        fn threshold(&self) -> f32 {
            0.5
        }

        fn name(&self) -> &str {
            "knows"
        }
    }

    fn marked(text: &str) -> Vec<(&str, f32)> {
        let model = Knows(Labels::new(vec!["Benign".into(), "T1003.002".into()]).unwrap());
        let view = LabelView::all(model.labels());
        let decision = view.decide(&model.classify(&[model.encode(text).unwrap()])[0].scores, 0.5);
        evidence(&model, &view, text, None, &decision).into_iter().map(|part| (&text[part.start..part.end], part.weight)).collect()
    }

    #[test]
    fn what_the_model_used_is_marked() {
        let found = marked("cmd /c \"reg save HKLM\\SAM é.hiv\" && echo ok");
        assert_eq!(found.iter().map(|part| part.0).collect::<Vec<_>>(), ["reg", "save", "HKLM\\SAM"]);
        assert!((found.iter().map(|part| part.1).sum::<f32>() - 1.0).abs() < 1e-6);
        let heavy = heaviest(vec![(0, 1), (2, 3), (4, 5), (6, 7)], vec![1.0, 5.0, 3.5, 0.5]);
        assert_eq!(heavy.iter().map(|part| part.start).collect::<Vec<_>>(), [2, 4], "the fewest that carry most");
        assert_eq!(marked("echo ok"), [], "Benign has none");
        assert_eq!(marked(""), []);
    }

    #[test]
    fn a_long_line_is_divided_where_it_matters() {
        let text = format!("{} reg {} save sam {}", "x ".repeat(500), "é ".repeat(700), "y ".repeat(300));
        let words: Vec<&str> = marked(&text).into_iter().map(|part| part.0).collect();
        assert!(words.iter().all(|part| part.len() < text.len() / 20) && words.concat().contains("reg"), "{words:?}");
    }
}
