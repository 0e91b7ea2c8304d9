//! From a test's script to the texts that a log would hold: a process's command line for the command prompt, script blocks and their lines
//! for PowerShell, lines for Unix shells. What only sets the scene is left out.

use super::fill::{fill, user};

/// Who runs a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interpreter {
    CommandPrompt,
    PowerShell,
    Shell,
}

impl Interpreter {
    /// What kind of text its rows are.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::CommandPrompt => "process_creation",
            Self::PowerShell => "powershell",
            Self::Shell => "shell",
        }
    }
}

/// The texts of a script, and how many of its lines gave none.
pub(super) fn texts(script: &str, interpreter: Interpreter) -> (Vec<String>, usize) {
    let lines = lines(script, interpreter);
    // A line that is not complete by itself belongs to a block, and the block's lines mean nothing alone.
    let blocks = lines.iter().any(|line| !complete(line, interpreter));
    let whole = lines.join("\n");
    let before = lines.len();
    let telling: Vec<String> =
        lines.iter().enumerate().filter(|(at, line)| telling(line, &lines[..*at], interpreter)).map(|(_, line)| line.clone()).collect();
    let left_out = before - telling.len();
    match interpreter {
        Interpreter::CommandPrompt if blocks => (Vec::new(), before),
        Interpreter::CommandPrompt => (telling.iter().map(|line| command_line(line, user(script))).collect(), left_out),
        _ if telling.is_empty() => (Vec::new(), before),
        _ if blocks => (vec![whole], 0),
        // What PowerShell logs is the block; its lines are what a terminal's history holds.
        Interpreter::PowerShell if before > 1 => (std::iter::once(whole).chain(telling).collect(), 0),
        _ => (telling, left_out),
    }
}

/// The script's lines: continued ones joined, without comments, blank lines and what blanks stand at their ends.
pub(super) fn lines(script: &str, interpreter: Interpreter) -> Vec<String> {
    let continuation = match interpreter {
        Interpreter::CommandPrompt => '^',
        Interpreter::PowerShell => '`',
        Interpreter::Shell => '\\',
    };
    let mut lines: Vec<String> = Vec::new();
    let (mut open, mut comment) = (String::new(), false);
    for line in script.lines().map(str::trim_end) {
        let bare = line.trim_start();
        if interpreter == Interpreter::PowerShell && (comment || bare.starts_with("<#")) {
            comment = !bare.contains("#>");
            continue;
        }
        if open.is_empty() && (bare.is_empty() || is_comment(bare, interpreter)) {
            continue;
        }
        let piece = if open.is_empty() { line } else { bare };
        match piece.strip_suffix(continuation) {
            Some(more) => {
                open.push_str(more.trim_end());
                open.push(' ');
            }
            None => lines.push(std::mem::take(&mut open) + piece),
        }
    }
    if !open.is_empty() {
        lines.push(open.trim_end().to_owned());
    }
    lines
}

fn is_comment(line: &str, interpreter: Interpreter) -> bool {
    match interpreter {
        Interpreter::CommandPrompt => {
            let line = line.trim_start_matches('@').to_ascii_lowercase();
            line.starts_with(':') || line == "rem" || line.starts_with("rem ")
        }
        _ => line.starts_with('#'),
    }
}

/// Whether brackets and quotes that a line opens are closed in it, and no keyword awaits its end.
pub(super) fn complete(line: &str, interpreter: Interpreter) -> bool {
    let (mut depth, mut quote, mut escaped) = (0_i32, None, false);
    let escape = if interpreter == Interpreter::PowerShell { '`' } else { '\\' };
    let quotes: &[char] = if interpreter == Interpreter::CommandPrompt { &['"'] } else { &['"', '\''] };
    for c in line.chars() {
        match (escaped, quote) {
            (true, _) => escaped = false,
            (_, Some('"') | None) if c == escape && interpreter != Interpreter::CommandPrompt => escaped = true,
            (_, Some(open)) if c == open => quote = None,
            (_, Some(_)) => {}
            (_, None) if quotes.contains(&c) => quote = Some(c),
            (_, None) => depth += i32::from(matches!(c, '(' | '{')) - i32::from(matches!(c, ')' | '}')),
        }
        if depth < 0 {
            return false;
        }
    }
    let last = line.trim_end().chars().next_back().unwrap_or(' ');
    let hangs = interpreter != Interpreter::CommandPrompt && matches!(last, '|' | ',');
    depth == 0 && quote.is_none() && !hangs && (interpreter != Interpreter::Shell || keywords_close(line))
}

