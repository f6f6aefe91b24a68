//! What a store does for itself: it forgets what is past its retention, makes checkpoints, and drops the journal behind them.

use super::outlets::Outlets;
use super::{Report, RunError, Watcher, step};
use crate::checkpoint::{Checkpoint, Finished, Keeper};
use crate::engine::{City, Engine, Record, Word};
use crate::ingest::feed::Batch;
use crate::journal::Folder;
use crate::limits::FORGET_SHARE;
use crate::model::{LocalDay, Table};

/// Rows past their retention that are still there.
#[derive(Default)]
pub(super) struct Forgetting {
    /// The day on which they were looked for.
    day: Option<LocalDay>,
    /// By table and id, the last first.
    pub(super) pending: Vec<(Table, u64)>,
}

impl Forgetting {
    /// Looks for them, once a day.
    pub(super) fn look(&mut self, city: &City) {
        let day = city.day();
        if day != self.day {
            self.day = day;
            self.pending = city.forgettable();
            self.pending.reverse();
        }
    }

    /// Whether they are a great part of all rows: to take them out one by one would cost more than to make all columns anew.
    pub(super) fn is_large(&self, city: &City) -> bool {
        let rows: usize = Table::ALL.iter().map(|&table| city.rows_of(table)).sum();
        self.pending.len() > rows / FORGET_SHARE
    }
}

/// Takes out at once what is past its retention: before anybody is followed, as it takes its time. A checkpoint is wanted then.
pub(super) fn forget_at_once(
    engine: &mut Engine<Folder>,
    outlets: &mut Outlets<'_>,
    keeper: &mut Keeper,
    forgetting: &mut Forgetting,
    watcher: &dyn Watcher,
) -> Result<(), RunError> {
    forgetting.pending = Vec::new();
    let Some(over) = engine.city().over() else { return Ok(()) };
    delete(engine, outlets, watcher, Word::Forget(over))?;
    want_checkpoint(engine, keeper)
}

fn delete(
    engine: &mut Engine<Folder>,
    outlets: &mut Outlets<'_>,
    watcher: &dyn Watcher,
    word: Word,
) -> Result<(), RunError> {
    let as_of = engine.city().as_of();
    step(engine, outlets, watcher, vec![Record { as_of, source: None, refused: Vec::new(), word }])
}

/// Wants a checkpoint of all there is: then what has been deleted leaves the disk as well.
pub(super) fn want_checkpoint(engine: &mut Engine<Folder>, keeper: &mut Keeper) -> Result<(), RunError> {
    engine.seal()?;
    keeper.want();
    Ok(())
}

/// Looks once a day for rows past their retention, and deletes some: as records of the journal, like all that changes facts, and
/// so many at a time, between what feeds tell. When all are gone a checkpoint is wanted.
/// Gives whether there are more.
pub(super) fn forget(
    engine: &mut Engine<Folder>,
    outlets: &mut Outlets<'_>,
    keeper: &mut Keeper,
    forgetting: &mut Forgetting,
    rows: usize,
    watcher: &dyn Watcher,
) -> Result<bool, RunError> {
    forgetting.look(engine.city());
    let pending = &mut forgetting.pending;
    if pending.is_empty() {
        return Ok(false);
    }
    let deletes = pending.drain(pending.len().saturating_sub(rows)..).rev().collect();
    delete(engine, outlets, watcher, Word::Facts(Box::new(Batch { deletes, ..Batch::default() })))?;
    if forgetting.pending.is_empty() {
        want_checkpoint(engine, keeper)?;
    }
    Ok(!forgetting.pending.is_empty())
}

/// Begins a checkpoint if it is time. What was told is made durable first: what a checkpoint holds is not told again.
pub(super) fn keep(
    engine: &mut Engine<Folder>,
    outlets: &mut Outlets<'_>,
    keeper: &mut Keeper,
) -> Result<(), RunError> {
    if keeper.is_due(engine.sealed_since(keeper.next())) {
        // The journal that is dropped behind it ends with it.
        engine.seal()?;
        outlets.secure(engine.last())?;
        tracing::info!(position = engine.last().0, "a checkpoint is begun");
        let segments = engine.sealed_since(keeper.next());
        let city = engine.city_mut();
        keeper.begin(city.standing().clone(), city.facts_view(), segments);
    }
    Ok(())
}

/// Drops the journal behind a checkpoint that has been made, and older ones. One that could not be made is a warning: the journal has
/// it all.
pub(super) fn drop_what_is_kept(
    engine: &mut Engine<Folder>,
    keeper: &mut Keeper,
    wait: bool,
    report: &mut Report,
) -> Result<(), RunError> {
    loop {
        match keeper.finished(wait) {
            Ok(Some(Finished::Checkpoint(checkpoint))) => {
                report.checkpoints += 1;
                tracing::info!(position = checkpoint.position().0, "a checkpoint has been made");
                drop_behind(engine, &checkpoint)?;
            }
            Ok(Some(Finished::Columns(Ok(())))) => tracing::info!("the checkpoint's columns have been kept"),
            Ok(Some(Finished::Columns(Err(why)))) => {
                report.warn(format!("the checkpoint has no columns, and a start takes longer: {why}"));
            }
            Ok(None) => return Ok(()),
            Err(error) => report.warn(format!("a checkpoint could not be made: {error}")),
        }
    }
}

/// Drops the journal behind a checkpoint, and older ones.
pub(super) fn drop_behind(engine: &mut Engine<Folder>, checkpoint: &Checkpoint) -> Result<(), RunError> {
    engine.drop_until(checkpoint.position())?;
    Ok(checkpoint.remove_older()?)
}
