#![allow(clippy::unwrap_used)]
use super::*;

fn all(obfuscation: Obfuscation, line: &str, shell: Shell) -> Vec<String> {
    (0..40).filter_map(|seed| obfuscation.apply(line, shell, &mut Random::new(seed, 0))).collect()
}

fn undone(obfuscation: Obfuscation, line: &str, shell: Shell, undo: impl Fn(&str) -> String) {
    let found = all(obfuscation, line, shell);
    assert!(!found.is_empty(), "{obfuscation:?}");
    for changed in found {
        assert_ne!(changed, line);
        assert_eq!(undo(&changed), line, "{obfuscation:?}: {changed}");
    }
}

#[test]
fn the_shell_takes_back_what_was_put_in() {
    use Obfuscation::*;
    let line = "net user \"a b\" /domain";
    undone(Carets, line, Shell::Cmd, |changed| changed.replace('^', ""));
    undone(EmptyQuotes, line, Shell::Cmd, |changed| changed.replace("\"\"", ""));
    undone(RandomCase, line, Shell::Cmd, str::to_lowercase);
    undone(UpperCase, line, Shell::Process, str::to_lowercase);
    undone(ExtraSpaces, line, Shell::Cmd, |changed| changed.split_whitespace().collect::<Vec<_>>().join(" "));
    undone(Backticks, "Get-ChildItem C:\\ | Select-Object Name", Shell::PowerShell, |changed| changed.replace('`', ""));
    let shell_line = "getent passwd | cut -d: -f1";
    undone(ShellQuoting, shell_line, Shell::Sh, |changed| changed.replace("''", "").replace("\"\"", "").replace('\\', ""));
    undone(EmptyVariables, shell_line, Shell::Sh, |changed| changed.replace("$@", "").replace("${x}", "").replace("$*", ""));
    undone(FieldSeparator, "cat /etc/hosts", Shell::Sh, |changed| changed.replace("${IFS}", " ").replace("$IFS$9", " "));
    undone(UnicodeDashes, "Get-Item -Path C:\\", Shell::PowerShell, |changed| changed.replace(['\u{2013}', '\u{2014}', '\u{2015}'], "-"));
    undone(Concatenation, "Get-ChildItem C:\\", Shell::PowerShell, |changed| changed.replace("& ('", "").replace("'+'", "").replace("')", ""));
    undone(Concatenation, "$x = 'some text'", Shell::PowerShell, |changed| changed.replace("('", "'").replace("'+'", "").replace("')", "'"));
}

#[test]
fn variables_give_their_letters_back() {
    let put_in = |changed: &str| {
        let mut text = changed.to_owned();
        for (name, value) in [("COMSPEC", "C:\\Windows\\system32\\cmd.exe"), ("PUBLIC", "C:\\Users\\Public"), ("ProgramFiles", "C:\\Program Files")] {
            for at in 0..value.len() {
                text = text.replace(&format!("%{name}:~{at},1%"), &value[at..=at]);
            }
        }
        text
    };
    undone(Obfuscation::VariableSubstrings, "netstat -ano", Shell::Cmd, put_in);
    undone(Obfuscation::VariableSubstrings, "C:\\Windows\\cmd.exe /c \"dir %TEMP%\"", Shell::Process, put_in);
}

#[test]
fn payloads_addresses_and_what_no_shell_reads_stay() {
    let payload = "powershell -enc RwBlAHQALQBDAGgAaQBsAGQASQB0AGUAbQA= https://Example.com/Path";
    for changed in all(Obfuscation::RandomCase, payload, Shell::Cmd) {
        assert!(changed.ends_with(" RwBlAHQALQBDAGgAaQBsAGQASQB0AGUAbQA= https://Example.com/Path"), "{changed}");
    }
    assert!(all(Obfuscation::UnicodeDashes, "netstat -ano", Shell::PowerShell).is_empty(), "netstat would be handed the dash");
    assert!(all(Obfuscation::Carets, "%USERNAME%", Shell::Cmd).is_empty(), "a variable's name");
    assert!(all(Obfuscation::Backticks, "function Test-Name { }", Shell::PowerShell).is_empty(), "a function's name");
    assert!(all(Obfuscation::Carets, "\"C:\\Windows\\System32\\net.exe\" user", Shell::Process).is_empty(), "no cmd reads it");
    for changed in all(Obfuscation::Carets, "cmd.exe /c net user", Shell::Process) {
        assert!(changed.starts_with("cmd.exe /c n"), "{changed}");
    }
    assert!(Obfuscation::ALL.iter().all(|obfuscation| all(*obfuscation, "The user listed accounts.", Shell::English).is_empty()));
}

