//! The commands and what they have in common.

mod bench;
mod classify;
mod evaluate;
mod generate;
mod hint;
mod import;
mod model;
mod pretrain;
mod serve;
mod tokenizer;
mod train;

use crate::exit::Status;
use anyhow::Result;
use clap::{Parser, Subcommand};

const AFTER_HELP: &str = "\
Examples:
  attackline classify 'netstat -ano'                   one line
  attackline classify -f logs/                          a folder of logs, as a table
  attackline classify -f logs/ > findings.ndjson        the same for programs
  attackline serve                                      a console in the browser, and an interface
  journalctl -o cat | attackline classify -f -          a stream

Exit status: 0 done; 1 findings (only with --fail-on-finding); 2 wrong usage or configuration;
3 some input could not be read or the output could not be written (the rest was); 130 Ctrl-C.";

/// Says of security log lines whether they are benign or which MITRE ATT&CK technique they show.
///
/// Works offline, with the model inside this program. Data goes to standard output, everything else to standard error.
#[derive(Debug, Parser)]
#[command(name = "attackline", version, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Classify(classify::Args),
    Generate(generate::Args),
    Import(import::Args),
    Train(Box<train::Args>),
    Pretrain(Box<pretrain::Args>),
    Tokenizer(tokenizer::Args),
    Evaluate(evaluate::Args),
    Serve(serve::Args),
    Model(model::Args),
    Bench(bench::Args),
}

/// The arguments with what presets stand for.
pub fn expanded(arguments: Vec<std::ffi::OsString>) -> Vec<std::ffi::OsString> {
    train::preset::expand(arguments)
}

/// Runs a command.
pub fn run(cli: Cli) -> Result<Status> {
    match cli.command {
        Command::Classify(args) => classify::run(args),
        Command::Generate(args) => generate::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Train(args) => train::run(&args),
        Command::Pretrain(args) => pretrain::run(&args),
        Command::Tokenizer(args) => tokenizer::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Model(args) => model::run(&args),
        Command::Bench(args) => bench::run(&args),
    }
}

/// A probability on the command line.
fn probability(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("a number from 0 to 1 is wanted".into()),
    }
}

/// The number of threads: that asked for, or one a processor.
fn threads(asked: Option<std::num::NonZeroUsize>) -> usize {
    asked.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from)
}
