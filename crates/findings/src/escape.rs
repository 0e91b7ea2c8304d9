//! Log text made safe to show.
//!
//! Whoever can write a log line could otherwise move the reader's cursor, recolour or rewrite what stands above it, or turn
//! the reading direction round so that a command looks like another.

use std::borrow::Cow;
use unicode_width::UnicodeWidthChar;

/// Whether a character is shown as an escape rather than itself: controls (C0, DEL, C1), and whatever is invisible or looks like a blank:
/// marks of format and direction, all that a font may ignore (variation selectors, fillers), every blank but the one of ASCII, signs that
/// are drawn empty. The console names the same.
pub fn is_unsafe(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    character.is_control()
        || (character as u32) & 0xfffe == 0xfffe
        || matches!(character, '\u{a0}' | '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}'
            | '\u{8e2}' | '\u{115f}' | '\u{1160}' | '\u{1680}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{2000}'..='\u{200f}'
            | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{2800}' | '\u{3000}' | '\u{3164}' | '\u{fdd0}'..='\u{fdef}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffc}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{16fe4}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d159}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// The text with every unsafe character written as an escape: `\n`, `\x1b`, `\u{202e}`.
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        push_shown(&mut safe, character);
    }
    Cow::Owned(safe)
}

fn push_shown(out: &mut String, character: char) {
    match character {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        other if !is_unsafe(other) => out.push(other),
        other if other.is_ascii() => out.push_str(&format!("\\x{:02x}", other as u32)),
        other => out.push_str(&format!("\\u{{{:x}}}", other as u32)),
    }
}

/// The columns that safe text takes on a terminal.
pub fn width(safe: &str) -> usize {
    safe.chars().map(|character| character.width().unwrap_or(0)).sum()
}

/// The text made safe and cut to `columns`, with `…` where something is missing.
pub fn fit(text: &str, columns: usize) -> String {
    // Only so much of a line of megabytes can be seen.
    let mut head = text.char_indices().skip(columns * 4 + 4);
    let text = head.next().map_or(text, |(end, _)| &text[..end]);
    let safe = shown(text);
    if width(&safe) <= columns {
        return safe.into_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for character in safe.chars() {
        used += character.width().unwrap_or(0);
        if used + 1 > columns {
            break;
        }
        out.push(character);
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

/// [`fit`] that keeps the end of the text.
pub fn fit_end(text: &str, columns: usize) -> String {
    let safe = shown(text);
    if width(&safe) <= columns {
        return safe.into_owned();
    }
    let mut used = 1;
    let fits = |(_, character): &(usize, char)| {
        used += character.width().unwrap_or(0);
        used <= columns
    };
    let start = safe.char_indices().rev().take_while(fits).last().map_or(safe.len(), |(start, _)| start);
    if columns > 0 { format!("…{}", &safe[start..]) } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_that_moves_it() {
        let hostile = "a\x1b[2J\x07b\u{9b}31mc\u{202e}exe.txt\r\nd\0\u{200b}";
        let safe = shown(hostile);
        assert_eq!(safe, "a\\x1b[2J\\x07b\\u{9b}31mc\\u{202e}exe.txt\\r\\nd\\x00\\u{200b}");
        assert!(!safe.contains(is_unsafe));
        assert!(matches!(shown("net user /domain żółw 日本 \u{fffd}"), Cow::Borrowed(_)));
    }

    #[test]
    fn nothing_hides_in_a_word() {
        for hidden in ['\u{fe0f}', '\u{3164}', '\u{34f}', '\u{a0}', '\u{3000}', '\u{2800}', '\u{e0100}', '\u{ffa0}', '\u{1fffe}'] {
            assert_eq!(shown(&format!("net{hidden}user")), format!("net\\u{{{:x}}}user", hidden as u32));
        }
    }

    #[test]
    fn cut_text_fits_and_says_so() {
        assert_eq!(fit("reg save", 8), "reg save");
        assert_eq!(fit("reg save", 7), "reg sa…");
        assert_eq!(fit("日本語", 6), "日本語");
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(fit("日本語", 4), "日…");
        assert_eq!(fit("abc", 0), "");
        assert_eq!(fit(&"x".repeat(1_000_000), 5), "xxxx…");
        assert_eq!(
            [fit_end("logs/a.txt", 10), fit_end("logs/a.txt", 7), fit_end("日本", 4), fit_end("日本", 3)],
            ["logs/a.txt", "…/a.txt", "日本", "…本"]
        );
        for columns in 0..20 {
            assert!(width(&fit_end("a\x1bb\u{202e}c日日", columns)) <= columns);
            assert!(width(&fit("a\x1bb\u{202e}c日日", columns)) <= columns);
        }
    }
}
