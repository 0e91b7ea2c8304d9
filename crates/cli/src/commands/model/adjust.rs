//! `attackline model adjust`: a bias for each label, and what a line's parent counts, fitted on labelled lines of the user's own kind.

use super::super::{evaluate::subject::Subject, threads};
use super::truth::{check_kinds, truth};
use crate::diagnostics::{Diagnostics, say};
use crate::exit::{Status, Unreadable};
use crate::models::{self, ModelArgs};
use crate::output::unwritten;
use anyhow::{Result, bail};
use attackline_dataset::{Row, read_labelled};
use attackline_evaluate::{BiasRow, ParentBounds, ParentRow, fit_label_biases, fit_parent_share};
use attackline_findings::log_odds;
use attackline_model::{Labels, ModelFolder, ParentShare, Role, WeightLayout};
use std::io::IsTerminal as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;

const AFTER_HELP: &str = "\
Example:
  attackline model adjust my-model/ --data attacks.ndjson --data harmless.ndjson --data-weights 3,1 -o adjusted/

A label that is answered too readily on these lines becomes rarer, one that is answered too seldom more frequent. Where rows
have a parent (the command line that started theirs), it is fitted too how much that counts. Use lines that were not trained on, and measure on
others. Afterwards set the threshold anew (attackline model calibrate).";

