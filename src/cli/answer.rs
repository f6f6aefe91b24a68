//! Answers of queries as people or programs read them.
//!
//! The one idea: rows go out as they come, but for a table, whose columns are as wide as its widest value: it is held whole, and
//! bounded.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::FileWriter;
use arrow::json::writer::{JsonArray, JsonFormat, LineDelimited, WriterBuilder};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow::util::pretty::pretty_format_batches_with_options;
use futures::StreamExt as _;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::Failure;
use super::asked::AnswerArg;
use super::summary::grouped;
use crate::limits::SHOWN_ROWS_MAX;
use crate::query::{Answer, QueryError};

/// Forms of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A table with lines.
    Table,
    /// A column a line, for rows that are too wide.
    Expanded,
    /// A line a row, in the way of `codes.csv`.
    Csv,
    /// One array of objects.
    Json,
    /// An object a line.
    Ndjson,
    /// A file of Parquet.
    Parquet,
    /// A file of Arrow IPC.
    Arrow,
}

impl From<AnswerArg> for Shape {
    fn from(format: AnswerArg) -> Self {
        match format {
            AnswerArg::Table => Self::Table,
            AnswerArg::Csv => Self::Csv,
            AnswerArg::Json => Self::Json,
            AnswerArg::Ndjson => Self::Ndjson,
            AnswerArg::Parquet => Self::Parquet,
            AnswerArg::Arrow => Self::Arrow,
        }
    }
}

impl Shape {
    /// Whether no terminal shows it.
    pub(super) const fn is_binary(self) -> bool {
        matches!(self, Self::Parquet | Self::Arrow)
    }
}

impl From<ArrowError> for Failure {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::IoError(_, cause) => cause.into(),
            error => QueryError::from(error).into(),
        }
    }
}

impl From<csv::Error> for Failure {
    fn from(error: csv::Error) -> Self {
        match error.into_kind() {
            csv::ErrorKind::Io(cause) => cause.into(),
            kind => Self::Job(anyhow::anyhow!("{kind:?}")),
        }
    }
}

impl From<parquet::errors::ParquetError> for Failure {
    fn from(error: parquet::errors::ParquetError) -> Self {
        match error {
            parquet::errors::ParquetError::External(cause) => match cause.downcast::<std::io::Error>() {
                Ok(cause) => (*cause).into(),
                Err(cause) => Self::Job(anyhow::anyhow!(cause)),
            },
            error => Self::Job(error.into()),
        }
    }
}

/// Writes an answer as it comes.
///
/// # Errors
/// A query that fails while it runs; an output that cannot be written.
pub(super) async fn write_answer(
    answer: Answer,
    shape: Shape,
    out: &mut (dyn Write + Send),
    rows_max: usize,
) -> Result<(), Failure> {
    let Answer { schema, mut batches } = answer.plain();
    if schema.fields().is_empty() {
        // A statement that says nothing, such as SET.
        while let Some(batch) = batches.next().await {
            batch.map_err(QueryError::from)?;
        }
        return Ok(());
    }
    let mut writer = Writer::new(shape, &schema, out, rows_max.min(SHOWN_ROWS_MAX))?;
    while let Some(batch) = batches.next().await {
        if !writer.write(&batch.map_err(QueryError::from)?)? {
            break;
        }
    }
    drop(batches);
    writer.finish()
}

type Out<'w> = &'w mut (dyn Write + Send);

