//! The live run on one screen: find the store, recover, follow feeds, tell what changes.
//!
//! The one idea: [`crate::sources`] are read and decoded ahead of the engine, which is one thread, and [`crate::sinks::changes`] are told
//! behind it; how far the former were read is in the journal, and how far the latter were told they say themselves.
//!
//! ```text
//! STORE/journal/            what the engine was told; one process at a time
//! STORE/checkpoints/        facts at a position; the journal up to it is dropped
//! STORE/changes.ndjson      changed codes, by position
//! STORE/rejections.ndjson   messages and rows that were refused, in the order of the feeds
//! STORE/told.json           how far the file of changes is known to be told
//! ```
//!
//! Invariants: a message counts once, however often the run is ended and by what, if its source can be gone back in; a change is told
//! in the file of changes once; the clock is the caller's.

pub mod copy;
pub mod journal;
mod open;
mod outlets;
mod requests;
#[cfg(feature = "sql")]
pub mod stand;
mod upkeep;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crossbeam_channel::Receiver;

use crate::checkpoint::{CheckpointError, Keeper};
use crate::engine::{Engine, EngineError, Outcome, Record, Rules, Word};
use crate::ingest::feed::Event;
use crate::ingest::{IngestError, Observer};
use crate::journal::{Folder, JournalError, Position};
use crate::limits::{
    FORGET_MILLIS, FORGET_ROWS_ALONE, FORGET_ROWS_MAX, JOURNAL_SEGMENT_BYTES, NOTES_MAX, TIMER_MILLIS_MAX,
    UNKNOWN_COLUMNS_MAX,
};
use crate::model::schema::{codes_schema, rejections_schema};
use crate::model::{Colour, Rejection, Table, Timestamp};
use crate::rules::{Catalog, ResolveError, RuleSet};
use crate::sinks::{self, Destination, OutputFormat, SinkError};
use crate::sources::{self, Files, Followed, Piece, Source, SourceError, Told, Watched};

pub use requests::{NotTaken, Receipt, Reply, Request, Say, Seen};

use open::{Opened, open_engine};
use outlets::{Outlets, open_outlets};
use upkeep::{Forgetting, drop_behind, drop_what_is_kept, forget, forget_at_once, keep, want_checkpoint};

/// What a run is asked to do.
#[derive(Debug)]
pub struct Job<'a> {
    /// The store; made if it is not there.
    pub store: &'a Path,
    /// Facts from before the store began, if any.
    pub data: Option<&'a Path>,
    /// The rules asked for: those in force if left out.
    pub rules: Option<&'a str>,
    /// T at the begin: for a new store, or to be moved to. Left out if the clock is on the wall.
    pub as_of: Option<Timestamp>,
    /// Files of messages, one after the other; standard input if there is none. No feed at all if left out.
    pub feeds: Option<&'a [PathBuf]>,
    /// Folders that are watched for files of facts; with any the run does not end by itself.
    pub watch: &'a [PathBuf],
    /// What others ask. As long as somebody may, the run does not end with its feeds.
    pub requests: Option<&'a Receiver<Request>>,
    /// Where changes are told.
    pub changes: Changes<'a>,
    /// A folder in which they are told as Parquet files as well.
    pub parquet: Option<&'a Path>,
    /// Whether changes of reasons alone are changes.
    pub reasons: bool,
    /// Bytes after which a segment of the journal is followed by another one.
    pub segment_bytes: u64,
    /// Whether all of the journal goes into a checkpoint at the end.
    pub compact: bool,
    /// Where everybody's code is written when the run ends, if anywhere.
    pub out: Option<Destination<'a>>,
}

/// Where changes are told.
#[derive(Clone, Copy, Debug)]
pub enum Changes<'a> {
    /// In a file, each once.
    File(&'a Path),
    /// On standard output: those after a position, or from now on.
    Stdout(Option<Position>),
}

/// Who watches a run, and may end it.
pub trait Watcher: Observer {
    /// The present instant, if the clock is on the wall; with none, feeds move time.
    fn now(&self) -> Option<Timestamp>;
    /// The store stands at a position; feeds are followed from here.
    fn ready(&self, _position: Position) {}
    /// So far everything has been told, and is in the files.
    fn told(&self, _progress: &Progress) {}
    /// A source has told something.
    fn heard(&self, _source: &str, _heard: Heard) {}
    /// The run has been at a stage of its work up to now.
    fn passed(&self, _stage: Stage) {}
}

