//! `attackline evaluate`.

mod baseline;
mod drift;
mod faithfulness;
mod figures;
mod robustness;
mod rows;
mod sigma;
pub mod subject;
mod tables;
mod text;

use super::{probability, threads};
use crate::diagnostics::Diagnostics;
use crate::exit::Status;
use crate::models::{Device, ModelArgs};
use crate::output::{Output, OutputError, Target};
use anyhow::{Result, bail};
use attackline_evaluate::{Comparison, Document, EvaluationOptions, NamedComparison};
use attackline_train::FloatType;
use rows::Rows;
use sigma::SigmaRules;
use std::io::{IsTerminal, Write as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use subject::Subject;

const AFTER_HELP: &str = "\
Examples:
  attackline evaluate --data data/test.csv
  attackline evaluate --model my-model --data attacks.ndjson --data benign.ndjson --report report.html
  attackline evaluate --model old --model new --data test.csv --baseline-train train.csv
  attackline evaluate --data test.csv --robustness
  attackline evaluate --data test.csv --sigma-rules sigma/rules --sigma-level high
  attackline evaluate --drift train.csv todays-log.ndjson

The data are CSV, NDJSON or Parquet with text and label. Rows whose label the model (or --labels) does not answer with are left out and counted.
Where rows carry realism or hard, the false-positive rate of benign rows is shown for each value of them; --full shows more groups.
A line whose probability of an attack is below the threshold counts as Benign, since it is no finding. What the figures mean: docs/evaluate.md";

/// Measure a model on labelled lines: confusion matrix, report by label, false-positive rates, calibration, robustness, speed.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Model folder; repeatable: the models are compared on the same rows [default: the model inside this program]
    #[arg(long = "model", value_name = "DIR")]
    models: Vec<PathBuf>,
    /// Let n-grams settle lines that are certainly benign before the encoder
    #[arg(long)]
    gate: bool,
    /// Where to compute
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: Device,
    /// Type to compute in: f32, or on a GPU bf16 or f16 [default: f32, on a GPU bf16]
    #[arg(long, value_name = "TYPE")]
    dtype: Option<FloatType>,
    /// Labelled lines, a file or a data folder (its test.csv); repeatable
    #[arg(long, value_name = "PATH", required_unless_present = "drift", num_args = 1..)]
    data: Vec<PathBuf>,
    /// Answer with Benign and these labels only, divided by commas
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    labels: Vec<String>,
    /// Probability of an attack from which a line counts as one [default: the model's own; with --labels at most 0.5]
    #[arg(long, value_name = "P", value_parser = probability)]
    threshold: Option<f32>,
    /// Threads to classify with [default: one a processor]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Print the figures as JSON
    #[arg(long, conflicts_with = "full")]
    json: bool,
    /// Print the long tables too: groups, abstaining, calibration, ranking, worst errors
    #[arg(long)]
    full: bool,
    /// Write one HTML page with all figures and plots, to be read without a network; - is standard output
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Replace an existing report
    #[arg(long)]
    clobber: bool,
    /// Wrong answers of each kind to show, the surest first [default: 5 with --full, --json and --report]
    #[arg(long, value_name = "N")]
    worst: Option<usize>,
    /// Resamples of the bootstrap intervals; 0 leaves them out
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = resamples)]
    resamples: usize,
    /// Seed of resamples, samples and obfuscations
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Measure also on obfuscated spellings of at most so many attack and so many benign lines
    #[arg(long, value_name = "LINES", num_args = 0..=1, default_missing_value = "500")]
    robustness: Option<NonZeroUsize>,
    /// Test on at most so many attack lines whether the evidence of --explain is what the model decides by: take it out, take others out
    #[arg(long, value_name = "LINES", num_args = 0..=1, default_missing_value = "300")]
    evidence: Option<NonZeroUsize>,
    /// Train a linear n-gram baseline on these labelled files and measure it beside the models
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "data")]
    baseline_train: Vec<PathBuf>,
    /// Measure these Sigma rules beside the models: a file or a folder of them, run by the program rsigma
    #[arg(long, value_name = "PATH", requires = "data")]
    sigma_rules: Option<PathBuf>,
    /// Count only Sigma rules of at least this level [default: all]
    #[arg(long, value_name = "LEVEL", requires = "sigma_rules")]
    sigma_level: Option<sigma::Level>,
    /// The program that runs Sigma rules
    #[arg(long, value_name = "PROGRAM", default_value = "rsigma")]
    rsigma: PathBuf,
    /// Say how far the lines of the log NEW are from the labelled lines TRAIN
    #[arg(long, num_args = 2, value_names = ["TRAIN", "NEW"])]
    drift: Vec<PathBuf>,
}

