//! The program rsigma: events go in on one thread while matches are read on another, so that neither side waits for the other.

use anyhow::{Context, Result, anyhow, bail};
use attackline_findings::escape;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// Of what it says on standard error, the last lines are kept to be quoted.
const MOST_LINES: usize = 12;

/// Its exit status where something matched and its own settings say that this is worth one.
const MATCHED: i32 = 1;

/// rsigma with a set of rules.
pub struct Program {
    program: PathBuf,
    rules: PathBuf,
}

/// What it said on standard error.
#[derive(Default)]
pub struct Said {
    /// The rules that it loaded.
    pub loaded: Option<u64>,
    /// The events that it read.
    processed: Option<u64>,
    /// What it warned of.
    pub warnings: Vec<String>,
    last: VecDeque<String>,
}

/// A process that does not outlive whoever waits for it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail where it has ended, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Program {
    /// Of a program's name or path, and the rules' file or folder.
    pub fn new(program: &Path, rules: &Path) -> Self {
        Self { program: program.to_owned(), rules: rules.to_owned() }
    }

    /// Runs the rules over the events, one line of JSON each, and hands on each match, a line of JSON too.
    pub fn run(&self, events: impl Iterator<Item = Vec<u8>> + Send, matched: impl FnMut(&[u8]) -> Result<()>) -> Result<Said> {
        let mut running = Running(self.command().spawn().map_err(|error| self.not_started(error))?);
        let child = &mut running.0;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take()) else {
            bail!("{} has no standard streams", self.program.display());
        };
        let (read, fed, said) = std::thread::scope(|scope| {
            let feeder = scope.spawn(move || feed(stdin, events));
            let listener = scope.spawn(move || Said::read(stderr));
            let read = read(stdout, matched);
            if read.is_err() {
                // Nobody reads on, so it would wait for ever, and the threads for it.
                let _ = child.kill();
            }
            (read, feeder.join(), listener.join())
        });
        let (Ok((fed, unread)), Ok(said)) = (fed, said) else {
            bail!("a thread that serves rsigma has panicked; this is a defect, please report it")
        };
        read?;
        let status = running.0.wait().context("rsigma's exit status")?;
        let whole = unread.is_none() && said.processed == Some(fed);
        match status.code() {
            Some(0 | MATCHED) if whole => Ok(said),
            Some(0) => Err(said.incomplete(fed, unread)),
            _ => bail!("rsigma failed ({status}){}", said.quoted()),
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["engine", "eval", "--include-event", "--input-format", "json", "--output-format", "ndjson", "--color", "never"]);
        // Rules of another system or kind of log don't apply to a row. The names are ours, for Sigma's rules read a field Product.
        command.args(["--logsource-routing", "--logsource-field-map"]);
        command.arg("product=attackline_product,service=attackline_service,category=attackline_category");
        command.arg("--rules").arg(&self.rules).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn not_started(&self, error: std::io::Error) -> anyhow::Error {
        let name = self.program.display();
        if error.kind() == ErrorKind::NotFound {
            anyhow!("there is no program {name}: `cargo install rsigma` fetches and builds it; --rsigma says where it is")
        } else {
            anyhow!("{name} can't be started: {error}")
        }
    }
}

/// Writes the events. How many were wanted, and why not all could be written.
fn feed(stdin: ChildStdin, events: impl Iterator<Item = Vec<u8>>) -> (u64, Option<std::io::Error>) {
    let mut stdin = BufWriter::new(stdin);
    let (mut wanted, mut failed) = (0, None);
    for event in events {
        wanted += 1;
        failed = failed.or_else(|| stdin.write_all(&event).and_then(|()| stdin.write_all(b"\n")).err());
    }
    let failed = failed.or_else(|| stdin.flush().err());
    // What could not be written is not tried again on the way out.
    let _ = stdin.into_parts();
    (wanted, failed)
}

fn read(stdout: impl Read, mut matched: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut stdout = BufReader::new(stdout);
    let mut line = Vec::new();
    while stdout.read_until(b'\n', &mut line).context("what rsigma writes can't be read")? > 0 {
        let found = line.trim_ascii();
        if !found.is_empty() {
            matched(found)?;
        }
        line.clear();
    }
    Ok(())
}

impl Said {
    fn read(stderr: impl Read) -> Self {
        let mut said = Self::default();
        let mut stderr = BufReader::new(stderr);
        let mut line = Vec::new();
        // What can't be read ends the reading: these are messages only.
        while stderr.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
            said.hear(String::from_utf8_lossy(line.trim_ascii()).as_ref());
            line.clear();
        }
        said
    }

    fn hear(&mut self, line: &str) {
        let number = |rest: &str| rest.split_whitespace().next().and_then(|word| word.parse().ok());
        if let Some(rest) = line.strip_prefix("Loaded ") {
            self.loaded = number(rest);
        } else if let Some(rest) = line.strip_prefix("Processed ") {
            self.processed = number(rest);
        } else if let Some(rest) = line.strip_prefix("Warning: ").filter(|_| self.warnings.len() < MOST_LINES) {
            self.warnings.push(escape::shown(rest).into_owned());
        }
        if !line.is_empty() {
            if self.last.len() == MOST_LINES {
                self.last.pop_front();
            }
            self.last.push_back(escape::shown(line).into_owned());
        }
    }

    /// Its last words, for a message.
    fn quoted(&self) -> String {
        let lines: Vec<&str> = self.last.iter().map(String::as_str).collect();
        if lines.is_empty() { String::new() } else { format!(": {}", lines.join("; ")) }
    }

    fn incomplete(&self, fed: u64, unread: Option<std::io::Error>) -> anyhow::Error {
        match (self.processed, unread) {
            (Some(processed), _) if processed != fed => anyhow!("rsigma answered {processed} of {fed} rows{}", self.quoted()),
            (_, Some(error)) => anyhow!("rsigma stopped before it had read the {fed} rows ({error}){}", self.quoted()),
            _ => anyhow!("rsigma does not say how many rows it answered (rsigma 0.23 does){}", self.quoted()),
        }
    }
}
