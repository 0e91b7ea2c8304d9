//! Lines without labels.

use crate::diagnostics::{Diagnostics, say};
use crate::exit::{Status, Unreadable};
use anyhow::{Result, bail};
use attackline_telemetry::{InputPath, Inputs, LogLine, ReadOptions};
use std::collections::HashSet;
use std::hash::Hash;
use std::io::IsTerminal as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// The arguments that choose lines.
#[derive(Debug, clap::Args)]
pub struct LinesArgs {
    /// Logs, folders of them, or data files, of every format that `classify` reads; repeatable. Labels are not looked at
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    data: Vec<PathBuf>,
    /// Lines at most
    #[arg(long, value_name = "N", default_value = "2000000")]
    most_lines: NonZeroUsize,
}

impl LinesArgs {
    /// Every line once, in the order of the files.
    pub fn read(&self) -> Result<Gathered<String>> {
        read(&self.data, self.most_lines.get())
    }
}

/// What was read of some paths.
#[derive(Debug)]
pub struct Gathered<T> {
    /// The lines, every one once.
    pub lines: Vec<T>,
    /// Paths and lines that could not be read.
    pub unreadable: u64,
}

impl<T> Gathered<T> {
    /// The status of a command that has done its work with these lines.
    pub fn status(&self) -> Status {
        if self.unreadable > 0 { Status::Incomplete } else { Status::Done }
    }

    /// Refuses no lines, and says how many there are.
    pub fn some(self) -> Result<Self> {
        const NONE: &str = "there are no lines in the data";
        match self.lines.len() {
            0 if self.unreadable > 0 => Err(Unreadable(NONE.into()).into()),
            0 => bail!(NONE),
            count => {
                say(format_args!("{count} different lines"));
                Ok(self)
            }
        }
    }
}

/// At most so many lines, every one once, in the order of the files. A line that can't be read is reported and passed over.
pub fn read(paths: &[PathBuf], most: usize) -> Result<Gathered<String>> {
    gather(paths, most, |line| line.text).some()
}

/// [`read`] where there may be none, of each line what `of` takes of it.
pub fn gather<T: Clone + Eq + Hash>(paths: &[PathBuf], most: usize, of: impl Fn(LogLine) -> T) -> Gathered<T> {
    let diagnostics = Diagnostics::new(std::io::stderr().is_terminal(), false);
    let paths = paths.iter().cloned().map(InputPath::from).collect();
    let (mut seen, mut lines) = (HashSet::new(), Vec::new());
    for line in Inputs::new(paths, ReadOptions::default()) {
        match line {
            Ok(line) if line.text.trim().is_empty() => {}
            Ok(line) => {
                let line = of(line);
                if seen.insert(line.clone()) {
                    lines.push(line);
                }
            }
            Err(error) => diagnostics.error(&error),
        }
        diagnostics.advance(1, 0);
        if lines.len() >= most {
            break;
        }
    }
    diagnostics.finish();
    Gathered { lines, unreadable: diagnostics.errors() }
}
