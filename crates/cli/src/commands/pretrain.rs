//! `attackline pretrain`.

use super::{
    tokenizer::read_tokenizer,
    train::{place, session},
};
use crate::diagnostics::say;
use crate::exit::Status;
use crate::lines::LinesArgs;
use crate::models;
use anyhow::{Context, Result, bail};
use attackline_model::{Checkpoint, EncoderSpec, FolderFiles, ModelFolder, TextTokenizer};
use attackline_train::{Example, TrainSettings, Trainer, TrainingData, random_encoder};
use clap::{ArgGroup, ValueEnum};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// One line in so many is held out, to see how well hidden tokens are restored.
const HELD_OUT: usize = 50;

const AFTER_HELP: &str = "\
Examples:
  attackline tokenizer train --data logs/ --vocabulary 8192 -o tokenizer/
  attackline pretrain --data logs/ --tokenizer tokenizer/ --architecture deberta-v3 --epochs 20 --checkpoint-dir run/ -o base/
  attackline pretrain --data logs/ --base deberta-v3-base/ --epochs 1 -o our-base/
  attackline train --data data/ --base base/ -o my-model/

Tokens are hidden and the model learns to restore them (masked language modelling). The result is a base model for attackline train and for
transformers; what restored tokens is left out of it.";

/// Train a base model on lines without labels, from nothing or from another base.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP, group = ArgGroup::new("start").required(true))]
pub struct Args {
    #[command(flatten)]
    lines: LinesArgs,
    /// Base model to go on from, with its own tokenizer and shape, so that it learns how your lines look; a head that it has for labels is
    /// left out
    #[arg(long, value_name = "DIR", group = "start", conflicts_with_all = ["architecture", "hidden", "layers", "heads", "intermediate"])]
    base: Option<PathBuf>,
    /// Folder with a tokenizer.json that has a token for hidden ones, for a model from nothing
    #[arg(long, value_name = "DIR", group = "start")]
    tokenizer: Option<PathBuf>,
    /// Folder to write the model to
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// How tokens know their places
    #[arg(long, value_name = "NAME", default_value = "bert")]
    architecture: Architecture,
    /// Width of the layers
    #[arg(long, value_name = "N", default_value_t = 256)]
    hidden: usize,
    /// Layers
    #[arg(long, value_name = "N", default_value_t = 6)]
    layers: usize,
    /// Heads of attention
    #[arg(long, value_name = "N", default_value_t = 4)]
    heads: usize,
    /// Width inside the feed-forward blocks [default: four times --hidden]
    #[arg(long, value_name = "N")]
    intermediate: Option<usize>,
    /// Longest line in tokens
    #[arg(long, value_name = "N", default_value_t = 128)]
    max_length: usize,
    /// Passes over the lines
    #[arg(long, value_name = "N", default_value_t = 10)]
    epochs: usize,
    /// Greatest learning rate [default: from nothing 1e-3, from a base 1e-4]
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f64>,
    /// Tokens in a batch, at most
    #[arg(long, value_name = "N", default_value_t = 4096)]
    batch_tokens: usize,
    /// Add up the gradients of so many batches for a step
    #[arg(long, value_name = "N", default_value_t = 1)]
    accumulate: usize,
    /// Seed of the weights, the order of lines and what is hidden
    #[arg(long, value_name = "N", default_value_t = TrainSettings::default().seed)]
    seed: u64,
    #[command(flatten)]
    session: session::SessionArgs,
}

/// How tokens know their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Architecture {
    /// Learnt positions, as BERT has them
    Bert,
    /// Relative positions in buckets, as DeBERTa-v3 has them
    DebertaV3,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Status> {
    if args.output.exists() {
        bail!("{} exists already; name another with -o", args.output.display());
    }
    place::check(&args.output, false, &args.session.places())?;
    args.session.check()?;
    let Start { mut files, config, spec, weights, tokenizer } = args.start()?;
    let mask = tokenizer.mask().context("the tokenizer has no token that stands for a hidden one, such as [MASK]")?;
    let lines = args.lines.read()?;
    let data = examples(&lines.lines, &tokenizer)?;
    let settings = args.settings();
    let mut trainer = Trainer::restoring(&spec, &weights, mask, &data, settings)?;
    let outcome = args.session.run(&mut trainer)?;
    files.insert("config.json".into(), serde_json::to_vec_pretty(&config)?);
    // The head that restored tokens is of no use to a classifier.
    let mut encoder = outcome.weights;
    let head: Vec<String> = encoder.names().filter(|name| weights.shape(name).is_none()).map(str::to_owned).collect();
    head.iter().for_each(|name| encoder.remove(name));
    files.insert("training.svg".into(), attackline_train::curves("pretraining", &outcome.losses, &outcome.epochs).into_bytes());
    let made = ModelFolder::from_parts(files, encoder)?;
    place::put(&args.output, false, |fresh| Ok(made.write(fresh)?))?;
    if let Some(best) = outcome.epochs.iter().find(|report| report.epoch == outcome.best_epoch) {
        say(format_args!(
            "{}: the weights of epoch {}, which restore {:.1} % of hidden tokens in lines held out",
            args.output.display(),
            best.epoch,
            100.0 * best.accuracy
        ));
    }
    Ok(lines.status())
}

