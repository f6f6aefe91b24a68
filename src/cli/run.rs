//! `sanma run` and `sanma verify`: what was typed, the clock on the wall, what the operator reads at the end.

use std::io::{self, Write};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::args::{ClockArg, RunArgs, STORE, VerifyArgs};
use super::outside::{Link, Outside};
use super::progress::{self, Progress, Stopwatch};
use super::settings::Plan;
use super::summary::grouped;
use super::{Failure, config, say};
use crate::checkpoint::CheckpointError;
use crate::ingest::{IngestError, Observer};
use crate::journal::Position;
use crate::limits::JOURNAL_SEGMENT_BYTES;
use crate::model::{ClosedEnum as _, Colour, Timestamp};
use crate::run::{self, CHANGES, Changes, Heard, Job, REJECTIONS, Report, RunError, Stage, Watcher};
use crate::sinks::{Destination, SinkError};

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Ingest(IngestError::Interrupted) | RunError::Checkpoint(CheckpointError::Interrupted) => {
                Self::Interrupted
            }
            RunError::Sink(SinkError::Io { cause, .. }) if cause.kind() == io::ErrorKind::BrokenPipe => {
                Self::BrokenPipe
            }
            RunError::NoInstant | RunError::Rules(_) => Self::Usage(format!("{:#}", anyhow::Error::from(error))),
            error => Self::Job(error.into()),
        }
    }
}

/// Watches for the operator, and looks at the clock.
pub(super) struct Wall {
    clock: ClockArg,
    pub(super) progress: Progress,
    link: Option<Arc<Link>>,
    stopwatch: Stopwatch,
}

impl Wall {
    pub(super) const fn new(clock: ClockArg, progress: Progress) -> Self {
        Self { clock, progress, link: None, stopwatch: Stopwatch::new() }
    }
}

impl Observer for Wall {
    fn begin(&self, bytes: u64) {
        self.progress.begin(bytes);
    }

    fn advance(&self, bytes: u64) {
        self.progress.advance(bytes);
    }

    fn interrupted(&self) -> bool {
        progress::interrupted()
    }
}

impl Watcher for Wall {
    fn now(&self) -> Option<Timestamp> {
        (self.clock == ClockArg::Wall).then(config::now)
    }

    fn ready(&self, position: Position) {
        self.progress.finish();
        say(&format!("ready at position {}", position.0));
        if let Some(link) = &self.link {
            link.ready();
        }
    }

    fn told(&self, progress: &run::Progress) {
        if let Some(link) = &self.link {
            link.told(progress);
        }
    }

    fn heard(&self, source: &str, heard: Heard) {
        if let Some(link) = &self.link {
            link.heard(source, heard);
        }
    }

    fn passed(&self, stage: Stage) {
        if let Some(link) = &self.link {
            link.passed(stage, self.stopwatch.pass());
        }
    }
}

/// Where a run keeps what it says.
pub(super) struct Outputs {
    pub(super) store: PathBuf,
    /// Standard output if there is none.
    pub(super) changes: Option<PathBuf>,
}

/// Whether a run can do what it is told, without looking at the store.
///
/// # Errors
/// [`Failure::Usage`].
pub(super) fn check(plan: &Plan) -> Result<(), Failure> {
    let args = &plan.args;
    let is_wall = args.clock.is_none_or(|clock| clock == ClockArg::Wall);
    if is_wall && args.as_of.is_some() {
        let why = "--as-of wants --clock feed: the clock on the wall says what time it is";
        return Err(Failure::Usage(why.to_owned()));
    }
    if args.from.is_some() && args.changes.as_ref().is_none_or(|file| file.as_os_str() != "-") {
        return Err(Failure::Usage("--from wants --changes -: a file of changes says itself where it ends".to_owned()));
    }
    if let Some(rules) = &args.rules {
        config::program(rules, args.as_of.unwrap_or_else(config::now))?;
    }
    #[cfg(feature = "live")]
    if let Some(address) = plan.listen() {
        plan.access.check(address)?;
    }
    #[cfg(feature = "flight")]
    for address in plan.desk.iter().flat_map(|desk| desk.at.all()) {
        plan.access.check(address)?;
    }
    Ok(())
}

