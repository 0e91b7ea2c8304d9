use std::path::PathBuf;

/// What can go wrong with labelled data, naming the file and the place.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A file could not be read or written; the message names it.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// A line of a grammar file is not in the grammar's language.
    #[error("{file}:{line}: {reason}")]
    Grammar {
        /// The grammar file.
        file: String,
        /// The line in it, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A row of a labelled file can't be used.
    #[error("{path}: row {row}: {reason}")]
    Row {
        /// The labelled file.
        path: PathBuf,
        /// The row in it, from 1, the header of a CSV file not counted.
        row: u64,
        /// What is wrong.
        reason: String,
    },
    /// A labelled file, or one of a public source, can't be used.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// More samples were asked for than the grammar has distinct lines.
    #[error("only {found} distinct lines of {label} were found for the {side} split, {wanted} are wanted; ask for fewer samples")]
    TooFew {
        /// The label that ran out.
        label: String,
        /// The split.
        side: &'static str,
        /// Lines found.
        found: usize,
        /// Lines wanted.
        wanted: usize,
    },
    /// So few samples were asked for that a file would have rows of one kind only.
    #[error("{samples} samples are too few: a tenth of them would have no attack row or no benign row; ask for at least {wanted}")]
    OneKind {
        /// Samples asked for.
        samples: usize,
        /// The fewest that give each file both kinds.
        wanted: usize,
    },
    /// A technique was asked for that the grammar doesn't know.
    #[error("there are no templates for {0}; `--labels all` generates what there is")]
    NoTemplates(String),
    /// A data folder exists already.
    #[error("{0}: exists already and is not overwritten (--clobber overwrites it)")]
    Exists(PathBuf),
}
