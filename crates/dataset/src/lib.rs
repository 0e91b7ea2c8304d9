//! Labelled data: generated from a grammar of what tools really accept, read from files, split without leaks.
//!
//! The grammar (`grammar/**/*.grammar`) is data: compressed into the binary by the build script, so that no attack string
//! stands in clear in it. Its language is described in `docs/grammar.md`.

mod error;
mod expand;
mod folder;
mod generate;
mod grammar;
mod import;
mod labelled;
mod obfuscate;
mod random;
mod render;
mod robustness;
mod row;
mod shares;
mod split;
mod table;
mod wrap;

/// The label of lines that show no technique.
pub(crate) const BENIGN: &str = "Benign";

pub use error::DatasetError;
pub use expand::Expansion;
pub use folder::{Manifest, holds_data, read_folder, write_folder};
pub use generate::{GenerateOptions, GeneratedSet, LabelSet, generate};
pub use grammar::{Grammar, Shell, Template};
pub use import::{Import, ImportOptions, ImportSource, ImportedRow, Merged, import, merge};
pub use labelled::read_labelled;
pub use random::Random;
pub use robustness::{Obfuscation, shell_of};
pub use row::Row;
pub use shares::Shortfall;
pub use split::{Side, near_duplicate_key};
pub use table::label_table;
