//! Which side of the split a template belongs to: templates that make near duplicates of each other stay together.

use crate::{Grammar, Random};
use std::collections::{BTreeMap, BTreeSet};

/// A side of the split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// 80 % of the rows.
    Train,
    /// 10 %: for choosing epochs, temperatures and thresholds.
    Validation,
    /// 10 %: looked at last.
    Test,
}

impl Side {
    /// All sides, the largest first.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// The stem of its file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// Expansions looked at to find the templates that make near duplicates.
const PROBES: usize = 40;

/// What stays of a line when digits, GUIDs, case and white space don't count (nor names, where `§` stands for them).
pub fn near_duplicate_key(text: &str) -> String {
    let mut key = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if let Some(after) = strip_guid(rest) {
            rest = after;
            continue;
        }
        if !character.is_ascii_digit() && !character.is_whitespace() {
            key.extend(character.to_lowercase());
        }
        rest = &rest[character.len_utf8()..];
    }
    key
}

/// The text after the GUID that it begins with.
fn strip_guid(text: &str) -> Option<&str> {
    const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
    let mut rest = text;
    for (index, length) in GROUPS.into_iter().enumerate() {
        if index > 0 {
            rest = rest.strip_prefix('-')?;
        }
        let (group, after) = rest.split_at_checked(length)?;
        if !group.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        rest = after;
    }
    Some(rest)
}

/// The side of each template, in the order of the grammar: within each label, groups of templates that share a key are
/// shuffled and dealt out, one in ten to validation and to test each. A label's largest group is learnt from rather than measured.
pub(crate) fn sides(grammar: &Grammar, seed: u64) -> Vec<Side> {
    let groups = groups(grammar, seed);
    let mut by_label: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (template, &group) in grammar.templates().iter().zip(&groups) {
        by_label.entry(&template.label).or_default().insert(group);
    }
    let mut size = vec![0usize; groups.len()];
    groups.iter().for_each(|&group| size[group] += 1);
    let mut side_of_group: BTreeMap<usize, Side> = BTreeMap::new();
    let mut random = Random::new(seed, 2);
    for members in by_label.values() {
        let mut members: Vec<usize> = members.iter().copied().collect();
        random.shuffle(&mut members);
        // The largest groups are dealt last: they land in train.
        members.sort_by_key(|&group| size[group]);
        let total: usize = members.iter().map(|&group| size[group]).sum();
        let largest = members.len() - 1;
        let mut dealt = 0;
        for (place, group) in members.into_iter().enumerate() {
            let side = match dealt * 10 {
                _ if place == largest => Side::Train,
                tenths if tenths < total => Side::Test,
                tenths if tenths < 2 * total => Side::Validation,
                _ => Side::Train,
            };
            side_of_group.entry(group).or_insert(side);
            dealt += size[group];
        }
    }
    groups.iter().map(|group| side_of_group[group]).collect()
}

/// A group number for each template: the smallest index among those that it is joined with.
fn groups(grammar: &Grammar, seed: u64) -> Vec<usize> {
    let mut parents: Vec<usize> = (0..grammar.templates().len()).collect();
    let mut owners: BTreeMap<String, usize> = BTreeMap::new();
    let mut random = Random::new(seed, 1);
    for (index, template) in grammar.templates().iter().enumerate() {
        for _ in 0..PROBES {
            let key = near_duplicate_key(&template.expand(grammar, &mut random).masked);
            let owner = *owners.entry(key).or_insert(index);
            let (a, b) = (root(&parents, owner), root(&parents, index));
            parents[a.max(b)] = a.min(b);
        }
    }
    (0..parents.len()).map(|index| root(&parents, index)).collect()
}

fn root(parents: &[usize], mut index: usize) -> usize {
    while parents[index] != index {
        index = parents[index];
    }
    index
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Side, near_duplicate_key, sides};
    use crate::Grammar;
    use std::collections::BTreeSet;

    #[test]
    fn every_label_is_learnt_from() {
        let grammar = Grammar::embedded().unwrap();
        let labels = |side: Option<Side>| -> BTreeSet<&str> {
            let rows = grammar.templates().iter().zip(sides(&grammar, 7));
            rows.filter(|(_, of)| side.is_none_or(|side| side == *of)).map(|(template, _)| template.label.as_str()).collect()
        };
        assert_eq!(labels(Some(Side::Train)), labels(None));
    }

    #[test]
    fn digits_guids_case_and_blanks_do_not_count() {
        let key = near_duplicate_key("dllhost.exe /Processid:{AB8902B4-09CA-4BB6-B78D-A8F59079A8D5}");
        assert_eq!(key, "dllhost.exe/processid:{}");
        assert_eq!(key, near_duplicate_key("DllHost.exe  /Processid:{3eb3c877-1f16-487c-9050-104dbcd66683}"));
        assert_eq!(near_duplicate_key("netstat -ano 5"), near_duplicate_key("netstat -ano 60"));
        assert_ne!(near_duplicate_key("deadbeef-0000-0000-0000"), near_duplicate_key("-"));
    }
}
