//! Where changed codes go while a run goes on: lines of a file, standard output, Parquet files.
//!
//! The one idea: what changes at a position is a function of the journal, so a sink has to remember nothing but how far it has been
//! told, and finds even that in what it wrote. After a stop each is told again what it had not got, and nothing twice.
//!
//! Invariants: a sink is told of positions in order; what is told of one position it holds whole or not at all, once it has been
//! opened again; what has been secured outlives everything.

mod lines;
mod rolled;
mod stream;

use std::io::Write;
use std::path::Path;

use arrow::array::RecordBatch;

use super::batches::change_batches;
use super::format::{OutputFormat, write_batches};
use super::staged::SinkError;
use crate::diff::Change;
use crate::model::Timestamp;
use crate::model::published::ReasonLists;
use crate::model::schema::changes_schema;

pub use lines::{Lines, MARK, read_mark};
pub use rolled::Rolled;
pub use stream::Stream;

/// What changed at a position.
#[derive(Clone, Copy)]
pub struct Changed<'a> {
    /// The position.
    pub position: u64,
    /// T there.
    pub as_of: Timestamp,
    /// Who changed, and how; often nobody.
    pub changes: &'a [Change<'a>],
    /// The lists that the changes name.
    pub lists: &'a ReasonLists,
}

impl<'a> Changed<'a> {
    /// The changes as batches of `changes`, made one by one.
    fn batches(&self) -> Vec<impl Fn() -> RecordBatch + Send + Sync + 'a> {
        change_batches(self.changes, self.lists, self.as_of, self.position)
    }

    /// Writes the changes as lines to what goes by a name.
    fn write_lines(&self, out: &mut (impl Write + Send), name: &Path) -> Result<(), SinkError> {
        write_batches(out, name, OutputFormat::Ndjson, &changes_schema(), &self.batches(), &|| false)
    }
}

/// Somewhere that changed codes go. A broker's topic is one as well as a file.
pub trait Sink {
    /// What it is called, for whoever reads an error.
    fn name(&self) -> &Path;

    /// The position up to which it has been told; 0 if nothing has.
    fn told(&self) -> u64;

    /// Takes what changed at the next position.
    ///
    /// # Errors
    /// [`SinkError`]; it is not to be used any more.
    fn tell(&mut self, changed: &Changed<'_>) -> Result<(), SinkError>;

    /// Shows what it has been told to those who read it, as far as its form allows; it is called often. `now` is T, or the present
    /// instant if the clock is on the wall.
    ///
    /// # Errors
    /// [`SinkError`]; it is not to be used any more.
    fn flush(&mut self, now: Timestamp) -> Result<(), SinkError>;

    /// Makes what it has been told durable, and that it goes up to a position: what is before that cannot be told again.
    ///
    /// # Errors
    /// [`SinkError`]; it is not to be used any more.
    fn secure(&mut self, position: u64) -> Result<(), SinkError>;
}
