//! What is done to a line before it becomes tokens, the same when training and when answering.

mod spelling;

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use std::borrow::Cow;

/// Longer lines keep this many bytes of their head and half as many of their tail: enough for any model's token limit, and a
/// bound on the tokenizer's work.
const HEAD_BYTES: usize = 8 * 1024;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true),
);

/// The shortest payload worth decoding, in base64 characters.
const SHORTEST_PAYLOAD: usize = 12;

/// What PowerShell takes before a switch's name.
const SWITCH_MARKS: [char; 3] = ['-', '/', '\u{2013}'];

/// How many layers of encoded commands are opened.
const DEPTH: usize = 3;

/// A line as [`prepare`] leaves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared<'a> {
    /// What the tokenizer and the n-grams read.
    pub text: Cow<'a, str>,
    /// Whether the middle of a line that is far too long was left out.
    pub cut: bool,
}

/// Prepares a line for the tokenizer: encoded commands are replaced by what they say, and where PowerShell is started with nothing else, so is
/// the whole line; spellings that a shell takes back are taken back, and a line that is far too long keeps its head and its tail.
pub fn prepare(line: &str) -> Prepared<'_> {
    let (ends, cut) = keep_ends(line);
    let mut text = match opened(&ends) {
        Cow::Owned(opened) => Cow::Owned(opened),
        Cow::Borrowed(_) => ends,
    };
    if let Cow::Owned(plain) = spelling::plain(&text) {
        text = Cow::Owned(plain);
    }
    if cut {
        return Prepared { text, cut };
    }
    match keep_ends(&text) {
        (_, false) => Prepared { text, cut },
        (shorter, true) => Prepared { text: Cow::Owned(shorter.into_owned()), cut: true },
    }
}

/// A line with its encoded commands replaced by what they say, and nothing left out.
pub fn opened(line: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(line);
    for _ in 0..DEPTH {
        match decode_payload(&text) {
            Some(decoded) => text = Cow::Owned(decoded),
            None => break,
        }
    }
    text
}

fn keep_ends(line: &str) -> (Cow<'_, str>, bool) {
    if line.len() <= HEAD_BYTES * 2 {
        return (Cow::Borrowed(line), false);
    }
    let head = line.floor_char_boundary(HEAD_BYTES);
    let tail = line.ceil_char_boundary(line.len() - HEAD_BYTES / 2);
    (Cow::Owned(format!("{} {}", &line[..head], &line[tail..])), true)
}

/// Replaces the first encoded command in `text` by its text; the whole line, where it starts PowerShell with that and nothing else.
fn decode_payload(text: &str) -> Option<String> {
    let mut words = words(text);
    let mut previous = words.next()?;
    for word in words {
        let flag = &text[previous.0..previous.1];
        let is_switch = is_encoded_command_switch(flag);
        let decoded = if is_switch {
            payload(text, word, utf16)
        } else if is_piped_to_base64(text, word) {
            payload(text, word, |bytes| String::from_utf8(bytes.to_vec()).ok())
        } else {
            None
        };
        if let Some((range, decoded)) = decoded {
            let is_last = text[range.1..].chars().all(|c| c.is_whitespace() || c == '"' || c == '\'');
            if is_switch && is_last && !decoded.trim().is_empty() && only_starts_powershell(&text[..previous.0]) {
                return Some(decoded);
            }
            return Some(format!("{}{decoded}{}", &text[..range.0], &text[range.1..]));
        }
        previous = word;
    }
    None
}

/// Byte ranges of the words between white space.
fn words(text: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    text.split_whitespace().map(move |word| {
        let start = word.as_ptr() as usize - text.as_ptr() as usize;
        (start, start + word.len())
    })
}

/// Whether `word` is an abbreviation of PowerShell's `-EncodedCommand` (or its alias `-ec`), with `-` or `/` before it.
fn is_encoded_command_switch(word: &str) -> bool {
    let name = word.trim_start_matches(['"', '\'', ',', '(']).trim_start_matches(SWITCH_MARKS);
    let name = name.trim_end_matches(['"', '\'', ',']);
    let plain: String = name.chars().filter(|c| *c != '^' && *c != '`').collect::<String>().to_ascii_lowercase();
    name.len() < word.len() && !plain.is_empty() && (plain == "ec" || "encodedcommand".starts_with(&plain))
}

