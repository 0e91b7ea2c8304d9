use crate::Rate;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Words of a line counted at most.
const MOST_WORDS: usize = 2_000;

/// Lines with fewer words are no example: one odd name makes them all unseen.
const FEWEST_WORDS: usize = 3;

/// The words of reference lines, and in how many of them each stands.
#[derive(Debug, Clone, Default)]
pub struct Vocabulary {
    lines: HashMap<String, u32>,
    occurrences: u64,
}

/// A line with many unseen words.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UnlikeLine {
    /// The line, from 0.
    pub line: usize,
    /// The share of its words that are unseen.
    pub unseen: Rate,
    /// Some of them.
    pub words: Vec<String>,
    /// The line as it may be shown; filled by the caller.
    pub text: String,
}

/// Words that the reference does not have.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WordDrift {
    /// Of the words of the new lines (each once a line), those that no reference line has.
    pub unseen: Rate,
    /// The share to be expected in further lines like the reference's: that of words seen in one line only (Good 1953).
    pub expected: Option<f64>,
    /// Of the new lines, those with more unseen than seen words.
    pub mostly_unseen: Rate,
    /// The unseen words that stand in most new lines, with the number of lines.
    pub commonest: Vec<(String, u64)>,
    /// The lines most unlike the reference's.
    pub examples: Vec<UnlikeLine>,
}

/// The different words of a line: lower-cased runs of letters, digits and `_`; every digit counts as 0, so that numbers are alike.
fn words(text: &str) -> BTreeSet<String> {
    let parts = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter(|word| !word.is_empty()).take(MOST_WORDS);
    parts.map(|word| word.chars().flat_map(char::to_lowercase).map(|letter| if letter.is_numeric() { '0' } else { letter }).collect()).collect()
}

impl Vocabulary {
    /// Takes a reference line's words.
    pub fn add(&mut self, text: &str) {
        for word in words(text) {
            *self.lines.entry(word).or_default() += 1;
            self.occurrences += 1;
        }
    }

    /// Compares new lines, and keeps the `most` commonest unseen words and lines most unlike the reference's.
    pub fn compare<'a>(&self, lines: impl IntoIterator<Item = &'a str>, most: usize) -> WordDrift {
        let (mut all, mut mostly) = (Rate::default(), Rate::default());
        let mut unseen_words = BTreeMap::<String, u64>::new();
        let mut examples: Vec<UnlikeLine> = Vec::new();
        for (line, text) in lines.into_iter().enumerate() {
            let words = words(text);
            let unseen: Vec<String> = words.iter().filter(|word| !self.lines.contains_key(*word)).cloned().collect();
            let rate = Rate::new(unseen.len() as u64, words.len() as u64);
            all = Rate::new(all.hits + rate.hits, all.total + rate.total);
            mostly.add(2 * rate.hits > rate.total);
            unseen.iter().for_each(|word| *unseen_words.entry(word.clone()).or_default() += 1);
            if words.len() >= FEWEST_WORDS && rate.hits > 0 {
                examples.push(UnlikeLine { line, unseen: rate, words: unseen.into_iter().take(8).collect(), text: String::new() });
            }
            // Now and then, so that memory stays bounded.
            if examples.len() > 1_000 + 2 * most {
                keep_most_unlike(&mut examples, most);
            }
        }
        keep_most_unlike(&mut examples, most);
        let mut commonest: Vec<(String, u64)> = unseen_words.into_iter().collect();
        commonest.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        commonest.truncate(most);
        let once = self.lines.values().filter(|lines| **lines == 1).count();
        let expected = (self.occurrences > 0).then(|| once as f64 / self.occurrences as f64);
        WordDrift { unseen: all, expected, mostly_unseen: mostly, commonest, examples }
    }
}

fn keep_most_unlike(examples: &mut Vec<UnlikeLine>, most: usize) {
    let share = |line: &UnlikeLine| line.unseen.value().unwrap_or(0.0);
    examples.sort_by(|a, b| share(b).total_cmp(&share(a)).then(b.unseen.hits.cmp(&a.unseen.hits)).then(a.line.cmp(&b.line)));
    // The same words again are no further example.
    let mut seen = BTreeSet::new();
    examples.retain(|example| seen.insert(example.words.clone()));
    examples.truncate(most);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unseen_words_are_counted_and_the_oddest_line_shown() {
        let mut vocabulary = Vocabulary::default();
        ["net user alice1", "net user bob22", "ping host3"].iter().for_each(|line| vocabulary.add(line));
        let drift = vocabulary.compare(["NET user bob77", "kubectl get pods", "ping kubectl now", "x"], 2);
        assert_eq!((drift.unseen, drift.mostly_unseen), (Rate::new(6, 10), Rate::new(3, 4)));
        assert_eq!(drift.commonest[0], ("kubectl".into(), 2));
        assert_eq!(drift.examples.iter().map(|example| example.line).collect::<Vec<_>>(), [1, 2]);
        // alice0, bob00, ping and host0 stand in one line only, of 8 words.
        assert_eq!(drift.expected, Some(0.5));
        assert_eq!(Vocabulary::default().compare([], 3).expected, None);
    }
}
