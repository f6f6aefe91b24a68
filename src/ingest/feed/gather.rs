//! Messages between two ticks, gathered table by table, to a batch.
//!
//! The one idea: rows are checked as the lines of a file are, and only then it is decided whose word is the last of an id; so a row
//! that is refused is as if it had never been sent.

use std::collections::BTreeSet;
use std::mem::take;

use super::file::Run;
use super::message::Wrong;
use super::{Batch, SourceName};
use crate::ingest::batches::take_rows;
use crate::ingest::cells::{Chunk, Interners};
use crate::ingest::columnar::take_stream;
use crate::ingest::error::IngestError;
use crate::ingest::ipc::Bounds;
use crate::ingest::layout::{Format, SourceFile};
use crate::ingest::objects::{Objects, take_objects};
use crate::ingest::rows::Decode;
use crate::ingest::text::part_of;
use crate::ingest::{Part, malformed, name_all};
use crate::limits::{STREAM_BYTES_MAX, STREAM_ROWS_MAX, STREAM_TEXT_BYTES_MAX};
use crate::model::{Rejection, Table};

/// The place of a message among those of a batch.
type Order = u32;

/// Messages of one table, with their offsets.
#[derive(Default)]
struct Sent<'a> {
    upserts: Vec<(u64, &'a [u8])>,
    upsert_orders: Vec<Order>,
    deletes: Vec<(u64, &'a str)>,
    delete_orders: Vec<Order>,
}

/// The messages since the last tick.
pub(super) struct Gather<'s, 'a> {
    source: SourceName<'s>,
    tables: [Sent<'a>; Table::ALL.len()],
    rejections: Vec<Rejection>,
    messages: Order,
}

type Settle = fn(&Sent<'_>, SourceName<'_>, &Interners, &mut Batch);

/// By table.
const SETTLE: [Settle; Table::ALL.len()] = by_table!(settle);

impl<'s, 'a> Gather<'s, 'a> {
    pub(super) fn new(source: SourceName<'s>) -> Self {
        Self { source, tables: <[Sent<'a>; Table::ALL.len()]>::default(), rejections: Vec::new(), messages: 0 }
    }

    fn count(&mut self) -> Order {
        let order = self.messages;
        self.messages = order.checked_add(1).expect("a run has fewer than 2^32 messages");
        order
    }

    pub(super) fn upsert(&mut self, table: Table, offset: u64, row: &'a str) {
        let order = self.count();
        let sent = &mut self.tables[table as usize];
        sent.upserts.push((offset, row.as_bytes()));
        sent.upsert_orders.push(order);
    }

    pub(super) fn delete(&mut self, table: Table, offset: u64, row: &'a str) {
        let order = self.count();
        let sent = &mut self.tables[table as usize];
        sent.deletes.push((offset, row));
        sent.delete_orders.push(order);
    }

    /// A message that says nothing new.
    pub(super) fn pass(&mut self) {
        self.count();
    }

    pub(super) fn refuse(&mut self, wrong: Wrong, offset: u64, line: &[u8]) {
        self.count();
        let line = String::from_utf8_lossy(line);
        let rejection = malformed(wrong.table, self.source.name, offset, &line.into());
        self.rejections.push(Rejection { column: wrong.key, ..rejection });
    }

    /// The batch of what was gathered, if that is anything; gathering begins anew.
    pub(super) fn end(&mut self) -> Option<Batch> {
        if self.messages == 0 {
            return None;
        }
        let messages = usize::try_from(take(&mut self.messages)).expect("a number in memory");
        let mut batch = Batch { rejections: take(&mut self.rejections), messages, ..Batch::default() };
        let interners = Interners::default();
        for (sent, settle) in self.tables.iter_mut().zip(SETTLE) {
            if !sent.upserts.is_empty() || !sent.deletes.is_empty() {
                settle(&take(sent), self.source, &interners, &mut batch);
            }
        }
        (batch.persons, batch.places, batch.labels) = name_all(interners, &mut batch.upserts);
        batch.rejections.sort_unstable_by_key(|rejection| rejection.offset);
        Some(batch)
    }
}

/// Adds what was sent of one table to a batch.
fn settle<C: Decode>(sent: &Sent<'_>, source: SourceName<'_>, interners: &Interners, batch: &mut Batch) {
    let mut unknown = BTreeSet::new();
    let (mut part, kept) = take_objects::<C>(&sent.upserts, (source.number, source.name), interners, &mut unknown);
    if !unknown.is_empty() {
        batch.unknown.insert(C::TABLE, unknown);
    }
    let orders: Vec<Order> = kept.iter().map(|&record| sent.upsert_orders[record as usize]).collect();
    let deletes = ids_to_delete(C::TABLE, sent, source, interners, &mut part.rejections);
    let gone = last_words(&mut part.rows, &orders, &deletes);
    *C::of_mut(&mut batch.upserts) = part.rows;
    batch.deletes.extend(gone.into_iter().map(|id| (C::TABLE, id)));
    batch.rejections.append(&mut part.rejections);
}

/// By table.
const SETTLE_STREAM: [SettleStream; Table::ALL.len()] = by_table!(settle_stream);

type SettleStream = fn(&SourceFile, u32, &[u8], &Interners, &mut Batch) -> Result<(), IngestError>;

/// The batch of a stream of record batches of one table.
pub(super) fn of_stream(source: SourceName<'_>, table: Table, bytes: &[u8]) -> Result<Batch, IngestError> {
    let name = source.name.to_owned();
    let file = SourceFile { table, path: "the body".into(), name, format: Format::Arrow };
    let (mut batch, interners) = (Batch::default(), Interners::default());
    SETTLE_STREAM[table as usize](&file, source.number, bytes, &interners, &mut batch)?;
    (batch.persons, batch.places, batch.labels) = name_all(interners, &mut batch.upserts);
    Ok(batch)
}

fn settle_stream<C: Decode>(
    file: &SourceFile,
    source: u32,
    bytes: &[u8],
    interners: &Interners,
    batch: &mut Batch,
) -> Result<(), IngestError> {
    let bounds = Bounds { buffer: STREAM_BYTES_MAX, buffers: STREAM_BYTES_MAX, rows: STREAM_ROWS_MAX };
    let bounds = (bounds, STREAM_TEXT_BYTES_MAX);
    let (part, extra) = take_stream::<C>(file, source, bytes, bounds, interners)?;
    put(part, extra.into_iter().collect(), batch);
    Ok(())
}

/// Makes a batch of rows of one table, none of which is deleted.
fn put<C: Decode>(mut part: Part<C>, unknown: BTreeSet<String>, batch: &mut Batch) {
    batch.messages = part.rows.len() + part.rejections.len();
    let orders: Vec<Order> = (0..).take(part.rows.len()).collect();
    last_words(&mut part.rows, &orders, &[]);
    *C::of_mut(&mut batch.upserts) = part.rows;
    batch.rejections = part.rejections;
    if !unknown.is_empty() {
        batch.unknown.insert(C::TABLE, unknown);
    }
}

/// By table.
const SETTLE_RUN: [SettleRun; Table::ALL.len()] = by_table!(settle_run);

type SettleRun = fn(&SourceFile, u32, Run<'_>, &Interners, &mut Batch);

/// The batch of a run of a file's rows.
pub(super) fn of_run(file: &SourceFile, source: u32, run: Run<'_>) -> Batch {
    let (mut batch, interners) = (Batch::default(), Interners::default());
    SETTLE_RUN[file.table as usize](file, source, run, &interners, &mut batch);
    (batch.persons, batch.places, batch.labels) = name_all(interners, &mut batch.upserts);
    batch.rejections.sort_unstable_by_key(|rejection| rejection.offset);
    batch
}

fn settle_run<C: Decode>(file: &SourceFile, source: u32, run: Run<'_>, interners: &Interners, batch: &mut Batch) {
    let (part, unknown) = match run {
        Run::Columnar(rows, first) => (take_rows::<C>(file, source, rows, first, interners), BTreeSet::new()),
        Run::Text(shape, records) => part_of::<C>(file, source, shape, records, interners),
    };
    put(part, unknown, batch);
}

/// The id of each delete that has one, with its place.
fn ids_to_delete(
    table: Table,
    sent: &Sent<'_>,
    source: SourceName<'_>,
    interners: &Interners,
    rejections: &mut Vec<Rejection>,
) -> Vec<(u64, Order)> {
    let id_only = &table.columns()[..1];
    let mut objects = Objects::new(id_only, sent.deletes.len());
    let mut good: Vec<(Order, u64, &str)> = Vec::with_capacity(sent.deletes.len());
    for (&order, &(offset, row)) in sent.delete_orders.iter().zip(&sent.deletes) {
        if objects.push(row) {
            good.push((order, offset, row));
        } else {
            rejections.push(malformed(Some(table), source.name, offset, &row.into()));
        }
    }
    let chunk = Chunk { table, rows: good.len(), cells: vec![objects.decode(0, interners)], source: source.number };
    let refusals = chunk.refusals();
    let mut ids = Vec::with_capacity(good.len());
    for (at, (order, offset, row)) in good.into_iter().enumerate() {
        let refusal = refusals.get(at).copied().flatten();
        ids.extend(chunk.legible_id(at).map(|id| (id, order)));
        rejections.extend(refusal.map(|refusal| Rejection {
            column: refusal.column,
            reason: refusal.reason,
            row: row.to_owned(),
            ..malformed(Some(table), source.name, offset, &serde_json::Value::Null)
        }));
    }
    ids
}

/// Leaves of each id the row that was the last word about it, by id; gives the ids about which a delete was, ascending.
///
/// Cost: a pass where ids ascend and none is deleted, as where a writer numbers its rows; else a sort.
fn last_words<C: Decode>(rows: &mut C, orders: &[Order], deletes: &[(u64, Order)]) -> Vec<u64> {
    let ids = rows.ids().base();
    if deletes.is_empty() && ids.is_sorted_by(|one, next| one < next) {
        return Vec::new();
    }
    let upserts = ids.iter().zip(orders).zip(0u32..).map(|((&id, &order), row)| (id, order, Some(row)));
    let mut words: Vec<(u64, Order, Option<u32>)> =
        upserts.chain(deletes.iter().map(|&(id, order)| (id, order, None))).collect();
    words.sort_unstable();
    let (mut kept, mut gone) = (Vec::with_capacity(ids.len()), Vec::new());
    for (at, &(id, _, row)) in words.iter().enumerate() {
        if words.get(at + 1).is_none_or(|next| next.0 != id) {
            match row {
                Some(row) => kept.push(row),
                None => gone.push(id),
            }
        }
    }
    let as_they_are = kept.len() == ids.len() && kept.is_sorted();
    if !as_they_are {
        rows.permute(&kept);
    }
    gone
}
