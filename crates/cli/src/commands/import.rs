//! `attackline import`.

use crate::diagnostics::{Diagnostics, say};
use crate::exit::{Status, Unreadable};
use crate::output::{Output, OutputError, Target};
use anyhow::{Result, bail};
use attackline_catalog::from_any_version;
use attackline_dataset::{Import, ImportOptions, ImportSource, ImportedRow, import, merge};
use attackline_model::BENIGN;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

const AFTER_HELP: &str = "\
Examples:
  attackline import atomic atomic-red-team/ -o atomic.ndjson
  attackline import stix enterprise-attack.json -o narrative.ndjson
  attackline import tldr tldr/ -o tldr.ndjson
  attackline import markdown azure-docs/ --repository MicrosoftDocs/azure-docs --licence CC-BY-4.0 -o azure.ndjson
  attackline import labelled atomic.ndjson tldr.ndjson our-own.csv -o training.ndjson

One row a text: the same text with several labels has them all, and no benign row has an attack's text. Technique ids of older and newer
versions of ATT&CK become those of 18.1. docs/import.md tells how to rebuild the training set.";

/// Make labelled rows (NDJSON) from public sources.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// What is read
    #[arg(value_enum)]
    source: Source,
    /// Files or folders
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// File to write to; - is standard output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Replace a file that exists
    #[arg(long)]
    clobber: bool,
    /// What the rows say of their licence, where it is not the source's usual one
    #[arg(long, value_name = "NAME")]
    licence: Option<String>,
    /// What the rows' `source` begins with, where it is not the source's usual one
    #[arg(long, value_name = "OWNER/NAME")]
    repository: Option<String>,
    /// Show every message
    #[arg(short, long)]
    verbose: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Source {
    /// Atomic Red Team: a checkout, or a test's YAML
    Atomic,
    /// Caldera's stockpile: a checkout, or an ability's YAML
    Stockpile,
    /// The Adversary Emulation Library: a checkout, or a plan's YAML
    Emulation,
    /// ATT&CK as a STIX bundle: procedure examples
    Stix,
    /// The tldr pages: benign commands
    Tldr,
    /// A folder of documentation: benign commands of its fenced blocks
    Markdown,
    /// CSV, NDJSON or Parquet with labels: put together, without repetitions
    #[value(alias = "csv", alias = "ndjson")]
    Labelled,
}

impl From<Source> for ImportSource {
    fn from(source: Source) -> Self {
        match source {
            Source::Atomic => Self::Atomic,
            Source::Stockpile => Self::Stockpile,
            Source::Emulation => Self::Emulation,
            Source::Stix => Self::Stix,
            Source::Tldr => Self::Tldr,
            Source::Markdown => Self::Markdown,
            Source::Labelled => Self::Labelled,
        }
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Status> {
    check_output(args)?;
    let mut output = Output::open(&Target::new(Some(&args.output), args.clobber))?;
    let diagnostics = Diagnostics::new(false, args.verbose);
    let options = ImportOptions { licence: args.licence.clone(), repository: args.repository.clone() };
    let mut all = Import::default();
    for path in &args.paths {
        let found = import(args.source.into(), path, &options);
        found.errors.iter().for_each(|error| diagnostics.error(error));
        all.rows.extend(found.rows);
        all.files += found.files;
        found.passed_over.into_iter().for_each(|(reason, count)| *all.passed_over.entry(reason).or_default() += count);
    }
    let mut unknown = BTreeMap::new();
    all.rows.retain_mut(|row| map_labels(row, &mut unknown));
    let merged = merge(all.rows);
    report(&all.passed_over, &unknown);
    if merged.rows.is_empty() {
        return Err(Unreadable("no row was found; nothing is written".into()).into());
    }
    for row in &merged.rows {
        let line = serde_json::to_string(row)?;
        writeln!(output, "{line}").map_err(|error| OutputError::new(output.name(), error))?;
    }
    let name = output.name().to_owned();
    output.finish()?;
    let attacks = merged.rows.iter().filter(|row| row.label != BENIGN).count();
    let benign = merged.rows.len() - attacks;
    let repetitions = format!("{} repetitions and {} benign lines that an attack has too left out", merged.repeated, merged.contradicted);
    say(format_args!("{attacks} attack and {benign} benign rows from {} files, {repetitions}; written to {name}", all.files));
    Ok(if diagnostics.errors() > 0 { Status::Incomplete } else { Status::Done })
}

/// Refuses to replace a labelled file that is read: rows that are left out would be lost.
fn check_output(args: &Args) -> Result<()> {
    let Some(existing) = args.output.canonicalize().ok().filter(|path| args.clobber && path.is_file()) else { return Ok(()) };
    let read = |path: &&PathBuf| {
        path.canonicalize().is_ok_and(|path| if matches!(args.source, Source::Labelled) { existing.starts_with(path) } else { existing == path })
    };
    match args.paths.iter().find(read) {
        Some(path) => {
            bail!("{} is among what {} gives, and --clobber would replace it; name another file with -o", args.output.display(), path.display())
        }
        None => Ok(()),
    }
}

/// Gives a row the labels of our version of ATT&CK. False if it has none; what is unknown is counted.
fn map_labels(row: &mut ImportedRow, unknown: &mut BTreeMap<String, usize>) -> bool {
    let mut labels = Vec::new();
    for label in row.all_labels() {
        if label.trim().eq_ignore_ascii_case(BENIGN) {
            labels.push(BENIGN.to_owned());
        } else if let Some(technique) = from_any_version(&label) {
            labels.push(technique.id.to_owned());
        } else {
            *unknown.entry(label).or_default() += 1;
        }
    }
    // A line is benign or it isn't.
    if labels.iter().any(|label| label != BENIGN) {
        labels.retain(|label| label != BENIGN);
    }
    let known = !labels.is_empty();
    row.set_labels(labels);
    known
}

/// Says what gave no row, and why.
fn report(passed_over: &BTreeMap<&'static str, usize>, unknown: &BTreeMap<String, usize>) {
    for (reason, count) in passed_over {
        say(format_args!("passed over: {count} {reason}"));
    }
    if !unknown.is_empty() {
        let ids: Vec<String> = unknown.iter().map(|(id, count)| format!("{} ({count})", attackline_findings::escape::shown(id))).collect();
        say(format_args!("no place in ATT&CK 18.1, left out: {}", ids.join(", ")));
    }
}