fn keywords_close(line: &str) -> bool {
    if line.contains("<<") {
        return false;
    }
    let count = |wanted: &str| line.split(|c: char| c.is_whitespace() || c == ';').filter(|word| *word == wanted).count();
    [("if", "fi"), ("do", "done"), ("case", "esac")].iter().all(|(open, close)| count(open) == count(close)) && count("then") <= count("fi")
}

/// What a line of these words does is no sign of an attack: they set the scene.
const SCENE: [&str; 26] = [
    "cd",
    "chdir",
    "exit",
    "sleep",
    "pause",
    "timeout",
    "mkdir",
    "md",
    "set",
    "setlocal",
    "endlocal",
    "goto",
    "true",
    "pushd",
    "popd",
    "export",
    "write-host",
    "write-output",
    "write-verbose",
    "start-sleep",
    "set-location",
    "push-location",
    "pop-location",
    "import-module",
    "wait",
    "cls",
];

/// Whether a line tells something by itself.
fn telling(line: &str, before: &[String], interpreter: Interpreter) -> bool {
    let line = line.trim().trim_start_matches('@').trim_end_matches(';').trim_end();
    let first = line.split_whitespace().next().unwrap_or_default().trim_end_matches(';').to_ascii_lowercase();
    let lower = line.to_ascii_lowercase();
    if SCENE.contains(&first.as_str()) && !line.contains(['&', '|', ';']) {
        return false;
    }
    if first == "echo" && !line.contains(['>', '|', '&', ';', '$', '`']) {
        return false;
    }
    if lower.starts_with("new-item") && lower.contains("directory") {
        return false;
    }
    if matches!(first.as_str(), "cat" | "type" | "get-content") {
        let read = line.split_whitespace().nth(1).unwrap_or_default();
        if !read.is_empty() && before.iter().any(|earlier| writes(earlier, read)) {
            return false;
        }
    }
    !(is_setting(line, interpreter) || line.len() < 2)
}

/// Whether a line's output goes to this file.
fn writes(line: &str, file: &str) -> bool {
    line.rsplit('>').next().is_some_and(|target| line.contains('>') && target.trim() == file)
}

/// Whether a line gives a variable a plain value.
fn is_setting(line: &str, interpreter: Interpreter) -> bool {
    let Some((name, value)) = line.split_once('=') else { return false };
    let (name, value) = (name.trim(), value.trim());
    let plain = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | ':'));
    match interpreter {
        Interpreter::CommandPrompt => false,
        Interpreter::Shell => plain(name) && !value.contains("$(") && !value.contains([' ', '`']),
        Interpreter::PowerShell => {
            let settings = name.to_ascii_lowercase().ends_with("::securityprotocol");
            let literal =
                value.starts_with(['"', '\'']) || value.starts_with(|c: char| c.is_ascii_digit()) || value.starts_with('$') && !value.contains('(');
            settings || name.strip_prefix('$').is_some_and(plain) && literal && !value.contains('|') && !value.contains("$(")
        }
    }
}

/// What the command prompt knows itself: no program starts for it.
const BUILT_IN: [&str; 23] = [
    "assoc", "call", "copy", "date", "del", "dir", "echo", "erase", "for", "ftype", "if", "mklink", "move", "path", "rd", "ren", "rename", "rmdir",
    "start", "time", "type", "ver", "vol",
];

/// A line as the creation of a process shows it: with the variables' values where a program is started, below `cmd.exe /c` and as typed where
/// the command prompt does the work.
fn command_line(line: &str, user: &str) -> String {
    let line = line.trim().trim_start_matches('@').trim();
    let first = line.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
    let mut quoted = false;
    let operators = line.chars().any(|c| {
        quoted ^= c == '"';
        !quoted && matches!(c, '|' | '&' | '<' | '>')
    });
    if first == "cmd" || first == "cmd.exe" {
        line.to_owned()
    } else if operators || BUILT_IN.contains(&first.trim_end_matches(['.', ':', '('])) || first.starts_with('(') {
        format!("cmd.exe /c {line}")
    } else {
        with_values(line, user)
    }
}

