//! The command line: `args` is what was typed, `config` what it means, one file a command.
//!
//! Invariant: nobody imports `cli`; only here are clocks read, and lines printed.

#[cfg(feature = "sql")]
mod answer;
#[cfg(feature = "live")]
mod apply;
mod args;
#[cfg(feature = "sql")]
mod asked;
#[cfg(feature = "observe")]
mod bench;
mod config;
mod diff;
#[cfg(feature = "flight")]
mod doors;
mod explain;
mod generate;
mod journal;
#[cfg(feature = "observe")]
mod log;
#[cfg(feature = "live")]
mod outside;
#[cfg(not(feature = "live"))]
#[path = "inside.rs"]
mod outside;
mod progress;
#[cfg(feature = "sql")]
mod prompt;
mod recompute;
pub mod rules;
mod run;
#[cfg(feature = "flight")]
mod serve;
mod settings;
#[cfg(feature = "sql")]
mod snapshot;
#[cfg(feature = "sql")]
mod sql;
mod summary;
mod whatif;

use std::io::{BufWriter, IsTerminal as _, Write};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::compare::CompareError;
use crate::generate::GenerateError;
use crate::ingest::IngestError;
use crate::nightly::JobError;
use crate::sinks::SinkError;
#[cfg(feature = "observe")]
use args::BenchCommand;
use args::{Cli, Command, JournalCommand};

const EXIT_FAILURE: u8 = 1;
const EXIT_USAGE: u8 = 2;
const EXIT_STRICT: u8 = 3;
const EXIT_INTERRUPTED: u8 = 130;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub enum Failure {
    /// What was typed is wrong.
    Usage(String),
    /// A strict job met invalid rows.
    Strict(String),
    /// The job was interrupted.
    Interrupted,
    /// Nobody reads the output any more.
    BrokenPipe,
    /// Something said no already; the text is printed.
    Told,
    /// Anything else of the world.
    Job(anyhow::Error),
}

impl From<JobError> for Failure {
    fn from(error: JobError) -> Self {
        match error {
            error if error.is_interruption() => Self::Interrupted,
            JobError::Strict { .. } => Self::Strict(error.to_string()),
            error => Self::Job(error.into()),
        }
    }
}

impl From<CompareError> for Failure {
    fn from(error: CompareError) -> Self {
        match error {
            CompareError::Ingest(error) => error.into(),
            CompareError::Sink(error) => error.into(),
        }
    }
}

impl From<IngestError> for Failure {
    fn from(error: IngestError) -> Self {
        JobError::from(error).into()
    }
}

impl From<SinkError> for Failure {
    fn from(error: SinkError) -> Self {
        JobError::from(error).into()
    }
}

impl From<GenerateError> for Failure {
    fn from(error: GenerateError) -> Self {
        match error {
            GenerateError::Interrupted => Self::Interrupted,
            GenerateError::Occupied { .. } => Self::Usage(error.to_string()),
            error => Self::Job(error.into()),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe { Self::BrokenPipe } else { Self::Job(error.into()) }
    }
}

/// Runs the command that was typed.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    crate::ingest::quiet_decoders();
    let stdout = std::io::stdout();
    let styled = stdout.is_terminal();
    let mut out = BufWriter::new(stdout);
    let done = dispatch(&cli.command, styled, &mut out).and_then(|()| Ok(out.flush()?));
    let (code, message) = match done {
        Ok(()) | Err(Failure::BrokenPipe) => return ExitCode::SUCCESS,
        Err(Failure::Told) => return ExitCode::from(EXIT_USAGE),
        Err(Failure::Usage(message)) => (EXIT_USAGE, message),
        Err(Failure::Strict(message)) => (EXIT_STRICT, message),
        Err(Failure::Interrupted) => (EXIT_INTERRUPTED, "interrupted; nothing was changed".to_owned()),
        Err(Failure::Job(error)) => (EXIT_FAILURE, format!("{error:#}")),
    };
    say(&format!("sanma: {message}"));
    ExitCode::from(code)
}

fn dispatch(command: &Command, styled: bool, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
    if matches!(
        command,
        Command::Recompute(_)
            | Command::Diff(_)
            | Command::Whatif(_)
            | Command::Generate(_)
            | Command::Run(_)
            | Command::Journal { command: JournalCommand::Compact { .. } }
    ) {
        progress::catch_interrupts();
    }
    #[cfg(feature = "sql")]
    if matches!(command, Command::Sql(_)) {
        progress::catch_interrupts();
    }
    #[cfg(feature = "flight")]
    if matches!(command, Command::Serve(_)) {
        progress::catch_interrupts();
    }
    #[cfg(feature = "observe")]
    if matches!(command, Command::Bench { .. }) {
        progress::catch_interrupts();
    }
    match command {
        #[cfg(feature = "observe")]
        Command::Bench { command: BenchCommand::Run(args) } => bench::run(args, out),
        #[cfg(feature = "flight")]
        Command::Serve(args) => serve::run(args),
        #[cfg(feature = "sql")]
        Command::Sql(args) => sql::run(args, out),
        Command::Recompute(args) => recompute::run(args, out),
        Command::Diff(args) => diff::run(args, out),
        Command::Explain(args) => explain::run(args, out),
        Command::Whatif(args) => whatif::run(args, out),
        Command::Generate(args) => generate::run(args, out),
        Command::Run(args) => run::run(args, out),
        Command::Verify(args) => run::verify(args, out),
        Command::Backup { store, to } => journal::copy(store, to, out),
        Command::Restore { from, store } => journal::copy(from, store, out),
        Command::Config { command } => settings::run(command, out),
        Command::Journal { command } => journal::run(command, out),
        Command::Rules { command } => match rules::run(command, config::now(), styled, out) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::Told),
            Err(error) => match error.downcast::<std::io::Error>() {
                Ok(error) => Err(error.into()),
                #[cfg(feature = "live")]
                Err(error) if error.is::<crate::server::RemoteError>() => Err(Failure::Job(error)),
                Err(error) => Err(Failure::Usage(format!("{error:#}"))),
            },
        },
        Command::Completions { shell } => {
            // The generator panics where it cannot write, so it writes to memory.
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "sanma", &mut script);
            Ok(out.write_all(&script)?)
        }
    }
}

/// A line on standard error; if nobody listens there, the command goes on.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The most memory that this process has had, in bytes; 0 where the system does not tell.
fn peak_rss_bytes() -> u64 {
    memory_bytes("VmHWM:")
}

/// What the system tells of this process' memory, in bytes.
fn memory_bytes(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
}
