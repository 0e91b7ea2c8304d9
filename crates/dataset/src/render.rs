//! How a line is logged: as typed, or as fields of an event. Parents, users and machines come from the same lists for every
//! label.

use crate::{Grammar, Random, Shell};

const WINDOWS_PARENTS: [&str; 9] = [
    "C:\\Windows\\explorer.exe",
    "C:\\Windows\\System32\\cmd.exe",
    "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe",
    "C:\\Windows\\System32\\services.exe",
    "C:\\Windows\\System32\\svchost.exe",
    "C:\\Windows\\System32\\wbem\\WmiPrvSE.exe",
    "C:\\Windows\\PSEXESVC.exe",
    "C:\\Program Files\\Management Agent\\agent.exe",
    "C:\\Windows\\System32\\taskeng.exe",
];

/// Share of lines that stay the bare text.
const BARE_SHARE: f64 = 0.72;

/// A rendering's name and the line.
pub(crate) fn render(text: &str, shell: Shell, platform: &str, grammar: &Grammar, random: &mut Random) -> (&'static str, String) {
    let bare = ("bare", text.to_owned());
    if random.chance(BARE_SHARE) || shell == Shell::English {
        return bare;
    }
    let rule = |name: &str, random: &mut Random| grammar.expand_rule(name, random);
    let windows = platform == "windows" || platform == "any" && matches!(shell, Shell::Cmd | Shell::PowerShell);
    match (shell, windows) {
        (Shell::PowerShell | Shell::Script, true) => {
            let (host, id) = (rule("host", random), rule("guid", random));
            match random.below(2) {
                0 => ("script-block", format!("Creating Scriptblock text (1 of 1):\n{text}\n\nScriptBlock ID: {id}\nPath: ")),
                _ => ("script-block", format!("EventID=4104 Computer={host} ScriptBlockText={text}")),
            }
        }
        (Shell::Cmd | Shell::Process, true) if !text.contains('\n') => windows_event(text, &rule, random),
        (Shell::Sh | Shell::Process, false) if !text.contains('\n') => unix_record(text, &rule, random),
        _ => bare,
    }
}

fn windows_event(text: &str, rule: &impl Fn(&str, &mut Random) -> String, random: &mut Random) -> (&'static str, String) {
    let parent = *random.pick(&WINDOWS_PARENTS);
    let user = if random.chance(0.3) { "NT AUTHORITY\\SYSTEM".to_owned() } else { format!("{}\\{}", rule("domain", random), rule("user", random)) };
    let (host, pid) = (rule("fqdn", random), rule("pid", random));
    match random.below(4) {
        0 => ("sysmon", format!("EventID=1 Computer={host} CommandLine={text} ParentImage={parent} User={user}")),
        1 => ("sysmon", format!("Process Create: ProcessId: {pid} CommandLine: {text} User: {user} ParentImage: {parent}")),
        2 => ("security-4688", format!("EventID=4688 SubjectUserName={user} CommandLine={text} ParentProcessName={parent}")),
        _ => (
            "security-4688",
            format!("A new process has been created. Account Name: {user} Creator Process Name: {parent} Process Command Line: {text}"),
        ),
    }
}

fn unix_record(text: &str, rule: &impl Fn(&str, &mut Random) -> String, random: &mut Random) -> (&'static str, String) {
    let (host, user, pid, time) = (rule("host", random), rule("user", random), rule("pid", random), rule("time", random));
    match random.below(3) {
        0 if is_word_list(text) => ("auditd", execve(text, &pid)),
        1 => ("syslog", format!("{host} bash[{pid}]: HISTORY: PID={pid} UID=1000 {text}")),
        _ => (
            "syslog",
            format!("{time}:{:02} {host} sudo[{pid}]: {user} : TTY=pts/0 ; PWD=/home/{user} ; USER=root ; COMMAND={text}", random.below(60)),
        ),
    }
}

/// Whether `text` is a command and plain words, so that no shell is needed to run it.
fn is_word_list(text: &str) -> bool {
    !text.contains(['|', ';', '&', '>', '<', '$', '(', '"', '\'', '*', '`', '\\', '~', '?', '{'])
}

/// An auditd EXECVE record of a list of words.
fn execve(text: &str, serial: &str) -> String {
    let arguments: Vec<String> = text.split_whitespace().enumerate().map(|(index, word)| format!("a{index}=\"{word}\"")).collect();
    format!("type=EXECVE msg=audit(1712{serial:0>6}.101:{serial}): argc={} {}", arguments.len(), arguments.join(" "))
}
