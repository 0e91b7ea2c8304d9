use super::{BENIGN, ImportedRow};
use std::collections::HashMap;

/// Rows without repetitions.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// One row a text, in the order of the first of each.
    pub rows: Vec<ImportedRow>,
    /// Rows whose text another one had already.
    pub repeated: usize,
    /// Benign rows left out because an attack has the same text.
    pub contradicted: usize,
}

/// One row a text: the first one's, with the labels of all. A text that an attack has is no benign one.
pub fn merge(rows: Vec<ImportedRow>) -> Merged {
    let mut merged = Merged::default();
    let mut places: HashMap<String, usize> = HashMap::new();
    for row in rows {
        let Some(&place) = places.get(&row.text) else {
            places.insert(row.text.clone(), merged.rows.len());
            merged.rows.push(row);
            continue;
        };
        let known = &mut merged.rows[place];
        match (known.label == BENIGN, row.label == BENIGN) {
            (true, false) => {
                *known = row;
                merged.contradicted += 1;
            }
            (false, true) => merged.contradicted += 1,
            _ => {
                let labels = known.all_labels().into_iter().chain(row.all_labels()).collect();
                known.set_labels(labels);
                merged.repeated += 1;
            }
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str, label: &str, source: &str) -> ImportedRow {
        ImportedRow { text: text.into(), label: label.into(), source: source.into(), ..ImportedRow::default() }
    }

    #[test]
    fn one_text_is_one_row_with_all_its_labels() {
        let rows = [("a", "T1049", "x"), ("b", "Benign", "x"), ("a", "T1082", "y"), ("a", "T1049", "z"), ("b", "Benign", "y")];
        let merged = merge(rows.map(|(text, label, source)| row(text, label, source)).to_vec());
        assert_eq!((merged.rows.len(), merged.repeated, merged.contradicted), (2, 3, 0));
        assert_eq!((merged.rows[0].label.as_str(), merged.rows[0].source.as_str()), ("T1049", "x"));
        assert_eq!(merged.rows[0].labels, ["T1049", "T1082"]);
        assert!(merged.rows[1].labels.is_empty());
    }

    #[test]
    fn a_benign_row_never_has_an_attacks_text() {
        for order in [["Benign", "T1049", "Benign"], ["T1049", "Benign", "Benign"], ["Benign", "Benign", "T1049"]] {
            let merged = merge(order.iter().map(|label| row("same", label, "")).collect());
            assert_eq!((merged.rows.len(), merged.rows[0].label.as_str(), merged.repeated + merged.contradicted), (1, "T1049", 2), "{order:?}");
        }
    }
}
