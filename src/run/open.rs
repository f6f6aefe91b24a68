//! A store, opened: its journal, and the facts where its checkpoint stands.

use std::path::Path;

use super::{Report, RunError};
use crate::checkpoint::Checkpoint;
use crate::columns::Stale;
use crate::engine::{Begin, Engine, EngineError, Record, Standing, Word};
use crate::facts::{Facts, Names};
use crate::ingest::{self, Loaded, Observer};
use crate::journal::{Folder, Journal, Position};

/// A store that has been opened.
pub(super) struct Opened {
    pub(super) engine: Engine<Folder>,
    pub(super) checkpoint: Option<Checkpoint>,
    /// Whether the checkpoint's facts had to be loaded from its tables.
    pub(super) lacks_columns: bool,
}

/// Opens a store: at its checkpoint, at the facts that it is to begin from, or at nothing.
pub(super) fn open_engine(
    store: &Path,
    data: Option<&Path>,
    segment_bytes: u64,
    observer: &dyn Observer,
    report: &mut Report,
) -> Result<Opened, RunError> {
    let (journal, recovery) = Journal::open(Folder::open(&store.join("journal"))?)?;
    let journal = journal.with_segment_bytes(segment_bytes);
    report.cut_bytes = recovery.cut_bytes;
    let print = data.map(|data| ingest::discover(data)?.fingerprint()).transpose()?;
    if let Some(checkpoint) = Checkpoint::newest(store)? {
        let standing = checkpoint.standing().clone();
        if print.is_some() && print != standing.data {
            return Err(EngineError::of_data(standing.data.as_deref(), print.as_deref()).into());
        }
        let (facts, stale) = checkpoint.load(observer)?;
        if let Some(why) = stale.as_ref().filter(|why| **why != Stale::Absent) {
            report.warn(format!("the checkpoint's columns are not used, its tables are: {why}"));
        }
        let engine = Engine::new(journal, facts, standing)?;
        return Ok(Opened { engine, checkpoint: Some(checkpoint), lacks_columns: stale.is_some() });
    }
    let (Some(data), Some(print)) = (data, print) else {
        let engine = Engine::new(journal, Facts::default(), Standing::before_all(None))?;
        return Ok(Opened { engine, checkpoint: None, lacks_columns: false });
    };
    if let Some(begin) = begin_of(&journal)?.filter(|begin| begin.data.as_ref() != Some(&print)) {
        return Err(EngineError::of_data(begin.data.as_deref(), Some(&print)).into());
    }
    let loaded = ingest::load(data, observer)?;
    report.warnings.extend(loaded.warnings.iter().cloned());
    if !loaded.rejections.is_empty() {
        let rows = loaded.rejections.len();
        report.warnings.push(format!("{rows} rows of {} are invalid; `sanma recompute` lists them", data.display()));
    }
    let Loaded { tables, persons, places, labels, .. } = loaded;
    let facts = Facts::new(tables, Names { persons, places, labels });
    let mut engine = Engine::new(journal, facts, Standing::before_all(Some(print)))?;
    let city = engine.city_mut();
    let (standing, facts) = (city.standing().clone(), city.facts_view());
    let checkpoint = Checkpoint::write(store, standing, &facts, &|| observer.interrupted())?;
    Ok(Opened { engine, checkpoint: Some(checkpoint), lacks_columns: true })
}

/// How a journal began, if it has.
fn begin_of(journal: &Journal) -> Result<Option<Begin>, RunError> {
    let mut found = None;
    // The first record says it; the rest is not looked at.
    let read = journal.replay(Position(1), |position, payload| {
        let record = Record::decode(payload).map_err(|cause| EngineError::Record { position, cause })?;
        let Word::Begin(begin) = record.word else { return Err(EngineError::NoBeginning) };
        found = Some(begin);
        Err(EngineError::NoBeginning)
    });
    match read {
        Err(EngineError::NoBeginning) if found.is_some() => Ok(found),
        read => Ok(read.map(|()| None)?),
    }
}
