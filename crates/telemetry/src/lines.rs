//! Lines of bytes with a bound on each, under every text format.

use std::io::{self, BufRead};

/// A line without its end.
pub(crate) struct RawLine {
    pub(crate) bytes: Vec<u8>,
    /// The line's number in its file, from 1.
    pub(crate) number: u64,
    /// Whether the line was longer than the bound.
    pub(crate) cut: bool,
}

impl RawLine {
    /// The line as text; bytes that are no UTF-8 become U+FFFD, since log lines do hold stray bytes.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    fn is_blank(&self) -> bool {
        self.bytes.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0)
    }
}

/// Reads lines that hold at most `limit` bytes; what is longer streams by and is dropped.
pub(crate) struct Lines<R> {
    reader: R,
    limit: usize,
    number: u64,
    ended: bool,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(reader: R, limit: usize) -> Self {
        Self { reader, limit, number: 0, ended: false }
    }

    /// The next line that isn't blank. After an error there are no more.
    pub(crate) fn next_line(&mut self) -> Option<io::Result<RawLine>> {
        loop {
            if self.ended {
                return None;
            }
            let line = self.read_line();
            match line {
                Ok(Some(line)) if line.is_blank() && !line.cut => {}
                Ok(line) => return line.map(Ok),
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
    }

    fn read_line(&mut self) -> io::Result<Option<RawLine>> {
        let mut line = RawLine { bytes: Vec::new(), number: self.number + 1, cut: false };
        let mut any = false;
        loop {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if buffer.is_empty() {
                self.ended = true;
                break;
            }
            any = true;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let part = &buffer[..end.unwrap_or(buffer.len())];
            // One byte more than the bound, since a carriage return may still go.
            let room = (self.limit + 1).saturating_sub(line.bytes.len());
            line.bytes.extend_from_slice(&part[..part.len().min(room)]);
            line.cut |= part.len() > room;
            let used = part.len() + usize::from(end.is_some());
            self.reader.consume(used);
            if end.is_some() {
                break;
            }
        }
        if !any {
            return Ok(None);
        }
        self.number += 1;
        if !line.cut && line.bytes.last() == Some(&b'\r') {
            line.bytes.pop();
        }
        if line.bytes.len() > self.limit {
            line.cut = true;
        }
        if line.cut {
            line.bytes.truncate(whole_characters(&line.bytes, self.limit));
        }
        Ok(Some(line))
    }
}

/// The largest length up to `limit` that splits no UTF-8 character.
fn whole_characters(bytes: &[u8], limit: usize) -> usize {
    let limit = limit.min(bytes.len());
    let is_continuation = |at: usize| bytes.get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
    // A character has at most three continuation bytes; a longer run is no UTF-8 and is cut anywhere.
    (0..=3).filter_map(|back| limit.checked_sub(back)).find(|at| !is_continuation(*at)).unwrap_or(limit)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::BufReader;

    fn check(input: &[u8], limit: usize, wanted: &[(u64, &str, bool)]) {
        for capacity in [1, 2, 7, 8192] {
            let mut lines = Lines::new(BufReader::with_capacity(capacity, input), limit);
            let mut found = Vec::new();
            while let Some(line) = lines.next_line() {
                let line = line.unwrap();
                found.push((line.number, line.text(), line.cut));
            }
            let found: Vec<_> = found.iter().map(|(number, text, cut)| (*number, text.as_str(), *cut)).collect();
            assert_eq!(found, wanted, "{input:?} in blocks of {capacity}");
        }
    }

    #[test]
    fn lines_are_numbered_and_bounded() {
        check(b"", 9, &[]);
        check(b"\n \n\r\n\0\n", 9, &[]);
        check(b"a\r\n\nb", 9, &[(1, "a", false), (3, "b", false)]);
        check(b"abc\r\nabcd\n", 3, &[(1, "abc", false), (2, "abc", true)]);
        check(b"abcdefgh\nxy\n", 3, &[(1, "abc", true), (2, "xy", false)]);
        check("aéé\n".as_bytes(), 4, &[(1, "aé", true)]);
        check(b"a\xFFb\n", 9, &[(1, "a\u{FFFD}b", false)]);
    }
}
