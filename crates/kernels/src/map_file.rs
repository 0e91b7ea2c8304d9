use std::{fs::File, io};

/// The bytes of `file` where the operating system maps them: nothing is read before it is looked at, and nothing is copied.
///
/// A file that is shortened while it is mapped ends the process when the lost part is looked at, so it must be replaced under its name, not
/// written over.
///
/// # Errors
/// If the file or its file system can't be mapped; an empty file can't.
pub fn map_file(file: &File) -> io::Result<impl AsRef<[u8]> + Send + Sync + 'static> {
    // SAFETY: the bytes are only read, as plain numbers of which every pattern is one. Who changes the file meanwhile changes what is read: that
    // is what the caller is told.
    unsafe { memmap2::Mmap::map(file) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Write;

    #[test]
    fn gives_the_bytes_of_a_file_that_has_lost_its_name() {
        let path = std::env::temp_dir().join(format!("attackline-map-{}", std::process::id()));
        File::create(&path).unwrap().write_all(b"weights").unwrap();
        let mapped = map_file(&File::open(&path).unwrap()).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(mapped.as_ref(), b"weights");
    }
}