/// What a source has told with one piece.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Messages taken, those refused included.
    pub messages: u64,
    /// Bytes that are known to be there and have not been read.
    pub behind: u64,
}

/// What a run does in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Waits for something to do.
    Wait,
    /// Makes records of what came, and has them on the disk.
    Journal,
    /// Puts rows in and out, and follows the codes.
    Apply,
    /// Tells what has changed.
    Tell,
    /// Looks after checkpoints. What is forgotten is journalled, applied and told as all else.
    Keep,
}

impl Stage {
    /// All stages.
    pub const ALL: [Self; 5] = [Self::Wait, Self::Journal, Self::Apply, Self::Tell, Self::Keep];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Journal => "journal",
            Self::Apply => "apply",
            Self::Tell => "tell",
            Self::Keep => "keep",
        }
    }
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Where the store stands.
    pub position: Position,
    /// T.
    pub as_of: Timestamp,
    /// Length of the file of changes; 0 if there is none.
    pub changes_bytes: u64,
    /// Changes told since the start.
    pub changes: u64,
    /// Messages and rows refused since the journal's begin.
    pub refused: u64,
    /// Length of the file of what was refused.
    pub rejections_bytes: u64,
    /// People evaluated since the start, each time they were.
    pub evaluated: u64,
}

/// Why a run ended otherwise than by the end of its feeds.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The journal failed, or says what cannot be followed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Facts from before cannot be read.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// Changes, rejections or codes cannot be written.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// A checkpoint cannot be used, or the first one cannot be made.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Changes are missing in what was told, and not in the journal any more.
    #[error(
        "{} goes to position {}, and the store knows what changed after position {} only: name what goes so far, or a new file \
         or folder, which will begin with everybody's code", .told_in.display(), .told.0, .from.0
    )]
    Untold {
        /// Where changes are told.
        told_in: PathBuf,
        /// How far.
        told: Position,
        /// The position of the checkpoint.
        from: Position,
    },
    /// No such rules.
    #[error(transparent)]
    Rules(#[from] ResolveError),
    /// A source of messages cannot be followed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A new store does not know when it begins.
    #[error("a new store that follows the feeds' clock wants --as-of, the instant at which it begins")]
    NoInstant,
}

impl From<JournalError> for RunError {
    fn from(error: JournalError) -> Self {
        Self::Engine(error.into())
    }
}

/// What a run did.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Where the store stands.
    pub position: Position,
    /// T.
    pub as_of: Timestamp,
    /// Persons with a code, by colour.
    pub colours: BTreeMap<Colour, u64>,
    /// Messages of facts that were taken in.
    pub messages: u64,
    /// Messages and rows refused.
    pub refused: u64,
    /// Changes told, those that were told again after a stop included.
    pub changes: u64,
    /// Ticks that did not move time, because it was there already or because the clock is on the wall.
    pub late_ticks: u64,
    /// Bytes of the journal that were never acknowledged, and cut.
    pub cut_bytes: u64,
    /// Checkpoints made.
    pub checkpoints: u64,
    /// What looked odd.
    pub warnings: Vec<String>,
}

impl Report {
    fn warn(&mut self, why: String) {
        tracing::warn!("{why}");
        self.warnings.push(why);
    }
}

