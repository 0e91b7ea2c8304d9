//! Puts the console's files (`web/`, without its tests) into the program.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web");
    println!("cargo::rerun-if-changed={}", web.display());
    let served = |path: &Path| matches!(path.extension().and_then(|extension| extension.to_str()), Some("html" | "js" | "css" | "svg"));
    let entries = std::fs::read_dir(&web).unwrap_or_else(|error| panic!("{}: {error}", web.display()));
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file() && served(path)).collect();
    files.sort();
    let mut table = String::from("&[\n");
    for path in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = path.canonicalize().unwrap_or(path);
        writeln!(table, "    ({name:?}, include_bytes!({:?}).as_slice()),", path.display().to_string()).expect("a string can be written to");
    }
    table.push(']');
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("console_files.rs");
    std::fs::write(&out, table).unwrap_or_else(|error| panic!("{}: {error}", out.display()));
}
