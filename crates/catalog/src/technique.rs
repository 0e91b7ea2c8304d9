use crate::technique;

/// One technique or sub-technique of ATT&CK Enterprise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Technique {
    /// Such as `T1003` or `T1003.002`.
    pub id: &'static str,
    /// Its own name, without its parent's: `Security Account Manager`.
    pub name: &'static str,
    /// Short names of the tactics that it serves: `credential-access`.
    pub tactics: Vec<&'static str>,
    /// Platforms that it is seen on: `Windows`.
    pub platforms: Vec<&'static str>,
    /// The technique that a sub-technique belongs to.
    pub parent: Option<&'static str>,
    /// Whether ATT&CK no longer keeps it, without a successor.
    pub deprecated: bool,
    /// The technique that took its place.
    pub revoked_by: Option<&'static str>,
}

impl Technique {
    /// Its page at MITRE: `https://attack.mitre.org/techniques/T1003/002/`.
    pub fn url(&self) -> String {
        format!("https://attack.mitre.org/techniques/{}/", self.id.replace('.', "/"))
    }

    /// The name with its parent's before it: `OS Credential Dumping: Security Account Manager`.
    pub fn full_name(&self) -> String {
        match self.parent.and_then(technique) {
            Some(parent) => format!("{}: {}", parent.name, self.name),
            None => self.name.to_owned(),
        }
    }

    /// Whether ATT&CK no longer keeps it: deprecated, or revoked for another.
    pub fn is_withdrawn(&self) -> bool {
        self.deprecated || self.revoked_by.is_some()
    }

    /// Whether it is one of a parent's variants.
    pub fn is_sub_technique(&self) -> bool {
        self.parent.is_some()
    }
}
