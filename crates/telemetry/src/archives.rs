//! `.gz` and `.zip` as streams, with bounds against archives that are made to swell.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::Crc;
use flate2::read::{DeflateDecoder, MultiGzDecoder};
use zip::{CompressionMethod, ZipArchive};

use crate::ReadOptions;

/// A stream of bytes that owns what it reads.
pub(crate) type Stream = Box<dyn Read + Send>;

/// The content of a gzip stream. A log that says the same a million times shrinks as much as a bomb does, and no line of it is long: only what comes
/// without a line's end is held against what went in.
pub(crate) fn gunzip(inner: Stream, options: &ReadOptions) -> Stream {
    let (inner, count) = Counted::new(inner);
    Box::new(Bounded { by_line: true, ..Bounded::new(MultiGzDecoder::new(inner), count, options) })
}

/// Where a zip archive's bytes are.
#[derive(Clone)]
pub(crate) enum ZipSource {
    File(PathBuf),
    Memory(Arc<[u8]>),
}

impl ZipSource {
    /// Reads a stream to its end, so that its directory can be found there.
    pub(crate) fn hold(mut stream: Stream, options: &ReadOptions) -> io::Result<Self> {
        let mut bytes = Vec::new();
        let limit = options.max_archive_bytes;
        stream.by_ref().take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(io::Error::other(format!("the archive is longer than the {limit} bytes that are held in memory")));
        }
        Ok(Self::Memory(bytes.into()))
    }

    fn stream_at(&self, start: u64) -> io::Result<Stream> {
        Ok(match self {
            Self::File(path) => {
                let mut file: File = fs_err::File::open(path)?.into_parts().0;
                file.seek(SeekFrom::Start(start))?;
                Box::new(file)
            }
            Self::Memory(bytes) => {
                let mut cursor = Cursor::new(bytes.clone());
                cursor.set_position(start);
                Box::new(cursor)
            }
        })
    }
}

/// An entry of a zip archive.
pub(crate) struct ZipEntry {
    pub(crate) name: String,
    start: u64,
    compressed: u64,
    crc: u32,
    method: CompressionMethod,
    refused: Option<&'static str>,
}

/// Lists the files of a zip archive in the order they are stored in.
pub(crate) fn zip_entries(source: &ZipSource) -> Result<Vec<ZipEntry>, String> {
    match source {
        ZipSource::File(path) => {
            let file = fs_err::File::open(path).map_err(|error| error.to_string())?;
            list(io::BufReader::new(file))
        }
        ZipSource::Memory(bytes) => list(Cursor::new(bytes.clone())),
    }
}

fn list(reader: impl Read + Seek) -> Result<Vec<ZipEntry>, String> {
    let mut archive = ZipArchive::new(reader).map_err(|error| error.to_string())?;
    let mut entries = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|error| format!("entry {index}: {error}"))?;
        if entry.is_dir() {
            continue;
        }
        entries.push(ZipEntry {
            name: entry.name().to_owned(),
            start: entry.data_start().ok_or_else(|| format!("entry {index}: its data can't be found"))?,
            compressed: entry.compressed_size(),
            crc: entry.crc32(),
            method: entry.compression(),
            refused: entry.encrypted().then_some("the entry is encrypted"),
        });
    }
    entries.sort_by_key(|entry| entry.start);
    // Entries that share data are how a small archive becomes petabytes.
    let mut end = 0;
    for entry in &mut entries {
        if entry.compressed > 0 && entry.start < end {
            entry.refused = Some("the entry overlaps another one, as in a zip bomb");
        }
        end = end.max(entry.start.saturating_add(entry.compressed));
    }
    Ok(entries)
}

/// The content of an entry.
pub(crate) fn unzip(source: &ZipSource, entry: &ZipEntry, options: &ReadOptions) -> io::Result<Stream> {
    if let Some(why) = entry.refused {
        return Err(io::Error::other(why));
    }
    let stored = source.stream_at(entry.start)?.take(entry.compressed);
    let (stored, count) = Counted::new(Box::new(stored) as Stream);
    match entry.method {
        CompressionMethod::Stored => Ok(Box::new(Checked::new(stored, entry.crc))),
        CompressionMethod::Deflated => {
            let decoder = DeflateDecoder::new(stored);
            Ok(Box::new(Checked::new(Bounded::new(decoder, count, options), entry.crc)))
        }
        method => Err(io::Error::other(format!("the entry is compressed by {method}, which is not supported"))),
    }
}

/// Counts the bytes that go in.
struct Counted<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R> Counted<R> {
    fn new(inner: R) -> (Self, Arc<AtomicU64>) {
        let count = Arc::new(AtomicU64::new(0));
        (Self { inner, count: count.clone() }, count)
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Ends with an error once far more came out than went in.
struct Bounded<R> {
    inner: R,
    went_in: Arc<AtomicU64>,
    came_out: u64,
    /// Whether counting begins anew with each line, and what had gone in then.
    by_line: bool,
    before: u64,
    free: u64,
    ratio: u64,
}

impl<R> Bounded<R> {
    fn new(inner: R, went_in: Arc<AtomicU64>, options: &ReadOptions) -> Self {
        Self { inner, went_in, came_out: 0, by_line: false, before: 0, free: options.free_bytes, ratio: options.max_ratio }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.came_out += read as u64;
        let went_in = self.went_in.load(Ordering::Relaxed);
        if self.by_line && buffer[..read].contains(&b'\n') {
            (self.came_out, self.before) = (0, went_in);
        }
        let allowed = went_in.saturating_sub(self.before).saturating_mul(self.ratio);
        if self.came_out > self.free && self.came_out > allowed {
            let ratio = self.ratio;
            return Err(io::Error::other(format!(
                "it expands more than {ratio} to 1, as a zip bomb does; if it is none, unpack it and read what was in it"
            )));
        }
        Ok(read)
    }
}

/// Compares the checksum at the end.
struct Checked<R> {
    inner: R,
    crc: Crc,
    wanted: u32,
}

impl<R> Checked<R> {
    fn new(inner: R, wanted: u32) -> Self {
        Self { inner, crc: Crc::new(), wanted }
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.crc.update(&buffer[..read]);
        if read == 0 && !buffer.is_empty() && self.crc.sum() != self.wanted {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the entry is damaged: its checksum differs"));
        }
        Ok(read)
    }
}
