//! Wrappers: the ways a command is handed to a shell or to another machine. Every label's commands of one shell draw them
//! with the same chances, so that no wrapper tells a label.

use crate::{Grammar, Random, Shell};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// A command with its wrapper round it.
pub(crate) struct Wrapped {
    pub name: &'static str,
    pub text: String,
    /// The process that the wrapper starts; `None` where the text itself names it.
    pub shell: Shell,
}

/// Share of commands that stay as typed.
const BARE_SHARE: f64 = 0.6;

pub(crate) fn wrap(text: &str, shell: Shell, grammar: &Grammar, random: &mut Random) -> Wrapped {
    let one_line = !text.contains('\n');
    let bare = Wrapped { name: "none", text: text.to_owned(), shell };
    if random.chance(BARE_SHARE) {
        return bare;
    }
    let mut rule = |name: &str, random: &mut Random| grammar.expand_rule(name, random);
    match shell {
        Shell::Cmd if one_line => cmd(text, &mut rule, random),
        Shell::PowerShell => powershell(text, one_line, &mut rule, random),
        Shell::Sh => unix(text, one_line, &mut rule, random),
        _ => bare,
    }
}

type Rule<'a> = dyn FnMut(&str, &mut Random) -> String + 'a;

fn cmd(text: &str, rule: &mut Rule<'_>, random: &mut Random) -> Wrapped {
    let command = |text: String, name| Wrapped { name, text, shell: Shell::Cmd };
    let exe = rule("cmd-exe", random);
    let host = rule("host", random);
    match random.below(11) {
        0..=2 => command(format!("{exe} /c {text}"), "cmd"),
        3 | 4 => command(format!("{exe} {} \"{text}\"", random.pick(&["/c", "/C", "/d /c", "/q /c", "/s /c", "/k"])), "cmd"),
        5 => command(format!("\"C:\\{}\\cmd.exe\" /c {text}", random.pick(&["Windows\\System32", "windows\\system32", "WINDOWS\\system32"])), "cmd"),
        6 => {
            let exe = rule("powershell-exe", random);
            let quoted = text.replace('"', "\\\"");
            command(
                format!(
                    "{exe} {} \"{quoted}\"",
                    random.pick(&["-c", "-Command", "-NoProfile -Command", "-nop -c", "-ExecutionPolicy Bypass -Command"])
                ),
                "powershell-command",
            )
        }
        7 => {
            let tool = random.pick(&["psexec", "PsExec.exe", "psexec64 -accepteula", "PsExec64.exe"]);
            command(format!("{tool} \\\\{host} {}{text}", random.pick(&["", "-s ", "-accepteula -s ", "-h "])), "psexec")
        }
        8 => {
            let node = if random.chance(0.5) { format!("/node:{host} ") } else { String::new() };
            command(format!("wmic {node}{} \"cmd.exe /c {}\"", ["process", "call", "create"].join(" "), text.replace('"', "\\\"")), "wmic")
        }
        9 => command(format!("winrs -r:{host} {text}"), "winrs"),
        _ => {
            let (name, time) = (rule("word", random), rule("time", random));
            let schedule = random.pick(&["/sc once", "/sc daily", "/sc ONCE", "/sc onstart"]);
            let task = format!("\"cmd /c {}\"", text.replace('"', "\\\""));
            command(words(&["schtasks", "/create", "/tn", &name, "/tr", &task, schedule, "/st", &time]), "schtasks")
        }
    }
}

/// Words with a blank between them: put together when it runs, so that the whole does not stand in clear in the binary.
fn words(words: &[&str]) -> String {
    words.join(" ")
}

fn powershell(text: &str, one_line: bool, rule: &mut Rule<'_>, random: &mut Random) -> Wrapped {
    let exe = rule("powershell-exe", random);
    let switches = *random.pick(&[
        "",
        "",
        "-NoProfile ",
        "-nop ",
        "-NoP -NonI ",
        "-ExecutionPolicy Bypass ",
        "-ep bypass ",
        "-NoProfile -ExecutionPolicy Bypass ",
        "-w hidden ",
        "-nop -w hidden ",
        "-NonInteractive -NoLogo ",
    ]);
    let process = |text: String, name| Wrapped { name, text, shell: Shell::Process };
    match random.below(9) {
        kind @ 0..=3 if one_line => {
            let switch = *random.pick(&["-c", "-Command", "-command", "/c"]);
            match kind {
                0 | 1 => process(format!("{exe} {switches}{switch} \"{}\"", text.replace('"', "\\\"")), "powershell-command"),
                2 => process(format!("{exe} {switches}{switch} {text}"), "powershell-command"),
                _ => process(format!("{exe} {switches}\"& {{{}}}\"", text.replace('"', "\\\"")), "powershell-command"),
            }
        }
        4 if one_line => process(format!("cmd /c {exe} {switches}-Command \"{}\"", text.replace('"', "\\\"")), "cmd"),
        5 if one_line => {
            let host = rule("host", random);
            let text = words(&["Invoke-Command", "-ComputerName", &host, "-ScriptBlock", "{", text, "}"]);
            Wrapped { name: "winrm", text, shell: Shell::PowerShell }
        }
        _ => {
            let payload = STANDARD.encode(text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
            let switch = random.pick(&["-enc", "-EncodedCommand", "-e", "-ec", "-Enc", "-encodedcommand", "-en"]);
            process(format!("{exe} {switches}{switch} {payload}"), "encoded-command")
        }
    }
}

fn unix(text: &str, one_line: bool, rule: &mut Rule<'_>, random: &mut Random) -> Wrapped {
    let command = |text: String, name| Wrapped { name, text, shell: Shell::Sh };
    if !one_line {
        return command(text.to_owned(), "none");
    }
    let single = text.replace('\'', "'\\''");
    match random.below(10) {
        0..=2 if !text.contains(['|', ';', '&', '>', '$', '(']) => command(format!("sudo {text}"), "sudo"),
        0..=2 => command(format!("sudo sh -c '{single}'"), "sudo"),
        3 | 4 => command(format!("{} -c '{single}'", random.pick(&["bash", "sh", "/bin/sh", "/bin/bash", "zsh"])), "sh"),
        5 | 6 => {
            let target = match random.below(3) {
                0 => rule("host", random),
                1 => format!("{}@{}", rule("user", random), rule("host", random)),
                _ => format!("root@{}", rule("ip-private", random)),
            };
            command(format!("ssh {target} '{single}'"), "ssh")
        }
        7 => {
            let schedule = *random.pick(&["*/5 * * * *", "0 3 * * *", "17 * * * *", "@reboot", "30 2 * * 0"]);
            command(format!("{schedule} root {text}"), "cron")
        }
        8 => command(format!("su {}-c '{single}'", random.pick(&["- ", "", "root "])), "su"),
        _ => command(format!("nohup sh -c '{single}' &"), "nohup"),
    }
}
