//! What has been asked: who, when, which text, how many rows left.
//!
//! The one idea: a file that only grows. A line is on the disk before a question is looked at, and another follows when its answer has
//! ended, however it ended; so a question without an end is one under way, or one of a process that was killed.
//!
//! Invariants: nothing is answered that is not recorded; no line is changed. SQL only reads the file, as the table `queries`.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::Result as PlanResult;
use datafusion::functions_aggregate::expr_fn::max;
use datafusion::prelude::{DataFrame, col};
use serde::{Deserialize, Serialize};

use super::columns::with_views;
use super::{QueryError, ToldIn};
use crate::model::Timestamp;
use crate::model::schema::instant_type;

/// Columns of a line besides its number; each has what it says, and null for the rest.
const COLUMNS: [&str; 7] = ["at", "caller", "role", "statement", "ended", "rows", "error"];

/// The file.
#[derive(Debug)]
pub struct Queries {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    last: u64,
}

/// A question that has been recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query(u64);

#[derive(Serialize)]
struct Asked<'a> {
    query: u64,
    at: String,
    caller: Option<&'a str>,
    role: &'a str,
    statement: &'a str,
}

#[derive(Serialize)]
struct Ended<'a> {
    query: u64,
    #[serde(rename = "ended")]
    at: String,
    rows: u64,
    error: Option<&'a str>,
}

/// The number of a line.
#[derive(Deserialize)]
struct Numbered {
    query: u64,
}

impl Queries {
    /// Opens a file, or makes it, for this process's user alone. What a process that was killed had begun to write at its end is cut off.
    ///
    /// # Errors
    /// What the system says; a file that another process has open; a line that is none.
    pub fn open(path: &Path) -> Result<Self, QueryError> {
        let failed = |cause| QueryError::File { file: path.to_owned(), cause };
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path).map_err(failed)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => failed(std::io::Error::other("another process has it open")),
            TryLockError::Error(error) => failed(error),
        })?;
        let last = Self::last(&file).map_err(failed)?;
        Ok(Self { path: path.canonicalize().map_err(failed)?, state: Mutex::new(State { file, last }) })
    }

    /// The last number in a file, without what is torn at its end.
    fn last(mut file: &File) -> std::io::Result<u64> {
        let (mut last, mut whole, mut line) = (0, 0, Vec::new());
        let mut reader = BufReader::new(file);
        while reader.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            let Numbered { query } = serde_json::from_slice(&line)?;
            last = last.max(query);
            whole += line.len() as u64;
            line.clear();
        }
        file.set_len(whole)?;
        file.seek(SeekFrom::End(0))?;
        Ok(last)
    }

    /// Where it is, and how far its lines go that are whole.
    ///
    /// # Errors
    /// What the system says.
    pub fn told(&self) -> Result<ToldIn, QueryError> {
        let there = self.state().file.metadata();
        let there = there.map_err(|cause| QueryError::File { file: self.path.clone(), cause })?;
        Ok(ToldIn { path: self.path.clone(), bytes: Some(there.len()) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that something is asked.
    ///
    /// # Errors
    /// What the system says: then it must not be answered.
    pub fn asked(&self, at: Timestamp, caller: Option<&str>, role: &str, statement: &str) -> Result<Query, QueryError> {
        let mut state = self.state();
        let query = state.last + 1;
        let line = Asked { query, at: at.to_rfc3339(), caller, role, statement };
        let written = append(&mut state.file, &line).and_then(|()| state.file.sync_data());
        written.map_err(|cause| QueryError::File { file: self.path.clone(), cause })?;
        state.last = query;
        Ok(Query(query))
    }

    /// Records how it ended.
    ///
    /// # Errors
    /// What the system says.
    pub fn ended(&self, query: Query, at: Timestamp, rows: u64, error: Option<&str>) -> Result<(), QueryError> {
        let line = Ended { query: query.0, at: at.to_rfc3339(), rows, error };
        let written = append(&mut self.state().file, &line);
        written.map_err(|cause| QueryError::File { file: self.path.clone(), cause })
    }
}

/// Adds a line, whole or not at all.
fn append(file: &mut File, line: &impl Serialize) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    let before = file.metadata()?.len();
    file.write_all(&text).inspect_err(|_| drop(file.set_len(before)))
}

/// Columns of the lines.
pub(super) fn lines_schema() -> SchemaRef {
    let kind = |name: &str| match name {
        "at" | "ended" => instant_type(),
        "rows" => DataType::UInt64,
        _ => DataType::Utf8,
    };
    let fields = COLUMNS.map(|name| Field::new(name, kind(name), true));
    let number = Field::new("query", DataType::UInt64, false);
    let fields: Vec<Field> = [number].into_iter().chain(fields).collect();
    with_views(&Arc::new(Schema::new(fields)))
}

/// A row a question, out of the lines.
pub(super) fn table(lines: DataFrame) -> PlanResult<DataFrame> {
    let columns = COLUMNS.map(|name| max(col(name)).alias(name));
    lines.aggregate(vec![col("query")], columns.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_end_is_cut_off_and_numbers_go_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("queries.ndjson");
        let at = Timestamp(0);
        let queries = Queries::open(&path).expect("a new file");
        let one = queries.asked(at, Some("ada"), "analyst", "SELECT 1").expect("recorded");
        queries.ended(one, at, 1, None).expect("recorded");
        assert!(Queries::open(&path).is_err(), "one process has it");
        drop(queries);
        let whole = std::fs::read(&path).expect("there");
        std::fs::write(&path, [&whole, &b"{\"query\":2,\"at\""[..]].concat()).expect("written");
        let queries = Queries::open(&path).expect("mended");
        assert_eq!(std::fs::read(&path).expect("there"), whole);
        assert_eq!(queries.asked(at, None, "operator", "SELECT 2").expect("recorded"), Query(2));
    }
}
