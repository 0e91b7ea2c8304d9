//! `attackline classify`.

use super::{probability, threads};
use crate::diagnostics::{Diagnostics, counted, say};
use crate::exit::Status;
use crate::models::ModelArgs;
use crate::output::{Output, OutputError, Target};
use crate::pipeline::{self, Each, explain};
use anyhow::{Context, Result, bail};
use attackline_findings::{Finding, LabelView, OutputFormat, TableOptions, WriterOptions, escape, writer};
use attackline_model::{AnswerCache, Classifier};
use attackline_telemetry::{Counts, Format, InputPath, Inputs, LogLine, ReadError, ReadOptions};
use clap::ValueEnum;
use std::io::IsTerminal;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

const AFTER_HELP: &str = "\
Examples:
  attackline classify 'netstat -ano' 'ipconfig /all'
  attackline classify -f Security.evtx -f logs/
  attackline classify -f events.ndjson --field process.command_line -o findings.ndjson
  attackline classify -f commands.csv --field CommandLine --output-format csv -o findings.csv
  tail -F /var/log/commands.log | attackline classify -f - --fail-on-finding

Read are plain text, NDJSON and other JSON, CSV, EVTX (Sysmon 1, Security 4688, PowerShell 4104), Windows events as JSON (Winlogbeat,
NXLog) or XML (wevtutil, Event Viewer, Sysmon for Linux) and auditd, also inside .gz and .zip; the format is found from the content.

The probability of a label is calibrated: of the lines that get 0.9, about nine in ten are what it says, if your logs are like those
the model was tuned on. A line that is more probably an attack than not, but below the threshold, is marked as abstained and is not a finding.";

/// Label lines: benign, or the technique they show.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Lines to label; each argument is one line
    text: Vec<String>,
    /// A file, a folder or - for standard input; repeatable. Without TEXT and -f standard input is read
    #[arg(short, long = "file", value_name = "FILE|DIR|-")]
    files: Vec<PathBuf>,
    /// Format of the input: text, ndjson, csv, evtx, windows-json, windows-xml or auditd [default: found from the content]
    #[arg(long, value_name = "FORMAT")]
    from: Option<Format>,
    /// NDJSON field (a.b reaches inside) or CSV column that holds the line [default: text]
    #[arg(long, value_name = "NAME")]
    field: Option<String>,
    #[command(flatten)]
    model: ModelArgs,
    /// Answer with Benign and these labels only, divided by commas; a part of a technique named counts as that technique, any other as Benign
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    labels: Vec<String>,
    /// How many of the most probable labels to list
    #[arg(long, value_name = "N", default_value = "1")]
    top: NonZeroUsize,
    /// Give the probability of every label
    #[arg(long)]
    scores: bool,
    /// Mark the parts of each attack line that carry the decision (slower: the model reads such a line again without each part)
    #[arg(long)]
    explain: bool,
    /// Probability of an attack from which a line is a finding [default: the model's own; with --labels at most 0.5]
    #[arg(long, value_name = "P", value_parser = probability)]
    threshold: Option<f32>,
    /// Threads to classify with [default: one a processor]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Remember answers to lines that may come again, in so many megabytes; 0 remembers none
    #[arg(long, value_name = "MB", default_value_t = 64)]
    cache: u16,
    /// table, ndjson or csv [default: table on a terminal; csv with -o NAME.csv; else ndjson]
    #[arg(long, value_name = "FORMAT")]
    output_format: Option<OutputFormat>,
    /// Write to this file instead of standard output; it appears when all is done
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the output file if it exists
    #[arg(long)]
    clobber: bool,
    /// Show benign lines in the table too (the other formats always have every line)
    #[arg(long)]
    all: bool,
    /// End with status 1 if there is a finding
    #[arg(long)]
    fail_on_finding: bool,
    /// Colours in the table
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: Color,
    /// Print a summary and every message
    #[arg(short, long)]
    verbose: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The arguments, validated; nothing is decided after this.
struct Settings {
    texts: Vec<String>,
    paths: Vec<InputPath>,
    read: ReadOptions,
    target: Target,
    format: OutputFormat,
    table: TableOptions,
    /// Whether benign lines are shown.
    all: bool,
    top: usize,
    scores: bool,
    explain: bool,
    cache_bytes: usize,
    threads: usize,
    summary: bool,
}

