use attackline_catalog::suggest;
use attackline_model::{BENIGN, Labels};

/// Why a set of labels can't be answered with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// The model was not trained for a label.
    #[error("the model does not know the label {label:?}; {instead}")]
    UnknownLabel {
        /// The label asked for.
        label: String,
        /// What it may have meant, or what there is.
        instead: String,
    },
    /// Folding labels away needs a label to fold them into.
    #[error("the model has no label {BENIGN}, so its other labels can't be left out")]
    NoBenign,
    /// No label was named besides Benign.
    #[error("name at least one label besides {BENIGN}")]
    Nothing,
}

/// More labels than these are counted in a message, not listed.
const MOST_LISTED: usize = 20;

/// As probable as not.
const EVEN_ODDS: f32 = 0.5;

/// The labels that answers are given with: all of the model's, or Benign and some chosen ones. A technique that was not
/// chosen counts as the technique that it is a part of, where that was; else as none of them, so its probability is added to Benign's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelView {
    names: Vec<String>,
    /// For each of the model's outputs the place in `names` that its probability goes to.
    target: Vec<usize>,
    benign: Option<usize>,
    several: bool,
}

/// What a line shows. Whether it is an attack is asked first, of all attack labels together, since of hundreds of techniques several may
/// share a sure attack; then which one.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// An index of [`LabelView::names`]: the most probable attack label where an attack is more probable than not or is reported, else Benign.
    pub label: usize,
    /// Its probability.
    pub score: f32,
    /// The probability that the line is an attack of any kind: what Benign leaves; where labels don't exclude each other, that of the surest
    /// attack label.
    pub attack: f32,
    /// Whether an attack is more probable than not without reaching the threshold.
    pub abstained: bool,
    /// Whether the probability of an attack reaches the threshold.
    pub is_attack: bool,
    /// The probabilities, in the order of [`LabelView::names`].
    pub scores: Vec<f32>,
    /// Where the model answers with several labels: all attack labels that reach the threshold, the most probable first.
    pub labels: Option<Vec<usize>>,
}

impl LabelView {
    /// All of the model's labels.
    pub fn all(labels: &Labels) -> Self {
        Self { names: labels.names().to_vec(), target: (0..labels.len()).collect(), benign: labels.benign(), several: labels.several() }
    }

    /// Benign and the labels `chosen`, in the model's order. Blanks around a label, its case and empty ones don't count.
    pub fn only(labels: &Labels, chosen: &[String]) -> Result<Self, ViewError> {
        let benign = labels.benign().ok_or(ViewError::NoBenign)?;
        let find = |label: &str| {
            let index = labels.names().iter().position(|name| name.eq_ignore_ascii_case(label));
            index.ok_or_else(|| ViewError::UnknownLabel { label: label.to_owned(), instead: instead(labels, label) })
        };
        let chosen = chosen.iter().map(|label| label.trim()).filter(|label| !label.is_empty()).map(find).collect::<Result<Vec<_>, _>>()?;
        let kept: Vec<usize> = (0..labels.len()).filter(|index| *index == benign || chosen.contains(index)).collect();
        if kept.len() < 2 {
            return Err(ViewError::Nothing);
        }
        let place = |index: usize| kept.iter().position(|&other| other == index);
        let benign = place(benign).expect("Benign is always kept");
        let parent = |index: usize| labels.name(index).split_once('.').and_then(|(parent, _)| place(labels.index(parent)?));
        Ok(Self {
            names: kept.iter().map(|&index| labels.name(index).to_owned()).collect(),
            target: (0..labels.len()).map(|index| place(index).or_else(|| parent(index)).unwrap_or(benign)).collect(),
            benign: Some(benign),
            several: labels.several(),
        })
    }

    /// The labels that answers are given with.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The place of Benign among [`names`](Self::names).
    pub fn benign(&self) -> Option<usize> {
        self.benign
    }

    /// The threshold where nobody gave one. A model's threshold keeps the false alarms of all its labels together rare; who asks for a few of
    /// them gets those labels' alone, so even odds do.
    pub fn default_threshold(&self, of_model: f32) -> f32 {
        if self.names.len() == self.target.len() { of_model } else { of_model.min(EVEN_ODDS) }
    }

