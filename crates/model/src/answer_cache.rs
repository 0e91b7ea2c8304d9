//! Answers that were given before, for streams in which the same lines come again and again.

use crate::Prediction;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Locks that threads share the cache over.
const SHARDS: usize = 16;

/// What an entry takes besides its text and its scores, in bytes, about: two maps' slots, counters and boxes.
const ENTRY_BYTES: usize = 128;

/// An answer as it is kept.
#[derive(Debug, Clone)]
pub struct KeptAnswer {
    /// Whether the model read only a part of the line.
    pub truncated: bool,
    /// What it said.
    pub prediction: Arc<Prediction>,
}

/// A bounded memory of answers by the exact text of the line. Read alone, a line's answer depends on nothing else, so this never changes
/// one; it only saves the time. When it is full, what was not asked for lately is forgotten.
#[derive(Debug)]
pub struct AnswerCache {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    bytes: usize,
    lookups: AtomicU64,
    hits: AtomicU64,
}

/// Two generations: when the young one is half of the shard's room, it becomes the old one, and the old one is forgotten.
#[derive(Debug, Default)]
struct Shard {
    young: HashMap<Box<str>, KeptAnswer>,
    old: HashMap<Box<str>, KeptAnswer>,
    young_bytes: usize,
}

impl AnswerCache {
    /// A cache of at most about `bytes`; of 0 it keeps nothing.
    pub fn new(bytes: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, hasher: RandomState::new(), bytes, lookups: AtomicU64::new(0), hits: AtomicU64::new(0) }
    }

    /// The answer to this text, if it is known.
    pub fn get(&self, text: &str) -> Option<KeptAnswer> {
        if self.bytes == 0 {
            return None;
        }
        let found = self.shard(text).get(text, self.generation_bytes());
        self.lookups.fetch_add(1, Ordering::Relaxed);
        self.hits.fetch_add(u64::from(found.is_some()), Ordering::Relaxed);
        found
    }

    /// Keeps an answer.
    pub fn insert(&self, text: &str, answer: &KeptAnswer) {
        let bytes = entry_bytes(text, answer);
        if bytes <= self.generation_bytes() {
            self.shard(text).insert(text.into(), answer.clone(), self.generation_bytes());
        }
    }

    /// How many texts were asked for, and how many of them were known.
    pub fn lookups_and_hits(&self) -> (u64, u64) {
        (self.lookups.load(Ordering::Relaxed), self.hits.load(Ordering::Relaxed))
    }

    fn generation_bytes(&self) -> usize {
        self.bytes / SHARDS / 2
    }

    fn shard(&self, text: &str) -> std::sync::MutexGuard<'_, Shard> {
        let place = self.hasher.hash_one(text) as usize % SHARDS;
        self.shards[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn get(&mut self, text: &str, most: usize) -> Option<KeptAnswer> {
        if let Some(found) = self.young.get(text) {
            return Some(found.clone());
        }
        let (text, answer) = self.old.remove_entry(text)?;
        self.insert(text, answer.clone(), most);
        Some(answer)
    }

    fn insert(&mut self, text: Box<str>, answer: KeptAnswer, most: usize) {
        let bytes = entry_bytes(&text, &answer);
        if self.young_bytes + bytes > most {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        if self.young.insert(text, answer).is_none() {
            self.young_bytes += bytes;
        }
    }
}

fn entry_bytes(text: &str, answer: &KeptAnswer) -> usize {
    text.len() + size_of_val(answer.prediction.scores.as_slice()) + ENTRY_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(score: f32) -> KeptAnswer {
        KeptAnswer { truncated: false, prediction: Arc::new(Prediction { scores: vec![score; 4] }) }
    }

    #[test]
    fn answers_come_back_and_memory_stays_bounded() {
        let cache = AnswerCache::new(1 << 20);
        for number in 0..100_000 {
            cache.insert(&format!("line {number}"), &answer(number as f32));
            assert_eq!(cache.get("line 0").map(|found| found.prediction.scores[0]), Some(0.0), "what is asked for stays");
        }
        let kept = (0..100_000).filter(|number| cache.get(&format!("line {number}")).is_some()).count();
        assert!(kept > 2_000 && kept * (ENTRY_BYTES + 16) <= 1 << 20, "{kept}");
        let (lookups, hits) = cache.lookups_and_hits();
        assert_eq!((lookups, hits), (200_000, 100_000 + kept as u64));
    }

    #[test]
    fn nothing_is_kept_where_there_is_no_room() {
        let (none, small) = (AnswerCache::new(0), AnswerCache::new(1 << 14));
        for cache in [&none, &small] {
            cache.insert(&"x".repeat(1 << 12), &answer(1.0));
            assert!(cache.get(&"x".repeat(1 << 12)).is_none());
        }
        assert_eq!(none.lookups_and_hits(), (0, 0));
    }
}
