use crate::{Decision, Evidence, LabelView};
use attackline_catalog::technique;
use attackline_telemetry::{Event, LogLine, Source};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value};

/// A line with its decision and its context. Serialised, it is a line of the NDJSON output: what is not known is left out, and
/// scores are rounded to four decimals.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// The place of the line in the whole input, from 1.
    pub line: u64,
    /// What was classified, as it stands in the log.
    pub text: String,
    /// The decision: `Benign` or a technique's id.
    pub label: String,
    /// The label's probability.
    #[serde(serialize_with = "rounded")]
    pub score: f32,
    /// The probability that the line is an attack, whichever: what the threshold is put to.
    #[serde(serialize_with = "rounded")]
    pub attack: f32,
    /// The probability that the parent's own line is one, where it was heard.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rounded_if_any")]
    pub parent_attack: Option<f32>,
    /// Whether an attack is more probable than not without reaching the threshold.
    pub abstained: bool,
    /// Whether the line is an attack that reaches it. Not written: it follows from `label` and `abstained`.
    #[serde(skip)]
    pub is_attack: bool,
    /// The label's technique.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub technique: Option<TechniqueSummary>,
    /// All attack labels that reach the threshold, where the model answers with any number of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// The label that was decided on, then the most probable others.
    pub top: Vec<LabelScore>,
    /// The probability of every label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scores: Option<ScoreTable>,
    /// The parts of the text that carry the decision, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Vec<Evidence>>,
    /// Whether the line was longer than is read, so that its middle was left out.
    pub truncated: bool,
    /// Where the line stands.
    #[serde(skip_serializing_if = "no_source", serialize_with = "source_fields")]
    pub source: Source,
    /// What the log says about it.
    #[serde(skip_serializing_if = "no_event", serialize_with = "event_fields")]
    pub event: Event,
    /// What else an NDJSON row carried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Map<String, Value>>,
}

/// A label and its probability.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelScore {
    /// The label.
    pub label: String,
    /// Its probability.
    #[serde(serialize_with = "rounded")]
    pub score: f32,
}

/// Labels and their probabilities in the model's order.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreTable(pub Vec<LabelScore>);

impl Serialize for ScoreTable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for entry in &self.0 {
            map.serialize_entry(&entry.label, &round(entry.score))?;
        }
        map.end()
    }
}

/// What a finding says about its technique.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TechniqueSummary {
    /// Such as `T1003.002`.
    pub id: &'static str,
    /// The full name, the parent's first.
    pub name: String,
    /// Short names of its tactics.
    pub tactics: &'static [&'static str],
    /// Its page at MITRE.
    pub url: String,
}

impl TechniqueSummary {
    /// The technique that a label names; `None` for Benign and for labels of one's own.
    pub fn of(label: &str) -> Option<Self> {
        technique(label).map(|found| Self { id: found.id, name: found.full_name(), tactics: &found.tactics, url: found.url() })
    }
}

/// The `count` most probable labels, the decision's own first, then by their scores, the first of equals first. Only they are put in order:
/// a model has hundreds of labels, and a stream many lines.
fn most_probable(decision: &Decision, count: usize) -> Vec<usize> {
    let rank = |&a: &usize, &b: &usize| {
        let own = (b == decision.label).cmp(&(a == decision.label));
        own.then(decision.scores[b].total_cmp(&decision.scores[a])).then(a.cmp(&b))
    };
    if count == 1 {
        return vec![decision.label];
    }
    let mut order: Vec<usize> = (0..decision.scores.len()).collect();
    if (1..order.len()).contains(&count) {
        order.select_nth_unstable_by(count - 1, rank);
    }
    order.truncate(count);
    order.sort_unstable_by(rank);
    order
}

impl Finding {
    /// Puts a line and its decision together; the `top` most probable labels are listed, all of them with `all_scores`.
    pub fn new(number: u64, line: LogLine, truncated: bool, view: &LabelView, decision: &Decision, top: usize, all_scores: bool) -> Self {
        let entry = |index: usize| LabelScore { label: view.names()[index].clone(), score: decision.scores[index] };
        let order = most_probable(decision, top);
        let label = view.names()[decision.label].clone();
        Self {
            line: number,
            technique: TechniqueSummary::of(&label),
            label,
            score: decision.score,
            attack: decision.attack,
            parent_attack: None,
            abstained: decision.abstained,
            is_attack: decision.is_attack,
            labels: decision.labels.as_ref().map(|labels| labels.iter().map(|&label| view.names()[label].clone()).collect()),
            top: order.into_iter().map(entry).collect(),
            scores: all_scores.then(|| ScoreTable((0..decision.scores.len()).map(entry).collect())),
            evidence: None,
            truncated,
            text: line.text,
            source: line.source,
            event: line.event,
            input: line.input,
        }
    }
}

impl Finding {
    /// The parts of the text that carry the decision, as far as they were asked for; parts side by side are one.
    pub fn evidence_words(&self) -> Vec<&str> {
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        for part in self.evidence.iter().flatten() {
            match ranges.last_mut() {
                Some(last) if self.text[last.1..part.start].trim().is_empty() => last.1 = part.end,
                _ => ranges.push((part.start, part.end)),
            }
        }
        ranges.into_iter().map(|(start, end)| &self.text[start..end]).collect()
    }
}

fn no_source(source: &Source) -> bool {
    source.file.is_none() && source.record.is_none()
}

fn source_fields<S: Serializer>(source: &Source, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    if let Some(file) = source.file.as_deref() {
        map.serialize_entry("file", file)?;
    }
    if let Some(record) = source.record {
        map.serialize_entry("record", &record)?;
    }
    map.end()
}

/// The output's names for what is known of an event.
fn known(event: &Event) -> impl Iterator<Item = (&'static str, &str)> {
    let fields = [("timestamp", &event.timestamp), ("host", &event.host), ("user", &event.user), ("image", &event.image), ("parent", &event.parent)];
    fields.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)))
}

fn no_event(event: &Event) -> bool {
    known(event).next().is_none()
}

fn event_fields<S: Serializer>(event: &Event, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(known(event))
}

/// A score as it is written, with four decimals: more would be noise, and f32's own digits would read as 0.9980000257492065.
pub fn round(score: f32) -> f64 {
    (f64::from(score) * 1e4).round() / 1e4
}

pub(crate) fn rounded<S: Serializer>(score: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(round(*score))
}

fn rounded_if_any<S: Serializer>(score: &Option<f32>, serializer: S) -> Result<S::Ok, S::Error> {
    score.map(round).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_probable_labels_are_those_of_a_whole_sort() {
        let scores: Vec<f32> = (0..97u32).map(|place| (place * 31 % 53) as f32 / 53.0).collect();
        for label in [0, 40, 96] {
            let decision =
                Decision { label, score: scores[label], attack: 0.5, abstained: false, is_attack: true, scores: scores.clone(), labels: None };
            let mut sorted: Vec<usize> = (0..scores.len()).collect();
            sorted.sort_by(|&a, &b| (b == label).cmp(&(a == label)).then(scores[b].total_cmp(&scores[a])));
            for count in [0, 1, 2, 3, 96, 97, 500] {
                assert_eq!(most_probable(&decision, count), sorted[..count.min(97)], "{count} beside {label}");
            }
        }
    }
}
