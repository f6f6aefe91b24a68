//! Facts where they stood at a position of the journal: as tables that any tool can open, and as columns that are mapped; the
//! journal behind it can go.
//!
//! The one idea: a checkpoint is a view, written down. Its tables are a data directory, and what lasts: whatever reads data
//! directories reads them, in this version or another. Its columns are the same facts as they lie in memory, so that a start
//! takes no load; they can be made again, and whatever is wrong with them costs time and nothing else.
//!
//! ```text
//! STORE/checkpoints/<position, 20 digits>/
//!   <table>.parquet      of each table that has rows; the order of rows has no meaning
//!   _checkpoint.json     what the position says besides facts, and the files with rows, bytes and XXH3-64; then that line's XXH3-64
//!   _sanma.*             columns (`columns`), which come once all that is there
//! ```
//!
//! Invariants: a checkpoint is under its name whole and on the disk, or not at all; its tables are never changed; what is used has
//! the checksums it was written with; what is not whole is never passed over for an older one, as the journal between may be gone.
//!
//! Cost: two passes over all facts, on one thread that gives way, while the run goes on and what it changes is copied first
//! (`docs/performance.md`). Memory: a batch of rows a table, then as closing a view.

mod keeper;
mod manifest;
mod write;

pub use keeper::{Finished, Keeper};

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::columns::{self, KeepError, Stale};
use crate::engine::Standing;
use crate::facts::{Facts, FactsView, Names};
use crate::ingest::{self, IngestError, Loaded, Observer};
use crate::journal::Position;
use crate::model::Table;
use crate::sinks::SinkError;

use manifest::Manifest;

/// The folder of checkpoints in a store.
const CHECKPOINTS: &str = "checkpoints";
/// Begin of the name of one that is being made.
const UNFINISHED: &str = ".new-";

/// Why a checkpoint cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The system said no.
    #[error("{}: {cause}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A file is not what was written.
    #[error("{} is damaged: {detail}. Nothing was changed; bring the file back from a backup", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// In what way.
        detail: String,
    },
    /// It was made by another version of the program.
    #[error("{} is of version {found}, and this program reads {}", .path.display(), manifest::VERSION)]
    Version {
        /// Its manifest.
        path: PathBuf,
        /// That version.
        found: u16,
    },
    /// A table cannot be written.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// Its columns are not what was written. A start does without, and makes them anew.
    #[error("the columns in {} are not those of its tables, which hold all that they do; a start makes them anew: {why}", .dir.display())]
    Columns {
        /// The checkpoint.
        dir: PathBuf,
        /// In what way.
        why: Stale,
    },
    /// It was told to stop; nothing was changed.
    #[error("interrupted")]
    Interrupted,
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> CheckpointError {
    let path = path.to_owned();
    |cause| CheckpointError::Io { path, cause }
}

/// Facts on the disk, at a position.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    dir: PathBuf,
    manifest: Arc<Manifest>,
}

impl Checkpoint {
    /// The newest checkpoint of a store, if it has one. What a stop left of one that was being made is removed.
    ///
    /// # Errors
    /// [`CheckpointError`]; damage of what it says of itself.
    pub fn newest(store: &Path) -> Result<Option<Self>, CheckpointError> {
        for (name, path) in entries(&store.join(CHECKPOINTS))? {
            if name.starts_with(UNFINISHED) {
                fs::remove_dir_all(&path).map_err(io_error(&path))?;
            }
        }
        Self::newest_in_use(store)
    }

