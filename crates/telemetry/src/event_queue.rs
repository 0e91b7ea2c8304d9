//! From mapped events to lines: counts what is skipped and joins script blocks that were logged in parts.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value};

use crate::events::{Mapped, map_event};
use crate::line::tidy;
use crate::reader::{Context, Item};
use crate::{Event, LogLine, ReadErrorKind};

/// How many unfinished script blocks wait for their parts; the oldest goes out as it is when there are more.
const MAX_WAITING: usize = 32;

#[derive(Default)]
pub(crate) struct EventQueue {
    ready: VecDeque<Item>,
    waiting: VecDeque<ScriptBlock>,
    pub(crate) skipped: u64,
    /// Whether nothing comes after what is ready.
    is_ended: bool,
}

/// A reader whose items wait in an [`EventQueue`].
pub(crate) trait Queued {
    fn queue(&mut self) -> &mut EventQueue;

    /// Reads on, and puts into the queue what comes of it, or ends it.
    fn advance(&mut self);

    /// What an iterator gives next.
    fn next_item(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.queue().pop() {
                return Some(item);
            }
            if self.queue().is_ended {
                return None;
            }
            self.advance();
        }
    }
}

struct ScriptBlock {
    id: String,
    total: u64,
    /// The record of the first part that was read.
    record: u64,
    event: Event,
    input: Option<Map<String, Value>>,
    parts: BTreeMap<u64, String>,
    bytes: usize,
}

impl EventQueue {
    fn pop(&mut self) -> Option<Item> {
        self.ready.pop_front()
    }

    pub(crate) fn push_item(&mut self, item: Item) {
        self.ready.push_back(item);
    }

    /// `input` is what else the row had that the event was a member of.
    pub(crate) fn push_event(&mut self, context: &Context, record: u64, row: &Map<String, Value>, input: Option<Map<String, Value>>) {
        match map_event(row) {
            Mapped::Skip => self.skipped += 1,
            Mapped::Incomplete(field) => {
                let kind = ReadErrorKind::MissingField(field.to_owned());
                self.ready.push_back(Err(context.record_error(record, kind)));
            }
            Mapped::Text(text, event) => self.push_line(context, LogLine { text, source: context.source(record), event, input, cut: false }),
            Mapped::Part { block, number, total, text, event } => {
                self.push_part(context, ScriptBlock { id: block, total, record, event, input, parts: BTreeMap::new(), bytes: 0 }, number, text);
            }
        }
    }

    /// Gives out what an event tells that is damaged: its text may be cut.
    pub(crate) fn push_damaged(&mut self, context: &Context, record: u64, row: &Map<String, Value>) {
        if let Mapped::Text(text, event) | Mapped::Part { text, event, .. } = map_event(row) {
            self.push_line(context, LogLine { text, source: context.source(record), event, input: None, cut: true });
        }
    }

    /// Gives out the script blocks whose other parts never came.
    pub(crate) fn finish(&mut self, context: &Context) {
        while let Some(block) = self.waiting.pop_front() {
            self.push_block(context, block);
        }
    }

    /// Ends the file, with the error that ended it, if one did.
    pub(crate) fn end(&mut self, context: &Context, kind: Option<ReadErrorKind>) {
        self.is_ended = true;
        self.finish(context);
        if let Some(kind) = kind {
            self.push_item(Err(context.file_error(kind)));
        }
    }

    fn push_part(&mut self, context: &Context, new: ScriptBlock, number: u64, text: String) {
        let index = match self.waiting.iter().position(|block| block.id == new.id) {
            // The same part again belongs to another logging of the block.
            Some(index) if self.waiting[index].parts.contains_key(&number) => {
                if let Some(block) = self.waiting.remove(index) {
                    self.push_block(context, block);
                }
                self.start(context, new)
            }
            Some(index) => index,
            None => self.start(context, new),
        };
        let limit = context.options.max_line_bytes;
        let block = &mut self.waiting[index];
        block.bytes += text.len();
        block.parts.insert(number, text);
        // A block beyond the bound is cut anyway, so it doesn't wait for the rest.
        if (block.parts.len() as u64 >= block.total || block.bytes > limit)
            && let Some(block) = self.waiting.remove(index)
        {
            self.push_block(context, block);
        }
    }

    fn start(&mut self, context: &Context, new: ScriptBlock) -> usize {
        if self.waiting.len() >= MAX_WAITING
            && let Some(oldest) = self.waiting.pop_front()
        {
            self.push_block(context, oldest);
        }
        self.waiting.push_back(new);
        self.waiting.len() - 1
    }

    fn push_block(&mut self, context: &Context, block: ScriptBlock) {
        let missing = (block.parts.len() as u64) < block.total;
        let text = block.parts.into_values().collect();
        self.push_line(context, LogLine { text, source: context.source(block.record), event: block.event, input: block.input, cut: missing });
    }

    fn push_line(&mut self, context: &Context, mut line: LogLine) {
        line.cut |= tidy(&mut line.text, context.options.max_line_bytes);
        self.ready.push_back(Ok(line));
    }
}
