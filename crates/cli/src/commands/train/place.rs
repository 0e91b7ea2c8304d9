//! The folder that a run's result goes to.

use crate::output::{OutputError, unwritten};
use anyhow::{Context, Result, bail};
use attackline_model::SMALL_FILES;
use std::io;
use std::path::{Path, PathBuf};

/// Other files of a model folder than the small ones and the weights.
const FURTHER: [&str; 2] = ["adapter_config.json", "training.svg"];

/// Refuses before hours of work what would fail after them: a folder that may not be replaced, one that can't be written. `beside` are paths
/// that the run writes to with the options that name them.
pub fn check(output: &Path, clobber: bool, beside: &[(&str, &Path)]) -> Result<()> {
    let name = output.display();
    let whole = std::path::absolute(output)?;
    if let Some((option, _)) = beside.iter().find(|(_, path)| std::path::absolute(path).is_ok_and(|path| path.starts_with(&whole))) {
        bail!("{option} lies in {name}, which is to become the model; name another place");
    }
    if !output.exists() {
        return check_room(output);
    }
    if !clobber {
        bail!("{name} exists already; --clobber replaces it");
    }
    if !output.join("config.json").is_file() {
        bail!("{name} exists and is no model folder, so it is not replaced; name another with -o");
    }
    for entry in fs_err::read_dir(output)? {
        let entry = entry?;
        if !entry.file_type()?.is_file() || !belongs(Path::new(&entry.file_name())) {
            bail!("{name} holds {} too, which is no part of a model, so it is not replaced; name another with -o", entry.path().display());
        }
    }
    check_room(output)
}

/// Whether a file of this name is part of a model folder.
fn belongs(name: &Path) -> bool {
    let text = name.to_string_lossy();
    let weights = name.extension().is_some_and(|ending| ending == "safetensors" || ending == "bin");
    weights || text.ends_with(".index.json") || SMALL_FILES.contains(&&*text) || FURTHER.contains(&&*text)
}

/// Tries whether something can be written where the folder is to stand.
fn check_room(output: &Path) -> Result<()> {
    let above = |path: &Path| if path.as_os_str().is_empty() { PathBuf::from(".") } else { path.to_owned() };
    let near = output.ancestors().skip(1).map(above).find(|path| path.exists()).unwrap_or_else(|| PathBuf::from("."));
    tempfile::tempfile_in(near).map(drop).map_err(|error| OutputError::new(&output.display().to_string(), error).into())
}

/// Has `make` write the folder, which takes its place whole. A run of hours is not lost to a full disk: the result goes where temporary files
/// go then, and the error says so.
pub fn put(output: &Path, clobber: bool, make: impl Fn(&Path) -> Result<()>) -> Result<()> {
    let Err(error) = replace(output, clobber, &make) else { return Ok(()) };
    let home = tempfile::Builder::new().prefix("attackline-model-").tempdir().with_context(|| error.to_string())?.keep();
    let safe = home.join("model");
    replace(&safe, false, &make).with_context(|| error.to_string())?;
    let said = format!("the model could not be written to {}; it is in {}", output.display(), safe.display());
    Err(unwritten(output, error).context(said))
}

/// What the folder held before is taken away only when the new one stands in its place.
fn replace(output: &Path, clobber: bool, make: impl Fn(&Path) -> Result<()>) -> Result<()> {
    let parent = output.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs_err::create_dir_all(parent)?;
    let home = tempfile::Builder::new().prefix(".attackline-").suffix(".partial").tempdir_in(parent)?;
    let (fresh, former) = (home.path().join("model"), home.path().join("former"));
    make(&fresh)?;
    let replaced = output.exists();
    if replaced && !clobber {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{} has appeared meanwhile", output.display())).into());
    }
    if replaced {
        fs_err::rename(output, &former)?;
    }
    fs_err::rename(&fresh, output).or_else(|error| {
        if replaced {
            fs_err::rename(&former, output)?;
        }
        Err(error.into())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn model(folder: &Path, text: &str) {
        fs_err::create_dir(folder).unwrap();
        fs_err::write(folder.join("config.json"), text).unwrap();
        fs_err::write(folder.join("model-00001-of-00002.safetensors"), text).unwrap();
    }

    fn refused(output: &Path, beside: &[(&str, &Path)]) -> String {
        check(output, true, beside).unwrap_err().to_string()
    }

    #[test]
    fn only_a_model_is_replaced_and_nothing_of_others_with_it() {
        let home = tempfile::tempdir().unwrap();
        let output = home.path().join("model");
        check(&output, false, &[]).unwrap();
        model(&output, "old");
        assert!(check(&output, false, &[]).unwrap_err().to_string().contains("--clobber"));
        check(&output, true, &[("--metrics", &home.path().join("metrics"))]).unwrap();
        assert!(refused(&output, &[("--checkpoint-dir", &output.join("run"))]).starts_with("--checkpoint-dir lies in"));
        for (other, folder) in [("notes.txt", false), ("run", true)] {
            let path = output.join(other);
            if folder {
                fs_err::create_dir(&path).unwrap()
            } else {
                fs_err::write(&path, "mine").unwrap()
            }
            assert!(refused(&output, &[]).contains(other), "{other}");
            if folder { fs_err::remove_dir(&path).unwrap() } else { fs_err::remove_file(&path).unwrap() }
        }
        assert!(refused(home.path(), &[]).contains("no model folder"));
        fs_err::write(home.path().join("file"), "").unwrap();
        assert!(refused(&home.path().join("file/model"), &[]).starts_with("cannot write"));
    }

    #[test]
    fn what_cannot_take_its_place_goes_elsewhere_and_the_old_one_stays() {
        let home = tempfile::tempdir().unwrap();
        let output = home.path().join("model");
        let make = |folder: &Path| {
            model(folder, "new");
            Ok(())
        };
        model(&output, "old");
        let error = put(&output, false, make).unwrap_err();
        assert!(error.chain().any(|cause| cause.is::<OutputError>()), "{error:?}");
        let said = error.to_string();
        let elsewhere = Path::new(said.rsplit_once("it is in ").unwrap().1);
        assert_eq!(fs_err::read(elsewhere.join("config.json")).unwrap(), b"new");
        fs_err::remove_dir_all(elsewhere.parent().unwrap()).unwrap();
        assert_eq!(fs_err::read(output.join("config.json")).unwrap(), b"old");
        put(&output, true, make).unwrap();
        assert_eq!(fs_err::read(output.join("config.json")).unwrap(), b"new");
        assert_eq!(fs_err::read_dir(home.path()).unwrap().count(), 1, "nothing else stays behind");
    }
}