    /// The same, and nothing is removed: also for a store that is in use.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn newest_in_use(store: &Path) -> Result<Option<Self>, CheckpointError> {
        let found = entries(&store.join(CHECKPOINTS))?.into_iter();
        let newest = found.filter_map(|(name, path)| Some((position_of(&name)?, path))).max();
        let read = |(_, dir): (u64, PathBuf)| Ok(Self { manifest: Arc::new(Manifest::read(&dir)?), dir });
        newest.map(read).transpose()
    }

    /// Keeps facts and what else stands at their position. Columns are kept by [`Self::keep_columns`].
    ///
    /// # Errors
    /// [`CheckpointError`]; nothing is left then.
    pub fn write(
        store: &Path,
        standing: Standing,
        facts: &FactsView,
        interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Self, CheckpointError> {
        write::write(store, standing, facts.facts(), interrupted)
    }

    /// Keeps columns of the facts, which are this checkpoint's, so that the next start maps them.
    ///
    /// # Errors
    /// Why they are not kept: the checkpoint is as good without.
    pub fn keep_columns(&self, facts: &FactsView, interrupted: &dyn Fn() -> bool) -> Result<(), KeepError> {
        columns::keep(&self.dir, self.manifest.digest(), &[], |writer| facts.close(writer), interrupted)
    }

    /// Checks every file of the tables. Cost: a read of all.
    ///
    /// # Errors
    /// The first damage.
    pub fn check(&self) -> Result<(), CheckpointError> {
        self.manifest.check_files(&self.dir)
    }

    /// Checks the columns, if there are any of this version. Cost: a read of all.
    ///
    /// # Errors
    /// The first damage.
    pub fn check_columns(&self) -> Result<(), CheckpointError> {
        match self.open_columns() {
            Ok(_) | Err(Stale::Absent | Stale::Version) => Ok(()),
            Err(why) => Err(CheckpointError::Columns { dir: self.dir.clone(), why }),
        }
    }

    /// What its position says besides facts.
    #[must_use]
    pub fn standing(&self) -> &Standing {
        &self.manifest.standing
    }

    /// Its position.
    #[must_use]
    pub fn position(&self) -> Position {
        self.manifest.standing.position
    }

    /// The data directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Bytes of all tables.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.manifest.files.iter().map(|file| file.bytes).sum()
    }

    /// Rows of all tables.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.manifest.files.iter().map(|file| file.rows).sum()
    }

    /// The facts; and why they were not to be had of columns, if so. Cost: that of opening columns, else of loading a data directory.
    ///
    /// # Errors
    /// A file that cannot be read or is not what was written; an interruption.
    pub fn load(&self, observer: &dyn Observer) -> Result<(Facts, Option<Stale>), CheckpointError> {
        match self.open_columns() {
            Ok(facts) => Ok((facts, None)),
            Err(why) => Ok((self.load_tables(observer)?, Some(why))),
        }
    }

    fn open_columns(&self) -> Result<Facts, Stale> {
        let digest = self.manifest.digest();
        let is_of =
            |of: &String| (*of == digest).then_some(()).ok_or_else(|| "they are of another checkpoint".to_owned());
        let (facts, _) = columns::open(&self.dir, is_of)?;
        let rows = Table::ALL.iter().map(|&table| facts.rows_of(table) as u64).sum::<u64>();
        if rows != self.rows() {
            return Err(Stale::Other(format!("they are of {rows} rows, and the tables have {}", self.rows())));
        }
        Ok(facts)
    }

    fn load_tables(&self, observer: &dyn Observer) -> Result<Facts, CheckpointError> {
        self.manifest.check_files(&self.dir)?;
        let damaged = |detail: String| CheckpointError::Damaged { path: self.dir.clone(), detail };
        let loaded = match ingest::load(&self.dir, observer) {
            Err(IngestError::Interrupted) => return Err(CheckpointError::Interrupted),
            loaded => loaded.map_err(|error| damaged(error.to_string()))?,
        };
        let Loaded { tables, persons, places, labels, .. } = loaded;
        if tables.rows() as u64 != self.rows() {
            return Err(damaged(format!("it gives {} rows, and {} were written", tables.rows(), self.rows())));
        }
        Ok(Facts::new(tables, Names { persons, places, labels }))
    }

    /// Removes the checkpoints of the store that are older than this one.
    ///
    /// # Errors
    /// What the system says; what was not removed can be removed later.
    pub fn remove_older(&self) -> Result<(), CheckpointError> {
        let all = self.dir.parent().unwrap_or(Path::new("."));
        for (name, path) in entries(all)? {
            if position_of(&name).is_some_and(|position| position < self.position().0) {
                fs::remove_dir_all(&path).map_err(io_error(&path))?;
            }
        }
        Ok(())
    }
}

/// Names and paths in a folder of checkpoints.
fn entries(all: &Path) -> Result<Vec<(String, PathBuf)>, CheckpointError> {
    let listed = match fs::read_dir(all) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.map_err(io_error(all))?,
    };
    let named = listed.map(|entry| {
        entry.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path())).map_err(io_error(all))
    });
    named.collect()
}

fn position_of(name: &str) -> Option<u64> {
    (name.len() == 20).then(|| name.parse().ok()).flatten()
}
