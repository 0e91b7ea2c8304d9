//! What the members of NDJSON rows and the columns of CSV rows are called in what people export, and what they say of the event.

use serde_json::{Map, Value};

use crate::json::{member, scalar, take_member};
use crate::{Event, ReadErrorKind};

/// Where the text is looked for where no field is named, the best first.
pub(crate) const TEXT_NAMES: [&str; 8] =
    ["text", "CommandLine", "process.command_line", "ProcessCommandLine", "ScriptBlockText", "EventXML", "message", "_raw"];
/// Where a program's own words stand: what looks like an event there was made to.
const COMMAND_NAMES: [&str; 3] = ["CommandLine", "ProcessCommandLine", "ScriptBlockText"];

/// What a member says of the event.
#[derive(Debug, Clone, Copy)]
enum Part {
    Time,
    Host,
    User,
    Domain,
    Account,
    Image,
    Parent,
    ParentImage,
}

/// The names that Windows events, Defender, Sentinel, ECS and our own findings have, for each part the best first.
const NAMES: [(Part, &str); 44] = [
    (Part::Time, "UtcTime"),
    (Part::Time, "@timestamp"),
    (Part::Time, "timestamp"),
    (Part::Time, "TimeCreated"),
    (Part::Time, "TimeGenerated"),
    (Part::Time, "EventTime"),
    (Part::Time, "time"),
    (Part::Time, "datetime"),
    (Part::Time, "date"),
    (Part::Time, "event.timestamp"),
    (Part::Host, "Computer"),
    (Part::Host, "ComputerName"),
    (Part::Host, "hostname"),
    (Part::Host, "host"),
    (Part::Host, "DeviceName"),
    (Part::Host, "MachineName"),
    (Part::Host, "host.name"),
    (Part::Host, "winlog.computer_name"),
    (Part::Host, "event.host"),
    (Part::User, "User"),
    (Part::User, "UserName"),
    (Part::User, "user.name"),
    (Part::User, "event.user"),
    (Part::Domain, "AccountDomain"),
    (Part::Domain, "SubjectDomainName"),
    (Part::Account, "AccountName"),
    (Part::Account, "SubjectUserName"),
    (Part::Image, "Image"),
    (Part::Image, "NewProcessName"),
    (Part::Image, "process.executable"),
    (Part::Image, "FolderPath"),
    (Part::Image, "ProcessPath"),
    (Part::Image, "event.image"),
    // What a labelled row or a finding calls so was meant so.
    (Part::Parent, "parent"),
    (Part::Parent, "event.parent"),
    (Part::Parent, "ParentCommandLine"),
    (Part::Parent, "ParentProcessCommandLine"),
    (Part::Parent, "InitiatingProcessCommandLine"),
    (Part::Parent, "process.parent.command_line"),
    (Part::ParentImage, "ParentImage"),
    (Part::ParentImage, "ParentProcessName"),
    (Part::ParentImage, "ParentProcessPath"),
    (Part::ParentImage, "InitiatingProcessFolderPath"),
    (Part::ParentImage, "process.parent.executable"),
];

/// Whether two names are one but for case, blanks and underscores.
pub(crate) fn same_name(name: &str, other: &str) -> bool {
    letters(name).eq(letters(other))
}

fn letters(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().filter(|byte| !matches!(byte, b' ' | b'_')).map(|byte| byte.to_ascii_lowercase())
}

