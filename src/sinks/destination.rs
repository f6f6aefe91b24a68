//! Where the outputs of a run go, and in which format.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::batches::change_batches;
use super::format::{OutputFormat, write_batches};
use super::staged::{SinkError, Staged};
use crate::diff::Change;
use crate::model::Timestamp;
use crate::model::published::ReasonLists;
use crate::model::schema::changes_schema;

/// A directory of outputs.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'a> {
    /// The directory; made if it is not there.
    pub dir: &'a Path,
    /// Format of the outputs.
    pub format: OutputFormat,
}

impl Destination<'_> {
    /// Makes the directory.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn make(&self) -> Result<(), SinkError> {
        std::fs::create_dir_all(self.dir).map_err(|cause| SinkError::Directory { path: self.dir.to_owned(), cause })
    }

    /// The file of an output.
    #[must_use]
    pub fn path_of(&self, output: &str) -> PathBuf {
        self.dir.join(format!("{output}.{}", self.format.extension()))
    }

    /// Writes an output beside its final name; `interrupted` is asked now and then.
    ///
    /// # Errors
    /// See [`write_batches`].
    pub fn stage(
        &self,
        output: &str,
        schema: &SchemaRef,
        batches: &[impl Fn() -> RecordBatch + Sync],
        interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Staged, SinkError> {
        let path = self.path_of(output);
        Staged::write(&path, |out| write_batches(out, &path, self.format, schema, batches, interrupted))
    }

    /// Writes changes beside their final name. They are of a batch run: the position is 0.
    ///
    /// # Errors
    /// See [`write_batches`].
    pub fn stage_changes(
        &self,
        output: &str,
        changes: &[Change<'_>],
        lists: &ReasonLists,
        as_of: Timestamp,
        interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Staged, SinkError> {
        self.stage(output, &changes_schema(), &change_batches(changes, lists, as_of, 0), interrupted)
    }
}
