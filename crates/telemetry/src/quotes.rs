//! Follows the quotes of CSV and keeps what stands within one from its second line on, in case the quote proves to be none.

use std::mem::take;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    FieldStart,
    Plain,
    Quoted,
    /// Behind a quote within a quoted field: another one makes a character of both, and anything else ends the quoting.
    Quote,
}

/// What is known of the bytes so far.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Fine,
    /// The quote that opened is no cell's; these bytes, from the next line on, are rows.
    Open(Vec<u8>),
}

pub(crate) struct Quotes {
    delimiter: u8,
    place: Place,
    /// Whether a line ended within the quote, and what followed.
    is_long: bool,
    kept: Vec<u8>,
    most_kept: usize,
}

impl Quotes {
    pub(crate) fn new(delimiter: u8, most_kept: usize) -> Self {
        Self { delimiter, place: Place::FieldStart, is_long: false, kept: Vec::new(), most_kept }
    }

    /// Follows what the parser took.
    pub(crate) fn follow(&mut self, bytes: &[u8]) -> Verdict {
        let mut kept_from = self.is_long.then_some(0);
        let mut is_open = false;
        for (index, byte) in bytes.iter().enumerate() {
            let is_end = matches!(byte, b'\n' | b'\r') || *byte == self.delimiter;
            self.place = match (self.place, byte) {
                (Place::FieldStart, b'"') | (Place::Quote, b'"') => Place::Quoted,
                (Place::Quoted, b'"') => Place::Quote,
                (Place::Quoted, b'\n' | b'\r') if !self.is_long => {
                    (self.is_long, kept_from) = (true, Some(index + 1));
                    Place::Quoted
                }
                (Place::Quoted, _) => Place::Quoted,
                // The closing quote of a cell stands before its end; this one opens a cell of another row.
                (Place::Quote, _) if self.is_long && !is_end => {
                    is_open = true;
                    break;
                }
                (Place::Quote, _) => {
                    (self.is_long, kept_from) = (false, None);
                    self.kept = Vec::new();
                    if is_end { Place::FieldStart } else { Place::Plain }
                }
                (Place::FieldStart | Place::Plain, _) if is_end => Place::FieldStart,
                (Place::FieldStart | Place::Plain, _) => Place::Plain,
            };
        }
        if let Some(from) = kept_from {
            self.kept.extend_from_slice(&bytes[from..]);
        }
        if is_open || self.kept.len() > self.most_kept { self.open() } else { Verdict::Fine }
    }

    /// The file ends here.
    pub(crate) fn end(&mut self) -> Verdict {
        if self.place == Place::Quoted {
            return self.open();
        }
        self.place = Place::FieldStart;
        Verdict::Fine
    }

    fn open(&mut self) -> Verdict {
        (self.place, self.is_long) = (Place::FieldStart, false);
        Verdict::Open(take(&mut self.kept))
    }
}