/// What a row of one's own says of the event beside the text. The parent is first what a labelled row (`parent`) or a finding (`event.parent`) calls
/// so; else members are known by the names that Windows events, Defender, Sentinel and ECS give them.
pub fn row_event(row: &Map<String, Value>) -> Event {
    // For each part the best name that the row has, and what it says.
    let mut known: [Option<(usize, String)>; 8] = Default::default();
    let mut note = |rank: usize, value: &Value| {
        let (part, name) = NAMES[rank];
        let place = &mut known[part as usize];
        if place.as_ref().is_none_or(|(other, _)| rank < *other) {
            let text = if matches!(part, Part::Time) { scalar(value).map(|time| timestamp(name, time)) } else { string(value) };
            *place = text.map(|text| (rank, text)).or_else(|| place.take());
        }
    };
    let mut has_paths = false;
    for (name, value) in row {
        has_paths |= value.is_object() || name.contains('.');
        NAMES.iter().enumerate().filter(|(_, (_, other))| same_name(name, other)).for_each(|(rank, _)| note(rank, value));
    }
    let paths = NAMES.iter().enumerate().filter(|(_, (_, name))| has_paths && name.contains('.'));
    paths.for_each(|(rank, (_, path))| member(row, path).into_iter().for_each(|value| note(rank, value)));
    let [timestamp, host, user, domain, account, image, parent, parent_image] = known.map(|known| known.map(|(_, text)| text));
    let with_domain = account.map(|account| domain.map_or_else(|| account.clone(), |domain| format!("{domain}\\{account}")));
    // A path is heard as EVTX's is; a bare name such as `services.exe` says too little to move a line's answer.
    let started_by = parent_image.clone().filter(|image| image.contains(['/', '\\']));
    Event { timestamp, host, user: user.or(with_domain), image, parent: parent.or(started_by), parent_image, ..Event::default() }
}

/// The member of a name, in any spelling, or the one at a dotted path.
fn find<'a>(row: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let spelt = || row.iter().find(|(other, _)| same_name(other, name)).map(|(_, value)| value);
    member(row, name).or_else(spelt)
}

fn string(value: &Value) -> Option<String> {
    scalar(value).filter(|_| value.is_string())
}

/// Sysmon writes UTC without saying so, Windows PowerShell milliseconds since 1970.
fn timestamp(name: &str, time: String) -> String {
    let since_1970 = time.strip_prefix("/Date(").and_then(|rest| rest.strip_suffix(")/")).and_then(|number| number.parse().ok());
    if let Some(Ok(time)) = since_1970.map(evtx::Timestamp::from_millisecond) {
        return time.to_string();
    }
    let is_bare = time.as_bytes().get(10) == Some(&b' ') && time.bytes().all(|byte| byte.is_ascii_digit() || b"-: .".contains(&byte));
    if same_name(name, "UtcTime") && is_bare { format!("{}Z", time.replacen(' ', "T", 1)) } else { time }
}

/// Whether a row has a text where no field is named.
pub(crate) fn has_text(row: &Map<String, Value>) -> bool {
    TEXT_NAMES.iter().any(|name| find(row, name).and_then(string).is_some())
}

/// A row's text, and whether it may be a whole event.
#[derive(Debug)]
pub(crate) struct RowText {
    pub(crate) text: String,
    pub(crate) may_be_event: bool,
}

/// Whether what a row has under this name may be a whole event.
pub(crate) fn may_be_event(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    !COMMAND_NAMES.iter().any(|command| same_name(command, last))
}

/// Takes the text out of a row: out of the field that is named, else out of the first that is known.
pub(crate) fn take_text(row: &mut Map<String, Value>, field: Option<&str>) -> Result<RowText, ReadErrorKind> {
    let field = field.unwrap_or(TEXT_NAMES[0]);
    match take_member(row, field) {
        Some(Value::String(text)) => return Ok(RowText { text, may_be_event: may_be_event(field) }),
        Some(_) => return Err(ReadErrorKind::NotText(field.to_owned())),
        None if field != TEXT_NAMES[0] => return Err(ReadErrorKind::MissingField(field.to_owned())),
        None => {}
    }
    let known = TEXT_NAMES.iter().find(|name| find(row, name).and_then(string).is_some());
    let taken = known.and_then(|name| {
        let spelt = row.keys().find(|other| same_name(other, name)).cloned();
        take_member(row, name).or_else(|| row.shift_remove(&spelt?))
    });
    match taken {
        Some(Value::String(text)) => Ok(RowText { text, may_be_event: known.is_some_and(|name| may_be_event(name)) }),
        _ => Err(ReadErrorKind::MissingField(field.to_owned())),
    }
}

/// The column that holds the text: the one named, else the first known one.
pub(crate) fn text_column(names: &[String], field: Option<&str>) -> Option<usize> {
    match field {
        Some(field) => names.iter().position(|name| name.eq_ignore_ascii_case(field)),
        None => TEXT_NAMES.iter().find_map(|known| names.iter().position(|name| same_name(name, known))),
    }
}

