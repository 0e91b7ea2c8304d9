use crate::{Technique, technique, techniques};

/// What an id that doesn't exist may have meant: the same characters otherwise written (`t1003002`), the parent of an unknown
/// sub-technique (`T1027.999`), or the technique of that name.
pub fn suggest(label: &str) -> Option<&'static Technique> {
    let plain = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    let wanted = plain(label);
    let written = techniques().iter().find(|technique| plain(technique.id) == wanted);
    let named = || techniques().iter().find(|technique| plain(technique.name) == wanted || plain(&technique.full_name()) == wanted);
    let parent = || label.trim().split_once('.').and_then(|(parent, _)| technique(&parent.to_uppercase()));
    written.or_else(named).or_else(parent).filter(|found| found.id != label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_found() {
        for (label, wanted) in [
            ("t1003002", "T1003.002"),
            (" T1003.002 ", "T1003.002"),
            ("T1003/002", "T1003.002"),
            ("T1027.999", "T1027"),
            ("security account manager", "T1003.002"),
            ("System Network Connections Discovery", "T1049"),
        ] {
            assert_eq!(suggest(label).map(|technique| technique.id), Some(wanted), "{label}");
        }
        for label in ["", "T9999", "nothing of the kind", "T1049", "."] {
            assert_eq!(suggest(label).map(|technique| technique.id), None, "{label}");
        }
    }
}
