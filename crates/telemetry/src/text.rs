//! Plain text: one line, one text.

use std::io::BufRead;

use crate::line::tidy;
use crate::lines::Lines;
use crate::reader::{Context, Item, LineReader};
use crate::{Event, LogLine};

pub(crate) struct TextReader<R> {
    lines: Lines<R>,
    context: Context,
}

impl<R: BufRead> TextReader<R> {
    pub(crate) fn new(reader: R, context: Context) -> Self {
        Self { lines: Lines::new(reader, context.options.max_line_bytes), context }
    }
}

impl<R: BufRead> Iterator for TextReader<R> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        let line = match self.lines.next_line()? {
            Ok(line) => line,
            Err(error) => return Some(Err(self.context.io_error(error))),
        };
        let mut text = line.text();
        let cut = tidy(&mut text, self.context.options.max_line_bytes) || line.cut;
        Some(Ok(LogLine { text, source: self.context.source(line.number), event: Event::default(), input: None, cut }))
    }
}

impl<R: BufRead + Send> LineReader for TextReader<R> {}

#[cfg(test)]
mod tests {
    use crate::Format;
    use crate::reader::testing::{check, read};

    #[test]
    fn each_line_is_a_text() {
        let check = |input, wanted: &[&str]| check(Format::Text, None, input, wanted, 0);
        check("", &[]);
        check("whoami\r\n\r\n  net user \n", &["1 whoami", "3   net user "]);
        check("\u{FEFF}whoami", &["1 whoami"]);
        check("a\0b\n", &["1 ab"]);
        check("{\"text\":\n", &["1 {\"text\":"]);
    }

    #[test]
    fn encodings_are_found() {
        let check = |input: &[u8], wanted: &[&str]| assert_eq!(read(Format::Text, None, input).0, wanted);
        check(b"\xFF\xFEn\0e\0t\0\r\0\n\0x\0", &["1 net", "2 x"]);
        check(b"\xFE\xFF\0n\0e\0t\0\r\0\n\0x", &["1 net", "2 x"]);
        check(b"n\0e\0t\0 \0u\0s\0e\0r\0\n\0", &["1 net user"]);
        check(b"na\xEFve\n", &["1 na\u{FFFD}ve"]);
    }
}
