//! `sanma run` and `sanma verify`: what was typed, the clock on the wall, what the operator reads at the end.

use std::io::{self, Write};
use std::path::Path;

use crossbeam_channel::Receiver;
use serde_json::{Map, Value, json};

use super::args::{ClockArg, RunArgs, VerifyArgs};
use super::progress::{self, Progress};
use super::summary::grouped;
use super::{Failure, config, say};
use crate::checkpoint::CheckpointError;
use crate::ingest::{IngestError, Observer};
use crate::journal::Position;
use crate::model::{ClosedEnum as _, Colour, Timestamp};
use crate::run::{self, CHANGES, Changes, Job, REJECTIONS, Report, Request, RunError, Watcher};
#[cfg(feature = "live")]
use crate::server::{Server, ServerError, Setting};
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
    #[cfg(feature = "live")]
    server: Option<Server>,
}

impl Wall {
    pub(super) const fn new(clock: ClockArg, progress: Progress) -> Self {
        Self {
            clock,
            progress,
            #[cfg(feature = "live")]
            server: None,
        }
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
        #[cfg(feature = "live")]
        if let Some(server) = &self.server {
            server.ready();
        }
    }

    #[cfg(feature = "live")]
    fn told(&self, progress: &run::Progress) {
        if let Some(server) = &self.server {
            server.told(progress);
        }
    }
}

#[cfg(feature = "live")]
impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        match error {
            ServerError::Open { .. } => Self::Usage(error.to_string()),
            ServerError::Io { .. } => Self::Job(error.into()),
        }
    }
}

/// Listens, if that is wanted.
#[cfg(feature = "live")]
fn listen(args: &RunArgs, changes: Option<&Path>, wall: &mut Wall) -> Result<Option<Receiver<Request>>, Failure> {
    let Some(address) = args.listen else { return Ok(None) };
    let setting = Setting {
        changes: changes.map(Path::to_owned),
        rejections: args.store.store.join(REJECTIONS),
        ticks: args.clock == ClockArg::Feed,
    };
    let (server, requests) = Server::listen(address, setting)?;
    say(&format!("listening on http://{}", server.address()));
    wall.server = Some(server);
    Ok(Some(requests))
}

#[cfg(not(feature = "live"))]
fn listen(_: &RunArgs, _: Option<&Path>, _: &mut Wall) -> Result<Option<Receiver<Request>>, Failure> {
    Ok(None)
}

/// Runs until the feeds end, or Ctrl-C.
///
/// # Errors
/// [`Failure`].
pub(super) fn run(args: &RunArgs, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
    if args.clock == ClockArg::Wall && args.as_of.is_some() {
        return Err(Failure::Usage(
            "--as-of wants --clock feed: the clock on the wall says what time it is".to_owned(),
        ));
    }
    let file = args.changes.clone().unwrap_or_else(|| args.store.store.join(CHANGES));
    let to_stdout = file.as_os_str() == "-";
    if args.from.is_some() && !to_stdout {
        return Err(Failure::Usage("--from wants --changes -: a file of changes says itself where it ends".to_owned()));
    }
    let mut wall = Wall::new(args.clock, Progress::new(args.json));
    let requests = listen(args, (!to_stdout).then_some(&*file), &mut wall)?;
    let job = Job {
        store: &args.store.store,
        data: args.store.data.as_deref(),
        rules: args.rules.as_deref(),
        as_of: args.as_of,
        feeds: Some(&*args.feeds).filter(|feeds| requests.is_none() || !feeds.is_empty()),
        requests: requests.as_ref(),
        changes: if to_stdout { Changes::Stdout(args.from.map(Position)) } else { Changes::File(&file) },
        reasons: args.reasons,
        segment_bytes: args.segment_bytes,
        compact: false,
        out: args.out.as_deref().map(|dir| Destination { dir, format: args.format.into() }),
    };
    let pool = config::pool(args.store.threads)?;
    let done = pool.install(|| run::run(&job, out, &wall));
    wall.progress.finish();
    // Whoever still waits for the run is told that it has ended.
    drop(requests);
    #[cfg(feature = "live")]
    if let Some(server) = wall.server.take() {
        server.stop();
    }
    let report = done?;
    if args.json {
        say(&json_of(&report).to_string());
    } else {
        tell(&report, &args.store.store, if to_stdout { None } else { Some(&file) });
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

fn tell(report: &Report, store: &Path, changes: Option<&Path>) {
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
    if let Some(changes) = changes {
        say(&format!("changes are in {}", changes.display()));
    }
    if report.refused > 0 {
        say(&format!("refused messages are in {}", store.join(REJECTIONS).display()));
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