/// Runs until the feeds end or the watcher says so.
///
/// # Errors
/// [`RunError`]; whatever was journalled by then is followed by the next run.
pub fn run(job: &Job<'_>, stdout: &mut (dyn Write + Send), watcher: &dyn Watcher) -> Result<Report, RunError> {
    let mut report = Report::default();
    let mut sources = open_sources(job)?;
    let Opened { mut engine, checkpoint, lacks_columns } =
        open_engine(job.store, job.data, job.segment_bytes, watcher, &mut report)?;
    let (mut outlets, told) = open_outlets(job, stdout, &engine)?;
    if let Some(checkpoint) = &checkpoint {
        // A stop may have come between a checkpoint and this.
        drop_behind(&mut engine, checkpoint)?;
    }
    let mut keeper = Keeper::new(job.store, checkpoint, job.segment_bytes);
    let unkept = lacks_columns.then(|| engine.city_mut().facts_view());
    if engine.last() == Position(0) {
        let at = watcher.now().or(job.as_of).ok_or(RunError::NoInstant)?;
        let rules = find_rules(job.rules.unwrap_or(RULES_DEFAULT), at)?;
        for outcome in engine.begin(&rules, at)? {
            outlets.tell(engine.city(), &outcome)?;
        }
    } else {
        engine.recover(told, |city, outcome| Ok::<(), RunError>(outlets.tell(city, outcome)?))?;
        catch_up(job, &mut engine, &mut outlets, watcher)?;
    }
    let mut forgetting = Forgetting::default();
    forgetting.look(engine.city());
    if forgetting.is_large(engine.city()) {
        // Others are kept soon, and the room of these is wanted.
        drop(unkept);
        forget_at_once(&mut engine, &mut outlets, &mut keeper, &mut forgetting, watcher)?;
    } else if let Some(facts) = unkept.filter(|_| !job.compact && !keeper.is_due(engine.sealed_since(keeper.next()))) {
        keeper.begin_columns(facts);
    }
    hand_over(&engine, &mut outlets, watcher)?;
    tracing::info!(position = engine.last().0, as_of = %engine.city().as_of().to_rfc3339(), "ready");
    watcher.ready(engine.last());

    for source in &mut sources {
        source.resume(&engine.city().standing().offsets)?;
    }
    let sources = sources::follow(sources);
    let mut follower = Follower { watcher, report: &mut report, unknown: BTreeMap::new(), forgetting };
    follow(&mut engine, &mut outlets, &mut keeper, (&sources, job.requests), &mut follower)?;

    outlets.secure(engine.last())?;
    tracing::info!(position = engine.last().0, "nothing more is followed");
    if !watcher.interrupted() {
        if job.compact {
            want_checkpoint(&mut engine, &mut keeper)?;
        }
        drop_what_is_kept(&mut engine, &mut keeper, true, &mut report)?;
        keep(&mut engine, &mut outlets, &mut keeper)?;
        drop_what_is_kept(&mut engine, &mut keeper, true, &mut report)?;
    }
    end(engine, outlets, job, report)
}

fn open_sources(job: &Job<'_>) -> Result<Vec<Box<dyn Source>>, SourceError> {
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    let changes = if let Changes::File(file) = job.changes { Some(file.to_owned()) } else { None };
    let parquet = job.parquet.map(|dir| dir.join("changes.parquet"));
    let outputs: Vec<PathBuf> = [job.store.join(REJECTIONS)].into_iter().chain(changes).chain(parquet).collect();
    sources::check_apart(job.feeds.unwrap_or_default(), job.watch, &outputs)?;
    if let Some(feeds) = job.feeds {
        sources.push(Box::new(Files::open(feeds)?));
    }
    // What rows say they come from: behind the files, which are numbered one by one.
    let first = job.feeds.map_or(0, <[PathBuf]>::len);
    for (number, dir) in (first..).zip(job.watch) {
        sources.push(Box::new(Watched::open(u32::try_from(number).unwrap_or(u32::MAX), dir)?));
    }
    Ok(sources)
}

/// Name of the file of changes in a store.
pub const CHANGES: &str = "changes.ndjson";
/// Name of the file of refused messages in a store.
pub const REJECTIONS: &str = "rejections.ndjson";
const RULES_DEFAULT: &str = "hangzhou";

fn find_rules(request: &str, at: Timestamp) -> Result<RuleSet, RunError> {
    let catalog = Catalog::shipped().map_err(ResolveError::Invalid)?;
    Ok(catalog.find(request, at)?)
}

/// Rules that are asked for and not in force, and an instant that has not come.
fn catch_up(
    job: &Job<'_>,
    engine: &mut Engine<Folder>,
    outlets: &mut Outlets<'_>,
    watcher: &dyn Watcher,
) -> Result<(), RunError> {
    let as_of = watcher.now().or(job.as_of).map_or(engine.city().as_of(), |at| at.max(engine.city().as_of()));
    let record = |word| Record { as_of, source: None, refused: Vec::new(), word };
    let mut records = Vec::new();
    if as_of > engine.city().as_of() {
        records.push(record(Word::Time));
    }
    if let Some(request) = job.rules {
        let rules = Rules::of(&find_rules(request, as_of)?);
        if engine.city().rules().is_some_and(|now| now.text != rules.text) {
            records.push(record(Word::Rules(rules)));
        }
    }
    step(engine, outlets, watcher, records)
}