/// What a run starts from.
struct Start {
    /// The small files of the model, but for `config.json`.
    files: FolderFiles,
    config: Value,
    spec: EncoderSpec,
    /// The encoder's, without a head.
    weights: Checkpoint,
    tokenizer: TextTokenizer,
}

impl Args {
    fn start(&self) -> Result<Start> {
        match (&self.base, &self.tokenizer) {
            (Some(base), _) => self.start_from(base),
            (None, Some(tokenizer)) => self.start_from_nothing(tokenizer),
            (None, None) => bail!("name a --base or a --tokenizer"),
        }
    }

    fn start_from_nothing(&self, folder: &Path) -> Result<Start> {
        let files = read_tokenizer(folder)?;
        let tokenizer = TextTokenizer::new(&files["tokenizer.json"], self.max_length, usize::MAX)?;
        let config = self.config(tokenizer.vocabulary());
        let spec = EncoderSpec::from_config(&config)?;
        let weights = random_encoder(&spec, self.seed);
        Ok(Start { files, config, spec, weights, tokenizer })
    }

    fn start_from(&self, folder: &Path) -> Result<Start> {
        let base = models::folder(Some(folder))?.without_head()?;
        let tokenizer = base.tokenizer(Some(self.max_length))?;
        let ModelFolder { files, config, spec, weights, .. } = base;
        Ok(Start { files, config, spec, weights, tokenizer })
    }

    /// `config.json` of a model from nothing.
    fn config(&self, vocabulary: usize) -> Value {
        let mut config = json!({
            "hidden_size": self.hidden, "num_hidden_layers": self.layers, "num_attention_heads": self.heads,
            "intermediate_size": self.intermediate.unwrap_or(4 * self.hidden), "max_position_embeddings": self.max_length,
            "vocab_size": vocabulary, "hidden_act": "gelu", "layer_norm_eps": 1e-7, "pad_token_id": 0, "torch_dtype": "float32",
        });
        let own = match self.architecture {
            Architecture::Bert => json!({"model_type": "bert", "architectures": ["BertModel"], "type_vocab_size": 1}),
            Architecture::DebertaV3 => json!({
                "model_type": "deberta-v2", "architectures": ["DebertaV2Model"], "type_vocab_size": 0, "relative_attention": true,
                "position_biased_input": false, "pos_att_type": ["c2p", "p2c"], "share_att_key": true, "norm_rel_ebd": "layer_norm",
                "position_buckets": (self.max_length / 2).max(8), "max_relative_positions": -1, "pooler_hidden_size": self.hidden,
            }),
        };
        if let (Value::Object(config), Value::Object(own)) = (&mut config, own) {
            config.extend(own);
        }
        config
    }

    fn settings(&self) -> TrainSettings {
        let rate = self.learning_rate.unwrap_or(if self.base.is_some() { 1e-4 } else { 1e-3 });
        TrainSettings {
            epochs: self.epochs,
            learning_rate: rate,
            head_learning_rate: rate,
            batch_tokens: self.batch_tokens,
            accumulate: self.accumulate,
            max_length: self.max_length,
            seed: self.seed,
            threads: self.session.threads.map_or(0, usize::from),
            bf16_products: self.session.bf16_products,
            checkpoint_every: self.session.checkpoint_every,
            ..TrainSettings::default()
        }
    }
}

/// Lines as tokens; every so manieth is held out.
fn examples(lines: &[String], tokenizer: &TextTokenizer) -> Result<TrainingData> {
    let mut data = TrainingData::default();
    for (index, line) in lines.iter().enumerate() {
        let row = Example { ids: tokenizer.encode(line)?.ids, labels: Vec::new(), weight: 1.0 };
        let side = if index % HELD_OUT == HELD_OUT - 1 { &mut data.validation } else { &mut data.train };
        side.push(row);
    }
    if data.validation.is_empty() {
        bail!("{} lines are too few: at least {HELD_OUT} are wanted", lines.len());
    }
    Ok(data)
}
