//! Tables to Parquet, batch by batch.
//!
//! The one idea: the rows of a row group are a function of its number, so row groups are made side by side.
//!
//! Invariant: the file's bytes do not depend on the number of threads.

use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use parquet::errors::ParquetError;

use super::cells::Cells;
use super::dirt::Layout;
use super::tables::World;
use super::{GenerateError, Watcher};
use crate::limits::{GENERATED_BATCH_ROWS, GENERATED_GROUP_ROWS};
use crate::model::Table;
use crate::sinks::{self, RowGroup, SinkError, Staged, write_row_groups};

/// A table being written.
struct Output<'a> {
    world: &'a World,
    table: Table,
    layout: Layout,
    schema: SchemaRef,
    path: &'a Path,
    watcher: &'a dyn Watcher,
}

/// Writes a table beside its final name. Gives its rows too.
///
/// # Errors
/// What the file system or the encoder said, or an interruption.
pub(super) fn write(
    world: &World,
    table: Table,
    dirt: bool,
    path: &Path,
    watcher: &dyn Watcher,
) -> Result<(Staged, u64), GenerateError> {
    let layout = Layout::new(world.city.seed, table, world.rows(table), dirt);
    let output = Output { world, table, schema: schema(table, dirt), layout, path, watcher };
    let rows = output.layout.rows();
    let mut stopped = None;
    let staged = Staged::write(path, |file| {
        output.write_to(file).map_err(|error| match error {
            GenerateError::Sink(error) => error,
            other => {
                stopped = Some(other);
                SinkError::Encode { path: path.to_owned(), detail: String::new() }
            }
        })
    });
    match (staged, stopped) {
        (_, Some(error)) => Err(error),
        (staged, None) => Ok((staged?, rows)),
    }
}

/// The contract's schema; with dirt, every column may hold a null.
fn schema(table: Table, dirt: bool) -> SchemaRef {
    let schema = table.schema();
    if !dirt {
        return schema;
    }
    let lax = |field: &Arc<Field>| field.as_ref().clone().with_nullable(true);
    Arc::new(Schema::new(schema.fields().iter().map(lax).collect::<Vec<_>>()))
}

impl Output<'_> {
    fn write_to<W: Write + Send>(&self, out: W) -> Result<(), GenerateError> {
        let rows = self.layout.rows();
        let size = GENERATED_GROUP_ROWS as u64;
        let groups: Vec<Range<u64>> =
            (0..rows).step_by(GENERATED_GROUP_ROWS).map(|first| first..rows.min(first + size)).collect();
        let fill = |number: usize, group: &mut RowGroup| self.fill(&groups[number], group);
        let refused = |error| self.refused(error);
        write_row_groups(
            out,
            &self.schema,
            sinks::table_properties(self.table, GENERATED_GROUP_ROWS),
            groups.len(),
            fill,
            refused,
        )
    }

    fn refused(&self, error: ParquetError) -> GenerateError {
        SinkError::of_parquet(self.path, error).into()
    }

    /// Makes the rows of a row group.
    fn fill(&self, rows: &Range<u64>, group: &mut RowGroup) -> Result<(), GenerateError> {
        let mut cells = Cells::new(self.table, GENERATED_BATCH_ROWS);
        for first in rows.clone().step_by(GENERATED_BATCH_ROWS) {
            if self.watcher.interrupted() {
                return Err(GenerateError::Interrupted);
            }
            let end = rows.end.min(first + GENERATED_BATCH_ROWS as u64);
            for place in first..end {
                let slot = self.layout.slot(place);
                cells.begin(slot.id, slot.spoil);
                self.world.write(self.table, slot.row, &mut cells);
                debug_assert!(cells.is_complete());
            }
            let batch = cells.finish(&self.schema).map_err(|error| self.refused(error.into()))?;
            group.write(&batch).map_err(|error| self.refused(error))?;
            self.watcher.advance(end - first);
        }
        Ok(())
    }
}