/// Runs until the feeds end, or Ctrl-C.
///
/// # Errors
/// [`Failure`].
pub(super) fn run(args: &RunArgs, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
    let plan = Plan::new(args)?;
    check(&plan)?;
    let args = &plan.args;
    #[cfg(feature = "observe")]
    super::log::begin(&args.log);
    let store = args.store.clone().unwrap_or_else(|| STORE.into());
    let file = args.changes.clone().unwrap_or_else(|| store.join(CHANGES));
    let to = Outputs { store, changes: Some(file).filter(|file| file.as_os_str() != "-") };
    let clock = args.clock.unwrap_or(ClockArg::Wall);
    let mut wall = Wall::new(clock, Progress::new(args.json));
    let outside = Outside::open(&plan, &to, clock)?;
    wall.link = outside.as_ref().map(|outside| Arc::clone(&outside.link));
    let requests = outside.as_ref().map(|outside| &outside.requests);
    let job = Job {
        store: &to.store,
        data: args.data.as_deref(),
        rules: args.rules.as_deref(),
        as_of: args.as_of,
        feeds: Some(&*args.feeds).filter(|feeds| !feeds.is_empty() || !plan.serves_http() && args.watch.is_empty()),
        watch: &args.watch,
        requests,
        changes: to.changes.as_deref().map_or(Changes::Stdout(args.from.map(Position)), Changes::File),
        parquet: args.parquet.as_deref(),
        reasons: args.reasons,
        segment_bytes: args.segment_bytes.map_or(JOURNAL_SEGMENT_BYTES, NonZeroU64::get),
        compact: false,
        out: args.out.as_deref().map(|dir| Destination { dir, format: args.format.into() }),
    };
    let pool = config::pool(args.threads)?;
    let done = pool.install(|| run::run(&job, out, &wall));
    wall.progress.finish();
    if let Some(outside) = outside {
        outside.close();
    }
    let report = done?;
    if args.json {
        say(&json_of(&report).to_string());
    } else {
        tell(&report, &to);
    }
    Ok(())
}

fn json_of(report: &Report) -> Value {
    let count = |colour: &Colour| report.colours.get(colour).copied().unwrap_or(0);
    let codes: Map<String, Value> =
        Colour::ALL.iter().map(|colour| (colour.name().to_owned(), count(colour).into())).collect();
    json!({
        "position": report.position.0,
        "as_of": report.as_of.to_rfc3339(),
        "codes": codes,
        "messages": report.messages,
        "refused": report.refused,
        "changes": report.changes,
        "late_ticks": report.late_ticks,
        "cut_bytes": report.cut_bytes,
        "checkpoints": report.checkpoints,
        "warnings": report.warnings,
    })
}

fn tell(report: &Report, to: &Outputs) {
    for warning in &report.warnings {
        say(&format!("warning: {warning}"));
    }
    if report.cut_bytes > 0 {
        say(&format!("the journal ended in {} bytes that were never acknowledged; they were cut", report.cut_bytes));
    }
    if report.late_ticks > 0 {
        say(&format!("{} ticks did not move time", grouped(report.late_ticks)));
    }
    let colours = Colour::ALL.iter().map(|colour| {
        let people = report.colours.get(colour).copied().unwrap_or(0);
        format!("{} {}", grouped(people), colour.name())
    });
    let colours = colours.collect::<Vec<_>>().join(", ");
    say(&format!("position {} at {}: {colours}", report.position.0, report.as_of.to_rfc3339()));
    let (messages, refused) = (grouped(report.messages), grouped(report.refused));
    say(&format!("{messages} messages taken, {refused} refused, {} changes told", grouped(report.changes)));
    if let Some(changes) = &to.changes {
        say(&format!("changes are in {}", changes.display()));
    }
    if report.refused > 0 {
        say(&format!("refused messages are in {}", to.store.join(REJECTIONS).display()));
    }
}

/// # Errors
/// A usage error: the folder is no store.
pub(super) fn check_is_store(store: &Path) -> Result<(), Failure> {
    if store.join("journal").is_dir() {
        return Ok(());
    }
    Err(Failure::Usage(format!("{} is no store: it holds no journal", store.display())))
}

/// Replays a store and says whether its codes are right.
///
/// # Errors
/// [`Failure`]; codes that are not those of a full recompute.
pub(super) fn verify(args: &VerifyArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let store = &args.store.store;
    check_is_store(store)?;
    let progress = Progress::new(false);
    let pool = config::pool(args.store.threads)?;
    let done = pool.install(|| run::verify(store, args.store.data.as_deref(), &progress));
    progress.finish();
    let verified = done?;
    let at = format!("position {} at {}", verified.position.0, verified.as_of.to_rfc3339());
    if !verified.sound {
        return Err(Failure::Job(anyhow::anyhow!("{at}: the codes are NOT those of a full recompute")));
    }
    writeln!(out, "{at}: {} facts; the codes are those of a full recompute", grouped(verified.facts as u64))?;
    Ok(())
}
