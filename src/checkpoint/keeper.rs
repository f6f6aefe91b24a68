//! Checkpoints made while others go on.
//!
//! The one idea: one at a time, of a view, on a thread of its own that gives way, when the journal has grown by enough full segments that
//! writing all facts once more is in proportion to what was told since.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::{Checkpoint, CheckpointError};
use crate::columns::KeepError;
use crate::engine::Standing;
use crate::facts::FactsView;
use crate::journal::Position;
use crate::limits::{CHECKPOINT_SEGMENTS_MAX, CHECKPOINT_SEGMENTS_MIN, CHECKPOINT_SHARE};

/// What has been done.
#[derive(Debug)]
pub enum Finished {
    /// A checkpoint has been made; its columns are under way. The journal up to it can go, and older checkpoints.
    Checkpoint(Checkpoint),
    /// Its columns have been kept, or not: it is as good without.
    Columns(Result<(), KeepError>),
}

/// What a thread hands back.
enum Done {
    Tables(Checkpoint, Box<FactsView>),
    Columns(Result<(), KeepError>),
}

/// Whoever makes the checkpoints of a store.
#[expect(missing_debug_implementations, reason = "a thread under way")]
pub struct Keeper {
    store: PathBuf,
    newest: Option<Checkpoint>,
    segment_bytes: u64,
    under_way: Option<JoinHandle<Result<Done, CheckpointError>>>,
    /// After a failure: how many segments there were; it is tried again once there are more.
    failed_at: usize,
    wanted: bool,
    /// Whether the one under way was.
    was_wanted: bool,
    stop: Arc<AtomicBool>,
}

impl Keeper {
    /// Of a store that stands at a checkpoint, and whose journal has segments of this size.
    #[must_use]
    pub fn new(store: &Path, newest: Option<Checkpoint>, segment_bytes: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (store, under_way, failed_at) = (store.to_owned(), None, 0);
        Self { store, newest, segment_bytes, under_way, failed_at, wanted: false, was_wanted: false, stop }
    }

    /// Wants a checkpoint, if anything is sealed, as soon as none is under way.
    pub const fn want(&mut self) {
        self.wanted = true;
    }

    /// Whether it is time for a checkpoint, and none is under way. `segments` full ones hold what the newest does not.
    #[must_use]
    pub fn is_due(&self, segments: usize) -> bool {
        let bytes = self.newest.as_ref().map_or(0, Checkpoint::bytes);
        let share = usize::try_from(bytes / CHECKPOINT_SHARE / self.segment_bytes.max(1)).unwrap_or(usize::MAX);
        let due = share.clamp(CHECKPOINT_SEGMENTS_MIN, CHECKPOINT_SEGMENTS_MAX);
        let due = if self.wanted { 1 } else { due };
        self.under_way.is_none() && segments >= due && segments > self.failed_at
    }

    /// Position of the first record that the newest checkpoint does not hold.
    #[must_use]
    pub fn next(&self) -> Position {
        self.newest.as_ref().map_or(Position(1), |newest| newest.position().next())
    }

    /// Begins a checkpoint of facts and of what else stands at their position, with so many full segments before it. Whatever its
    /// positions told has to be durable before: it may be on the disk at any time from now.
    ///
    /// # Panics
    /// If one is under way.
    pub fn begin(&mut self, standing: Standing, facts: FactsView, segments: usize) {
        self.failed_at = segments;
        self.was_wanted = std::mem::take(&mut self.wanted);
        let (store, stop) = (self.store.clone(), Arc::clone(&self.stop));
        self.set_about(move || {
            let made = Checkpoint::write(&store, standing, &facts, &|| stop.load(Ordering::Relaxed))?;
            Ok(Done::Tables(made, Box::new(facts)))
        });
    }

    /// Begins to keep columns of the newest checkpoint. `facts` are those at its position.
    ///
    /// # Panics
    /// If something is under way; if there is no checkpoint.
    pub fn begin_columns(&mut self, facts: FactsView) {
        let (newest, stop) = (self.newest.clone().expect("a checkpoint that lacks columns"), Arc::clone(&self.stop));
        self.set_about(move || Ok(Done::Columns(newest.keep_columns(&facts, &|| stop.load(Ordering::Relaxed)))));
    }

    fn set_about(&mut self, make: impl FnOnce() -> Result<Done, CheckpointError> + Send + 'static) {
        assert!(self.under_way.is_none(), "one at a time");
        self.under_way = Some(std::thread::spawn(move || {
            // One thread: the engine wants the others.
            let pool = rayon::ThreadPoolBuilder::new().num_threads(1).start_handler(|_| give_way());
            match pool.build() {
                Ok(pool) => pool.install(make),
                Err(_) => make(),
            }
        }));
    }

    /// What has been done since the last time, if something has; with `wait` also what is under way. A checkpoint that has been made
    /// goes on with its columns.
    ///
    /// # Errors
    /// Why a checkpoint could not be made. It is tried again when the journal has grown.
    pub fn finished(&mut self, wait: bool) -> Result<Option<Finished>, CheckpointError> {
        let Some(done) = self.under_way.take_if(|made| wait || made.is_finished()) else { return Ok(None) };
        match done.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
            Ok(Done::Tables(made, facts)) => {
                self.failed_at = 0;
                self.newest = Some(made.clone());
                self.begin_columns(*facts);
                Ok(Some(Finished::Checkpoint(made)))
            }
            Ok(Done::Columns(kept)) => Ok(Some(Finished::Columns(kept))),
            Err(error) => {
                self.wanted |= self.was_wanted;
                Err(error)
            }
        }
    }
}

fn give_way() {
    #[cfg(any(feature = "live", feature = "sql"))]
    crate::priority::give_way();
}

impl Drop for Keeper {
    /// A checkpoint that is under way is given up.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(under_way) = self.under_way.take() {
            drop(under_way.join());
        }
    }
}
