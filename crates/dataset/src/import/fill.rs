//! Filling in what a source leaves open, with plain values. Attacks and benign lines draw them from the same lists, so that none of them gives a
//! label away.

use super::LONGEST_SCRIPT;
use serde::Deserialize;
use std::collections::BTreeMap;

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

/// What a test leaves open, and what stands for it.
#[derive(Deserialize)]
pub(super) struct Argument {
    default: Option<String>,
}

/// Arguments may name each other, though not without end.
const DEEPEST: usize = 4;

/// The command with the arguments' defaults. Nothing if that is too long.
pub(super) fn substituted(command: &str, arguments: Option<&BTreeMap<String, Argument>>) -> Option<String> {
    let mut text = command.to_owned();
    for _ in 0..DEEPEST {
        for (name, argument) in arguments.into_iter().flatten() {
            let (place, value) = (format!("#{{{name}}}"), argument.default.as_deref().unwrap_or_default().trim());
            let places = text.matches(&place).count();
            if text.len() + places * value.len() > LONGEST_SCRIPT {
                return None;
            }
            if places > 0 {
                text = text.replace(&place, value);
            }
        }
    }
    Some(with_facts(&text))
}

/// What a fact is likely to be, by the end of its name.
const FACTS: [(&str, &str); 16] = [
    ("server", "http://10.20.30.40:8888"),
    ("user.password", "Winter2024!"),
    ("password", "Winter2024!"),
    ("domain.name", "corp.local"),
    ("domain", "corp.local"),
    ("ip", "10.20.30.41"),
    ("ip.address", "10.20.30.41"),
    ("fqdn", "srv02.corp.local"),
    ("remote.host", "srv02"),
    ("host.name", "srv02"),
    ("port", "8443"),
    ("process.id", "4312"),
    ("pid", "4312"),
    ("paw", "kqzvnt"),
    ("organization_name", "contoso.com"),
    ("file.extension", "docx"),
];

/// The text with a plain value for each `#{fact}`; what stands in square brackets after its name chooses among values.
fn with_facts(text: &str) -> String {
    fill(text, "#{", "}", |fact| {
        let name = fact.split('[').next().unwrap_or(fact).trim();
        (!fact.contains(['\n', '{'])).then(|| value(name).to_owned())
    })
}

fn value(fact: &str) -> &str {
    let ends = |end: &str| fact == end || fact.strip_suffix(end).is_some_and(|before| before.ends_with('.'));
    if let Some((_, value)) = FACTS.iter().find(|(end, _)| ends(end)) {
        return value;
    }
    if ends("user.name") || ends("username") || ends("user") {
        return user(fact);
    }
    fact.rsplit('.').next().filter(|last| !last.is_empty()).unwrap_or("item")
}
