//! Which program a command line starts, where the log does not say: a guess, for most of Sigma's rules ask.

/// What cmd does itself.
const CMD_COMMANDS: [&str; 26] = [
    "assoc", "call", "cd", "chdir", "copy", "date", "del", "dir", "echo", "erase", "for", "ftype", "if", "md", "mkdir", "mklink", "move", "path",
    "rd", "ren", "rename", "rmdir", "set", "start", "type", "ver",
];

/// What the names of PowerShell's own commands begin with, those that are common.
const VERBS: [&str; 28] = [
    "add",
    "clear",
    "compress",
    "convertto",
    "copy",
    "disable",
    "enable",
    "expand",
    "export",
    "find",
    "get",
    "import",
    "install",
    "invoke",
    "move",
    "new",
    "out",
    "register",
    "remove",
    "rename",
    "restart",
    "select",
    "set",
    "start",
    "stop",
    "test",
    "where",
    "write",
];

const SYSTEM: &str = "C:\\Windows\\System32\\";

/// The program's file, as an event of its start would name it; `None` where nothing can be guessed.
pub fn of(command_line: &str, product: Option<&str>) -> Option<String> {
    let program = first_program(command_line);
    match product {
        Some("windows") => of_windows(program),
        Some(_) => of_unix(program),
        None if program.to_ascii_lowercase().ends_with(".exe") || program.contains('\\') => of_windows(program),
        None => program.starts_with('/').then(|| program.to_owned()),
    }
}

/// The last part of a path.
pub fn file_name(path: &str) -> &str {
    path.rsplit(['\\', '/']).next().unwrap_or(path)
}

/// The first word, without its quotes; a path with blanks that stands without quotes goes as far as its `.exe`.
fn first_program(command_line: &str) -> &str {
    let text = command_line.trim_start();
    if let Some(quote @ ('"' | '\'')) = text.chars().next() {
        let rest = &text[1..];
        return rest.split(quote).next().unwrap_or(rest).trim();
    }
    let word = text.split_whitespace().next().unwrap_or_default();
    let is_whole = !word.contains('\\') || word.to_ascii_lowercase().ends_with(".exe");
    if is_whole { word } else { up_to_exe(text).unwrap_or(word) }
}

/// The text up to the first `.exe` that ends a word, where nothing before it looks like an argument.
fn up_to_exe(text: &str) -> Option<&str> {
    let lower = text.to_ascii_lowercase();
    let ends = lower.match_indices(".exe").map(|(at, found)| at + found.len());
    let end = ends.into_iter().find(|&end| text[end..].chars().next().is_none_or(char::is_whitespace))?;
    let path = &text[..end];
    let is_path = ![" -", " /", "\"", " \\"].iter().any(|part| path.contains(part)) && path.matches(':').count() <= 1;
    is_path.then_some(path)
}

fn of_windows(program: &str) -> Option<String> {
    let name = file_name(program).to_ascii_lowercase();
    if program.contains(['\\', '/']) {
        return (!name.is_empty()).then(|| if name.contains('.') { program.to_owned() } else { format!("{program}.exe") });
    }
    let bare = name.strip_suffix(".exe").unwrap_or(&name);
    let script = bare.ends_with(".bat") || bare.ends_with(".cmd");
    let powershell = bare == "powershell"
        || program.starts_with('$')
        || bare.split_once('-').is_some_and(|(verb, noun)| VERBS.contains(&verb) && !noun.is_empty());
    let plain = !bare.is_empty() && bare.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.'));
    match bare {
        _ if powershell => Some(format!("{SYSTEM}WindowsPowerShell\\v1.0\\powershell.exe")),
        _ if script || (CMD_COMMANDS.contains(&bare) && bare == name) => Some(format!("{SYSTEM}cmd.exe")),
        _ if !plain => None,
        _ if bare.contains('.') => Some(format!("{SYSTEM}{bare}")),
        _ => Some(format!("{SYSTEM}{bare}.exe")),
    }
}

fn of_unix(program: &str) -> Option<String> {
    let plain = !program.is_empty() && program.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.' | '+'));
    let is_path = program.contains('/') && !program.contains('=');
    if is_path { Some(program.to_owned()) } else { plain.then(|| format!("/usr/bin/{program}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses() {
        for (line, wanted) in [
            ("net user", Some("C:\\Windows\\System32\\net.exe")),
            ("  NET.EXE user", Some("C:\\Windows\\System32\\net.exe")),
            ("powershell -enc x", Some("C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe")),
            ("Get-Process x", Some("C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe")),
            ("dir /s", Some("C:\\Windows\\System32\\cmd.exe")),
            ("run.bat", Some("C:\\Windows\\System32\\cmd.exe")),
            ("\"C:\\Program Files\\a b\\c.exe\" -x", Some("C:\\Program Files\\a b\\c.exe")),
            ("C:\\Program Files\\a b\\c.exe -x d.exe", Some("C:\\Program Files\\a b\\c.exe")),
            ("C:\\Windows\\system32\\net user C:\\x.exe", Some("C:\\Windows\\system32\\net.exe")),
            ("D:\\t\\a.com /x b.exe", Some("D:\\t\\a.com")),
            ("%SystemRoot%\\System32\\cmd.exe /c dir", Some("%SystemRoot%\\System32\\cmd.exe")),
            ("n^et user", None),
            ("\"", None),
            ("", None),
        ] {
            assert_eq!(of(line, Some("windows")).as_deref(), wanted, "{line}");
        }
        for (line, product, wanted) in [
            ("find . -name x", Some("linux"), Some("/usr/bin/find")),
            ("/opt/a b", Some("macos"), Some("/opt/a")),
            ("$(id)", Some("linux"), None),
            ("The actor", None, None),
            ("x.exe", None, Some("C:\\Windows\\System32\\x.exe")),
            ("/bin/sh -c x", None, Some("/bin/sh")),
            ("é\\ü ß.EXE", None, Some("é\\ü ß.EXE")),
        ] {
            assert_eq!(of(line, product).as_deref(), wanted, "{line}");
        }
    }
}
