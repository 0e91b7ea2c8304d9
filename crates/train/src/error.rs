use std::path::PathBuf;

/// What can end a training run.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A setting that can't work.
    #[error("{name}: {reason}")]
    Setting {
        /// The setting's name.
        name: &'static str,
        /// What is wrong with its value.
        reason: String,
    },
    /// The data can't be trained on.
    #[error("training data: {0}")]
    Data(String),
    /// A row names a label that the model is not to have.
    #[error("record {record}: the label {label:?} is not one of the model's")]
    UnknownLabel {
        /// The row's number, from 1.
        record: usize,
        /// The label found.
        label: String,
    },
    /// The loss or the gradient is no longer a number, or has run away.
    #[error("step {step}: training diverged ({what}); a lower learning rate, a longer warm-up or a smaller clip norm helps")]
    Diverged {
        /// The step, from 1.
        step: u64,
        /// What was seen.
        what: String,
    },
    /// The run was told to stop; where there is a checkpoint folder the state was saved.
    #[error("interrupted after step {step}")]
    Interrupted {
        /// The last whole step.
        step: u64,
    },
    /// A checkpoint that this run can't go on from.
    #[error("{path}: {reason}")]
    Checkpoint {
        /// The checkpoint's file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A file could not be read or written; the message names it.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The model folder is not sound.
    #[error(transparent)]
    Model(#[from] attackline_model::ModelError),
    /// The device can't be used.
    #[error("device {device}: {reason}")]
    Device {
        /// `cpu`, `cuda` or `metal`.
        device: &'static str,
        /// Why not.
        reason: String,
    },
    /// An operation of the graph failed, which is a defect of this program.
    #[error("computation: {0}")]
    Graph(#[from] candle_core::Error),
}
