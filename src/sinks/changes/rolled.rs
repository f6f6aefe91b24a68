//! Changes as Parquet files, each of which appears whole and is never changed.
//!
//! The one idea: a file's name says which positions it holds, so the names in the folder say how far it has been told. What is not
//! in a file yet is lost by a stop, and told again.
//!
//! ```text
//! DIR/changes-00000000000000000001-00000000000000000412.parquet   what changed from position 1 to 412, whole positions
//! DIR/_told.json                                                  a position up to which there is nothing more to tell
//! ```
//!
//! A thread of its own encodes, behind a bounded channel: it costs the writer a copy of the rows, and waiting only where the disk does
//! not follow. Memory is the row group that is being made and what is in the channel.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use arrow::array::RecordBatch;
use crossbeam_channel::{Receiver, Sender};
use parquet::arrow::ArrowWriter;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::{Changed, Sink};
use crate::limits::{CHANGES_FILE_MINUTES, CHANGES_FILE_ROWS, CHANGES_PENDING_MAX};
use crate::model::Timestamp;
use crate::model::schema::changes_schema;
use crate::model::time::MICROS_PER_SECOND;
use crate::sinks::appended::foreign;
use crate::sinks::format::{properties, unpacked};
use crate::sinks::staged::{SinkError, Staged, commit, temporary};

/// Name of the file that says how far a folder is known to be told.
const MARK: &str = "_told.json";
/// How temporary names begin.
const TEMPORARY: &str = "changes";

/// How far a folder is known to be told.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    position: u64,
}

/// A folder of Parquet files of changes.
#[derive(Debug)]
pub struct Rolled {
    dir: PathBuf,
    told: u64,
    /// Rows since the last file was ended.
    rows: u64,
    /// T of the first of them.
    since: Option<Timestamp>,
    /// Gone once it is not to do anything more.
    orders: Option<Sender<Order>>,
    /// Gone once it has said how it ended.
    thread: Option<JoinHandle<Result<(), SinkError>>>,
}

/// What the thread is to do.
#[derive(Debug)]
enum Order {
    Write(RecordBatch),
    /// End the file: it holds all up to a position.
    End(u64),
    /// The same, and note that there is nothing more up to there, and say when it is durable.
    Secure(u64, Sender<()>),
}

impl Rolled {
    /// Opens a folder, which is made if it is not there; `last` is the store's last position.
    ///
    /// # Errors
    /// What the system says; a folder that tells of a position which the store does not have.
    pub fn open(dir: &Path, last: u64) -> Result<Self, SinkError> {
        let fail = |cause| SinkError::Directory { path: dir.to_owned(), cause };
        fs::create_dir_all(dir).map_err(fail)?;
        let mark = fs::read(dir.join(MARK)).ok().and_then(|text| serde_json::from_slice::<Mark>(&text).ok());
        let mut told = mark.map_or(0, |mark| mark.position);
        for entry in fs::read_dir(dir).map_err(fail)? {
            let name = entry.map_err(fail)?.file_name();
            let name = name.to_string_lossy();
            told = told.max(last_in(&name).unwrap_or(0));
            let is_of_ours = [TEMPORARY, MARK].iter().any(|ours| name.starts_with(&format!(".{ours}.")));
            if is_of_ours && name.ends_with(".tmp") {
                // What a stop left of a file that did not appear.
                fs::remove_file(dir.join(&*name)).map_err(fail)?;
            }
        }
        if told > last {
            return Err(foreign(dir, told));
        }
        let (orders, taken) = crossbeam_channel::bounded(CHANGES_PENDING_MAX);
        let mut files = Files { dir: dir.to_owned(), first: told + 1, open: None };
        let thread = std::thread::spawn(move || files.follow(&taken));
        Ok(Self { dir: dir.to_owned(), told, rows: 0, since: None, orders: Some(orders), thread: Some(thread) })
    }

    fn order(&mut self, order: Order) -> Result<(), SinkError> {
        let taken = self.orders.as_ref().is_some_and(|orders| orders.send(order).is_ok());
        if taken { Ok(()) } else { Err(self.failure()) }
    }

