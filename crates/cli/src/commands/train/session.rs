//! A run with all that watches it: progress, metrics, checkpoints, Ctrl-C.

use super::progress::Progress;
use crate::diagnostics::say;
use crate::exit::Interrupted;
use crate::interrupt;
use anyhow::{Result, bail};
use attackline_train::{MetricsFile, Outcome, TensorBoard, TrainError, TrainSettings, Trainer};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// The arguments of a run that say how it goes on and what is written of it.
#[derive(Debug, Default, clap::Args)]
pub struct SessionArgs {
    /// Threads; the result depends on it in its last bits [default: one a processor]
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// Multiply factors rounded to bf16 and sum in f32, where the processor can (AVX-512 BF16): 1.4 times as fast; weights stay in f32
    #[arg(long)]
    pub bf16_products: bool,
    /// Keep checkpoints here, after each epoch and on Ctrl-C
    #[arg(long, value_name = "DIR")]
    pub checkpoint_dir: Option<PathBuf>,
    /// Save a checkpoint every so many steps too
    #[arg(long, value_name = "STEPS", requires = "checkpoint_dir", default_value_t = 0, hide_default_value = true)]
    pub checkpoint_every: u64,
    /// Go on from the checkpoint
    #[arg(long, requires = "checkpoint_dir")]
    resume: bool,
    /// Write every step and epoch to this file, one JSON object a line; a run that goes on adds to it
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
    /// Write TensorBoard event files to this folder
    #[arg(long, value_name = "DIR")]
    tensorboard: Option<PathBuf>,
}

impl SessionArgs {
    /// What the run writes to beside the model, with the options that name it.
    pub fn places(&self) -> Vec<(&'static str, &Path)> {
        let all = [("--checkpoint-dir", &self.checkpoint_dir), ("--metrics", &self.metrics), ("--tensorboard", &self.tensorboard)];
        all.into_iter().filter_map(|(option, path)| Some((option, path.as_deref()?))).collect()
    }

    /// Refuses what would mix two runs: a checkpoint, metrics or events of another one. Makes the checkpoints' folder. Says what this processor can't do.
    pub fn check(&self) -> Result<()> {
        if self.bf16_products && !TrainSettings::multiplies_bf16() {
            say(format_args!("this processor does not multiply bf16, so f32 is multiplied"));
        }
        let used = |folder: &Path| -> Result<bool> { Ok(folder.is_dir() && fs_err::read_dir(folder)?.next().is_some()) };
        if let Some(folder) = &self.checkpoint_dir {
            let used = used(folder)?;
            if !self.resume && used {
                bail!("{} holds files already: --resume goes on from a checkpoint in it, a new run wants a new folder", folder.display());
            }
            if self.resume && !used {
                say(format_args!("{} holds no checkpoint, so the run begins at its first step", folder.display()));
            }
            fs_err::create_dir_all(folder)?;
        }
        if self.resume {
            return Ok(());
        }
        if let Some(path) = self.metrics.as_ref().filter(|path| path.metadata().is_ok_and(|data| data.is_file() && data.len() > 0)) {
            bail!("{} holds the metrics of another run: name a new file (only --resume adds to one)", path.display());
        }
        if let Some(path) = &self.tensorboard
            && used(path)?
        {
            bail!("{} holds files already: name a new folder (only --resume adds to one)", path.display());
        }
        Ok(())
    }

    /// Runs to the end, or until Ctrl-C.
    pub fn run(&self, trainer: &mut Trainer<'_>) -> Result<Outcome> {
        run(trainer, self.checkpoint_dir.as_deref(), self.metrics.as_deref(), self.tensorboard.as_deref())
    }
}

/// Runs to the end, or until Ctrl-C, with checkpoints, metrics and TensorBoard's events where they are wanted.
pub fn run(trainer: &mut Trainer<'_>, checkpoints: Option<&Path>, metrics: Option<&Path>, events: Option<&Path>) -> Result<Outcome> {
    let (trained, all) = trainer.counts();
    say(format_args!("{trained} of {all} numbers are trained ({:.2} %)", 100.0 * trained as f64 / all as f64));
    let resumed = checkpoints.map_or(Ok(0), |folder| trainer.checkpoints_in(folder))?;
    if resumed > 0 {
        say(format_args!("going on after step {resumed} of {}", trainer.total_steps()));
    }
    let cancel = interrupt::flag();
    let mut metrics = metrics.map(MetricsFile::append).transpose()?;
    let mut events = events.map(TensorBoard::append).transpose()?;
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
