//! The Linux audit log. The records of one event (SYSCALL, EXECVE, PROCTITLE) are brought together by their id.

use std::collections::{BTreeMap, VecDeque};
use std::io::BufRead;

use crate::line::tidy;
use crate::lines::{Lines, RawLine};
use crate::reader::{Context, Item, LineReader};
use crate::{Event, LogLine, ReadErrorKind};

/// How many events wait for further records; the oldest goes out when there are more.
const MAX_WAITING: usize = 16;
/// An argument index beyond this is no argument.
const MAX_ARGUMENTS: usize = 65536;

pub(crate) struct AuditdReader<R> {
    lines: Lines<R>,
    context: Context,
    waiting: VecDeque<Gathered>,
    ready: VecDeque<Item>,
    skipped: u64,
}

/// One event, as far as its records were read.
#[derive(Default)]
struct Gathered {
    /// Node and `audit(...)` stamp.
    id: (Option<String>, String),
    record: u64,
    records: u64,
    has_syscall: bool,
    event: Event,
    /// Arguments, each of which may come in numbered pieces.
    arguments: BTreeMap<(usize, usize), Vec<u8>>,
    bytes: usize,
    cut: bool,
    title: Option<Vec<u8>>,
}

impl<R: BufRead> AuditdReader<R> {
    pub(crate) fn new(reader: R, context: Context) -> Self {
        let limit = context.options.max_line_bytes;
        Self { lines: Lines::new(reader, limit), context, waiting: VecDeque::new(), ready: VecDeque::new(), skipped: 0 }
    }

    fn take_line(&mut self, line: &RawLine) {
        let text = line.text();
        if is_between_records(&text) {
            return;
        }
        let Some(record) = Record::parse(&text) else {
            let kind = ReadErrorKind::Auditd("no type=... msg=audit(...)".to_owned());
            self.ready.push_back(Err(self.context.record_error(line.number, kind)));
            return;
        };
        let id = (record.node.map(str::to_owned), record.stamp.to_owned());
        let known = self.waiting.iter().position(|event| event.id == id);
        let index = match known {
            // A second system call under the same id begins another event.
            Some(index) if record.kind == "SYSCALL" && self.waiting[index].has_syscall => {
                self.give_out(index);
                self.start(id, line.number)
            }
            Some(index) => index,
            None => self.start(id, line.number),
        };
        let limit = self.context.options.max_line_bytes;
        let event = &mut self.waiting[index];
        event.records += 1;
        event.cut |= line.cut;
        event.take(&record, limit);
        // These come last, so that a live log isn't held back.
        if matches!(record.kind, "PROCTITLE" | "EOE") {
            self.give_out(index);
        }
    }

    fn start(&mut self, id: (Option<String>, String), record: u64) -> usize {
        if self.waiting.len() >= MAX_WAITING {
            self.give_out(0);
        }
        let event = Event { timestamp: timestamp(&id.1), host: id.0.clone(), ..Event::default() };
        self.waiting.push_back(Gathered { id, record, event, ..Gathered::default() });
        self.waiting.len() - 1
    }

    fn give_out(&mut self, index: usize) {
        let Some(gathered) = self.waiting.remove(index) else {
            return;
        };
        let Some(mut text) = gathered.command_line() else {
            self.skipped += gathered.records;
            return;
        };
        let cut = tidy(&mut text, self.context.options.max_line_bytes) || gathered.cut;
        let source = self.context.source(gathered.record);
        self.ready.push_back(Ok(LogLine { text, source, event: gathered.event, input: None, cut }));
    }

    fn give_out_all(&mut self) {
        while !self.waiting.is_empty() {
            self.give_out(0);
        }
    }
}

impl<R: BufRead> Iterator for AuditdReader<R> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            match self.lines.next_line() {
                Some(Ok(line)) => self.take_line(&line),
                Some(Err(error)) => {
                    self.give_out_all();
                    self.ready.push_back(Err(self.context.io_error(error)));
                }
                None => {
                    self.give_out_all();
                    return self.ready.pop_front();
                }
            }
        }
    }
}

impl<R: BufRead + Send> LineReader for AuditdReader<R> {
    fn skipped(&self) -> u64 {
        self.skipped
    }
}

