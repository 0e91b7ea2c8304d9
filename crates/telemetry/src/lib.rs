//! Readers that turn log files into lines with their context.
//!
//! [`Inputs`] walks files, folders, archives and the standard input and yields one [`LogLine`] for each command
//! line, script block or plain line; [`read_stream`] does the same over any `Read`. The format is found from the
//! content. Three promises hold for every format: a reader never panics on bad bytes, a bad record is one
//! [`ReadError`] after which the rest goes on, and memory stays bounded however long a line or an archive is.

mod archives;
mod auditd;
mod csv;
mod detect;
mod encoding;
mod error;
mod event_queue;
mod events;
mod evtx;
mod inputs;
mod json;
mod json_rows;
mod json_scan;
mod line;
mod lines;
mod magic;
mod ndjson;
mod options;
mod quotes;
mod reader;
mod rewind;
mod row_names;
mod text;
mod whole_event;
mod windows_json;
mod windows_xml;
mod xml_events;
mod xml_kind;
mod xml_row;

pub use error::{ReadError, ReadErrorKind};
pub use inputs::{Counts, InputPath, Inputs, PARTIAL_NAME, read_stream};
pub use json::mended_json;
pub use line::{Event, LogLine, Source};
pub use options::{Format, ReadOptions, UnknownFormat};
pub use reader::LineReader;
pub use row_names::row_event;
