//! Looks at a store: which files it has, whether all of them are what was written, what the journal says.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::RunError;
use crate::checkpoint::Checkpoint;
use crate::engine::{EngineError, Record, Word};
use crate::ingest::feed::Batch;
use crate::journal::{self, Folder, Journal, JournalError, Position, Recovery, Segment};
use crate::limits::CHECKPOINT_BATCH_ROWS;
use crate::model::{Table, Timestamp};
use crate::sinks::changes::read_mark;
use crate::sinks::{self, OutputFormat, RowNames, SinkError};

/// The files of a store.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Its checkpoint, if it has one: position, T, rows and bytes.
    pub checkpoint: Option<(Position, Timestamp, u64, u64)>,
    /// Segments of the journal and their bytes, oldest first.
    pub segments: Vec<(Segment, u64)>,
}

/// Lists the files of a store, also of one that is in use.
///
/// # Errors
/// What the system says; a manifest that is damaged.
pub fn list(store: &Path) -> Result<Listing, RunError> {
    let checkpoint = Checkpoint::newest_in_use(store)?
        .map(|found| (found.position(), found.standing().as_of(), found.rows(), found.bytes()));
    Ok(Listing { checkpoint, segments: journal::list(&store.join("journal"))? })
}

/// What a journal was found to hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checked {
    /// Position of the checkpoint; 0 if there is none.
    pub checkpoint: Position,
    /// Position of the last record.
    pub last: Position,
    /// Records in the journal.
    pub records: u64,
    /// Rows put in and taken out by them.
    pub rows: u64,
    /// Rows and messages refused up to the last one.
    pub refused: u64,
    /// What opening it mended.
    pub recovery: Recovery,
}

/// Reads a store's checkpoint and all of its journal, and checks every checksum and every record. Nobody's code is computed.
///
/// # Errors
/// The first damage.
pub fn check(store: &Path) -> Result<Checked, RunError> {
    let checked = check_what_lasts(store)?;
    Checkpoint::newest(store)?.as_ref().map_or(Ok(()), Checkpoint::check_columns)?;
    Ok(checked)
}

/// The same, but for what can be made again.
pub(super) fn check_what_lasts(store: &Path) -> Result<Checked, RunError> {
    let (journal, recovery) = open(store)?;
    let newest = Checkpoint::newest(store)?;
    newest.as_ref().map_or(Ok(()), Checkpoint::check)?;
    let (checkpoint, refused) = newest.map_or((Position(0), 0), |found| (found.position(), found.standing().refused));
    let mut checked = Checked { checkpoint, last: journal.last(), refused, recovery, ..Checked::default() };
    if journal.last() < checkpoint {
        return Err(EngineError::Behind { last: journal.last(), position: checkpoint }.into());
    }
    let first = journal.segments()[0].first.max(Position(1));
    if first > checkpoint.next() {
        return Err(JournalError::Dropped { position: checkpoint.next().0, first: first.0 }.into());
    }
    each_record(&journal, first, |position, record| {
        checked.records += 1;
        if position > checkpoint {
            checked.refused += memchr::memchr_iter(b'\n', &record.refused).count() as u64;
        }
        if let Word::Facts(batch) = record.word {
            checked.rows += (batch.upserts.rows() + batch.deletes.len()) as u64;
        }
        Ok(())
    })?;
    Ok(checked)
}

fn open(store: &Path) -> Result<(Journal, Recovery), RunError> {
    Ok(Journal::open(Folder::open(&store.join("journal"))?)?)
}

fn each_record(
    journal: &Journal,
    from: Position,
    mut visit: impl FnMut(Position, Record) -> Result<(), RunError>,
) -> Result<(), RunError> {
    journal.replay(from, |position, payload| {
        let record = Record::decode(payload).map_err(|cause| EngineError::Record { position, cause })?;
        visit(position, record)
    })
}

/// Writes what the journal says from a position on, as messages that a feed takes, each with its position: rows that were put in,
/// rows that were taken out, ticks. What is no message of a feed is there as well: `rules`, what was `forgotten`, and how far a
/// `source` was read.
///
/// # Errors
/// Damage; positions that have been dropped; an output that cannot be written.
pub fn dump(store: &Path, from: Option<Position>, out: &mut (dyn Write + Send)) -> Result<(), RunError> {
    let (journal, _) = open(store)?;
    let from = from.unwrap_or(journal.segments()[0].first);
    if from > journal.last() {
        return Ok(());
    }
    let mut as_of = None;
    each_record(&journal, from, |position, record| {
        let failed = |cause| SinkError::Io { path: "standard output".into(), cause };
        let mut lines = Vec::new();
        let position = position.0;
        if as_of != Some(record.as_of) {
            as_of = Some(record.as_of);
            say(&mut lines, &serde_json::json!({ "position": position, "as_of": record.as_of.to_rfc3339() }));
        }
        match &record.word {
            Word::Begin(begin) => {
                say(&mut lines, &serde_json::json!({ "position": position, "rules": begin.rules, "data": begin.data }));
            }
            Word::Rules(rules) => say(&mut lines, &serde_json::json!({ "position": position, "rules": rules })),
            Word::Facts(batch) => write_batch(&mut lines, position, batch)?,
            Word::Forget(over) => say(&mut lines, &serde_json::json!({ "position": position, "forgotten": over })),
            Word::Time => {}
        }
        if let Some(source) = &record.source {
            say(&mut lines, &serde_json::json!({ "position": position, "source": source }));
        }
        out.write_all(&lines).map_err(failed)?;
        Ok(())
    })
}

fn say(lines: &mut Vec<u8>, message: &serde_json::Value) {
    lines.extend_from_slice(message.to_string().as_bytes());
    lines.push(b'\n');
}

/// Deletes first, as they are applied.
fn write_batch(lines: &mut Vec<u8>, position: u64, batch: &Batch) -> Result<(), SinkError> {
    for &(table, id) in &batch.deletes {
        let row = serde_json::json!({ "id": id });
        say(lines, &serde_json::json!({ "position": position, "table": table.name(), "op": "delete", "row": row }));
    }
    let names = RowNames { persons: &batch.persons, places: &batch.places, labels: &batch.labels };
    for table in Table::ALL {
        let count = sinks::table_ids(table, &batch.upserts).len();
        let rows: Vec<u32> = (0..u32::try_from(count).expect("rows are numbered by 32 bits")).collect();
        let batches: Vec<_> = rows
            .chunks(CHECKPOINT_BATCH_ROWS)
            .map(|rows| || sinks::table_batch(table, &batch.upserts, names, rows))
            .collect();
        let mut text = Vec::new();
        let path = Path::new(table.name());
        sinks::write_batches(&mut text, path, OutputFormat::Ndjson, &table.schema(), &batches, &|| false)?;
        for row in text.split_inclusive(|&byte| byte == b'\n') {
            let head = format!("{{\"position\":{position},\"table\":\"{}\",\"op\":\"upsert\",\"row\":", table.name());
            lines.extend_from_slice(head.as_bytes());
            lines.extend_from_slice(row.trim_ascii_end());
            lines.extend_from_slice(b"}\n");
        }
    }
    Ok(())
}

/// The file of changes that a store was last known to tell, if it has been noted.
#[must_use]
pub fn changes_of(store: &Path) -> Option<PathBuf> {
    read_mark(store).map(|mark| mark.changes)
}
