use super::FindingWriter;
use crate::{Finding, escape};
use attackline_catalog::technique;
use std::io::{self, Write};

/// The looks of a table.
#[derive(Debug, Clone, Copy)]
pub struct TableOptions {
    /// The columns of the terminal.
    pub width: usize,
    /// Whether attacks are coloured.
    pub color: bool,
}

impl Default for TableOptions {
    fn default() -> Self {
        Self { width: 100, color: false }
    }
}

/// Below this width techniques are shown by id alone.
const ROOM_FOR_NAMES: usize = 100;

/// The text keeps at least so many columns.
const SHORTEST_TEXT: usize = 24;

/// The columns before the text: heading and most columns that it takes.
const COLUMNS: [(&str, usize); 6] = [("ATTACK", 6), ("LABEL", 34), ("SCORE", 6), ("TIME", 23), ("HOST", 16), ("WHERE", 29)];

/// Goes before the words that carry a decision.
const BECAUSE: &str = "because: ";

/// How many rows are held back to size the columns by.
const SAMPLE: usize = 500;

/// A table whose columns fit what is in the first rows, and the text what is left of the terminal.
pub(super) struct Table<W> {
    out: W,
    options: TableOptions,
    waiting: Vec<Row>,
    widths: Option<[usize; COLUMNS.len()]>,
}

struct Row {
    cells: [String; COLUMNS.len()],
    text: String,
    evidence: String,
    style: Style,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Attack,
    Abstained,
    Benign,
}

impl<W: Write> Table<W> {
    pub(super) fn new(out: W, options: TableOptions) -> Self {
        Self { out, options, waiting: Vec::new(), widths: None }
    }

    fn row(&self, finding: &Finding) -> Row {
        let style = match (finding.is_attack, finding.abstained) {
            (true, _) => Style::Attack,
            (_, true) => Style::Abstained,
            _ => Style::Benign,
        };
        let name = technique(&finding.label).map(|technique| technique.name).filter(|_| self.options.width >= ROOM_FOR_NAMES);
        let label = name.map_or_else(|| finding.label.clone(), |name| format!("{} {name}", finding.label));
        let room = COLUMNS[1].1;
        let label = if style == Style::Abstained { format!("{}?", escape::fit(&label, room - 1)) } else { escape::fit(&label, room) };
        let location = location(finding.source.file.as_deref(), finding.source.record);
        let time = finding.event.timestamp.clone().unwrap_or_default();
        let host = finding.event.host.clone().unwrap_or_default();
        let cells = [format!("{:.3}", finding.attack), label, format!("{:.3}", finding.score), time, host, location];
        let mut cells = cells.map(|cell| escape::shown(&cell).into_owned());
        for (cell, (_, most)) in cells.iter_mut().zip(COLUMNS) {
            *cell = escape::fit(cell, most);
        }
        let room = self.options.width.max(SHORTEST_TEXT);
        Row { cells, text: escape::fit(&finding.text, room), evidence: escape::fit(&finding.evidence_words().join(" … "), room), style }
    }

    fn print_waiting(&mut self) -> io::Result<()> {
        let rows = std::mem::take(&mut self.waiting);
        if rows.is_empty() {
            return Ok(());
        }
        let widths = match self.widths {
            Some(widths) => widths,
            None => self.print_header(&rows)?,
        };
        rows.iter().try_for_each(|row| self.print(row, &widths))
    }

    fn print_header(&mut self, rows: &[Row]) -> io::Result<[usize; COLUMNS.len()]> {
        let mut widths = [0; COLUMNS.len()];
        for (index, (heading, _)) in COLUMNS.iter().enumerate() {
            let widest = rows.iter().map(|row| escape::width(&row.cells[index])).max().unwrap_or(0);
            widths[index] = if widest == 0 { 0 } else { widest.max(heading.len()) };
        }
        // Too narrow: the least needed columns give way, the probability of an attack and the label never do.
        for index in [4, 3, 5, 2] {
            if columns_used(&widths) + SHORTEST_TEXT > self.options.width {
                widths[index] = 0;
            }
        }
        self.widths = Some(widths);
        let heading =
            Row { cells: COLUMNS.map(|(heading, _)| heading.to_owned()), text: "TEXT".into(), evidence: String::new(), style: Style::Benign };
        self.print(&heading, &widths)?;
        Ok(widths)
    }

    fn print(&mut self, row: &Row, widths: &[usize; COLUMNS.len()]) -> io::Result<()> {
        let mut line = String::new();
        for (index, (cell, &width)) in row.cells.iter().zip(widths).enumerate().filter(|(_, (_, width))| **width > 0) {
            let cell = escape::fit(cell, width);
            let padding = " ".repeat(width - escape::width(&cell) + 2);
            match paint(row.style).filter(|_| self.options.color && index == 1) {
                Some(code) => line.push_str(&format!("\x1b[{code}m{cell}\x1b[0m{padding}")),
                None => line.push_str(&format!("{cell}{padding}")),
            }
        }
        let rest = self.options.width.saturating_sub(columns_used(widths));
        line.push_str(&escape::fit(&row.text, rest.max(SHORTEST_TEXT)));
        writeln!(self.out, "{}", line.trim_end())?;
        if row.evidence.is_empty() {
            return Ok(());
        }
        // Under the text that it is taken from.
        let indent = columns_used(widths);
        let room = self.options.width.saturating_sub(indent + BECAUSE.len()).max(SHORTEST_TEXT);
        writeln!(self.out, "{}{BECAUSE}{}", " ".repeat(indent), escape::fit(&row.evidence, room))
    }
}

/// The columns before the text with two spaces after each; one of no width is left out.
fn columns_used(widths: &[usize]) -> usize {
    widths.iter().filter(|width| **width > 0).map(|width| width + 2).sum()
}

/// Red and bold for attacks, yellow for what was abstained from.
fn paint(style: Style) -> Option<&'static str> {
    match style {
        Style::Attack => Some("1;31"),
        Style::Abstained => Some("33"),
        Style::Benign => None,
    }
}

/// The file and the record in it. Of a path that is too long for its column the end stays, which tells more, and the record in any case.
fn location(file: Option<&str>, record: Option<u64>) -> String {
    let record = record.map(|record| record.to_string());
    let Some(file) = file else { return record.unwrap_or_default() };
    let record = record.map(|record| format!(":{record}")).unwrap_or_default();
    let (_, most) = COLUMNS[5];
    format!("{}{record}", escape::fit_end(file, most.saturating_sub(record.len())))
}

impl<W: Write> FindingWriter for Table<W> {
    fn write(&mut self, finding: &Finding) -> io::Result<()> {
        let row = self.row(finding);
        self.waiting.push(row);
        if self.widths.is_some() || self.waiting.len() >= SAMPLE { self.print_waiting() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.print_waiting()?;
        self.out.flush()
    }
}
