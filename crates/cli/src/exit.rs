//! How the program ends. The statuses are a contract with scripts; `attackline --help` shows them.

use crate::diagnostics::say;
use crate::output::OutputError;
use attackline_findings::escape;
use std::process::ExitCode;

/// The exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// All was read and written.
    Done = 0,
    /// There are findings, and `--fail-on-finding` was given.
    Findings = 1,
    /// Wrong usage or configuration, a model that can't be loaded among them.
    Usage = 2,
    /// Some input could not be read, or the output not be written.
    Incomplete = 3,
    /// Ended by Ctrl-C, as shells count it.
    Interrupted = 130,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status as u8)
    }
}

/// An input that could not be read where nothing can be done without it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// Stopped by the user.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Interrupted(pub String);

/// Prints why a command ended and finds its status. A closed pipe is silent: whoever read it has seen enough.
pub fn report(error: &anyhow::Error) -> Status {
    let output = error.chain().find_map(|cause| cause.downcast_ref::<OutputError>());
    if output.is_some_and(OutputError::is_closed_pipe) {
        return Status::Done;
    }
    say(format_args!("attackline: {}", message(error)));
    if error.is::<Interrupted>() {
        Status::Interrupted
    } else if output.is_some() || error.is::<Unreadable>() {
        Status::Incomplete
    } else {
        Status::Usage
    }
}

/// The error and its causes, without those that the message before them quotes already. Some quote files: nothing of them moves the terminal.
fn message(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text.split('\n').map(escape::shown).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cause_is_told_twice() {
        let cause = std::io::Error::other("disk is on fire");
        let error = anyhow::Error::new(attackline_model::ModelError::Io(cause)).context("the model x can't be used");
        assert_eq!(message(&error), "the model x can't be used: disk is on fire");
    }

    #[test]
    fn no_message_moves_the_terminal() {
        let error = anyhow::anyhow!("model_type \x1b[2Jbert\n\n  is\r not known");
        assert_eq!(message(&error), "model_type \\x1b[2Jbert\n\n  is\\r not known");
    }
}
