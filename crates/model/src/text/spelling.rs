//! Spellings that a shell takes back before it runs a line, taken back the same way: what `n^et us""er` runs is `net user`, and that is
//! what the model should read. Only what stands inside a word is touched, so ordinary quoting, paths and expressions stay.

use std::borrow::Cow;

/// What these variables hold is the same on every Windows machine, so pieces of them can be read.
const VARIABLES: [(&str, &str); 13] = [
    ("allusersprofile", "C:\\ProgramData"),
    ("commonprogramfiles", "C:\\Program Files\\Common Files"),
    ("comspec", "C:\\Windows\\system32\\cmd.exe"),
    ("os", "Windows_NT"),
    ("pathext", ".COM;.EXE;.BAT;.CMD;.VBS;.VBE;.JS;.JSE;.WSF;.WSH;.MSC"),
    ("programdata", "C:\\ProgramData"),
    ("programfiles", "C:\\Program Files"),
    ("programfiles(x86)", "C:\\Program Files (x86)"),
    ("programw6432", "C:\\Program Files"),
    ("public", "C:\\Users\\Public"),
    ("systemdrive", "C:"),
    ("systemroot", "C:\\Windows"),
    ("windir", "C:\\Windows"),
];

/// What means nothing between two letters or digits of a word: cmd's caret, PowerShell's backtick, empty quotes, and what is empty in a
/// Unix shell.
const EMPTY_MARKS: [&str; 6] = ["^", "`", "\"\"", "''", "$@", "$*"];

/// A blank in a Unix shell; the longest first.
const FIELD_SEPARATORS: [&str; 3] = ["${IFS}", "$IFS$9", "$IFS"];

/// The dashes that PowerShell takes for `-`.
const DASHES: [char; 3] = ['\u{2013}', '\u{2014}', '\u{2015}'];

/// The line as its shell reads it.
pub(super) fn plain(line: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(line);
    for rule in [substrings, separators, carets, empty_marks, sums, formats, dashes, paths, blanks] {
        if let Some(changed) = rule(&text) {
            text = Cow::Owned(changed);
        }
    }
    text
}

/// `%COMSPEC:~0,1%` and `!COMSPEC:~-3!` by the characters that they stand for.
fn substrings(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(colon) = rest.find(":~") {
        let piece = substring(rest, colon);
        let (start, end, value) = piece.unwrap_or((colon + 2, colon + 2, ""));
        out.push_str(&rest[..start]);
        out.push_str(value);
        rest = &rest[end..];
    }
    (out.len() + rest.len() != text.len()).then(|| out + rest)
}

/// Where the expression round the `:~` at `colon` begins and ends, and what it stands for.
fn substring(text: &str, colon: usize) -> Option<(usize, usize, &'static str)> {
    let start = text[..colon].rfind(['%', '!'])?;
    let mark = &text[start..=start];
    let name = &text[start + 1..colon];
    let value = VARIABLES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known))?.1;
    let length = text[colon + 2..].find(mark)?;
    let number = |number: &str| if number.is_empty() { Some(0) } else { number.trim().parse::<isize>().ok() };
    let mut numbers = text[colon + 2..colon + 2 + length].split(',').map(number);
    // A number below zero counts from the end.
    let place = |from: usize, number: isize| (if number < 0 { value.len() } else { from }).saturating_add_signed(number).min(value.len());
    let first = place(0, numbers.next()??);
    let last = numbers.next().map_or(Some(value.len()), |count| Some(place(first, count?)))?;
    Some((start, colon + 2 + length + 1, value.get(first..last.max(first))?))
}

fn separators(text: &str) -> Option<String> {
    text.contains("IFS").then(|| FIELD_SEPARATORS.iter().fold(text.to_owned(), |text, mark| text.replace(mark, " ")))
}

/// Once a caret stands between two letters, cmd reads the line: it takes away every caret before a character (`n^et ^/d^omain`). Otherwise one
/// may be a pattern's (`grep ^root`) or escape a sign.
fn carets(text: &str) -> Option<String> {
    let is_letter = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_alphabetic);
    if !text.match_indices('^').any(|(at, _)| is_letter(at.wrapping_sub(1)) && is_letter(at + 1)) {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let escaped = if letter == '^' { letters.next_if(|next| !next.is_whitespace()) } else { None };
        out.push(escaped.unwrap_or(letter));
    }
    Some(out)
}

