//! From rsigma's matches to an answer for each row.

use super::Level;
use anyhow::{Context, Result, bail};
use attackline_catalog::from_any_version;
use attackline_evaluate::{NO_TECHNIQUE, parent_technique};
use attackline_findings::escape;
use serde::Deserialize;
use std::collections::HashMap;

/// Columns of a line that is quoted.
const QUOTED: usize = 200;

/// A line of rsigma's output, of which a correlation's stands for no single row.
#[derive(Deserialize)]
struct Match {
    #[serde(default)]
    rule_title: String,
    #[serde(default)]
    level: Option<Level>,
    #[serde(default)]
    tags: Vec<String>,
    event: Option<MatchedEvent>,
    correlation_type: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct MatchedEvent {
    attackline_row: usize,
}

/// A label that some rules name, with the highest level among them and their number.
struct Named {
    label: usize,
    level: Level,
    rules: u32,
}

/// What the matching rules say of one row.
#[derive(Default)]
struct Answer {
    level: Level,
    named: Vec<Named>,
}

/// The answers to some rows.
pub struct Answers<'a> {
    places: HashMap<&'a str, usize>,
    /// Where attacks count that no rule gives a technique that is answered with.
    no_technique: Option<usize>,
    least: Level,
    count: usize,
    rows: HashMap<usize, Answer>,
}

impl<'a> Answers<'a> {
    /// For `count` rows, in these labels, by rules of at least a level.
    pub fn new(labels: &'a [String], count: usize, least: Level) -> Self {
        let places: HashMap<&str, usize> = labels.iter().enumerate().map(|(place, label)| (label.as_str(), place)).collect();
        let no_technique = places.get(NO_TECHNIQUE).copied();
        Self { places, no_technique, least, count, rows: HashMap::new() }
    }

    /// Takes in a match.
    pub fn add(&mut self, line: &[u8]) -> Result<()> {
        let quoted = || escape::fit(&String::from_utf8_lossy(line), QUOTED);
        let found: Match = serde_json::from_slice(line).with_context(|| format!("rsigma wrote what is no match: {}", quoted()))?;
        if found.correlation_type.is_some() {
            return Ok(());
        }
        let Some(MatchedEvent { attackline_row: row }) = found.event else {
            bail!("rsigma does not say which row the rule {} matches", escape::fit(&found.rule_title, QUOTED));
        };
        if row >= self.count {
            bail!("rsigma answers row {row}, which it was not asked: {}", quoted());
        }
        let level = found.level.unwrap_or_default();
        if level < self.least {
            return Ok(());
        }
        let mut labels: Vec<usize> = Vec::new();
        for label in found.tags.iter().filter_map(|tag| self.label(tag)) {
            if !labels.contains(&label) {
                labels.push(label);
            }
        }
        let answer = self.rows.entry(row).or_default();
        answer.level = answer.level.max(level);
        labels.into_iter().for_each(|label| answer.name(label, level));
        Ok(())
    }

    /// The label that a tag names: the technique's in our version of ATT&CK, or its parent's where that is what is answered with.
    fn label(&self, tag: &str) -> Option<usize> {
        let id = tag.trim().to_ascii_lowercase();
        let technique = from_any_version(id.strip_prefix("attack.")?)?;
        self.places.get(technique.id).or_else(|| self.places.get(parent_technique(technique.id))).copied()
    }

    /// The scores of all rows, one a label: the level's stand-in for a probability, of which each technique has half as much as the one before
    /// it. So the order is kept, and all is Benign where nothing matched.
    pub fn scores(mut self, benign: Option<usize>) -> Vec<f32> {
        let width = self.places.len();
        let mut scores = vec![0.0; self.count * width];
        for (row, scores) in scores.chunks_mut(width.max(1)).enumerate() {
            let answer = self.rows.remove(&row);
            let attack = answer.as_ref().map_or(0.0, |answer| answer.level.attack());
            if let Some(benign) = benign {
                scores[benign] = 1.0 - attack;
            }
            let Some(answer) = answer else { continue };
            let labels = answer.in_order();
            let labels = if labels.is_empty() { self.no_technique.into_iter().collect() } else { labels };
            let all: f32 = (0..labels.len()).map(share).sum();
            labels.into_iter().enumerate().for_each(|(rank, label)| scores[label] = attack * share(rank) / all);
        }
        scores
    }
}

