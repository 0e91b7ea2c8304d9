//! Documentation in Markdown: what its fenced blocks of commands say to type is benign.

use super::commands::{Interpreter, complete, lines};
use super::files::{files, has_extension, place, text};
use super::fill::fill;
use super::{BENIGN, Import, ImportedRow, Origin};
use std::path::Path;

/// Bytes of the largest file that is read.
const LARGEST: u64 = 8 << 20;

/// A text with more letters than this is no example any more.
const LONGEST_LINE: usize = 2_000;

pub(super) fn read(path: &Path, origin: &Origin, import: &mut Import) {
    let root = if path.is_file() { path.parent().unwrap_or(path) } else { path };
    let folder = std::fs::canonicalize(root).ok().and_then(|root| Some(root.file_name()?.to_string_lossy().into_owned())).unwrap_or_default();
    let named = Origin { repository: folder, licence: origin.licence.clone() };
    let origin = if origin.repository.is_empty() { &named } else { origin };
    for file in files(path, "Markdown files (*.md)", |path| has_extension(path, &["md", "markdown"]), import) {
        let Some(text) = text(&file, LARGEST, import) else { continue };
        import.files += 1;
        let place = place(&file, root, "\0");
        for block in blocks(&text) {
            let found = examples(&block);
            import.pass_over("blocks of commands without a command", usize::from(found.is_empty()));
            for (interpreter, text) in found {
                if text.len() > LONGEST_LINE {
                    import.pass_over("texts of more than 2,000 bytes", 1);
                } else if is_synopsis(&text) {
                    import.pass_over("synopses", 1);
                } else {
                    let platform = if interpreter == Interpreter::Shell { "linux" } else { "windows" };
                    let row = origin.row(&place, BENIGN, interpreter.kind(), platform, filled(&text));
                    import.take(ImportedRow { realism: "doc".into(), ..row });
                }
            }
        }
    }
}

/// A fenced block that its tag says to hold commands.
struct Block {
    /// Nothing where prompts have to tell.
    interpreter: Option<Interpreter>,
    lines: Vec<String>,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(char, usize, usize, Option<Block>)> = None;
    for line in text.lines() {
        let bare = line.trim_start_matches([' ', '\t']);
        let indent = line.len() - bare.len();
        let mark = bare.chars().next().filter(|mark| matches!(mark, '`' | '~'));
        let length = mark.map_or(0, |mark| bare.chars().take_while(|c| *c == mark).count());
        match &mut open {
            None => {
                if let Some(mark) = mark.filter(|_| length >= 3) {
                    let tag = bare.trim_start_matches(mark).trim();
                    if mark == '~' || !tag.contains('`') {
                        open = Some((mark, length, indent, interpreter(tag).map(|interpreter| Block { interpreter, lines: Vec::new() })));
                    }
                }
            }
            Some((with, least, _, block)) if mark == Some(*with) && length >= *least && bare[length..].trim().is_empty() => {
                blocks.extend(block.take());
                open = None;
            }
            Some((_, _, outer, Some(block))) => block.lines.push(line[indent.min(*outer)..].to_owned()),
            Some(_) => {}
        }
    }
    // What is not closed goes to the end of the file, and most of it is no command: it is left out.
    blocks
}

/// Who runs what a block with this tag holds; the inner nothing where its prompts have to tell.
fn interpreter(tag: &str) -> Option<Option<Interpreter>> {
    let word = tag.split([' ', '{', ',', ':']).find(|word| !word.is_empty()).unwrap_or_default().trim_matches('.').to_ascii_lowercase();
    match word.strip_suffix("-interactive").unwrap_or(&word) {
        "powershell" | "azurepowershell" | "ps1" | "ps" | "pwsh" | "posh" => Some(Some(Interpreter::PowerShell)),
        "cmd" | "batch" | "bat" | "dos" => Some(Some(Interpreter::CommandPrompt)),
        "bash" | "sh" | "shell" | "zsh" | "azurecli" => Some(Some(Interpreter::Shell)),
        "console" | "shell-session" | "shellsession" | "terminal" => Some(None),
        _ => None,
    }
}

