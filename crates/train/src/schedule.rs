use serde::{Deserialize, Serialize};

/// How the learning rate falls after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// In a straight line to 0.
    Linear,
    /// Along half a cosine to 0.
    Cosine,
    /// Not at all.
    Constant,
    /// The other way: from a hundred-thousandth exponentially to the full rate in so many steps, to find out which rate a run bears.
    Rising {
        /// Steps until the full rate.
        steps: u64,
    },
}

impl Schedule {
    /// The factor of the learning rate at `step` (from 1) of `total`, with `warmup` the share of steps in which it rises.
    pub fn factor(self, step: u64, total: u64, warmup: f64) -> f64 {
        if let Self::Rising { steps } = self {
            return 10f64.powf(-5.0 * (1.0 - step as f64 / steps.max(1) as f64).max(0.0));
        }
        let rising = (total as f64 * warmup).ceil();
        let step = step as f64;
        if step <= rising {
            return step / rising;
        }
        // Of the steps after the warm-up, the first has the full rate and the one after the last would have none.
        let left = (total as f64 - step + 1.0) / (total as f64 - rising).max(1.0);
        let left = left.clamp(0.0, 1.0);
        match self {
            Self::Linear => left,
            Self::Constant | Self::Rising { .. } => 1.0,
            Self::Cosine => 0.5 - 0.5 * (std::f64::consts::PI * left).cos(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_rises_by_the_same_factor_each_step() {
        let rate = |step| Schedule::Rising { steps: 100 }.factor(step, 7, 0.1);
        assert!((rate(100) - 1.0).abs() < 1e-12 && (rate(20) - 1e-4).abs() < 1e-12 && rate(500) == 1.0);
        assert!((rate(41) / rate(40) - rate(91) / rate(90)).abs() < 1e-12);
    }

    #[test]
    fn rises_then_falls() {
        for schedule in [Schedule::Linear, Schedule::Cosine] {
            let factors: Vec<f64> = (1..=100).map(|step| schedule.factor(step, 100, 0.1)).collect();
            assert!((factors[0] - 0.1).abs() < 1e-12 && factors[9] == 1.0 && (factors[10] - 1.0).abs() < 1e-12);
            assert!(factors[10..].windows(2).all(|pair| pair[1] < pair[0]) && factors[99] > 0.0 && factors[99] < 0.02);
        }
        assert!((Schedule::Linear.factor(56, 100, 0.1) - 0.5).abs() < 1e-12);
        assert_eq!(Schedule::Linear.factor(1, 1, 0.0), 1.0);
    }
}
