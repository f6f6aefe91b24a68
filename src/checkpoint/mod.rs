//! Facts where they stood at a position of the journal, as tables that any tool can open; the journal behind it can go.
//!
//! The one idea: a checkpoint is a data directory. It is made of the one before it and of full segments of the journal, file by
//! file: rows whose id was spoken of since are left out, the last word about each is added. So it takes neither the engine's
//! memory nor its time, its own memory is that of the segments, and what reads data directories reads it.
//!
//! ```text
//! STORE/checkpoints/<position, 20 digits>/
//!   <table>.parquet      of each table that has rows; the order of rows has no meaning
//!   _checkpoint.json     what the position says besides facts, and the files with rows, bytes and XXH3-64; then that line's XXH3-64
//! ```
//!
//! Invariants: a checkpoint is under its name whole and on the disk, or not at all; it is never changed; what is used has the
//! checksums it was written with; what is not whole is never passed over for an older one, as the journal between may be gone.
//!
//! Cost: a pass over the checkpoint before, one thread, some 4 million rows a second (`docs/performance.md`).

mod fold;
mod keeper;
mod manifest;
mod write;

pub use keeper::Keeper;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::engine::{EngineError, RecordError, Standing};
use crate::facts::{Facts, Names};
use crate::ingest::{self, IngestError, Loaded, Observer};
use crate::journal::{JournalError, Position, Sealed, Storage};
use crate::sinks::{RowNames, SinkError};

use fold::Words;
use manifest::Manifest;
use write::{Interrupted, Rows};

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
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A record of the journal is none.
    #[error("position {}: {cause}", .position.0)]
    Record {
        /// Its position.
        position: Position,
        /// Why.
        cause: RecordError,
    },
    /// It was told to stop; nothing was changed.
    #[error("interrupted")]
    Interrupted,
}

impl From<Interrupted> for CheckpointError {
    fn from(Interrupted: Interrupted) -> Self {
        Self::Interrupted
    }
}

impl From<EngineError> for CheckpointError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Journal(error) => Self::Journal(error),
            error => Self::Damaged { path: PathBuf::from("journal"), detail: error.to_string() },
        }
    }
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> CheckpointError {
    let path = path.to_owned();
    |cause| CheckpointError::Io { path, cause }
}

/// Facts on the disk, at a position.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    dir: PathBuf,
    manifest: Manifest,
}

impl Checkpoint {
    /// The newest checkpoint of a store, if it has one. What a stop left of one that was being made is removed.
    ///
    /// Cost: a read of its files.
    ///
    /// # Errors
    /// [`CheckpointError`]; damage.
    pub fn newest(store: &Path) -> Result<Option<Self>, CheckpointError> {
        for (name, path) in entries(&store.join(CHECKPOINTS))? {
            if name.starts_with(UNFINISHED) {
                fs::remove_dir_all(&path).map_err(io_error(&path))?;
            }
        }
        let newest = Self::newest_unchecked(store)?;
        if let Some(Self { dir, manifest }) = &newest {
            manifest.check_files(dir)?;
        }
        Ok(newest)
    }

    /// The same, without a look at what its files hold, and nothing is removed: also for a store that is in use.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn newest_unchecked(store: &Path) -> Result<Option<Self>, CheckpointError> {
        let found = entries(&store.join(CHECKPOINTS))?.into_iter();
        let newest = found.filter_map(|(name, path)| Some((position_of(&name)?, path))).max();
        let read = |(_, dir): (u64, PathBuf)| Ok(Self { manifest: Manifest::read(&dir)?, dir });
        newest.map(read).transpose()
    }

    /// Keeps facts that have been loaded, as those before the first record of a store's journal.
    ///
    /// # Errors
    /// [`CheckpointError`]; nothing is left then.
    pub fn of_data(
        store: &Path,
        loaded: &Loaded,
        fingerprint: String,
        interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Self, CheckpointError> {
        let names = RowNames { persons: &loaded.persons, places: &loaded.places, labels: &loaded.labels };
        let rows = |table| Rows { base: None, gone: None, parts: vec![write::Part::all(table, &loaded.tables, names)] };
        let standing = Standing::before_all(Some(fingerprint));
        write::write(store, standing, &rows, interrupted)
    }

    /// Makes the checkpoint that follows from one, or from nothing, and sealed segments of the journal after it.
    ///
    /// Memory: the records of the segments.
    ///
    /// # Errors
    /// [`CheckpointError`]; nothing is left then.
    pub fn fold<S: Storage>(
        store: &Path,
        base: Option<&Self>,
        sealed: &Sealed<S>,
        interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Self, CheckpointError> {
        let before = base.map_or_else(|| Standing::before_all(None), |base| base.manifest.standing.clone());
        let words = Words::gather(before, sealed, interrupted)?;
        let rows = |table| Rows {
            base: base.and_then(|base| base.manifest.file_of(table).map(|file| base.dir.join(&file.name))),
            gone: Some(words.of(table)),
            parts: words.parts(table),
        };
        write::write(store, words.standing.clone(), &rows, interrupted)
    }

    /// What its position says besides facts.
    #[must_use]
    pub const fn standing(&self) -> &Standing {
        &self.manifest.standing
    }

    /// Its position.
    #[must_use]
    pub const fn position(&self) -> Position {
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

    /// The facts. Cost: that of loading a data directory.
    ///
    /// # Errors
    /// A file that cannot be read; an interruption.
    pub fn load(&self, observer: &dyn Observer) -> Result<Facts, CheckpointError> {
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
