use crate::TrainError;
use serde::Serialize;
use std::{io::Write, path::Path};

/// What is known after a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepReport {
    /// The step, from 1.
    pub step: u64,
    /// All steps of the run.
    pub steps: u64,
    /// The epoch, from 1.
    pub epoch: usize,
    /// Mean loss of the batch.
    pub loss: f64,
    /// The encoder's learning rate in this step.
    pub learning_rate: f64,
    /// Norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// Training rows a second, over this run so far.
    pub lines_per_second: f64,
    /// Tokens a second, over this run so far.
    pub tokens_per_second: f64,
    /// Seconds until the last step at this rate, validation not counted.
    pub seconds_left: f64,
}

/// What is known after an epoch.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
pub struct EpochReport {
    /// The epoch, from 1.
    pub epoch: usize,
    /// The last step of it.
    pub step: u64,
    /// Mean loss over the epoch's training rows, with dropout as trained.
    pub train_loss: f64,
    /// Mean loss on the validation rows.
    pub validation_loss: f64,
    /// Share of validation rows (or hidden tokens) answered rightly; where a row may have several labels, with all of them and no other.
    pub accuracy: f64,
    /// Mean of the labels' F1 on the validation rows; none where tokens are restored.
    pub macro_f1: Option<f64>,
    /// Whether this is the best epoch so far.
    pub best: bool,
}

/// Is told how a run goes.
pub trait Observer {
    /// After every step.
    fn step(&mut self, report: &StepReport) {
        let _ = report;
    }

    /// After every epoch, once it is validated.
    fn epoch(&mut self, report: &EpochReport) {
        let _ = report;
    }

    /// A checkpoint could not be saved, as on a full disk. The run goes on; the checkpoint before is still whole.
    fn unsaved(&mut self, error: &TrainError) {
        let _ = error;
    }
}

/// Tells nobody.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silent;

impl Observer for Silent {}

impl<A: Observer, B: Observer> Observer for (A, B) {
    fn step(&mut self, report: &StepReport) {
        self.0.step(report);
        self.1.step(report);
    }

    fn epoch(&mut self, report: &EpochReport) {
        self.0.epoch(report);
        self.1.epoch(report);
    }

    fn unsaved(&mut self, error: &TrainError) {
        self.0.unsaved(error);
        self.1.unsaved(error);
    }
}

impl<T: Observer + ?Sized> Observer for &mut T {
    fn step(&mut self, report: &StepReport) {
        (**self).step(report);
    }

    fn epoch(&mut self, report: &EpochReport) {
        (**self).epoch(report);
    }

    fn unsaved(&mut self, error: &TrainError) {
        (**self).unsaved(error);
    }
}

impl<A: Observer> Observer for Option<A> {
    fn step(&mut self, report: &StepReport) {
        if let Some(observer) = self {
            observer.step(report);
        }
    }

    fn epoch(&mut self, report: &EpochReport) {
        if let Some(observer) = self {
            observer.epoch(report);
        }
    }

    fn unsaved(&mut self, error: &TrainError) {
        if let Some(observer) = self {
            observer.unsaved(error);
        }
    }
}

/// Writes every report as a line of NDJSON, `{"kind":"step",…}` or `{"kind":"epoch",…}`. It appends, so that a resumed run
/// goes on in the same file.
#[derive(Debug)]
pub struct MetricsFile {
    file: fs_err::File,
    failure: Option<std::io::Error>,
}

#[derive(Serialize)]
struct Line<'a, T: Serialize> {
    kind: &'a str,
    #[serde(flatten)]
    report: &'a T,
}

impl MetricsFile {
    /// Opens or makes the file at `path`.
    pub fn append(path: &Path) -> Result<Self, TrainError> {
        Ok(Self { file: fs_err::OpenOptions::new().create(true).append(true).open(path)?, failure: None })
    }

    /// The first failure to write, where there was one; training went on without.
    pub fn finish(self) -> Result<(), TrainError> {
        self.failure.map_or(Ok(()), |error| Err(error.into()))
    }

    fn write(&mut self, kind: &str, report: &impl Serialize) {
        if self.failure.is_some() {
            return;
        }
        let mut line = serde_json::to_vec(&Line { kind, report }).expect("reports hold only numbers");
        line.push(b'\n');
        self.failure = self.file.write_all(&line).err();
    }
}

impl Observer for MetricsFile {
    fn step(&mut self, report: &StepReport) {
        self.write("step", report);
    }

    fn epoch(&mut self, report: &EpochReport) {
        self.write("epoch", report);
    }
}
