use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

/// A part of the forward pass, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Operation {
    Embeddings,
    QueryKeyValue,
    Attention,
    AttentionOutput,
    Up,
    Down,
    /// Residual norms.
    Norm,
    /// Activations to int8, before each product.
    Quantize,
    /// From the last layer to the logits.
    Head,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Embeddings => "embeddings",
            Self::QueryKeyValue => "query, key, value",
            Self::Attention => "attention",
            Self::AttentionOutput => "attention output",
            Self::Up => "feed-forward up",
            Self::Down => "feed-forward down",
            Self::Norm => "norms",
            Self::Quantize => "to int8",
            Self::Head => "head",
        })
    }
}

/// What an operation took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spent {
    /// On the clock.
    pub time: Duration,
    /// Multiplications and additions of its matrix products, two for each pair.
    pub operations: f64,
    /// Whether these were in int8.
    pub int8: bool,
}

/// Where the time of forward passes went.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profile {
    /// By operation.
    pub spent: BTreeMap<Operation, Spent>,
}

impl Profile {
    pub(crate) fn add(&mut self, operation: Operation, time: Duration, operations: f64, int8: bool) {
        let spent = self.spent.entry(operation).or_default();
        spent.time += time;
        spent.operations += operations;
        spent.int8 = int8;
    }

    /// The time of all operations.
    pub fn total(&self) -> Duration {
        self.spent.values().map(|spent| spent.time).sum()
    }
}

/// Runs `act` and, where there is a profile, puts down what it took.
pub(crate) fn timed<T>(profile: &mut Option<Profile>, operation: Operation, act: impl FnOnce() -> T) -> T {
    let Some(profile) = profile else { return act() };
    let start = Instant::now();
    let result = act();
    profile.add(operation, start.elapsed(), 0.0, false);
    result
}