    /// Why the thread has ended.
    fn failure(&mut self) -> SinkError {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(Err(error))) => error,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None | Some(Ok(Ok(()))) => {
                SinkError::Encode { path: self.dir.clone(), detail: "it failed before".to_owned() }
            }
        }
    }

    fn end(&mut self) -> Result<(), SinkError> {
        (self.rows, self.since) = (0, None);
        self.order(Order::End(self.told))
    }
}

impl Drop for Rolled {
    /// Whoever opens the folder next finds it as it stays.
    fn drop(&mut self) {
        self.orders = None;
        drop(self.thread.take().map(JoinHandle::join));
    }
}

impl Sink for Rolled {
    fn name(&self) -> &Path {
        &self.dir
    }

    fn told(&self) -> u64 {
        self.told
    }

    fn tell(&mut self, changed: &Changed<'_>) -> Result<(), SinkError> {
        self.told = changed.position;
        for batch in changed.batches() {
            self.order(Order::Write(batch()))?;
        }
        self.rows += changed.changes.len() as u64;
        if self.rows > 0 {
            self.since.get_or_insert(changed.as_of);
        }
        if self.rows >= CHANGES_FILE_ROWS { self.end() } else { Ok(()) }
    }

    fn flush(&mut self, now: Timestamp) -> Result<(), SinkError> {
        let age = self.since.map_or(0, |since| now.0.saturating_sub(since.0));
        if age >= CHANGES_FILE_MINUTES * 60 * MICROS_PER_SECOND { self.end() } else { Ok(()) }
    }

    fn secure(&mut self, position: u64) -> Result<(), SinkError> {
        (self.rows, self.since) = (0, None);
        let (tell, told) = crossbeam_channel::bounded(1);
        self.order(Order::Secure(position, tell))?;
        told.recv().map_err(|_| self.failure())
    }
}

/// The files as the thread knows them.
struct Files {
    dir: PathBuf,
    /// The first position of the present or the next file.
    first: u64,
    open: Option<ArrowWriter<NamedTempFile>>,
}

impl Files {
    fn follow(&mut self, orders: &Receiver<Order>) -> Result<(), SinkError> {
        for order in orders {
            match order {
                Order::Write(rows) => self.write(&rows)?,
                Order::End(last) => self.end(last)?,
                Order::Secure(last, tell) => {
                    self.end(last)?;
                    self.first = self.first.max(last + 1);
                    commit(vec![Staged::json(&self.dir.join(MARK), &Mark { position: last })?])?;
                    // Whoever does not wait any more is ending.
                    let _ = tell.send(());
                }
            }
        }
        Ok(())
    }

    fn write(&mut self, rows: &RecordBatch) -> Result<(), SinkError> {
        let (dir, schema) = (&self.dir, changes_schema());
        let refused = |error| SinkError::of_parquet(dir, error);
        let rows = unpacked(rows, &schema).map_err(|error| refused(error.into()))?;
        let writer = if let Some(writer) = &mut self.open {
            writer
        } else {
            let properties = properties(&schema).map_err(refused)?;
            let writer = ArrowWriter::try_new(temporary(dir, TEMPORARY)?, schema, Some(properties));
            self.open.insert(writer.map_err(refused)?)
        };
        writer.write(&rows).map_err(refused)
    }

    fn end(&mut self, last: u64) -> Result<(), SinkError> {
        let Some(writer) = self.open.take() else { return Ok(()) };
        let file = writer.into_inner().map_err(|error| SinkError::of_parquet(&self.dir, error))?;
        let target = self.dir.join(file_name(self.first, last));
        self.first = last + 1;
        commit(vec![Staged::of(file, target)?])
    }
}

fn file_name(first: u64, last: u64) -> String {
    format!("changes-{first:020}-{last:020}.parquet")
}

/// The last position that a file holds, by its name.
fn last_in(name: &str) -> Option<u64> {
    let (first, last) = name.strip_prefix("changes-")?.strip_suffix(".parquet")?.split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (name == file_name(first, last)).then_some(last)
}
