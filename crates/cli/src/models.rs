//! Which model answers, and where it computes.

use crate::diagnostics::say;
use crate::embedded;
use anyhow::{Context, Result, bail};
use attackline_engine::{Engine, LongLines, WithNgrams};
use attackline_model::{Classifier, ModelFolder};
use attackline_train::{DeviceKind, FloatType, GraphClassifier};
use clap::ValueEnum;
use std::path::{Path, PathBuf};

/// The arguments that choose a model.
#[derive(Debug, clap::Args)]
pub struct ModelArgs {
    /// Model folder, as it is published: safetensors or PyTorch weights; BERT, RoBERTa or DeBERTa-v2/v3 [default: the model inside this
    /// program]
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// Where to compute: auto takes a GPU if this program was built for it and there is one (--verbose says what it took)
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: Device,
    /// Type to compute in: f32, or on a GPU bf16 or f16 [default: f32, on a GPU bf16]
    #[arg(long, value_name = "TYPE")]
    pub dtype: Option<FloatType>,
    /// Let n-grams settle lines that are certainly benign before the encoder: faster, and attacks may be lost (attackline model info says how
    /// many)
    #[arg(long)]
    pub gate: bool,
    /// Whether the program goes on while the model's files may be written over: then none is used where it is mapped
    #[arg(skip)]
    pub lasting: bool,
}

/// Where to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Device {
    /// A GPU if there is one, else the processor
    Auto,
    /// The processor
    Cpu,
    /// An NVIDIA GPU
    Cuda,
    /// An Apple GPU
    Metal,
}

impl Device {
    /// The device that is meant.
    pub fn kind(self) -> DeviceKind {
        match self {
            Self::Auto => DeviceKind::detect().0,
            Self::Cpu => DeviceKind::Cpu,
            Self::Cuda => DeviceKind::Cuda,
            Self::Metal => DeviceKind::Metal,
        }
    }
}

impl ModelArgs {
    /// The model in a folder, computed on the processor with all its parts.
    pub fn on_the_processor(model: PathBuf) -> Self {
        Self { model: Some(model), device: Device::Cpu, dtype: None, gate: false, lasting: false }
    }

    /// The model chosen, ready to answer, a line that comes alone on up to `threads` threads.
    pub fn classifier(&self, threads: usize, verbose: bool) -> Result<Box<dyn Classifier>> {
        let mut folder = folder(self.model.as_deref())?;
        if self.lasting {
            folder.weights = folder.weights.in_memory();
        }
        let (device, reason) = if self.device == Device::Auto { DeviceKind::detect() } else { (self.device.kind(), "as asked") };
        if verbose {
            say(format_args!("computing on {} ({reason})", device.name()));
        }
        let name = self.model.as_ref().map_or_else(|| "inside this binary".to_owned(), |path| path.display().to_string());
        let unusable = || format!("the model {name} can't be used");
        if device == DeviceKind::Cpu {
            if self.dtype.is_some_and(|dtype| dtype != FloatType::F32) {
                bail!("--dtype: the processor computes in f32; bf16 and f16 are for a GPU (--device cuda or metal)");
            }
            return self.with_ngrams(Engine::new(&folder).with_context(unusable)?.on_threads(threads), &folder).with_context(unusable);
        }
        let dtype = self.dtype.unwrap_or(FloatType::Bf16);
        self.with_ngrams(GraphClassifier::new(&folder, device, dtype).with_context(unusable)?, &folder).with_context(unusable)
    }

    /// The classifier together with the folder's n-gram model, if it has one.
    fn with_ngrams<C: Classifier + 'static>(&self, encoder: C, folder: &ModelFolder) -> Result<Box<dyn Classifier>> {
        let both = match WithNgrams::new(encoder, folder)? {
            Ok(both) if self.gate => both.gated().context("--gate: no gate was trained for this model (attackline model ngrams)")?,
            Ok(both) => both,
            Err(_) if self.gate => bail!("--gate: this model has no n-gram model beside it (attackline model ngrams)"),
            Err(encoder) => return Ok(Box::new(LongLines::new(encoder))),
        };
        Ok(Box::new(LongLines::new(both)))
    }
}

/// The folder named, or the embedded model.
pub fn folder(path: Option<&Path>) -> Result<ModelFolder> {
    let Some(path) = path else { return embedded::model() };
    let unusable = || format!("the model {} can't be used", path.display());
    match crate::hub::name(path) {
        Some(name) => ModelFolder::read(&crate::hub::fetch(name)?).with_context(unusable),
        None => ModelFolder::read(path).with_context(unusable),
    }
}
