//! Files, folders, archives and the standard input as one stream of lines.

use std::fs::Metadata;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use walkdir::WalkDir;

use crate::archives::{Stream, ZipEntry, ZipSource, gunzip, unzip, zip_entries};
use crate::auditd::AuditdReader;
use crate::csv::CsvReader;
use crate::detect::{Content, PREFIX_BYTES, archive, detect};
use crate::encoding::{Encoding, Utf16Reader, encoding_of};
use crate::evtx::EvtxReader;
use crate::ndjson::NdjsonReader;
use crate::reader::{Context, Item, LineReader};
use crate::text::TextReader;
use crate::windows_json::WindowsJsonReader;
use crate::windows_xml::WindowsXmlReader;
use crate::{Format, ReadError, ReadErrorKind, ReadOptions};

/// How many archives may stand inside each other: a `.gz` or `.zip` inside a `.zip`.
const MAX_DEPTH: usize = 2;

/// Something to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputPath {
    /// A file, or a folder with all that is below it.
    Path(PathBuf),
    /// The standard input.
    Stdin,
}

impl From<PathBuf> for InputPath {
    fn from(path: PathBuf) -> Self {
        if path.as_os_str() == "-" { Self::Stdin } else { Self::Path(path) }
    }
}

impl From<&str> for InputPath {
    fn from(path: &str) -> Self {
        PathBuf::from(path).into()
    }
}

/// How much was read so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Files begun; each entry of an archive is one.
    pub files: u64,
    /// Files without content.
    pub empty_files: u64,
    /// Lines, records passed over and errors together.
    pub records: u64,
    /// Lines given.
    pub lines: u64,
    /// Records passed over because they are other kinds of event.
    pub skipped: u64,
    /// Errors given.
    pub errors: u64,
}

/// Reads a list of inputs, one after the other; an error in one never ends the rest.
pub struct Inputs {
    options: Arc<ReadOptions>,
    /// What is still to be read, the next at the end.
    work: Vec<Work>,
    reader: Option<Box<dyn LineReader>>,
    counts: Counts,
}

enum Work {
    Input(InputPath),
    Folder(Box<walkdir::IntoIter>),
    File(PathBuf),
    Stream { name: Option<Arc<str>>, stream: Stream, depth: usize },
    Zip { name: Option<Arc<str>>, source: ZipSource, entries: std::vec::IntoIter<ZipEntry>, depth: usize },
    Failed(ReadError),
}

/// Reads one stream, such as a request's body, as [`Inputs`] reads the standard input.
pub fn read_stream(stream: impl Read + Send + 'static, name: Option<&str>, options: ReadOptions) -> Inputs {
    let mut inputs = Inputs::new(Vec::new(), options);
    inputs.work.push(Work::Stream { name: name.map(Arc::from), stream: Box::new(stream), depth: 0 });
    inputs
}

impl Inputs {
    /// Reads `paths` in the order given; folders in the order of their names' bytes.
    pub fn new(paths: Vec<InputPath>, options: ReadOptions) -> Self {
        let work = paths.into_iter().rev().map(Work::Input).collect();
        Self { options: Arc::new(options), work, reader: None, counts: Counts::default() }
    }

    /// How much was read so far.
    pub fn counts(&self) -> Counts {
        let mut counts = self.counts;
        counts.skipped += self.reader.as_ref().map_or(0, |reader| reader.skipped());
        counts.records = counts.lines + counts.errors + counts.skipped;
        counts
    }

    fn next_item(&mut self) -> Option<Item> {
        loop {
            if let Some(reader) = &mut self.reader {
                match reader.next() {
                    Some(item) => return Some(item),
                    None => self.counts.skipped += reader.skipped(),
                }
                self.reader = None;
            }
            let work = self.work.pop()?;
            if let Err(error) = self.begin(work) {
                return Some(Err(error));
            }
        }
    }

    fn begin(&mut self, work: Work) -> Result<(), ReadError> {
        match work {
            Work::Input(InputPath::Path(path)) => self.begin_path(path),
            Work::Input(InputPath::Stdin) => {
                let name = Some(Arc::from("-"));
                self.begin_stream(name, Box::new(io::stdin()), None, 0)
            }
            Work::Folder(folder) => self.walk(folder),
            Work::File(path) => self.begin_file(path),
            Work::Stream { name, stream, depth } => self.begin_stream(name, stream, None, depth),
            Work::Zip { name, source, entries, depth } => self.next_entry(name, source, entries, depth),
            Work::Failed(error) => Err(error),
        }
    }

