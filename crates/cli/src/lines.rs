//! Lines without labels.

use crate::diagnostics::{Diagnostics, say};
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
    pub fn read(&self) -> Result<Vec<String>> {
        read(&self.data, self.most_lines.get())
    }
}

/// At most so many lines, every one once, in the order of the files. A line that can't be read is reported and passed over.
pub fn read(paths: &[PathBuf], most: usize) -> Result<Vec<String>> {
    some(gather(paths, most, |line| line.text))
}

/// Refuses no lines, and says how many there are.
pub fn some<T>(lines: Vec<T>) -> Result<Vec<T>> {
    if lines.is_empty() {
        bail!("there are no lines in the data");
    }
    say(format_args!("{} different lines", lines.len()));
    Ok(lines)
}

/// [`read`] where there may be none, of each line what `of` takes of it.
pub fn gather<T: Clone + Eq + Hash>(paths: &[PathBuf], most: usize, of: impl Fn(LogLine) -> T) -> Vec<T> {
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
    lines
}