    /// Decides on a model's probabilities; the first of equals wins.
    pub fn decide(&self, probabilities: &[f32], threshold: f32) -> Decision {
        assert_eq!(probabilities.len(), self.target.len(), "a probability for each of the model's labels");
        let scores = self.folded(probabilities);
        let (surest, surest_score) = self.surest_attack(&scores);
        let benign = self.benign.map(|place| scores[place]);
        let attack = benign.filter(|_| !self.several).map_or(surest_score, |benign| 1.0 - benign);
        let is_attack = attack >= threshold;
        let likely = benign.is_none_or(|benign| attack > benign);
        let label = self.benign.filter(|_| !likely && !is_attack).unwrap_or(surest);
        let labels = self.several.then(|| {
            let mut labels: Vec<usize> = (0..scores.len()).filter(|&place| Some(place) != self.benign && scores[place] >= threshold).collect();
            labels.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
            labels
        });
        Decision { label, score: scores[label], attack, abstained: likely && !is_attack, is_attack, scores, labels }
    }

    /// The probabilities of [`names`](Self::names).
    fn folded(&self, probabilities: &[f32]) -> Vec<f32> {
        if self.names.len() == self.target.len() {
            return probabilities.to_vec();
        }
        let mut scores = vec![0.0f32; self.names.len()];
        for (&place, &probability) in self.target.iter().zip(probabilities) {
            // Of labels that don't exclude each other, the surest one speaks for those that are folded together.
            scores[place] = if self.several { scores[place].max(probability) } else { scores[place] + probability };
        }
        scores
    }

    /// The most probable attack label and its score.
    fn surest_attack(&self, scores: &[f32]) -> (usize, f32) {
        let (before, behind) = scores.split_at(self.benign.unwrap_or(scores.len()));
        let greatest = greatest(before).max(greatest(behind.get(1..).unwrap_or_default()));
        let place = (0..scores.len()).find(|&place| scores[place] == greatest && Some(place) != self.benign);
        (place.unwrap_or(0), greatest)
    }
}

