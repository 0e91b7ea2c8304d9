//! `attackline train`.

mod card;
mod data;
mod dry_run;
mod find_rate;
mod method;
mod package;
pub mod place;
pub mod preset;
mod progress;
pub mod session;
mod trials;

use crate::diagnostics::say;
use crate::exit::Status;
use crate::models::{self, Device};
use anyhow::{Context, Result, bail};
use attackline_model::Labels;
use attackline_train::{FrozenType, TrainSettings, Trainer, TrainingData, encode};
use method::{Kept, MethodArgs};
use std::path::{Path, PathBuf};

const AFTER_HELP: &str = "\
Examples:
  attackline generate --samples 20000 --seed 7 -o data/
  attackline train --data data/ --base all-MiniLM-L6-v2/ -o my-model/
  attackline train --data data/ --base deberta-v3-base/ --method lora --lora-targets all -o my-model/
  attackline train --data data/ --data my-benign.ndjson --base base/ -o my-model/ --checkpoint-dir run/
  attackline train --data data/ --data my-benign.ndjson --base base/ -o my-model/ --checkpoint-dir run/ --resume

A data folder has train.csv and validation.csv; a file (CSV, NDJSON or Parquet with text and label) is trained on. Where no folder gives
validation rows, every tenth line is held out. The base is a Hugging Face folder of BERT, RoBERTa or DeBERTa-v2/v3 as it is
published: config.json, weights (safetensors or PyTorch), tokenizer.";

/// Fine-tune a base model on labelled lines.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(flatten)]
    data: data::DataArgs,
    /// Base model folder
    #[arg(long, value_name = "DIR")]
    base: PathBuf,
    /// Folder to write the model to
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
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
    /// Add up the gradients of so many batches for a step
    #[arg(long, value_name = "N", default_value_t = TrainSettings::default().accumulate)]
    accumulate: usize,
    /// Keep each layer's input alone and compute the layer again for its gradient: a third slower, far less memory
    #[arg(long)]
    recompute: bool,
    /// Longest line in tokens; longer ones keep head and tail
    #[arg(long, value_name = "N", default_value_t = TrainSettings::default().max_length)]
    max_length: usize,
    /// Spread this share of each target over all labels
    #[arg(long, value_name = "SHARE", default_value_t = TrainSettings::default().label_smoothing)]
    label_smoothing: f32,
    /// Leave out this share of a line's tokens each time it is learnt from, so that no single word decides
    #[arg(long, value_name = "SHARE", default_value_t = TrainSettings::default().token_dropout)]
    token_dropout: f32,
    /// Stop after so many epochs without a better validation result; 0 never stops early
    #[arg(long, value_name = "N", default_value_t = TrainSettings::default().patience)]
    patience: usize,
    /// Where to compute: cpu, or a GPU that this program was built for
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: Device,
    #[command(flatten)]
    session: session::SessionArgs,
    /// Try so many runs, the first as given, the others with rates, dropout and batches near by, and keep the best
    #[arg(long, value_name = "N", requires = "checkpoint_dir", conflicts_with_all = ["metrics", "tensorboard"])]
    trials: Option<usize>,
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
    args.method.check_layers(base.spec.layers)?;
    let longest = base.spec.longest;
    if args.max_length > longest {
        say(format_args!("the base reads lines of up to {longest} tokens, so that is what --max-length {} comes to", args.max_length));
    }
    let rows = data::load(&args.data)?;
    let labels = Labels::new(rows.labels.clone()).with_context(|| "the data name too few labels")?.with_several(args.data.several_labels);
    let tokenizer = base.tokenizer(Some(args.max_length))?;
    let data = TrainingData { train: encode(&rows.train, &tokenizer, &labels)?, validation: encode(&rows.validation, &tokenizer, &labels)? };
    settings.class_weights = args.method.class_weights(&data.train, labels.len());
    settings.check(labels.len())?;
    say(format_args!("{} rows to train on, {} to validate with, labels {}", data.train.len(), data.validation.len(), rows.labels.join(", ")));
    let checkpoints = args.session.checkpoint_dir.as_deref();
    if args.find_learning_rate {
        return find_rate::report(&base, &labels, &data, &settings, checkpoints);
    }
    if args.dry_run {
        return dry_run::report(&base, &labels, &data, &settings);
    }
    let (outcome, counts) = match (args.trials, checkpoints) {
        (Some(count), Some(folder)) => {
            let best = trials::search(count, &base, &labels, &data, &settings, folder)?;
            settings = best.settings;
            (best.outcome, best.counts)
        }
        _ => {
            let mut trainer = Trainer::new(&base, &labels, &data, settings.clone())?;
            (args.session.run(&mut trainer)?, trainer.counts())
        }
    };
    let run = package::Run { args, base: &base, rows: &rows, data: &data, settings: &settings, outcome: &outcome, counts };
    run.finish(labels)
}

/// Refuses before hours of work what would fail after them.
fn check_folders(args: &Args) -> Result<()> {
    place::check(&args.output, args.clobber, &args.session.places())?;
    let base = |path: &Path| path.canonicalize().is_ok_and(|path| args.base.canonicalize().is_ok_and(|base| base == path));
    if args.method.no_merge && base(&args.output) {
        bail!("-o is the base, without which the adapter of --no-merge is nothing; name another folder");
    }
    args.session.check()
}

fn settings(args: &Args) -> Result<TrainSettings> {
    let (rate, head_rate) = args.method.rates();
    Ok(TrainSettings {
        selection: args.method.selection()?,
        epochs: args.epochs,
        learning_rate: args.learning_rate.unwrap_or(rate),
        head_learning_rate: args.head_learning_rate.unwrap_or(head_rate),
        batch_tokens: args.batch_tokens,
        accumulate: args.accumulate,
        recompute: args.recompute,
        bf16_products: args.session.bf16_products,
        device: args.device.kind(),
        max_length: args.max_length,
        label_smoothing: args.label_smoothing,
        token_dropout: args.token_dropout,
        patience: args.patience,
        seed: args.data.seed,
        threads: args.session.threads.map_or(0, usize::from),
        checkpoint_every: args.session.checkpoint_every,
        focus: args.method.focal,
        frozen_dtype: if args.method.dtype == Kept::Bf16 { FrozenType::Bf16 } else { FrozenType::F32 },
        ..TrainSettings::default()
    })
}
