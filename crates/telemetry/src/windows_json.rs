//! Windows events as JSON objects: Winlogbeat's, NXLog's, ECS, and `evtx_dump`'s.

use std::io::BufRead;

use crate::event_queue::{EventQueue, Queued};
use crate::json_rows::JsonRows;
use crate::reader::{Context, Item, LineReader};

pub(crate) struct WindowsJsonReader<R> {
    rows: JsonRows<R>,
    context: Context,
    queue: EventQueue,
}

impl<R: BufRead> WindowsJsonReader<R> {
    pub(crate) fn new(reader: R, context: Context) -> Self {
        Self { rows: JsonRows::new(reader, context.options.max_record_bytes), context, queue: EventQueue::default() }
    }
}

impl<R: BufRead> Queued for WindowsJsonReader<R> {
    fn queue(&mut self) -> &mut EventQueue {
        &mut self.queue
    }

    fn advance(&mut self) {
        match self.rows.next_row(&self.context) {
            Some(Ok((number, row))) => self.queue.push_event(&self.context, number, &row, None),
            Some(Err(error)) => {
                // The file ends with this.
                if error.is_fatal_for_file() {
                    self.queue.finish(&self.context);
                }
                self.queue.push_item(Err(error));
            }
            None => self.queue.end(&self.context, None),
        }
    }
}

impl<R: BufRead> Iterator for WindowsJsonReader<R> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        self.next_item()
    }
}

impl<R: BufRead + Send> LineReader for WindowsJsonReader<R> {
    fn skipped(&self) -> u64 {
        self.queue.skipped
    }
}

#[cfg(test)]
mod tests {
    use crate::Format;
    use crate::reader::testing::check;

    fn part(number: u32, total: u32, block: &str, text: &str) -> String {
        format!(
            "{{\"EventID\":4104,\"MessageNumber\":{number},\"MessageTotal\":{total},\"ScriptBlockId\":\"{block}\",\"ScriptBlockText\":\"{text}\"}}\n"
        )
    }

    #[test]
    fn events_give_lines_and_the_rest_is_counted() {
        let check = |input: &str, wanted: &[&str], skipped| check(Format::WindowsJson, None, input, wanted, skipped);
        check("{\"EventID\":7}\n{\"EventID\":4688,\"CommandLine\":\"id\"}\n{\"a\":1}", &["2 id"], 2);
        check("[1]\n{\"EventID\":4688}\n", &["! record 1: not a JSON object: another JSON value", "! record 2: no field \"CommandLine\""], 0);
    }

    #[test]
    fn script_blocks_are_joined() {
        let check = |parts: &[String], wanted: &[&str]| check(Format::WindowsJson, None, &parts.concat(), wanted, 0);
        check(&[part(1, 2, "x", "a"), part(1, 2, "y", "c"), part(2, 2, "x", "b")], &["1 ab", "2 c"]);
        check(&[part(2, 2, "x", "b"), part(1, 2, "x", "a")], &["1 ab"]);
        check(&[part(1, 2, "x", "a"), part(1, 2, "x", "a"), part(2, 2, "x", "b")], &["1 a", "2 ab"]);
        let unfinished: Vec<String> = (0..40).map(|block| part(1, 2, &block.to_string(), "p")).collect();
        let wanted: Vec<String> = (1..=40).map(|record| format!("{record} p")).collect();
        check(&unfinished, &wanted.iter().map(String::as_str).collect::<Vec<_>>());
    }
}
