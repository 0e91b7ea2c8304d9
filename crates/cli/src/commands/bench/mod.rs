//! `attackline bench`: how fast a model answers here.

mod cases;
mod table;

use super::threads;
use crate::exit::Status;
use crate::models;
use crate::output::{Output, OutputError, Target};
use anyhow::{Result, bail};
use attackline_engine::{Encoder, Profile, Shape, int8_peak};
use attackline_model::{ModelFolder, Quantization};
use cases::{Case, Lengths, Measured};
use clap::builder::PossibleValuesParser;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

const AFTER_HELP: &str = "\
Examples:
  attackline bench                                                the model inside this program
  attackline bench --model int8/ --lengths 16,32 --batch 1,64     a model of yours
  attackline bench --shape deberta-v3-base --int8 --profile       an architecture with random weights, and where the time goes

Every thread answers batches of its own. Tokens are random: only the time counts. The share of peak is that of the int8 product where it is at
its best here, everything in the nearest cache.";

/// Measure lines and tokens a second, latencies, and where the time goes.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Model folder [default: the model inside this program]
    #[arg(long, value_name = "DIR", conflicts_with = "shape")]
    model: Option<PathBuf>,
    /// A published architecture with random weights instead of a model
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Shape::NAMES.map(|(name, _)| name)))]
    shape: Option<String>,
    /// Compute the products of the layers in int8, whatever that does to the answers (attackline model quantize makes a folder of it)
    #[arg(long)]
    int8: bool,
    /// Lengths of the lines in tokens, divided by commas; `ragged` draws them as logs have them (median 24, one in twenty above 70)
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "32,ragged")]
    lengths: Vec<Lengths>,
    /// Lines of a batch, divided by commas
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "1,32")]
    batch: Vec<NonZeroUsize>,
    /// Threads [default: one a processor]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Seconds to measure each case for
    #[arg(long, value_name = "N", default_value_t = 2.0, value_parser = seconds)]
    seconds: f64,
    /// Also say where the time goes, on one thread
    #[arg(long)]
    profile: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|value: &f64| *value > 0.0 && *value <= 3600.0).ok_or_else(|| "a number above 0 and at most 3600 is wanted".into())
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Status> {
    let mut folder = match Shape::NAMES.iter().find(|(name, _)| Some(*name) == args.shape.as_deref()) {
        Some((_, shape)) => shape.folder()?,
        None => models::folder(args.model.as_deref())?,
    };
    if folder.labels.is_none() {
        bail!("this is a base model without labels; fine-tune it first (attackline train), or take --shape");
    }
    if args.int8 && folder.settings.quantization.is_none() {
        folder = folder.quantized(Quantization::default(), |_| Some(&[]))?;
    }
    let longest = folder.spec.longest;
    if let Some(Lengths::Equal(length)) = args.lengths.iter().find(|lengths| matches!(lengths, Lengths::Equal(length) if *length > longest)) {
        bail!("--lengths {length}: the model reads lines of up to {longest} tokens");
    }
    let count = threads(args.threads);
    let mut text = heading(&folder, count);
    let encoder = Encoder::new(&folder, cases::longest(&args.lengths).min(longest))?;
    text.push_str(&table::head());
    let mut profiles = Vec::new();
    for &lengths in &args.lengths {
        for &lines in &args.batch {
            let case = Case { lengths, lines: lines.get(), vocabulary: folder.spec.vocabulary, longest };
            let measured = Measured::new(&encoder, &case, count, Duration::from_secs_f64(args.seconds));
            text.push_str(&table::row(&case, &measured));
            if args.profile {
                profiles.push((case, profile(&encoder, &case, Duration::from_secs_f64(args.seconds))));
            }
        }
    }
    let peak = if profiles.is_empty() { 0.0 } else { int8_peak() };
    for (case, profile) in &profiles {
        text.push_str(&table::profile(case, profile, peak));
    }
    let mut output = Output::open(&Target::Stdout)?;
    output.write_all(text.as_bytes()).map_err(|error| OutputError::new(output.name(), error))?;
    output.finish()?;
    Ok(Status::Done)
}

fn heading(folder: &ModelFolder, threads: usize) -> String {
    let spec = &folder.spec;
    let numbers = if folder.settings.quantization.is_some() { "int8" } else { "f32" };
    format!("{} layers, {} wide, {numbers}, {threads} threads, {}\n\n", spec.layers, spec.hidden, attackline_engine::instruction_set())
}

/// Where the time of a case goes, on one thread.
fn profile(encoder: &Encoder, case: &Case, time: Duration) -> Profile {
    let (mut profile, mut batches) = (Profile::default(), case.batches(0));
    while profile.total() < time.min(Duration::from_secs(2)) {
        encoder.profiled_logits(&batches.next().expect("batches never end"), &mut profile);
    }
    profile
}
