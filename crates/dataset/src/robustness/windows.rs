//! cmd and Windows processes.

use super::text::{first_word, insert, outside_quotes};
use crate::{Random, Shell};

/// Programs of System32 that are called by name, so that a path may be put before them.
const SYSTEM_TOOLS: [&str; 29] = [
    "arp",
    "at",
    "bitsadmin",
    "certutil",
    "cmd",
    "cmdkey",
    "cscript",
    "driverquery",
    "hostname",
    "icacls",
    "ipconfig",
    "mshta",
    "net",
    "net1",
    "netsh",
    "netstat",
    "nltest",
    "ping",
    "reg",
    "regsvr32",
    "route",
    "rundll32",
    "sc",
    "schtasks",
    "systeminfo",
    "tasklist",
    "vssadmin",
    "wevtutil",
    "whoami",
];

/// Programs that take `-` and `/` before their options alike.
const EITHER_PREFIX: [&str; 15] = [
    "arp",
    "bitsadmin",
    "certutil",
    "driverquery",
    "ipconfig",
    "msiexec",
    "netstat",
    "nltest",
    "ping",
    "regsvr32",
    "schtasks",
    "systeminfo",
    "tasklist",
    "wevtutil",
    "whoami",
];

/// Letters that the value of a variable has, and where. The values are the same on every machine.
const VARIABLES: [(&str, &str); 3] =
    [("COMSPEC", "C:\\Windows\\system32\\cmd.exe"), ("PUBLIC", "C:\\Users\\Public"), ("ProgramFiles", "C:\\Program Files")];

/// The program's name: its first word without path, quotes and `.exe`, lower-cased.
fn program(line: &str) -> String {
    let word = line[..first_word(line)].trim_matches('"');
    let name = word.rsplit(['\\', '/']).next().unwrap_or(word).to_ascii_lowercase();
    name.strip_suffix(".exe").unwrap_or(&name).to_owned()
}

/// A command line with a path is what a process was started with; one without is as somebody typed it.
pub(super) fn shell_of_command_line(line: &str) -> Shell {
    if line[..first_word(line)].contains(['\\', '/', '"']) { Shell::Process } else { Shell::Cmd }
}

/// Where the part begins that cmd reads: all of a typed line, of a process what stands behind `cmd /c`.
fn read_by_cmd(line: &str, shell: Shell) -> Option<usize> {
    if program(line) == "cmd" {
        let lower = line.to_ascii_lowercase();
        let switch = ["/c ", "/k ", "/r "].into_iter().filter_map(|switch| lower.find(switch)).min()? + 3;
        let quote = line[switch..].starts_with('"');
        return Some(switch + usize::from(quote));
    }
    (shell == Shell::Cmd && !super::powershell::is_powershell(line)).then_some(0)
}

/// Whether a place lies inside a variable's name, between per cent signs.
fn inside_variable(line: &str, at: usize) -> bool {
    line[..at].matches('%').count() % 2 == 1
}

/// Carets before letters outside double quotes: cmd takes them away, but not those in a variable's name.
pub(super) fn carets(line: &str, shell: Shell, random: &mut Random) -> Option<String> {
    let (head, tail) = line.split_at(read_by_cmd(line, shell)?);
    let outside = outside_quotes(tail, b"\"");
    let places: Vec<usize> =
        (1..tail.len()).filter(|&at| outside[at] && tail.as_bytes()[at].is_ascii_alphanumeric() && !inside_variable(tail, at)).collect();
    Some(head.to_owned() + &insert(tail, &places, |_| "^", random))
}

/// Letters as pieces of variables' values; cmd puts them in within quotes too.
pub(super) fn variable_substrings(line: &str, shell: Shell, random: &mut Random) -> Option<String> {
    let start = read_by_cmd(line, shell)?;
    let places: Vec<usize> = line
        .char_indices()
        .skip_while(|(at, _)| *at < start)
        .filter(|(at, letter)| letter.is_ascii_lowercase() && !inside_variable(line, *at))
        .map(|p| p.0)
        .collect();
    let mut chosen: Vec<usize> = (0..3).filter(|_| !places.is_empty()).map(|_| *random.pick(&places)).collect();
    chosen.sort_unstable();
    chosen.dedup();
    let mut out = line.to_owned();
    for &at in chosen.iter().rev() {
        let Some(piece) = piece(&line[at..=at], random) else { continue };
        out.replace_range(at..=at, &piece);
    }
    Some(out)
}

fn piece(letter: &str, random: &mut Random) -> Option<String> {
    let found: Vec<String> =
        VARIABLES.iter().flat_map(|(name, value)| value.match_indices(letter).map(move |(at, _)| format!("%{name}:~{at},1%"))).collect();
    (!found.is_empty()).then(|| random.pick(&found).clone())
}

/// `-` for `/` and back before options, where the program takes both.
pub(super) fn option_prefix(line: &str) -> Option<String> {
    if !EITHER_PREFIX.contains(&program(line).as_str()) {
        return None;
    }
    let outside = outside_quotes(line, b"\"");
    let (mut out, mut previous) = (String::with_capacity(line.len()), 'x');
    let letters: Vec<(usize, char)> = line.char_indices().collect();
    for (index, &(at, letter)) in letters.iter().enumerate() {
        let option = previous == ' ' && outside[at] && letters.get(index + 1).is_some_and(|next| next.1.is_ascii_alphabetic());
        out.push(match letter {
            '/' if option => '-',
            '-' if option => '/',
            other => other,
        });
        previous = letter;
    }
    Some(out)
}

/// Another way to name the program.
pub(super) fn path_variants(line: &str, random: &mut Random) -> Option<String> {
    let (word, rest) = line.split_at(first_word(line));
    let bare = word.trim_matches('"');
    let quote = if word.starts_with('"') { "\"" } else { "" };
    let lower = bare.to_ascii_lowercase();
    let changed = if bare.contains('\\') {
        let (folder, name) = bare.rsplit_once('\\')?;
        match random.below(4) {
            0 => format!("{folder}\\.\\{name}"),
            1 => format!("{folder}\\\\{name}"),
            2 => format!("{}/{name}", folder.replace('\\', "/")),
            _ if lower.ends_with(".exe") => bare[..bare.len() - 4].to_owned(),
            _ => format!("{folder}\\x\\..\\{name}"),
        }
    } else if SYSTEM_TOOLS.contains(&lower.strip_suffix(".exe").unwrap_or(&lower)) {
        let stem = &bare[..lower.strip_suffix(".exe").map_or(bare.len(), str::len)];
        let root =
            random.pick(&["C:\\Windows\\System32\\", "%SystemRoot%\\System32\\", "C:\\Windows\\..\\Windows\\System32\\", "C:/Windows/System32/"]);
        format!("{root}{stem}.exe")
    } else {
        match lower.strip_suffix(".exe") {
            Some(stem) => bare[..stem.len()].to_owned(),
            None => return None,
        }
    };
    Some(format!("{quote}{changed}{quote}{rest}"))
}