    fn begin_path(&mut self, path: PathBuf) -> Result<(), ReadError> {
        let metadata: Metadata = std::fs::metadata(&path).map_err(|error| path_error(&path, error))?;
        if self.is_output(&path) {
            return Err(ReadError::in_file(&Some(Arc::from(path.to_string_lossy())), ReadErrorKind::Output));
        }
        if metadata.is_dir() {
            let folder = WalkDir::new(path).follow_links(true).sort_by_file_name().into_iter();
            self.work.push(Work::Folder(Box::new(folder)));
            return Ok(());
        }
        self.begin_file(path)
    }

    /// Takes the next file of a folder.
    fn walk(&mut self, mut folder: Box<walkdir::IntoIter>) -> Result<(), ReadError> {
        let Some(entry) = folder.next() else {
            return Ok(());
        };
        self.work.push(Work::Folder(folder));
        match entry {
            Ok(entry) if entry.file_type().is_file() && (is_partial(&entry) || self.is_output(entry.path())) => Ok(()),
            Ok(entry) if entry.file_type().is_file() => {
                self.work.push(Work::File(entry.into_path()));
                Ok(())
            }
            // A folder is entered by the walk; pipes, sockets and devices in a folder hold no log.
            Ok(_) => Ok(()),
            // A link back to a folder above it.
            Err(error) if error.loop_ancestor().is_some() => Ok(()),
            Err(error) => {
                let path = error.path().map(Path::to_path_buf).unwrap_or_default();
                Err(path_error(&path, error.into()))
            }
        }
    }

    fn is_output(&self, path: &Path) -> bool {
        self.options.output.as_ref().is_some_and(|output| same_file::Handle::from_path(path).is_ok_and(|file| file == **output))
    }

    fn begin_file(&mut self, path: PathBuf) -> Result<(), ReadError> {
        let file = std::fs::File::open(&path).map_err(|error| path_error(&path, error))?;
        let name = Some(Arc::from(path.to_string_lossy()));
        // A pipe given by its path can't be read twice, as a zip archive has to be.
        let seekable = file.metadata().is_ok_and(|metadata| metadata.is_file());
        self.begin_stream(name, Box::new(file), seekable.then_some(path), 0)
    }

    fn begin_stream(&mut self, name: Option<Arc<str>>, mut stream: Stream, path: Option<PathBuf>, depth: usize) -> Result<(), ReadError> {
        let fail = |kind| Err(ReadError::in_file(&name, kind));
        let prefix = match read_prefix(&mut stream) {
            Ok(prefix) => prefix,
            Err(error) => {
                self.counts.files += 1;
                return fail(ReadErrorKind::Io(error));
            }
        };
        let content = match (archive(&prefix), self.options.format) {
            (None, Some(format)) if !prefix.is_empty() => Content::Log(format),
            _ => detect(&prefix, name.as_deref().unwrap_or_default(), self.options.field.as_deref()),
        };
        let is_archive = matches!(content, Content::Gzip | Content::Zip);
        if is_archive && depth >= MAX_DEPTH {
            return fail(ReadErrorKind::Archive("too many archives inside each other".to_owned()));
        }
        if !is_archive {
            self.counts.files += 1;
        }
        let whole: Stream = Box::new(Cursor::new(prefix.clone()).chain(stream));
        match content {
            Content::Empty => self.counts.empty_files += 1,
            Content::Unknown => return fail(ReadErrorKind::UnknownFormat),
            Content::Foreign(foreign) => return fail(foreign.error()),
            Content::Gzip => {
                let stream = gunzip(whole, &self.options);
                self.work.push(Work::Stream { name, stream, depth: depth + 1 });
            }
            Content::Zip => self.begin_zip(name, whole, path, depth)?,
            Content::Log(format) => {
                let context = Context { file: name, options: self.options.clone() };
                self.reader = Some(open(format, &prefix, whole, context));
            }
        }
        Ok(())
    }

    fn begin_zip(&mut self, name: Option<Arc<str>>, stream: Stream, path: Option<PathBuf>, depth: usize) -> Result<(), ReadError> {
        let source = match path {
            Some(path) => ZipSource::File(path),
            None => ZipSource::hold(stream, &self.options).map_err(|error| ReadError::in_file(&name, ReadErrorKind::Io(error)))?,
        };
        let entries = zip_entries(&source).map_err(|why| ReadError::in_file(&name, ReadErrorKind::Archive(why)))?;
        self.work.push(Work::Zip { name, source, entries: entries.into_iter(), depth: depth + 1 });
        Ok(())
    }

