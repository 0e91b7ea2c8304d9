//! Where data goes: standard output, or a file that appears whole or not at all.

use crate::interrupt::PartialFile;
use anyhow::{Result, bail};
use attackline_telemetry::{InputPath, PARTIAL_NAME};
use same_file::Handle;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::NamedTempFile;

const BUFFER: usize = 64 * 1024;

/// A write that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {name}: {cause}")]
pub struct OutputError {
    name: String,
    cause: io::Error,
}

impl OutputError {
    /// `name` is what the message calls the output.
    pub fn new(name: &str, cause: io::Error) -> Self {
        Self { name: name.to_owned(), cause }
    }

    /// Whether the reader went away.
    pub fn is_closed_pipe(&self) -> bool {
        self.cause.kind() == io::ErrorKind::BrokenPipe
    }
}

/// The error of a folder that was to be written: where the system refused it, it is an [`OutputError`] with the status of those.
pub fn unwritten(folder: &Path, error: impl Into<anyhow::Error>) -> anyhow::Error {
    let error = error.into();
    match error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind) {
        Some(kind) => OutputError::new(&folder.display().to_string(), io::Error::new(kind, error.to_string())).into(),
        None => error,
    }
}

/// Where data is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// A file, replaced only if that was allowed.
    File {
        /// Its path.
        path: PathBuf,
        /// Whether an existing file may be replaced.
        clobber: bool,
    },
}

impl Target {
    /// From `-o` and `--clobber`; `-` is standard output.
    pub fn new(path: Option<&Path>, clobber: bool) -> Self {
        match path {
            Some(path) if path != Path::new("-") => Self::File { path: path.to_owned(), clobber },
            _ => Self::Stdout,
        }
    }

    /// The file that standard output goes to, where it is one.
    pub fn file_of_stdout(&self) -> Option<Arc<Handle>> {
        let stdout = Handle::stdout().ok().filter(|stdout| stdout.as_file().metadata().is_ok_and(|found| found.is_file()))?;
        (*self == Self::Stdout).then(|| Arc::new(stdout))
    }

    /// Refuses to replace a file that is read: one of `inputs`, or one in a folder of theirs.
    pub fn check_against<'a>(&self, inputs: impl IntoIterator<Item = &'a InputPath>) -> Result<()> {
        let Self::File { path, clobber: true } = self else { return Ok(()) };
        let Some(existing) = path.canonicalize().ok().filter(|existing| existing.is_file()) else { return Ok(()) };
        for input in inputs {
            if let InputPath::Path(input) = input
                && input.canonicalize().is_ok_and(|input| existing.starts_with(input))
            {
                bail!("{} is among what -f {} reads, and --clobber would replace it; name another file with -o", path.display(), input.display());
            }
        }
        Ok(())
    }

    /// Whether a person is looking at it.
    pub fn is_terminal(&self) -> bool {
        *self == Self::Stdout && io::stdout().is_terminal()
    }
}

/// An open output. Without [`finish`](Self::finish) a file does not appear.
pub struct Output {
    name: String,
    inner: Inner,
}

enum Inner {
    Stdout(BufWriter<StdoutLock<'static>>),
    /// A device or a named pipe: it is written to, never replaced.
    Special(BufWriter<std::fs::File>),
    File {
        file: BufWriter<NamedTempFile>,
        path: PathBuf,
        clobber: bool,
        _watch: PartialFile,
    },
}

impl Output {
    /// Opens it, and refuses a file that exists, before any work is done.
    pub fn open(target: &Target) -> Result<Self> {
        let Target::File { path, clobber } = target else {
            return Ok(Self { name: "standard output".into(), inner: Inner::Stdout(BufWriter::with_capacity(BUFFER, io::stdout().lock())) });
        };
        let name = path.display().to_string();
        match std::fs::metadata(path) {
            Ok(found) if found.is_dir() => bail!("{name} is a folder; name a file with -o"),
            Ok(found) if !found.is_file() => {
                let file = std::fs::OpenOptions::new().write(true).open(path).map_err(|error| OutputError::new(&name, error))?;
                return Ok(Self { name, inner: Inner::Special(BufWriter::with_capacity(BUFFER, file)) });
            }
            Ok(_) if !clobber => bail!("{name} exists already; --clobber replaces it"),
            _ => {}
        }
        let file = temporary(path).map_err(|error| OutputError::new(&name, error))?;
        let watch = PartialFile::new(file.path());
        let file = BufWriter::with_capacity(BUFFER, file);
        Ok(Self { name, inner: Inner::File { file, path: path.clone(), clobber: *clobber, _watch: watch } })
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes what is held back, and lets the file appear.
    pub fn finish(self) -> Result<(), OutputError> {
        let name = self.name;
        let done = match self.inner {
            Inner::Stdout(mut out) => out.flush(),
            Inner::Special(mut out) => out.flush(),
            Inner::File { file, path, clobber, _watch } => {
                file.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| persist(file, &path, clobber))
            }
        };
        done.map_err(|error| OutputError::new(&name, error))
    }
}

/// In the same folder, so that it can be renamed; with the rights that an ordinary new file has.
pub fn temporary(path: &Path) -> io::Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(PARTIAL_NAME.0).suffix(PARTIAL_NAME.1);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

fn persist(file: NamedTempFile, path: &Path, clobber: bool) -> io::Result<()> {
    // A full disk may only show when the data really goes there.
    file.as_file().sync_all()?;
    let done = if clobber { file.persist(path) } else { file.persist_noclobber(path) };
    done.map(drop).map_err(|error| error.error)
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.inner {
            Inner::Stdout(out) => out.write(bytes),
            Inner::Special(out) => out.write(bytes),
            Inner::File { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.inner {
            Inner::Stdout(out) => out.flush(),
            Inner::Special(out) => out.flush(),
            Inner::File { file, .. } => file.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn write(path: &Path, clobber: bool, text: &str) -> Result<()> {
        let mut output = Output::open(&Target::new(Some(path), clobber))?;
        output.write_all(text.as_bytes())?;
        Ok(output.finish()?)
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.csv");
        let mut abandoned = Output::open(&Target::new(Some(&path), false)).unwrap();
        abandoned.write_all(b"half").unwrap();
        abandoned.flush().unwrap();
        drop(abandoned);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        write(&path, false, "one").unwrap();
        assert!(write(&path, false, "two").unwrap_err().to_string().contains("--clobber"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
        write(&path, true, "two").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let message = write(Path::new("no-such-folder/out.csv"), false, "").unwrap_err().to_string();
        assert!(message.starts_with("cannot write no-such-folder/out.csv:"), "{message}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_device_is_written_to_and_stays() {
        assert!(write(Path::new("/dev/full"), true, "x").is_err());
        assert!(!std::fs::metadata("/dev/full").unwrap().is_file());
    }
}