impl Gathered {
    fn take(&mut self, record: &Record<'_>, limit: usize) {
        match record.kind {
            "SYSCALL" => {
                self.has_syscall = true;
                let text = |name| record.field(name).map(|value| String::from_utf8_lossy(&decode(value)).into_owned());
                self.event.image = text("exe").filter(|image| image != "(null)");
                // The enriched form names the account beside its number.
                self.event.user = text("UID").or_else(|| record.field("uid").map(str::to_owned));
            }
            "EXECVE" => {
                for (name, value) in record.fields() {
                    let Some(place) = argument_place(name) else {
                        continue;
                    };
                    let argument = decode(value);
                    if self.bytes + argument.len() > limit {
                        self.cut = true;
                        continue;
                    }
                    self.bytes += argument.len() + 1;
                    self.arguments.insert(place, argument);
                }
            }
            "PROCTITLE" => self.title = record.field("proctitle").map(decode),
            _ => {}
        }
    }

    fn command_line(&self) -> Option<String> {
        let mut arguments: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
        for ((argument, _), piece) in &self.arguments {
            arguments.entry(*argument).or_default().extend_from_slice(piece);
        }
        let mut arguments: Vec<Vec<u8>> = arguments.into_values().collect();
        if arguments.is_empty() {
            arguments = self.title.as_ref()?.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
        }
        while arguments.last().is_some_and(Vec::is_empty) {
            arguments.pop();
        }
        let quoted: Vec<String> = arguments.iter().map(|argument| quote(&String::from_utf8_lossy(argument))).collect();
        (!quoted.is_empty()).then(|| quoted.join(" "))
    }
}

/// Whether a line is one that `ausearch` writes between events.
pub(crate) fn is_between_records(line: &str) -> bool {
    line.trim_end() == "----" || line.starts_with("time->")
}

/// Whether a line holds a record, stamped as the audit daemon does it.
pub(crate) fn is_record(line: &str) -> bool {
    Record::parse(line).is_some_and(|record| {
        let is_kind = record.kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_[]".contains(&byte));
        is_kind && record.stamp.starts_with(|first: char| first.is_ascii_digit())
    })
}

/// One line of the log.
struct Record<'a> {
    node: Option<&'a str>,
    kind: &'a str,
    stamp: &'a str,
    body: &'a str,
}

impl<'a> Record<'a> {
    /// Finds the record in a line; what a syslog daemon wrote before it doesn't matter.
    fn parse(line: &'a str) -> Option<Self> {
        let (before, rest) = match line.strip_prefix("type=") {
            Some(rest) => ("", rest),
            None => line.split_once(" type=")?,
        };
        let (kind, rest) = rest.split_once(" msg=audit(")?;
        let (stamp, body) = rest.split_once(')')?;
        let node = before.split_ascii_whitespace().find_map(|word| word.strip_prefix("node="));
        Some(Self { node, kind, stamp, body: body.trim_start_matches(':') })
    }

    fn field(&self, name: &str) -> Option<&'a str> {
        self.fields().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// `name=value` pairs; a value in quotes keeps them.
    fn fields(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        // The enriched part stands behind a group separator.
        let is_space = |character: char| character.is_ascii_whitespace() || character == '\x1d';
        let mut rest = self.body;
        std::iter::from_fn(move || {
            rest = rest.trim_start_matches(is_space);
            let (name, value) = rest.split_once('=')?;
            let quoted = value.strip_prefix('"').and_then(|inner| inner.find('"')).map(|end| end + 2);
            let end = quoted.or_else(|| value.find(is_space)).unwrap_or(value.len());
            rest = &value[end..];
            Some((name.rsplit(is_space).next().unwrap_or(name), &value[..end]))
        })
    }
}

/// The argument and the piece of it that a field of EXECVE holds: `a2` or `a2[1]`.
fn argument_place(name: &str) -> Option<(usize, usize)> {
    let name = name.strip_prefix('a')?;
    let (argument, piece) = match name.split_once('[') {
        Some((argument, piece)) => (argument, piece.strip_suffix(']')?.parse().ok()?),
        None => (name, 0),
    };
    let argument = argument.parse().ok()?;
    (argument < MAX_ARGUMENTS).then_some((argument, piece))
}

