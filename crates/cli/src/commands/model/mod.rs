//! `attackline model`.

mod adjust;
mod calibrate;
mod describe;
mod merge;
mod ngrams;
mod pool;
mod quantize;
mod retokenize;
mod truth;
mod verify;

use crate::diagnostics::say;
use crate::exit::Status;
use crate::models;
use crate::output::{Output, OutputError, Target, unwritten};
use anyhow::Result;
use clap::Subcommand;
use std::io::Write as _;
use std::path::PathBuf;

/// Look at a model, or pack it into one file.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show a model's architecture, labels, threshold and training
    Info {
        /// Model folder [default: the model inside this program]
        model: Option<PathBuf>,
    },
    /// Write a model folder as one compact file, matrices in int8, to build a program with it inside (models/embedded.alpack); --model takes
    /// folders only
    Pack {
        /// Model folder
        model: PathBuf,
        /// File to write
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// Probability from which an attack label is reported [default: the folder's]
        #[arg(long, value_name = "P", value_parser = super::probability)]
        threshold: Option<f32>,
        /// What the model is called in answers [default: the folder's]
        #[arg(long)]
        name: Option<String>,
        /// Replace the file
        #[arg(long)]
        clobber: bool,
    },
    /// Set the threshold so that of your own benign lines no more than a share is reported, and say what is still found
    Calibrate(calibrate::CalibrateArgs),
    /// Fit a bias for each label on labelled lines that were not trained on
    Adjust(adjust::AdjustArgs),
    /// Train an n-gram model that answers beside the encoder, and a gate that settles lines which are certainly benign
    Ngrams(ngrams::NgramsArgs),
    /// Write a folder whose layers compute in int8: several times faster, a quarter as large, nearly the same answers
    Quantize(quantize::QuantizeArgs),
    /// Give a base model another tokenizer, handing on what it knows of words
    Retokenize {
        /// Model folder, which stays as it is
        model: PathBuf,
        /// Folder with the tokenizer, as `attackline tokenizer train` writes it
        #[arg(long, value_name = "DIR")]
        tokenizer: PathBuf,
        /// Folder to write
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
    },
    /// Check that a model folder is whole: files, every weight, tokenizer, labels, a first answer
    Verify {
        /// Model folder [default: the model inside this program]
        model: Option<PathBuf>,
    },
    /// Merge a LoRA adapter, as peft keeps it, into its base model
    Merge {
        /// Base model folder
        base: PathBuf,
        /// Adapter folder: adapter_config.json and adapter_model.safetensors
        adapter: PathBuf,
        /// Folder to write
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
        /// Labels in the order of the adapter's outputs, divided by commas [default: those of the adapter's or the base's config.json]
        #[arg(long, value_name = "LIST", value_delimiter = ',')]
        labels: Vec<String>,
    },
    /// Write a model, such as the one inside this program, as a folder that Python `transformers` loads and answers alike
    Export {
        /// Folder to write
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
        /// Model folder [default: the model inside this program]
        model: Option<PathBuf>,
    },
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Status> {
    let (target, bytes) = match &args.action {
        Action::Info { model } => (Target::Stdout, describe::describe(&models::folder(model.as_deref())?)?.into_bytes()),
        Action::Pack { model, output, threshold, name, clobber } => {
            let mut folder = models::folder(Some(model))?;
            folder.change_settings(|settings| {
                settings.threshold = threshold.unwrap_or(settings.threshold);
                settings.name = name.clone().unwrap_or_else(|| settings.name.clone());
            });
            (Target::new(Some(output), *clobber), folder.to_pack()?)
        }
        Action::Export { output, model } => {
            let folder = models::folder(model.as_deref())?;
            folder.export(output).map_err(|error| unwritten(output, error))?;
            if folder.settings.ngrams.is_some() {
                say(format_args!("`transformers` answers as the encoder alone: the n-gram model beside it is read by attackline only"));
            }
            return Ok(Status::Done);
        }
        Action::Merge { base, adapter, output, labels } => {
            merge::merge(base, adapter, labels)?.write(output).map_err(|error| unwritten(output, error))?;
            return Ok(Status::Done);
        }
        Action::Retokenize { model, tokenizer, output } => {
            retokenize::retokenize(model, tokenizer)?.write(output).map_err(|error| unwritten(output, error))?;
            return Ok(Status::Done);
        }
        Action::Calibrate(args) => return calibrate::run(args),
        Action::Adjust(args) => return adjust::run(args),
        Action::Ngrams(args) => return ngrams::run(args),
        Action::Quantize(args) => return quantize::run(args),
        Action::Verify { model } => (Target::Stdout, verify::verify(&models::folder(model.as_deref())?)?.into_bytes()),
    };
    let mut output = Output::open(&target)?;
    output.write_all(&bytes).map_err(|error| OutputError::new(output.name(), error))?;
    output.finish()?;
    Ok(Status::Done)
}