fn step(
    engine: &mut Engine<Folder>,
    outlets: &mut Outlets<'_>,
    watcher: &dyn Watcher,
    records: Vec<Record>,
) -> Result<(), RunError> {
    for outcome in outcomes(engine, watcher, records)? {
        outlets.tell(engine.city(), &outcome)?;
    }
    watcher.passed(Stage::Tell);
    Ok(())
}

/// Journals records as one group, and applies them.
fn outcomes(
    engine: &mut Engine<Folder>,
    watcher: &dyn Watcher,
    records: Vec<Record>,
) -> Result<Vec<Outcome>, EngineError> {
    let journalled = engine.journal(records)?;
    watcher.passed(Stage::Journal);
    let outcomes = engine.apply(journalled)?;
    watcher.passed(Stage::Apply);
    tracing::debug!(records = outcomes.len(), position = engine.city().position().0, "step");
    Ok(outcomes)
}

/// Whoever follows, and what it noticed.
struct Follower<'a> {
    watcher: &'a dyn Watcher,
    report: &'a mut Report,
    /// Keys of rows that are no column of their table.
    unknown: BTreeMap<Table, BTreeSet<String>>,
    forgetting: Forgetting,
}

impl Follower<'_> {
    /// Keeps what looked odd, up to a bound.
    fn note(&mut self, notes: Vec<String>) {
        for note in &notes {
            tracing::warn!("{note}");
        }
        let room = NOTES_MAX.saturating_sub(self.report.warnings.len());
        self.report.warnings.extend(notes.into_iter().take(room));
    }

    /// Messages so far, those refused included.
    fn messages(&self) -> u64 {
        self.report.messages + self.report.refused
    }
}

/// Hands the files what has been told, and says how far that is.
fn hand_over(engine: &Engine<Folder>, outlets: &mut Outlets<'_>, watcher: &dyn Watcher) -> Result<(), SinkError> {
    outlets.flush(watcher.now().unwrap_or(engine.city().as_of()))?;
    watcher.told(&outlets.progress(engine.city()));
    Ok(())
}

fn follow(
    engine: &mut Engine<Folder>,
    outlets: &mut Outlets<'_>,
    keeper: &mut Keeper,
    (sources, requests): (&Followed, Option<&Receiver<Request>>),
    follower: &mut Follower<'_>,
) -> Result<(), RunError> {
    let (nothing, no_requests) = (crossbeam_channel::never(), crossbeam_channel::never());
    let mut is_asked = requests.is_some();
    let (mut told, mut requests) = (&sources.told, requests.unwrap_or(&no_requests));
    let turn = crossbeam_channel::tick(Duration::from_millis(FORGET_MILLIS));
    while !follower.watcher.interrupted() {
        // Who has something to forget does not wait.
        let wait_millis = if follower.forgetting.pending.is_empty() { TIMER_MILLIS_MAX } else { 0 };
        crossbeam_channel::select! {
            recv(told) -> next => match next {
                Ok(Told { source, piece }) => {
                    let mut piece = piece?;
                    follower.watcher.passed(Stage::Wait);
                    follower.note(std::mem::take(&mut piece.notes));
                    let (behind, before) = (piece.behind, follower.messages());
                    let records = records_of(piece, engine.city().as_of(), follower)?;
                    let heard = Heard { messages: follower.messages() - before, behind };
                    step(engine, outlets, follower.watcher, records)?;
                    follower.watcher.heard(&sources.names[source], heard);
                }
                Err(_) if is_asked => told = &nothing,
                Err(_) => break,
            },
            recv(requests) -> request => if let Ok(request) = request {
                follower.watcher.passed(Stage::Wait);
                requests::answer(request, requests, engine, outlets, follower)?;
            } else {
                (requests, is_asked) = (&no_requests, false);
            },
            default(Duration::from_millis(wait_millis)) => follower.watcher.passed(Stage::Wait),
        }
        // Whatever came: who only looks does not move time.
        let due = engine.city().next_due();
        if let Some(as_of) = follower.watcher.now().filter(|&now| due.is_some_and(|due| due <= now)) {
            let time = Record { as_of, source: None, refused: Vec::new(), word: Word::Time };
            step(engine, outlets, follower.watcher, vec![time])?;
        }
        // What waits comes first, but not for ever.
        if (told.is_empty() && requests.is_empty()) || turn.try_recv().is_ok() {
            forget(engine, outlets, keeper, &mut follower.forgetting, FORGET_ROWS_MAX, follower.watcher)?;
        }
        hand_over(engine, outlets, follower.watcher)?;
        follower.watcher.passed(Stage::Tell);
        drop_what_is_kept(engine, keeper, false, follower.report)?;
        keep(engine, outlets, keeper)?;
        follower.watcher.passed(Stage::Keep);
    }
    while !follower.watcher.interrupted()
        && forget(engine, outlets, keeper, &mut follower.forgetting, FORGET_ROWS_ALONE, follower.watcher)?
    {}
    for (table, columns) in std::mem::take(&mut follower.unknown) {
        let names = columns.into_iter().collect::<Vec<_>>().join(", ");
        follower.report.warnings.push(format!("{}: unknown columns are ignored: {names}", table.name()));
    }
    Ok(())
}

