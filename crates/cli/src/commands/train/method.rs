//! What is trained, as the command line says it.

use anyhow::{Result, bail};
use attackline_train::{Lora, Method, Selection, Target, TrainSettings};
use clap::ValueEnum;

/// The arguments that choose what is trained.
#[derive(Debug, clap::Args)]
pub struct MethodArgs {
    /// What is trained; the head always is
    #[arg(long, value_name = "METHOD", default_value = "full")]
    pub method: Kind,
    /// Rank of LoRA's additions
    #[arg(long, value_name = "N", default_value_t = Lora::default().rank)]
    lora_rank: usize,
    /// LoRA's additions are multiplied by this over the rank
    #[arg(long, value_name = "A", default_value_t = Lora::default().alpha)]
    lora_alpha: f64,
    /// Dropout before LoRA's additions
    #[arg(long, value_name = "SHARE", default_value_t = Lora::default().dropout)]
    lora_dropout: f32,
    /// Products that LoRA adds to, divided by commas
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values_t = [Product::Query, Product::Value])]
    lora_targets: Vec<Product>,
    /// Multiply by alpha over the root of the rank (rsLoRA)
    #[arg(long)]
    rslora: bool,
    /// With BitFit, leave the norms' biases
    #[arg(long)]
    keep_norms: bool,
    /// Leave the embeddings and so many layers from the first on as they are
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    freeze_layers: usize,
    /// With LoRA, write the adapter alone, as peft keeps it, instead of the merged model
    #[arg(long)]
    pub no_merge: bool,
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

/// A product's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Product {
    /// To queries
    Query,
    /// To keys
    Key,
    /// To values
    Value,
    /// After attention
    AttentionOutput,
    /// Into the feed-forward block
    Up,
    /// Out of it
    Down,
    /// All of them
    All,
}

impl std::fmt::Display for Product {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}

impl Product {
    fn targets(self) -> Vec<Target> {
        match self {
            Self::Query => vec![Target::Query],
            Self::Key => vec![Target::Key],
            Self::Value => vec![Target::Value],
            Self::AttentionOutput => vec![Target::AttentionOutput],
            Self::Up => vec![Target::Up],
            Self::Down => vec![Target::Down],
            Self::All => Target::ALL.to_vec(),
        }
    }
}

impl MethodArgs {
    /// The choice, checked.
    pub fn selection(&self) -> Result<Selection> {
        if self.no_merge && self.method != Kind::Lora {
            bail!("--no-merge: only --method lora has an adapter");
        }
        let method = match self.method {
            Kind::Full => Method::Full,
            Kind::Head => Method::Head,
            Kind::Bitfit => Method::BitFit { norms: !self.keep_norms },
            Kind::Lora => {
                let mut targets: Vec<Target> = self.lora_targets.iter().flat_map(|product| product.targets()).collect();
                targets.sort_unstable();
                targets.dedup();
                let (rank, alpha, dropout) = (self.lora_rank, self.lora_alpha, self.lora_dropout);
                Method::Lora(Lora { rank, alpha, dropout, rank_stabilised: self.rslora, targets })
            }
        };
        Ok(Selection { method, frozen_layers: self.freeze_layers })
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
