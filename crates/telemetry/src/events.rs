//! Which Windows events hold something to classify, and what. EVTX, Winlogbeat, NXLog and ECS come together here.

use serde_json::{Map, Value};

use crate::Event;
use crate::json::{member, scalar};

type Object = Map<String, Value>;

/// What a Windows event is to us.
#[derive(Debug, PartialEq)]
pub(crate) enum Mapped {
    /// A process was made, or a whole script block ran.
    Text(String, Event),
    /// One part of a script block.
    Part { block: String, number: u64, total: u64, text: String, event: Event },
    /// The right kind of event without its text.
    Incomplete(&'static str),
    /// Any other event.
    Skip,
}

/// Says what `row` holds, whichever shipper wrote it.
pub(crate) fn map_event(row: &Object) -> Mapped {
    let fields = Fields::of(row);
    let event = fields.event();
    let channel = |word: &str| {
        let names = [event.channel.clone(), fields.provider()];
        let mut known = names.iter().flatten().peekable();
        known.peek().is_none() || known.any(|name| name.to_ascii_lowercase().contains(word))
    };
    match event.event_id {
        Some(1) if channel("sysmon") => process(&fields, event),
        Some(4688) if channel("security") => process(&fields, event),
        Some(4104) if channel("powershell") => script_block(&fields, event),
        // Agents other than Windows' own number their events otherwise or not at all.
        None if fields.is_ecs_process_start() => process(&fields, event),
        _ => Mapped::Skip,
    }
}

/// True where `row` looks like a Windows event rather than any other JSON.
pub(crate) fn is_windows_event(row: &Object) -> bool {
    let has = |path| member(row, path).is_some();
    has("EventID")
        || has("winlog.event_id")
        || has("winlog.event_data")
        || has("Event.System")
        || has("process.command_line")
        || (has("event.code") && has("@timestamp"))
}

fn process(fields: &Fields<'_>, event: Event) -> Mapped {
    let text = fields.data(&["CommandLine", "ProcessCommandLine"]).or_else(|| fields.path(&["process.command_line"]));
    match text.or_else(|| event.image.clone()) {
        Some(text) => Mapped::Text(text, event),
        None => Mapped::Incomplete("CommandLine"),
    }
}

fn script_block(fields: &Fields<'_>, event: Event) -> Mapped {
    let text = fields.data(&["ScriptBlockText"]).or_else(|| fields.path(&["powershell.file.script_block_text"]));
    let Some(text) = text else {
        return Mapped::Incomplete("ScriptBlockText");
    };
    let number = |names: &[&str], path| fields.data(names).or_else(|| fields.path(&[path])).and_then(|text| text.parse::<u64>().ok());
    let part = number(&["MessageNumber"], "powershell.sequence");
    let total = number(&["MessageTotal"], "powershell.total");
    let block = fields.data(&["ScriptBlockId"]).or_else(|| fields.path(&["powershell.file.script_block_id"]));
    match (block, part, total) {
        (Some(block), Some(number), Some(total)) if total > 1 => Mapped::Part { block, number, total, text, event },
        _ => Mapped::Text(text, event),
    }
}

/// One view over the shapes that events come in.
struct Fields<'a> {
    row: &'a Object,
    /// Where the event's own data are: `Event.EventData`, `winlog.event_data`, or the row itself.
    data: &'a Object,
    system: Option<&'a Object>,
}

impl<'a> Fields<'a> {
    fn of(row: &'a Object) -> Self {
        let object = |path| member(row, path).and_then(Value::as_object);
        let data = object("Event.EventData").or_else(|| object("winlog.event_data")).or_else(|| object("EventData")).unwrap_or(row);
        Self { row, data, system: object("Event.System") }
    }