/// What the technique of a rank has beside the first.
fn share(rank: usize) -> f32 {
    0.5f32.powi(rank.min(60) as i32)
}

impl Answer {
    fn name(&mut self, label: usize, level: Level) {
        match self.named.iter_mut().find(|named| named.label == label) {
            Some(named) => {
                named.level = named.level.max(level);
                named.rules += 1;
            }
            None => self.named.push(Named { label, level, rules: 1 }),
        }
    }

    /// The labels: of the highest level first, then what most rules name, then what matched first.
    fn in_order(mut self) -> Vec<usize> {
        self.named.sort_by_key(|named| std::cmp::Reverse((named.level, named.rules)));
        self.named.into_iter().map(|named| named.label).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn found(row: usize, level: &str, tags: &[&str]) -> Vec<u8> {
        serde_json::json!({"rule_title": "x", "rule_id": null, "level": level, "tags": tags, "event": {"attackline_row": row, "CommandLine": "y"}})
            .to_string()
            .into_bytes()
    }

    fn labels() -> Vec<String> {
        ["Benign", "T1003", "T1049", "T1552.002", NO_TECHNIQUE].map(String::from).to_vec()
    }

    fn scores(least: Level, found: &[Vec<u8>]) -> Vec<f32> {
        let labels = labels();
        let mut answers = Answers::new(&labels, 2, least);
        found.iter().for_each(|line| answers.add(line).unwrap());
        answers.scores(Some(0))
    }

    #[test]
    fn the_highest_level_comes_first_and_ids_are_mapped() {
        // T1214 is an old id of T1552.002; T1003.002 is not among the labels, its parent is.
        let several = [
            found(0, "low", &["attack.discovery", "attack.t1049"]),
            found(0, "high", &["attack.T1003.002", "attack.t1003"]),
            found(0, "low", &["attack.t1214", "attack.s0002"]),
            found(0, "low", &["attack.t1214"]),
        ];
        let scores_of = scores(Level::Informational, &several);
        assert_eq!(scores_of[5..], [1.0, 0.0, 0.0, 0.0, 0.0]);
        assert!((scores_of[0] - 0.15).abs() < 1e-6 && scores_of[1] > scores_of[3] && scores_of[3] > scores_of[2] && scores_of[2] > 0.0);
        assert!((scores_of[..5].iter().sum::<f32>() - 1.0).abs() < 1e-6);
        let grave = scores(Level::Critical, &several);
        assert_eq!(grave[..5], [1.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn an_attack_without_a_known_technique_is_one_of_none() {
        for tags in [&["attack.execution", "cve.2021-1"][..], &["attack.t9999"], &["attack.t1105"], &["t1049"], &[]] {
            assert_eq!(scores(Level::Informational, &[found(1, "critical", tags)])[5..], [1.0 - 0.95, 0.0, 0.0, 0.0, 0.95], "{tags:?}");
        }
    }

    #[test]
    fn what_is_no_match_of_a_row_is_refused_or_passed_over() {
        let labels = labels();
        let mut answers = Answers::new(&labels, 2, Level::Informational);
        let mut said = |line: &[u8]| answers.add(line).err().map(|error| error.to_string());
        assert_eq!(said(br#"{"rule_title":"c","tags":["attack.t1049"],"level":"high","correlation_type":"event_count","group_key":[]}"#), None);
        assert!(said(b"Loaded 3 rules").unwrap().contains("what is no match: Loaded 3 rules"));
        assert!(said(br#"{"rule_title":"r","tags":[],"level":null}"#).unwrap().contains("which row the rule r matches"));
        assert!(said(&found(2, "low", &[])).unwrap().contains("row 2, which it was not asked"));
    }
}
