//! Answers to texts, each computed once.

use attackline_model::{AnswerCache, Classifier, Encoded, KeptAnswer};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The answers to those of the texts that can be encoded: from the cache, else computed together.
pub fn answers<'a>(texts: impl Iterator<Item = &'a str>, classifier: &dyn Classifier, cache: &AnswerCache) -> HashMap<&'a str, KeptAnswer> {
    let (mut known, mut new, mut seen) = (HashMap::new(), Vec::new(), HashSet::new());
    for text in texts.filter(|text| seen.insert(*text)) {
        match cache.get(text) {
            Some(answer) => drop(known.insert(text, answer)),
            None => new.push(text),
        }
    }
    if new.is_empty() {
        return known;
    }
    let encoded: Vec<(&str, Encoded)> = new.into_iter().filter_map(|text| Some((text, classifier.encode(text).ok()?))).collect();
    let (texts, lines): (Vec<&str>, Vec<Encoded>) = encoded.into_iter().unzip();
    for ((text, line), prediction) in texts.into_iter().zip(&lines).zip(classifier.classify(&lines)) {
        let answer = KeptAnswer { truncated: line.truncated, prediction: Arc::new(prediction) };
        cache.insert(text, &answer);
        known.insert(text, answer);
    }
    known
}
