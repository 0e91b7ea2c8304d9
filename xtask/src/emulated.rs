//! `cargo xtask aarch64`: the tests of what computes, on emulated AArch64 processors, since this architecture's code runs nowhere else in them.

use anyhow::{Context, Result, bail, ensure};
use std::{
    path::Path,
    process::{Command, Stdio},
};

const TARGET: &str = "aarch64-unknown-linux-gnu";

/// Linker, emulator and the folder of the architecture's libraries, as Debian's `gcc-aarch64-linux-gnu` and `qemu-user` have them.
const LINKER: &str = "aarch64-linux-gnu-gcc";
const EMULATOR: &str = "qemu-aarch64";
const LIBRARIES: &str = "/usr/aarch64-linux-gnu";

/// Processors by what they have: NEON alone, the dot product of s8, that of u8 and s8.
const PROCESSORS: [(&str, &str); 3] = [("cortex-a72", "neon"), ("cortex-a76", "dotprod"), ("max", "i8mm")];

/// Runs the tests on every processor.
pub fn run(root: &Path) -> Result<()> {
    for tool in [LINKER, EMULATOR] {
        let found = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            bail!("{tool} was not found: install gcc-aarch64-linux-gnu and qemu-user, and rustup's target {TARGET}");
        }
    }
    for (processor, best) in PROCESSORS {
        println!("==> {processor} ({best})");
        let status = Command::new("cargo")
            .args(["test", "--release", "--target", TARGET, "-p", "attackline-kernels", "-p", "attackline-engine"])
            .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", LINKER)
            .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", format!("{EMULATOR} -cpu {processor} -L {LIBRARIES}"))
            // Refused by the kernels' tests where the processor turns out to have another best one.
            .env("ATTACKLINE_EXPECTED_ISA", best)
            .current_dir(root)
            .status()
            .context("cargo can't be started")?;
        ensure!(status.success(), "the tests on {processor} ended with {status}");
    }
    Ok(())
}
