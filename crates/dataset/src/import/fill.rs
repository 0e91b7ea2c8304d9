//! Filling in what a source leaves open, with plain values. Attacks and benign lines draw them from the same lists, so that none of them gives a
//! label away.

const USERS: [&str; 12] =
    ["alice", "bob", "jdoe", "mkowalski", "svc_backup", "deploy", "bwayne", "kmartin", "jsmith", "administrator", "tnguyen", "lfischer"];

/// A user's name, the same for the same seed.
pub(super) fn user(seed: &str) -> &'static str {
    // FNV-1a.
    let hash = seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    USERS[(hash >> 7) as usize % USERS.len()]
}

/// The text with each part that stands between `open` and `close` replaced, them included; where there is no value, it stays.
pub(super) fn fill(text: &str, open: &str, close: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(open) {
        filled.push_str(before);
        let found = after.split_once(close).and_then(|(inner, after)| Some((value(inner)?, after)));
        let (part, after) = found.unwrap_or_else(|| (open.to_owned(), after));
        filled.push_str(&part);
        rest = after;
    }
    filled + rest
}
