use super::FindingWriter;
use crate::{Finding, escape};
use attackline_catalog::technique;
use std::io::{self, Write};

/// The looks of a table.
#[derive(Debug, Clone, Copy)]
pub struct TableOptions {
    /// The columns of the terminal.
    pub width: usize,
    /// Measures the terminal anew before each row: people resize it under a stream.
    pub measure: Option<fn() -> usize>,
    /// Whether attacks are coloured.
    pub color: bool,
}

impl Default for TableOptions {
    fn default() -> Self {
        Self { width: 100, measure: None, color: false }
    }
}

/// Below this width techniques are shown by id alone.
const ROOM_FOR_NAMES: usize = 100;

/// A sub-technique's id with the mark of one that was abstained from.
const LONGEST_ID: usize = "T1003.002?".len();

/// The text keeps at least so many columns.
const SHORTEST_TEXT: usize = 24;

/// The columns before the text: heading and most columns that it takes.
const COLUMNS: [(&str, usize); 6] = [("ATTACK", 6), ("LABEL", 34), ("SCORE", 6), ("TIME", 23), ("HOST", 16), ("WHERE", 29)];
const LABEL: usize = 1;
const SCORE: usize = 2;
const TIME: usize = 3;
const HOST: usize = 4;
const WHERE: usize = 5;

/// Of a file's name and a record so much tells where to look; WHERE gives way to other columns down to this.
const SHORTEST_WHERE: usize = 14;

/// Goes before the words that carry a decision.
const BECAUSE: &str = "because: ";

/// How many rows are held back to size the columns by.
const SAMPLE: usize = 500;

/// The columns that each of [`COLUMNS`] takes; one of no width is left out.
type Widths = [usize; COLUMNS.len()];

/// A table whose columns fit what is in the first rows and grow with what comes, and the text what is left of the terminal.
pub(super) struct Table<W> {
    out: W,
    options: TableOptions,
    waiting: Vec<Row>,
    /// The columns that what has come would take.
    needed: Widths,
    /// Those of the last heading.
    widths: Option<Widths>,
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
        Self { out, options, waiting: Vec::new(), needed: [0; COLUMNS.len()], widths: None }
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
        for (index, (heading, _)) in COLUMNS.iter().enumerate() {
            let widest = rows.iter().map(|row| escape::width(&row.cells[index])).max().unwrap_or(0);
            let widest = if widest == 0 { 0 } else { widest.max(heading.len()) };
            self.needed[index] = self.needed[index].max(widest);
        }
        let widths = fitted(self.needed, self.options.width);
        let before = self.widths.replace(widths);
        if before.is_none_or(|before| before.map(|width| width > 0) != widths.map(|width| width > 0)) {
            self.print(&heading(), &widths)?;
        }
        rows.iter().try_for_each(|row| self.print(row, &widths))
    }

    fn print(&mut self, row: &Row, widths: &Widths) -> io::Result<()> {
        let mut line = String::new();
        for (index, (cell, &width)) in row.cells.iter().zip(widths).enumerate().filter(|(_, (_, width))| **width > 0) {
            // A record's number is worth more than where its file's path begins.
            let cell = if index == WHERE { escape::fit_end(cell, width) } else { escape::fit(cell, width) };
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

fn heading() -> Row {
    Row { cells: COLUMNS.map(|(heading, _)| heading.to_owned()), text: "TEXT".into(), evidence: String::new(), style: Style::Benign }
}

/// What the columns get of a terminal that may be too narrow: the least needed give way, the probability of an attack and the label never do.
fn fitted(needed: Widths, terminal: usize) -> Widths {
    let mut widths = needed;
    if terminal < ROOM_FOR_NAMES {
        widths[LABEL] = widths[LABEL].min(LONGEST_ID);
    }
    widths[WHERE] = needed[WHERE].min(SHORTEST_WHERE);
    for index in [HOST, TIME, SCORE, WHERE] {
        if columns_used(&widths) + SHORTEST_TEXT > terminal {
            widths[index] = 0;
        }
    }
    if widths[WHERE] > 0 {
        // The text grows as much.
        let left = terminal.saturating_sub(columns_used(&widths) + SHORTEST_TEXT);
        widths[WHERE] = needed[WHERE].min(widths[WHERE] + left / 2);
    }
    widths
}

/// The columns before the text with two spaces after each; one of no width is left out.
fn columns_used(widths: &Widths) -> usize {
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
    let (_, most) = COLUMNS[WHERE];
    format!("{}{record}", escape::fit_end(file, most.saturating_sub(record.len())))
}

impl<W: Write> FindingWriter for Table<W> {
    fn write(&mut self, finding: &Finding) -> io::Result<()> {
        if let Some(measure) = self.options.measure {
            self.options.width = measure();
        }
        let row = self.row(finding);
        self.waiting.push(row);
        if self.widths.is_some() || self.waiting.len() >= SAMPLE { self.print_waiting() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.print_waiting()?;
        self.out.flush()
    }
}
