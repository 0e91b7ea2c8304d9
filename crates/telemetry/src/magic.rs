//! Files that are no logs, known by how they begin.

use crate::ReadErrorKind;
use crate::encoding::{Encoding, encoding_of};
use crate::xml_kind::XmlKind;

/// What a file is that isn't read, and what can be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Foreign {
    pub(crate) what: &'static str,
    way: &'static str,
}

impl Foreign {
    pub(crate) fn error(self) -> ReadErrorKind {
        ReadErrorKind::Foreign { what: self.what, way: self.way }
    }
}

const UNPACK: &str = ": unpack it first";
const CONVERT: &str = ": write its rows as CSV or NDJSON first";
const NO_LOG: &str = ": it is no log";

/// First bytes, none of which begin a text, with what they announce.
const BEGINNINGS: [(&[u8], &str, &str); 28] = [
    (b"\x28\xB5\x2F\xFD", "a Zstandard archive", UNPACK),
    (b"\xFD7zXZ\0", "an xz archive", UNPACK),
    (b"BZh91AY&SY", "a bzip2 archive", UNPACK),
    (b"\x04\x22\x4D\x18", "an lz4 archive", UNPACK),
    (b"7z\xBC\xAF\x27\x1C", "a 7-Zip archive", UNPACK),
    (b"Rar!\x1A\x07", "a RAR archive", UNPACK),
    (b"MSCF\0\0\0\0", "a cabinet archive", UNPACK),
    (b"PAR1\x15", "a Parquet file", CONVERT),
    (b"Obj\x01", "an Avro file", CONVERT),
    (b"SQLite format 3\0", "an SQLite database", CONVERT),
    (b"LPKSHHRH", "a systemd journal", ": write it as NDJSON first (journalctl --file FILE -o json)"),
    (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "an old Office document", CONVERT),
    (b"\x89PNG\r\n\x1A\n", "a PNG image", NO_LOG),
    (b"\xFF\xD8\xFF", "a JPEG image", NO_LOG),
    (b"GIF87a", "a GIF image", NO_LOG),
    (b"GIF89a", "a GIF image", NO_LOG),
    (b"%PDF-", "a PDF document", NO_LOG),
    (b"\xD4\xC3\xB2\xA1", "a network capture (pcap)", NO_LOG),
    (b"\xA1\xB2\xC3\xD4", "a network capture (pcap)", NO_LOG),
    (b"\x4D\x3C\xB2\xA1", "a network capture (pcap)", NO_LOG),
    (b"\xA1\xB2\x3C\x4D", "a network capture (pcap)", NO_LOG),
    (b"\x0A\x0D\x0D\x0A", "a network capture (pcapng)", NO_LOG),
    (b"MDMP\x93\xA7", "a memory dump (minidump)", NO_LOG),
    (b"PAGEDU64", "a memory dump", NO_LOG),
    (b"PAGEDUMP\x0F", "a memory dump", NO_LOG),
    (b"\x7FELF", "a program (ELF)", NO_LOG),
    (b"\xCF\xFA\xED\xFE", "a program (Mach-O)", NO_LOG),
    (b"\xCA\xFE\xBA\xBE", "a program (Mach-O or Java)", NO_LOG),
];

const HTML: Foreign = Foreign { what: "an HTML page", way: NO_LOG };
const XML: Foreign = Foreign { what: "an XML document other than Windows events", way: NO_LOG };

/// Knows a file that is no log.
pub(crate) fn foreign(prefix: &[u8]) -> Option<Foreign> {
    let known = |what, way| Some(Foreign { what, way });
    // As a tar archive has it, the mark stands behind the first file's name, its size and its times.
    if prefix.get(257..262) == Some(b"ustar") && prefix[..257].contains(&0) {
        return known("a tar archive", UNPACK);
    }
    // Two letters are too few: the head of a program has its size of the last page and more, which is no text.
    if prefix.starts_with(b"MZ") && prefix[..prefix.len().min(64)].iter().filter(|byte| **byte == 0).count() >= 8 && !is_utf16(prefix) {
        return known("a program (PE)", NO_LOG);
    }
    BEGINNINGS.iter().find(|(start, ..)| prefix.starts_with(start)).and_then(|(_, what, way)| known(what, way))
}

/// "MZ" as the beginning of a text of two bytes a character.
fn is_utf16(prefix: &[u8]) -> bool {
    prefix.get(2) == Some(&0) || matches!(encoding_of(prefix), Encoding::Utf16 { .. })
}

/// Knows a document by its XML.
pub(crate) fn foreign_xml(kind: XmlKind) -> Option<Foreign> {
    match kind {
        XmlKind::Events => None,
        XmlKind::Html => Some(HTML),
        XmlKind::Other => Some(XML),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_beginning() {
        let check = |prefix: &[u8], wanted| assert_eq!(foreign(prefix).map(|foreign| foreign.what), wanted, "{:?}", String::from_utf8_lossy(prefix));
        check(b"\x28\xB5\x2F\xFD\x04\x58", Some("a Zstandard archive"));
        check(b"PAR1\x15\x04\x15", Some("a Parquet file"));
        check(b"\x7FELF\x02\x01\x01", Some("a program (ELF)"));
        check(b"\x89PNG\r\n\x1A\n\0", Some("a PNG image"));
        check(b"MDMP\x93\xA7\0\0", Some("a memory dump (minidump)"));
        check(b"\xD4\xC3\xB2\xA1\x02\0\x04\0", Some("a network capture (pcap)"));
        let mut tar = vec![0; 512];
        tar[..5].copy_from_slice(b"a.log");
        tar[257..262].copy_from_slice(b"ustar");
        check(&tar, Some("a tar archive"));
        let mut program = b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xFF\xFF\0\0\xB8\0\0\0\0\0\0\0@\0".to_vec();
        program.resize(64, 0);
        check(&program, Some("a program (PE)"));
        check(b"MZ is how programs begin\n", None);
        check(b"M\0Z\0 \0i\0s\0", None);
        check(b"PAR1 is how Parquet begins\n", None);
        check(b"BZh9\n", None);
        check(b"net user\n", None);
    }
}
