//! How a run is shown: a bar on a terminal, a line every few seconds elsewhere.

use crate::diagnostics::say;
use attackline_train::{EpochReport, Observer, StepReport, TrainError};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Time between lines where there is no terminal.
const INTERVAL: Duration = Duration::from_secs(10);

/// Shows steps and epochs on standard error.
pub struct Progress {
    bar: Option<ProgressBar>,
    last: Option<Instant>,
}

impl Progress {
    /// For a run of so many steps.
    pub fn new(steps: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(steps).with_style(style)
        });
        Self { bar, last: None }
    }

    fn line(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(format_args!("{line}"))),
            None => say(format_args!("{line}")),
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Progress {
    fn step(&mut self, report: &StepReport) {
        let message = format!(
            "epoch {}  loss {:.4}  rate {:.1e}  {:.0} lines/s  {:.0} tokens/s  {} left",
            report.epoch,
            report.loss,
            report.learning_rate,
            report.lines_per_second,
            report.tokens_per_second,
            indicatif::HumanDuration(Duration::try_from_secs_f64(report.seconds_left).unwrap_or_default())
        );
        if let Some(bar) = &self.bar {
            bar.set_position(report.step);
            bar.set_message(message);
        } else if self.last.is_none_or(|last| last.elapsed() >= INTERVAL) {
            self.last = Some(Instant::now());
            say(format_args!("step {}/{}  {message}", report.step, report.steps));
        }
    }

    fn epoch(&mut self, report: &EpochReport) {
        let line = format!(
            "epoch {}: training loss {:.4}, validation loss {:.4}, accuracy {:.4}{}{}",
            report.epoch,
            report.train_loss,
            report.validation_loss,
            report.accuracy,
            report.macro_f1.map_or_else(String::new, |f1| format!(", macro F1 {f1:.4}")),
            if report.best { " (best so far)" } else { "" }
        );
        self.line(&line);
    }

    fn unsaved(&mut self, error: &TrainError) {
        self.line(&format!("attackline: the checkpoint could not be saved ({error}); the run goes on, the checkpoint before is whole"));
    }
}
