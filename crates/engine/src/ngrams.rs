//! The n-gram model that answers beside an encoder, and before it where lines are certainly benign.

use attackline_kernels::{Crew, PackedMatrix, embedding_bag, log_sum_exp, softmax};
use attackline_model::{
    AttackShares, Classifier, Encoded, GateSettings, Int8Tensor, Labels, ModelError, ModelFolder, NgramLogits, NgramSettings, NgramWeights,
    ParentShare, Prediction, Prepared, TechniqueShares, Tensor, is_prose, ngrams, prepare,
};
use std::sync::Arc;

/// A classifier that is heard together with the folder's n-gram model: the logarithms of both's probabilities are added up.
///
/// With [its gate](Self::gated) on, a line whose n-grams say that it is certainly benign never reaches the encoder.
pub struct WithNgrams<C> {
    encoder: C,
    /// `[buckets, width]`.
    table: Arc<Int8Tensor>,
    /// `[labels, width]`.
    head: PackedMatrix,
    /// `[buckets + 1]`: the logit of an attack, its bias behind the last.
    gate_weights: Tensor,
    /// `[labels]`: added in the end.
    label_bias: Tensor,
    settings: NgramSettings,
    benign: Option<usize>,
    gate: Option<GateSettings>,
}

impl<C: Classifier> WithNgrams<C> {
    /// Sets the n-gram model of `folder` beside `encoder`, which was made of the same folder. `Err` gives the encoder back where the folder
    /// has none.
    pub fn new(encoder: C, folder: &ModelFolder) -> Result<Result<Self, C>, ModelError> {
        let (Some(weights), Some(settings)) = (folder.ngram_weights()?, folder.settings.ngrams.clone()) else { return Ok(Err(encoder)) };
        let benign = encoder.labels().benign();
        let NgramWeights { table, head, bias, gate: gate_weights, label_bias } = weights;
        let head = PackedMatrix::new(&head.data, &bias.data, table.shape[1]);
        Ok(Ok(Self { encoder, table, head, gate_weights, label_bias, settings, benign, gate: None }))
    }

    /// Lets the gate settle lines; `None` where its threshold was never set, or there is no Benign to answer with.
    pub fn gated(mut self) -> Option<Self> {
        self.gate = Some(self.settings.gate.clone()?);
        self.benign.map(|_| self)
    }

    /// What a line's n-grams say.
    pub fn logits(&self, ngrams: &[(u32, f32)]) -> NgramLogits {
        let (bias, weights) = self.gate_weights.data.split_last().expect("a gate has a bias");
        let gate = bias + ngrams.iter().map(|&(bucket, value)| weights[bucket as usize] * value).sum::<f32>();
        NgramLogits { head: self.head_logits(ngrams), gate }
    }

    fn head_logits(&self, ngrams: &[(u32, f32)]) -> Vec<f32> {
        let mut sum = vec![0.0; self.head.inputs()];
        embedding_bag(self.table.values(), &self.table.scales, ngrams, &mut sum);
        let mut logits = vec![0.0; self.head.outputs()];
        self.head.product(&Crew::alone(), &sum, &mut logits);
        logits
    }

    /// A line as `gate` settles it, or as the encoder reads it.
    fn encode_by(&self, gate: Option<&GateSettings>, line: &Prepared<'_>) -> Result<Encoded, ModelError> {
        let ngrams = self.logits(&ngrams(&line.text, self.table.shape[0]));
        if let Some(attack) = gate.and_then(|gate| self.settled(gate, &ngrams)) {
            return Ok(Encoded { truncated: line.cut, ngrams, settled: Some(attack), ..Encoded::default() });
        }
        Ok(Encoded { ngrams, prose: is_prose(&line.text), ..self.encoder.encode_prepared(line)? })
    }

    /// The logit of an attack, where it is low enough for `gate` to settle the line.
    fn settled(&self, gate: &GateSettings, ngrams: &NgramLogits) -> Option<f32> {
        let attack = Parts::of(&ngrams.head, self.benign).attack_alone(gate.attack, ngrams.gate);
        (attack < gate.threshold).then_some(attack)
    }

    /// The answer to a line: a line that the gate settled is Benign by its n-grams' word, to any other the encoder's answer is the next of `encoder`.
    fn together<'a>(&self, line: &Encoded, encoder: &mut impl Iterator<Item = &'a Prediction>) -> Prediction {
        let (head, gate) = (Parts::of(&line.ngrams.head, self.benign), line.ngrams.gate);
        let (attack, scores) = match line.settled {
            Some(attack) => (attack, head.techniques),
            None => {
                let prediction = encoder.next().expect("each line asked has an answer");
                let log: Vec<f32> = prediction.scores.iter().map(|score| score.max(f32::MIN_POSITIVE).ln()).collect();
                let encoder = Parts::of(&log, self.benign);
                let techniques = encoder.techniques_with(&head, self.settings.technique_of(line.prose));
                (attack_logit(self.settings.attack_of(line.prose), [encoder.attack, head.attack, gate, surest(&techniques)]), techniques)
            }
        };
        let mut scores = Parts { attack, techniques: scores }.together(self.benign);
        if line.settled.is_none() {
            scores.iter_mut().zip(&self.label_bias.data).for_each(|(score, bias)| *score += bias);
        }
        softmax(&mut scores);
        Prediction { scores }
    }
}

/// A distribution over labels as the logit of an attack, and what each technique has of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    /// The logarithm of what all techniques have together over what Benign has.
    pub attack: f32,
    /// The logarithms of the techniques' probabilities if it is one, every label but Benign in the order of the labels.
    pub techniques: Vec<f32>,
}

