//! `attackline model`.

use crate::exit::Status;
use crate::models;
use crate::output::{Output, OutputError, Target};
use anyhow::Result;
use attackline_catalog::{ATTRIBUTION, technique};
use attackline_model::ModelFolder;
use clap::Subcommand;
use std::fmt::Write as _;
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
    /// Write a model folder as one compact file, matrices in int8, as the one inside this program is kept
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
    /// Write a pack, or the model inside this program, as a folder that Python `transformers` loads
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
        Action::Info { model } => (Target::Stdout, describe(&models::folder(model.as_deref())?)?.into_bytes()),
        Action::Pack { model, output, threshold, name, clobber } => {
            let mut folder = models::folder(Some(model))?;
            folder.change_settings(|settings| {
                settings.threshold = threshold.unwrap_or(settings.threshold);
                settings.name = name.clone().unwrap_or_else(|| settings.name.clone());
            });
            (Target::new(Some(output), *clobber), folder.to_pack()?)
        }
        Action::Export { output, model } => {
            models::folder(model.as_deref())?.write(output)?;
            return Ok(Status::Done);
        }
    };
    let mut output = Output::open(&target)?;
    output.write_all(&bytes).map_err(|error| OutputError::new(output.name(), error))?;
    output.finish()?;
    Ok(Status::Done)
}

fn describe(folder: &ModelFolder) -> Result<String> {
    let (spec, settings) = (&folder.spec, &folder.settings);
    let parameters = folder.weights.elements();
    let mut text = String::new();
    writeln!(text, "name          {}", settings.name)?;
    writeln!(
        text,
        "architecture  {}, {} layers, {} wide, {} heads",
        folder.config["model_type"].as_str().unwrap_or("unknown"),
        spec.layers,
        spec.hidden,
        spec.heads
    )?;
    writeln!(text, "parameters    {:.1} million", parameters as f64 / 1e6)?;
    writeln!(text, "longest line  {} tokens", settings.max_length)?;
    let Some(labels) = &folder.labels else {
        writeln!(text, "labels        none: this is a base model (attackline train makes a classifier of it)")?;
        return Ok(text);
    };
    writeln!(text, "threshold     {}", settings.threshold)?;
    writeln!(text, "temperature   {}", settings.temperature)?;
    writeln!(text, "ATT&CK        {}", settings.attack_version)?;
    writeln!(text, "labels        {}", labels.len())?;
    for label in labels.names() {
        writeln!(text, "  {label:<10}  {}", technique(label).map(|technique| technique.full_name()).unwrap_or_default())?;
    }
    if let Some(training) = &settings.training {
        writeln!(text, "trained       from {} ({})", training.base, training.method)?;
        writeln!(text, "settings      {}", training.settings.join(" "))?;
        for (name, hash) in &training.data {
            writeln!(text, "data          {name} sha256:{hash}")?;
        }
        for (name, value) in &training.validation {
            writeln!(text, "validation    {name} {value:.4}")?;
        }
    }
    writeln!(text, "\n{ATTRIBUTION}")?;
    Ok(text)
}
