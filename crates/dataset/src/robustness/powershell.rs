//! PowerShell.

use super::text::{first_word, insert, outside_quotes};
use crate::{Random, Shell};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Whether a line starts PowerShell as a process.
pub(super) fn is_powershell(line: &str) -> bool {
    let word = line[..first_word(line)].trim_matches('"').to_ascii_lowercase();
    let name = word.rsplit(['\\', '/']).next().unwrap_or_default();
    matches!(name, "powershell" | "powershell.exe" | "pwsh" | "pwsh.exe")
}

/// Backticks before letters outside quotes, where they mean nothing (`` `n `` is a line break); not in variables' names or comments.
pub(super) fn backticks(line: &str, random: &mut Random) -> String {
    let outside = outside_quotes(line, b"\"'");
    let bytes = line.as_bytes();
    let plain = |at: usize| {
        let start = line[..at].rfind(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-').map_or(0, |before| before + 1);
        // A word at the line's or a statement's beginning, without a variable's mark, a dot or a bracket before it.
        start == 0 || matches!(bytes[start - 1], b' ' | b'\n' | b'|' | b';') && bytes[start] != b'-'
    };
    let safe = |byte: u8| byte.is_ascii_alphabetic() && !b"abefnrtuv".contains(&byte.to_ascii_lowercase());
    let inside = |at: usize| bytes[at - 1].is_ascii_alphanumeric();
    // Backticks are read in commands and their arguments, not in words of the language.
    let keyword = |at: usize| {
        let start = line[..at].rfind(|letter: char| !letter.is_ascii_alphanumeric()).map_or(0, |before| before + 1);
        let end = line[at..].find(|letter: char| !letter.is_ascii_alphanumeric()).map_or(line.len(), |length| at + length);
        let named = line[..at].rsplit(char::is_whitespace).nth(1).is_some_and(|before| before.eq_ignore_ascii_case("function"));
        named || KEYWORDS.contains(&line[start..end].to_ascii_lowercase().as_str())
    };
    let places: Vec<usize> = (1..bytes.len()).filter(|&at| outside[at] && safe(bytes[at]) && inside(at) && plain(at) && !keyword(at)).collect();
    insert(line, &places, |_| "`", random)
}

const KEYWORDS: [&str; 14] =
    ["if", "else", "elseif", "for", "foreach", "function", "in", "param", "return", "switch", "throw", "try", "while", "using"];

/// The command's name or a quoted text as a sum of two.
pub(super) fn concatenation(line: &str, random: &mut Random) -> Option<String> {
    let end = line.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-').unwrap_or(line.len());
    let name = &line[..end];
    if name.len() > 3 && name.contains('-') && !KEYWORDS.contains(&name) && !line[end..].starts_with(['=', '(', ':', '.']) {
        let cut = 1 + random.below(end - 1);
        return Some(format!("& ('{}'+'{}'){}", &name[..cut], &name[cut..], &line[end..]));
    }
    let open = line.find('\'')?;
    let length = line[open + 1..].find('\'')?;
    let text = &line[open + 1..open + 1 + length];
    let doubled = line[open + length + 2..].starts_with('\'') || line[..open].matches('"').count() % 2 == 1;
    if doubled || text.len() < 2 || !text.is_ascii() {
        return None;
    }
    let cut = 1 + random.below(text.len() - 1);
    Some(format!("{}('{}'+'{}'){}", &line[..open], &text[..cut], &text[cut..], &line[open + length + 2..]))
}

/// The line as PowerShell takes it in base64. A typed command is handed over only where PowerShell reads it as cmd does.
pub(super) fn encoded(line: &str, shell: Shell) -> Option<String> {
    let command = match shell {
        Shell::PowerShell | Shell::Script => line,
        _ if is_powershell(line) => {
            let lower = line.to_ascii_lowercase();
            let (at, switch) = [" -command ", " -c "].into_iter().find_map(|switch| Some((lower.find(switch)?, switch)))?;
            let command = line.get(at + switch.len()..)?.trim();
            command.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(command)
        }
        Shell::Cmd if !line.contains(['&', '|', '>', '<', '%', '^', '(', '@', '$', '"', '\'', '`', ';', ',', '{']) => line,
        _ => return None,
    };
    let payload = STANDARD.encode(command.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
    (!command.is_empty()).then(|| format!("powershell.exe -NoProfile -EncodedCommand {payload}"))
}

/// Other dashes before parameters' names: of PowerShell's own command line and of cmdlets, since other programs would be handed the dash.
pub(super) fn unicode_dashes(line: &str, random: &mut Random) -> String {
    let outside = outside_quotes(line, b"\"'");
    let letters: Vec<(usize, char)> = line.char_indices().collect();
    let process = is_powershell(line);
    let cmdlet = |at: usize| {
        let statement = line[..at].rfind(['|', ';', '\n', '{', '(', '=']).map_or(0, |end| end + 1);
        let mut words = line[statement..at].split_whitespace();
        words.next().is_some_and(|name| name.contains('-'))
    };
    let parameter = |index: usize| {
        let before = index.checked_sub(1).is_some_and(|before| letters[before].1 == ' ');
        before
            && outside[letters[index].0]
            && (process || cmdlet(letters[index].0))
            && letters.get(index + 1).is_some_and(|next| next.1.is_ascii_alphabetic())
    };
    let dash = |index: usize, letter: char, random: &mut Random| {
        if letter == '-' && parameter(index) { *random.pick(&['\u{2013}', '\u{2014}', '\u{2015}']) } else { letter }
    };
    letters.iter().enumerate().map(|(index, &(_, letter))| dash(index, letter, random)).collect()
}
