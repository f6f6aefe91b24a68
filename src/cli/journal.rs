//! `sanma journal`, `sanma backup` and `sanma restore`: what a store's files are and say, and copies of them.

use std::io::Write;
use std::path::Path;

use super::args::{ClockArg, JournalCommand};
use super::progress::Progress;
use super::run::{Wall, check_is_store};
use super::summary::grouped;
use super::{Failure, config, say};
use crate::journal::Position;
use crate::limits::JOURNAL_SEGMENT_BYTES;
use crate::run::{self, Changes, Job, journal};

/// Does what was typed.
///
/// # Errors
/// [`Failure`].
pub(super) fn run(command: &JournalCommand, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
    match command {
        JournalCommand::Ls { store } => {
            check_is_store(store)?;
            let journal::Listing { checkpoint, segments } = journal::list(store)?;
            if let Some((position, as_of, rows, bytes)) = checkpoint {
                let (rows, bytes, at) = (grouped(rows), grouped(bytes), as_of.to_rfc3339());
                writeln!(out, "checkpoint  {:>20}  {bytes:>15} bytes  {rows} rows at {at}", position.0)?;
            }
            for (segment, bytes) in segments {
                writeln!(out, "journal from{:>20}  {:>15} bytes  {}", segment.first.0, grouped(bytes), segment.name)?;
            }
            Ok(())
        }
        JournalCommand::Verify { store } => {
            check_is_store(store)?;
            let checked = journal::check(store)?;
            let (records, rows) = (grouped(checked.records), grouped(checked.rows));
            let (checkpoint, last) = (checked.checkpoint.0, checked.last.0);
            if checked.recovery.cut_bytes > 0 {
                say(&format!("{} bytes that were never acknowledged were cut", checked.recovery.cut_bytes));
            }
            writeln!(
                out,
                "checkpoint at {checkpoint}, journal to {last}: {records} records, {rows} rows, nothing damaged"
            )?;
            Ok(())
        }
        JournalCommand::Dump { store, from } => {
            check_is_store(store)?;
            Ok(journal::dump(store, from.map(Position), out)?)
        }
        JournalCommand::Compact { store, changes, parquet } => {
            check_is_store(&store.store)?;
            let told = changes.clone().or_else(|| journal::changes_of(&store.store));
            let file = told.unwrap_or_else(|| store.store.join(run::CHANGES));
            let job = Job {
                store: &store.store,
                data: store.data.as_deref(),
                rules: None,
                as_of: None,
                feeds: None,
                watch: &[],
                requests: None,
                changes: Changes::File(&file),
                parquet: parquet.as_deref(),
                reasons: false,
                segment_bytes: JOURNAL_SEGMENT_BYTES,
                compact: true,
                out: None,
            };
            let wall = Wall::new(ClockArg::Feed, Progress::new(false));
            let pool = config::pool(store.threads)?;
            let done = pool.install(|| run::run(&job, out, &wall));
            wall.progress.finish();
            let report = done?;
            for warning in &report.warnings {
                say(&format!("warning: {warning}"));
            }
            say(&format!("position {}: {} checkpoints made", report.position.0, report.checkpoints));
            Ok(())
        }
    }
}

/// Copies a store. A backup is one.
///
/// # Errors
/// [`Failure`]; a folder that is there is a usage error.
pub(super) fn copy(store: &Path, into: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    check_is_store(store)?;
    if into.exists() {
        return Err(Failure::Usage(format!("{} is there already", into.display())));
    }
    let copied = run::copy::copy(store, into, false)?;
    let (position, bytes) = (copied.position.0, grouped(copied.bytes));
    writeln!(out, "{} holds the store to position {position}: {bytes} bytes, every checksum read", into.display())?;
    if !copied.has_changes {
        say("the file of changes is not in the store and was not copied: a new one begins with everybody's code");
    }
    Ok(())
}