/// The greatest of some scores, in lanes that the compiler makes registers of: a stream has many lines, each with hundreds of labels.
fn greatest(scores: &[f32]) -> f32 {
    let (whole, rest) = scores.as_chunks::<16>();
    let mut lanes = [f32::MIN; 16];
    for chunk in whole {
        for (lane, &score) in lanes.iter_mut().zip(chunk) {
            *lane = if score > *lane { score } else { *lane };
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::MIN, f32::max)
}

/// What to name instead of a label that the model doesn't know.
fn instead(labels: &Labels, label: &str) -> String {
    match suggest(label).filter(|technique| labels.index(technique.id).is_some()) {
        Some(technique) => format!("perhaps {} is meant", technique.id),
        None if labels.len() > MOST_LISTED => format!("attackline model info lists the {} that it knows", labels.len()),
        None => format!("it knows {}", labels.names().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn labels() -> Labels {
        Labels::new(["T1049", "Benign", "T1087.001", "T1003.002"].map(String::from).to_vec()).unwrap()
    }

    #[test]
    fn of_many_labels_the_first_of_the_surest_is_found_wherever_it_stands() {
        for benign in [0, 16, 39] {
            let names = (0..40).map(|number| if number == benign { "Benign".into() } else { format!("T{}", 1001 + number) });
            let view = LabelView::all(&Labels::new(names.collect()).unwrap());
            for place in (0..40).filter(|place| *place != benign) {
                let mut scores = [0.01; 40];
                (scores[benign], scores[place], scores[39 - usize::from(benign == 39)]) = (0.5, 0.3, 0.3);
                let decision = view.decide(&scores, 0.4);
                assert_eq!((decision.label, decision.score), (place, 0.3), "Benign at {benign}");
            }
        }
    }

    #[test]
    fn labels_left_out_count_as_benign() {
        let view = LabelView::only(&labels(), &["T1003.002".into()]).unwrap();
        assert_eq!(view.names(), ["Benign", "T1003.002"]);
        let decision = view.decide(&[0.5, 0.125, 0.0, 0.375], 0.5);
        assert_eq!((decision.scores.as_slice(), decision.label, decision.is_attack), (&[0.625, 0.375][..], 0, false));
        assert!(!decision.abstained, "Benign needs no threshold");
    }

    #[test]
    fn a_technique_stands_for_its_parts() {
        let labels = Labels::new(["Benign", "T1003", "T1003.001", "T1003.002", "T1049"].map(String::from).to_vec()).unwrap();
        let view = LabelView::only(&labels, &[" t1003 ".into(), String::new(), "T1003.002".into()]).unwrap();
        assert_eq!(view.names(), ["Benign", "T1003", "T1003.002"]);
        assert_eq!(view.decide(&[0.125, 0.125, 0.25, 0.375, 0.125], 0.5).scores, [0.25, 0.375, 0.375]);
        let unknown = LabelView::only(&labels, &["T1003/002".into()]).unwrap_err().to_string();
        assert!(unknown.contains("\"T1003/002\"; perhaps T1003.002 is meant"), "{unknown}");
    }

    #[test]
    fn attacks_below_the_threshold_are_abstained_from() {
        let view = LabelView::all(&labels());
        let scores = [0.5, 0.25, 0.125, 0.125];
        for (threshold, abstained) in [(0.75, false), (0.76, true)] {
            let decision = view.decide(&scores, threshold);
            assert_eq!((decision.label, decision.score, decision.attack), (0, 0.5, 0.75));
            assert_eq!((decision.abstained, decision.is_attack), (abstained, !abstained), "{threshold}");
        }
        assert_eq!(view.decide(&[0.25; 4], 0.1).label, 0, "the first of equals");
    }

    #[test]
    fn a_few_labels_have_a_threshold_of_their_own() {
        let few = LabelView::only(&labels(), &["T1003.002".into()]).unwrap();
        assert_eq!((LabelView::all(&labels()).default_threshold(0.99), few.default_threshold(0.99), few.default_threshold(0.3)), (0.99, 0.5, 0.3));
    }

    #[test]
    fn techniques_that_share_a_sure_attack_do_not_make_it_benign() {
        let view = LabelView::all(&labels());
        let decision = view.decide(&[0.25, 0.375, 0.1875, 0.1875], 0.6);
        assert_eq!((decision.label, decision.score, decision.is_attack), (0, 0.25, true));
        let benign = view.decide(&[0.25, 0.625, 0.0625, 0.0625], 0.5);
        assert_eq!((benign.label, benign.abstained, benign.is_attack), (1, false, false));
        let low = view.decide(&[0.25, 0.625, 0.0625, 0.0625], 0.3);
        assert_eq!((low.label, low.abstained, low.is_attack), (0, false, true), "a low threshold reports what is less probable than not");
    }

    #[test]
    fn a_line_may_have_several_labels() {
        let view = LabelView::all(&labels().with_several(true));
        let decision = view.decide(&[0.6, 0.1, 0.2, 0.9], 0.5);
        assert_eq!((decision.label, decision.is_attack, decision.labels), (3, true, Some(vec![3, 0])));
        let view = LabelView::only(&labels().with_several(true), &["T1003.002".into()]).unwrap();
        assert_eq!(view.decide(&[0.6, 0.1, 0.2, 0.5], 0.5).scores, [0.6, 0.5], "the surest of what is left out");
    }

    #[test]
    fn refuses_what_it_cannot_answer() {
        let unknown = LabelView::only(&labels(), &["T1049".into(), "T9999".into()]).unwrap_err();
        assert!(unknown.to_string().contains("\"T9999\"; it knows T1049, Benign, T1087.001, T1003.002"), "{unknown}");
        assert_eq!(LabelView::only(&labels(), &["Benign".into()]), Err(ViewError::Nothing));
        let attacks_only = Labels::new(vec!["T1049".into(), "T1003.002".into()]).unwrap();
        assert_eq!(LabelView::only(&attacks_only, &["T1049".into()]), Err(ViewError::NoBenign));
    }
}