impl Parts {
    /// Of logarithmic scores, one a label; without a Benign an attack is certain.
    pub fn of(scores: &[f32], benign: Option<usize>) -> Self {
        let mut techniques: Vec<f32> = scores.iter().enumerate().filter(|(label, _)| Some(*label) != benign).map(|(_, score)| *score).collect();
        let total = normalise(&mut techniques);
        Self { attack: benign.map_or(0.0, |benign| total - scores[benign]), techniques }
    }

    /// The logit of an attack by what an n-gram head says, these, and by the gate's logit, where no encoder is asked.
    pub fn attack_alone(&self, shares: AttackShares, gate: f32) -> f32 {
        attack_logit(shares, [0.0, self.attack, gate, surest(&self.techniques)])
    }

    /// The logarithms of the techniques' probabilities by these scores and those of an n-gram head, each by its share.
    pub fn techniques_with(&self, head: &Self, shares: TechniqueShares) -> Vec<f32> {
        let mut pooled: Vec<f32> = self.techniques.iter().zip(&head.techniques).map(|(e, h)| shares.encoder * e + shares.head * h).collect();
        normalise(&mut pooled);
        pooled
    }

    /// Logarithmic scores, one a label.
    fn together(self, benign: Option<usize>) -> Vec<f32> {
        let mut scores: Vec<f32> = self.techniques.into_iter().map(|score| score + self.attack).collect();
        if let Some(benign) = benign {
            scores.insert(benign, 0.0);
        }
        scores
    }
}

/// The logit of an attack by what encoder and n-gram head say of one, the gate's logit, and how [`surest`] a technique is named.
pub fn attack_logit(shares: AttackShares, [encoder, head, gate, named]: [f32; 4]) -> f32 {
    shares.encoder * encoder + shares.head * head + shares.gate * gate + shares.named * named + shares.bias
}

/// The logarithm of the greatest probability, given those of the techniques.
pub fn surest(techniques: &[f32]) -> f32 {
    techniques.iter().copied().fold(f32::MIN, f32::max)
}

/// Makes logarithmic scores the logarithms of probabilities, and says what was taken off: the logarithm of their sum.
fn normalise(scores: &mut [f32]) -> f32 {
    let total = log_sum_exp(scores);
    scores.iter_mut().for_each(|score| *score -= total);
    total
}

impl<C: Classifier> Classifier for WithNgrams<C> {
    fn labels(&self) -> &Labels {
        self.encoder.labels()
    }

    fn encode_prepared(&self, line: &Prepared<'_>) -> Result<Encoded, ModelError> {
        self.encode_by(self.gate.as_ref(), line)
    }

    /// The look is the gate's, whether or not it is on.
    fn encode_suspicious(&self, text: &str) -> Result<Option<Encoded>, ModelError> {
        let gate = self.settings.gate.as_ref().filter(|_| self.benign.is_some());
        let even = gate.map(|gate| GateSettings { threshold: gate.threshold.max(0.0), ..gate.clone() });
        Ok(Some(self.encode_by(even.as_ref(), &prepare(text))?).filter(|read| read.settled.is_none()))
    }

    fn classify(&self, lines: &[Encoded]) -> Vec<Prediction> {
        let asked: Vec<Encoded> = lines.iter().filter(|line| line.settled.is_none()).map(|line| line.ids.clone().into()).collect();
        let answers = self.encoder.classify(&asked);
        let mut answers = answers.iter();
        lines.iter().map(|line| self.together(line, &mut answers)).collect()
    }

    fn threshold(&self) -> f32 {
        self.encoder.threshold()
    }

    fn parent_share(&self) -> Option<ParentShare> {
        self.encoder.parent_share()
    }

    fn name(&self) -> &str {
        self.encoder.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_technique_that_stands_out_is_surely_named() {
        let of = |encoder: &[f32], head: &[f32]| {
            Parts::of(encoder, Some(0)).techniques_with(&Parts::of(head, Some(0)), TechniqueShares { encoder: 1.0, head: 0.5 })
        };
        let even = of(&[0.0, 1.0, 3.0], &[0.0, 2.0, -2.0]);
        assert!(even.iter().all(|score| (score - 0.5f32.ln()).abs() < 1e-6) && (surest(&even) - 0.5f32.ln()).abs() < 1e-6, "{even:?}");
        assert!(surest(&of(&[0.0, 20.0, 0.0, 1.0], &[0.0; 4])).abs() < 1e-6);
    }

    #[test]
    fn before_the_encoder_head_and_gate_are_heard() {
        let head = Parts::of(&[0.0, 2.0, -1.0], Some(0));
        let shares = AttackShares { head: 0.5, gate: 2.0, bias: 1.0, ..AttackShares::default() };
        assert!((head.attack_alone(shares, 3.0) - (0.5 * head.attack + 7.0)).abs() < 1e-6);
        let written_before: GateSettings = serde_json::from_str(r#"{"threshold": -2.0}"#).expect("settings");
        assert_eq!((written_before.threshold, head.attack_alone(written_before.attack, 3.0)), (-2.0, 3.0));
    }

    #[test]
    fn every_part_counts_by_its_share() {
        let shares = AttackShares { encoder: 1.0, head: 2.0, gate: 4.0, named: 8.0, bias: 16.0 };
        assert_eq!(attack_logit(shares, [1.0, 10.0, 100.0, 1000.0]), 8437.0);
    }
}