    fn next_entry(
        &mut self,
        name: Option<Arc<str>>,
        source: ZipSource,
        mut entries: std::vec::IntoIter<ZipEntry>,
        depth: usize,
    ) -> Result<(), ReadError> {
        let Some(entry) = entries.next() else {
            return Ok(());
        };
        let full: Option<Arc<str>> = Some(match &name {
            Some(name) => Arc::from(format!("{name}!{}", entry.name)),
            None => Arc::from(entry.name.as_str()),
        });
        let stream = unzip(&source, &entry, &self.options);
        self.work.push(Work::Zip { name, source, entries, depth });
        self.work.push(match stream {
            Ok(stream) => Work::Stream { name: full, stream, depth },
            Err(error) => Work::Failed(ReadError::in_file(&full, ReadErrorKind::Io(error))),
        });
        Ok(())
    }
}

impl Iterator for Inputs {
    type Item = Result<crate::LogLine, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.next_item()?;
        match &item {
            Ok(_) => self.counts.lines += 1,
            Err(_) => self.counts.errors += 1,
        }
        Some(item)
    }
}

/// How the name of an output begins and ends until it is whole.
pub const PARTIAL_NAME: (&str, &str) = (".attackline-", ".partial");

/// Whether it is another run's output that is not whole yet.
fn is_partial(entry: &walkdir::DirEntry) -> bool {
    let (begin, end) = PARTIAL_NAME;
    entry.file_name().to_str().is_some_and(|name| name.starts_with(begin) && name.ends_with(end))
}

fn path_error(path: &Path, error: io::Error) -> ReadError {
    let name = Some(Arc::from(path.to_string_lossy()));
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ReadErrorKind::NotFound,
        _ => ReadErrorKind::Io(error),
    };
    ReadError::in_file(&name, kind)
}

/// Reads until there is a whole line to look at. A live pipe may not have more for a long time.
fn read_prefix(stream: &mut Stream) -> io::Result<Vec<u8>> {
    let mut prefix = vec![0; PREFIX_BYTES];
    let mut filled = 0;
    while filled < PREFIX_BYTES {
        match stream.read(&mut prefix[filled..]) {
            Ok(0) => break,
            Ok(read) => {
                let blank = prefix[..filled + read].trim_ascii().is_empty();
                let has_line = prefix[filled..filled + read].contains(&b'\n') && !blank;
                filled += read;
                if has_line && filled >= 8 {
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // What came before the error is still worth reading; the reader meets the error again.
            Err(_) if filled > 0 => break,
            Err(error) => return Err(error),
        }
    }
    prefix.truncate(filled);
    Ok(prefix)
}

fn open(format: Format, prefix: &[u8], mut stream: Stream, context: Context) -> Box<dyn LineReader> {
    if format == Format::Evtx {
        return Box::new(EvtxReader::new(BufReader::new(stream), context));
    }
    let encoding = encoding_of(prefix);
    let (Encoding::Utf8 { mark } | Encoding::Utf16 { mark, .. }) = encoding;
    // The mark is within the prefix, which is in memory.
    let mut skipped = [0; 3];
    let skipped = stream.read_exact(&mut skipped[..mark]);
    debug_assert!(skipped.is_ok(), "the byte order mark was seen in the prefix");
    let text: Box<dyn BufRead + Send> = match encoding {
        Encoding::Utf8 { .. } => Box::new(BufReader::with_capacity(PREFIX_BYTES, stream)),
        Encoding::Utf16 { big_endian, .. } => Box::new(BufReader::new(Utf16Reader::new(BufReader::new(stream), big_endian))),
    };
    match format {
        Format::Text | Format::Evtx => Box::new(TextReader::new(text, context)),
        Format::Ndjson => Box::new(NdjsonReader::new(text, context)),
        Format::Csv => Box::new(CsvReader::new(text, context)),
        Format::WindowsJson => Box::new(WindowsJsonReader::new(text, context)),
        Format::WindowsXml => Box::new(WindowsXmlReader::new(text, context)),
        Format::Auditd => Box::new(AuditdReader::new(text, context)),
    }
}