    /// The first of these event data.
    fn data(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.data.get(*name).and_then(scalar))
    }

    /// The first of these members of the row.
    fn path(&self, paths: &[&str]) -> Option<String> {
        paths.iter().find_map(|path| member(self.row, path).and_then(scalar))
    }

    /// The first of these members of an EVTX event's `System` part.
    fn system(&self, path: &str) -> Option<String> {
        self.system.and_then(|system| member(system, path)).and_then(scalar)
    }

    fn provider(&self) -> Option<String> {
        self.system("Provider.#attributes.Name").or_else(|| self.path(&["winlog.provider_name", "SourceName", "ProviderName", "event.provider"]))
    }

    fn is_ecs_process_start(&self) -> bool {
        let says = |path: &str, word: &str| {
            member(self.row, path).map(|value| match value {
                Value::Array(values) => values.iter().any(|value| value.as_str() == Some(word)),
                value => value.as_str() == Some(word),
            })
        };
        member(self.row, "process.command_line").is_some() && says("event.type", "start").unwrap_or(true)
    }

    fn event(&self) -> Event {
        let event_id = self
            .system("EventID")
            .or_else(|| self.path(&["EventID", "winlog.event_id", "event.code", "event_id"]))
            .and_then(|text| text.parse().ok());
        let image = self.data(&["Image", "NewProcessName"]).or_else(|| self.path(&["process.executable", "process.name"]));
        let parent_image =
            self.data(&["ParentImage", "ParentProcessName"]).or_else(|| self.path(&["process.parent.executable", "process.parent.name"]));
        let parent = self.data(&["ParentCommandLine"]).or_else(|| self.path(&["process.parent.command_line"])).or_else(|| parent_image.clone());
        Event {
            timestamp: self.timestamp(),
            host: self.system("Computer").or_else(|| self.path(&["Hostname", "winlog.computer_name", "host.name", "Computer", "host.hostname"])),
            user: self.user(),
            image,
            parent,
            parent_image,
            event_id,
            channel: self.system("Channel").or_else(|| self.path(&["Channel", "winlog.channel"])),
        }
    }

    /// Times whose zone is known come first: NXLog's `EventTime` is in the host's own.
    fn timestamp(&self) -> Option<String> {
        let sysmon = || self.data(&["UtcTime"]).map(|time| format!("{}Z", time.replacen(' ', "T", 1)));
        self.system("TimeCreated.#attributes.SystemTime").or_else(sysmon).or_else(|| self.path(&["@timestamp", "TimeCreated", "EventTime"]))
    }

    fn user(&self) -> Option<String> {
        let with_domain = |name: Option<String>, domain: Option<String>| match (domain, name?) {
            (Some(domain), name) => Some(format!("{domain}\\{name}")),
            (None, name) => Some(name),
        };
        self.data(&["User"])
            .or_else(|| with_domain(self.data(&["SubjectUserName"]), self.data(&["SubjectDomainName"])))
            .or_else(|| with_domain(self.path(&["user.name", "winlog.user.name"]), self.path(&["user.domain", "winlog.user.domain"])))
            .or_else(|| with_domain(self.path(&["AccountName"]), self.path(&["Domain"])))
            .or_else(|| self.system("Security.#attributes.UserID"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn map(row: &str) -> Mapped {
        map_event(&serde_json::from_str(row).unwrap())
    }

    /// Checks the text and `timestamp|host|user|image|parent|parent_image|id|channel`.
    fn check(row: &str, wanted_text: &str, wanted_event: &str) {
        let Mapped::Text(text, event) = map(row) else { panic!("{row} gives {:?}", map(row)) };
        let id = event.event_id.map(|id| id.to_string());
        let Event { timestamp, host, user, image, parent, parent_image, channel, .. } = event;
        let fields = [timestamp, host, user, image, parent, parent_image, id, channel];
        let shown: Vec<String> = fields.into_iter().map(Option::unwrap_or_default).collect();
        assert_eq!((text.as_str(), shown.join("|").as_str()), (wanted_text, wanted_event), "{row}");
    }

    #[test]
    fn the_same_event_comes_out_of_every_shape() {
        check(
            r#"{"EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational","Hostname":"h","User":"D\\u","Image":"i","CommandLine":"i -x","ParentImage":"p","ParentCommandLine":"p -y","UtcTime":"2020-01-02 03:04:05.678","EventTime":"local"}"#,
            "i -x",
            r"2020-01-02T03:04:05.678Z|h|D\u|i|p -y|p|1|Microsoft-Windows-Sysmon/Operational",
        );
        check(
            r#"{"EventID":"4688","Channel":"security","Hostname":"h","SubjectUserName":"u","SubjectDomainName":"D","NewProcessName":"i","ParentProcessName":"p","CommandLine":"","@timestamp":"t","EventTime":"local"}"#,
            "i",
            r"t|h|D\u|i|p|p|4688|security",
        );
        check(
            r#"{"@timestamp":"t","winlog":{"event_id":4688,"channel":"Security","computer_name":"h","event_data":{"CommandLine":"c","NewProcessName":"i","SubjectUserName":"u"}},"event":{"code":4688}}"#,
            "c",
            "t|h|u|i|||4688|Security",
        );
        check(
            r##"{"Event":{"System":{"EventID":{"#attributes":{"Qualifiers":0},"#text":4104},"Channel":"Microsoft-Windows-PowerShell/Operational","Computer":"h","TimeCreated":{"#attributes":{"SystemTime":"t"}},"Security":{"#attributes":{"UserID":"S-1"}}},"EventData":{"ScriptBlockText":"ls","MessageNumber":1,"MessageTotal":1}}}"##,
            "ls",
            "t|h|S-1||||4104|Microsoft-Windows-PowerShell/Operational",
        );
        check(
            r#"{"@timestamp":"t","host":{"name":"h"},"user":{"name":"u","domain":"D"},"event":{"type":["start"]},"process":{"command_line":"c","executable":"i","parent":{"executable":"p"}}}"#,
            "c",
            r"t|h|D\u|i|p|p||",
        );
    }

    #[test]
    fn other_events_are_skipped() {
        for row in [
            r#"{"EventID":5156,"Channel":"Security"}"#,
            r#"{"EventID":1,"Channel":"System","Image":"x"}"#,
            r#"{"EventID":4688,"Channel":"Application","CommandLine":"x"}"#,
            r#"{"process":{"command_line":"c"},"event":{"type":["end"]}}"#,
            "{}",
        ] {
            assert_eq!(map(row), Mapped::Skip, "{row}");
        }
        assert_eq!(map(r#"{"EventID":4688}"#), Mapped::Incomplete("CommandLine"));
        assert_eq!(map(r#"{"EventID":4104}"#), Mapped::Incomplete("ScriptBlockText"));
    }

    #[test]
    fn parts_of_a_script_block_are_told_apart() {
        let row = r#"{"EventID":4104,"ScriptBlockText":"a","ScriptBlockId":"b","MessageNumber":2,"MessageTotal":"3"}"#;
        assert!(matches!(map(row), Mapped::Part { number: 2, total: 3, .. }));
    }
}
