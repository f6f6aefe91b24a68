//! Tables to Parquet: row groups are made side by side, a few at a time, and written in order.
//!
//! The one idea: a row group is a function of its number, so threads share nothing but the order in which what they made is
//! appended; while one lot is written the next is made. Memory is two lots of encoded row groups and a batch a thread.
//!
//! Invariant: the file's bytes do not depend on the number of threads.

use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, Encoding};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use rayon::prelude::*;

use super::cells::Cells;
use super::dirt::Layout;
use super::tables::World;
use super::{GenerateError, Watcher};
use crate::limits::{GENERATED_BATCH_ROWS, GENERATED_GROUP_ROWS};
use crate::model::{ColumnType, Table};
use crate::sinks::{SinkError, Staged};

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

/// Snappy, and dictionaries for all but ids, instants and persons, of which there are too many.
fn properties(table: Table) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(Some(GENERATED_GROUP_ROWS));
    for column in table.columns() {
        let path = ColumnPath::from(column.name);
        let person = column.kind == ColumnType::Key && column.name != "place";
        if person || matches!(column.kind, ColumnType::UInt64 | ColumnType::Timestamp) {
            builder = builder.set_column_dictionary_enabled(path.clone(), false);
        }
        if column.kind == ColumnType::UInt64 {
            builder = builder.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
        }
    }
    builder.build()
}

impl Output<'_> {
    fn write_to<W: Write + Send>(&self, file: W) -> Result<(), GenerateError> {
        let refused = |error| self.refused(error);
        let properties = properties(self.table);
        let writer = ArrowWriter::try_new(file, Arc::clone(&self.schema), Some(properties)).map_err(refused)?;
        let (mut writer, factory) = writer.into_serialized_writer().map_err(refused)?;
        let rows = self.layout.rows();
        let size = GENERATED_GROUP_ROWS as u64;
        let groups: Vec<(usize, Range<u64>)> = (0..)
            .zip((0..rows).step_by(GENERATED_GROUP_ROWS))
            .map(|(n, first)| (n, first..rows.min(first + size)))
            .collect();
        let mut made = Vec::new();
        for lot in groups.chunks(rayon::current_num_threads()) {
            let (written, next) = rayon::join(
                || append(&mut writer, std::mem::take(&mut made)),
                || lot.par_iter().map(|(number, rows)| self.group(&factory, *number, rows)).collect::<Result<_, _>>(),
            );
            written.map_err(refused)?;
            made = next?;
        }
        append(&mut writer, made).map_err(refused)?;
        writer.close().map_err(refused)?;
        Ok(())
    }

    fn refused(&self, error: ParquetError) -> GenerateError {
        let path = self.path.to_owned();
        GenerateError::Sink(match error {
            ParquetError::External(cause) => match cause.downcast::<std::io::Error>() {
                Ok(cause) => SinkError::Io { path, cause: *cause },
                Err(cause) => SinkError::Encode { path, detail: cause.to_string() },
            },
            error => SinkError::Encode { path, detail: error.to_string() },
        })
    }

    /// Makes and encodes a row group.
    fn group(
        &self,
        factory: &ArrowRowGroupWriterFactory,
        number: usize,
        rows: &Range<u64>,
    ) -> Result<Vec<ArrowColumnChunk>, GenerateError> {
        let refused = |error| self.refused(error);
        let mut writers = factory.create_column_writers(number).map_err(refused)?;
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
            let batch = cells.finish(&self.schema).map_err(|error| refused(error.into()))?;
            for ((field, column), writer) in self.schema.fields().iter().zip(batch.columns()).zip(&mut writers) {
                for leaf in compute_leaves(field, column).map_err(refused)? {
                    writer.write(&leaf).map_err(refused)?;
                }
            }
            self.watcher.advance(end - first);
        }
        writers.into_iter().map(|writer| writer.close().map_err(refused)).collect()
    }
}

fn append<W: Write + Send>(
    writer: &mut SerializedFileWriter<W>,
    groups: Vec<Vec<ArrowColumnChunk>>,
) -> Result<(), ParquetError> {
    for columns in groups {
        let mut group = writer.next_row_group()?;
        for column in columns {
            column.append_to_row_group(&mut group)?;
        }
        group.close()?;
    }
    Ok(())
}
