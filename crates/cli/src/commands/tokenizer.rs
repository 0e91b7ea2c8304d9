//! `attackline tokenizer`.

use crate::diagnostics::say;
use crate::exit::Status;
use crate::lines::LinesArgs;
use crate::output::unwritten;
use anyhow::{Result, bail};
use attackline_model::{FolderFiles, TokenizerOptions, train_tokenizer};
use clap::Subcommand;
use std::path::{Path, PathBuf};

/// Make a tokenizer from lines.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Learn a tokenizer of byte pairs from lines: a folder with tokenizer.json, for `attackline pretrain` and for transformers
    Train(Box<TrainArgs>),
}

#[derive(Debug, clap::Args)]
struct TrainArgs {
    #[command(flatten)]
    lines: LinesArgs,
    /// Tokens at most, special ones included
    #[arg(long, value_name = "N", default_value_t = 8_192)]
    vocabulary: usize,
    /// Make capital letters small
    #[arg(long)]
    lowercase: bool,
    /// Let a token reach over full stops, hyphens and digits within an argument (cmd.exe, -executionpolicy, system32): a fifth to a third fewer tokens
    #[arg(long)]
    long_words: bool,
    /// A pair of pieces must come so often to become one
    #[arg(long, value_name = "N", default_value_t = 2)]
    least: u64,
    /// Folder to write
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Status> {
    let Action::Train(args) = &args.action;
    if args.output.exists() {
        bail!("{} exists already; name another with -o", args.output.display());
    }
    let options = TokenizerOptions { vocabulary: args.vocabulary, lowercase: args.lowercase, long_words: args.long_words, least: args.least };
    let lines = args.lines.read()?;
    write(&args.output, &train_tokenizer(&lines.lines, options)?).map_err(|error| unwritten(&args.output, error))?;
    say(format_args!("{}: a tokenizer of up to {} tokens", args.output.display(), args.vocabulary));
    Ok(lines.status())
}

/// Writes a folder, which appears whole or not at all.
fn write(folder: &Path, files: &FolderFiles) -> Result<()> {
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let fresh = tempfile::Builder::new().prefix(".attackline-").tempdir_in(parent)?;
    let made = fresh.path().join("tokenizer");
    fs_err::create_dir(&made)?;
    for (name, bytes) in files {
        fs_err::write(made.join(name), bytes)?;
    }
    fs_err::rename(&made, folder)?;
    Ok(())
}

/// The files of a tokenizer's folder, `tokenizer.json` among them.
pub fn read_tokenizer(folder: &Path) -> Result<FolderFiles> {
    let mut files = FolderFiles::new();
    for name in ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"] {
        let path = folder.join(name);
        if path.is_file() {
            files.insert(name.to_owned(), fs_err::read(path)?);
        }
    }
    if !files.contains_key("tokenizer.json") {
        bail!("{} has no tokenizer.json", folder.display());
    }
    Ok(files)
}
