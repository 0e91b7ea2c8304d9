//! Follows a JSON value byte by byte, to find its end without holding or parsing it.
//!
//! It is laxer than JSON, so that a value with a slip in it still has an end and costs one error, and it is strict where it tells a torn value:
//! a line's end within a string, a value right behind another one, or one in the place of a member's name, is the next record.

/// A value that is nested deeper is none: the parser would refuse it as well.
const MAX_DEPTH: usize = 128;
/// The members that hold a list of events in what services and tools export.
pub(crate) const LISTS: [&str; 5] = ["Records", "Events", "events", "value", "hits"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Name,
    Value,
    Separator,
}

/// How far a scan came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// All bytes belong to the value, and it goes on.
    More,
    /// The value is whole.
    End,
    /// The value is torn: this byte can't follow.
    Torn,
}

/// A list of events within the object that was scanned.
#[derive(Debug, Clone)]
pub(crate) struct List {
    /// How many bytes of the object stand before the list's first element.
    pub(crate) start: usize,
    /// What goes on with the object once the list has ended.
    pub(crate) rest: Scan,
}

#[derive(Debug, Clone)]
pub(crate) struct Scan {
    /// The braces and brackets that are open.
    open: Vec<u8>,
    expect: Expect,
    in_string: bool,
    escaped: bool,
    /// The beginning of the last member's name, where it stands near the top.
    name: Vec<u8>,
    seen: usize,
    pub(crate) list: Option<Box<List>>,
}

impl Scan {
    pub(crate) fn new() -> Self {
        Self { open: Vec::new(), expect: Expect::Value, in_string: false, escaped: false, name: Vec::new(), seen: 0, list: None }
    }

    /// Takes bytes until the value ends; says how many.
    pub(crate) fn run(&mut self, bytes: &[u8]) -> (usize, Step) {
        for (index, byte) in bytes.iter().enumerate() {
            self.seen += 1;
            let step = if self.in_string { self.string(*byte) } else { self.structure(*byte) };
            if step != Step::More {
                return (index + 1, step);
            }
        }
        (bytes.len(), Step::More)
    }

    fn string(&mut self, byte: u8) -> Step {
        match byte {
            b'\n' => return Step::Torn,
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => {
                self.in_string = false;
                self.expect = Expect::Separator;
                return Step::More;
            }
            _ => {}
        }
        if self.expect == Expect::Name && self.open.len() <= 2 && self.name.len() < 16 {
            self.name.push(byte);
        }
        Step::More
    }

    fn structure(&mut self, byte: u8) -> Step {
        match byte {
            b'"' if self.expect == Expect::Separator => return Step::Torn,
            b'"' => {
                self.in_string = true;
                if self.expect == Expect::Name {
                    self.name.clear();
                }
            }
            b'{' | b'[' if self.expect != Expect::Value || self.open.len() >= MAX_DEPTH => return Step::Torn,
            b'{' | b'[' => {
                self.note_list(byte);
                self.open.push(byte);
                self.expect = if byte == b'{' { Expect::Name } else { Expect::Value };
            }
            b'}' | b']' => {
                let opened = if byte == b'}' { b'{' } else { b'[' };
                if self.open.pop() != Some(opened) {
                    return Step::Torn;
                }
                self.expect = Expect::Separator;
                if self.open.is_empty() {
                    return Step::End;
                }
            }
            b',' => self.expect = if self.open.last() == Some(&b'{') { Expect::Name } else { Expect::Value },
            b':' => self.expect = Expect::Value,
            b' ' | b'\t' | b'\r' | b'\n' => {}
            // A number, a word, or a slip that the parser names.
            _ => self.expect = Expect::Separator,
        }
        Step::More
    }

    fn note_list(&mut self, byte: u8) {
        let known = match self.open.as_slice() {
            b"{" => LISTS.iter().any(|name| name.as_bytes() == self.name),
            b"{{" => self.name == b"hits",
            _ => false,
        };
        if byte == b'[' && known && self.list.is_none() {
            let rest = Self { expect: Expect::Separator, ..self.clone() };
            self.list = Some(Box::new(List { start: self.seen, rest }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_ends_where_its_braces_do() {
        let check = |text: &str, wanted| assert_eq!(Scan::new().run(text.as_bytes()), wanted, "{text}");
        check(r#"{"a":"}\"","b":[1,{}]} x"#, (22, Step::End));
        check("{\n \"a\": 1\n}\n{", (11, Step::End));
        check("{\"a\":xx,}", (9, Step::End));
        check("{\"a\":[1,2", (9, Step::More));
        check("{\"a\":\"x\n", (8, Step::Torn));
        check("{\"a\":1,\n{\"b\":2}", (9, Step::Torn));
        check("{\"a\":\n{\"b\":2}\n{\"c\":3}", (15, Step::Torn));
        check("{\"a\":[1}", (8, Step::Torn));
        check(&"[".repeat(200), (129, Step::Torn));
    }

    #[test]
    fn lists_of_events_are_noted() {
        let start = |text: &str| {
            let mut scan = Scan::new();
            scan.run(text.as_bytes());
            scan.list.map(|list| list.start)
        };
        assert_eq!(start(r#"{"count":1,"value":[{"#), Some(20));
        assert_eq!(start(r#"{"took":1,"hits":{"total":2,"hits":[{"#), Some(36));
        assert_eq!(start(r#"{"a":{"value":[{"#), None);
        assert_eq!(start(r#"{"a":[{"#), None);
    }
}