fn empty_marks(text: &str) -> Option<String> {
    if !text.contains(['^', '`', '"', '\'', '$']) {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if out.ends_with(|letter: char| letter.is_ascii_alphanumeric())
            && let marks = marks(rest)
            && marks > 0
            && rest[marks..].starts_with(|letter: char| letter.is_ascii_alphanumeric())
        {
            rest = &rest[marks..];
        } else {
            out.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    (out.len() < text.len()).then_some(out)
}

/// Bytes of empty marks that `text` begins with.
fn marks(text: &str) -> usize {
    let mut length = 0;
    while let Some(mark) = mark(&text[length..]) {
        length += mark;
    }
    length
}

fn mark(text: &str) -> Option<usize> {
    let fixed = EMPTY_MARKS.iter().find(|mark| text.starts_with(**mark)).map(|mark| mark.len());
    // `${x}`: variables of one small letter are hardly ever set.
    let bytes = text.as_bytes();
    let variable = text.starts_with("${") && bytes.get(2).is_some_and(u8::is_ascii_lowercase) && bytes.get(3) == Some(&b'}');
    fixed.or(variable.then_some(4))
}

/// Sums of literal texts: `'Get-'+'Item'` is `'Get-Item'`.
fn sums(text: &str) -> Option<String> {
    if !text.contains('+') {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut open = None;
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        rest = &rest[letter.len_utf8()..];
        match open {
            None if is_quote(letter) => open = Some(letter),
            Some(quote) if letter == quote => match next_term(rest, quote) {
                Some(length) => {
                    rest = &rest[length..];
                    continue;
                }
                None => open = None,
            },
            _ => {}
        }
        out.push(letter);
    }
    (out.len() < text.len()).then_some(out)
}

/// The length of ` + '`, where it follows.
fn next_term(text: &str, quote: char) -> Option<usize> {
    let after = text.trim_start_matches(' ').strip_prefix('+')?.trim_start_matches(' ').strip_prefix(quote)?;
    Some(text.len() - after.len())
}

fn is_quote(letter: char) -> bool {
    matches!(letter, '\'' | '"')
}

/// PowerShell's format operator over literals: `"{1}{0}" -f 'Item','Get-'` is `"Get-Item"`.
fn formats(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("-f").into_iter().chain(rest.find("-F")).min() {
        match formatted(rest, at) {
            Some((start, value, end)) => {
                out.push_str(&rest[..start]);
                out.push_str(&value);
                rest = &rest[end..];
            }
            None => {
                out.push_str(&rest[..at + 2]);
                rest = &rest[at + 2..];
            }
        }
    }
    (out.len() + rest.len() != text.len()).then(|| out + rest)
}

/// Where the format before the `-f` at `at` begins, the quoted result, and where the last argument ends.
fn formatted(text: &str, at: usize) -> Option<(usize, String, usize)> {
    let before = text[..at].trim_end_matches(' ');
    let quote = before.chars().next_back().filter(|letter| is_quote(*letter))?;
    let close = before.len() - 1;
    let start = text[..close].rfind(quote)?;
    let mut arguments = Vec::new();
    let mut rest = text[at + 2..].trim_start_matches(' ');
    loop {
        let mark = rest.chars().next().filter(|letter| is_quote(*letter))?;
        let length = rest[1..].find(mark)?;
        arguments.push(&rest[1..=length]);
        let after = &rest[length + 2..];
        let Some(next) = after.trim_start_matches(' ').strip_prefix(',') else {
            let value = filled(&text[start + 1..close], &arguments)?;
            return Some((start, format!("{quote}{value}{quote}"), text.len() - after.len()));
        };
        rest = next.trim_start_matches(' ');
    }
}

/// The format with `{0}` and so on filled in; `None` where it holds anything else in braces, or nothing.
fn filled(format: &str, arguments: &[&str]) -> Option<String> {
    let (first, rest) = format.split_once('{')?;
    let mut out = first.to_owned();
    for piece in rest.split('{') {
        let (number, literal) = piece.split_once('}')?;
        out.push_str(arguments.get(number.parse::<usize>().ok()?)?);
        out.push_str(literal);
    }
    Some(out)
}

fn dashes(text: &str) -> Option<String> {
    if !text.contains(DASHES) {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let option = DASHES.contains(&letter) && out.ends_with(' ') && letters.peek().is_some_and(char::is_ascii_alphabetic);
        out.push(if option { '-' } else { letter });
    }
    (out != text).then_some(out)
}

/// Ways that go nowhere: `C:\Windows\.\System32\..\x` is `C:\Windows\x`. What has no folder before it (`..\x`) stays.
fn paths(text: &str) -> Option<String> {
    if !["\\.\\", "\\..\\", "/./", "/../"].iter().any(|way| text.contains(way)) {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        out.push(letter);
        if !matches!(letter, '/' | '\\') {
            continue;
        }
        let step = out[..out.len() - 1].rsplit(letter).next().unwrap_or_default();
        let before = out.len() - 1 - step.len();
        // In `\\.\` the dot is the name of a machine: this one.
        let Some(parent) = out[..before].strip_suffix(letter).filter(|parent| !parent.ends_with(letter)) else { continue };
        if step == "." {
            out.truncate(before);
        } else if step == ".."
            && let Some(start) = parent.rfind(letter)
            && is_name(&parent[start + 1..])
        {
            out.truncate(start + 1);
        }
    }
    (out.len() < text.len()).then_some(out)
}

/// Whether this is a folder's name, and not the end of something else.
fn is_name(text: &str) -> bool {
    text.contains(|letter: char| letter != '.') && text.chars().all(|letter| letter.is_alphanumeric() || "._-~$ ()".contains(letter))
}

/// Several blanks are one.
fn blanks(text: &str) -> Option<String> {
    const BLANKS: [char; 2] = [' ', '\t'];
    if !text.as_bytes().windows(2).any(|pair| pair.iter().all(|&byte| BLANKS.contains(&char::from(byte)))) {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if !(BLANKS.contains(&letter) && out.ends_with(BLANKS)) {
            out.push(letter);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::plain;
    use std::borrow::Cow;

    #[test]
    fn what_a_shell_takes_back_is_taken_back() {
        for (spelt, meant) in [
            ("n^et us^er", "net user"),
            ("c^md ^/c C:\\^Windows\\n^et.^exe us^er -^a ^^ ^", "cmd /c C:\\Windows\\net.exe user -a ^ ^"),
            ("ne\"\"t us\"\"er /dom\"\"ain", "net user /domain"),
            ("i''d; who$@ami; ca$*t x; l${x}s", "id; whoami; cat x; ls"),
            ("Get-Ch`ildItem C:\\", "Get-ChildItem C:\\"),
            ("%COMSPEC:~-3,1%cho n%comspec:~-1%t", "echo net"),
            ("n!ProgramFiles:~14,1!t %PUBLIC:~0,2% %OS:~,-3%", "net C: Windows"),
            ("net$IFS$9user cat${IFS}/etc/hosts", "net user cat /etc/hosts"),
            ("& ('Get-Ch'+'ild' + 'Item') -Path 'a'", "& ('Get-ChildItem') -Path 'a'"),
            ("& (\"{1}{0}{2}\" -f 'Chi', 'Get-',\"ldItem\") x", "& (\"Get-ChildItem\") x"),
            ("C:\\Windows\\.\\System32\\Tasks\\..\\net.exe \tuser   /dom", "C:\\Windows\\System32\\net.exe user /dom"),
            ("/bin/../usr/./bin/../../bin/cat /etc/./passwd", "/bin/cat /etc/passwd"),
            ("powershell \u{2013}NoProfile \u{2015}Command x", "powershell -NoProfile -Command x"),
        ] {
            assert_eq!(plain(spelt), meant);
        }
    }

    #[test]
    fn ordinary_lines_stay() {
        for line in [
            "findstr /r \"^[a-z]\" a.txt",
            "grep -E ^root /etc/passwd; echo a ^& b",
            "echo \"\" > a.txt",
            "set x=\"\"",
            "a -split '+' -replace '+',''",
            "\"{0:N2} GB\" -f $size",
            "'{0}' -f $name",
            "echo %DATE:~0,4% %TIME:~0,2%",
            "x:~ %:~% !:~1!",
            "echo $1 $@ \"$@\"",
            "Say \u{2014} and stay",
            "git log -f",
            "\"{2}\" -f 'a'",
            "./configure && cd ../.. && ls ..\\..\\x",
            "rundll32 javascript:\"\\..\\mshtml\"",
            "cp \\\\.\\pipe /../x",
            "it's 'x'+y",
        ] {
            assert!(matches!(plain(line), Cow::Borrowed(same) if same == line), "{line}");
        }
    }

    #[test]
    fn hostile_lines_end() {
        for piece in [
            "'+'",
            "\"\"",
            "%a:~",
            "{0}\" -f '",
            "a^",
            "%OS:~99999999999999999999%",
            "%OS:~-9,-9%",
            "${",
            "\u{2014}",
            "/./../",
            "a\\..\\",
            "/..",
            "  \t",
        ] {
            let _ = plain(&piece.repeat(4_000));
        }
        assert_eq!(plain("%OS:~5,-9%"), "", "from behind the end");
    }
}
