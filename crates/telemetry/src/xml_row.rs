//! One Windows event as XML, as the row that the EVTX renderer makes of the same event.

use quick_xml::Reader;
use quick_xml::escape::{resolve_xml_entity, unescape};
use quick_xml::events::{BytesRef, BytesStart, Event};
use serde_json::{Map, Value};

use crate::line::tidy;

type Object = Map<String, Value>;

/// The row, as far as the event could be read, and what was wrong with it.
pub(crate) fn event_row(text: &str) -> (Object, Option<String>) {
    let mut reader = Reader::from_str(text);
    // Not every shipper escapes it.
    reader.config_mut().allow_dangling_amp = true;
    let mut row = Row::default();
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag)) => row.open(&tag),
            Ok(Event::Empty(tag)) => {
                row.open(&tag);
                row.close();
            }
            Ok(Event::End(_)) => row.close(),
            Ok(Event::Text(text)) => row.push(&text),
            Ok(Event::CData(text)) => row.push(&text),
            Ok(Event::GeneralRef(reference)) => row.push_reference(&reference),
            Ok(Event::DocType(_)) => row.damage("a document type within an event"),
            Ok(Event::Comment(_) | Event::Decl(_) | Event::PI(_)) => {}
            Ok(Event::Eof) => break,
            Err(error) => {
                row.damage(&error.to_string());
                break;
            }
        }
    }
    row.finish()
}

/// Which part of an event an element belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    System,
    Data,
}

/// An element of a part: its name, or the one that `Data` gives; its attributes; its text.
struct Field {
    name: String,
    attributes: Object,
    text: String,
}

#[derive(Default)]
struct Row {
    system: Object,
    data: Object,
    /// How many elements are open, and what they are.
    depth: usize,
    part: Option<Part>,
    field: Option<Field>,
    damage: Option<String>,
}

impl Row {
    fn open(&mut self, tag: &BytesStart<'_>) {
        self.depth += 1;
        let name = tag.name().into_inner();
        match (self.depth, self.part) {
            (2, _) => {
                self.part = match name {
                    "System" => Some(Part::System),
                    "EventData" => Some(Part::Data),
                    _ => None,
                }
            }
            (3, Some(part)) => {
                let attributes = self.attributes(tag);
                let name = match part {
                    Part::System => Some(name.to_owned()),
                    Part::Data => attributes.get("Name").and_then(Value::as_str).map(str::to_owned),
                };
                self.field = name.map(|name| Field { name, attributes, text: String::new() });
            }
            _ => {}
        }
    }

    fn attributes(&mut self, tag: &BytesStart<'_>) -> Object {
        let mut attributes = Object::new();
        // Each one would be compared with all before it, which a hostile event could make a long time of.
        for attribute in tag.attributes().with_checks(false) {
            match attribute {
                Ok(attribute) => {
                    let value = unescape(&attribute.value).unwrap_or_else(|_| attribute.value.clone()).into_owned();
                    attributes.entry(attribute.key.into_inner()).or_insert(Value::String(value));
                }
                Err(error) => {
                    self.damage(&error.to_string());
                    break;
                }
            }
        }
        attributes
    }

    fn close(&mut self) {
        match self.depth {
            2 => self.part = None,
            3 => self.keep(),
            _ => {}
        }
        self.depth = self.depth.saturating_sub(1);
    }

    fn keep(&mut self) {
        let (Some(part), Some(Field { name, attributes, text })) = (self.part, self.field.take()) else {
            return;
        };
        let text = Value::String(text);
        match part {
            Part::Data => self.data.entry(name).or_insert(text),
            Part::System if attributes.is_empty() => self.system.entry(name).or_insert(text),
            Part::System => {
                let value = Object::from_iter([("#attributes".to_owned(), Value::Object(attributes)), ("#text".to_owned(), text)]);
                self.system.entry(name).or_insert(Value::Object(value))
            }
        };
    }

    fn push(&mut self, text: &str) {
        if let Some(field) = self.field.as_mut().filter(|_| self.depth == 3) {
            field.text.push_str(text);
        }
    }

