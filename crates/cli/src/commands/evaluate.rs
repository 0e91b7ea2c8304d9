//! `attackline evaluate`.

use super::{probability, threads};
use crate::diagnostics::{Diagnostics, say};
use crate::exit::{Status, Unreadable};
use crate::models::ModelArgs;
use crate::output::{Output, OutputError, Target};
use crate::pipeline;
use anyhow::{Context, Result, bail};
use attackline_dataset::{Row, read_labelled};
use attackline_evaluate::{OperatingPoint, Rate, Report, false_positive_rate, threshold_table};
use attackline_findings::{Decision, LabelView};
use attackline_model::Classifier;
use attackline_telemetry::LogLine;
use serde::Serialize;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{IsTerminal, Write as _};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

const AFTER_HELP: &str = "\
Examples:
  attackline evaluate --data data/test.csv
  attackline evaluate --model my-model --data attacks.ndjson --data benign.ndjson --labels T1003.002,T1049

The data are CSV or NDJSON with text and label. Rows whose label the model (or --labels) does not answer with are left out and counted.
Where rows carry realism or hard, the false-positive rate of benign rows is shown for each value of them.
A prediction below the threshold counts as Benign, since it is no finding.";

/// Measure a model on labelled lines: confusion matrix, report by label, false-positive rates, speed.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Labelled lines; repeatable
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    data: Vec<PathBuf>,
    /// Answer with Benign and these labels only, divided by commas
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    labels: Vec<String>,
    /// Probability from which an attack label counts [default: the model's own; 0 takes the most probable label]
    #[arg(long, value_name = "P", value_parser = probability)]
    threshold: Option<f32>,
    /// Threads to classify with [default: one a processor]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

/// False-positive rates at which the share of attacks found is shown.
const RATES: [f64; 4] = [0.05, 0.01, 0.001, 0.0001];

