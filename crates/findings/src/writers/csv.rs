use super::{FindingWriter, WriterOptions};
use crate::{Finding, escape, finding::round};
use std::io::{self, Write};

const COLUMNS: [&str; 18] = [
    "line",
    "text",
    "label",
    "score",
    "attack",
    "abstained",
    "technique",
    "tactics",
    "url",
    "truncated",
    "file",
    "record",
    "timestamp",
    "host",
    "user",
    "image",
    "parent",
    "parent_attack",
];

/// CSV with a header. What other columns an NDJSON row carried is not in it.
///
/// A spreadsheet runs a cell that begins with `=`, `+`, `-` or `@` (some also after blanks, or in full width) as a formula, and
/// log text is an attacker's to choose: such a cell gets an apostrophe before it, which spreadsheets take for "this is text". Cells
/// are otherwise faithful, except on a terminal; a program that wants the exact text reads NDJSON.
pub(super) struct Csv<W: Write> {
    out: ::csv::Writer<W>,
    options: WriterOptions,
    has_header: bool,
}

impl<W: Write> Csv<W> {
    pub(super) fn new(out: W, options: WriterOptions) -> Self {
        Self { out: ::csv::Writer::from_writer(out), options, has_header: false }
    }

    fn header(&mut self) -> io::Result<()> {
        if self.has_header {
            return Ok(());
        }
        self.has_header = true;
        let mut columns: Vec<String> = COLUMNS.map(String::from).to_vec();
        columns.extend(self.options.top.then(|| "top".to_owned()));
        columns.extend(self.options.evidence.then(|| "evidence".to_owned()));
        columns.extend(self.options.score_labels.iter().map(|label| format!("score:{label}")));
        self.out.write_record(columns).map_err(io_error)
    }
}

impl<W: Write> FindingWriter for Csv<W> {
    fn write(&mut self, finding: &Finding) -> io::Result<()> {
        self.header()?;
        let (technique, source, event) = (finding.technique.as_ref(), &finding.source, &finding.event);
        let optional = |value: &Option<String>| guarded(value.as_deref().unwrap_or_default());
        let mut cells = vec![
            finding.line.to_string(),
            guarded(&finding.text),
            guarded(&finding.label),
            round(finding.score).to_string(),
            round(finding.attack).to_string(),
            finding.abstained.to_string(),
            technique.map(|technique| technique.name.clone()).unwrap_or_default(),
            technique.map(|technique| technique.tactics.join(";")).unwrap_or_default(),
            technique.map(|technique| technique.url.clone()).unwrap_or_default(),
            finding.truncated.to_string(),
            guarded(source.file.as_deref().unwrap_or_default()),
            source.record.map(|record| record.to_string()).unwrap_or_default(),
            optional(&event.timestamp),
            optional(&event.host),
            optional(&event.user),
            optional(&event.image),
            optional(&event.parent),
            finding.parent_attack.map(|attack| round(attack).to_string()).unwrap_or_default(),
        ];
        if self.options.top {
            let top: Vec<String> = finding.top.iter().map(|entry| format!("{}={}", entry.label, round(entry.score))).collect();
            cells.push(guarded(&top.join(";")));
        }
        if self.options.evidence {
            cells.push(guarded(&finding.evidence_words().join(" … ")));
        }
        if !self.options.score_labels.is_empty() {
            cells.extend(finding.scores.iter().flat_map(|table| &table.0).map(|entry| round(entry.score).to_string()));
        }
        if self.options.terminal {
            cells.iter_mut().for_each(|cell| *cell = escape::shown(cell).into_owned());
        }
        self.out.write_record(cells).map_err(io_error)
    }

    /// An empty result still has its header.
    fn flush(&mut self) -> io::Result<()> {
        self.header()?;
        self.out.flush()
    }
}

/// As the console guards the cells of its own CSV.
fn guarded(cell: &str) -> String {
    let begins = cell.trim_start_matches(|character: char| character.is_whitespace() || character.is_control() || character == '\u{feff}');
    let is_formula = begins.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) || cell.starts_with(['\t', '\r', '\n']);
    if is_formula { format!("'{cell}") } else { cell.to_owned() }
}

fn io_error(error: ::csv::Error) -> io::Error {
    match error.into_kind() {
        ::csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}
