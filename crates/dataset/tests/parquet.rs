//! Labelled rows in Parquet, as pyarrow writes them (tests/data/make_parquet.py), whole and damaged.
#![allow(clippy::unwrap_used)]

use attackline_dataset::read_labelled;
use std::path::PathBuf;

fn file(compression: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/rows-{compression}.parquet"))
}

#[test]
fn every_compression_gives_the_rows() {
    for compression in ["snappy", "zstd", "gzip", "lz4", "none"] {
        let rows = read_labelled(&file(compression)).unwrap();
        assert_eq!(rows.len(), 3, "{compression}");
        assert_eq!((rows[0].text.as_str(), rows[0].label.as_str(), rows[1].hard), ("netstat -ano", "T1049", true));
        assert_eq!(rows[2].all_labels(), ["T1087.001", "T1049"]);
    }
}

#[test]
fn damage_is_an_error_that_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.parquet");
    let whole = std::fs::read(file("snappy")).unwrap();
    std::panic::set_hook(Box::new(|_| {}));
    let mut refused = 0;
    for cut in (4..whole.len()).step_by(37) {
        std::fs::write(&path, &whole[..cut]).unwrap();
        assert!(read_labelled(&path).unwrap_err().to_string().contains("damaged.parquet"), "cut at {cut}");
    }
    for place in 4..whole.len() {
        let mut bytes = whole.clone();
        bytes[place] ^= 0xff;
        std::fs::write(&path, bytes).unwrap();
        // Where the damage is in a text or a statistic, the rows are still rows.
        if let Err(error) = read_labelled(&path) {
            assert!(error.to_string().contains("damaged.parquet"), "{error}");
            refused += 1;
        }
    }
    assert!(refused > whole.len() / 4, "{refused} of {}", whole.len());
}
