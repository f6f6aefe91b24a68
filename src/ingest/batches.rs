//! A columnar file's record batches in order, from any row on.
//!
//! The one idea: where a load cuts a file into pieces that know nothing of each other, whoever takes its rows as they come reads them one
//! batch after the other; what a batch becomes is the same.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;

use super::Part;
use super::cells::Interners;
use super::columnar::{
    ArrowReader, Decoder, arrow_reader, batch_error, corrupt, io, parquet_metadata, parquet_reader, take_batch,
    wanted_columns,
};
use super::error::{IngestError, Place};
use super::guard::guarded;
use super::layout::{Format, SourceFile};
use super::rows::Decode;

/// The record batches of a file, in order.
pub(super) struct Batches {
    reader: Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>,
    is_parquet: bool,
    /// Number of the next batch, and of its first row.
    next: (usize, u64),
    /// Rows of the first ones that are passed over.
    skip: u64,
    /// Rows that there are, if the file says it of itself.
    rows_said: Option<u64>,
}

/// Opens a file behind so many of its rows, and names the columns that its table does not know.
pub(super) fn open(file: &SourceFile, skip: u64) -> Result<(Batches, Vec<String>), IngestError> {
    if file.format == Format::Parquet {
        let (metadata, extra) = parquet_metadata(file)?;
        let wanted = wanted_columns(file, &metadata);
        let rows_said = u64::try_from(metadata.metadata().file_metadata().num_rows()).unwrap_or(0);
        let reader = guarded(|| {
            let rows = usize::try_from(skip).unwrap_or(usize::MAX);
            parquet_reader(file, &metadata, &wanted)?.with_offset(rows).build()
        });
        let reader = Box::new(reader.map_err(|detail| corrupt(file, Place::Whole, detail))?);
        let rows_said = Some(rows_said);
        return Ok((Batches { reader, is_parquet: true, next: (0, skip), skip: 0, rows_said }, extra));
    }
    let bytes = std::fs::metadata(&file.path).map_err(|cause| io(file, cause))?.len();
    let (reader, extra) = arrow_reader(file, bytes)?;
    let reader: Box<dyn Iterator<Item = _> + Send> = match reader {
        ArrowReader::File(reader) => Box::new(reader),
        ArrowReader::Stream(reader) => Box::new(reader),
    };
    Ok((Batches { reader, is_parquet: false, next: (0, 0), skip, rows_said: None }, extra))
}

impl Batches {
    /// The next batch; none at the end.
    pub(super) fn next(&mut self, file: &SourceFile) -> Result<Option<RecordBatch>, IngestError> {
        loop {
            let (number, row) = self.next;
            let batch = guarded(|| self.reader.next().transpose()).map_err(|detail| {
                if self.is_parquet { corrupt(file, Place::Row(row), detail) } else { batch_error(file, number, detail) }
            })?;
            let Some(batch) = batch else {
                return match self.rows_said.filter(|&said| said > row) {
                    Some(said) => {
                        Err(corrupt(file, Place::Row(row), format!("{row} rows where the footer says {said}")))
                    }
                    None => Ok(None),
                };
            };
            self.next = (number + 1, row + batch.num_rows() as u64);
            let passed = self.skip.min(batch.num_rows() as u64);
            self.skip -= passed;
            let passed = usize::try_from(passed).expect("rows of a batch");
            if passed < batch.num_rows() {
                return Ok(Some(batch.slice(passed, batch.num_rows() - passed)));
            }
        }
    }
}

/// Rows of a batch, of which the first has this number, as a table's.
pub(super) fn take_rows<C: Decode>(
    file: &SourceFile,
    source: u32,
    rows: &RecordBatch,
    first_row: u64,
    interners: &Interners,
) -> Part<C> {
    let mut part = Part::default();
    take_batch(&mut Decoder::new(file.table, source, interners), rows, file, first_row, &mut part);
    part
}
