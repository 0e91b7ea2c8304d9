//! What analysts said of findings, in an embedded database: on the disk before it is confirmed.

use crate::ApiError;
use axum::http::StatusCode;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

const MARKS: TableDefinition<u64, &[u8]> = TableDefinition::new("marks");

/// Bytes of a line that is kept, at most.
const LONGEST_TEXT: usize = 64 << 10;

/// What an analyst says of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The label is right.
    Right,
    /// The line is an attack, but not this one.
    Wrong,
    /// The line is benign.
    Benign,
}

/// A mark as it is sent and kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with the members text, label, score and verdict")]
pub struct Mark {
    /// The line.
    pub text: String,
    /// What the model called it.
    pub label: String,
    /// Its probability.
    pub score: f64,
    /// What the analyst says.
    pub verdict: Verdict,
    /// The technique that it is instead, where the label is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correct_label: Option<String>,
    /// The model that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Value>,
}

impl Mark {
    fn check(&self) -> Result<(), ApiError> {
        let known = |label: &str| label == "Benign" || attackline_catalog::technique(label).is_some();
        let wrong = |message: String| Err(ApiError::invalid("mark", message));
        if self.text.is_empty() || self.text.len() > LONGEST_TEXT {
            return wrong(format!("text: from 1 to {LONGEST_TEXT} bytes are wanted"));
        }
        if !self.score.is_finite() || !(0.0..=1.0).contains(&self.score) {
            return wrong("score: a number from 0 to 1 is wanted".into());
        }
        if !known(&self.label) {
            return wrong(format!("label: Benign or a technique is wanted, and ATT&CK has no {:?}", self.label));
        }
        match &self.correct_label {
            Some(label) if !known(label) => wrong(format!("correct_label: ATT&CK has no technique {label:?}")),
            _ => Ok(()),
        }
    }

    /// The label to train with; `None` where it is only known what the line is not.
    fn training_label(&self) -> Option<&str> {
        match self.verdict {
            Verdict::Right => Some(&self.label),
            Verdict::Benign => Some("Benign"),
            Verdict::Wrong => self.correct_label.as_deref(),
        }
    }
}

/// Opens the database, or makes it.
type Opener = Box<dyn Fn() -> Result<Database, redb::Error> + Send + Sync>;

/// The database.
pub struct Feedback {
    opener: Opener,
    /// `None` after a failed write, until it can be opened again.
    database: RwLock<Option<Database>>,
}

impl Feedback {
    /// Opens the file, or makes it.
    pub fn open(path: &Path) -> Result<Self, String> {
        let own = path.to_owned();
        Self::with_opener(Box::new(move || Ok(Database::create(&own)?))).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn with_opener(opener: Opener) -> Result<Self, redb::Error> {
        let database = opener()?;
        let write = database.begin_write()?;
        write.open_table(MARKS)?;
        write.commit()?;
        Ok(Self { opener, database: RwLock::new(Some(database)) })
    }

    /// Does something with the database. After a failed write (a full disk) it is opened again, which undoes what was half done: until then
    /// it answers nothing.
    fn with<T>(&self, act: impl Fn(&Database) -> Result<T, redb::Error>) -> Result<T, redb::Error> {
        if let Some(database) = &*self.database.read().unwrap_or_else(PoisonError::into_inner) {
            match act(database) {
                Err(redb::Error::Io(_) | redb::Error::PreviousIo) => (),
                other => return other,
            }
        }
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // The file is locked by whoever has it open.
        *database = None;
        act(database.insert((self.opener)()?))
    }

    /// Keeps a mark and says its id. It is on the disk when this returns.
    pub fn add(&self, mark: &Mark) -> Result<u64, ApiError> {
        mark.check()?;
        let bytes = serde_json::to_vec(mark).map_err(|error| ApiError::malformed(error.to_string()))?;
        let kept = |database: &Database| -> Result<u64, redb::Error> {
            let write = database.begin_write()?;
            let id = {
                let mut table = write.open_table(MARKS)?;
                let id = table.last()?.map_or(1, |(last, _)| last.value() + 1);
                table.insert(id, bytes.as_slice())?;
                id
            };
            write.commit()?;
            Ok(id)
        };
        self.with(kept).map_err(not_kept)
    }

    /// Takes a mark back.
    pub fn remove(&self, id: u64) -> Result<(), ApiError> {
        let removed = |database: &Database| -> Result<bool, redb::Error> {
            let write = database.begin_write()?;
            let found = write.open_table(MARKS)?.remove(id)?.is_some();
            write.commit()?;
            Ok(found)
        };
        if self.with(removed).map_err(not_kept)? { Ok(()) } else { Err(ApiError::not_found(format!("there is no mark {id}"))) }
    }

    /// The marks as rows that `attackline train` reads, a JSON object each.
    pub fn training_rows(&self) -> Result<Vec<Value>, ApiError> {
        let row = |(id, mark): (u64, Mark)| {
            let label = mark.training_label()?.to_owned();
            Some(
                json!({"text": mark.text, "label": label, "labels": [label], "source": format!("feedback:{id}"), "answered": mark.label, "score": mark.score}),
            )
        };
        Ok(self.marks()?.into_iter().filter_map(row).collect())
    }

    /// Marks by the label that the model gave. The false-positive rate is the share of marked findings that are benign.
    pub fn summary(&self) -> Result<Value, ApiError> {
        let mut counts: BTreeMap<String, [u64; 3]> = BTreeMap::new();
        for (_, mark) in self.marks()? {
            counts.entry(mark.label).or_default()[mark.verdict as usize] += 1;
        }
        let entry = |(label, [right, wrong, benign]): (String, [u64; 3])| {
            let rate = benign as f64 / (right + wrong + benign) as f64;
            json!({"label": label, "right": right, "wrong": wrong, "benign": benign, "false_positive_rate": rate})
        };
        Ok(json!({"techniques": counts.into_iter().map(entry).collect::<Vec<Value>>()}))
    }

    fn marks(&self) -> Result<Vec<(u64, Mark)>, ApiError> {
        let read = |database: &Database| -> Result<Vec<(u64, Mark)>, redb::Error> {
            let read = database.begin_read()?;
            let table = read.open_table(MARKS)?;
            let mut marks = Vec::new();
            for entry in table.iter()? {
                let (id, bytes) = entry?;
                // What a newer version wrote and this one can't read is left alone.
                if let Ok(mark) = serde_json::from_slice(bytes.value()) {
                    marks.push((id.value(), mark));
                }
            }
            Ok(marks)
        };
        self.with(read).map_err(|error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "feedback", format!("the marks can't be read: {error}")))
    }
}

fn not_kept(error: redb::Error) -> ApiError {
    ApiError::new(StatusCode::INSUFFICIENT_STORAGE, "feedback", format!("the mark was not kept: {error}"))
}

#[cfg(test)]
mod tests;