#[derive(Serialize)]
struct Figures {
    model: String,
    threshold: f32,
    report: Report,
    false_positive_rate: Option<Rate>,
    /// By `column=value`.
    false_positive_rate_by_group: BTreeMap<String, Rate>,
    operating_points: Vec<OperatingPoint>,
    rows_left_out: usize,
    seconds: f64,
    samples_per_second: f64,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Status> {
    let engine = args.model.classifier(false)?;
    let view =
        if args.labels.is_empty() { LabelView::all(engine.labels()) } else { LabelView::only(engine.labels(), &args.labels).context("--labels")? };
    let threshold = args.threshold.unwrap_or_else(|| engine.threshold());
    let mut rows = Vec::new();
    for path in &args.data {
        rows.extend(read_labelled(path).map_err(|error| Unreadable(error.to_string()))?);
    }
    let all = rows.len();
    rows.retain(|row| view.names().contains(&row.label));
    if rows.is_empty() {
        bail!("none of the {all} rows has a label that is answered with ({})", view.names().join(", "));
    }
    let diagnostics = Diagnostics::new(std::io::stderr().is_terminal(), false);
    let start = Instant::now();
    let decisions = decide(&rows, engine.as_ref(), &view, threshold, threads(args.threads), &diagnostics)?;
    let seconds = start.elapsed().as_secs_f64();
    diagnostics.finish();
    let figures = Figures {
        model: engine.name().to_owned(),
        rows_left_out: all - rows.len(),
        seconds,
        samples_per_second: rows.len() as f64 / seconds.max(1e-9),
        ..measure(&rows, &decisions, &view, threshold)
    };
    let mut output = Output::open(&Target::Stdout)?;
    let text = if args.json { format!("{}\n", serde_json::to_string_pretty(&figures)?) } else { describe(&figures)? };
    output.write_all(text.as_bytes()).map_err(|error| OutputError::new("standard output", error))?;
    output.finish()?;
    Ok(Status::Done)
}

fn decide(
    rows: &[Row],
    engine: &dyn Classifier,
    view: &LabelView,
    threshold: f32,
    threads: usize,
    diagnostics: &Diagnostics,
) -> Result<Vec<Decision>> {
    let line = |row: &Row| Ok::<_, Infallible>(LogLine { text: row.text.clone(), ..LogLine::default() });
    let mut decisions = Vec::with_capacity(rows.len());
    let _rows = pipeline::run(rows.iter().map(line), engine, threads, diagnostics, |answers| {
        decisions.extend(answers.iter().map(|answer| view.decide(&answer.prediction.scores, threshold)));
        diagnostics.advance(answers.len() as u64, decisions.iter().filter(|decision| decision.is_attack).count() as u64);
        Ok(())
    })?;
    if decisions.len() != rows.len() {
        bail!("{} rows could not be classified; see the messages above", rows.len() - decisions.len());
    }
    Ok(decisions)
}

fn measure(rows: &[Row], decisions: &[Decision], view: &LabelView, threshold: f32) -> Figures {
    let place = |label: &String| view.names().iter().position(|name| name == label).expect("rows of other labels were left out");
    let truth: Vec<usize> = rows.iter().map(|row| place(&row.label)).collect();
    let predicted: Vec<usize> = decisions.iter().map(|decision| view.benign().filter(|_| decision.abstained).unwrap_or(decision.label)).collect();
    let mut groups = BTreeMap::<String, Rate>::new();
    let any_hard = rows.iter().any(|row| row.hard);
    let (mut attacks, mut benign) = (Vec::new(), Vec::new());
    for (index, row) in rows.iter().enumerate() {
        let decision = &decisions[index];
        let best_attack =
            decision.scores.iter().enumerate().filter(|(label, _)| Some(*label) != view.benign()).fold(0.0f32, |best, (_, score)| best.max(*score));
        if Some(truth[index]) != view.benign() {
            attacks.push(best_attack);
            continue;
        }
        benign.push(best_attack);
        let false_positive = Some(predicted[index]) != view.benign();
        if !row.realism.is_empty() {
            groups.entry(format!("realism={}", row.realism)).or_default().add(false_positive);
        }
        if any_hard {
            groups.entry(format!("hard={}", row.hard)).or_default().add(false_positive);
        }
    }
    Figures {
        model: String::new(),
        threshold,
        report: Report::new(view.names(), &truth, &predicted),
        false_positive_rate: view.benign().map(|benign| false_positive_rate(benign, &truth, &predicted)),
        false_positive_rate_by_group: groups,
        operating_points: threshold_table(&attacks, &benign, &RATES),
        rows_left_out: 0,
        seconds: 0.0,
        samples_per_second: 0.0,
    }
}

fn describe(figures: &Figures) -> Result<String> {
    use std::fmt::Write as _;
    let mut text = String::new();
    writeln!(text, "{}\naccuracy             {:.4}", figures.report, figures.report.accuracy)?;
    if let Some(rate) = figures.false_positive_rate.filter(|rate| rate.total > 0) {
        writeln!(text, "false-positive rate  {rate}")?;
    }
    for (group, rate) in &figures.false_positive_rate_by_group {
        writeln!(text, "  {group:<18} {rate}")?;
    }
    if figures.operating_points.iter().any(|point| point.reached.is_some()) {
        writeln!(text, "\n  at most FP rate   attacks found   threshold (any attack label)")?;
        for point in &figures.operating_points {
            match point.reached {
                Some(reached) => writeln!(
                    text,
                    "  {:>13.2} %   {:>11.2} %   {:.4}",
                    point.wanted_rate * 100.0,
                    reached.true_positive_rate * 100.0,
                    reached.threshold
                )?,
                None => writeln!(text, "  {:>13.2} %   too few rows to tell", point.wanted_rate * 100.0)?,
            }
        }
    }
    writeln!(text, "\nruntime              {:.2} s\nsamples per second   {:.1}", figures.seconds, figures.samples_per_second)?;
    writeln!(text, "model                {}, threshold {}", figures.model, figures.threshold)?;
    if figures.rows_left_out > 0 {
        say(format_args!("{} rows left out: their labels are not answered with", figures.rows_left_out));
    }
    Ok(text)
}
