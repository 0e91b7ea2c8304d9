use crate::Technique;
use std::sync::OnceLock;

const TABLE: &str = include_str!("../data/attack-enterprise-18.1.tsv");

static TECHNIQUES: OnceLock<Vec<Technique>> = OnceLock::new();

/// All techniques and sub-techniques, by id.
pub fn techniques() -> &'static [Technique] {
    TECHNIQUES.get_or_init(|| {
        let mut techniques: Vec<Technique> = TABLE.lines().skip(1).map(row).collect();
        techniques.sort_by_key(|technique| technique.id);
        techniques
    })
}

/// The technique with this id, written as ATT&CK does: `T1003.002`.
pub fn technique(id: &str) -> Option<&'static Technique> {
    let all = techniques();
    let index = all.binary_search_by(|technique| technique.id.cmp(id)).ok()?;
    Some(&all[index])
}

fn row(line: &'static str) -> Technique {
    let mut fields = line.split('\t');
    let mut field = || fields.next().expect("the committed table has seven columns, as its test checks");
    let words = |text: &'static str| text.split(',').filter(|word| !word.is_empty()).collect();
    let optional = |text: &'static str| (!text.is_empty()).then_some(text);
    Technique {
        id: field(),
        name: field(),
        tactics: words(field()),
        platforms: words(field()),
        parent: optional(field()),
        deprecated: field() == "true",
        revoked_by: optional(field()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_table_is_whole() {
        assert_eq!(TABLE.lines().next().unwrap(), "id\tname\ttactics\tplatforms\tparent\tdeprecated\trevoked_by");
        assert!(TABLE.lines().all(|line| line.split('\t').count() == 7));
        let living = techniques().iter().filter(|technique| !technique.is_withdrawn());
        let (sub, top): (Vec<_>, Vec<_>) = living.partition(|technique| technique.is_sub_technique());
        assert_eq!((techniques().len(), top.len(), sub.len()), COUNTS);
    }

    /// All rows, then the techniques and the sub-techniques in use: the figures of MITRE's release notes for 18.1.
    const COUNTS: (usize, usize, usize) = (703, 216, 475);

    #[test]
    fn ids_are_distinct_and_every_reference_leads_somewhere() {
        assert!(techniques().windows(2).all(|pair| pair[0].id < pair[1].id));
        for one in techniques() {
            assert_eq!(one.parent, one.id.split_once('.').map(|(parent, _)| parent), "{}", one.id);
            for other in one.parent.iter().chain(&one.revoked_by) {
                assert!(technique(other).is_some(), "{} refers to {other}", one.id);
            }
            assert_eq!(technique(one.id), Some(one));
            assert!(!one.name.is_empty() && (one.deprecated || !one.tactics.is_empty()), "{}", one.id);
        }
    }

    #[test]
    fn looks_up_by_id() {
        let sam = technique("T1003.002").unwrap();
        assert_eq!(sam.full_name(), "OS Credential Dumping: Security Account Manager");
        assert_eq!(sam.url(), "https://attack.mitre.org/techniques/T1003/002/");
        assert_eq!((sam.tactics.as_slice(), sam.platforms.as_slice()), (&["credential-access"][..], &["Windows"][..]));
        let connections = technique("T1049").unwrap();
        assert_eq!(connections.full_name(), "System Network Connections Discovery");
        assert_eq!(connections.url(), "https://attack.mitre.org/techniques/T1049/");
        for unknown in ["", "Benign", "T9999", "t1049", "T1003.2", "T1003.002 "] {
            assert!(technique(unknown).is_none(), "{unknown}");
        }
    }
}
