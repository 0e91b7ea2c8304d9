//! A data folder: `train.csv`, `validation.csv`, `test.csv` and `manifest.json`.

use crate::{DatasetError, GeneratedSet, Row, Side, read_labelled};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, path::Path};

/// What `manifest.json` says of a folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The seed that it was made with.
    pub seed: u64,
    /// The version of the generator.
    pub generator: String,
    /// Templates in the grammar.
    pub templates: usize,
    /// Rows by side and label.
    pub counts: BTreeMap<String, BTreeMap<String, usize>>,
    /// SHA-256 of each file.
    pub sha256: BTreeMap<String, String>,
}

const HEADER: [&str; 10] = ["text", "label", "template", "platform", "shell", "wrapper", "rendering", "obfuscation", "hard", "source"];

const MANIFEST: &str = "manifest.json";

/// Whether any of a data folder's files is there, whoever made it.
pub fn holds_data(path: &Path) -> bool {
    Side::ALL.iter().any(|&side| path.join(file_of(side)).exists()) || path.join(MANIFEST).exists()
}

fn file_of(side: Side) -> String {
    format!("{}.csv", side.name())
}

/// Writes a generated set. The folder's files appear under their names only when each is whole; a folder that holds any of them is
/// refused unless `clobber`.
pub fn write_folder(path: &Path, set: &GeneratedSet, clobber: bool) -> Result<Manifest, DatasetError> {
    if !clobber && holds_data(path) {
        return Err(DatasetError::Exists(path.to_owned()));
    }
    fs_err::create_dir_all(path)?;
    let mut manifest = Manifest {
        seed: set.seed,
        generator: format!("attackline {}", env!("CARGO_PKG_VERSION")),
        templates: set.templates,
        counts: BTreeMap::new(),
        sha256: BTreeMap::new(),
    };
    for side in Side::ALL {
        let bytes = to_csv(set.side(side))?;
        let name = file_of(side);
        manifest.sha256.insert(name.clone(), hexadecimal(&Sha256::digest(&bytes)));
        let counts = manifest.counts.entry(side.name().to_owned()).or_default();
        set.side(side).iter().for_each(|row| *counts.entry(row.label.clone()).or_default() += 1);
        replace(path, &name, &bytes)?;
    }
    let mut json = serde_json::to_vec_pretty(&manifest).map_err(std::io::Error::from)?;
    json.push(b'\n');
    replace(path, MANIFEST, &json)?;
    Ok(manifest)
}

/// The rows of a data folder's side.
pub fn read_folder(path: &Path, side: Side) -> Result<Vec<Row>, DatasetError> {
    read_labelled(&path.join(file_of(side)))
}

fn replace(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), DatasetError> {
    let partial = folder.join(format!(".attackline-{}-{name}.partial", std::process::id()));
    fs_err::write(&partial, bytes)?;
    fs_err::rename(partial, folder.join(name))?;
    Ok(())
}

fn to_csv(rows: &[Row]) -> Result<Vec<u8>, DatasetError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let failed = |error: csv::Error| DatasetError::Io(std::io::Error::other(error));
    writer.write_record(HEADER).map_err(failed)?;
    for row in rows {
        let hard = if row.hard { "true" } else { "false" };
        let record =
            [&row.text, &row.label, &row.template, &row.platform, &row.shell, &row.wrapper, &row.rendering, &row.obfuscation, hard, &row.source];
        writer.write_record(record).map_err(failed)?;
    }
    writer.into_inner().map_err(|error| DatasetError::Io(error.into_error()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
