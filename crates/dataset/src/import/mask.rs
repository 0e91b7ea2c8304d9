//! Takes out of a text what names the kit that it comes from: its folders, its names, and the ids of techniques. A model that saw them would
//! learn the kit and not the attack.

/// Words of the kits, longest first, and what stands in their place; a word that begins with a capital keeps it.
const WORDS: [(&str, &str); 12] = [
    ("atomic-red-team", "tools"),
    ("atomic red team", "tools"),
    ("atomic_red_team", "tools"),
    ("atomicredteam", "tools"),
    ("externalpayloads", "payloads"),
    ("redcanaryco", "acme"),
    ("red canary", "acme"),
    ("redcanary", "acme"),
    ("atomics", "tools"),
    ("atomic", "item"),
    ("stockpile", "tools"),
    ("caldera", "acme"),
];

/// The text without the kit. `windows` decides how its folder is written.
pub(super) fn mask(text: &str, windows: bool) -> String {
    let root = if windows { "C:\\Tools" } else { "/opt/tools" };
    let mut text = text.to_owned();
    for name in ["$env:PathToAtomicsFolder", "%PathToAtomicsFolder%", "${PathToAtomicsFolder}", "$PathToAtomicsFolder", "PathToAtomicsFolder"] {
        text = replace(&text, name, |_| root.to_owned());
    }
    for name in ["C:\\AtomicRedTeam\\atomics", "$env:HOMEDRIVE\\AtomicRedTeam\\atomics", "C:\\AtomicRedTeam"] {
        text = replace(&text, name, |_| root.to_owned());
    }
    for separator in ["\\", "/"] {
        text = replace(&text, &format!("{separator}..{separator}ExternalPayloads"), |_| String::new());
    }
    text = without_ids(&text, root);
    for (word, plain) in WORDS {
        text = replace(&text, word, |found| if found.starts_with(|c: char| c.is_uppercase()) { capitalised(plain) } else { plain.to_owned() });
    }
    text
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

/// Every occurrence of `wanted`, in any case of ASCII letters.
fn replace(text: &str, wanted: &str, with: impl Fn(&str) -> String) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = find(rest, wanted) {
        let end = at + wanted.len();
        masked.push_str(&rest[..at]);
        masked.push_str(&with(&rest[at..end]));
        rest = &rest[end..];
    }
    masked + rest
}

/// `wanted` is ASCII, so that what is found begins and ends between characters.
fn find(text: &str, wanted: &str) -> Option<usize> {
    text.as_bytes().windows(wanted.len()).position(|part| part.eq_ignore_ascii_case(wanted.as_bytes()))
}

/// Technique ids: a folder of the kit named so goes, any other becomes `data`.
fn without_ids(text: &str, root: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((start, end)) = id(rest) {
        masked.push_str(&rest[..start]);
        let in_kit = masked.strip_suffix(['\\', '/']).is_some_and(|before| before.ends_with(root) || before.ends_with("/atomics"));
        let after = rest[end..].starts_with(['\\', '/']);
        if in_kit && after {
            masked.pop();
        } else {
            masked.push_str("data");
        }
        rest = &rest[end..];
    }
    masked + rest
}

/// Where the first technique id stands: `T1003`, with `.002`, `_002` or `-002`, in any case, not inside of a word before it nor a number.
fn id(text: &str) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let digits = |from: usize, count: usize| bytes.len() >= from + count && bytes[from..from + count].iter().all(u8::is_ascii_digit);
    (0..bytes.len()).find_map(|at| {
        let begins = matches!(bytes[at], b'T' | b't') && (at == 0 || !bytes[at - 1].is_ascii_alphanumeric());
        if !begins || !digits(at + 1, 4) {
            return None;
        }
        let sub = bytes.get(at + 5).is_some_and(|byte| matches!(byte, b'.' | b'_' | b'-')) && digits(at + 6, 3);
        let end = if sub { at + 9 } else { at + 5 };
        (!bytes.get(end).is_some_and(u8::is_ascii_digit)).then_some((at, end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_kit_is_left() {
        for (text, windows, wanted) in [
            (r"PathToAtomicsFolder\T1001.002\bin\kitten.jpg", true, r"C:\Tools\bin\kitten.jpg"),
            (r#""$PathToAtomicsFolder\T1547.001\src\a.vbs""#, true, r#""C:\Tools\src\a.vbs""#),
            (r"PathToAtomicsFolder\..\ExternalPayloads\x.exe", true, r"C:\Tools\x.exe"),
            ("PathToAtomicsFolder/T1003.007/src/x.sh", false, "/opt/tools/src/x.sh"),
            ("/tmp/T1087.001.txt", false, "/tmp/data.txt"),
            (r"%temp%\t1053_005_OnLogon.xml T1136", true, r"%temp%\data_OnLogon.xml data"),
            (
                "https://github.com/redcanaryco/atomic-red-team/raw/master/atomics/T1547.001/src/D.bat",
                true,
                "https://github.com/acme/tools/raw/master/tools/src/D.bat",
            ),
            (r#"/V "Atomic Red Team" /D "C:\Path\AtomicRedTeam.exe""#, true, r#"/V "Tools" /D "C:\Path\Tools.exe""#),
            (r"C:\AtomicRedTeam\atomics\T1218.010\src\R.sct", true, r"C:\Tools\src\R.sct"),
            ("$env:TMP\\atomictest\\ é", true, "$env:TMP\\itemtest\\ é"),
            ("net user /domain ST1003 T10031 at1003 T100", true, "net user /domain ST1003 T10031 at1003 T100"),
        ] {
            assert_eq!(mask(text, windows), wanted, "{text}");
        }
    }
}
