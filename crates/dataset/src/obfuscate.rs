//! Spellings that mean the same to the tool: drawn with the same chances for every label.

use crate::{Random, Shell};

/// Share of commands that are spelt oddly.
const SHARE: f64 = 0.12;

/// A spelling's name and the text.
pub(crate) fn obfuscate(text: &str, shell: Shell, random: &mut Random) -> (&'static str, String) {
    let untouched = ("none", text.to_owned());
    if !random.chance(SHARE) {
        return untouched;
    }
    match (shell, random.below(4)) {
        (Shell::Cmd, 0) => ("upper-case", upper_words(text)),
        (Shell::Cmd | Shell::PowerShell, 1) => ("random-case", random_case(text, random)),
        (Shell::Cmd, 2) => ("carets", sprinkle(text, '^', random)),
        (Shell::PowerShell, 0 | 2) => ("backticks", sprinkle(text, '`', random)),
        (Shell::Sh, 0) => ("quotes", split_quotes(text, random)),
        (Shell::Sh, 1) => ("backslashes", sprinkle(text, '\\', random)),
        (Shell::Cmd | Shell::PowerShell | Shell::Sh, _) => ("spaces", spaces(text, random)),
        _ => untouched,
    }
}

fn upper_words(text: &str) -> String {
    text.to_uppercase()
}

fn random_case(text: &str, random: &mut Random) -> String {
    let flip = |c: char| {
        if c.is_ascii_alphabetic() && random.chance(0.5) {
            if c.is_ascii_uppercase() { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() }
        } else {
            c
        }
    };
    text.chars().map(flip).collect()
}

/// The mark before some letters inside the first word, where the shell drops it.
fn sprinkle(text: &str, mark: char, random: &mut Random) -> String {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')).unwrap_or(text.len());
    let mut spelt = String::new();
    for (at, character) in text.char_indices() {
        // After a backtick or a backslash some letters mean something else.
        let safe = character.is_ascii_alphabetic() && !"abefnrtuv0x".contains(character.to_ascii_lowercase()) || mark == '^';
        if at > 0 && at < end && safe && random.chance(0.4) {
            spelt.push(mark);
        }
        spelt.push(character);
    }
    spelt
}

/// A pair of empty quotes inside the first word.
fn split_quotes(text: &str, random: &mut Random) -> String {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    if end < 2 {
        return text.to_owned();
    }
    let at = 1 + random.below(end - 1);
    format!("{}{}{}", &text[..at], random.pick(&["''", "\"\""]), &text[at..])
}

/// Some spaces doubled, one perhaps at the end; not within quotes, where they would count.
fn spaces(text: &str, random: &mut Random) -> String {
    if text.contains(['"', '\'', '\n']) {
        return format!("{text} ");
    }
    text.chars().flat_map(|c| std::iter::repeat_n(c, if c == ' ' && random.chance(0.4) { 2 } else { 1 })).collect()
}
