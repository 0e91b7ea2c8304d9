//! Compresses the grammar into one file, so that none of its text stands in clear in the binary.

use flate2::{Compression, write::ZlibEncoder};
use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
};

fn main() {
    let folder = Path::new("grammar");
    println!("cargo:rerun-if-changed=grammar");
    let mut files = Vec::new();
    gather(folder, &mut files);
    files.sort();
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let name = file.to_string_lossy().replace('\\', "/");
        write!(encoder, "\u{1}{name}\n{text}").expect("writing into memory");
    }
    let bytes = encoder.finish().expect("writing into memory");
    let target = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("grammar.z");
    fs::write(&target, bytes).unwrap_or_else(|error| panic!("{}: {error}", target.display()));
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) {
    println!("cargo:rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            gather(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "grammar") {
            files.push(path);
        }
    }
}