/// How a parent is heard. What administrators' scripts start is the reason for the greatest share: on lines that were recorded below services and
/// shells the fit would take 0.9, and below harmless scripts that look alarming three to four times as many of them would be reported as without.
const PARENTS: ParentBounds = ParentBounds { furthest: 3.0, most: 0.5, least: 50 };

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct AdjustArgs {
    /// Model folder, which stays as it is
    model: PathBuf,
    /// Labelled lines; repeatable
    #[arg(long, value_name = "FILE", required = true)]
    data: Vec<PathBuf>,
    /// What a row of each --data counts, divided by commas, in their order [default: 1]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    data_weights: Vec<f64>,
    /// How strongly biases are held at 0: the fewer the lines, the more
    #[arg(long, value_name = "L", default_value_t = 3.0)]
    penalty: f64,
    /// Folder to write
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Threads to classify with [default: one a processor]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

/// Runs the command.
pub fn run(args: &AdjustArgs) -> Result<Status> {
    if args.output.exists() {
        bail!("{} exists already and is not overwritten; name another folder", args.output.display());
    }
    if !args.data_weights.is_empty() && args.data_weights.len() != args.data.len() {
        bail!("--data-weights has {} numbers for {} --data", args.data_weights.len(), args.data.len());
    }
    if !args.penalty.is_finite() || args.penalty < 0.0 || args.data_weights.iter().any(|weight| !weight.is_finite() || *weight < 0.0) {
        bail!("--penalty and --data-weights want numbers from 0 up");
    }
    let mut folder = models::folder(Some(&args.model))?;
    let Some(labels) = folder.labels.clone() else { bail!("this is a base model without labels; fine-tune it first (attackline train)") };
    if labels.several() {
        bail!("a model that answers with several labels has no shares to adjust");
    }
    let subject = Subject::model(ModelArgs::on_the_processor(args.model.clone()).classifier(1, false)?, &[], None)?;
    let (rows, parents) = rows(args, &subject, &labels)?;
    if let Some(benign) = labels.benign() {
        check_kinds("--data", rows.iter().filter(|row| row.weight > 0.0).map(|row| &row.truth[..]), benign)?;
    }
    let biases = fit_label_biases(&rows, labels.len(), args.penalty);
    add_biases(&mut folder, &labels, &biases)?;
    if let Some(benign) = labels.benign() {
        hear_parents(args, &mut folder, &subject, &rows, &parents, |probabilities| attack_logit(probabilities, &biases, benign))?;
    }
    folder.write(&args.output).map_err(|error| unwritten(&args.output, error))?;
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by(|&a, &b| biases[b].abs().total_cmp(&biases[a].abs()));
    for label in order.into_iter().take(10) {
        say(format_args!("{:<12} {:+.2}", labels.name(label), biases[label]));
    }
    say(format_args!("fitted on {} lines, written to {}", rows.len(), args.output.display()));
    Ok(Status::Done)
}

/// Adds to the logits of each label, or where an n-gram model answers too, to what both say together.
fn add_biases(folder: &mut ModelFolder, labels: &Labels, biases: &[f64]) -> Result<()> {
    let add = |to: &mut [f32], scale: f64| to.iter_mut().zip(biases).for_each(|(value, bias)| *value += (bias * scale) as f32);
    if let Some(mut ngrams) = folder.ngram_weights()? {
        add(&mut ngrams.label_bias.data, 1.0);
        folder.set_ngram_weights(ngrams);
        return Ok(());
    }
    let layout = WeightLayout::new(&folder.spec, labels.len());
    let name = layout.entries().iter().find(|entry| entry.role == Role::ClassifierBias).map(|entry| entry.name.clone());
    let Some(name) = name else { bail!("the model's head has no bias") };
    let mut head = folder.weights.tensor(&name)?;
    // Probabilities are those of logits over the temperature.
    add(&mut head.data, f64::from(folder.settings.temperature));
    folder.weights.insert(name, head);
    Ok(())
}

/// Fits what parents count, where the data have enough of them.
fn hear_parents(
    args: &AdjustArgs,
    folder: &mut ModelFolder,
    subject: &Subject,
    rows: &[BiasRow],
    parents: &[String],
    logit: impl Fn(&[f32]) -> f64,
) -> Result<()> {
    let benign = subject.benign.unwrap_or_default();
    let known: Vec<&str> = parents.iter().map(String::as_str).filter(|parent| !parent.is_empty()).collect();
    let diagnostics = Diagnostics::new(std::io::stderr().is_terminal(), false);
    let scores = subject.scores(known.iter().copied(), known.len(), threads(args.threads), &diagnostics)?;
    diagnostics.finish();
    let of_lines = rows.iter().zip(parents).filter(|(_, parent)| !parent.is_empty());
    let below = |((row, _), scores): ((&BiasRow, &String), &[f32])| ParentRow {
        attack: logit(&row.probabilities),
        parent: logit(scores),
        is_attack: !row.truth.contains(&benign),
        weight: row.weight,
    };
    let rows: Vec<ParentRow> = of_lines.zip(scores.chunks_exact(subject.labels.len())).map(below).collect();
    match fit_parent_share(&rows, PARENTS) {
        Some(found) => {
            say(format_args!("what started a line counts {:.2}, on {} lines ({:.2} is usual)", found.share, rows.len(), found.usual));
            let parent = ParentShare { share: found.share as f32, usual: found.usual as f32, furthest: PARENTS.furthest as f32 };
            folder.change_settings(|settings| settings.parent = (parent.share > 0.0).then_some(parent));
        }
        None => say(format_args!("too few attacks or benign lines have a parent, so what started a line counts as before")),
    }
    Ok(())
}

/// The logit of an attack of some probabilities, biases added.
fn attack_logit(probabilities: &[f32], biases: &[f64], benign: usize) -> f64 {
    let share = |label: usize| f64::from(probabilities[label]) * biases[label].exp();
    let attack: f64 = (0..probabilities.len()).filter(|&label| label != benign).map(share).sum();
    log_odds((attack / (attack + share(benign))) as f32).into()
}

/// The rows that have a label which the model answers with, its own or its parent technique's; and of each what started it, or nothing.
fn rows(args: &AdjustArgs, subject: &Subject, labels: &Labels) -> Result<(Vec<BiasRow>, Vec<String>)> {
    let diagnostics = Diagnostics::new(std::io::stderr().is_terminal(), false);
    let (mut rows, mut parents) = (Vec::new(), Vec::new());
    for (place, path) in args.data.iter().enumerate() {
        let weight = args.data_weights.get(place).copied().unwrap_or(1.0);
        let read = read_labelled(path).map_err(|error| Unreadable(error.to_string()))?;
        let known: Vec<(Row, Vec<usize>)> = read
            .into_iter()
            .map(|row| {
                let truth = truth(&row, labels);
                (row, truth)
            })
            .filter(|(_, truth)| !truth.is_empty())
            .collect();
        // Biases are those of lines read alone.
        let scores = subject.scores(known.iter().map(|(row, _)| row.text.as_str()), known.len(), threads(args.threads), &diagnostics)?;
        for ((row, truth), scores) in known.into_iter().zip(scores.chunks_exact(labels.len())) {
            rows.push(BiasRow { probabilities: scores.to_vec(), truth, weight });
            parents.push(row.parent);
        }
    }
    diagnostics.finish();
    if rows.is_empty() {
        bail!("none of the lines has a label that the model answers with");
    }
    Ok((rows, parents))
}
