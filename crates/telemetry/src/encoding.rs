//! Text encodings: what isn't UTF-8 becomes UTF-8 as it streams by.

use std::io::{self, Read};

/// How a text file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// UTF-8, or any other extension of ASCII, behind a byte order mark of this many bytes.
    Utf8 {
        mark: usize,
    },
    Utf16 {
        big_endian: bool,
        mark: usize,
    },
}

/// Finds the encoding from the first bytes: the byte order mark, else on which side of each pair the NUL bytes are.
pub(crate) fn encoding_of(prefix: &[u8]) -> Encoding {
    match prefix {
        [0xEF, 0xBB, 0xBF, ..] => return Encoding::Utf8 { mark: 3 },
        [0xFF, 0xFE, ..] => {
            return Encoding::Utf16 { big_endian: false, mark: 2 };
        }
        [0xFE, 0xFF, ..] => {
            return Encoding::Utf16 { big_endian: true, mark: 2 };
        }
        _ => {}
    }
    let sample = &prefix[..prefix.len().min(4096) & !1];
    let pairs = sample.len() / 2;
    let count = |test: fn(&[u8]) -> bool| sample.chunks_exact(2).filter(|pair| test(pair)).count();
    // ASCII in UTF-16 has a NUL beside each plain character, and neither both nor none.
    let little = count(|pair| pair[0] != 0 && pair[1] == 0);
    let big = count(|pair| pair[0] == 0 && pair[1] != 0);
    let most = pairs - pairs / 4;
    match () {
        () if pairs >= 4 && little >= most => Encoding::Utf16 { big_endian: false, mark: 0 },
        () if pairs >= 4 && big >= most => Encoding::Utf16 { big_endian: true, mark: 0 },
        () => Encoding::Utf8 { mark: 0 },
    }
}

/// UTF-16 in, UTF-8 out; what is no UTF-16 becomes U+FFFD.
pub(crate) struct Utf16Reader<R> {
    inner: R,
    big_endian: bool,
    /// Bytes not decoded yet: half a unit, or the first half of a surrogate pair.
    kept: Vec<u8>,
    decoded: Vec<u8>,
    given: usize,
    ended: bool,
}

impl<R: Read> Utf16Reader<R> {
    pub(crate) fn new(inner: R, big_endian: bool) -> Self {
        Self { inner, big_endian, kept: Vec::new(), decoded: Vec::new(), given: 0, ended: false }
    }

    fn refill(&mut self) -> io::Result<()> {
        let mut block = [0; 8192];
        let read = self.inner.read(&mut block)?;
        self.ended = read == 0;
        self.kept.extend_from_slice(&block[..read]);
        let mut units: Vec<u16> = self.kept.chunks_exact(2).map(|pair| self.unit(pair)).collect();
        let mut used = units.len() * 2;
        if !self.ended && units.last().is_some_and(|unit| (0xD800..0xDC00).contains(unit)) {
            units.pop();
            used -= 2;
        }
        self.kept.drain(..used);
        if self.ended && !self.kept.is_empty() {
            self.kept.clear();
            units.push(0xFFFD);
        }
        self.decoded = String::from_utf16_lossy(&units).into_bytes();
        self.given = 0;
        Ok(())
    }

    fn unit(&self, pair: &[u8]) -> u16 {
        let pair = [pair[0], pair[1]];
        if self.big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
    }
}

impl<R: Read> Read for Utf16Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.decoded.len() {
            if self.ended || buffer.is_empty() {
                return Ok(0);
            }
            self.refill()?;
        }
        let rest = &self.decoded[self.given..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Gives one byte at a time, so that every unit and pair is split.
    struct Trickle<'a>(&'a [u8]);
    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(buffer.len()).min(1);
            self.0.read(&mut buffer[..count])
        }
    }

    #[test]
    fn utf16_is_decoded_however_it_is_split() {
        let text = "zażółć gęślą 𝄞 reg save";
        for big_endian in [false, true] {
            let bytes: Vec<u8> = text.encode_utf16().flat_map(|unit| if big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect();
            let mut decoded = String::new();
            Utf16Reader::new(Trickle(&bytes), big_endian).read_to_string(&mut decoded).unwrap();
            assert_eq!(decoded, text);
            decoded.clear();
            Utf16Reader::new(&bytes[..], big_endian).read_to_string(&mut decoded).unwrap();
            assert_eq!(decoded, text);
        }
    }

    #[test]
    fn broken_utf16_is_replaced() {
        let mut decoded = String::new();
        Utf16Reader::new(&b"a\0\x00\xD8b\0c"[..], false).read_to_string(&mut decoded).unwrap();
        assert_eq!(decoded, "a\u{FFFD}b\u{FFFD}");
    }

    #[test]
    fn the_encoding_is_found() {
        let check = |bytes: &[u8], wanted| assert_eq!(encoding_of(bytes), wanted, "{bytes:?}");
        check(b"", Encoding::Utf8 { mark: 0 });
        check(b"\xEF\xBB\xBFa", Encoding::Utf8 { mark: 3 });
        check(b"\xFF\xFEa\0", Encoding::Utf16 { big_endian: false, mark: 2 });
        check(b"\xFE\xFF\0a", Encoding::Utf16 { big_endian: true, mark: 2 });
        check(b"w\0h\0o\0a\0m\0i\0", Encoding::Utf16 { big_endian: false, mark: 0 });
        check(b"\0w\0h\0o\0a\0m\0i", Encoding::Utf16 { big_endian: true, mark: 0 });
        check(b"net user\0", Encoding::Utf8 { mark: 0 });
        check(&[0; 64], Encoding::Utf8 { mark: 0 });
    }
}
