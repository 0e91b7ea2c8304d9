//! `attackline train`.

mod card;
mod data;
mod dry_run;
mod find_rate;
mod method;
pub mod preset;
mod progress;

use crate::diagnostics::say;
use crate::exit::{Interrupted, Status};
use crate::{interrupt, models};
use anyhow::{Context, Result, bail};
use attackline_engine::Engine;
use attackline_evaluate::fit_temperature;
use attackline_model::{Labels, ModelFolder, Settings, TokenBatch, TrainingSummary};
use attackline_train::{
    Curves, Example, FrozenType, Method, MetricsFile, Outcome, TensorBoard, TrainError, TrainSettings, Trainer, TrainingData, encode, write_adapter,
};
use method::{Kept, MethodArgs};
use std::path::PathBuf;

const AFTER_HELP: &str = "\
Examples:
  attackline generate --samples 20000 --seed 7 -o data/
  attackline train --data data/ --base all-MiniLM-L6-v2/ -o my-model/
  attackline train --data data/ --base deberta-v3-base/ --method lora --lora-targets all -o my-model/
  attackline train --data data/ --data my-benign.ndjson --base base/ -o my-model/ --checkpoint-dir run/
  attackline train --data data/ --data my-benign.ndjson --base base/ -o my-model/ --checkpoint-dir run/ --resume

A data folder has train.csv and validation.csv; a file (CSV or NDJSON with text and label) is trained on. Where no folder gives
validation rows, every tenth line is held out. The base is a Hugging Face folder of BERT, RoBERTa or DeBERTa-v2/v3 as it is
published: config.json, weights (safetensors or PyTorch), tokenizer.";

/// Fine-tune a base model on labelled lines.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Data folder, CSV or NDJSON; repeatable
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    data: Vec<PathBuf>,
    /// Base model folder
    #[arg(long, value_name = "DIR")]
    base: PathBuf,
    /// Folder to write the model to
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Train for Benign and these labels, divided by commas; rows of other labels are left out [default: all in the data]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    labels: Vec<String>,
    /// A set of flags under a name; flags that are given beside it go first. specification-lora: DeBERTa-v3-base, LoRA of rank 8, four
    /// labels, 128 tokens, frozen weights in bf16. specification-bitfit: RoBERTa-base, BitFit, the same labels and length
    #[arg(long, value_name = "NAME", value_parser = preset::names())]
    preset: Option<String>,
    #[command(flatten)]
    method: MethodArgs,
    /// Passes over the data
    #[arg(long, value_name = "N", default_value_t = TrainSettings::default().epochs)]
    epochs: usize,
    /// Greatest learning rate of the encoder [default: full 5e-5, lora 5e-4, bitfit 1e-3]
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f64>,
    /// Greatest learning rate of the head [default: full 5e-4, else 1e-3]
    #[arg(long, value_name = "RATE")]
    head_learning_rate: Option<f64>,
    /// Tokens in a batch, at most
    #[arg(long, value_name = "N", default_value_t = TrainSettings::default().batch_tokens)]
    batch_tokens: usize,
    /// Longest line in tokens; longer ones keep head and tail
    #[arg(long, value_name = "N", default_value_t = TrainSettings::default().max_length)]
    max_length: usize,
    /// Spread this share of each target over all labels
    #[arg(long, value_name = "SHARE", default_value_t = TrainSettings::default().label_smoothing)]
    label_smoothing: f32,
    /// Stop after so many epochs without a better validation result; 0 never stops early
    #[arg(long, value_name = "N", default_value_t = TrainSettings::default().patience)]
    patience: usize,
    /// At most so many Benign rows from each --data
    #[arg(long, value_name = "N")]
    benign_limit: Option<usize>,
    /// Seed of the head, the order of lines and dropout
    #[arg(long, value_name = "N", default_value_t = TrainSettings::default().seed)]
    seed: u64,
    /// Threads to train with; the result depends on it in its last bits [default: one a processor]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    threads: usize,
    /// Keep checkpoints here, after each epoch and on Ctrl-C
    #[arg(long, value_name = "DIR")]
    checkpoint_dir: Option<PathBuf>,
    /// Save a checkpoint every so many steps too
    #[arg(long, value_name = "STEPS", requires = "checkpoint_dir", default_value_t = 0, hide_default_value = true)]
    checkpoint_every: u64,
    /// Write every step and epoch to this file, one JSON object a line; a run that goes on adds to it
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
    /// Write TensorBoard event files to this folder
    #[arg(long, value_name = "DIR")]
    tensorboard: Option<PathBuf>,
    /// Go on from the checkpoint
    #[arg(long, requires = "checkpoint_dir")]
    resume: bool,
    /// Raise the learning rate over a hundred steps, say where the loss falls fastest and where it runs away, and stop
    #[arg(long, conflicts_with = "dry_run")]
    find_learning_rate: bool,
    /// Say what would be trained, and about how much memory and time it would take, and stop
    #[arg(long)]
    dry_run: bool,
    /// Replace the output folder if it is a model folder
    #[arg(long)]
    clobber: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Status> {
    check_folders(args)?;
    let mut settings = settings(args)?;
    let base = models::folder(Some(&args.base))?;
    let rows = data::load(&args.data, &args.labels, args.benign_limit, args.seed)?;
    let labels = Labels::new(rows.labels.clone()).with_context(|| "the data name too few labels")?;
    let tokenizer = base.tokenizer(Some(args.max_length))?;
    let data = TrainingData { train: encode(&rows.train, &tokenizer, &labels)?, validation: encode(&rows.validation, &tokenizer, &labels)? };
    settings.class_weights = args.method.class_weights(&data.train, labels.len());
    settings.check(labels.len())?;
    say(format_args!("{} rows to train on, {} to validate with, labels {}", data.train.len(), data.validation.len(), rows.labels.join(", ")));
    if args.find_learning_rate {
        return find_rate::report(&base, &labels, &data, &settings);
    }
    if args.dry_run {
        return dry_run::report(&base, &labels, &data, &settings);
    }
    let (outcome, curves) = train(args, &base, &labels, &data, &settings)?;
    let mut folder = package(args, &base, labels, &rows, &data, &settings, &outcome)?;
    folder.files.insert("training.svg".into(), curves.svg(&folder.settings.name).into_bytes());
    folder.files.insert("README.md".into(), card::card(&folder, &rows, &args.base).into_bytes());
    write(args, &base, &folder, &settings, &outcome)?;
    say(format_args!("{}: the weights of epoch {}, temperature {:.3}", args.output.display(), outcome.best_epoch, folder.settings.temperature));
    Ok(Status::Done)
}

