use crate::{Answered, Rate};
use serde::Serialize;
use std::collections::BTreeMap;

/// The figures of rows that share a property.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// The property, such as `platform`.
    pub column: String,
    /// Its value, such as `windows`.
    pub value: String,
    /// Of the attack rows, those reported as some attack.
    pub found: Rate,
    /// Of the attack rows, those whose most probable label is right, whatever the threshold.
    pub top_1: Rate,
    /// Of the benign rows, those reported as an attack.
    pub false_positives: Rate,
}

/// Upper bounds of the groups of line length, in characters.
const LENGTHS: [usize; 4] = [40, 80, 160, 320];

/// The group of a line's length in characters: `up to 40`, `41–80` … `over 320`.
pub fn length_group(characters: usize) -> String {
    length_name(LENGTHS.partition_point(|bound| *bound < characters))
}

fn length_name(place: usize) -> String {
    match place {
        0 => format!("up to {}", LENGTHS[0]),
        place if place == LENGTHS.len() => format!("over {}", LENGTHS[place - 1]),
        place => format!("{}–{}", LENGTHS[place - 1] + 1, LENGTHS[place]),
    }
}

/// The order in which values are shown: names as they are, lengths as they grow.
fn order(column: &str, value: &str) -> usize {
    if column == "length" { (0..=LENGTHS.len()).position(|place| length_name(place) == value).unwrap_or(0) } else { 0 }
}

/// Figures by group. `properties` gives the columns and values of a row; an empty value belongs to no group.
pub fn by_group<'a, V: AsRef<str>>(answered: &Answered, properties: impl Fn(usize) -> Vec<(&'a str, V)>) -> Vec<Group> {
    let mut groups = BTreeMap::<(String, usize, String), Group>::new();
    for row in 0..answered.len() {
        for (column, value) in properties(row) {
            let value = value.as_ref();
            if value.is_empty() {
                continue;
            }
            let new = || Group {
                column: column.to_owned(),
                value: value.to_owned(),
                found: Rate::default(),
                top_1: Rate::default(),
                false_positives: Rate::default(),
            };
            let group = groups.entry((column.to_owned(), order(column, value), value.to_owned())).or_insert_with(new);
            let reported = Some(answered.predicted()[row]) != answered.benign();
            if answered.is_attack(row) {
                group.found.add(reported);
                group.top_1.add(answered.accepts(row, answered.best(row)));
            } else {
                group.false_positives.add(reported);
            }
        }
    }
    groups.into_values().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lengths_stand_in_order_and_attack_and_benign_apart() {
        assert_eq!([0, 40, 41, 320, 321].map(length_group), ["up to 40", "up to 40", "41–80", "161–320", "over 320"]);
        let labels: Vec<String> = ["Benign", "T1049"].map(String::from).to_vec();
        let truths: Vec<Vec<String>> = ["T1049", "Benign", "T1049", "Benign"].map(|name| vec![name.to_owned()]).to_vec();
        let answered = Answered::new(&labels, Some(0), &truths, vec![0.1, 0.9, 0.2, 0.8, 0.9, 0.1, 0.9, 0.1], 0.5).unwrap();
        let groups =
            by_group(&answered, |row| vec![("length", length_group([400, 90, 20, 20][row])), ("hard", if row == 1 { "true" } else { "" }.into())]);
        let shown: Vec<(&str, &str, Rate, Rate)> =
            groups.iter().map(|group| (group.column.as_str(), group.value.as_str(), group.found, group.false_positives)).collect();
        assert_eq!(
            shown,
            [
                ("hard", "true", Rate::default(), Rate::new(1, 1)),
                ("length", "up to 40", Rate::new(0, 1), Rate::new(0, 1)),
                ("length", "81–160", Rate::default(), Rate::new(1, 1)),
                ("length", "over 320", Rate::new(1, 1), Rate::default()),
            ]
        );
    }
}
