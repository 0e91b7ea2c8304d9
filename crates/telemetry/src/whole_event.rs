//! A row's text that is a whole Windows event as XML: Splunk's `_raw`, `EventXML`, a message out of the journal.

use serde_json::{Map, Value};

use crate::xml_events::event_in_line;
use crate::xml_row::event_row;

const END: &str = "</Event>";
/// A longer one is no header of a system log.
const MAX_HEADER: usize = 256;

/// The event's row, where the text is one event with nothing before it but a system log's header. One that is damaged stays a text.
pub(crate) fn whole_event(text: &str) -> Option<Map<String, Value>> {
    let text = text.trim_end();
    if !text.ends_with(END) {
        return None;
    }
    let (header, event) = text.split_at(event_in_line(text.as_bytes())?);
    let is_alone = event.find(END) == Some(event.len() - END.len());
    if !is_alone || !(header.trim().is_empty() || is_header(header)) {
        return None;
    }
    let (row, damage) = event_row(event);
    damage.is_none().then_some(row)
}

/// Whether this is what a system log has before what Sysmon says. Whatever a shell could run is no header, or it would be lost with it.
fn is_header(header: &str) -> bool {
    let header = header.strip_prefix('<').unwrap_or(header).trim_end();
    let is_plain = |character: char| character.is_alphanumeric() || " .,:_+-[]>".contains(character);
    let ends = header.ends_with([':', '-']) && header.len() <= MAX_HEADER;
    let is_sysmon = |word: &str| word.split(['[', ':']).next() == Some("sysmon");
    ends && header.chars().all(is_plain) && header.split(' ').any(is_sysmon)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_event_is_one() {
        let check = |text: &str, wanted| assert_eq!(whole_event(text).is_some(), wanted, "{text}");
        let event = "<Event xmlns='x'><System><EventID>1</EventID></System><EventData/></Event>";
        check(event, true);
        check(&format!(" {event}\r\n"), true);
        check(&format!("Nov 30 12:00:00 h sysmon[12]: {event}"), true);
        check(&format!("<30>1 2026-11-30T12:00:00.1+01:00 h sysmon 12 - - {event}"), true);
        check(&format!("evil; sysmon: {event}"), false);
        check(&format!("h cmd: {event}"), false);
        check(&format!("{event} x"), false);
        check(&format!("{event}{event}"), false);
        check(&event.replace("<EventData/>", "<EventData>"), false);
        check("<Event>x</Event>", false);
        check("net user", false);
    }
}
