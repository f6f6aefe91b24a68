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

/// A checkpoint that has been made.
#[derive(Debug)]
pub struct Made {
    /// Which one.
    pub checkpoint: Checkpoint,
    /// Whether it was not there before, without columns.
    pub is_new: bool,
    /// Why its columns were not kept, if so.
    pub without_columns: Option<KeepError>,
}

/// Whoever makes the checkpoints of a store.
#[derive(Debug)]
pub struct Keeper {
    store: PathBuf,
    newest: Option<Checkpoint>,
    segment_bytes: u64,
    under_way: Option<JoinHandle<Result<Made, CheckpointError>>>,
    /// After a failure: how many segments there were; it is tried again once there are more.
    failed_at: usize,
    wanted: bool,
    stop: Arc<AtomicBool>,
}

impl Keeper {
    /// Of a store that stands at a checkpoint, and whose journal has segments of this size.
    #[must_use]
    pub fn new(store: &Path, newest: Option<Checkpoint>, segment_bytes: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        Self { store: store.to_owned(), newest, segment_bytes, under_way: None, failed_at: 0, wanted: false, stop }
    }

    /// Wants a checkpoint of whatever is sealed, as soon as none is under way.
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
        self.wanted = false;
        let store = self.store.clone();
        self.set_about(facts, true, move |facts, stopped| Checkpoint::write(&store, standing, facts, stopped));
    }

    /// Begins to keep columns of the newest checkpoint, which has none. `facts` are those at its position.
    ///
    /// # Panics
    /// If something is under way; if there is no checkpoint.
    pub fn begin_columns(&mut self, facts: FactsView) {
        let newest = self.newest.clone().expect("a checkpoint that lacks columns");
        self.set_about(facts, false, |_, _| Ok(newest));
    }

    fn set_about(
        &mut self,
        facts: FactsView,
        is_new: bool,
        make: impl FnOnce(&FactsView, &(dyn Fn() -> bool + Sync)) -> Result<Checkpoint, CheckpointError> + Send + 'static,
    ) {
        assert!(self.under_way.is_none(), "one at a time");
        let stop = Arc::clone(&self.stop);
        let make = move || {
            let stopped = || stop.load(Ordering::Relaxed);
            let checkpoint = make(&facts, &stopped)?;
            let without_columns = checkpoint.keep_columns(&facts, &stopped).err();
            Ok(Made { checkpoint, is_new, without_columns })
        };
        self.under_way = Some(std::thread::spawn(move || {
            // One thread: the engine wants the others.
            let pool = rayon::ThreadPoolBuilder::new().num_threads(1).start_handler(|_| give_way());
            match pool.build() {
                Ok(pool) => pool.install(make),
                Err(_) => make(),
            }
        }));
    }

    /// The checkpoint that has been made since the last time, if one has, or whose columns have been; with `wait` also one that is
    /// under way. The journal up to it can go, and older checkpoints.
    ///
    /// # Errors
    /// Why it could not be made. It is tried again when the journal has grown.
    pub fn finished(&mut self, wait: bool) -> Result<Option<Made>, CheckpointError> {
        let Some(done) = self.under_way.take_if(|made| wait || made.is_finished()) else { return Ok(None) };
        let made = done.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        self.failed_at = 0;
        self.newest = Some(made.checkpoint.clone());
        Ok(Some(made))
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
