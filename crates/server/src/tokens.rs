//! Who may do what: bearer tokens, kept as hashes.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What a token allows; each role includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Ask for models, techniques and metrics.
    Read,
    /// Classify, and mark findings.
    Classify,
    /// Load models again.
    Admin,
}

impl Role {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "read" => Self::Read,
            "classify" => Self::Classify,
            "admin" => Self::Admin,
            _ => return None,
        })
    }
}

/// The tokens that are let in. Without any, everybody is.
#[derive(Debug, Default, Clone)]
pub struct Tokens(Vec<(Role, [u8; 32])>);

impl Tokens {
    /// Reads `role:sha256` lines; blank lines and those that begin with `#` are skipped.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
        let entry = |(number, line): (usize, &str)| {
            let (role, hash) = line.split_once(':').ok_or(format!("line {number}: role:sha256 is wanted"))?;
            let role = Role::of(role.trim()).ok_or(format!("line {number}: the role is read, classify or admin, not {role:?}"))?;
            let hash = bytes(hash.trim()).ok_or(format!("line {number}: the hash is 64 hexadecimal digits"))?;
            Ok((role, hash))
        };
        let tokens: Result<Vec<_>, String> = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).map(entry).collect();
        match tokens {
            Ok(tokens) if tokens.is_empty() => Err("there is no token in it; attackline serve --new-token classify makes one".into()),
            other => other.map(Self),
        }
    }

    /// Whether everybody is let in.
    pub fn is_open(&self) -> bool {
        self.0.is_empty()
    }

    /// What the value of an `Authorization` header allows; the time that it takes tells nothing of the tokens.
    pub fn role(&self, authorization: Option<&str>) -> Option<Role> {
        let (scheme, token) = authorization?.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let token = token.trim();
        let hash = Sha256::digest(token.as_bytes());
        self.0.iter().fold(None, |role, (own, known)| if bool::from(known.ct_eq(hash.as_slice())) { role.max(Some(*own)) } else { role })
    }
}

/// The line of the tokens' file for a token.
pub fn entry(role: &str, token: &str) -> Option<String> {
    Role::of(role)?;
    Some(format!("{role}:{}", hex(&Sha256::digest(token.as_bytes()))))
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(digits: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    for (place, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[place * 2..place * 2 + 2], 16).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn tokens_open_what_their_role_says() {
        let file = format!("# ours\n\n{}\n{}\n", entry("classify", "one").unwrap(), entry("admin", "two").unwrap());
        let tokens = Tokens::parse(&file).unwrap();
        assert_eq!(tokens.role(Some("Bearer one")), Some(Role::Classify));
        assert_eq!(tokens.role(Some("bearer two")), Some(Role::Admin));
        for wrong in [None, Some("Bearer three"), Some("Bearer "), Some("one"), Some("Basic one")] {
            assert_eq!(tokens.role(wrong), None, "{wrong:?}");
        }
        assert!(Role::Admin > Role::Classify && Role::Classify > Role::Read && !tokens.is_open() && Tokens::default().is_open());
    }

    #[test]
    fn what_is_no_token_is_said() {
        for (text, part) in [("", "no token"), ("x", "line 1: role"), ("# a\nroot:00", "line 2: the role"), ("read:abc", "64"), ("read:éé", "64")] {
            assert!(Tokens::parse(text).unwrap_err().contains(part), "{text}");
        }
        assert_eq!(entry("root", "x"), None);
    }
}