/// Writes the model, or the adapter alone. What the output folder held before is taken away only when the new one is whole.
fn write(args: &Args, base: &ModelFolder, folder: &ModelFolder, settings: &TrainSettings, outcome: &Outcome) -> Result<()> {
    let mut name = args.output.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = args.output.with_file_name(name);
    if fresh.exists() {
        fs_err::remove_dir_all(&fresh)?;
    }
    match &settings.selection.method {
        Method::Lora(lora) if args.method.no_merge => {
            let base_name = args.base.to_string_lossy();
            // Labels and settings go with the adapter, for `model merge`; peft takes no notice of them.
            let kept = ["config.json", "attackline.json"];
            let files: Vec<(&str, &[u8])> = kept.iter().filter_map(|name| Some((*name, folder.files.get(*name)?.as_slice()))).collect();
            write_adapter(&fresh, base, &base_name, lora, &outcome.trained, &files)?;
        }
        _ => folder.write(&fresh)?,
    }
    if args.output.exists() {
        fs_err::remove_dir_all(&args.output)?;
    }
    fs_err::rename(&fresh, &args.output)?;
    Ok(())
}

/// Refuses before hours of work what would fail after them.
fn check_folders(args: &Args) -> Result<()> {
    let output = args.output.display();
    if args.output.exists() {
        if !args.clobber {
            bail!("{output} exists already; --clobber replaces it");
        }
        if !args.output.join("config.json").is_file() {
            bail!("{output} exists and is no model folder, so it is not replaced; name another with -o");
        }
    }
    if let Some(folder) = &args.checkpoint_dir {
        let used = folder.is_dir() && fs_err::read_dir(folder)?.next().is_some();
        if used && !args.resume {
            bail!("{} holds a checkpoint; --resume goes on from it", folder.display());
        }
        fs_err::create_dir_all(folder)?;
    }
    Ok(())
}