impl Settings {
    fn new(args: &Args) -> Result<Self> {
        let mut paths: Vec<InputPath> = args.files.iter().cloned().map(InputPath::from).collect();
        if paths.is_empty() && args.text.is_empty() {
            if std::io::stdin().is_terminal() {
                bail!(
                    "nothing to classify: give a line, a file with -f, or pipe something in\n\n  attackline classify 'net user'\n  attackline classify -f logs/\n\nMore: attackline classify --help"
                );
            }
            paths.push(InputPath::Stdin);
        }
        let target = Target::new(args.output.as_deref(), args.clobber);
        target.check_against(&paths)?;
        let terminal = target.is_terminal();
        let format = args.output_format.unwrap_or_else(|| default_format(&target, terminal));
        let color = match args.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                terminal
                    && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                    && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
            }
        };
        let all = format != OutputFormat::Table || args.all || paths.is_empty();
        let summary = args.verbose || !paths.is_empty() && (format == OutputFormat::Table || std::io::stderr().is_terminal());
        Ok(Self {
            texts: args.text.clone(),
            paths,
            read: ReadOptions { format: args.from, field: args.field.clone(), output: target.file_of_stdout(), ..ReadOptions::default() },
            target,
            format,
            table: TableOptions { width: width(terminal), measure: terminal.then_some(|| width(true)), color },
            all,
            top: args.top.get(),
            scores: args.scores,
            explain: args.explain,
            cache_bytes: usize::from(args.cache) << 20,
            threads: threads(args.threads),
            summary,
        })
    }
}

fn default_format(target: &Target, terminal: bool) -> OutputFormat {
    match target {
        Target::File { path, .. } if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) => OutputFormat::Csv,
        _ if terminal => OutputFormat::Table,
        _ => OutputFormat::Ndjson,
    }
}

/// A table that is not on a terminal is as wide as COLUMNS says, or wide.
fn width(terminal: bool) -> usize {
    let measured = terminal_size::terminal_size().filter(|_| terminal).map(|(terminal_size::Width(columns), _)| usize::from(columns));
    let told = || std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    measured.or_else(told).unwrap_or(160)
}

#[derive(Default)]
struct Tally {
    lines: u64,
    findings: u64,
    abstained: u64,
    /// Lines that the model read only a part of.
    truncated: u64,
    /// Different lines of a chunk that the cache was asked for, and those that it knew.
    lookups: u64,
    hits: u64,
}

/// Runs the command.
pub fn run(args: Args) -> Result<Status> {
    let settings = Settings::new(&args)?;
    for text in settings.texts.iter().filter(|text| Path::new(text.as_str()).is_file()) {
        let text = escape::shown(text);
        say(format_args!("{text} is classified as a line, and there is a file of that name: -f {text} reads it"));
    }
    let output = Output::open(&settings.target)?;
    let engine = args.model.classifier(threads(args.threads), args.verbose)?;
    let view =
        if args.labels.is_empty() { LabelView::all(engine.labels()) } else { LabelView::only(engine.labels(), &args.labels).context("--labels")? };
    let threshold = args.threshold.unwrap_or_else(|| view.default_threshold(engine.threshold()));
    let progress =
        !settings.paths.is_empty() && std::io::stderr().is_terminal() && !(settings.target.is_terminal() && settings.format != OutputFormat::Table);
    let diagnostics = Diagnostics::new(progress, args.verbose);
    let start = Instant::now();
    let explain = explain(engine.as_ref(), &view, threshold);
    let each: &Each = if args.explain { &explain } else { &|_| () };
    let (tally, counts) = write_findings(&settings, engine.as_ref(), &view, threshold, each, &diagnostics, output)?;
    diagnostics.finish();
    if settings.summary {
        summarise(&settings, &tally, &counts, diagnostics.errors(), start.elapsed().as_secs_f64());
    } else if tally.lines == 0 && counts.skipped > 0 {
        // A pipe that stays empty looks like a log without findings.
        say(format_args!("nothing to classify: none of the {} events has a command line or a script block", counts.skipped));
    }
    Ok(match (diagnostics.errors(), tally.findings) {
        (1.., _) => Status::Incomplete,
        (0, 1..) if args.fail_on_finding => Status::Findings,
        _ => Status::Done,
    })
}

