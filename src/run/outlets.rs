//! Where changes and refused rows go.
//!
//! The one idea: lines and files are a function of the journal, so they say themselves how far they go; each sink is told of what it
//! has not got.

use super::{Changes, Job, Progress, REJECTIONS, RunError};
use crate::engine::{City, Engine, Outcome};
use crate::journal::{Folder, Position};
use crate::model::Timestamp;
use crate::model::published::ReasonLists;
use crate::sinks::changes::{Changed, Lines, Rolled, Sink, Stream};
use crate::sinks::{Appended, SinkError};

/// Where changes and refused rows go.
pub(super) struct Outlets<'a> {
    /// The file of changes, which subscribers and questions read, if there is one.
    lines: Option<Lines>,
    /// Where else they go.
    others: Vec<Box<dyn Sink + 'a>>,
    rejections: Appended,
    /// Lines that were in the file of rejections at the start, and lines seen since the journal's begin.
    rejected_before: u64,
    rejected: u64,
    reasons: bool,
    lists: ReasonLists,
    pub(super) told: u64,
}

impl<'a> Outlets<'a> {
    fn sinks(&mut self) -> impl Iterator<Item = &mut (dyn Sink + 'a)> {
        let lines = self.lines.iter_mut().map(|lines| lines as &mut (dyn Sink + 'a));
        lines.chain(self.others.iter_mut().map(|sink| &mut **sink))
    }

    pub(super) fn tell(&mut self, city: &City, outcome: &Outcome) -> Result<(), SinkError> {
        for line in outcome.refused.split_inclusive(|&byte| byte == b'\n') {
            self.rejected += 1;
            if self.rejected > self.rejected_before {
                self.rejections.append(line)?;
            }
        }
        let position = outcome.position.0;
        if self.sinks().all(|sink| sink.told() >= position) {
            return Ok(());
        }
        let mut lists = std::mem::take(&mut self.lists);
        let changes = city.changes(outcome, self.reasons, &mut lists);
        self.told += changes.len() as u64;
        let told = Changed { position, as_of: outcome.as_of, changes: &changes, lists: &lists };
        let done = self.sinks().filter(|sink| sink.told() < position).try_for_each(|sink| sink.tell(&told));
        self.lists = lists;
        done
    }

    /// Hands on what has been told; `now` is T, or the present instant if the clock is on the wall.
    pub(super) fn flush(&mut self, now: Timestamp) -> Result<(), SinkError> {
        self.sinks().try_for_each(|sink| sink.flush(now))?;
        self.rejections.flush()
    }

    /// How far a city's run has come; the files hold it once they have been flushed.
    pub(super) fn progress(&self, city: &City) -> Progress {
        Progress {
            position: city.position(),
            as_of: city.as_of(),
            changes_bytes: self.lines.as_ref().map_or(0, Lines::bytes),
            changes: self.told,
            refused: self.rejected,
            rejections_bytes: self.rejections.bytes(),
            evaluated: city.evaluated(),
        }
    }

    /// Makes durable what was told up to a position, and that it was.
    pub(super) fn secure(&mut self, position: Position) -> Result<(), SinkError> {
        self.rejections.sync(position.0)?;
        self.sinks().try_for_each(|sink| sink.secure(position.0))
    }
}

/// Opens what a job tells into. Gives the position up to which all of it has been told.
pub(super) fn open_outlets<'a>(
    job: &Job<'_>,
    stdout: &'a mut (dyn std::io::Write + Send),
    engine: &Engine<Folder>,
) -> Result<(Outlets<'a>, Position), RunError> {
    let (last, from) = (engine.last(), engine.city().position());
    let (rejections, rejected_before) = Appended::open_lines(&job.store.join(REJECTIONS))?;
    let (mut lines, mut others): (_, Vec<Box<dyn Sink + 'a>>) = (None, Vec::new());
    match job.changes {
        Changes::File(path) => lines = Some(Lines::open(path, job.store, last.0)?),
        Changes::Stdout(from) => others.push(Box::new(Stream::new(stdout, from.unwrap_or(last).min(last).0))),
    }
    if let Some(dir) = job.parquet {
        others.push(Box::new(Rolled::open(dir, last.0)?));
    }
    let (reasons, lists, rejected) = (job.reasons, ReasonLists::default(), engine.city().standing().refused);
    let mut outlets = Outlets { lines, others, rejections, rejected_before, rejected, reasons, lists, told: 0 };
    let mut all_told = last;
    for sink in outlets.sinks() {
        let told = Position(sink.told());
        if told > Position(0) && told < from {
            return Err(RunError::Untold { told_in: sink.name().to_owned(), told, from });
        }
        all_told = all_told.min(told);
    }
    Ok((outlets, all_told))
}