/// How far before `<<<` the command begins that reads what stands behind it.
const COMMAND_BYTES: usize = 256;

/// Whether the word at these bytes is what a Unix shell hands to `base64 -d`: `echo … | base64 -d | sh`, `base64 -d <<< …`. Looks at little more
/// than the word, since every word of a text is asked.
fn is_piped_to_base64(text: &str, (start, end): (usize, usize)) -> bool {
    let decodes = |command: &str| {
        let mut words = command.split_whitespace();
        words.next() == Some("base64")
            && words.next().and_then(|option| option.split('|').next()).is_some_and(|option| matches!(option, "-d" | "-D" | "--decode"))
    };
    let within = text[start..end].find('|').map(|bar| start + bar);
    let pipe = within.or_else(|| text[end..].trim_start().starts_with('|').then(|| text.len() - text[end..].trim_start().len()));
    let before = || {
        let head = text[..start].trim_end().strip_suffix("<<<")?;
        let head = &head[head.floor_char_boundary(head.len().saturating_sub(COMMAND_BYTES))..];
        Some(&head[head.rfind("base64")?..])
    };
    pipe.is_some_and(|pipe| decodes(&text[pipe + 1..])) || before().is_some_and(decodes)
}

/// Whether `head` is PowerShell's program and switches, each with a value at most. How a command is handed over says little: management tools
/// encode as much as intruders do.
fn only_starts_powershell(head: &str) -> bool {
    let head = head.trim_start();
    let (program, switches) = match head.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
        Some(quoted) => quoted,
        None => head.split_once(char::is_whitespace).unwrap_or((head, "")),
    };
    let name = program.rsplit(['\\', '/']).next().unwrap_or(program).replace('^', "").to_ascii_lowercase();
    let mut value_may_follow = false;
    let mut is_switch_or_value = |word: &str| {
        let is_switch = word.starts_with(SWITCH_MARKS);
        is_switch | std::mem::replace(&mut value_may_follow, is_switch)
    };
    matches!(name.trim_end_matches(".exe"), "powershell" | "pwsh") && switches.split_whitespace().all(&mut is_switch_or_value)
}

fn utf16(bytes: &[u8]) -> Option<String> {
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    String::from_utf16(&units).ok()
}

/// The base64 in a word and what it says.
fn payload(text: &str, (start, end): (usize, usize), read: impl Fn(&[u8]) -> Option<String>) -> Option<((usize, usize), String)> {
    let word = &text[start..end];
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    let first = word.find(is_base64)?;
    let length = word[first..].find(|c| !is_base64(c)).unwrap_or(word.len() - first);
    if length < SHORTEST_PAYLOAD {
        return None;
    }
    let bytes = BASE64.decode(&word[first..first + length]).ok()?;
    let decoded = read(&bytes)?;
    let readable = decoded.chars().filter(|c| c.is_ascii_graphic() || c.is_ascii_whitespace()).count();
    (readable * 10 >= decoded.chars().count() * 9).then_some(((start + first, start + first + length), decoded))
}

/// Words that sentences have and commands hardly.
const FUNCTION_WORDS: [&str; 16] = ["the", "a", "an", "to", "of", "and", "has", "have", "was", "were", "can", "with", "via", "that", "is", "used"];

