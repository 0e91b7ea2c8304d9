//! A run with all that watches it: progress, metrics, checkpoints, Ctrl-C.

use super::progress::Progress;
use crate::diagnostics::say;
use crate::exit::Interrupted;
use crate::interrupt;
use anyhow::{Result, bail};
use attackline_train::{MetricsFile, Outcome, TensorBoard, TrainError, Trainer};
use std::path::{Path, PathBuf};

/// The arguments that choose what is written of a run as it goes.
#[derive(Debug, Default, clap::Args)]
pub struct WatchArgs {
    /// Write every step and epoch to this file, one JSON object a line; a run that goes on adds to it
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
    /// Write TensorBoard event files to this folder
    #[arg(long, value_name = "DIR")]
    tensorboard: Option<PathBuf>,
}

/// Refuses what would mix two runs: a checkpoint, metrics or events of another one. Makes the checkpoints' folder.
pub fn check(checkpoints: Option<&Path>, watch: &WatchArgs, resume: bool) -> Result<()> {
    let used = |folder: &Path| -> Result<bool> { Ok(folder.is_dir() && fs_err::read_dir(folder)?.next().is_some()) };
    if let Some(folder) = checkpoints {
        if !resume && used(folder)? {
            bail!("{} holds a checkpoint; --resume goes on from it", folder.display());
        }
        fs_err::create_dir_all(folder)?;
    }
    if resume {
        return Ok(());
    }
    if let Some(path) = watch.metrics.as_ref().filter(|path| path.metadata().is_ok_and(|data| data.is_file() && data.len() > 0)) {
        bail!("{} holds the metrics of another run: name a new file (only --resume adds to one)", path.display());
    }
    if let Some(path) = &watch.tensorboard
        && used(path)?
    {
        bail!("{} holds files already: name a new folder (only --resume adds to one)", path.display());
    }
    Ok(())
}

/// Runs to the end, or until Ctrl-C.
pub fn run(trainer: &mut Trainer<'_>, checkpoints: Option<&Path>, watch: &WatchArgs) -> Result<Outcome> {
    let (trained, all) = trainer.counts();
    say(format_args!("{trained} of {all} numbers are trained ({:.2} %)", 100.0 * trained as f64 / all as f64));
    let resumed = checkpoints.map_or(Ok(0), |folder| trainer.checkpoints_in(folder))?;
    if resumed > 0 {
        say(format_args!("going on after step {resumed} of {}", trainer.total_steps()));
    }
    let cancel = interrupt::flag();
    let mut metrics = watch.metrics.as_deref().map(MetricsFile::append).transpose()?;
    let mut events = watch.tensorboard.as_deref().map(TensorBoard::append).transpose()?;
    let mut progress = Progress::new(trainer.total_steps());
    let outcome = trainer.run(&mut (&mut progress, (metrics.as_mut(), events.as_mut())), &cancel);
    progress.finish();
    // What only watches must not cost the run.
    for failure in [metrics.map(MetricsFile::finish), events.map(TensorBoard::finish)].into_iter().flatten().filter_map(Result::err) {
        say(format_args!("attackline: the metrics are not whole: {failure}"));
    }
    outcome.map_err(|error| match (error, checkpoints) {
        (TrainError::Interrupted { step }, Some(_)) => {
            Interrupted(format!("interrupted after step {step}; the state is saved, --resume goes on from it")).into()
        }
        (TrainError::Interrupted { step }, None) => {
            Interrupted(format!("interrupted after step {step}; nothing was saved (--checkpoint-dir DIR keeps the state)")).into()
        }
        (error, _) => error.into(),
    })
}