/// What a piece of a feed tells, as records; the last one says how far the feed has been read.
fn records_of(piece: Piece, mut as_of: Timestamp, follower: &mut Follower<'_>) -> Result<Vec<Record>, SinkError> {
    let Follower { watcher, report, unknown, .. } = follower;
    let now = watcher.now();
    as_of = now.map_or(as_of, |now| now.max(as_of));
    let mut records = Vec::new();
    let mut record = |as_of, refused, word| records.push(Record { as_of, source: None, refused, word });
    for event in piece.events {
        match event {
            Event::Tick(at) if now.is_none() && at > as_of => {
                as_of = at;
                record(as_of, Vec::new(), Word::Time);
            }
            Event::Tick(_) => report.late_ticks += 1,
            Event::Facts(mut batch) => {
                let rejections = std::mem::take(&mut batch.rejections);
                report.refused += rejections.len() as u64;
                report.messages += (batch.messages - rejections.len()) as u64;
                for (table, columns) in std::mem::take(&mut batch.unknown) {
                    let known = unknown.entry(table).or_default();
                    let room = UNKNOWN_COLUMNS_MAX.saturating_sub(known.len());
                    known.extend(columns.into_iter().take(room));
                }
                record(as_of, lines_of(&rejections)?, Word::Facts(batch));
            }
        }
    }
    if let (Some(last), Some(offset)) = (records.last_mut(), piece.offset) {
        last.source = Some(offset);
    }
    Ok(records)
}

fn lines_of(rejections: &[Rejection]) -> Result<Vec<u8>, SinkError> {
    let mut lines = Vec::new();
    let batches = sinks::rejection_batches(rejections);
    let path = Path::new("rejections");
    sinks::write_batches(&mut lines, path, OutputFormat::Ndjson, &rejections_schema(), &batches, &|| false)?;
    Ok(lines)
}

fn end(engine: Engine<Folder>, outlets: Outlets<'_>, job: &Job<'_>, report: Report) -> Result<Report, RunError> {
    let (told, mut city) = (outlets.told, engine.into_city());
    drop(outlets);
    if let Some(out) = job.out {
        out.make()?;
        city.sort_names();
        if let (Some(program), Some(codes)) = (city.program(), city.codes()) {
            let batches = sinks::code_batches(city.facts(), program, codes);
            sinks::commit(vec![out.stage("codes", &codes_schema(), &batches, &|| false)?])?;
        }
    }
    let colours = city.codes().map(crate::evaluate::Codes::by_colour).unwrap_or_default();
    Ok(Report { position: city.position(), as_of: city.as_of(), colours, changes: told, ..report })
}

/// What a verification found.
#[derive(Clone, Copy, Debug)]
pub struct Verified {
    /// Where the store stands.
    pub position: Position,
    /// T.
    pub as_of: Timestamp,
    /// Rows of facts.
    pub facts: usize,
    /// Whether the codes that were followed position by position are those of a full recompute.
    pub sound: bool,
}

/// Replays a store position by position and compares the codes with those of a full recompute.
///
/// # Errors
/// [`RunError`].
pub fn verify(store: &Path, data: Option<&Path>, observer: &dyn Observer) -> Result<Verified, RunError> {
    let Opened { mut engine, .. } = open_engine(store, data, JOURNAL_SEGMENT_BYTES, observer, &mut Report::default())?;
    engine.recover(Position(0), |_, _| Ok::<(), RunError>(()))?;
    let city = engine.city_mut();
    let facts = Table::ALL.into_iter().map(|table| city.rows_of(table)).sum();
    Ok(Verified { position: city.position(), as_of: city.as_of(), facts, sound: city.is_sound() })
}