    /// Only what XML itself knows is resolved: a document's own entities could stand for anything, and for any amount of it.
    fn push_reference(&mut self, reference: &BytesRef<'_>) {
        match (reference.resolve_char_ref(), resolve_xml_entity(reference)) {
            (Ok(Some(character)), _) => self.push(character.encode_utf8(&mut [0; 4])),
            (_, Some(text)) => self.push(text),
            // Half a surrogate pair, which Windows allows in names: no line is lost for it.
            (Err(_), None) => self.push("\u{FFFD}"),
            (Ok(None), None) => {
                let literal = format!("&{};", &**reference);
                self.push(&literal);
                // What is no name is an ampersand that wasn't escaped.
                if reference.starts_with(char::is_alphabetic) && reference.chars().all(char::is_alphanumeric) {
                    self.damage(&format!("the entity {literal} is none of XML's own, and others are not expanded"));
                }
            }
        }
    }

    /// The first thing wrong is what is told.
    fn damage(&mut self, what: &str) {
        self.damage.get_or_insert_with(|| {
            let mut what = what.to_owned();
            tidy(&mut what, 200);
            what
        });
    }

    fn finish(mut self) -> (Object, Option<String>) {
        // What is torn ends here, however many elements are open.
        self.keep();
        let parts = [("System", self.system), ("EventData", self.data)].map(|(name, part)| (name.to_owned(), Value::Object(part)));
        let row = Object::from_iter([("Event".to_owned(), Value::Object(Object::from_iter(parts)))]);
        (row, self.damage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, wanted: &str, wanted_damage: Option<&str>) {
        let (row, damage) = event_row(text);
        assert_eq!(Value::Object(row).to_string(), format!("{{\"Event\":{wanted}}}"), "{text}");
        assert_eq!(damage.is_some(), wanted_damage.is_some(), "{text} {damage:?}");
        assert!(damage.unwrap_or_default().contains(wanted_damage.unwrap_or_default()), "{text}");
    }

    fn check_data(data: &str, wanted: &str, wanted_damage: Option<&str>) {
        check(&format!("<Event><EventData>{data}</EventData></Event>"), &format!("{{\"System\":{{}},\"EventData\":{wanted}}}"), wanted_damage);
    }

    #[test]
    fn an_event_becomes_the_row_that_evtx_gives() {
        check(
            "<Event xmlns='x'>\n <System><Provider Name=\"p\" Guid='{1}'/><EventID Qualifiers='0'>1</EventID><Computer>h</Computer></System>\n \
             <EventData><Data Name='a'>b</Data><Data>c</Data><Data Name='a'>d</Data></EventData><RenderingInfo><Message>m</Message></RenderingInfo></Event>",
            r##"{"System":{"Provider":{"#attributes":{"Name":"p","Guid":"{1}"},"#text":""},"EventID":{"#attributes":{"Qualifiers":"0"},"#text":"1"},"Computer":"h"},"EventData":{"a":"b"}}"##,
            None,
        );
        check("<Event></Event>", r#"{"System":{},"EventData":{}}"#, None);
    }

    #[test]
    fn what_xml_escapes_is_read_as_it_was_meant() {
        check_data("<Data Name='a'>&quot;b&quot; &lt;c&gt; &amp;&amp; d&#x0A;&#101;</Data>", r#"{"a":"\"b\" <c> && d\ne"}"#, None);
        check_data("<Data Name='a&amp;b'><![CDATA[<c>]]> d<!-- e --></Data>", r#"{"a&b":"<c> d"}"#, None);
        check_data("<Data Name='a'>b && c; d & e</Data>", r#"{"a":"b && c; d & e"}"#, None);
        check_data("<Data Name='a'>b&#xD800;&#0;</Data>", "{\"a\":\"b\u{FFFD}\u{FFFD}\"}", None);
        check_data("<Data Name='a'>b\r\nc<d>e</d>f</Data>", r#"{"a":"b\r\ncf"}"#, None);
    }

    #[test]
    fn what_is_damaged_is_read_as_far_as_it_goes() {
        check_data("<Data Name='a'>b&lol;</Data>", r#"{"a":"b&lol;"}"#, Some("&lol;"));
        check_data("<Data Name='a'>b</Dat></Data>", r#"{"a":"b"}"#, Some("Data"));
        check_data("<Data Name=a>b</Data>", "{}", Some("enclosed"));
        check("<Event><EventData><Data Name='a'>b c", r#"{"System":{},"EventData":{"a":"b c"}}"#, None);
        check("<Event><EventData><Data Name='a'>b &am", r#"{"System":{},"EventData":{"a":"b &am"}}"#, None);
        check("<Event><EventData><Data Name='a'>b</Data><Data Na", r#"{"System":{},"EventData":{"a":"b"}}"#, Some("closed"));
        check("</Event></Event>", r#"{"System":{},"EventData":{}}"#, Some("Event"));
    }
}
