//! Which files of a path are read, and reading them as text.

use super::Import;
use crate::DatasetError;
use std::{
    io::Read,
    path::{Path, PathBuf},
};
use walkdir::WalkDir;

/// Reports why a file can't be used.
pub(super) fn failed(import: &mut Import, path: &Path, reason: impl ToString) {
    import.errors.push(DatasetError::File { path: path.to_owned(), reason: reason.to_string() });
}

/// The file itself, or a folder's files that are wanted, sorted. Hidden files and folders of a folder are passed over; a path that isn't
/// there and a folder that holds nothing wanted are errors.
pub(super) fn files(path: &Path, what: &str, wanted: impl Fn(&Path) -> bool, import: &mut Import) -> Vec<PathBuf> {
    // A pipe is read as a file is.
    if path.exists() && !path.is_dir() {
        return vec![path.to_owned()];
    }
    let before = import.errors.len();
    let mut found = Vec::new();
    let visible = |entry: &walkdir::DirEntry| entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.');
    for entry in WalkDir::new(path).sort_by_file_name().into_iter().filter_entry(visible) {
        match entry {
            Ok(entry) if entry.file_type().is_file() && wanted(entry.path()) => found.push(entry.into_path()),
            Ok(_) => {}
            Err(error) => {
                let place = error.path().unwrap_or(path).to_owned();
                failed(import, &place, error.io_error().map_or_else(|| error.to_string(), ToString::to_string));
            }
        }
    }
    if found.is_empty() && import.errors.len() == before {
        failed(import, path, format!("there are no {what} in this folder"));
    }
    found
}

/// A file's text, or an error in `import`: files of more than `most` bytes and those that are not UTF-8 are refused.
pub(super) fn text(path: &Path, most: u64, import: &mut Import) -> Option<String> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let problem = match read() {
        Ok(bytes) if bytes.len() as u64 > most => format!("this file is larger than {} MiB", most >> 20),
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(mut text) => {
                if text.starts_with('\u{feff}') {
                    text.remove(0);
                }
                return Some(text);
            }
            Err(error) => format!("this is not text in UTF-8 (at byte {})", error.utf8_error().valid_up_to()),
        },
        Err(error) => error.to_string(),
    };
    failed(import, path, problem);
    None
}

/// A file's place in its repository, with forward slashes: from the folder `anchor` on, or below the path that was given.
pub(super) fn place(path: &Path, root: &Path, anchor: &str) -> String {
    let parts: Vec<String> = path.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    if let Some(at) = parts.iter().rposition(|part| part == anchor) {
        return parts[at..].join("/");
    }
    let below = path.strip_prefix(root).ok().filter(|below| !below.as_os_str().is_empty());
    let below = below.or(path.file_name().map(Path::new)).unwrap_or(path);
    below.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// Whether a path ends in one of these, in any case; without the dot.
pub(super) fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().is_some_and(|found| extensions.iter().any(|wanted| found.eq_ignore_ascii_case(wanted)))
}

/// Whether a folder of this name is on the path.
pub(super) fn is_below(path: &Path, folder: &str) -> bool {
    path.components().any(|part| part.as_os_str() == folder)
}
