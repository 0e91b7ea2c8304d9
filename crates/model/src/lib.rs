//! The model folder: what an encoder is (its architecture as data), where its weights are, how text becomes tokens,
//! which labels it answers with, and the [`Classifier`] trait through which everybody else sees a model.
//!
//! This crate does no arithmetic: the `engine` crate computes answers and the `train` crate computes gradients, and both
//! read the same [`EncoderSpec`] and the same weight names ([`WeightLayout`]) from here.
//!
//! A folder is what Python `transformers` writes and reads; a *pack* ([`ModelFolder::to_pack`]) is such a folder in one compact file.

mod answer_cache;
mod batch;
mod checkpoint;
mod classifier;
mod error;
mod export;
mod folder;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod int8;
mod labels;
mod ngrams;
mod pack;
mod pickle;
mod safetensors_file;
mod settings;
mod spec;
mod stored;
mod tensor;
mod text;
mod tokenizer;
mod weight_files;
mod weights;

pub use answer_cache::{AnswerCache, KeptAnswer};
pub use batch::{BATCH_TOKENS, TokenBatch};
pub use checkpoint::{Checkpoint, Floats};
pub use classifier::{Classifier, Encoded, NgramLogits, Prediction};
pub use error::ModelError;
pub use folder::{FolderFiles, ModelFolder, SMALL_FILES};
pub use int8::Int8Tensor;
pub use labels::{BENIGN, Labels};
pub use ngrams::{NgramWeights, ngrams};
pub use settings::{AttackShares, GateSettings, NgramSettings, ParentShare, Quantization, Settings, TechniqueShares, TrainingSummary};
pub use spec::{AbsolutePositions, Activation, Convolution, EncoderSpec, Head, ModelType, Pooling, RelativePositions, Step};
pub use tensor::{Tensor, TensorMap};
pub use text::{Prepared, is_prose, opened, prepare};
pub use tokenizer::{TextTokenizer, TokenizerOptions, train_tokenizer};
pub use weights::{LayerRole, Role, WeightEntry, WeightLayout};
