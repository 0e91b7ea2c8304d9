//! A reader whose last bytes can be put back, so that what a damaged record took with it is read again.

use std::io::{self, BufRead, Read};

pub(crate) struct Rewind<R> {
    reader: R,
    again: Vec<u8>,
    /// How many of `again` were given.
    given: usize,
}

impl<R> Rewind<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, again: Vec::new(), given: 0 }
    }

    /// Gives the last `bytes` that were read once more.
    pub(crate) fn put_back(&mut self, mut bytes: Vec<u8>) {
        // They may be a small part of what is held already.
        if let Some(given) = self.given.checked_sub(bytes.len()) {
            self.given = given;
            return;
        }
        bytes.extend_from_slice(&self.again[self.given..]);
        (self.again, self.given) = (bytes, 0);
    }
}

impl<R: BufRead> Rewind<R> {
    /// What can be looked at, at the end nothing; an interrupted call is made again.
    pub(crate) fn look(&mut self) -> io::Result<&[u8]> {
        look(self)
    }
}

/// What can be looked at, as [`Rewind::look`] says it.
pub(crate) fn look(reader: &mut impl BufRead) -> io::Result<&[u8]> {
    while let Err(error) = reader.fill_buf() {
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    reader.fill_buf()
}

impl<R: BufRead> Read for Rewind<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Rewind<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.given < self.again.len() { Ok(&self.again[self.given..]) } else { self.reader.fill_buf() }
    }

    fn consume(&mut self, count: usize) {
        if self.given < self.again.len() {
            self.given += count;
            if self.given == self.again.len() {
                (self.again, self.given) = (Vec::new(), 0);
            }
        } else {
            self.reader.consume(count);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_put_back_comes_first() {
        let mut reader = Rewind::new(&b"abcdef"[..]);
        let mut taken = [0; 4];
        reader.read_exact(&mut taken).unwrap();
        reader.put_back(taken[1..].to_vec());
        reader.read_exact(&mut taken[..1]).unwrap();
        reader.put_back(b"b".to_vec());
        reader.read_exact(&mut taken).unwrap();
        reader.put_back(taken.to_vec());
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "bcdef");
    }
}