/// The values that the variables of Windows usually have; others stay as typed.
fn with_values(line: &str, user: &str) -> String {
    let profile = format!("C:\\Users\\{user}");
    let values = [
        ("temp", format!("{profile}\\AppData\\Local\\Temp")),
        ("tmp", format!("{profile}\\AppData\\Local\\Temp")),
        ("localappdata", format!("{profile}\\AppData\\Local")),
        ("appdata", format!("{profile}\\AppData\\Roaming")),
        ("userprofile", profile),
        ("username", user.to_owned()),
        ("systemroot", "C:\\Windows".into()),
        ("windir", "C:\\Windows".into()),
        ("systemdrive", "C:".into()),
        ("homedrive", "C:".into()),
        ("programdata", "C:\\ProgramData".into()),
        ("allusersprofile", "C:\\ProgramData".into()),
        ("programfiles", "C:\\Program Files".into()),
        ("programfiles(x86)", "C:\\Program Files (x86)".into()),
        ("public", "C:\\Users\\Public".into()),
        ("comspec", "C:\\Windows\\System32\\cmd.exe".into()),
    ];
    let known = |name: &str| values.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
    fill(line, "%", "%", |name| known(name).map(|(_, value)| value.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(interpreter: Interpreter, script: &str, wanted: &[&str]) {
        assert_eq!(texts(script, interpreter).0, wanted, "{script}");
    }

    #[test]
    fn the_command_prompt_gives_command_lines() {
        check(Interpreter::CommandPrompt, "@echo off\nrem x\n:: y\ncd C:\\x\n", &[]);
        check(Interpreter::CommandPrompt, "@dir %windir%\nprogram /x ^\n  /y\n", &["cmd.exe /c dir %windir%", "program /x /y"]);
        check(Interpreter::CommandPrompt, "program \"a > b\" %windir%\\x %unknown% 100%", &["program \"a > b\" C:\\Windows\\x %unknown% 100%"]);
        check(Interpreter::CommandPrompt, "program %windir% > out.txt", &["cmd.exe /c program %windir% > out.txt"]);
        check(Interpreter::CommandPrompt, "cmd /c \"x & y\"", &["cmd /c \"x & y\""]);
        check(Interpreter::CommandPrompt, "if exist x (\n  program\n)\n", &[]);
        let expanded = texts("program %TEMP%\\x", Interpreter::CommandPrompt).0.remove(0);
        assert!(expanded.starts_with("program C:\\Users\\") && expanded.ends_with("\\AppData\\Local\\Temp\\x"), "{expanded}");
    }

    #[test]
    fn powershell_gives_the_block_and_the_lines_that_tell_something() {
        check(Interpreter::PowerShell, "# only\nGet-Thing `\n  -Name x\n", &["Get-Thing -Name x"]);
        check(
            Interpreter::PowerShell,
            "$a = 'x'\nGet-Thing $a\nWrite-Host done\n$b = (Get-Other)\n",
            &["$a = 'x'\nGet-Thing $a\nWrite-Host done\n$b = (Get-Other)", "Get-Thing $a", "$b = (Get-Other)"],
        );
        check(Interpreter::PowerShell, "<# help\n more #>\nif ($x) {\n  Get-Thing\n}\n", &["if ($x) {\n  Get-Thing\n}"]);
        check(Interpreter::PowerShell, "Write-Host x\nStart-Sleep 5\n", &[]);
    }

    #[test]
    fn shells_give_lines_or_the_block() {
        check(Interpreter::Shell, "#!/bin/sh\ncat /a > /tmp/o\ncat /tmp/o\nwho -a\nsleep 3\n", &["cat /a > /tmp/o", "who -a"]);
        check(Interpreter::Shell, "one \\\n  two\nx=1\ny=$(id)\n", &["one two", "y=$(id)"]);
        check(Interpreter::Shell, "for f in a b; do\n  cat $f\ndone\n", &["for f in a b; do\n  cat $f\ndone"]);
        check(Interpreter::Shell, "for f in a b; do cat $f; done\nif x; then y; fi", &["for f in a b; do cat $f; done", "if x; then y; fi"]);
        check(Interpreter::Shell, "echo it\\'s fine > x\necho plain", &["echo it\\'s fine > x"]);
        check(Interpreter::Shell, "cat << EOF > x\nid\nEOF\n", &["cat << EOF > x\nid\nEOF"]);
    }
}
