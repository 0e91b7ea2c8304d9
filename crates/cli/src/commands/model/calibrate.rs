//! `attackline model calibrate`: the threshold that keeps a false-positive rate on one's own benign lines.

use super::super::evaluate::subject::{Line, Subject};
use super::super::threads;
use crate::diagnostics::Diagnostics;
use crate::exit::{Status, Unreadable};
use crate::lines::{self, Gathered};
use crate::models::{self, ModelArgs};
use crate::output::{Output, OutputError, Target, temporary, unwritten};
use anyhow::{Result, bail};
use attackline_dataset::read_labelled;
use attackline_evaluate::{Rate, threshold_keeping, threshold_table};
use attackline_model::{BENIGN, Settings};
use attackline_telemetry::LogLine;
use std::collections::{HashMap, HashSet};
use std::io::{IsTerminal as _, Write as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct CalibrateArgs {
    /// Model folder, whose attackline.json is changed
    model: PathBuf,
    /// Lines that are all harmless: logs of every format that `classify` reads; repeatable
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    benign: Vec<PathBuf>,
    /// Labelled lines, to say how many attacks are still found; repeatable
    #[arg(long, value_name = "FILE", num_args = 1..)]
    attacks: Vec<PathBuf>,
    /// Share of benign lines that may be reported
    #[arg(long, value_name = "RATE", default_value_t = 1e-3, value_parser = share)]
    fpr: f64,
    /// Share of each --benign path's lines that may be reported, so that no source of them is flooded [default: no more than --fpr of all]
    #[arg(long, value_name = "RATE", value_parser = share)]
    fpr_each: Option<f64>,
    /// Threads to classify with [default: one a processor]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Say what would be set, and change nothing
    #[arg(long)]
    dry_run: bool,
}

fn share(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|rate| *rate > 0.0 && *rate < 1.0).ok_or_else(|| "a number above 0 and below 1 is wanted".into())
}

/// The file of a model folder that holds its threshold.
const SETTINGS: &str = "attackline.json";

/// A line and its parent's.
type Told = (String, Option<String>);

/// Runs the command.
pub fn run(args: &CalibrateArgs) -> Result<Status> {
    let model = ModelArgs::on_the_processor(args.model.clone());
    let subject = Subject::model(model.classifier(1, false)?, &[], None)?;
    // The same text below two parents is two lines.
    let of = |line: LogLine| (line.text, line.event.parent);
    let paths: Vec<Gathered<Told>> = args.benign.iter().map(|path| lines::gather(std::slice::from_ref(path), usize::MAX, of)).collect();
    let mut seen = HashSet::new();
    let lines = paths.iter().flat_map(|path| &path.lines).filter(|line| seen.insert(*line)).collect();
    let all: Gathered<&Told> = Gathered { lines, unreadable: paths.iter().map(|path| path.unreadable).sum() }.some()?;
    let status = all.status();
    let benign = all.lines;
    let mut attacks = Vec::new();
    for path in &args.attacks {
        attacks.extend(read_labelled(path).map_err(|error| Unreadable(error.to_string()))?.into_iter().filter(|row| row.label != BENIGN));
    }
    let diagnostics = Diagnostics::new(std::io::stderr().is_terminal(), false);
    let scores = |lines: Vec<Line<'_>>| -> Result<Vec<f32>> {
        let count = lines.len();
        let all = subject.scores(lines.into_iter(), count, threads(args.threads), &diagnostics)?;
        let truths = vec![vec![subject.labels[0].clone()]; count];
        Ok(subject.answered(&truths, all)?.attack_scores().to_vec())
    };
    let of_benign = scores(benign.iter().map(|(text, parent)| Line { text, parent: parent.as_deref(), row: None }).collect())?;
    let of_attacks = scores(attacks.iter().map(Line::from).collect())?;
    diagnostics.finish();
    // A line that stands in several paths counts once among all, and in each of them.
    let score_of: HashMap<&Told, f32> = benign.iter().copied().zip(of_benign.iter().copied()).collect();
    let of_paths: Vec<Vec<f32>> = paths.iter().map(|path| path.lines.iter().map(|line| score_of[line]).collect()).collect();
    // Without attacks the table still wants one to measure on.
    let known = if of_attacks.is_empty() { vec![1.0] } else { of_attacks.clone() };
    let point = &threshold_table(&known, &of_benign, &[args.fpr])[0];
    let Some(reached) = point.reached else {
        bail!(
            "{} benign lines are too few for a rate of {}: {} are wanted, so that three of them decide",
            of_benign.len(),
            args.fpr,
            (3.0 / args.fpr).ceil()
        );
    };
    let of_each = args.fpr_each.map_or(0.0, |rate| of_paths.iter().map(|scores| threshold_keeping(scores, rate)).fold(0.0, f32::max));
    let threshold = reached.threshold.max(of_each);
    let count = |scores: &[f32]| Rate::new(scores.iter().filter(|score| **score >= threshold).count() as u64, scores.len() as u64);
    let mut text = format!("threshold            {threshold:.4} (it was {:.4})\n", subject.threshold);
    text.push_str(&format!("benign lines found   {}\n", count(&of_benign)));
    for (path, scores) in args.benign.iter().zip(&of_paths).filter(|_| of_paths.len() > 1) {
        text.push_str(&format!("  {}: {}\n", path.display(), count(scores)));
    }
    if !of_attacks.is_empty() {
        let before = of_attacks.iter().filter(|score| **score >= subject.threshold).count() as u64;
        text.push_str(&format!("attacks found        {}\n", count(&of_attacks)));
        text.push_str(&format!("before               {}\n", Rate::new(before, of_attacks.len() as u64)));
    }
    if !args.dry_run {
        set_threshold(&args.model, threshold).map_err(|error| unwritten(&args.model.join(SETTINGS), error))?;
    }
    let mut output = Output::open(&Target::Stdout)?;
    output.write_all(text.as_bytes()).map_err(|error| OutputError::new("standard output", error))?;
    output.finish()?;
    Ok(status)
}

/// Changes the folder's attackline.json, which is there whole before and after. What the file doesn't say stays as the folder is read.
fn set_threshold(path: &Path, threshold: f32) -> Result<()> {
    let settings = Settings { threshold, ..models::folder(Some(path))?.settings };
    let file = path.join(SETTINGS);
    let mut fresh = temporary(&file)?;
    // Whoever may read the old file may read the new one: the server may run as another user.
    if let Ok(old) = fs_err::metadata(&file) {
        fresh.as_file().set_permissions(old.permissions())?;
    }
    fresh.write_all(&settings.to_json())?;
    fresh.as_file().sync_all()?;
    fresh.persist(&file).map_err(|error| error.error)?;
    Ok(())
}
