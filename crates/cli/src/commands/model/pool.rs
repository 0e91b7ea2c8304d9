//! How much encoder, n-gram head and gate count, fitted on validation lines, and where the gate stands.

use crate::diagnostics::say;
use anyhow::{Result, bail};
use attackline_dataset::Row;
use attackline_engine::{Engine, Parts, WithNgrams, attack_logit, surest};
use attackline_evaluate::{PoolRow, fit_pool};
use attackline_model::{AttackShares, GateSettings, Labels, ModelFolder, NgramLogits, NgramSettings, TechniqueShares, is_prose, prepare};

/// Sentences get shares of their own for whether they show an attack where so many of them do and so many don't, and as many commands.
const LEAST_SENTENCES: usize = 30;

/// A validation row: what is right, what it counts, its n-grams.
pub(super) struct Checked {
    pub row: Row,
    pub truth: Vec<usize>,
    pub weight: f32,
    pub ngrams: Vec<(u32, f32)>,
}

/// A validation row as its parts see it.
struct Seen<'a> {
    checked: &'a Checked,
    prose: bool,
    encoder: Parts,
    head: Parts,
    gate: f32,
}

impl<'a> Seen<'a> {
    fn new(checked: &'a Checked, scores: &[f32], model: &WithNgrams<Engine>, benign: usize) -> Self {
        let log: Vec<f32> = scores.iter().map(|score| score.max(f32::MIN_POSITIVE).ln()).collect();
        let NgramLogits { head, gate } = model.logits(&checked.ngrams);
        Self {
            checked,
            prose: is_prose(&prepare(&checked.row.text).text),
            encoder: Parts::of(&log, Some(benign)),
            head: Parts::of(&head, Some(benign)),
            gate,
        }
    }

    fn is_attack(&self, benign: usize) -> bool {
        !self.checked.truth.contains(&benign)
    }

    /// For the fit of an attack at all by these logits and a bias: the labels are Benign and not Benign.
    fn attack_row(&self, benign: usize, logits: &[f32]) -> PoolRow {
        let logits = logits.iter().copied().chain([1.0]);
        let sources = logits.map(|logit| vec![0.0, logit]).chain([vec![1.0, 0.0]]).collect();
        PoolRow { sources, truth: vec![usize::from(self.is_attack(benign))], weight: self.checked.weight.into() }
    }

    /// For the fit of one technique rather than another.
    fn technique_row(&self, benign: usize) -> PoolRow {
        let sources = vec![self.encoder.techniques.clone(), self.head.techniques.clone()];
        // Benign is not among the techniques.
        let truth = self.checked.truth.iter().map(|&label| label - usize::from(label > benign)).collect();
        PoolRow { sources, truth, weight: self.checked.weight.into() }
    }
}

/// How much each part counts, and where the gate stands.
pub(super) fn fit(gate_loss: f64, folder: &ModelFolder, rows: &[Checked], encoder: &[f32]) -> Result<NgramSettings> {
    let Ok(model) = WithNgrams::new(Engine::new(folder)?, folder)? else { bail!("the n-gram model was lost") };
    let labels = folder.labels.as_ref().map_or(0, Labels::len);
    let benign = folder.labels.as_ref().and_then(Labels::benign).unwrap_or_default();
    let seen: Vec<Seen> = rows.iter().zip(encoder.chunks_exact(labels)).map(|(checked, scores)| Seen::new(checked, scores, &model, benign)).collect();
    let technique = |prose: bool| {
        let of_kind: Vec<PoolRow> =
            seen.iter().filter(|row| row.is_attack(benign) && row.prose == prose).map(|row| row.technique_row(benign)).collect();
        let shares = fit_pool(&of_kind, 2);
        let kind = if prose { "sentences" } else { "commands" };
        say(format_args!("which technique, {} {kind}: encoder {:.3}, n-gram head {:.3}", of_kind.len(), shares[0], shares[1]));
        TechniqueShares { encoder: shares[0] as f32, head: shares[1] as f32 }
    };
    let mut settings = NgramSettings { technique: technique(false), prose: technique(true), ..NgramSettings::default() };
    let shares_of = |logits: &dyn Fn(&Seen) -> [f32; 4], of: &dyn Fn(&Seen) -> bool| {
        let rows: Vec<PoolRow> = seen.iter().filter(|row| of(row)).map(|row| row.attack_row(benign, &logits(row))).collect();
        let shares = fit_pool(&rows, 6);
        let share = |place: usize| shares[place] as f32;
        AttackShares { encoder: share(0), head: share(1), gate: share(2), named: share(3), bias: share(4) - share(5) }
    };
    let all = |settings: &NgramSettings, row: &Seen| {
        let techniques = row.encoder.techniques_with(&row.head, settings.technique_of(row.prose));
        [row.encoder.attack, row.head.attack, row.gate, surest(&techniques)]
    };
    let count = |prose: bool, attack: bool| seen.iter().filter(|row| row.prose == prose && row.is_attack(benign) == attack).count();
    if [false, true].iter().all(|&attack| count(true, attack) >= LEAST_SENTENCES && count(false, attack) >= LEAST_SENTENCES) {
        let of_kind = |prose: bool| shares_of(&|row| all(&settings, row), &|row| row.prose == prose);
        let (commands, sentences) = (of_kind(false), of_kind(true));
        (settings.attack, settings.prose_attack) = (commands, Some(sentences));
        tell("an attack or not, commands", commands);
        tell(&format!("an attack or not, {} sentences", count(true, false) + count(true, true)), sentences);
    } else {
        settings.attack = shares_of(&|row| all(&settings, row), &|_| true);
        tell("an attack or not", settings.attack);
    }
    let before = |row: &Seen| [0.0, row.head.attack, row.gate, surest(&row.head.techniques)];
    let alone = AttackShares { encoder: 0.0, ..shares_of(&before, &|_| true) };
    tell("before the encoder", alone);
    let gate_logit = |row: &Seen| row.head.attack_alone(alone, row.gate);
    let is_found = |row: &&Seen| row.is_attack(benign) && attack_logit(settings.attack_of(row.prose), all(&settings, row)) > 0.0;
    let mut found: Vec<f32> = seen.iter().filter(is_found).map(gate_logit).collect();
    let harmless: Vec<f32> = seen.iter().filter(|row| !row.is_attack(benign)).map(gate_logit).collect();
    found.sort_by(f32::total_cmp);
    let share_below = |logits: &[f32], threshold: f32| logits.iter().filter(|logit| **logit < threshold).count() as f64 / logits.len().max(1) as f64;
    settings.gate = found.get((found.len() as f64 * gate_loss) as usize).map(|&threshold| GateSettings {
        attack: alone,
        threshold,
        lost: share_below(&found, threshold),
        attacks: found.len(),
        settled: share_below(&harmless, threshold),
        benign: harmless.len(),
    });
    if let Some(gate) = &settings.gate {
        say(format_args!(
            "the gate at {:.2} settles {:.1} % of {} benign lines and loses {:.2} % of {} attacks found",
            gate.threshold,
            100.0 * gate.settled,
            gate.benign,
            100.0 * gate.lost,
            gate.attacks
        ));
    }
    Ok(settings)
}

fn tell(what: &str, shares: AttackShares) {
    let AttackShares { encoder, head, gate, named, bias } = shares;
    say(format_args!(
        "{what}: encoder {encoder:.3}, n-gram head {head:.3}, gate {gate:.3}, how surely a technique is named {named:.3}, bias {bias:.3}"
    ));
}
