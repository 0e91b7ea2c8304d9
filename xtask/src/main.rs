//! The project's own chores: `cargo xtask help`.
#![expect(clippy::print_stdout, reason = "a chore tells what it did")]

mod attack_table;
mod binary_scan;
mod checks;
mod emulated;

use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

const HELP: &str = "\
cargo xtask COMMAND

  test                everything that must pass: format, lints, tests, documentation, dependencies, the binary's strings, the console
  aarch64             the tests of kernels and engine on emulated AArch64 processors (wants a cross compiler and qemu)
  attack-table PATH   make the catalog's table from an ATT&CK STIX bundle, or from NDJSON with one technique a line
  help                this text";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["test"] => checks::run(root()),
        ["aarch64"] => emulated::run(root()),
        ["attack-table", path] => {
            let count = attack_table::run(&PathBuf::from(path), root())?;
            println!("{}: {count} techniques", attack_table::TABLE);
            Ok(())
        }
        [] | ["help"] => {
            println!("{HELP}");
            Ok(())
        }
        _ => bail!("no such chore: {}\n\n{HELP}", arguments.join(" ")),
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}
