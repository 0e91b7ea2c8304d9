use crate::{Technique, technique};
use std::{collections::HashMap, sync::OnceLock};

/// Ids of other versions of ATT&CK, each with the technique of ours that has its place: older ones that ATT&CK has revoked, followed to the end
/// of their chains, and those that newer versions have given to techniques of ours.
const TABLE: &str = include_str!("../data/attack-other-versions.tsv");

static OTHERS: OnceLock<HashMap<&str, &str>> = OnceLock::new();

fn others() -> &'static HashMap<&'static str, &'static str> {
    OTHERS.get_or_init(|| TABLE.lines().skip(1).filter_map(|line| line.split_once('\t')).collect())
}

/// The technique that an id means, whichever version of ATT&CK it is from: `T1214` and `T1552.002` are the same. Nothing for what was
/// given up without a successor and for what this version does not know.
pub fn from_any_version(id: &str) -> Option<&'static Technique> {
    let id = id.trim().to_ascii_uppercase();
    let ours = technique(&id).filter(|found| !found.is_withdrawn());
    ours.or_else(|| others().get(id.as_str()).and_then(|now| technique(now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_leads_to_a_technique_in_use_and_hides_none() {
        assert_eq!(TABLE.lines().next(), Some("id\ttechnique"));
        assert_eq!((TABLE.lines().count() - 1, others().len()), (147, 147));
        for (id, now) in others() {
            assert!(technique(id).is_none(), "{id} is one of ours");
            assert!(technique(now).is_some_and(|found| !found.is_withdrawn()), "{id} leads to {now}");
        }
    }

    #[test]
    fn ids_of_older_and_newer_versions_are_ours() {
        for (id, wanted) in [
            ("T1003.002", Some("T1003.002")),
            (" t1003.002\n", Some("T1003.002")),
            ("T1214", Some("T1552.002")),
            ("T1562.001", Some("T1562.001")),
            ("T1685", Some("T1562.001")),
            ("T1685.006", Some("T1070.002")),
            ("T1684.001", Some("T1656")),
            ("T1064", None),
            ("T1027.018", None),
            ("T0000", None),
            ("Benign", None),
            ("", None),
        ] {
            assert_eq!(from_any_version(id).map(|found| found.id), wanted, "{id}");
        }
    }
}
