//! Sigma rules as something that answers lines: the program rsigma runs them over the rows, each row one event.

mod answers;
mod event;
mod image;
mod program;

use super::subject::Line;
use crate::diagnostics::say;
use answers::Answers;
use anyhow::{Context, Result, bail};
use program::Program;
use std::path::Path;

/// How grave a rule calls what it finds, in Sigma's own words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth a note. Rules that name no level count as these.
    #[default]
    Informational,
    /// Seldom of interest by itself.
    Low,
    /// To be looked at at times.
    Medium,
    /// To be looked at soon.
    High,
    /// To be looked at now.
    Critical,
}

impl Level {
    /// What stands for a probability of an attack. Rules have none; these keep the levels' order, lie above the threshold of 0.5, and mean
    /// nothing else.
    fn attack(self) -> f32 {
        match self {
            Self::Informational => 0.55,
            Self::Low => 0.65,
            Self::Medium => 0.75,
            Self::High => 0.85,
            Self::Critical => 0.95,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// Rules, the program that runs them, and the level from which they count.
pub struct SigmaRules {
    program: Program,
    least: Level,
}

impl SigmaRules {
    /// Loads the rules once without any event: what can't work is said before the models have used an hour.
    pub fn open(program: &Path, rules: &Path, least: Option<Level>) -> Result<Self> {
        let opened = Self { program: Program::new(program, rules), least: least.unwrap_or_default() };
        // Without an event there can be no match: what is written all the same is refused as it would be later.
        let mut none = Answers::new(&[], 0, opened.least);
        let said = opened.program.run(std::iter::empty(), |found| none.add(found)).context("--sigma-rules")?;
        let warnings = said.warnings.iter().map(|warning| format!("; rsigma: {warning}")).collect::<String>();
        match said.loaded {
            Some(0) => bail!("--sigma-rules: there is no rule that can be used in {}{warnings}", rules.display()),
            Some(count) => {
                say(format_args!("{count} Sigma rules loaded from {}{warnings}", attackline_findings::escape::shown(&rules.display().to_string())))
            }
            None => {}
        }
        Ok(opened)
    }

    /// What they are called in a report.
    pub fn name(&self) -> String {
        match self.least {
            Level::Informational => "Sigma rules".to_owned(),
            least => format!("Sigma rules from {}", least.name()),
        }
    }

    /// What the rules say of `count` lines, as if it were probabilities: one a label, row after row.
    pub fn scores<'a>(
        &self,
        lines: impl Iterator<Item = Line<'a>> + Send,
        count: usize,
        labels: &[String],
        benign: Option<usize>,
    ) -> Result<Vec<f32>> {
        let mut answers = Answers::new(labels, count, self.least);
        let events = lines.enumerate().map(|(number, line)| event::json(number, &line));
        self.program.run(events, |found| answers.add(found)).context("the Sigma rules could not be run")?;
        Ok(answers.scores(benign))
    }
}
