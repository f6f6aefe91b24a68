//! Changes as lines of a file, which subscribers and questions read.
//!
//! The one idea: the file says itself how far it goes; only what cannot be told again, because a checkpoint holds it, is noted as
//! told, after it has been synced.

use std::path::{Path, PathBuf};

use super::{Changed, Sink};
use crate::model::Timestamp;
use crate::sinks::appended::{Appended, Mark};
use crate::sinks::staged::{SinkError, Staged, commit};

/// Name of the file in a store that says how far a file of changes is known to be told.
pub const MARK: &str = "told.json";

/// A file of changes.
#[derive(Debug)]
pub struct Lines {
    file: Appended,
    path: PathBuf,
    told: u64,
    mark_path: PathBuf,
}

/// The whole path of the store that a mark is in.
fn store_of(mark_path: &Path) -> Option<PathBuf> {
    mark_path.parent()?.canonicalize().ok()
}

/// How far a file of changes is known to be told, if it is: without it everything is told as the file itself says. In a store that
/// was moved the file has moved with it.
#[must_use]
pub fn read_mark(store: &Path) -> Option<Mark> {
    let path = store.join(MARK);
    let mark: Mark = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
    Some(Mark { changes: store_of(&path)?.join(mark.changes), ..mark })
}

impl Lines {
    /// Opens a file of changes of a store, which is made if it is not there; `last` is the store's last position.
    ///
    /// # Errors
    /// [`SinkError`]: as [`Appended::open_changes`].
    pub fn open(path: &Path, store: &Path, last: u64) -> Result<Self, SinkError> {
        let mark = read_mark(store);
        let (file, told) = Appended::open_changes(path, mark.as_ref(), last)?;
        Ok(Self { file, path: path.to_owned(), told, mark_path: store.join(MARK) })
    }

    /// Length of the file, with what it has been told.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.file.bytes()
    }
}

impl Sink for Lines {
    fn name(&self) -> &Path {
        &self.path
    }

    fn told(&self) -> u64 {
        self.told
    }

    fn tell(&mut self, changed: &Changed<'_>) -> Result<(), SinkError> {
        self.told = changed.position;
        changed.write_lines(&mut self.file, &self.path)
    }

    fn flush(&mut self, _: Timestamp) -> Result<(), SinkError> {
        Appended::flush(&mut self.file)
    }

    fn secure(&mut self, position: u64) -> Result<(), SinkError> {
        let mut mark = self.file.sync(position)?;
        let path = &self.mark_path;
        if let Some(inside) = store_of(path).and_then(|store| Some(mark.changes.strip_prefix(store).ok()?.to_owned())) {
            mark.changes = inside;
        }
        commit(vec![Staged::json(path, &mark)?])
    }
}
