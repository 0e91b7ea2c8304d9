//! Other spellings of a line that run the same: what an attacker may write without changing what happens, so that no label may change
//! either. Put on attacks and on benign lines alike; the generator's own spellings are in `obfuscate.rs`.

mod powershell;
mod text;
mod unix;
mod windows;

use crate::{Random, Row, Shell};

/// A way to write a line otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Obfuscation {
    /// `NeT uSeR`: Windows and PowerShell.
    RandomCase,
    /// `NET USER`: Windows and PowerShell.
    UpperCase,
    /// `n^et us^er`: cmd.
    Carets,
    /// `ne""t us""er`: cmd and Windows processes.
    EmptyQuotes,
    /// `n%COMSPEC:~14,1%t`: cmd puts the character in.
    VariableSubstrings,
    /// ``Get-Ch`ildItem``: PowerShell.
    Backticks,
    /// `& ('Get-Ch'+'ildItem')`, `('a'+'b')`: PowerShell.
    Concatenation,
    /// `powershell -EncodedCommand …`, on Unix `echo … | base64 -d | sh`.
    EncodedCommand,
    /// More blanks between words.
    ExtraSpaces,
    /// `/all` for `-all` and back, for tools that take both.
    OptionPrefix,
    /// En and em dashes for `-`, which PowerShell takes too.
    UnicodeDashes,
    /// Another path to the same program: `C:\Windows\.\System32\…`, `/bin/./…`, with and without `.exe`.
    PathVariants,
    /// `n''et`, `n\et`, `"net"`: Unix shells.
    ShellQuoting,
    /// `net$IFS$9user`, `net${IFS}user`: Unix shells.
    FieldSeparator,
    /// `ne$@t`, `ne${x}t`: empty variables, Unix shells.
    EmptyVariables,
}

impl Obfuscation {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::RandomCase,
        Self::UpperCase,
        Self::Carets,
        Self::EmptyQuotes,
        Self::VariableSubstrings,
        Self::Backticks,
        Self::Concatenation,
        Self::EncodedCommand,
        Self::ExtraSpaces,
        Self::OptionPrefix,
        Self::UnicodeDashes,
        Self::PathVariants,
        Self::ShellQuoting,
        Self::FieldSeparator,
        Self::EmptyVariables,
    ];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::RandomCase => "random case",
            Self::UpperCase => "upper case",
            Self::Carets => "carets",
            Self::EmptyQuotes => "empty quotes",
            Self::VariableSubstrings => "variable substrings",
            Self::Backticks => "backticks",
            Self::Concatenation => "concatenation",
            Self::EncodedCommand => "encoded command",
            Self::ExtraSpaces => "extra spaces",
            Self::OptionPrefix => "option prefix",
            Self::UnicodeDashes => "unicode dashes",
            Self::PathVariants => "path variants",
            Self::ShellQuoting => "shell quoting",
            Self::FieldSeparator => "field separator",
            Self::EmptyVariables => "empty variables",
        }
    }

    /// The line written otherwise; `None` where this does not apply to such a line, or nothing in it can be changed.
    pub fn apply(self, line: &str, shell: Shell, random: &mut Random) -> Option<String> {
        use Shell::{Cmd, PowerShell, Process, Script, Sh};
        let changed = match (self, shell) {
            (Self::RandomCase, Cmd | Process | PowerShell | Script) => text::map_letters(line, |letter| text::flip(letter, random)),
            (Self::UpperCase, Cmd | Process | PowerShell) => text::map_letters(line, |letter| letter.to_ascii_uppercase()),
            (Self::Carets, Cmd | Process) => windows::carets(line, shell, random)?,
            (Self::EmptyQuotes, Cmd | Process) => text::insert_in_words(line, |_| "\"\"", random),
            (Self::VariableSubstrings, Cmd | Process) => windows::variable_substrings(line, shell, random)?,
            (Self::Backticks, PowerShell | Script) => powershell::backticks(line, random),
            (Self::Concatenation, PowerShell | Script) => powershell::concatenation(line, random)?,
            (Self::EncodedCommand, Cmd | Process | PowerShell | Script) => powershell::encoded(line, shell)?,
            (Self::EncodedCommand, Sh) => unix::encoded(line),
            (Self::ExtraSpaces, Cmd | Process | PowerShell | Sh) => text::extra_spaces(line, random),
            (Self::OptionPrefix, Cmd | Process) => windows::option_prefix(line)?,
            (Self::UnicodeDashes, PowerShell | Script) => powershell::unicode_dashes(line, random),
            (Self::UnicodeDashes, Process | Cmd) if powershell::is_powershell(line) => powershell::unicode_dashes(line, random),
            (Self::PathVariants, Cmd | Process) => windows::path_variants(line, random)?,
            (Self::PathVariants, Sh) => unix::path_variants(line, random)?,
            (Self::ShellQuoting, Sh) => unix::quoting(line, random),
            (Self::FieldSeparator, Sh) => unix::field_separator(line, random),
            (Self::EmptyVariables, Sh) => text::insert_in_words(line, |random| *random.pick(&["$@", "${x}", "$*"]), random),
            _ => return None,
        };
        (changed != line).then_some(changed)
    }
}

/// What a row's text is, from what is said of it or from itself. A text that is a sentence, a record with other fields around the command,
/// or unknown is [`Shell::English`], which nothing is done to.
pub fn shell_of(row: &Row) -> Shell {
    if !matches!(row.rendering.as_str(), "" | "bare" | "none") {
        return Shell::English;
    }
    let unix = matches!(row.platform.as_str(), "linux" | "macos" | "unix");
    match row.shell.as_str() {
        "cmd" => Shell::Cmd,
        "powershell" | "script" | "script_block" | "ps" if powershell::is_powershell(&row.text) => Shell::Process,
        "powershell" | "ps" => Shell::PowerShell,
        "script" | "script_block" => Shell::Script,
        "sh" | "shell" | "bash" | "zsh" => Shell::Sh,
        "english" | "narrative" | "text" => Shell::English,
        _ if unix => Shell::Sh,
        "process" | "process_creation" | "" if row.platform == "windows" => windows::shell_of_command_line(&row.text),
        "process" | "process_creation" => Shell::Process,
        _ => Shell::English,
    }
}

#[cfg(test)]
mod tests;
