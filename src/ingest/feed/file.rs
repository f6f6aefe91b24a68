//! A file of one table to batches, some thousand rows at a time.
//!
//! The one idea: what a load reads whole and side by side is read here in order and a run of rows at a time, by the same decoders
//! and checks, so that a file of any length takes bounded memory, and whoever has taken some of its rows goes on behind them.

use std::collections::BTreeSet;

use arrow::array::RecordBatch;

use super::gather::of_run;
use super::{Batch, SourceName};
use crate::ingest::batches::{self, Batches};
use crate::ingest::columnar::longest_text;
use crate::ingest::error::{IngestError, Place};
use crate::ingest::layout::{Format, SourceFile};
use crate::ingest::text::{Raw, Shape, Splitter, begin};
use crate::limits::{FILE_ROWS_BYTES_MAX, REFUSAL_BYTES};

/// Rows of a file, in order.
pub struct TableFile {
    file: SourceFile,
    number: u32,
    rows: Rows,
    taken: u64,
    /// Columns that the table does not know, of which has not been told yet.
    unknown: BTreeSet<String>,
}

enum Rows {
    /// Batches, of which one may have been taken in part.
    Columnar { batches: Batches, rest: Option<RecordBatch> },
    /// Records of text.
    Text {
        shape: Shape,
        splitter: Splitter,
        /// What was read and did not fit any more.
        next: Option<Result<(u64, Raw), IngestError>>,
    },
}

/// A run of rows, as its format has them.
pub(super) enum Run<'a> {
    /// Rows of a columnar file, of which the first has this number.
    Columnar(&'a RecordBatch, u64),
    /// Records of a file of text.
    Text(&'a Shape, Vec<(u64, Raw)>),
}

impl TableFile {
    /// Opens a file behind so many of its rows; rejections call it by the source's name.
    ///
    /// # Errors
    /// [`IngestError`]: a file that is none of its format, or not of its table.
    pub fn open(file: SourceFile, source: SourceName<'_>, taken: u64) -> Result<Self, IngestError> {
        let file = SourceFile { name: source.name.to_owned(), ..file };
        let mut unknown = BTreeSet::new();
        let rows = match file.format {
            Format::Parquet | Format::Arrow => {
                let (batches, extra) = batches::open(&file, taken)?;
                unknown.extend(extra);
                Rows::Columnar { batches, rest: None }
            }
            Format::Csv(_) | Format::Ndjson(_) => {
                let (shape, mut splitter) = begin(&file, &mut unknown)?;
                for _ in 0..taken {
                    if splitter.next(&file.path)?.is_none() {
                        break;
                    }
                }
                Rows::Text { shape, splitter, next: None }
            }
        };
        Ok(Self { file, number: source.number, rows, taken, unknown })
    }

    /// How many rows have been taken, those that were there before included.
    #[must_use]
    pub const fn taken(&self) -> u64 {
        self.taken
    }

    /// The next rows, so many at the most; none behind the last one.
    ///
    /// # Errors
    /// [`IngestError`]: the file is damaged there, or a row of it is longer than any can be.
    pub fn next_batch(&mut self, most: usize) -> Result<Option<Box<Batch>>, IngestError> {
        let (mut batch, rows) = match &mut self.rows {
            Rows::Columnar { batches, rest } => {
                let Some(rows) = rest.take().map_or_else(|| batches.next(&self.file), |rest| Ok(Some(rest)))? else {
                    return Ok(None);
                };
                let length = fitting(&self.file, &rows, self.taken)?.min(most);
                *rest = (length < rows.num_rows()).then(|| rows.slice(length, rows.num_rows() - length));
                let run = Run::Columnar(&rows.slice(0, length), self.taken);
                (of_run(&self.file, self.number, run), length)
            }
            Rows::Text { shape, splitter, next } => {
                let besides = besides(&self.file) + shape.bytes();
                let records = fitting_records(&self.file, splitter, next, most, besides)?;
                if records.is_empty() {
                    return Ok(None);
                }
                let length = records.len();
                (of_run(&self.file, self.number, Run::Text(shape, records)), length)
            }
        };
        self.taken += rows as u64;
        let unknown = std::mem::take(&mut self.unknown);
        if !unknown.is_empty() {
            batch.unknown.entry(self.file.table).or_default().extend(unknown);
        }
        Ok(Some(Box::new(batch)))
    }
}

fn too_long(file: &SourceFile, place: Place) -> IngestError {
    let detail = format!("a row of more than {FILE_ROWS_BYTES_MAX} bytes");
    IngestError::Corrupt { path: file.path.clone(), place, column: None, detail }
}

/// What is told of each refused row besides its values and the names of columns that only the file has.
fn besides(file: &SourceFile) -> usize {
    let names: usize = file.table.columns().iter().map(|column| column.name.len()).sum();
    names + file.name.len() + REFUSAL_BYTES
}

/// How many of a batch's rows are taken at once: what may be refused of them has to be told, word for word.
fn fitting(file: &SourceFile, rows: &RecordBatch, taken: u64) -> Result<usize, IngestError> {
    let columns = file.table.columns().iter().filter_map(|column| rows.column_by_name(column.name));
    let longest: usize = columns.map(longest_text).sum();
    match FILE_ROWS_BYTES_MAX / (longest + besides(file)) {
        0 => Err(too_long(file, Place::Row(taken))),
        fitting => Ok(fitting.min(rows.num_rows())),
    }
}

/// The next records that are taken at once, so many at the most. An error behind good ones is kept for the next time.
fn fitting_records(
    file: &SourceFile,
    splitter: &mut Splitter,
    next: &mut Option<Result<(u64, Raw), IngestError>>,
    most: usize,
    besides: usize,
) -> Result<Vec<(u64, Raw)>, IngestError> {
    let (mut records, mut bytes) = (Vec::new(), 0);
    while records.len() < most {
        let Some(read) = next.take().or_else(|| splitter.next(&file.path).transpose()) else { break };
        let read = read.and_then(|(line, record)| {
            let length = record.bytes() + besides;
            if length > FILE_ROWS_BYTES_MAX {
                Err(too_long(file, Place::Line(line)))
            } else {
                Ok((line, record, length))
            }
        });
        match read {
            Ok((line, record, length)) if bytes + length <= FILE_ROWS_BYTES_MAX => {
                bytes += length;
                records.push((line, record));
            }
            Ok((line, record, _)) => {
                *next = Some(Ok((line, record)));
                break;
            }
            Err(error) if records.is_empty() => return Err(error),
            Err(error) => {
                *next = Some(Err(error));
                break;
            }
        }
    }
    Ok(records)
}