/// The names that the text was looked for under, for a message.
pub(crate) fn wanted_names(field: Option<&str>) -> String {
    field.map_or_else(|| TEXT_NAMES.join(" or "), |field| format!("\"{field}\""))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn row(text: &str) -> Map<String, Value> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn names_are_one_in_any_spelling() {
        assert!(
            same_name("Process Command Line", "ProcessCommandLine") && same_name("command_line", "CommandLine") && same_name("MESSAGE", "message")
        );
        assert!(!same_name("Command", "CommandLine") && !same_name("", "text"));
    }

    #[test]
    fn the_text_is_found_under_known_names() {
        let check = |text: &str, field, wanted: Result<&str, &str>| {
            let found = take_text(&mut row(text), field).map(|found| found.text).map_err(|error| error.to_string());
            assert_eq!(found.as_deref().map_err(String::as_str), wanted, "{text}");
        };
        check(r#"{"message":"m","Command_Line":"c","text":"t"}"#, None, Ok("t"));
        check(r#"{"message":"m","Command_Line":"c"}"#, None, Ok("c"));
        check(r#"{"MESSAGE":"m","CommandLine":""}"#, None, Ok("m"));
        check(r#"{"process":{"command_line":"p"}}"#, None, Ok("p"));
        check(r#"{"ScriptBlockText":"s"}"#, None, Ok("s"));
        check(r#"{"_raw":"r","_time":"t"}"#, None, Ok("r"));
        check(r#"{"Message":"m","EventXML":"x"}"#, None, Ok("x"));
        check(r#"{"text":3,"CommandLine":"c"}"#, None, Err("the field \"text\" holds no text"));
        check(r#"{"CommandLine":3}"#, None, Err("no field \"text\""));
        check(r#"{"CommandLine":"c"}"#, Some("x"), Err("no field \"x\""));
    }

    #[test]
    fn what_a_program_says_is_no_event() {
        assert!(may_be_event("text") && may_be_event("_raw") && may_be_event("event.original"));
        assert!(!may_be_event("process.command_line") && !may_be_event("winlog.event_data.CommandLine") && !may_be_event("Script Block Text"));
    }

    #[test]
    fn what_is_known_of_the_event_is_told() {
        let check = |text: &str, wanted: &str| {
            let Event { timestamp, host, user, image, parent, parent_image, .. } = row_event(&row(text));
            let shown: Vec<String> = [timestamp, host, user, image, parent, parent_image].into_iter().map(Option::unwrap_or_default).collect();
            assert_eq!(shown.join("|"), wanted, "{text}");
        };
        check(
            r#"{"UtcTime":"2026-03-09 08:12:04.123","Computer":"h","User":"D\\u","Image":"i","ParentImage":"p","ParentCommandLine":"p -x"}"#,
            r"2026-03-09T08:12:04.123Z|h|D\u|i|p -x|p",
        );
        check(
            r#"{"Timestamp":"t","DeviceName":"h","AccountDomain":"d","Account Name":"u","FolderPath":"i","InitiatingProcessCommandLine":"p -x"}"#,
            r"t|h|d\u|i|p -x|",
        );
        check(r#"{"time":1700000000,"Host Name":"h","user":7,"ParentImage":"p"}"#, "1700000000|h||||p");
        check(r#"{"ParentImage":"/bin/p"}"#, "||||/bin/p|/bin/p");
        check(
            r#"{"@timestamp":"t","host":{"name":"h"},"user":{"name":"u"},"process":{"executable":"i","parent":{"command_line":"p"}}}"#,
            "t|h|u|i|p|",
        );
        check(r#"{"event":{"timestamp":"t","host":"h","user":"u","image":"i","parent":"p"}}"#, "t|h|u|i|p|");
        check(r#"{"ParentCommandLine":"other","parent":"mine"}"#, "||||mine|");
        check(r#"{"TimeCreated":"/Date(1604994496155)/","MachineName":"h"}"#, "2020-11-10T07:48:16.155Z|h||||");
        check(r#"{"parent":"-","host":""}"#, "|||||");
    }
}