/// Whether a text reads as English sentences rather than as a command: it begins with words, not options; of at least four words seven in ten
/// are plain, and one in twelve is such as sentences have.
pub fn is_prose(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().take(200).collect();
    let bare = |word: &&str| word.trim_matches(['.', ',', ';', ':', '(', ')', '"', '\'', '“', '”', '’', '«', '»']).to_lowercase();
    let plain = |word: &&&str| bare(word).chars().all(|letter| letter.is_alphabetic() || letter == '-' || letter == '\'' || letter == '’');
    let starts_plain = words.iter().take(3).all(|word| !word.starts_with(['/', '-'])) && words.first().is_some_and(|word| plain(&word));
    let functions = words.iter().filter(|word| FUNCTION_WORDS.contains(&bare(word).as_str())).count();
    words.len() >= 4 && starts_plain && words.iter().filter(plain).count() * 10 >= words.len() * 7 && functions * 12 >= words.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(command: &str) -> String {
        let bytes: Vec<u8> = command.encode_utf16().flat_map(u16::to_le_bytes).collect();
        BASE64.encode(bytes)
    }

    #[test]
    fn sentences_are_told_from_commands() {
        for text in [
            "The actor used net user to list local accounts.",
            "«Malware» has been downloaded via a spearphishing attachment; it can collect screenshots.",
        ] {
            assert!(is_prose(text), "{text}");
        }
        let commands = [
            "net user /domain",
            "",
            "whoami",
            "cmd /c copy a to b and c",
            "powershell -c \"Get-Process | where { $_.Name -eq 'a' }\"",
            "find . -name a -type f",
        ];
        for text in commands {
            assert!(!is_prose(text), "{text}");
        }
    }

    #[test]
    fn encoded_commands_are_opened() {
        let inner = "Get-ChildItem C:\\Reports";
        for switch in ["-enc", "-EncodedCommand", "/e", "-eC", "-EN^C", "\"-enc\""] {
            let line = format!("powershell.exe -NoP {switch} {} > out.txt", encode(inner));
            assert_eq!(prepare(&line).text, format!("powershell.exe -NoP {} {inner} > out.txt", switch.replace('^', "")), "{switch}");
        }
        let twice = encode(&format!("powershell -e {}", encode(inner)));
        assert_eq!(prepare(&format!("pwsh -enc {twice}; exit")).text, format!("pwsh -enc powershell -e {inner}; exit"));
    }

    #[test]
    fn powershell_with_an_encoded_command_alone_is_what_the_command_says() {
        let inner = "Get-ChildItem C:\\Reports";
        let payload = encode(inner);
        for start in [
            "powershell -e",
            "PowerShell.exe -NoP -NonI -W Hidden -Exec Bypass -Enc",
            r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe /ec",
            r#""C:\Program Files\PowerShell\7\pwsh.exe" -NoLogo -EncodedCommand"#,
        ] {
            assert_eq!(prepare(&format!("{start} {payload}")).text, inner, "{start}");
        }
        assert_eq!(prepare(&format!("pwsh -enc \"{}\"", encode(&format!("powershell -e {payload}")))).text, inner);
        for (line, opened) in [
            (format!("cmd /c powershell -e {payload}"), format!("cmd /c powershell -e {inner}")),
            (format!("powershell -Command a b -e {payload}"), format!("powershell -Command a b -e {inner}")),
        ] {
            assert_eq!(prepare(&line).text, opened);
        }
    }

    #[test]
    fn what_a_unix_shell_decodes_is_opened() {
        let payload = BASE64.encode("cat /etc/hostname");
        for (line, opened) in [
            (format!("echo {payload} | base64 -d | sh"), "echo cat /etc/hostname | base64 -d | sh"),
            (format!("echo '{payload}'|base64 --decode|bash"), "echo 'cat /etc/hostname'|base64 --decode|bash"),
            (format!("base64 -d <<< {payload}"), "base64 -d <<< cat /etc/hostname"),
        ] {
            assert_eq!(prepare(&line).text, opened);
        }
        let line = format!("echo {payload} | base64 -w0");
        assert_eq!(prepare(&line).text, line);
    }

    #[test]
    fn other_lines_stay_as_they_are() {
        for line in
            ["", "gcc -e main -o a.out", "openssl enc -e c29tZXRoaW5nIGVsc2U= x", "powershell -enc !!!!", "-e AAAAAAAAAAAAAAAAAAAAAAAA", "é -enc é"]
        {
            assert!(matches!(prepare(line), Prepared { text: Cow::Borrowed(same), cut: false } if same == line), "{line}");
        }
    }

    #[test]
    fn long_lines_keep_both_ends_at_character_boundaries() {
        let line = format!("start {} end", "é".repeat(100_000));
        let Prepared { text, cut } = prepare(&line);
        assert!(cut && text.len() <= HEAD_BYTES * 2 && text.starts_with("start ") && text.ends_with(" end"));
    }
}