/// A value as the audit daemon meant it: in quotes as it is, else in hexadecimal, else a plain word.
fn decode(value: &str) -> Vec<u8> {
    if let Some(inner) = value.strip_prefix('"') {
        return inner.strip_suffix('"').unwrap_or(inner).as_bytes().to_vec();
    }
    let hexadecimal =
        value.len() >= 2 && value.len().is_multiple_of(2) && value.bytes().all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte));
    if !hexadecimal {
        return value.as_bytes().to_vec();
    }
    let digit = |byte: u8| {
        if byte.is_ascii_digit() { byte - b'0' } else { byte - b'A' + 10 }
    };
    value.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// Quotes an argument as one would have typed it.
fn quote(argument: &str) -> String {
    let plain = !argument.is_empty() && !argument.contains([' ', '\t', '\n', '\'', '"']);
    if plain {
        argument.to_owned()
    } else if argument.contains('\'') && !argument.contains(['"', '$', '`', '\\']) {
        format!("\"{argument}\"")
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

/// The UTC time of a stamp such as `1604994496.155:92733`.
fn timestamp(stamp: &str) -> Option<String> {
    let (time, _) = stamp.split_once(':')?;
    let (seconds, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let millisecond = fraction.get(..3).unwrap_or(fraction).parse::<i64>().ok()?;
    let milliseconds = seconds.parse::<i64>().ok()?.checked_mul(1000)?.checked_add(millisecond)?;
    evtx::Timestamp::from_millisecond(milliseconds).ok().map(|time| time.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Format;
    use crate::reader::testing::{check, read_items};

    fn record(kind: &str, serial: u32, body: &str) -> String {
        format!("type={kind} msg=audit(1604994496.155:{serial}): {body}\n")
    }

    #[test]
    fn events_give_command_lines() {
        let check = |lines: &[String], wanted: &[&str], skipped| check(Format::Auditd, None, &lines.concat(), wanted, skipped);
        let execve = |serial, body| record("EXECVE", serial, body);
        check(&[execve(1, r#"argc=2 a0="arp" a1="-a""#)], &["1 arp -a"], 0);
        check(&[execve(1, r#"argc=3 a0="sh" a1="-c" a2=636174202F6574632F706173737764"#)], &["1 sh -c 'cat /etc/passwd'"], 0);
        check(&[execve(1, r#"argc=2 a0="echo" a1_len=4 a1[0]=6162 a1[1]=6364"#)], &["1 echo abcd"], 0);
        check(&[execve(1, r#"a0="a""#), execve(2, r#"a0="b""#), execve(1, r#"a1="c""#)], &["1 a c", "2 b"], 0);
        check(&[record("PROCTITLE", 1, "proctitle=6361740061")], &["1 cat a"], 0);
        check(&[record("CWD", 1, "cwd=\"/\""), execve(2, r#"a0="id""#)], &["2 id"], 1);
        check(&["junk\n".to_owned(), execve(1, r#"a0="id""#)], &["! record 1: not an auditd record: no type=... msg=audit(...)", "2 id"], 0);
    }

    #[test]
    fn what_stands_around_records_does_no_harm() {
        let execve = record("EXECVE", 1, r#"a0="id""#);
        let lines = format!("----\ntime->Mon Mar  9 08:14:06 2026\n{execve}Mar  9 08:14:06 web01 audispd: {}", record("EXECVE", 2, r#"a0="ls""#));
        check(Format::Auditd, None, &lines, &["3 id", "4 ls"], 0);
    }

    #[test]
    fn the_system_call_gives_the_context() {
        let lines = "node=h type=SYSCALL msg=audit(1604994496.155:7): uid=1000 comm=\"arp\" exe=\"/usr/sbin/arp\" key=(null)\x1dUID=\"wardog\"\n\
                     node=h type=EXECVE msg=audit(1604994496.155:7): a0=\"arp\"\n";
        let (items, _) = read_items(Format::Auditd, None, lines.as_bytes());
        let wanted = Event {
            timestamp: Some("2020-11-10T07:48:16.155Z".into()),
            host: Some("h".into()),
            user: Some("wardog".into()),
            image: Some("/usr/sbin/arp".into()),
            ..Event::default()
        };
        assert_eq!(items[0].as_ref().unwrap().event, wanted);
    }

    #[test]
    fn a_users_number_stays_a_number() {
        let lines = [record("SYSCALL", 1, "uid=1000 exe=\"/bin/id\""), record("EXECVE", 1, "a0=\"id\"")].concat();
        let (items, _) = read_items(Format::Auditd, None, lines.as_bytes());
        assert_eq!(items[0].as_ref().unwrap().event.user.as_deref(), Some("1000"));
    }
}
