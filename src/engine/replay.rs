//! Records out of a journal, each made of its bytes while those before it are applied.
//!
//! Invariant: the visitor is shown what [`Journal::replay`] shows, in its order, up to the first error of either.
//!
//! Cost: a thread; large records are made on the global pool of threads. Memory: some lots of a bounded number of bytes and a record
//! each.

use super::EngineError;
use super::record::Record;
use crate::journal::{Journal, JournalError, Position, Storage};
use crate::limits::{REPLAY_BYTES, REPLAY_LOTS_MAX};

/// Why reading ended.
enum Ended {
    Failed(EngineError),
    /// Nobody wants more.
    Unwanted,
}

impl From<JournalError> for Ended {
    fn from(error: JournalError) -> Self {
        Self::Failed(error.into())
    }
}

/// Shows all records from a position on, in order.
///
/// # Errors
/// Those of the journal; bytes that are no record; the visitor's own.
pub(super) fn records<S: Storage, E: From<EngineError>>(
    journal: &Journal<S>,
    from: Position,
    mut visit: impl FnMut(Position, Record) -> Result<(), E>,
) -> Result<(), E> {
    let (lots, ahead) = crossbeam_channel::bounded::<Vec<(Position, Record)>>(REPLAY_LOTS_MAX);
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let (mut lot, mut bytes) = (Vec::new(), 0);
            let read = journal.replay(from, |position, payload| -> Result<(), Ended> {
                let record = Record::decode(payload);
                let record = record.map_err(|cause| Ended::Failed(EngineError::Record { position, cause }))?;
                lot.push((position, record));
                bytes += payload.len();
                if bytes >= REPLAY_BYTES {
                    bytes = 0;
                    lots.send(std::mem::take(&mut lot)).map_err(|_| Ended::Unwanted)?;
                }
                Ok(())
            });
            // Also what came before an error.
            lots.send(lot).map_err(|_| Ended::Unwanted)?;
            read
        });
        let applied = ahead.iter().flatten().try_for_each(|(position, record)| visit(position, record));
        // Whoever waits to hand over more is told that nobody wants it.
        drop(ahead);
        let read = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        applied?;
        match read {
            Ok(()) | Err(Ended::Unwanted) => Ok(()),
            Err(Ended::Failed(error)) => Err(error.into()),
        }
    })
}
