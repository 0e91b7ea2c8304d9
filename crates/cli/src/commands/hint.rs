//! Labels that are not known, as messages name them.

use attackline_model::BENIGN;
use std::collections::BTreeMap;

/// How many labels a message lists.
const LISTED: usize = 8;

/// What an unknown label may have meant, in brackets after a blank; or nothing.
pub fn hint(label: &str) -> String {
    if label.trim().eq_ignore_ascii_case(BENIGN) && label != BENIGN {
        return format!(" (did you mean {BENIGN}?)");
    }
    attackline_catalog::suggest(label).map_or_else(String::new, |meant| format!(" (did you mean {}, {}?)", meant.id, meant.full_name()))
}

/// The commonest labels with their rows and what they may have meant, the others counted.
pub fn commonest(counts: &BTreeMap<String, usize>) -> String {
    let mut order: Vec<(&String, &usize)> = counts.iter().collect();
    order.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    cut(order.iter().map(|(label, rows)| format!("{label}: {rows}{}", hint(label))).collect())
}

/// The first of a list, and how many more there are.
pub fn cut(mut list: Vec<String>) -> String {
    let more = list.len().saturating_sub(LISTED);
    list.truncate(LISTED);
    if more > 0 {
        list.push(format!("and {more} more"));
    }
    list.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commonest_come_first_with_what_they_may_have_meant() {
        let counts = [("t1049", 1), ("benign", 3), ("nothing", 1)].map(|(label, rows)| (label.to_owned(), rows));
        let said = commonest(&BTreeMap::from(counts));
        assert_eq!(said, "benign: 3 (did you mean Benign?), nothing: 1, t1049: 1 (did you mean T1049, System Network Connections Discovery?)");
        assert_eq!(cut((0..10).map(|label| label.to_string()).collect()), "0, 1, 2, 3, 4, 5, 6, 7, and 2 more");
    }
}