fn settings(args: &Args) -> Result<TrainSettings> {
    let (rate, head_rate) = args.method.rates();
    Ok(TrainSettings {
        selection: args.method.selection()?,
        epochs: args.epochs,
        learning_rate: args.learning_rate.unwrap_or(rate),
        head_learning_rate: args.head_learning_rate.unwrap_or(head_rate),
        batch_tokens: args.batch_tokens,
        max_length: args.max_length,
        label_smoothing: args.label_smoothing,
        patience: args.patience,
        seed: args.seed,
        threads: args.threads,
        checkpoint_every: args.checkpoint_every,
        focus: args.method.focal,
        frozen_dtype: if args.method.dtype == Kept::Bf16 { FrozenType::Bf16 } else { FrozenType::F32 },
        ..TrainSettings::default()
    })
}

fn train(args: &Args, base: &ModelFolder, labels: &Labels, data: &TrainingData, settings: &TrainSettings) -> Result<(Outcome, Curves)> {
    let mut trainer = Trainer::new(base, labels, data, settings.clone())?;
    let (trained, all) = trainer.counts();
    say(format_args!("{}: {trained} of {all} numbers are trained ({:.2} %)", args.method.name(), 100.0 * trained as f64 / all as f64));
    let resumed = args.checkpoint_dir.as_ref().map_or(Ok(0), |folder| trainer.checkpoints_in(folder))?;
    if resumed > 0 {
        say(format_args!("going on after step {resumed} of {}", trainer.total_steps()));
    }
    let cancel = interrupt::flag();
    let mut curves = Curves::default();
    if let Some(path) = &args.metrics {
        curves.read_steps(path, resumed)?;
    }
    let mut metrics = args.metrics.as_deref().map(MetricsFile::append).transpose()?;
    let mut events = args.tensorboard.as_deref().map(TensorBoard::append).transpose()?;
    let mut progress = progress::Progress::new(trainer.total_steps());
    let outcome = trainer.run(&mut ((&mut progress, &mut curves), (metrics.as_mut(), events.as_mut())), &cancel);
    progress.finish();
    metrics.map(MetricsFile::finish).transpose()?;
    events.map(TensorBoard::finish).transpose()?;
    let outcome = outcome.map_err(|error| -> anyhow::Error {
        match (error, &args.checkpoint_dir) {
            (TrainError::Interrupted { step }, Some(_)) => {
                Interrupted(format!("interrupted after step {step}; the state is saved, --resume goes on from it")).into()
            }
            (TrainError::Interrupted { step }, None) => {
                Interrupted(format!("interrupted after step {step}; nothing was saved (--checkpoint-dir DIR keeps the state)")).into()
            }
            (error, _) => error.into(),
        }
    })?;
    curves.set_epochs(&outcome.epochs);
    Ok((outcome, curves))
}

/// The model folder: the best weights, calibrated on the validation rows, with what they were made from.
fn package(
    args: &Args,
    base: &ModelFolder,
    labels: Labels,
    rows: &data::Rows,
    data: &TrainingData,
    settings: &TrainSettings,
    outcome: &Outcome,
) -> Result<ModelFolder> {
    let mut summary = TrainingSummary {
        base: args.base.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        method: args.method.name(),
        settings: described(settings),
        data: rows.hashes.clone(),
        validation: Vec::new(),
    };
    if let Some(best) = outcome.epochs.iter().find(|report| report.epoch == outcome.best_epoch) {
        summary.validation = [("loss", best.validation_loss), ("accuracy", best.accuracy), ("macro_f1", best.macro_f1)]
            .map(|(name, value)| (name.to_owned(), value))
            .to_vec();
    }
    let name = args.output.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let plain = Settings { name, max_length: args.max_length.min(base.spec.longest), training: Some(summary), ..Settings::default() };
    let mut folder = base.with_head(labels, plain, outcome.weights.clone())?;
    let temperature = calibrate(&Engine::new(&folder)?, &data.validation, rows.labels.len());
    folder.change_settings(|settings| settings.temperature = temperature);
    Ok(folder)
}

fn described(settings: &TrainSettings) -> Vec<String> {
    let value = serde_json::to_value(settings).unwrap_or_default();
    value
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| format!("{key}={}", value.to_string().trim_matches('"')))
        .collect()
}

fn calibrate(engine: &Engine, rows: &[Example], labels: usize) -> f32 {
    let mut logits = Vec::with_capacity(rows.len() * labels);
    for chunk in rows.chunks(64) {
        logits.extend(engine.logits(&chunk.iter().map(|row| row.ids.as_slice()).collect::<TokenBatch>()));
    }
    fit_temperature(&logits, labels, &rows.iter().map(|row| row.label).collect::<Vec<_>>())
}
