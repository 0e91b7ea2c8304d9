use attackline_model::RelativePositions;
use std::sync::Arc;

/// Where the lines of a packed batch begin and end, and what row of the table of relative positions each distance has.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    /// Cumulative lengths, from 0.
    pub(crate) offsets: Arc<[usize]>,
    /// Rows, counted from the band's first, by the distance from `1 - longest` to `longest - 1`; empty without relative positions.
    pub(crate) distances: Arc<[u32]>,
}

impl Lines {
    pub(crate) fn new(offsets: &[usize], relative: Option<&RelativePositions>) -> Self {
        let mut lines = Self { offsets: offsets.into(), distances: Arc::default() };
        if let Some(relative) = relative {
            lines.distances = relative.rows(lines.longest()).into();
        }
        lines
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The tokens of the longest.
    pub(crate) fn longest(&self) -> usize {
        self.offsets.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
    }
}
