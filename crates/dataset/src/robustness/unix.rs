//! Unix shells.

use super::text::{insert, insert_in_words, outside_quotes};
use crate::Random;
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Where commands of the base system are.
const FOLDERS: [(&str, &[&str]); 3] = [
    ("/bin/", &["bash", "cat", "chmod", "cp", "echo", "grep", "kill", "ln", "ls", "mkdir", "mv", "ps", "rm", "sed", "sh", "ss", "tar"]),
    ("/usr/bin/", &["awk", "curl", "cut", "find", "getent", "head", "id", "lastlog", "lsof", "sort", "ssh", "sudo", "tail", "wget", "who", "whoami"]),
    ("/usr/sbin/", &["arp", "ifconfig", "iptables", "route", "useradd", "userdel"]),
];

/// Empty quotes or a backslash inside words.
pub(super) fn quoting(line: &str, random: &mut Random) -> String {
    let mark = *random.pick(&["''", "\"\"", "\\"]);
    insert_in_words(line, |_| mark, random)
}

/// `$IFS` for blanks outside quotes. What follows must not be read as part of the name.
pub(super) fn field_separator(line: &str, random: &mut Random) -> String {
    let outside = outside_quotes(line, b"\"'");
    let bytes = line.as_bytes();
    let word = |at: Option<&u8>| at.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"-/._~".contains(byte));
    let places: Vec<usize> =
        (1..bytes.len()).filter(|&at| bytes[at] == b' ' && outside[at] && word(bytes.get(at - 1)) && word(bytes.get(at + 1))).collect();
    // A line with a reserved word would not be read as one any more.
    let reserved =
        line.split_whitespace().any(|word| matches!(word, "if" | "then" | "do" | "for" | "while" | "case" | "in" | "{" | "[[" | "function"));
    if places.is_empty() || reserved || line.contains('=') {
        return line.to_owned();
    }
    let mark = *random.pick(&["${IFS}", "$IFS$9"]);
    let marked = insert(line, &places, |_| "\0", random);
    marked.replace("\0 ", mark)
}

/// Another path to the same program.
pub(super) fn path_variants(line: &str, random: &mut Random) -> Option<String> {
    let (word, rest) = line.split_at(line.find(char::is_whitespace).unwrap_or(line.len()));
    let changed = match word.rsplit_once('/') {
        Some((folder, name)) if word.starts_with('/') => match random.below(3) {
            0 => format!("{folder}/./{name}"),
            1 => format!("{folder}//{name}"),
            _ => format!("{folder}/../{}/{name}", folder.rsplit('/').next().filter(|last| !last.is_empty())?),
        },
        Some(_) => return None,
        None => {
            let folder = FOLDERS.iter().find(|(_, names)| names.contains(&word))?.0;
            format!(
                "{folder}{}{word}",
                random.pick(&["", "./", "../bin/"]).replace("../bin/", if folder == "/usr/sbin/" { "../sbin/" } else { "../bin/" })
            )
        }
    };
    Some(changed + rest)
}

/// The line in base64, read by a shell.
pub(super) fn encoded(line: &str) -> String {
    format!("echo {} | base64 -d | sh", STANDARD.encode(line))
}
