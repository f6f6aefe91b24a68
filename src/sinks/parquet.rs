//! Rows to Parquet: row groups are encoded side by side, a few at a time, and written in order.
//!
//! The one idea: a row group is a function of its number, so threads share nothing but the order in which what they made is
//! appended; while one lot is written the next is made. Memory is two lots of encoded row groups and a batch a thread.
//!
//! Invariant: the file's bytes do not depend on the number of threads.

use std::io::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, compute_leaves};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use rayon::prelude::*;

use crate::limits::ROW_GROUPS_PER_THREAD;

/// A row group that is being made.
pub struct RowGroup {
    /// One a column: no column of ours has several leaves.
    writers: Vec<ArrowColumnWriter>,
}

impl RowGroup {
    /// Adds rows. Texts, also the items of a list, may come as a dictionary.
    ///
    /// # Errors
    /// What the encoder said.
    ///
    /// # Panics
    /// If the rows have not as many columns as the file.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), ParquetError> {
        assert_eq!(rows.num_columns(), self.writers.len(), "a batch is of the file's columns");
        let fields = rows.schema_ref().fields().iter().zip(rows.columns());
        for ((field, column), writer) in fields.zip(&mut self.writers) {
            for leaf in compute_leaves(field, column)? {
                writer.write(&leaf)?;
            }
        }
        Ok(())
    }

    fn close(self) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
        self.writers.into_iter().map(ArrowColumnWriter::close).collect()
    }
}

/// Writes a file of so many row groups; `fill` makes the one of a number.
///
/// # Errors
/// What `fill` said of the first row group that failed, or what the encoder or the file said, as `refused` puts it.
pub fn write_row_groups<W: Write + Send, E: Send>(
    out: W,
    schema: &SchemaRef,
    properties: WriterProperties,
    groups: usize,
    fill: impl Fn(usize, &mut RowGroup) -> Result<(), E> + Sync,
    refused: impl Fn(ParquetError) -> E + Sync,
) -> Result<(), E> {
    let writer = ArrowWriter::try_new(out, Arc::clone(schema), Some(properties)).map_err(&refused)?;
    let (mut writer, factory) = writer.into_serialized_writer().map_err(&refused)?;
    let make = |number: usize| {
        let writers = factory.create_column_writers(number).map_err(&refused)?;
        let mut group = RowGroup { writers };
        fill(number, &mut group)?;
        group.close().map_err(&refused)
    };
    let numbers: Vec<usize> = (0..groups).collect();
    let mut encoded = Vec::new();
    for lot in numbers.chunks(ROW_GROUPS_PER_THREAD * rayon::current_num_threads()) {
        let (written, next) = rayon::join(
            || append(&mut writer, std::mem::take(&mut encoded)),
            || lot.par_iter().map(|&number| make(number)).collect::<Vec<Result<_, E>>>(),
        );
        written.map_err(&refused)?;
        encoded = next.into_iter().collect::<Result<_, E>>()?;
    }
    append(&mut writer, encoded).map_err(&refused)?;
    writer.close().map_err(&refused)?;
    Ok(())
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

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray as _, DictionaryArray, Int64Array, ListArray, StringArray, UInt8Array};
    use arrow::buffer::OffsetBuffer;
    use arrow::compute::{cast, concat_batches};
    use arrow::datatypes::{DataType, Field, Schema};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use rayon::ThreadPoolBuilder;

    use super::*;

    const GROUPS: usize = 37;

    fn schema() -> SchemaRef {
        let list = DataType::List(Arc::new(Field::new("item", DataType::Utf8, false)));
        Arc::new(Schema::new(vec![
            Field::new("number", DataType::Int64, true),
            Field::new("name", DataType::Utf8, false),
            Field::new("names", list, false),
        ]))
    }

    /// So many rows, different in every batch; texts are dictionaries.
    fn rows(seed: usize) -> RecordBatch {
        let count = 50 + seed % 7;
        let numbers: Int64Array =
            (0..count).map(|row| (row % 5 > 0).then_some(i64::try_from(row * seed).expect("small"))).collect();
        let names = || Arc::new(StringArray::from(vec!["zero", "one", "zwei"]));
        let key = |row: usize| u8::try_from((row * seed) % 3).expect("small");
        let name = DictionaryArray::new((0..count).map(|row| Some(key(row))).collect::<UInt8Array>(), names());
        let lengths: Vec<usize> = (0..count).map(|row| (row + seed) % 3).collect();
        let items: UInt8Array = (0..lengths.iter().sum()).map(|item| Some(key(item))).collect();
        let items = DictionaryArray::new(items, names());
        let field = Arc::new(Field::new("item", arrow::array::Array::data_type(&items).clone(), false));
        let lists = ListArray::new(field, OffsetBuffer::from_lengths(lengths), Arc::new(items), None);
        let columns: [arrow::array::ArrayRef; 3] = [Arc::new(numbers), Arc::new(name), Arc::new(lists)];
        let fields = schema()
            .fields()
            .iter()
            .zip(&columns)
            .map(|(field, column)| field.as_ref().clone().with_data_type(column.data_type().clone()))
            .collect::<Vec<_>>();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.to_vec()).expect("columns of one length")
    }

    fn file(threads: usize) -> Vec<u8> {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool of threads");
        let mut out = Vec::new();
        let fill = |number: usize, group: &mut RowGroup| {
            group.write(&rows(2 * number))?;
            group.write(&rows(2 * number + 1))
        };
        let properties = WriterProperties::default();
        pool.install(|| write_row_groups(&mut out, &schema(), properties, GROUPS, fill, |error| error))
            .expect("written");
        out
    }

    #[test]
    fn threads_give_the_same_bytes_and_all_rows() {
        let one = file(1);
        assert!([2, 3, 8].into_iter().all(|threads| file(threads) == one));
        let mut read_back = tempfile::tempfile().expect("room on the disk");
        read_back.write_all(&one).expect("written");
        let reader = ParquetRecordBatchReaderBuilder::try_new(read_back).expect("a Parquet file");
        assert_eq!(reader.metadata().num_row_groups(), GROUPS);
        let read = reader.build().expect("readable").collect::<Result<Vec<_>, _>>().expect("rows");
        let read = concat_batches(&schema(), &read).expect("one schema");
        let expected = (0..2 * GROUPS)
            .map(|seed| {
                let rows = rows(seed);
                let columns = schema()
                    .fields()
                    .iter()
                    .zip(rows.columns())
                    .map(|(field, column)| cast(column, field.data_type()).expect("a dictionary can be written out"))
                    .collect();
                RecordBatch::try_new(schema(), columns).expect("columns of the schema")
            })
            .collect::<Vec<_>>();
        let expected = concat_batches(&schema(), &expected).expect("one schema");
        assert_eq!(read, expected);
        assert_eq!(read.column(1).as_string::<i32>().value(0), "zero");
    }

    #[test]
    fn the_first_row_group_that_fails_is_told() {
        let fill = |number: usize, _: &mut RowGroup| {
            if number % 3 == 2 { Err(format!("group {number}")) } else { Ok(()) }
        };
        for _ in 0..5 {
            let done = write_row_groups(Vec::new(), &schema(), WriterProperties::default(), GROUPS, fill, |error| {
                error.to_string()
            });
            assert_eq!(done, Err("group 2".to_owned()));
        }
    }
}