/// What a block says to type: what follows its prompts, or all of it where it has none.
fn examples(block: &Block) -> Vec<(Interpreter, String)> {
    let prompted: Vec<Option<(Interpreter, &str)>> = block.lines.iter().map(|line| prompt(line, block.interpreter)).collect();
    if prompted.iter().any(Option::is_some) {
        let mut found: Vec<(Interpreter, String)> = Vec::new();
        let mut continues = false;
        for (line, prompted) in block.lines.iter().zip(prompted) {
            let text = match (prompted, found.last_mut()) {
                (Some((interpreter, command)), _) => {
                    found.push((interpreter, command.to_owned()));
                    command
                }
                (None, Some((_, last))) if continues => {
                    last.push('\n');
                    last.push_str(line);
                    line
                }
                _ => continue,
            };
            continues = text.trim_end().ends_with(['\\', '`', '^']);
        }
        return found
            .into_iter()
            .flat_map(|(interpreter, text)| lines(&text, interpreter).into_iter().map(move |line| (interpreter, line)))
            .collect();
    }
    let Some(interpreter) = block.interpreter else { return Vec::new() };
    let lines = lines(&block.lines.join("\n"), interpreter);
    if interpreter == Interpreter::PowerShell {
        let script = lines.join("\n");
        return if script.is_empty() { Vec::new() } else { vec![(interpreter, script)] };
    }
    // A block without prompts in which something is no command shows output too, and nothing tells which lines are which.
    if !lines.iter().all(|line| is_command(line, interpreter)) {
        return Vec::new();
    }
    lines.into_iter().map(|line| (interpreter, line)).collect()
}

/// Whether a line has the form of a command: it begins with a word, at the margin, and is complete.
fn is_command(line: &str, interpreter: Interpreter) -> bool {
    let first = line.split_whitespace().next().unwrap_or_default();
    let begins = line.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '~' | '$' | '%' | '@' | '"' | '\\'));
    let number = first.chars().all(|c| c.is_ascii_digit() || c.is_ascii_punctuation());
    let drawn = line.chars().any(|c| ('\u{2500}'..='\u{259f}').contains(&c));
    begins && !number && !drawn && !first.ends_with([':', ',']) && complete(line, interpreter)
}

/// The command behind a prompt: `PS C:\>`, `C:\>`, `$` or `user@host:~$`; `#` where the tag doesn't make it a comment.
fn prompt(line: &str, tagged: Option<Interpreter>) -> Option<(Interpreter, &str)> {
    let line = line.trim_start();
    let bytes = line.as_bytes();
    let is_drive = |text: &str| text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic) && text[1..].starts_with(":\\");
    if let Some((before, command)) = line.split_once('>') {
        let before = before.trim();
        let command = command.trim();
        let powershell = before.eq_ignore_ascii_case("ps") || before.strip_prefix("PS ").is_some_and(|path| path.len() > 1);
        if !command.is_empty() && (powershell || is_drive(before) && before.ends_with("\\PS")) {
            return Some((Interpreter::PowerShell, command));
        }
        if !command.is_empty() && is_drive(before) && !before.contains('"') {
            // A PowerShell block may leave the letters away.
            return Some((tagged.filter(|tagged| *tagged == Interpreter::PowerShell).unwrap_or(Interpreter::CommandPrompt), command));
        }
    }
    let (sign, command) = line.split_once(' ')?;
    let user = sign == "$" || sign == "$>" || sign.ends_with('$') && sign.contains('@');
    let root = tagged.is_none() && sign.ends_with('#') && (bytes.len() > 1) && (sign == "#" || sign.contains('@'));
    let shell = tagged != Some(Interpreter::PowerShell) && (user || root);
    (shell && !command.trim().is_empty()).then(|| (Interpreter::Shell, command.trim()))
}

/// What a command accepts rather than what somebody types.
fn is_synopsis(text: &str) -> bool {
    text.contains("[<")
        || text.contains("[-") && text.contains("<")
        || text.trim_end().ends_with("...")
        || text.contains(" ... ")
        || text.contains('…')
}

/// `<resource-group>` is what the reader is to fill in: its name is as good as any.
fn filled(text: &str) -> String {
    let is_name = |inner: &str| {
        inner.len() <= 40
            && inner.starts_with(char::is_alphabetic)
            && inner.chars().all(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.'))
    };
    fill(text, "<", ">", |inner| is_name(inner).then(|| inner.replace(' ', "-")))
}
