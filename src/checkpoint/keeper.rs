//! Checkpoints made while others go on.
//!
//! The one idea: one at a time, on a thread of its own, when the journal has grown by enough full segments that writing all facts once
//! more is in proportion to what was told since.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::{Checkpoint, CheckpointError};
use crate::journal::{Position, Sealed, Storage};
use crate::limits::{CHECKPOINT_SEGMENTS_MAX, CHECKPOINT_SEGMENTS_MIN, CHECKPOINT_SHARE};

/// Whoever makes the checkpoints of a store.
#[derive(Debug)]
pub struct Keeper {
    store: PathBuf,
    newest: Option<Checkpoint>,
    segment_bytes: u64,
    under_way: Option<JoinHandle<Result<Checkpoint, CheckpointError>>>,
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

    /// Whether it is time for a checkpoint, and none is under way.
    #[must_use]
    pub fn is_due<S: Storage>(&self, sealed: &Sealed<S>) -> bool {
        let bytes = self.newest.as_ref().map_or(0, Checkpoint::bytes);
        let share = usize::try_from(bytes / CHECKPOINT_SHARE / self.segment_bytes.max(1)).unwrap_or(usize::MAX);
        let due = share.clamp(CHECKPOINT_SEGMENTS_MIN, CHECKPOINT_SEGMENTS_MAX);
        let segments = sealed.since(self.next()).len();
        let due = if self.wanted { 1 } else { due };
        self.under_way.is_none() && segments >= due && segments > self.failed_at
    }

    /// Position of the first record that the newest checkpoint does not hold.
    fn next(&self) -> Position {
        self.newest.as_ref().map_or(Position(1), |newest| newest.position().next())
    }

    /// Begins a checkpoint. Whatever its positions told has to be durable before: it may be on the disk at any time from now.
    ///
    /// # Panics
    /// If one is under way.
    pub fn begin<S: Storage + Clone + Send + Sync + 'static>(&mut self, sealed: &Sealed<S>) {
        assert!(self.under_way.is_none(), "one at a time");
        self.failed_at = sealed.since(self.next()).len();
        self.wanted = false;
        let some = sealed.first_since(self.next(), CHECKPOINT_SEGMENTS_MAX);
        let (store, base, stop) = (self.store.clone(), self.newest.clone(), Arc::clone(&self.stop));
        self.under_way = Some(std::thread::spawn(move || {
            let fold = || Checkpoint::fold(&store, base.as_ref(), &some, &|| stop.load(Ordering::Relaxed));
            // One thread: the engine wants the others.
            match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
                Ok(pool) => pool.install(fold),
                Err(_) => fold(),
            }
        }));
    }

    /// The checkpoint that has been made since the last time, if one has; with `wait` also one that is under way. The journal up
    /// to it can go, and older checkpoints.
    ///
    /// # Errors
    /// Why it could not be made. It is tried again when the journal has grown.
    pub fn finished(&mut self, wait: bool) -> Result<Option<&Checkpoint>, CheckpointError> {
        let Some(done) = self.under_way.take_if(|made| wait || made.is_finished()) else { return Ok(None) };
        let made = done.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        self.failed_at = 0;
        Ok(Some(self.newest.insert(made)))
    }
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
