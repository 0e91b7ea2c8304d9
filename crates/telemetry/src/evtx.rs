//! Windows event log files. Chunks are read one by one, so that a file of any size, or one inside an archive, streams.

use std::io::{self, Read};
use std::sync::Arc;

use ::evtx::{EvtxChunkData, ParserSettings};
use serde_json::Value;

use crate::ReadErrorKind;
use crate::event_queue::{EventQueue, Queued};
use crate::reader::{Context, Item, LineReader};

/// What every event log begins with.
pub(crate) const MAGIC: &[u8] = b"ElfFile\0";
const CHUNK_BYTES: usize = 65536;
const HEADER_BYTES: usize = 4096;

pub(crate) struct EvtxReader<R> {
    reader: R,
    context: Context,
    queue: EventQueue,
    settings: Arc<ParserSettings>,
    /// The number of the next chunk, once the file's header is read.
    chunk: Option<u64>,
}

impl<R: Read> EvtxReader<R> {
    pub(crate) fn new(reader: R, context: Context) -> Self {
        let settings = Arc::new(ParserSettings::new().num_threads(1));
        Self { reader, context, queue: EventQueue::default(), settings, chunk: None }
    }

    fn read_chunk(&mut self, number: u64, mut block: Vec<u8>) {
        block.resize(CHUNK_BYTES, 0);
        let mut data = match EvtxChunkData::new(block, false) {
            Ok(data) => data,
            Err(error) => return self.damage(format!("chunk {number}: {error}")),
        };
        let mut chunk = match data.parse(self.settings.clone()) {
            Ok(chunk) => chunk,
            Err(error) => return self.damage(format!("chunk {number}: {error}")),
        };
        for record in chunk.iter() {
            let value = record.and_then(|record| {
                let id = record.event_record_id;
                record.into_json_value().map(|record| (id, record.data))
            });
            match value {
                Ok((id, Value::Object(row))) => self.queue.push_event(&self.context, id, &row, None),
                Ok((id, _)) => {
                    let kind = ReadErrorKind::Evtx("the record holds no event".to_owned());
                    self.queue.push_item(Err(self.context.record_error(id, kind)));
                }
                Err(error) => {
                    let error = crate::ReadError::in_record(&self.context.file, None, ReadErrorKind::Evtx(format!("chunk {number}: {error}")));
                    self.queue.push_item(Err(error));
                }
            }
        }
    }

    /// Reports damage that the file goes on after.
    fn damage(&mut self, what: String) {
        let error = crate::ReadError::in_record(&self.context.file, None, ReadErrorKind::Evtx(what));
        self.queue.push_item(Err(error));
    }
}

/// Reads `size` bytes, or fewer at the end of the file.
fn read_block(reader: &mut impl Read, size: usize) -> io::Result<Vec<u8>> {
    let mut block = Vec::with_capacity(size);
    reader.take(size as u64).read_to_end(&mut block)?;
    Ok(block)
}

impl<R: Read> Queued for EvtxReader<R> {
    fn queue(&mut self) -> &mut EventQueue {
        &mut self.queue
    }

    /// Reads the next chunk into the queue.
    fn advance(&mut self) {
        let Some(number) = self.chunk else {
            let header = read_block(&mut self.reader, HEADER_BYTES);
            return match header {
                Ok(block) if block.starts_with(MAGIC) => {
                    self.chunk = Some(0);
                    if block.len() < HEADER_BYTES {
                        self.damage("the file ends within its header".into());
                    }
                }
                Ok(_) => self.queue.end(&self.context, Some(ReadErrorKind::NotEvtx)),
                Err(error) => self.queue.end(&self.context, Some(ReadErrorKind::Io(error))),
            };
        };
        self.chunk = Some(number + 1);
        match read_block(&mut self.reader, CHUNK_BYTES) {
            Ok(block) if block.is_empty() => self.queue.end(&self.context, None),
            // Windows lays out chunks before it fills them.
            Ok(block) if block.iter().all(|byte| *byte == 0) => {}
            Ok(block) => {
                let short = block.len() < CHUNK_BYTES;
                self.read_chunk(number, block);
                if short {
                    self.damage(format!("the file ends within chunk {number}"));
                }
            }
            Err(error) => self.queue.end(&self.context, Some(ReadErrorKind::Io(error))),
        }
    }
}

impl<R: Read> Iterator for EvtxReader<R> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        self.next_item()
    }
}

impl<R: Read + Send> LineReader for EvtxReader<R> {
    fn skipped(&self) -> u64 {
        self.queue.skipped
    }
}

#[cfg(test)]
mod tests {
    use crate::Format;
    use crate::reader::testing::check;

    #[test]
    fn what_is_no_event_log_is_one_error() {
        let check = |input, wanted: &[&str]| check(Format::Evtx, None, input, wanted, 0);
        check("not one", &["! not a Windows event log (EVTX)"]);
        check("ElfFile\0", &["! damaged event log: the file ends within its header"]);
        let mut torn = "ElfFile\0".to_owned();
        torn.push_str(&" ".repeat(4096 - 8 + 100));
        check(&torn, &["! damaged event log: chunk 0: Failed to parse chunk header", "! damaged event log: the file ends within chunk 0"]);
    }
}
