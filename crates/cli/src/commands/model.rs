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

/// Look at a model.
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
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Status> {
    let Action::Info { model } = &args.action;
    let folder = models::folder(model.as_deref())?;
    let mut output = Output::open(&Target::Stdout)?;
    output.write_all(describe(&folder)?.as_bytes()).map_err(|error| OutputError::new("standard output", error))?;
    output.finish()?;
    Ok(Status::Done)
}

fn describe(folder: &ModelFolder) -> Result<String> {
    let (spec, settings) = (&folder.spec, &folder.settings);
    let parameters: usize = folder.tensors.values().map(|tensor| tensor.data.len()).sum();
    let mut text = String::new();
    writeln!(text, "name          {}", settings.name)?;
    writeln!(text, "architecture  {}, {} layers, {} wide, {} heads", folder.config["model_type"].as_str().unwrap_or("unknown"), spec.layers, spec.hidden, spec.heads)?;
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
