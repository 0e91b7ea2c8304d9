//! What XML a text is, from its beginning.

use crate::json_rows::is_heading;
use crate::xml_events::{begins_event, event_in_line};

/// What every Windows event names as its own.
const NAMESPACE: &[u8] = b"http://schemas.microsoft.com/win/2004/08/events/event";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum XmlKind {
    /// Windows events, or those of Sysmon for Linux.
    Events,
    Html,
    /// Any other document.
    Other,
}

/// Knows XML by its beginning.
pub(crate) fn xml_kind(text: &[u8]) -> Option<XmlKind> {
    let (is_declared, root) = behind_declarations(text);
    // A live pipe may have given no more than the declaration.
    if begins_event(root) || begins_word(root, b"<events") || is_declared && root.is_empty() {
        return Some(XmlKind::Events);
    }
    if begins_word(root, b"<!doctype html") || begins_word(root, b"<html") {
        return Some(XmlKind::Html);
    }
    let is_document = is_declared || begins_word(root, b"<!doctype") || has_namespace(root);
    let has_events = is_document && text.windows(NAMESPACE.len()).any(|window| window == NAMESPACE);
    is_document.then_some(if has_events { XmlKind::Events } else { XmlKind::Other })
}

/// Whether declarations and comments begin the text, and what stands behind them.
fn behind_declarations(text: &[u8]) -> (bool, &[u8]) {
    let (mut rest, mut is_declared) = (text, false);
    loop {
        rest = rest.trim_ascii_start();
        let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let end = match rest {
            _ if begins_word(rest, b"<?xml") => find(rest, b"?>"),
            _ if rest.starts_with(b"<!--") => find(rest, b"-->"),
            _ if is_heading(line) => Some(line.len()),
            // Copied out of a browser, elements that can be folded stand behind a minus.
            _ if rest.starts_with(b"- <") => Some(2),
            _ => return (is_declared, rest),
        };
        is_declared |= rest.starts_with(b"<?xml");
        rest = end.map_or(&[][..], |end| &rest[end..]);
    }
}

/// The end of the first place of a word.
fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window == word).map(|at| at + word.len())
}

/// Whether a text begins with this, in any case, and not only as a part of a longer name.
fn begins_word(text: &[u8], word: &[u8]) -> bool {
    let beginning = text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    beginning && text.get(word.len()).is_none_or(|byte| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/' | b'['))
}

/// Whether the first element names what it is an element of.
fn has_namespace(root: &[u8]) -> bool {
    let is_element = root.strip_prefix(b"<").and_then(<[u8]>::first).is_some_and(u8::is_ascii_alphabetic);
    let tag = &root[..root.iter().position(|byte| *byte == b'>').unwrap_or(0)];
    is_element && (find(tag, b" xmlns=").is_some() || find(tag, b" xmlns:").is_some())
}

/// Whether most lines have an event, or are a system log's that has some.
pub(crate) fn is_log_of_events(text: &[u8]) -> bool {
    let lines = || text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty() && !is_heading(line));
    // The first line may be the end of a torn one, and there an event begins its line.
    let events = lines().filter(|line| begins_event(line) || event_in_line(line).is_some()).count();
    // Sysmon for Linux writes among other programs, which may have more to say.
    let dated = || lines().filter(|line| event_in_line(line).is_some() || begins_dated(line)).count();
    events > 0 && (events * 2 > lines().count() || dated() * 2 > lines().count())
}

/// Whether a line begins as a system log's does: `Nov 30 12:00:00`, `2026-11-30T12:00:00`, each perhaps behind `<13>`.
fn begins_dated(line: &[u8]) -> bool {
    let line = String::from_utf8_lossy(&line[..line.len().min(32)]);
    let shape: String = line
        .chars()
        .map(|character| match character {
            '0'..='9' => '0',
            letter if letter.is_ascii_alphabetic() => 'a',
            other => other,
        })
        .collect();
    let shape = shape.strip_prefix('<').map_or(shape.as_str(), |rest| rest.trim_start_matches('0').trim_start_matches('>').trim_start_matches("0 "));
    ["aaa 00 00:00:00 ", "aaa  0 00:00:00 ", "0000-00-00a00:00", "0000-00-00 00:00"].iter().any(|date| shape.starts_with(date))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_known_by_their_beginning() {
        let check = |text: &str, wanted| assert_eq!(xml_kind(text.as_bytes()), wanted, "{text}");
        let (events, html, other) = (Some(XmlKind::Events), Some(XmlKind::Html), Some(XmlKind::Other));
        check("<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>", events);
        check("<Events>\n<Event xmlns='x'>", events);
        check("<?xml version=\"1.0\"?>\n<Events>\n", events);
        check("<?xml version=\"1.0\"?><Event xmlns='x'>\n", events);
        check("<?xml version=\"1.0\"?>\n", events);
        check("<?xml version=\"1.0\"?><!-- a -->\n<log><Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'>", events);
        check("Record 1\n<?xml version=\"1.0\"?>\n<Event xmlns='x'>\n  <System>\n", events);
        check("- <Event xmlns=\"x\">\n- <System>\n", events);
        check("<!DOCTYPE html>\n<html>", html);
        check("<HTML lang='en'>", html);
        check("<?xml version=\"1.0\"?>\n<Task>\n", other);
        check("<project xmlns=\"http://maven.apache.org/POM/4.0.0\"\n  a='b'>", other);
        check("<!DOCTYPE a [\n", other);
        check("net user\n<Event xmlns='x'>\n", None);
        check("<Eventual>\n", None);
        check("<script>x</script>\n", None);
        check("<134>Nov 30 12:00:00 h cron: x\n", None);
        check("sort <Event >out\n", None);
        check("h sysmon: <Event><System>\n", None);
        check("", None);
    }

    #[test]
    fn a_log_of_events_has_them_in_most_lines_or_dates() {
        let check = |text: &str, wanted| assert_eq!(is_log_of_events(text.as_bytes()), wanted, "{text}");
        check("me='CommandLine'>x</Data></Event>\n<Event xmlns='x'>a\n<Event xmlns='x'>b\n", true);
        check("h sysmon[1]: <Event><System><Provider/>\nh sysmon[1]: <Event><System>\nh cron: x\n", true);
        check("h cron: x\nh cron: x\nh sysmon: <Event><System>\n", false);
        check("sort <Event >out\n", false);
        for date in ["Nov 30 12:00:00", "Nov  3 12:00:00", "2026-11-30T12:00:00.123456+01:00", "<30>1 2026-11-30T12:00:00Z", "<13>Nov 30 12:00:00"] {
            check(&format!("{date} h cron: x\n{date} h cron: x\n{date} h sysmon: <Event><System>\n"), true);
            check(&format!("{date} h cron: x\n"), false);
        }
    }
}