/// More say nothing more.
const MOST_RESAMPLES: usize = 100_000;

fn resamples(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count <= MOST_RESAMPLES).ok_or_else(|| format!("a whole number up to {MOST_RESAMPLES} is wanted"))
}

/// Wrong answers of each kind where they are shown.
const WORST: usize = 5;

/// Runs the command.
pub fn run(args: &Args) -> Result<Status> {
    if args.json && args.report.as_deref() == Some(Path::new("-")) {
        bail!("--report - and --json both want standard output: name a file for the page, or leave --json out");
    }
    let mut page = args.report.as_ref().map(|path| Output::open(&Target::new(Some(path), args.clobber))).transpose()?;
    let mut subjects = subjects(args)?;
    let diagnostics = Diagnostics::new(std::io::stderr().is_terminal(), false);
    let mut document = Document::default();
    let mut measured = None;
    if !args.data.is_empty() {
        let rows = measured.insert(Rows::read(&args.data, &subjects)?);
        let rules = args.sigma_rules.as_ref().map(|rules| SigmaRules::open(&args.rsigma, rules, args.sigma_level)).transpose()?;
        if !args.baseline_train.is_empty() {
            subjects.push(baseline::train(&args.baseline_train, &subjects[0], args.threshold, args.seed)?);
        }
        if let Some(rules) = rules {
            subjects.push(Subject::rules(rules, &subjects[0].labels, subjects[0].benign));
        }
        measure(args, rows, &subjects, &diagnostics, &mut document)?;
    }
    if let [train, new] = args.drift.as_slice() {
        document.drift = Some(drift::measure(train, new, &subjects[0], threads(args.threads), args.seed, args.worst.unwrap_or(WORST), &diagnostics)?);
    }
    diagnostics.finish();
    let text = if args.json { figures::json(&document)? } else { text::describe(&document, args.full, args.worst.is_some())? };
    // Where the page goes to standard output it goes alone.
    if args.report.as_deref() != Some(Path::new("-")) {
        let mut output = Output::open(&Target::Stdout)?;
        output.write_all(text.as_bytes()).map_err(|error| OutputError::new("standard output", error))?;
        output.finish()?;
    }
    if let Some(page) = &mut page {
        let name = page.name().to_owned();
        page.write_all(attackline_evaluate::html_page(&document).as_bytes()).map_err(|error| OutputError::new(&name, error))?;
    }
    page.map(Output::finish).transpose()?;
    if let Some(rows) = measured.filter(|_| !args.json) {
        rows.tell_left_out();
    }
    // Rows that can't be classified end it before; what is left are lines of --drift that can't be read.
    Ok(if diagnostics.errors() > 0 { Status::Incomplete } else { Status::Done })
}

fn subjects(args: &Args) -> Result<Vec<Subject>> {
    let paths: Vec<Option<PathBuf>> = if args.models.is_empty() { vec![None] } else { args.models.iter().cloned().map(Some).collect() };
    let mut subjects = Vec::new();
    for path in paths {
        let model = ModelArgs { model: path, device: args.device, dtype: args.dtype, gate: args.gate, lasting: false };
        subjects.push(Subject::model(model.classifier(1, false)?, &args.labels, args.threshold)?);
    }
    subject::tell_apart(&mut subjects, &args.models);
    Ok(subjects)
}

fn measure(args: &Args, rows: &Rows, subjects: &[Subject], diagnostics: &Diagnostics, document: &mut Document) -> Result<()> {
    let threads = threads(args.threads);
    let options = EvaluationOptions { resamples: args.resamples, seed: args.seed, worst: args.worst.unwrap_or(WORST) };
    let mut answers = Vec::new();
    for subject in subjects {
        let (answered, seconds) = subject.answer(rows, threads, diagnostics)?;
        document.models.push(figures::measure(rows, subject, &answered, options, seconds));
        if let Some(lines) = args.robustness {
            document.robustness.push(robustness::measure(rows, subject, lines.get(), args.seed, threads, diagnostics)?);
        }
        if let Some(lines) = args.evidence {
            document.evidence.extend(faithfulness::measure(rows, subject, lines.get(), args.seed, threads, diagnostics)?);
        }
        answers.push(answered);
    }
    for (subject, answered) in subjects.iter().zip(&answers).skip(1) {
        if answered.len() != answers[0].len() {
            bail!("the models answered different numbers of rows; this is a defect, please report it");
        }
        document.comparisons.push(NamedComparison {
            first: subjects[0].name.clone(),
            second: subject.name.clone(),
            comparison: Comparison::new(&answers[0], answered, args.resamples, args.seed),
        });
    }
    Ok(())
}
