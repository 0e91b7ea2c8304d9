//! A data folder: `train.csv`, `validation.csv`, `test.csv` and `manifest.json`.

use crate::{DatasetError, GeneratedSet, Row, Side, read_labelled};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, io::Write as _, path::Path};

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
    let mut files = Vec::new();
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
        files.push((name, bytes));
    }
    let mut json = serde_json::to_vec_pretty(&manifest).map_err(std::io::Error::from)?;
    json.push(b'\n');
    files.push((MANIFEST.to_owned(), json));
    replace(path, &files)?;
    Ok(manifest)
}

/// The rows of a data folder's side.
pub fn read_folder(path: &Path, side: Side) -> Result<Vec<Row>, DatasetError> {
    read_labelled(&path.join(file_of(side)))
}

/// Writes the files, or leaves the folder as it was: each is whole, and on the disk, before the first of them takes its place, since a full
/// disk would otherwise leave new training rows beside an older run's test rows.
fn replace(folder: &Path, files: &[(String, Vec<u8>)]) -> Result<(), DatasetError> {
    let made = !folder.exists();
    fs_err::create_dir_all(folder)?;
    let partial = |name: &str| folder.join(format!(".attackline-{}-{name}.partial", std::process::id()));
    let written = files.iter().try_for_each(|(name, bytes)| {
        let mut file = fs_err::File::create(partial(name))?;
        file.write_all(bytes)?;
        file.sync_all()
    });
    let placed = written.and_then(|()| files.iter().try_for_each(|(name, _)| fs_err::rename(partial(name), folder.join(name))));
    if let Err(error) = placed {
        // What can't be taken away either is told by its name.
        files.iter().for_each(|(name, _)| drop(std::fs::remove_file(partial(name))));
        if made {
            let _ = std::fs::remove_dir(folder);
        }
        return Err(error.into());
    }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_written_stays_as_it_was() {
        let home = tempfile::tempdir().unwrap();
        let rows = |seed| vec![Row { text: format!("ls {seed}"), label: "Benign".into(), ..Row::default() }];
        let set = |seed| GeneratedSet { train: rows(seed), validation: rows(seed), test: rows(seed), seed, ..GeneratedSet::default() };
        let folder = home.path().join("data");
        write_folder(&folder, &set(1), false).unwrap();
        assert!(matches!(write_folder(&folder, &set(2), false), Err(DatasetError::Exists(_))));
        let names = [MANIFEST, "test.csv", "train.csv", "validation.csv"];
        let content = || names.map(|name| fs_err::read(folder.join(name)).unwrap());
        let before = content();
        // The last of the new files can't be written, for a folder has its name.
        let last = format!(".attackline-{}-{MANIFEST}.partial", std::process::id());
        fs_err::create_dir(folder.join(&last)).unwrap();
        assert!(matches!(write_folder(&folder, &set(2), true), Err(DatasetError::Io(_))));
        let mut found: Vec<String> =
            fs_err::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).filter(|name| *name != last).collect();
        found.sort_unstable();
        assert_eq!(found, names);
        assert_eq!(content(), before);
        fs_err::remove_dir(folder.join(last)).unwrap();
        write_folder(&folder, &set(2), true).unwrap();
        assert!(content().iter().zip(&before).all(|(now, before)| now != before));
    }
}