#[test]
fn encoded_commands_hold_the_line() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let decode = |changed: &str| {
        let bytes = STANDARD.decode(changed.rsplit(' ').next().unwrap()).unwrap();
        String::from_utf16(&bytes.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect::<Vec<u16>>()).unwrap()
    };
    undone(Obfuscation::EncodedCommand, "Get-Date", Shell::PowerShell, decode);
    let line = "powershell.exe -nop -Command \"Get-Date\"";
    assert_eq!(decode(&all(Obfuscation::EncodedCommand, line, Shell::Process)[0]), "Get-Date");
    assert!(all(Obfuscation::EncodedCommand, "dir & dir", Shell::Cmd).is_empty());
    assert_eq!(all(Obfuscation::EncodedCommand, "ls", Shell::Sh)[0], "echo bHM= | base64 -d | sh");
}

#[test]
fn programs_keep_their_name() {
    for (line, shell) in [("net user", Shell::Cmd), ("\"C:\\Windows\\System32\\net.exe\" user", Shell::Process), ("/usr/bin/id -u", Shell::Sh)] {
        for changed in all(Obfuscation::PathVariants, line, shell) {
            assert!(changed.contains("net") || changed.contains("/id"), "{changed}");
            assert!(changed.ends_with(" user") || changed.ends_with(" -u"), "{changed}");
        }
    }
    assert_eq!(all(Obfuscation::OptionPrefix, "ipconfig /all", Shell::Cmd)[0], "ipconfig -all");
    assert!(all(Obfuscation::OptionPrefix, "net user /domain", Shell::Cmd).is_empty(), "net takes / only");
}

#[test]
fn rows_tell_what_they_are() {
    let row = |shell: &str, platform: &str, text: &str| Row { shell: shell.into(), platform: platform.into(), text: text.into(), ..Row::default() };
    assert_eq!(shell_of(&row("process_creation", "windows", "reg query x")), Shell::Cmd);
    assert_eq!(shell_of(&row("process_creation", "windows", "\"C:\\x.exe\" y")), Shell::Process);
    assert_eq!(shell_of(&row("process_creation", "linux", "ls -l")), Shell::Sh);
    assert_eq!(shell_of(&row("powershell", "windows", "Get-Date")), Shell::PowerShell);
    assert_eq!(shell_of(&row("narrative", "", "The actor did.")), Shell::English);
    assert_eq!(shell_of(&row("", "", "anything")), Shell::English);
    assert_eq!(shell_of(&Row { rendering: "sysmon".into(), ..row("cmd", "windows", "x") }), Shell::English);
}

#[test]
fn no_line_makes_it_fail() {
    let lines =
        ["", " ", "'", "\"", "\"\"\"", "żółw 日本 -ä", "a'b\"c", "%", "cmd /c ", "cmd /c \"", "-", "'é'", "powershell -c ", "\\\\", "/", "/x"];
    let shells = [Shell::Cmd, Shell::PowerShell, Shell::Sh, Shell::Process, Shell::Script, Shell::English];
    for line in lines {
        for (obfuscation, shell) in Obfuscation::ALL.iter().flat_map(|obfuscation| shells.iter().map(move |shell| (obfuscation, shell))) {
            assert!(all(*obfuscation, line, *shell).iter().all(|changed| changed != line), "{obfuscation:?} {line}");
        }
    }
}
