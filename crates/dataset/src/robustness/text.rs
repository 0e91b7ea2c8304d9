//! What several shells have in common.

use crate::Random;

/// Share of letters or gaps that are changed.
const SHARE: f64 = 0.2;

/// The words between blanks, each with whether it must stay as it is: payloads in base64 and addresses are read by their case.
pub(super) fn is_fixed(word: &str) -> bool {
    let base64 = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '/' | '=');
    let core = word.trim_matches(['"', '\'']);
    let mixed = core.contains(|letter: char| letter.is_ascii_uppercase()) && core.contains(|letter: char| !letter.is_ascii_alphabetic());
    word.contains("://") || core.len() >= 24 && core.chars().all(base64) && mixed
}

/// Applies `change` to every word that may be changed; blanks stay.
pub(super) fn map_words(line: &str, mut change: impl FnMut(&str) -> String) -> String {
    line.split_inclusive(char::is_whitespace)
        .map(|part| {
            let word = part.trim_end_matches(char::is_whitespace);
            if is_fixed(word) { part.to_owned() } else { change(word) + &part[word.len()..] }
        })
        .collect()
}

/// Changes letters, but none of a payload.
pub(super) fn map_letters(line: &str, mut change: impl FnMut(char) -> char) -> String {
    map_words(line, |word| word.chars().map(&mut change).collect())
}

/// The letter in the other case, half of the time.
pub(super) fn flip(letter: char, random: &mut Random) -> char {
    match letter {
        letter if !letter.is_ascii_alphabetic() || !random.chance(0.5) => letter,
        letter if letter.is_ascii_uppercase() => letter.to_ascii_lowercase(),
        letter => letter.to_ascii_uppercase(),
    }
}

/// For each byte whether it stands outside quotes; a backslash before a quote hides it.
pub(super) fn outside_quotes(line: &str, quotes: &[u8]) -> Vec<bool> {
    let mut open = None;
    let bytes = line.as_bytes();
    (0..bytes.len())
        .map(|at| {
            let escaped = at > 0 && bytes[at - 1] == b'\\';
            match open {
                None if quotes.contains(&bytes[at]) && !escaped => {
                    open = Some(bytes[at]);
                    false
                }
                Some(quote) if bytes[at] == quote && !escaped => {
                    open = None;
                    false
                }
                open => open.is_none(),
            }
        })
        .collect()
}

/// Puts something that the shell takes away between two letters of some words, outside quotes; at least once where it can.
pub(super) fn insert_in_words(line: &str, mark: impl Fn(&mut Random) -> &'static str, random: &mut Random) -> String {
    let outside = outside_quotes(line, b"\"'");
    let bytes = line.as_bytes();
    let letter = |at: usize| bytes[at].is_ascii_alphabetic();
    // Not in options, variables or paths: their marks bind what follows.
    let word = |at: usize| line[..at].rfind(|letter: char| letter.is_whitespace() || "|;&()".contains(letter)).map_or(0, |blank| blank + 1);
    let plain = |at: usize| bytes[word(at)..at].iter().all(u8::is_ascii_alphanumeric);
    let places: Vec<usize> = (1..bytes.len()).filter(|&at| outside[at] && outside[at - 1] && letter(at) && letter(at - 1) && plain(at)).collect();
    insert(line, &places, mark, random)
}

/// Puts marks at some of the places (byte offsets, rising); at least at one.
pub(super) fn insert(line: &str, places: &[usize], mark: impl Fn(&mut Random) -> &'static str, random: &mut Random) -> String {
    let sure = if places.is_empty() { usize::MAX } else { *random.pick(places) };
    let mut out = String::with_capacity(line.len() + 16);
    let mut from = 0;
    for &place in places {
        if place == sure || random.chance(SHARE) {
            out.push_str(&line[from..place]);
            out.push_str(mark(random));
            from = place;
        }
    }
    out + &line[from..]
}

/// More blanks where a blank divides words outside quotes.
pub(super) fn extra_spaces(line: &str, random: &mut Random) -> String {
    let outside = outside_quotes(line, b"\"'");
    let places: Vec<usize> = line.match_indices(' ').map(|(at, _)| at).filter(|&at| outside[at] && at > 0).collect();
    insert(line, &places, |random| *random.pick(&[" ", "  ", "    "]), random)
}

/// The end of the first word, quotes round it included.
pub(super) fn first_word(line: &str) -> usize {
    let quoted = line.strip_prefix('"').and_then(|rest| rest.find('"')).map(|end| end + 2);
    quoted.unwrap_or_else(|| line.find(char::is_whitespace).unwrap_or(line.len()))
}
