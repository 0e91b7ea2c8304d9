//! A row as the event that Sigma's rules read.

use super::super::subject::Line;
use super::image;
use attackline_dataset::{Row, Shell, shell_of};
use serde::Serialize;

/// Windows' event of a PowerShell script block.
const SCRIPT_BLOCK: u32 = 4104;

/// Sysmon's event of a new process.
const NEW_PROCESS: u32 = 1;

/// The fields of the rules of `process_creation` and `ps_script`, those that a row can fill.
#[derive(Serialize)]
struct Event<'a> {
    attackline_row: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    attackline_product: Option<&'static str>,
    attackline_service: &'static str,
    attackline_category: &'static str,
    #[serde(rename = "EventID")]
    event_id: u32,
    #[serde(rename = "CommandLine", skip_serializing_if = "Option::is_none")]
    command_line: Option<&'a str>,
    #[serde(rename = "ScriptBlockText", skip_serializing_if = "Option::is_none")]
    script_block_text: Option<&'a str>,
    #[serde(rename = "Image", skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    #[serde(rename = "OriginalFileName", skip_serializing_if = "Option::is_none")]
    original_file_name: Option<String>,
    #[serde(rename = "ParentImage", skip_serializing_if = "Option::is_none")]
    parent_image: Option<String>,
    #[serde(rename = "ParentCommandLine", skip_serializing_if = "Option::is_none")]
    parent_command_line: Option<&'a str>,
    #[serde(rename = "User", skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
}

/// The event of a line, as one line of JSON; the number comes back with each match.
pub fn json(number: usize, line: &Line<'_>) -> Vec<u8> {
    // Text, numbers and nothing else: there is nothing in it that JSON can't say.
    serde_json::to_vec(&event(number, line)).unwrap_or_default()
}

fn event<'a>(number: usize, line: &Line<'a>) -> Event<'a> {
    let given = |text: fn(&Row) -> &str| line.row.map(text).filter(|text| !text.is_empty());
    let shell = line.row.map_or(Shell::English, shell_of);
    let product = line.row.and_then(|row| product(row, shell));
    let is_script = matches!(shell, Shell::PowerShell | Shell::Script) && given(|row| &row.image).is_none();
    let image = match given(|row| &row.image) {
        Some(image) => Some(image.to_owned()),
        None if is_script => None,
        // An obfuscation changes the text, not the program that it starts.
        None => image::of(line.row.map_or(line.text, |row| &row.text), product),
    };
    Event {
        attackline_row: number,
        attackline_product: product,
        // Rules of logs that have other fields apply to neither.
        attackline_service: if is_script { "powershell" } else { "sysmon" },
        attackline_category: if is_script { "ps_script" } else { "process_creation" },
        event_id: if is_script { SCRIPT_BLOCK } else { NEW_PROCESS },
        command_line: (!is_script).then_some(line.text),
        script_block_text: is_script.then_some(line.text),
        original_file_name: image.as_deref().map(|image| image::file_name(image).to_owned()),
        image,
        parent_image: line.parent.and_then(|parent| image::of(parent, product)),
        parent_command_line: line.parent,
        user: given(|row| &row.user),
    }
}

/// The system that a row is from, as Sigma calls it; `None` where it is unknown, so that the rules of all apply.
fn product(row: &Row, shell: Shell) -> Option<&'static str> {
    match row.platform.as_str() {
        "windows" => Some("windows"),
        "linux" => Some("linux"),
        "macos" => Some("macos"),
        _ => matches!(shell, Shell::Cmd | Shell::PowerShell | Shell::Script).then_some("windows"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    fn of(row: &Row) -> Value {
        serde_json::from_slice(&super::json(7, &Line::from(row))).unwrap()
    }

    #[test]
    fn processes_scripts_and_what_is_known_of_neither() {
        let row = Row {
            text: "sc start x".into(),
            shell: "process_creation".into(),
            platform: "windows".into(),
            image: "C:\\Tools\\sc.exe".into(),
            parent: "\"C:\\Windows\\system32\\cmd.exe\" /c run".into(),
            user: "A\\b".into(),
            ..Row::default()
        };
        let wanted = json!({
            "attackline_row": 7, "attackline_product": "windows", "attackline_service": "sysmon", "attackline_category": "process_creation",
            "EventID": 1, "CommandLine": "sc start x", "Image": "C:\\Tools\\sc.exe", "OriginalFileName": "sc.exe",
            "ParentImage": "C:\\Windows\\system32\\cmd.exe", "ParentCommandLine": "\"C:\\Windows\\system32\\cmd.exe\" /c run", "User": "A\\b",
        });
        assert_eq!(of(&row), wanted);
        let script = of(&Row { text: "Get-Process\n'x'".into(), shell: "powershell".into(), ..Row::default() });
        let wanted = json!({
            "attackline_row": 7, "attackline_product": "windows", "attackline_service": "powershell", "attackline_category": "ps_script",
            "EventID": 4104, "ScriptBlockText": "Get-Process\n'x'",
        });
        assert_eq!(script, wanted);
        let unknown = of(&Row { text: "The actor ran tools".into(), ..Row::default() });
        assert_eq!(
            (&unknown["CommandLine"], &unknown["Image"], &unknown["attackline_product"]),
            (&json!("The actor ran tools"), &Value::Null, &Value::Null)
        );
    }

    #[test]
    fn an_obfuscated_line_starts_the_same_program() {
        let row = Row { text: "net user".into(), shell: "cmd".into(), platform: "windows".into(), ..Row::default() };
        let spelt: Value = serde_json::from_slice(&super::json(0, &Line::from(&row).with_text("n^et user"))).unwrap();
        assert_eq!((&spelt["CommandLine"], &spelt["Image"]), (&json!("n^et user"), &json!("C:\\Windows\\System32\\net.exe")));
    }
}