/// Sends every line through the model and into the output.
fn write_findings(
    settings: &Settings,
    engine: &dyn Classifier,
    view: &LabelView,
    threshold: f32,
    each: &Each,
    diagnostics: &Diagnostics,
    mut output: Output,
) -> Result<(Tally, Counts)> {
    let name = output.name().to_owned();
    let failed = |error| OutputError::new(&name, error);
    let score_labels = if settings.scores { view.names().to_vec() } else { Vec::new() };
    let options = WriterOptions {
        score_labels,
        top: settings.top > 1,
        evidence: settings.explain,
        terminal: settings.target.is_terminal(),
        table: settings.table,
    };
    let mut tally = Tally::default();
    let mut writer = writer(settings.format, &mut output, options);
    let texts = settings.texts.len() as u64;
    let cache = AnswerCache::new(settings.cache_bytes);
    let source = Lines { texts: settings.texts.clone().into_iter(), inputs: Inputs::new(settings.paths.clone(), settings.read.clone()) };
    let source = pipeline::run(source, engine, settings.threads, diagnostics, &cache, each, |answers| {
        let (lines, findings) = (answers.len() as u64, tally.findings);
        for answer in answers {
            tally.lines += 1;
            let decision = view.decide(&answer.prediction.scores, threshold);
            tally.findings += u64::from(decision.is_attack);
            tally.abstained += u64::from(decision.abstained);
            tally.truncated += u64::from(answer.truncated);
            if settings.all || decision.is_attack || tally.lines <= texts {
                let (evidence, parent_attack) = (answer.evidence, answer.parent.map(|parent| parent.attack));
                let finding = Finding::new(tally.lines, answer.line, answer.truncated, view, &decision, settings.top, settings.scores);
                let finding = Finding { evidence, parent_attack, ..finding };
                show(settings, diagnostics, || writer.write(&finding)).map_err(failed)?;
            }
        }
        diagnostics.advance(lines, tally.findings);
        // The first page of a table is held back until it can be measured; a pause in the stream is reason enough to show it.
        let news = tally.findings > findings || settings.all;
        if news {
            show(settings, diagnostics, || writer.flush()).map_err(failed)?
        };
        Ok(())
    })?;
    show(settings, diagnostics, || writer.flush()).map_err(failed)?;
    drop(writer);
    output.finish()?;
    (tally.lookups, tally.hits) = cache.lookups_and_hits();
    Ok((tally, source.inputs.counts()))
}

/// On a terminal, rows and the progress line must not mix.
fn show<T>(settings: &Settings, diagnostics: &Diagnostics, act: impl FnOnce() -> T) -> T {
    if settings.target.is_terminal() { diagnostics.aside(act) } else { act() }
}

/// The lines of the command line, then those of the files.
struct Lines {
    texts: std::vec::IntoIter<String>,
    inputs: Inputs,
}

impl Iterator for Lines {
    type Item = Result<LogLine, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.texts.next() {
            Some(text) => Some(Ok(LogLine { text, ..LogLine::default() })),
            None => self.inputs.next(),
        }
    }
}

fn summarise(settings: &Settings, tally: &Tally, counts: &Counts, errors: u64, seconds: f64) {
    let hidden = tally.lines - tally.findings - tally.abstained;
    let mut summary = format!("{}, {}", counted(tally.lines, "line"), counted(tally.findings, "finding"));
    if !settings.all && hidden + tally.abstained > 0 {
        let abstained = if tally.abstained > 0 { format!(" and {} below the threshold", tally.abstained) } else { String::new() };
        summary.push_str(&format!(", {hidden} benign{abstained} not shown (--all shows them)"));
    }
    say(format_args!("{summary}"));
    if tally.truncated > 0 {
        let lines = if tally.truncated == 1 { "1 line is".to_owned() } else { format!("{} lines are", tally.truncated) };
        say(format_args!("{lines} longer than is read, and parts of the middle were left out (\"truncated\" in NDJSON and CSV)"));
    }
    if !settings.paths.is_empty() {
        let rate = tally.lines as f64 / seconds.max(1e-9);
        say(format_args!(
            "{} ({} empty), {} skipped, {}, {rate:.0} lines/s",
            counted(counts.files, "file"),
            counts.empty_files,
            counted(counts.skipped, "other event"),
            counted(errors, "error")
        ));
        if tally.hits > 0 {
            say(format_args!("{} of {} lines' answers were known from before", tally.hits, tally.lookups));
        }
    }
}
