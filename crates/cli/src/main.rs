//! The `attackline` binary: one file a command under [`commands`], raw arguments lowered to validated settings once.
//!
//! Data goes to standard output (or `-o`), everything else to standard error. Only this crate prints, and it ends through
//! [`exit::Status`].

mod commands;
mod diagnostics;
mod embedded;
mod exit;
mod hub;
mod interrupt;
mod lines;
mod models;
mod output;
mod pipeline;

use clap::{Parser, error::ErrorKind};
use exit::Status;
use std::process::ExitCode;

fn main() -> ExitCode {
    let status = match commands::Cli::try_parse_from(commands::expanded(std::env::args_os().collect())) {
        Ok(cli) => commands::run(cli).unwrap_or_else(|error| exit::report(&error)),
        Err(error) => {
            let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // A reader that went away is no reason to complain.
            let _ = error.print();
            if asked_for { Status::Done } else { Status::Usage }
        }
    };
    status.into()
}
