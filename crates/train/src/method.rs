use attackline_model::{LayerRole, Role};
use serde::{Deserialize, Serialize};

/// What is trained. The head always is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Every weight.
    Full,
    /// Low-rank additions to the layers' products (Hu et al. 2021); the encoder's own weights stay.
    Lora(Lora),
    /// Biases (Ben Zaken et al. 2021), those of norms by choice.
    BitFit {
        /// Whether the norms' biases are trained too.
        norms: bool,
    },
    /// The head alone.
    Head,
}

/// The settings of LoRA.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lora {
    /// Rank of each addition.
    pub rank: usize,
    /// The addition is multiplied by `alpha / rank`.
    pub alpha: f64,
    /// Dropout of the addition's input.
    pub dropout: f32,
    /// By `alpha / √rank` instead (rsLoRA, Kalajdzievski 2023).
    pub rank_stabilised: bool,
    /// The products that get one.
    pub targets: Vec<Target>,
}

impl Default for Lora {
    /// As `peft` has it: queries and values, rank 8.
    fn default() -> Self {
        Self { rank: 8, alpha: 16.0, dropout: 0.0, rank_stabilised: false, targets: vec![Target::Query, Target::Value] }
    }
}

impl Lora {
    /// The factor of the additions.
    pub fn scale(&self) -> f64 {
        if self.rank_stabilised { self.alpha / (self.rank as f64).sqrt() } else { self.alpha / self.rank as f64 }
    }
}

/// A product of each layer that LoRA can add to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// To queries.
    Query,
    /// To keys.
    Key,
    /// To values.
    Value,
    /// After attention.
    AttentionOutput,
    /// Into the feed-forward block.
    Up,
    /// Out of it.
    Down,
}

impl Target {
    /// All, in the order of a layer.
    pub const ALL: [Self; 6] = [Self::Query, Self::Key, Self::Value, Self::AttentionOutput, Self::Up, Self::Down];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Key => "key",
            Self::Value => "value",
            Self::AttentionOutput => "attention-output",
            Self::Up => "up",
            Self::Down => "down",
        }
    }

    /// The target whose product has this weight.
    pub(crate) fn of(role: Role) -> Option<Self> {
        match role {
            Role::Layer(_, LayerRole::QueryWeight) => Some(Self::Query),
            Role::Layer(_, LayerRole::KeyWeight) => Some(Self::Key),
            Role::Layer(_, LayerRole::ValueWeight) => Some(Self::Value),
            Role::Layer(_, LayerRole::AttentionOutputWeight) => Some(Self::AttentionOutput),
            Role::Layer(_, LayerRole::UpWeight) => Some(Self::Up),
            Role::Layer(_, LayerRole::DownWeight) => Some(Self::Down),
            _ => None,
        }
    }
}

/// What of the encoder is trained: a method, and how many layers from the first on are left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Selection {
    /// The method.
    pub method: Method,
    /// So many layers, and with them the embeddings, stay as they are.
    pub frozen_layers: usize,
}

impl Default for Selection {
    fn default() -> Self {
        Self { method: Method::Full, frozen_layers: 0 }
    }
}

impl Selection {
    /// Whether the weight is not among the frozen layers.
    pub(crate) fn reaches(&self, role: Role) -> bool {
        let frozen = match role.layer() {
            Some(layer) => layer < self.frozen_layers,
            None => self.frozen_layers > 0 && !role.is_head(),
        };
        !frozen
    }

    /// Whether the weight itself is trained.
    pub(crate) fn trains(&self, role: Role) -> bool {
        if role.is_head() {
            return true;
        }
        self.reaches(role)
            && match &self.method {
                Method::Full => true,
                Method::BitFit { norms } => role.is_bias() && (*norms || !role.is_norm()),
                Method::Lora(_) | Method::Head => false,
            }
    }

    /// LoRA's settings where the weight's product gets an addition.
    pub(crate) fn adapts(&self, role: Role) -> Option<&Lora> {
        match &self.method {
            Method::Lora(lora) if self.reaches(role) => Target::of(role).filter(|target| lora.targets.contains(target)).map(|_| lora),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_method_trains_what_it_says() {
        let query = Role::Layer(1, LayerRole::QueryWeight);
        let (bias, norm_bias) = (Role::Layer(1, LayerRole::UpBias), Role::Layer(1, LayerRole::OutputNormBias));
        let trains = |method: Method, frozen_layers| {
            let selection = Selection { method, frozen_layers };
            [query, bias, norm_bias, Role::WordEmbedding, Role::ClassifierWeight].map(|role| selection.trains(role))
        };
        assert_eq!(trains(Method::Full, 0), [true; 5]);
        assert_eq!(trains(Method::Full, 1), [true, true, true, false, true]);
        assert_eq!(trains(Method::Full, 2), [false, false, false, false, true]);
        assert_eq!(trains(Method::BitFit { norms: true }, 0), [false, true, true, false, true]);
        assert_eq!(trains(Method::BitFit { norms: false }, 0), [false, true, false, false, true]);
        assert_eq!(trains(Method::Head, 0), [false, false, false, false, true]);
        let lora = |frozen_layers| Selection { method: Method::Lora(Lora::default()), frozen_layers };
        assert!(lora(1).adapts(query).is_some() && lora(2).adapts(query).is_none() && lora(0).adapts(Role::Layer(1, LayerRole::KeyWeight)).is_none());
        assert!((Lora { rank_stabilised: true, rank: 16, ..Lora::default() }.scale() - 4.0).abs() < 1e-12);
    }
}
