//! What started a process, heard beside its own line: the same command is more often an attack below a command line that is one itself, and
//! less often below a service that does such things all day.

use crate::log_odds;
use attackline_model::{Classifier, Prediction};
use attackline_telemetry::LogLine;

/// What the answer to a line's parent does to the line's own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParentWord {
    /// The probability that the parent's own line is an attack.
    pub attack: f32,
    /// What is added to the line's logit of an attack.
    pub shift: f32,
    benign: usize,
}

impl ParentWord {
    /// By the model's answer to the parent's line; `None` where the model reads lines alone, knows no Benign, or has labels that don't exclude each other.
    pub fn new(classifier: &dyn Classifier, parent: &Prediction) -> Option<Self> {
        let (share, labels) = (classifier.parent_share()?, classifier.labels());
        let benign = labels.benign().filter(|_| !labels.several())?;
        let attack = rest(&parent.scores, benign);
        let shift = share.share * (log_odds(attack) - share.usual).clamp(-share.furthest, share.furthest);
        Some(Self { attack, shift, benign })
    }

    /// The answer to a line with its parent heard. What techniques have among each other stays.
    pub fn heard(&self, line: &Prediction) -> Prediction {
        let factor = self.shift.exp();
        let total = line.scores[self.benign] + factor * rest(&line.scores, self.benign);
        let share = |(label, score): (usize, &f32)| if label == self.benign { score / total } else { factor * score / total };
        Prediction { scores: line.scores.iter().enumerate().map(share).collect() }
    }
}

/// What all labels but one have together.
fn rest(scores: &[f32], but: usize) -> f32 {
    scores.iter().enumerate().filter(|(label, _)| *label != but).map(|(_, score)| score).sum()
}

/// The line of the process that started a line's own, where the log has one and the model hears it.
pub fn parent_line<'a>(classifier: &dyn Classifier, line: &'a LogLine) -> Option<&'a str> {
    classifier.parent_share()?;
    line.event.parent.as_deref().filter(|parent| !parent.trim().is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use attackline_model::{Encoded, Labels, ModelError, ParentShare, Prepared};
    use attackline_telemetry::Event;

    struct Hears(Labels, Option<ParentShare>);

    impl Classifier for Hears {
        fn labels(&self) -> &Labels {
            &self.0
        }

        fn encode_prepared(&self, _: &Prepared<'_>) -> Result<Encoded, ModelError> {
            Ok(Encoded::default())
        }

        fn classify(&self, _: &[Encoded]) -> Vec<Prediction> {
            Vec::new()
        }

        fn threshold(&self) -> f32 {
            0.5
        }

        fn parent_share(&self) -> Option<ParentShare> {
            self.1
        }

        fn name(&self) -> &str {
            "hears"
        }
    }

    fn labels() -> Labels {
        Labels::new(["T1049", "Benign", "T1033"].map(String::from).to_vec()).unwrap()
    }

    fn of(scores: [f32; 3]) -> Prediction {
        Prediction { scores: scores.to_vec() }
    }

    #[test]
    fn a_parent_moves_the_odds_of_an_attack_and_nothing_else() {
        let hears = Hears(labels(), Some(ParentShare { share: 0.5, usual: -2.0, furthest: 4.0 }));
        let word = |benign: f32| ParentWord::new(&hears, &of([(1.0 - benign) / 2.0, benign, (1.0 - benign) / 2.0])).unwrap();
        // Even odds are two above the usual.
        let word_of_even_odds = word(0.5);
        assert!((word_of_even_odds.shift - 1.0).abs() < 1e-6 && (word_of_even_odds.attack - 0.5).abs() < 1e-6);
        let heard = word_of_even_odds.heard(&of([0.3, 0.6, 0.1]));
        assert!((heard.scores.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!(((heard.scores[0] + heard.scores[2]) / heard.scores[1] - 0.4 / 0.6 * 1f32.exp()).abs() < 1e-5, "{heard:?}");
        assert!((heard.scores[0] / heard.scores[2] - 3.0).abs() < 1e-5);
        assert_eq!((word(0.0).shift, word(1.0).shift), (2.0, -2.0), "no parent decides alone");
        let usual = 1.0 / (1.0 + (-2f32).exp());
        assert!(word(usual).shift.abs() < 1e-5, "a usual parent changes nothing");
        let certain = word(0.0).heard(&of([0.0, 1.0, 0.0]));
        assert_eq!(certain.scores, [0.0, 1.0, 0.0]);
    }

    #[test]
    fn a_parent_is_heard_where_both_model_and_log_have_one() {
        let line = |parent: Option<&str>| LogLine { event: Event { parent: parent.map(String::from), ..Event::default() }, ..LogLine::default() };
        let hears = Hears(labels(), Some(ParentShare::default()));
        assert_eq!(parent_line(&hears, &line(Some("cmd.exe"))), Some("cmd.exe"));
        assert_eq!((parent_line(&hears, &line(None)), parent_line(&hears, &line(Some(" ")))), (None, None));
        let deaf = Hears(labels(), None);
        assert_eq!(parent_line(&deaf, &line(Some("cmd.exe"))), None);
        assert_eq!(ParentWord::new(&deaf, &of([0.0, 1.0, 0.0])), None);
    }
}
