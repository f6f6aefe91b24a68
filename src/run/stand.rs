//! The facts of a store where it stands, for whoever only reads them.
//!
//! The one idea: a copy (`copy`) is read as a run reads its store, without a look at anybody's code: so the store is not touched, also
//! if it is in use, and neither waits for the other.
//!
//! Cost: the copy, which takes as much disk as the store; that of opening the checkpoint, a replay, and a copy of all columns without
//! what has been left behind.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::open::{Opened, open_engine};
use super::{CHANGES, REJECTIONS, Report, RunError, copy, journal};
use crate::engine::EngineError;
use crate::facts::Facts;
use crate::ingest::Observer;
use crate::journal::Position;
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
    /// Holds those files.
    pub copy: TempDir,
}

/// Reads a store as of now, out of a copy in the system's folder for such things.
///
/// # Errors
/// Damage; what the system says; a store that no run has begun.
pub fn stand(store: &Path, observer: &dyn Observer) -> Result<Stood, RunError> {
    let copied = tempfile::tempdir().map_err(copy::at(store))?;
    let into = copied.path().join("store");
    copy::copy(store, &into, true)?;
    let Opened { mut engine, .. } = open_engine(&into, None, JOURNAL_SEGMENT_BYTES, observer, &mut Report::default())?;
    engine.absorb_all()?;
    let mut city = engine.into_city();
    let (as_of, position) = (city.as_of(), city.position());
    let program = Arc::clone(city.program().ok_or(EngineError::NoBeginning)?);
    let facts = city.facts_view().closed();
    let there = |path: PathBuf| Some(path).filter(|path| path.exists());
    Ok(Stood {
        facts,
        program,
        as_of,
        position,
        changes: there(into.join(CHANGES)).or_else(|| journal::changes_of(store).and_then(there)),
        rejections: there(into.join(REJECTIONS)),
        copy: copied,
    })
}