enum Writer<'w> {
    Held { out: Out<'w>, shape: Shape, schema: SchemaRef, batches: Vec<RecordBatch>, left: usize, more: bool },
    Csv(csv::Writer<Out<'w>>),
    Json(arrow::json::Writer<Out<'w>, JsonArray>),
    Ndjson(arrow::json::Writer<Out<'w>, LineDelimited>),
    Parquet(Box<ArrowWriter<Out<'w>>>),
    Arrow(FileWriter<Out<'w>>),
}

fn json<F: JsonFormat>(out: Out<'_>) -> arrow::json::Writer<Out<'_>, F> {
    WriterBuilder::new().with_explicit_nulls(true).build::<_, F>(out)
}

impl<'w> Writer<'w> {
    fn new(shape: Shape, schema: &SchemaRef, out: Out<'w>, rows_max: usize) -> Result<Self, Failure> {
        Ok(match shape {
            Shape::Table | Shape::Expanded => {
                let schema = Arc::clone(schema);
                Self::Held { out, shape, schema, batches: Vec::new(), left: rows_max, more: false }
            }
            Shape::Csv => {
                let mut writer = csv::Writer::from_writer(out);
                writer.write_record(schema.fields().iter().map(|field| field.name().as_bytes()))?;
                Self::Csv(writer)
            }
            Shape::Json => Self::Json(json(out)),
            Shape::Ndjson => Self::Ndjson(json(out)),
            Shape::Parquet => {
                let level = ZstdLevel::try_new(1)?;
                let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
                Self::Parquet(Box::new(ArrowWriter::try_new(out, Arc::clone(schema), Some(properties))?))
            }
            Shape::Arrow => Self::Arrow(FileWriter::try_new(out, schema)?),
        })
    }

    /// Writes rows. Gives whether more are wanted.
    fn write(&mut self, batch: &RecordBatch) -> Result<bool, Failure> {
        match self {
            Self::Held { batches, left, more, .. } => {
                let rows = batch.num_rows().min(*left);
                batches.push(batch.slice(0, rows));
                *left -= rows;
                *more |= rows < batch.num_rows();
                return Ok(!*more);
            }
            Self::Csv(writer) => {
                let options = FormatOptions::new();
                let columns = batch.columns().iter().map(|column| Cells::new(column, &options));
                let columns = columns.collect::<Result<Vec<_>, _>>()?;
                for row in 0..batch.num_rows() {
                    let fields = columns.iter().map(|column| column.text(row));
                    writer.write_record(fields)?;
                }
            }
            Self::Json(writer) => writer.write(batch)?,
            Self::Ndjson(writer) => writer.write(batch)?,
            Self::Parquet(writer) => writer.write(batch)?,
            Self::Arrow(writer) => writer.write(batch)?,
        }
        Ok(true)
    }

    fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Held { out, shape, schema, batches, more, .. } => {
                let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
                let options = FormatOptions::new().with_null("NULL");
                if shape == Shape::Table {
                    let batches = if batches.is_empty() { vec![RecordBatch::new_empty(schema)] } else { batches };
                    writeln!(out, "{}", pretty_format_batches_with_options(&batches, &options)?)?;
                } else {
                    write_expanded(out, &batches, &options)?;
                }
                let count = grouped(rows as u64);
                match (more, rows) {
                    (true, _) => writeln!(out, "(the first {count} rows; other formats give all)")?,
                    (false, 1) => writeln!(out, "(1 row)")?,
                    (false, _) => writeln!(out, "({count} rows)")?,
                }
            }
            Self::Csv(mut writer) => writer.flush()?,
            Self::Json(mut writer) => {
                writer.finish()?;
                writeln!(writer.into_inner())?;
            }
            Self::Ndjson(mut writer) => writer.finish()?,
            Self::Parquet(writer) => drop(writer.close()?),
            Self::Arrow(mut writer) => writer.finish()?,
        }
        Ok(())
    }
}

/// A column's values as text; those of a list with semicolons between them, as in `codes.csv`.
struct Cells<'a> {
    column: &'a ArrayRef,
    format: ArrayFormatter<'a>,
    items: Option<ArrayFormatter<'a>>,
}

impl<'a> Cells<'a> {
    fn new(column: &'a ArrayRef, options: &FormatOptions<'a>) -> Result<Self, ArrowError> {
        let items = match column.data_type() {
            DataType::List(_) => Some(ArrayFormatter::try_new(column.as_list::<i32>().values().as_ref(), options)?),
            _ => None,
        };
        Ok(Self { column, format: ArrayFormatter::try_new(column.as_ref(), options)?, items })
    }

    fn text(&self, row: usize) -> String {
        let Some(items) = self.items.as_ref().filter(|_| self.column.is_valid(row)) else {
            return self.format.value(row).to_string();
        };
        let offsets = self.column.as_list::<i32>().value_offsets();
        // Offsets are not negative.
        let place = |offset: i32| usize::try_from(offset).unwrap_or_default();
        let range = place(offsets[row])..place(offsets[row + 1]);
        range.map(|item| items.value(item).to_string()).collect::<Vec<_>>().join(";")
    }
}

fn write_expanded(out: Out<'_>, batches: &[RecordBatch], options: &FormatOptions<'_>) -> Result<(), Failure> {
    let mut number = 0;
    for batch in batches {
        let schema = batch.schema_ref();
        let width = schema.fields().iter().map(|field| field.name().chars().count()).max().unwrap_or(0);
        let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), options));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            number += 1;
            writeln!(out, "-[ row {number} ]")?;
            for (field, column) in schema.fields().iter().zip(&columns) {
                writeln!(out, "{:width$} | {}", field.name(), column.value(row))?;
            }
        }
    }
    Ok(())
}
