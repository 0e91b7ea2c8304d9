//! Fine-tuning: the differentiable encoder, its optimiser, its schedule and its checkpoints.
//!
//! The graph is candle's, but its blocks are our own operations over [`attackline_kernels`], each with its gradient:
//! candle's fused ones drop gradients silently, and its plain ones are slow on a processor. Batches are packed without
//! padding: the hidden states are `[tokens, hidden]`, and only attention and pooling know where a line ends.
//!
//! The embedding tables stand outside the graph. Its input is the sum of the gathered rows; that input's gradient is
//! added up per row of a table, so a step costs what the batch's words cost, not what the vocabulary costs.
//!
//! Same data, settings and thread count give the same bits, also over an interruption.

mod adapter;
mod batch;
mod blocks;
mod builder;
mod checkpoint;
mod classifier;
mod curves;
mod device;
mod embeddings;
mod encode;
mod error;
mod graph;
mod initial;
mod lines;
mod method;
mod network;
mod ngrams;
mod observer;
mod ops;
mod optimiser;
mod parameter;
mod parameters;
mod plain;
mod retokenize;
mod sampler;
mod schedule;
mod settings;
mod task;
mod tensorboard;
mod trainer;

pub use adapter::{merge, read_adapter, write_adapter};
pub use classifier::GraphClassifier;
pub use curves::curves;
pub use device::{DeviceKind, FloatType};
pub use encode::{Example, Labelled, encode};
pub use error::TrainError;
pub use initial::random_encoder;
pub use method::{Lora, Method, Selection, Target};
pub use ngrams::{NgramOptions, NgramRow, train_ngrams};
pub use observer::{EpochReport, MetricsFile, Observer, Silent, StepReport};
pub use retokenize::retokenize;
pub use schedule::Schedule;
pub use settings::{FrozenType, TrainSettings};
pub use tensorboard::TensorBoard;
pub use trainer::{Outcome, Trainer, TrainingData};
