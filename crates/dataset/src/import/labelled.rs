//! Rows that have their labels already: of files made by hand, or of earlier imports that are put together.

use super::files::{files, has_extension};
use super::{Import, ImportOptions, ImportedRow};
use crate::read_labelled;
use std::path::Path;

pub(super) fn read(path: &Path, options: &ImportOptions, import: &mut Import) {
    let wanted = |path: &Path| has_extension(path, &["csv", "ndjson", "jsonl", "parquet"]);
    for file in files(path, "labelled files (*.csv, *.ndjson, *.jsonl, *.parquet)", wanted, import) {
        match read_labelled(&file) {
            Ok(rows) => {
                import.files += 1;
                for row in rows {
                    let mut row = ImportedRow::from(row);
                    if let Some(licence) = &options.licence {
                        row.licence.clone_from(licence);
                    }
                    if let (Some(repository), true) = (&options.repository, row.source.is_empty()) {
                        row.source = format!("{repository}:{}", file.file_name().unwrap_or_default().to_string_lossy());
                    }
                    import.take(row);
                }
            }
            Err(error) => import.errors.push(error),
        }
    }
}
