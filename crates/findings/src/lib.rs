//! Findings and the formats they are written in.
//!
//! A *line* is the text that was classified; a [`Finding`] is a line with its decision and its context. [`LabelView`] makes
//! the decision out of a model's probabilities, and a [`FindingWriter`] writes it: NDJSON for programs, CSV for spreadsheets, a
//! table for people. What stands in a log is an attacker's to choose, so each format guards whoever reads it: see [`escape`]
//! and the CSV writer's note on formulas.

mod answers;
mod decision;
pub mod escape;
mod evidence;
mod finding;
mod parent;
mod writers;

pub use answers::answers;
pub use decision::{Decision, LabelView, ViewError};
pub use evidence::{Evidence, evidence, log_odds};
pub use finding::{Finding, LabelScore, ScoreTable, TechniqueSummary, round};
pub use parent::{ParentWord, parent_line};
pub use writers::{FindingWriter, OutputFormat, TableOptions, WriterOptions, json_line, writer};
