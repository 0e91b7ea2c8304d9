//! Plain values in place of what a source leaves open. Attacks and benign lines draw them from the same lists, so that none of them gives a
//! label away.

const USERS: [&str; 12] =
    ["alice", "bob", "jdoe", "mkowalski", "svc_backup", "deploy", "bwayne", "kmartin", "jsmith", "administrator", "tnguyen", "lfischer"];

/// A user's name, the same for the same seed.
pub(super) fn user(seed: &str) -> &'static str {
    // FNV-1a.
    let hash = seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    USERS[(hash >> 7) as usize % USERS.len()]
}
