//! Where changes and refused rows go.
//!
//! The one idea: lines are a function of the journal, so the files say themselves how far they go; only what cannot be told again,
//! because a checkpoint holds it, is noted as told, after it has been synced.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Changes, Job, Progress, REJECTIONS, RunError};
use crate::engine::{City, Engine, Outcome};
use crate::journal::{Folder, Position};
use crate::model::published::ReasonLists;
use crate::model::schema::changes_schema;
use crate::sinks::{self, Appended, Mark, OutputFormat, SinkError, Staged};

/// Name of the file that says how far a file of changes is known to be told.
pub(super) const MARK: &str = "told.json";

/// Where changes and refused rows go.
pub(super) struct Outlets<'a> {
    changes: ChangesOut<'a>,
    changes_path: PathBuf,
    rejections: Appended,
    /// Lines that were in the file of rejections at the start, and lines seen since the journal's begin.
    rejected_before: u64,
    rejected: u64,
    reasons: bool,
    lists: ReasonLists,
    pub(super) told: u64,
    mark_path: PathBuf,
}

enum ChangesOut<'a> {
    File(Appended),
    Stdout(&'a mut (dyn Write + Send)),
}

impl Write for ChangesOut<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Stdout(stdout) => stdout.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => Write::flush(file),
            Self::Stdout(stdout) => stdout.flush(),
        }
    }
}

impl Outlets<'_> {
    pub(super) fn tell(&mut self, city: &City, outcome: &Outcome) -> Result<(), SinkError> {
        for line in outcome.refused.split_inclusive(|&byte| byte == b'\n') {
            self.rejected += 1;
            if self.rejected > self.rejected_before {
                self.rejections.append(line)?;
            }
        }
        let changes = city.changes(outcome, self.reasons, &mut self.lists);
        self.told += changes.len() as u64;
        let batches = sinks::change_batches(&changes, &self.lists, outcome.as_of, outcome.position.0);
        let (out, path) = (&mut self.changes, &self.changes_path);
        sinks::write_batches(out, path, OutputFormat::Ndjson, &changes_schema(), &batches, &|| false)
    }

    pub(super) fn flush(&mut self) -> Result<(), SinkError> {
        let path = &self.changes_path;
        self.changes.flush().map_err(|cause| SinkError::Io { path: path.clone(), cause })?;
        Appended::flush(&mut self.rejections)
    }

    /// How far a city's run has come; the files hold it once they have been flushed.
    pub(super) const fn progress(&self, city: &City) -> Progress {
        Progress {
            position: city.position(),
            as_of: city.as_of(),
            changes_bytes: match &self.changes {
                ChangesOut::File(file) => file.bytes(),
                ChangesOut::Stdout(_) => 0,
            },
            changes: self.told,
            refused: self.rejected,
            rejections_bytes: self.rejections.bytes(),
        }
    }

    /// Makes durable what was told up to a position, and that it was.
    pub(super) fn secure(&mut self, position: Position) -> Result<(), SinkError> {
        self.flush()?;
        self.rejections.sync(position.0)?;
        let ChangesOut::File(file) = &mut self.changes else { return Ok(()) };
        let mut mark = file.sync(position.0)?;
        let path = &self.mark_path;
        if let Some(inside) = store_of(path).and_then(|store| Some(mark.changes.strip_prefix(store).ok()?.to_owned())) {
            mark.changes = inside;
        }
        let staged = Staged::write(path, |file| {
            let written =
                serde_json::to_writer(&mut *file, &mark).map_err(io::Error::from).and_then(|()| writeln!(file));
            written.map_err(|cause| SinkError::Io { path: path.clone(), cause })
        });
        sinks::commit(vec![staged?])
    }
}

/// The whole path of the store that a mark is in.
fn store_of(mark_path: &Path) -> Option<PathBuf> {
    mark_path.parent()?.canonicalize().ok()
}

/// How far a file of changes is known to be told, if it is: without it everything is told as the file itself says. In a store that
/// was moved the file has moved with it.
pub(super) fn read_mark(store: &Path) -> Option<Mark> {
    let path = store.join(MARK);
    let mark: Mark = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
    Some(Mark { changes: store_of(&path)?.join(mark.changes), ..mark })
}

pub(super) fn open_outlets<'a>(
    job: &Job<'_>,
    stdout: &'a mut (dyn Write + Send),
    engine: &Engine<Folder>,
) -> Result<(Outlets<'a>, Position), RunError> {
    let (last, from) = (engine.last(), engine.city().position());
    let mark_path = job.store.join(MARK);
    let (rejections, rejected_before) = Appended::open_lines(&job.store.join(REJECTIONS))?;
    let (changes, changes_path, told) = match job.changes {
        Changes::File(path) => {
            let mark = read_mark(job.store);
            let (file, told) = Appended::open_changes(path, mark.as_ref(), |told| told <= last.0)?;
            (ChangesOut::File(file), path.to_owned(), Position(told))
        }
        Changes::Stdout(from) => {
            (ChangesOut::Stdout(stdout), PathBuf::from("standard output"), from.unwrap_or(last).min(last))
        }
    };
    if told > Position(0) && told < from {
        return Err(RunError::Untold { told_in: changes_path, told, from });
    }
    let (reasons, lists, rejected) = (job.reasons, ReasonLists::default(), engine.city().standing().refused);
    let outlets =
        Outlets { changes, changes_path, rejections, rejected_before, rejected, reasons, lists, told: 0, mark_path };
    Ok((outlets, told))
}
