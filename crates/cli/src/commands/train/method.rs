//! What is trained, as the command line says it.

use anyhow::{Result, bail};
use attackline_train::{Example, Lora, Method, Selection, Target, TrainSettings};
use clap::ValueEnum;

/// The arguments that choose what is trained.
#[derive(Debug, clap::Args)]
pub struct MethodArgs {
    /// What is trained; the head always is
    #[arg(long, value_name = "METHOD", default_value = "full")]
    pub method: Kind,
    /// Rank of LoRA's additions [default: 8]
    #[arg(long, value_name = "N")]
    lora_rank: Option<usize>,
    /// LoRA's additions are multiplied by this over the rank [default: 16]
    #[arg(long, value_name = "A")]
    lora_alpha: Option<f64>,
    /// Dropout before LoRA's additions [default: 0]
    #[arg(long, value_name = "SHARE")]
    lora_dropout: Option<f32>,
    /// Products of each layer that LoRA adds to, divided by commas: query, key, value, attention-output, up, down or all [default: query,value]
    #[arg(long, value_name = "LIST", value_parser = targets)]
    lora_targets: Option<Targets>,
    /// Multiply by alpha over the root of the rank (rsLoRA)
    #[arg(long)]
    rslora: bool,
    /// With BitFit, leave the norms' biases
    #[arg(long)]
    keep_norms: bool,
    /// Leave the embeddings and so many layers from the first on as they are
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    freeze_layers: usize,
    /// How frozen weights are kept: f32, or bf16 in half the memory (they are computed with in f32 in any case)
    #[arg(long, value_name = "TYPE", default_value = "f32")]
    pub dtype: Kept,
    /// Weigh rows by their label: balanced (the rarer a label, the more each of its rows counts), or one weight a label, divided by commas,
    /// in the order of the labels
    #[arg(long, value_name = "balanced|LIST", value_parser = class_weights)]
    class_weights: Option<ClassWeights>,
    /// Focal loss: what the model knows already counts less, the more so the greater this power (2 is usual)
    #[arg(long, value_name = "POWER", default_value_t = 0.0, hide_default_value = true)]
    pub focal: f32,
    /// With LoRA, write the adapter alone, as peft keeps it, instead of the merged model
    #[arg(long)]
    pub no_merge: bool,
}

/// How frozen weights are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kept {
    /// 32 bits
    F32,
    /// 16 bits
    Bf16,
}

/// How rows count by their label.
#[derive(Debug, Clone, PartialEq)]
enum ClassWeights {
    Balanced,
    Given(Vec<f32>),
}

fn class_weights(text: &str) -> Result<ClassWeights, String> {
    if text == "balanced" {
        return Ok(ClassWeights::Balanced);
    }
    let weights = text.split(',').map(|part| part.trim().parse()).collect::<Result<Vec<f32>, _>>();
    weights.map(ClassWeights::Given).map_err(|_| "balanced, or numbers divided by commas, are wanted".into())
}

/// A method's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// All weights
    Full,
    /// Low-rank additions to the layers' products
    Lora,
    /// Biases
    Bitfit,
    /// The head alone
    Head,
}

/// The targets of a list of names, each once and in the order of a layer; `all` names every one.
fn targets(text: &str) -> Result<Targets, String> {
    let mut found = Vec::new();
    for name in text.split(',').map(str::trim) {
        match Target::ALL.iter().find(|target| target.name() == name) {
            Some(target) => found.push(*target),
            None if name == "all" => found.extend(Target::ALL),
            None => return Err(format!("{name:?} is none of all, {}", Target::ALL.map(Target::name).join(", "))),
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(Targets(found))
}

/// What LoRA adds to.
#[derive(Debug, Clone)]
struct Targets(Vec<Target>);

impl MethodArgs {
    /// The choice, checked.
    pub fn selection(&self) -> Result<Selection> {
        let of_lora = [
            ("--lora-rank", self.lora_rank.is_some()),
            ("--lora-alpha", self.lora_alpha.is_some()),
            ("--lora-dropout", self.lora_dropout.is_some()),
            ("--lora-targets", self.lora_targets.is_some()),
            ("--rslora", self.rslora),
            ("--no-merge", self.no_merge),
        ];
        if let Some((flag, _)) = of_lora.iter().find(|(_, given)| *given && self.method != Kind::Lora) {
            bail!("{flag} is for --method lora; this is --method {}", self.name());
        }
        if self.keep_norms && self.method != Kind::Bitfit {
            bail!("--keep-norms is for --method bitfit; this is --method {}", self.name());
        }
        let method = match self.method {
            Kind::Full => Method::Full,
            Kind::Head => Method::Head,
            Kind::Bitfit => Method::BitFit { norms: !self.keep_norms },
            Kind::Lora => {
                let usual = Lora::default();
                Method::Lora(Lora {
                    rank: self.lora_rank.unwrap_or(usual.rank),
                    alpha: self.lora_alpha.unwrap_or(usual.alpha),
                    dropout: self.lora_dropout.unwrap_or(usual.dropout),
                    rank_stabilised: self.rslora,
                    targets: self.lora_targets.as_ref().map_or(usual.targets, |targets| targets.0.clone()),
                })
            }
        };
        Ok(Selection { method, frozen_layers: self.freeze_layers })
    }

    /// Refuses to freeze more layers than there are.
    pub fn check_layers(&self, layers: usize) -> Result<()> {
        if self.freeze_layers > layers {
            bail!("--freeze-layers {}: the base has {layers} layers", self.freeze_layers);
        }
        Ok(())
    }

    /// The weight of each label, from the labels of the training rows.
    pub fn class_weights(&self, rows: &[Example], labels: usize) -> Option<Vec<f32>> {
        match self.class_weights.as_ref()? {
            ClassWeights::Given(weights) => Some(weights.clone()),
            ClassWeights::Balanced => {
                let mut counts = vec![0usize; labels];
                rows.iter().flat_map(|row| &row.labels).for_each(|&label| counts[label] += 1);
                // As scikit-learn has it; a label without rows has no weight to matter.
                Some(counts.iter().map(|&count| rows.len() as f32 / (labels * count.max(1)) as f32).collect())
            }
        }
    }

    /// The method's name.
    pub fn name(&self) -> String {
        self.method.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Learning rates of encoder and head where none are given: what is small or starts from nothing moves faster.
    pub fn rates(&self) -> (f64, f64) {
        match self.method {
            Kind::Full => (TrainSettings::default().learning_rate, TrainSettings::default().head_learning_rate),
            Kind::Lora => (5e-4, 1e-3),
            Kind::Bitfit | Kind::Head => (1e-3, 1e-3),
        }
    }
}
