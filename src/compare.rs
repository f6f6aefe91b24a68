//! Two files of published codes, and what changed between them.
//!
//! Invariant: nothing is written before both files are read whole.
//!
//! Cost: both files are read side by side; then one merge.

use std::path::{Path, PathBuf};

use crate::diff::{self, Tally};
use crate::ingest::{IngestError, Published};
use crate::model::Timestamp;
use crate::model::published::{ReasonLists, Rows as _};
use crate::sinks::{self, Destination, SinkError};

/// What is to be compared.
#[derive(Clone, Copy, Debug)]
pub struct Comparison<'a> {
    /// The codes before: a file of any output format, or its directory.
    pub before: &'a Path,
    /// The codes after.
    pub after: &'a Path,
    /// Whether changes of reasons alone are changes.
    pub reasons: bool,
    /// Where `changes` go, and the instant that they tell.
    pub out: Option<(Destination<'a>, Timestamp)>,
}

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// Codes cannot be read.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// Changes cannot be written.
    #[error(transparent)]
    Sink(#[from] SinkError),
}

/// What changed.
#[derive(Clone, Debug, Default)]
pub struct Compared {
    /// Persons with a code before.
    pub before: u64,
    /// Persons with a code after.
    pub after: u64,
    /// The changes.
    pub tally: Tally,
    /// The file written.
    pub output: Option<PathBuf>,
}

/// Compares two files.
///
/// # Errors
/// Of two files that cannot be read, that before; see [`CompareError`]. Outputs of an earlier run are then as they were.
pub fn run(comparison: &Comparison<'_>, interrupted: &(dyn Fn() -> bool + Sync)) -> Result<Compared, CompareError> {
    let read = rayon::join(|| Published::read(comparison.before), || Published::read(comparison.after));
    let (before, after) = (read.0?, read.1?);
    let mut lists = ReasonLists::default();
    let entries = [&before, &after].map(|published| published.entries(&mut lists));
    let changes = diff::changes(&entries[0], &entries[1], comparison.reasons, &lists);
    let tally = Tally::of(&changes, &lists);
    let output = match comparison.out {
        None => None,
        Some((destination, as_of)) => {
            destination.make()?;
            sinks::commit(vec![destination.stage_changes("changes", &changes, &lists, as_of, interrupted)?])?;
            Some(destination.path_of("changes"))
        }
    };
    Ok(Compared { before: entries[0].len() as u64, after: entries[1].len() as u64, tally, output })
}
