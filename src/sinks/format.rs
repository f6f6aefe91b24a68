//! Batches as Parquet, Arrow IPC, CSV or NDJSON.
//!
//! In CSV a list is its items joined by `;` and a null is an empty field; in NDJSON a list is an array and a null is `null`.
//! Instants in text are RFC 3339 in UTC.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, AsArray as _, RecordBatch, types};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::FileWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use rayon::prelude::*;
use serde_json::{Map, Value};

use super::parquet::{RowGroup, write_row_groups};
use super::staged::SinkError;
use crate::limits::{OUTPUT_BATCHES_AT_ONCE, OUTPUT_GROUP_BATCHES};
use crate::model::Timestamp;

/// A format of output files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    /// Apache Parquet, compressed with Zstandard.
    Parquet,
    /// Comma separated values.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// Arrow IPC file.
    Arrow,
}

impl OutputFormat {
    /// The file name's extension.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::Arrow => "arrow",
        }
    }
}

/// Writes batches in order; their columns may be dictionaries where the schema wants plain texts. `interrupted` is asked now
/// and then.
///
/// # Errors
/// What the encoder or the file said; an interruption is an I/O error of kind `Interrupted`.
pub fn write_batches<W: Write + Send>(
    out: &mut W,
    path: &Path,
    format: OutputFormat,
    schema: &SchemaRef,
    batches: &[impl Fn() -> RecordBatch + Sync],
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<(), SinkError> {
    let check = || {
        let cause = std::io::Error::from(std::io::ErrorKind::Interrupted);
        if interrupted() { Err(SinkError::Io { path: path.to_owned(), cause }) } else { Ok(()) }
    };
    if format == OutputFormat::Parquet {
        let refused = |error| SinkError::of_parquet(path, error);
        let groups: Vec<_> = batches.chunks(OUTPUT_GROUP_BATCHES).collect();
        let fill = |number: usize, group: &mut RowGroup| {
            groups[number].iter().try_for_each(|build| {
                check()?;
                group.write(&build()).map_err(refused)
            })
        };
        return write_row_groups(out, schema, properties(schema).map_err(refused)?, groups.len(), fill, refused);
    }
    let fail = |error: Failure| error.at(path);
    let mut encoder = Encoder::new(out, format, schema).map_err(fail)?;
    for group in batches.chunks(OUTPUT_BATCHES_AT_ONCE) {
        check()?;
        let built: Vec<_> = group.par_iter().map(|build| unpacked(&build(), schema)).collect();
        for batch in built {
            encoder.write(&batch.map_err(|error| fail(error.into()))?).map_err(fail)?;
        }
    }
    encoder.finish().map_err(fail)
}

/// The batch with its dictionaries written out.
pub(super) fn unpacked(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = schema.fields().iter().zip(batch.columns());
    let columns = columns.map(|(field, column)| cast(column, field.data_type())).collect::<Result<_, _>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns)
}

/// How outputs are encoded: no two persons are alike, so a dictionary of them would be tried in vain; the least and greatest
/// of persons and instants let a reader pass over row groups, those of lists help nobody.
pub(super) fn properties(schema: &SchemaRef) -> Result<WriterProperties, ParquetError> {
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_column_dictionary_enabled(ColumnPath::from("person"), false);
    for field in schema.fields() {
        if let DataType::List(item) = field.data_type() {
            let path = ColumnPath::from(vec![field.name().clone(), "list".to_owned(), item.name().clone()]);
            builder = builder.set_column_statistics_enabled(path, EnabledStatistics::None);
        }
    }
    Ok(builder.build())
}

/// What an encoder says; which of the two a full disk becomes depends on the encoder.
enum Failure {
    Io(std::io::Error),
    Encode(String),
}

impl Failure {
    fn at(self, path: &Path) -> SinkError {
        match self {
            Self::Io(cause) => SinkError::Io { path: path.to_owned(), cause },
            Self::Encode(detail) => SinkError::Encode { path: path.to_owned(), detail },
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(cause: std::io::Error) -> Self {
        Self::Io(cause)
    }
}

impl From<ArrowError> for Failure {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::IoError(_, cause) => Self::Io(cause),
            error => Self::Encode(error.to_string()),
        }
    }
}

impl From<csv::Error> for Failure {
    fn from(error: csv::Error) -> Self {
        Self::Io(error.into())
    }
}

enum Encoder<'w, W: Write + Send> {
    Arrow(FileWriter<&'w mut W>),
    Csv(csv::Writer<&'w mut W>),
    Ndjson(&'w mut W),
}

impl<'w, W: Write + Send> Encoder<'w, W> {
    fn new(out: &'w mut W, format: OutputFormat, schema: &SchemaRef) -> Result<Self, Failure> {
        Ok(match format {
            OutputFormat::Parquet => unreachable!("row groups are encoded by themselves"),
            OutputFormat::Arrow => Self::Arrow(FileWriter::try_new(out, schema)?),
            OutputFormat::Csv => {
                let mut writer = csv::Writer::from_writer(out);
                writer.write_record(schema.fields().iter().map(|field| field.name().as_bytes()))?;
                Self::Csv(writer)
            }
            OutputFormat::Ndjson => Self::Ndjson(out),
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        match self {
            Self::Arrow(writer) => writer.write(batch)?,
            Self::Csv(writer) => {
                for row in 0..batch.num_rows() {
                    writer.write_record(batch.columns().iter().map(|column| csv_field(column, row)))?;
                }
            }
            Self::Ndjson(out) => {
                for row in 0..batch.num_rows() {
                    serde_json::to_writer(&mut *out, &json_row(batch, row)).map_err(std::io::Error::from)?;
                    out.write_all(b"\n")?;
                }
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Arrow(mut writer) => writer.finish()?,
            Self::Csv(mut writer) => writer.flush()?,
            Self::Ndjson(_) => {}
        }
        Ok(())
    }
}

fn list_items(array: &dyn Array, row: usize) -> Vec<String> {
    let list = array.as_list::<i32>().value(row);
    list.as_string::<i32>().iter().flatten().map(str::to_owned).collect()
}

fn csv_field(array: &dyn Array, row: usize) -> String {
    if array.is_null(row) {
        return String::new();
    }
    match array.data_type() {
        DataType::List(_) => list_items(array, row).join(";"),
        DataType::UInt64 => array.as_primitive::<types::UInt64Type>().value(row).to_string(),
        DataType::Timestamp(_, _) => instant(array, row),
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        _ => json_value(array, row).to_string(),
    }
}

fn instant(array: &dyn Array, row: usize) -> String {
    Timestamp(array.as_primitive::<types::TimestampMicrosecondType>().value(row)).to_rfc3339()
}

fn json_row(batch: &RecordBatch, row: usize) -> Value {
    let schema = batch.schema_ref();
    let fields = schema.fields().iter().zip(batch.columns());
    let object: Map<String, Value> =
        fields.map(|(field, array)| (field.name().clone(), json_value(array, row))).collect();
    Value::Object(object)
}

fn json_value(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::List(_) => list_items(array, row).into(),
        DataType::UInt64 => array.as_primitive::<types::UInt64Type>().value(row).into(),
        DataType::UInt32 => array.as_primitive::<types::UInt32Type>().value(row).into(),
        DataType::UInt16 => array.as_primitive::<types::UInt16Type>().value(row).into(),
        DataType::Float64 => array.as_primitive::<types::Float64Type>().value(row).into(),
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Timestamp(_, _) => instant(array, row).into(),
        _ => array.as_string::<i32>().value(row).into(),
    }
}
