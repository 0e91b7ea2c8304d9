//! `attackline model quantize`: a folder whose layers compute in int8.

use super::super::threads;
use crate::diagnostics::say;
use crate::exit::Status;
use crate::output::unwritten;
use crate::{lines, models};
use anyhow::{Context, Result, bail};
use attackline_dataset::{GenerateOptions, LabelSet, generate};
use attackline_engine::{QuantizeOptions, quantize};
use attackline_model::{ModelFolder, Quantization};
use std::num::NonZeroUsize;
use std::path::PathBuf;

const AFTER_HELP: &str = "\
Examples:
  attackline model quantize final_deberta_model/ -o int8/
  attackline model quantize final_deberta_model/ -o int8/ --data logs/ --lines 2000

The folder that is written is read by every command of attackline; its weights are a quarter as large. Python `transformers` reads the original
only, which stays as it is (attackline model export widens an int8 folder again, with the weights rounded).";

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct QuantizeArgs {
    /// Model folder, which stays as it is [default: the model inside this program]
    model: Option<PathBuf>,
    /// Folder to write
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Lines to try it on: logs, folders of them, or data files; repeatable [default: lines that the generator makes]
    #[arg(long, value_name = "PATH", num_args = 1..)]
    data: Vec<PathBuf>,
    /// How many lines to try it on
    #[arg(long, value_name = "N", default_value = "512")]
    lines: NonZeroUsize,
    /// A product whose result differs by more than this share of its size stays in f32
    #[arg(long, value_name = "SHARE", default_value_t = QuantizeOptions::default().greatest_error, value_parser = positive)]
    error: f64,
    /// Mean change of the probabilities above which more products stay in f32, the worst first
    #[arg(long, value_name = "P", default_value_t = QuantizeOptions::default().greatest_drift, value_parser = positive)]
    drift: f64,
    /// Threads to compute on [default: one a processor]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

fn positive(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0).ok_or_else(|| "a number from 0 up is wanted".into())
}

/// Runs the command.
pub fn run(args: &QuantizeArgs) -> Result<Status> {
    if args.output.exists() {
        bail!("{} exists already and is not overwritten; name another folder", args.output.display());
    }
    let folder = models::folder(args.model.as_deref())?;
    if folder.settings.quantization.is_some() {
        bail!("the model is in int8 already; quantise the one that it was made from");
    }
    if folder.labels.is_none() {
        bail!("this is a base model without labels, so nothing says what int8 costs; fine-tune it first (attackline train)");
    }
    let tokenizer = folder.tokenizer(None)?;
    let (texts, status) = sample(args)?;
    let encoded: Result<Vec<Vec<u32>>, _> = texts.iter().map(|text| tokenizer.encode(text).map(|line| line.ids)).collect();
    let options = QuantizeOptions { greatest_error: args.error, greatest_drift: args.drift, threads: threads(args.threads) };
    let rounded = quantize(&folder, &encoded.context("a sample line")?, options)?;
    report(&rounded);
    rounded.write(&args.output).map_err(|error| unwritten(&args.output, error))?;
    say(format_args!("written to {}", args.output.display()));
    Ok(status)
}

/// So many lines, taken evenly from what there is, and the status of having read them.
fn sample(args: &QuantizeArgs) -> Result<(Vec<String>, Status)> {
    /// Lines that are read at most to choose from.
    const READ: usize = 100_000;
    let wanted = args.lines.get();
    let (all, status): (Vec<String>, Status) = if args.data.is_empty() {
        let set = generate(&GenerateOptions { labels: LabelSet::Specification, samples: 4 * wanted.max(100), seed: 7 })?;
        (set.train.into_iter().map(|row| row.text).collect(), Status::Done)
    } else {
        let read = lines::read(&args.data, READ.max(wanted))?;
        let status = read.status();
        (read.lines, status)
    };
    let count = all.len();
    let taken = all.into_iter().enumerate().filter(|(i, _)| i * wanted / count != (i + 1) * wanted / count).map(|(_, text)| text);
    Ok((taken.collect(), status))
}

fn report(folder: &ModelFolder) {
    let Some(Quantization { lines, same_label, mean_drift, kept, errors }) = &folder.settings.quantization else { return };
    for (name, error) in errors {
        let stays = if kept.contains(name) { "  stays in f32" } else { "" };
        say(format_args!("{name:<26} {:>6.2} % error{stays}", 100.0 * error));
    }
    say(format_args!("same label on {:.2} % of {lines} lines, mean change of a line's probability {mean_drift:.5}", 100.0 * same_label));
    say(format_args!("{} of {} products compute in int8", errors.len() - kept.len(), errors.len()));
}
