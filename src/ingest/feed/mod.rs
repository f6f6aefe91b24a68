//! A feed's messages to batches of facts and ticks, in the feed's order.
//!
//! The one idea: a message's row is a line of its table's NDJSON and is checked as one, so the envelope is all that is read here.
//! A run of messages is cut at its ticks; what lies between two is gathered table by table, decoded column by column, and of
//! each id only the last valid word is kept.
//!
//! Invariants: a message is a fact, a tick, a tombstone or refused, never lost; in a [`Batch`] an id is in a table's upserts or
//! among its deletes, once, so that all deletes and then all upserts are what the messages say one after the other.
//!
//! Cost: one thread; some 1.4 µs a message of ours and 2.5 µs one of Debezium's in runs of a thousand, 13 µs a run of one
//! (`benches/feed.rs`, a core of 2.4 GHz). Runs may be decoded side by side, if they are used in order.

mod batch;
mod blocks;
mod codec;
mod file;
mod gather;
mod message;

pub use batch::Batch;
pub use blocks::{Block, Blocks};
pub use codec::BatchError;
pub use file::TableFile;

use std::io::{self, Read};
use std::path::Path;

use gather::Gather;
use message::{Message, parse};

use super::{Compression, IngestError, malformed, split};
use crate::limits::FEED_MESSAGE_BYTES_MAX;
use crate::model::{Table, Timestamp};

/// Where messages come from.
#[derive(Clone, Copy, Debug)]
pub struct SourceName<'a> {
    /// Its number: [`crate::model::Origin::source`] of what comes from it.
    pub number: u32,
    /// Its name, under which rejections speak of it.
    pub name: &'a str,
}

/// What a feed tells.
#[derive(Debug)]
pub enum Event {
    /// Facts, between two ticks.
    Facts(Box<Batch>),
    /// Time has come so far. Whether it may go back is for whoever follows the feed.
    Tick(Timestamp),
}

/// Decodes a run of messages, each with its line or offset, which ascend. Blank ones are passed over.
///
/// Facts that no tick separates are one batch, however many: the run's length is the caller's choice, and bounds the memory. A
/// batch without facts is given where messages were refused or were tombstones.
///
/// # Panics
/// If a run has 2^32 messages.
#[must_use]
pub fn decode<'a>(source: SourceName<'_>, messages: impl IntoIterator<Item = (u64, &'a [u8])>) -> Vec<Event> {
    let mut events = Vec::new();
    let mut gather = Gather::new(source);
    for (offset, bytes) in messages {
        let bytes = bytes.trim_ascii();
        if bytes.is_empty() {
            continue;
        }
        let text = Some(bytes).filter(|bytes| bytes.len() <= FEED_MESSAGE_BYTES_MAX);
        let text = text.and_then(|bytes| std::str::from_utf8(bytes).ok());
        match text.map_or(Err(message::Wrong::NOTHING), parse) {
            Ok(Message::Tick(at)) => {
                events.extend(gather.end().map(|batch| Event::Facts(Box::new(batch))));
                events.push(Event::Tick(at));
            }
            Ok(Message::Upsert(table, row)) => gather.upsert(table, offset, row),
            Ok(Message::Delete(table, row)) => gather.delete(table, offset, row),
            Ok(Message::Tombstone) => gather.pass(),
            Err(wrong) => gather.refuse(wrong, offset, bytes),
        }
    }
    events.extend(gather.end().map(|batch| Event::Facts(Box::new(batch))));
    events
}

/// Decodes rows of one table, each with its line or offset, which ascend: all of them are sent, none is deleted. Blank ones are passed
/// over.
///
/// # Panics
/// If there are 2^32 rows.
#[must_use]
pub fn decode_rows<'a>(
    source: SourceName<'_>,
    table: Table,
    rows: impl IntoIterator<Item = (u64, &'a [u8])>,
) -> Option<Box<Batch>> {
    let mut gather = Gather::new(source);
    for (offset, bytes) in rows {
        let bytes = bytes.trim_ascii();
        let text = Some(bytes).filter(|bytes| bytes.len() <= FEED_MESSAGE_BYTES_MAX);
        match text.and_then(|bytes| std::str::from_utf8(bytes).ok()) {
            Some("") => {}
            Some(row) => gather.upsert(table, offset, row),
            None => gather.refuse(message::Wrong { table: Some(table), key: None }, offset, bytes),
        }
    }
    gather.end().map(Box::new)
}

/// Decodes an Arrow IPC stream of rows of one table, which are numbered from 0: all of them are sent, none is deleted.
///
/// # Errors
/// [`IngestError`], for the stream as a whole: bytes that are none, columns that are missing or of another type, more than the limits
/// say. A row that is wrong is refused, as one in a file.
pub fn decode_stream(source: SourceName<'_>, table: Table, bytes: &[u8]) -> Result<Box<Batch>, IngestError> {
    gather::of_stream(source, table, bytes).map(Box::new)
}

/// Refuses a file, or what is left of it behind so many of its rows or lines, as one row: `why` is what is wrong with it.
#[must_use]
pub fn refuse_file(source: SourceName<'_>, table: Option<Table>, taken: u64, why: &str) -> Box<Batch> {
    let rejections = vec![malformed(table, source.name, taken, &why.into())];
    Box::new(Batch { rejections, messages: 1, ..Batch::default() })
}

/// The text of a file of lines, unpacked.
///
/// # Errors
/// [`IngestError`]: it cannot be read, or is not packed as its name says.
pub fn unpack(path: &Path, compression: Compression) -> Result<Box<dyn Read + Send>, IngestError> {
    Ok(split::open(path, compression)?)
}

/// Whether what unpacked text says when it is read is that it is damaged, and not that the system cannot read it.
#[must_use]
pub fn is_damage(error: &io::Error) -> bool {
    split::is_damage(error)
}

/// The lines of a block of text, of which the first has this number.
pub fn lines(block: &[u8], first: u64) -> impl Iterator<Item = (u64, &[u8])> {
    let mut begin = 0;
    let ends = memchr::memchr_iter(b'\n', block).chain((!block.ends_with(b"\n")).then_some(block.len()));
    let lines = ends.map(move |end| &block[std::mem::replace(&mut begin, end + 1)..end]);
    (first..).zip(lines)
}

#[cfg(test)]
mod tests;
