//! The facts of a store where it stands, for whoever only reads them.
//!
//! The one idea: the checkpoint and the journal behind it, read as a run reads them, without a look at anybody's code. Of a store that a
//! run has, a copy is read (`copy`): so neither waits for the other.
//!
//! Cost: a load of the checkpoint, a replay, and one more pass to put what has changed in order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::{CHANGES, REJECTIONS, Report, RunError, copy, journal, open_engine};
use crate::engine::EngineError;
use crate::facts::Facts;
use crate::ingest::Observer;
use crate::journal::{JournalError, Position};
use crate::limits::JOURNAL_SEGMENT_BYTES;
use crate::model::Timestamp;
use crate::rules::Program;

/// What a store holds at its last position.
#[derive(Debug)]
pub struct Stood {
    /// The facts.
    pub facts: Facts,
    /// The rules in force.
    pub program: Arc<Program>,
    /// T.
    pub as_of: Timestamp,
    /// The position.
    pub position: Position,
    /// The file of its changes, if it keeps them itself.
    pub changes: Option<PathBuf>,
    /// The file of its rejections.
    pub rejections: Option<PathBuf>,
    /// Holds those files, if they are of a copy.
    pub copy: Option<TempDir>,
}

/// Reads a store; of one that a run has, a copy as of now, in the system's folder for such things.
///
/// # Errors
/// Damage; what the system says; a store that no run has begun.
pub fn stand(store: &Path, observer: &dyn Observer) -> Result<Stood, RunError> {
    match stand_alone(store, observer) {
        Err(RunError::Engine(EngineError::Journal(JournalError::Locked { .. }))) => {
            let dir = tempfile::tempdir().map_err(copy::at(store))?;
            let into = dir.path().join("store");
            copy::copy(store, &into)?;
            Ok(Stood { copy: Some(dir), ..stand_alone(&into, observer)? })
        }
        stood => stood,
    }
}

fn stand_alone(store: &Path, observer: &dyn Observer) -> Result<Stood, RunError> {
    let (mut engine, _) = open_engine(store, None, JOURNAL_SEGMENT_BYTES, observer, &mut Report::default())?;
    engine.absorb_all()?;
    let city = engine.into_city();
    let (as_of, position) = (city.as_of(), city.position());
    let program = Arc::clone(city.program().ok_or(EngineError::NoBeginning)?);
    let (tables, mut names) = city.into_tables();
    names.persons.sort();
    names.places.sort();
    names.labels.sort();
    let there = |path: PathBuf| Some(path).filter(|path| path.exists());
    Ok(Stood {
        facts: Facts::new(tables, names),
        program,
        as_of,
        position,
        changes: journal::changes_of(store).or_else(|| Some(store.join(CHANGES))).and_then(there),
        rejections: there(store.join(REJECTIONS)),
        copy: None,
    })
}
