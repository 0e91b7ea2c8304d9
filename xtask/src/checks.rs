//! `cargo xtask test`: each check is a step; the first that fails ends the run.

use crate::binary_scan;
use anyhow::{Context, Result, ensure};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

type Step = (&'static str, fn(&Path) -> Result<()>);

const STEPS: [Step; 7] = [
    ("format", |root| cargo(root, &["fmt", "--all", "--check"], &[])),
    ("lints", |root| cargo(root, &["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"], &[])),
    ("tests", |root| cargo(root, &["test", "--workspace"], &[])),
    ("documentation", |root| cargo(root, &["doc", "--workspace", "--no-deps", "--quiet"], &[("RUSTDOCFLAGS", "--deny warnings")])),
    ("dependencies", dependencies),
    ("strings of the binary", strings),
    ("console", console),
];

/// Runs every step.
pub fn run(root: &Path) -> Result<()> {
    let start = Instant::now();
    for (name, step) in STEPS {
        let began = Instant::now();
        println!("==> {name}");
        step(root).with_context(|| format!("the step {name:?} failed"))?;
        println!("<== {name}: {:.0} s", began.elapsed().as_secs_f64());
    }
    println!("all {} steps passed in {:.0} s", STEPS.len(), start.elapsed().as_secs_f64());
    Ok(())
}

/// Licences, sources and bans; the advisories need the network, so they are not part of it.
fn dependencies(root: &Path) -> Result<()> {
    let installed = Command::new("cargo").args(["deny", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !installed.is_ok_and(|status| status.success()) {
        println!("cargo-deny is not installed; installing it (some minutes)");
        cargo(root, &["install", "--locked", "--quiet", "cargo-deny"], &[])?;
    }
    cargo(root, &["deny", "--log-level", "error", "check", "licenses", "bans", "sources"], &[])
}

/// The release binary holds no piece of an attack template or of an example in clear.
fn strings(root: &Path) -> Result<()> {
    cargo(root, &["build", "--release", "--quiet"], &[])?;
    let needles = binary_scan::needles(root)?;
    ensure!(needles.len() > 200, "only {} strings to look for: the grammar was not found", needles.len());
    let binary = fs_err::read(release_binary(root))?;
    let found = binary_scan::without_harmless(root, binary_scan::found(&binary, &needles))?;
    ensure!(found.is_empty(), "in clear in the binary, where an antivirus would see it: {found:#?}");
    println!("{} strings looked for in {:.1} MB, none found", needles.len(), binary.len() as f64 / 1e6);
    Ok(())
}

/// The console's tests, where Node is: its parts, and the page in Chromium where `PLAYWRIGHT` says that there is one to drive.
fn console(root: &Path) -> Result<()> {
    if !Command::new("node").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        println!("SKIPPED, all tests of the console: Node was not found (node --test web/tests/ runs them)");
        return Ok(());
    }
    run_node(root, &[])?;
    if std::env::var_os("PLAYWRIGHT").is_some() {
        run_node(root, &[("ATTACKLINE", release_binary(root).into_os_string())])?;
    }
    Ok(())
}

fn run_node(root: &Path, variables: &[(&str, OsString)]) -> Result<()> {
    let files = ["--test", "web/tests/parts.test.mjs", "web/tests/console.test.mjs"];
    let status = Command::new("node").args(files).envs(variables.iter().cloned()).current_dir(root).status().context("node can't be started")?;
    ensure!(status.success(), "the console's tests ended with {status}");
    Ok(())
}

/// The program that the step before has built.
fn release_binary(root: &Path) -> PathBuf {
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    folder.join("release").join(format!("attackline{}", std::env::consts::EXE_SUFFIX))
}

fn cargo(root: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Result<()> {
    let status =
        Command::new("cargo").args(arguments).envs(variables.iter().copied()).current_dir(root).status().context("cargo can't be started")?;
    ensure!(status.success(), "cargo {} ended with {status}", arguments.join(" "));
    Ok(())
}
