//! What a store does for itself: it forgets what is past its retention, makes checkpoints, and drops the journal behind them.

use super::outlets::Outlets;
use super::{Report, RunError, Watcher, step};
use crate::checkpoint::{Checkpoint, Finished, Keeper};
use crate::engine::{Engine, Record, Word};
use crate::facts::Over;
use crate::ingest::feed::Batch;
use crate::journal::Folder;
use crate::model::{LocalDay, Table};

/// Rows past their retention that are still there.
#[derive(Default)]
pub(super) struct Forgetting {
    /// The day on which they were looked for.
    day: Option<LocalDay>,
    /// By table and id, the last first.
    pub(super) pending: Vec<(Table, u64)>,
}

/// Takes out at once what is past its retention: before anybody is followed, as it takes its time. A checkpoint is wanted then.
pub(super) fn forget_at_once(
    engine: &mut Engine<Folder>,
    outlets: &mut Outlets<'_>,
    keeper: &mut Keeper,
    over: Over,
    watcher: &dyn Watcher,
) -> Result<(), RunError> {
    let as_of = engine.city().as_of();
    step(
        engine,
        outlets,
        watcher,
        vec![Record { as_of, source: None, refused: Vec::new(), word: Word::Forget(over) }],
    )?;
    engine.seal()?;
    keeper.want();
    Ok(())
}

/// Looks once a day for rows past their retention, and deletes some: as records of the journal, like all that changes facts, and
/// so many at a time, between what feeds tell. When all are gone a checkpoint is wanted, so that they leave the disk as well.
/// Gives whether there are more.
pub(super) fn forget(
    engine: &mut Engine<Folder>,
    outlets: &mut Outlets<'_>,
    keeper: &mut Keeper,
    forgetting: &mut Forgetting,
    rows: usize,
    watcher: &dyn Watcher,
) -> Result<bool, RunError> {
    let day = engine.city().day();
    if day != forgetting.day {
        forgetting.day = day;
        forgetting.pending = engine.city().forgettable();
        forgetting.pending.reverse();
    }
    let pending = &mut forgetting.pending;
    if pending.is_empty() {
        return Ok(false);
    }
    let deletes = pending.drain(pending.len().saturating_sub(rows)..).rev().collect();
    let word = Word::Facts(Box::new(Batch { deletes, ..Batch::default() }));
    let as_of = engine.city().as_of();
    step(engine, outlets, watcher, vec![Record { as_of, source: None, refused: Vec::new(), word }])?;
    if forgetting.pending.is_empty() {
        engine.seal()?;
        keeper.want();
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
