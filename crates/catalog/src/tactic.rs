/// A tactic of ATT&CK Enterprise: what an intruder is after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tactic {
    /// Such as `TA0006`.
    pub id: &'static str,
    /// `Credential Access`.
    pub name: &'static str,
    /// As techniques name it: `credential-access`.
    pub shortname: &'static str,
}

const fn tactic(id: &'static str, name: &'static str, shortname: &'static str) -> Tactic {
    Tactic { id, name, shortname }
}

/// All tactics, in the order of ATT&CK's matrix.
pub const TACTICS: [Tactic; 14] = [
    tactic("TA0043", "Reconnaissance", "reconnaissance"),
    tactic("TA0042", "Resource Development", "resource-development"),
    tactic("TA0001", "Initial Access", "initial-access"),
    tactic("TA0002", "Execution", "execution"),
    tactic("TA0003", "Persistence", "persistence"),
    tactic("TA0004", "Privilege Escalation", "privilege-escalation"),
    tactic("TA0005", "Defense Evasion", "defense-evasion"),
    tactic("TA0006", "Credential Access", "credential-access"),
    tactic("TA0007", "Discovery", "discovery"),
    tactic("TA0008", "Lateral Movement", "lateral-movement"),
    tactic("TA0009", "Collection", "collection"),
    tactic("TA0011", "Command and Control", "command-and-control"),
    tactic("TA0010", "Exfiltration", "exfiltration"),
    tactic("TA0040", "Impact", "impact"),
];

#[cfg(test)]
mod tests {
    use super::TACTICS;

    #[test]
    fn techniques_and_tactics_know_each_other() {
        let used = |shortname: &str| crate::techniques().iter().any(|technique| technique.tactics.contains(&shortname));
        assert!(TACTICS.iter().all(|tactic| used(tactic.shortname)));
        let known = |shortname: &str| TACTICS.iter().any(|tactic| tactic.shortname == shortname);
        assert!(crate::techniques().iter().flat_map(|technique| &technique.tactics).all(|shortname| known(shortname)));
    }
}
