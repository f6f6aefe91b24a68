//! The last word about each row, out of records of the journal.

use hashbrown::HashMap;

use super::CheckpointError;
use super::write::{Interrupted, Part, Place};
use crate::engine::{Record, Standing, Word};
use crate::ingest::feed::Batch;
use crate::journal::{Sealed, Storage};
use crate::model::Table;
use crate::sinks::{self, RowNames};

/// What records say of facts, and of all else.
pub(super) struct Words {
    pub(super) standing: Standing,
    batches: Vec<Batch>,
    /// By table and id.
    last: Vec<HashMap<u64, Place>>,
}

impl Words {
    /// Listens to what follows a standing in the journal.
    pub(super) fn gather<S: Storage>(
        standing: Standing,
        sealed: &Sealed<S>,
        interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Self, CheckpointError> {
        let from = standing.position.next();
        let last = Table::ALL.iter().map(|_| HashMap::new()).collect();
        let mut words = Self { standing, batches: Vec::new(), last };
        sealed.replay(from, |position, payload| {
            if interrupted() {
                return Err(Interrupted.into());
            }
            let record = Record::decode(payload).map_err(|cause| CheckpointError::Record { position, cause })?;
            if let Word::Begin(begin) = &record.word
                && begin.data != words.standing.data
            {
                let given = words.standing.data.as_deref();
                return Err(crate::engine::EngineError::of_data(begin.data.as_deref(), given).into());
            }
            words.standing.follow(position, &record);
            if let Word::Facts(batch) = record.word {
                words.hear(*batch);
            }
            Ok::<(), CheckpointError>(())
        })?;
        Ok(words)
    }

    fn hear(&mut self, batch: Batch) {
        let number = u32::try_from(self.batches.len()).expect("fewer batches than bytes of some segments");
        for &(table, id) in &batch.deletes {
            self.last[table as usize].insert(id, None);
        }
        for table in Table::ALL {
            let ids = sinks::table_ids(table, &batch.upserts);
            let last = &mut self.last[table as usize];
            last.reserve(ids.len());
            last.extend((0..).zip(ids.iter()).map(|(row, &id)| (id, Some((number, row)))));
        }
        self.batches.push(batch);
    }

    /// The last words about rows of a table.
    pub(super) fn of(&self, table: Table) -> &HashMap<u64, Place> {
        &self.last[table as usize]
    }

    /// The rows that stand, a part for each batch that has some.
    pub(super) fn parts(&self, table: Table) -> Vec<Part<'_>> {
        let mut rows: Vec<Vec<u32>> = vec![Vec::new(); self.batches.len()];
        for &(batch, row) in self.of(table).values().flatten() {
            rows[batch as usize].push(row);
        }
        let parts = self.batches.iter().zip(rows).filter(|(_, rows)| !rows.is_empty()).map(|(batch, mut rows)| {
            // By id, as in the batch: the order in the map is none.
            rows.sort_unstable();
            let names = RowNames { persons: &batch.persons, places: &batch.places, labels: &batch.labels };
            Part { tables: &batch.upserts, names, rows }
        });
        parts.collect()
    }
}
