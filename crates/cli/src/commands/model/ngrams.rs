//! `attackline model ngrams`: an n-gram model beside the encoder, and the gate before it.

use super::super::{evaluate::subject::Subject, threads};
use super::pool::{Checked, fit};
use super::truth::{check_kinds, truth};
use crate::diagnostics::{Diagnostics, say};
use crate::exit::{Status, Unreadable};
use crate::models;
use crate::output::unwritten;
use anyhow::{Result, bail};
use attackline_dataset::{Row, read_labelled};
use attackline_engine::Engine;
use attackline_model::{Labels, ModelFolder, NgramSettings, NgramWeights, ngrams, prepare};
use attackline_train::{NgramOptions, NgramRow, train_ngrams};
use std::io::IsTerminal as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

const AFTER_HELP: &str = "\
Example:
  attackline model ngrams my-model/ --data data/ --data real.ndjson --data-weights 1,3 --validation held-out.ndjson -o better/

An encoder and n-grams err on different lines: together they find more attacks at the same false-positive rate. The validation lines, which
neither may have been trained on, say how much each counts and where the gate stands: attacks and harmless lines, the more the better, for
few leave what each counts near 1. Without --data the model's own n-grams stay, and only that is found anew, on lines of your own say; biases
that `model adjust` added are taken off. Afterwards set the threshold anew (attackline model calibrate).";

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct NgramsArgs {
    /// Model folder, which stays as it is
    model: PathBuf,
    /// Data folder (its train.csv), CSV, NDJSON or Parquet to learn from; repeatable [default: none, the model's own n-grams stay]
    #[arg(long, value_name = "PATH")]
    data: Vec<PathBuf>,
    /// What a row of each --data counts, divided by commas, in their order [default: 1]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    data_weights: Vec<f32>,
    /// Labelled lines that were not trained on; repeatable
    #[arg(long, value_name = "FILE", required = true)]
    validation: Vec<PathBuf>,
    /// What a row of each --validation counts, divided by commas, in their order [default: 1]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    validation_weights: Vec<f32>,
    /// The share of the attacks found that the gate may settle as benign
    #[arg(long, value_name = "SHARE", default_value_t = 0.001)]
    gate_loss: f64,
    /// Buckets that n-grams are hashed into: a power of two
    #[arg(long, value_name = "N", default_value_t = NgramOptions::default().buckets)]
    buckets: usize,
    /// Numbers that the table holds of a bucket
    #[arg(long, value_name = "N", default_value_t = NgramOptions::default().width)]
    width: usize,
    /// Passes over the data
    #[arg(long, value_name = "N", default_value_t = NgramOptions::default().epochs)]
    epochs: usize,
    /// Step size of the table and of the head
    #[arg(long, value_name = "RATE", default_value_t = NgramOptions::default().learning_rate)]
    learning_rate: f32,
    /// Seed of the table and of the rows' order
    #[arg(long, value_name = "N", default_value_t = NgramOptions::default().seed)]
    seed: u64,
    /// Folder to write
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Threads to classify the validation lines with [default: one a processor]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

/// Runs the command.
pub fn run(args: &NgramsArgs) -> Result<Status> {
    check(args)?;
    let mut folder = models::folder(Some(&args.model))?;
    let Some(labels) = folder.labels.clone() else { bail!("this is a base model without labels; fine-tune it first (attackline train)") };
    let Some(benign) = labels.benign().filter(|_| !labels.several()) else {
        bail!("an n-gram model answers beside models that give each line one label, Benign among them");
    };
    // Before hours of learning what would be refused after them.
    let buckets = if args.data.is_empty() { folder.ngram_weights()?.map_or(args.buckets, |own| own.buckets()) } else { args.buckets };
    let checked = validation_rows(args, &labels, buckets)?;
    check_kinds("--validation", checked.iter().map(|row| &row.truth[..]), benign)?;
    let weights = if args.data.is_empty() {
        let Some(mut own) = folder.ngram_weights()? else { bail!("the model has no n-grams yet: name the lines to learn them from (--data)") };
        own.label_bias.data.fill(0.0);
        own
    } else {
        learn(args, &labels, benign)?
    };
    folder.change_settings(|settings| settings.ngrams = None);
    let encoder = encoder_scores(args, &folder, &checked)?;
    folder.set_ngram_weights(weights);
    folder.change_settings(|settings| settings.ngrams = Some(NgramSettings::default()));
    let heard = fit(args.gate_loss, &folder, &checked, &encoder)?;
    folder.change_settings(|settings| settings.ngrams = Some(heard));
    folder.write(&args.output).map_err(|error| unwritten(&args.output, error))?;
    say(format_args!("written to {}", args.output.display()));
    Ok(Status::Done)
}

/// Learns n-grams from the rows of `--data`.
fn learn(args: &NgramsArgs, labels: &Labels, benign: usize) -> Result<NgramWeights> {
    let options = NgramOptions {
        buckets: args.buckets,
        width: args.width,
        epochs: args.epochs,
        learning_rate: args.learning_rate,
        seed: args.seed,
        ..NgramOptions::default()
    };
    let rows = training_rows(args, labels)?;
    say(format_args!("{} rows to learn from", rows.len()));
    Ok(train_ngrams(&rows, labels.len(), benign, options, |pass, loss| say(format_args!("pass {pass}: loss {loss:.4}"))))
}

fn check(args: &NgramsArgs) -> Result<()> {
    if args.output.exists() {
        bail!("{} exists already and is not overwritten; name another folder", args.output.display());
    }
    let sound = args.buckets.is_power_of_two()
        && (1 << 8..=1 << 24).contains(&args.buckets)
        && (1..=1024).contains(&args.width)
        && args.epochs > 0
        && (0.0..1.0).contains(&args.learning_rate)
        && (0.0..1.0).contains(&args.gate_loss);
    if !sound {
        bail!(
            "--buckets is a power of two from 256 to 16777216, --width from 1 to 1024, --epochs at least 1, --learning-rate and --gate-loss from 0 to below 1"
        );
    }
    for (name, weights, files) in [("data", &args.data_weights, args.data.len()), ("validation", &args.validation_weights, args.validation.len())] {
        if !weights.is_empty() && weights.len() != files {
            bail!("--{name}-weights has {} numbers for {files} --{name}", weights.len());
        }
        if weights.iter().any(|weight| !weight.is_finite() || *weight <= 0.0) {
            bail!("--{name}-weights wants numbers above 0");
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<Row>> {
    let file = if path.is_dir() { path.join("train.csv") } else { path.to_owned() };
    Ok(read_labelled(&file).map_err(|error| Unreadable(error.to_string()))?)
}

fn grams(text: &str, buckets: usize) -> Vec<(u32, f32)> {
    ngrams(&prepare(text).text, buckets)
}

fn training_rows(args: &NgramsArgs, labels: &Labels) -> Result<Vec<NgramRow>> {
    let mut rows = Vec::new();
    for (place, path) in args.data.iter().enumerate() {
        let weight = args.data_weights.get(place).copied().unwrap_or(1.0);
        let row = |mut row: Row| {
            row.labels.clear();
            let label = *truth(&row, labels).first()?;
            Some(NgramRow { ngrams: grams(&row.text, args.buckets), label, weight })
        };
        rows.extend(read(path)?.into_iter().filter_map(row));
    }
    if rows.is_empty() {
        bail!("none of the rows has a label that the model answers with")
    }
    Ok(rows)
}

fn validation_rows(args: &NgramsArgs, labels: &Labels, buckets: usize) -> Result<Vec<Checked>> {
    let mut rows = Vec::new();
    for (place, path) in args.validation.iter().enumerate() {
        let weight = args.validation_weights.get(place).copied().unwrap_or(1.0);
        let checked = |row: Row| Checked { truth: truth(&row, labels), weight, ngrams: grams(&row.text, buckets), row };
        rows.extend(read(path)?.into_iter().map(checked).filter(|checked| !checked.truth.is_empty()));
    }
    if rows.is_empty() {
        bail!("none of the validation rows has a label that the model answers with")
    }
    Ok(rows)
}

/// The encoder's probabilities, row after row.
fn encoder_scores(args: &NgramsArgs, folder: &ModelFolder, rows: &[Checked]) -> Result<Vec<f32>> {
    let subject = Subject::model(Box::new(Engine::new(folder)?), &[], None)?;
    let diagnostics = Diagnostics::new(std::io::stderr().is_terminal(), false);
    let scores = subject.scores(rows.iter().map(|checked| checked.row.text.as_str()), rows.len(), threads(args.threads), &diagnostics)?;
    diagnostics.finish();
    Ok(scores)
}
