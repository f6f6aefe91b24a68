//! Published codes from Parquet row groups and Arrow batches.
//!
//! The one idea: colours and reasons are read as dictionaries, so a row costs a look at its keys: a colour is parsed once a
//! dictionary, and a list of reasons met before is known by its keys.

use std::fs::File;
use std::io::BufReader;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use arrow::ipc::reader::FileReader;
use hashbrown::HashMap;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use rayon::prelude::*;

use super::{Block, Piece, corrupt};
use crate::ingest::error::{IngestError, Place};
use crate::ingest::guard::guarded;
use crate::ingest::ipc;
use crate::limits::DECODE_ROWS_MAX;
use crate::model::published::{ListId, ReasonLists};
use crate::model::{ClosedEnum as _, Colour};

/// The columns that a diff compares.
const COLUMNS: [&str; 3] = ["person", "colour", "reasons"];

fn dictionary() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

fn is_text(found: &DataType) -> bool {
    match found {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// The type to read a column as; the one found where it is none that can stand there.
fn wanted(name: &str, found: &DataType) -> DataType {
    match (name, found) {
        ("person", found) if is_text(found) => DataType::Utf8,
        ("colour", found) if is_text(found) => dictionary(),
        ("reasons", DataType::List(item)) if is_text(item.data_type()) => {
            DataType::List(Arc::new(item.as_ref().clone().with_data_type(dictionary())))
        }
        (_, found) => found.clone(),
    }
}

/// Reads the row groups of a Parquet file side by side.
pub(super) fn read_parquet(path: &Path) -> Result<Vec<Piece>, IngestError> {
    let whole = |detail: String| corrupt(path, Place::Whole, detail);
    let file = open(path)?;
    let plain = guarded(|| ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())).map_err(whole)?;
    check_columns(plain.schema()).map_err(whole)?;
    let hinted = plain
        .schema()
        .fields()
        .iter()
        .map(|field| field.as_ref().clone().with_data_type(wanted(field.name(), field.data_type())));
    let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(hinted.collect::<Vec<Field>>())));
    // A hint that the reader does not take costs speed, not correctness.
    let metadata = guarded(|| ArrowReaderMetadata::try_new(Arc::clone(plain.metadata()), options))
        .unwrap_or_else(|_| plain.clone());
    let groups = 0..metadata.metadata().num_row_groups();
    side_by_side(groups.into_par_iter().map(|group| read_row_group(path, &metadata, group)))
}

fn read_row_group(path: &Path, metadata: &ArrowReaderMetadata, group: usize) -> Result<Piece, IngestError> {
    let place = Place::RowGroup(group);
    let at = |detail: String| corrupt(path, place, detail);
    let file = open(path)?;
    let mask = ProjectionMask::columns(metadata.parquet_schema(), COLUMNS);
    let mut reader = guarded(|| {
        ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone())
            .with_row_groups(vec![group])
            .with_projection(mask)
            .with_batch_size(DECODE_ROWS_MAX)
            .build()
    })
    .map_err(at)?;
    let mut piece = Piece::default();
    while let Some(batch) = guarded(|| reader.next().transpose()).map_err(at)? {
        piece.read(&batch, place).map_err(at)?;
    }
    let rows: usize = piece.blocks.iter().map(|block| block.colours.len()).sum();
    let said = metadata.metadata().row_group(group).num_rows();
    if usize::try_from(said) != Ok(rows) {
        return Err(at(format!("{rows} rows where the footer says {said}")));
    }
    Ok(piece)
}

/// Reads runs of batches of an Arrow file side by side.
pub(super) fn read_arrow(path: &Path) -> Result<Vec<Piece>, IngestError> {
    let whole = |detail: String| corrupt(path, Place::Whole, detail);
    let file = open(path)?;
    let bytes = file.metadata().map_err(|cause| io(path, cause))?.len();
    ipc::check_file(open(path)?, bytes, ipc::Bounds::FILE).map_err(|(place, detail)| corrupt(path, place, detail))?;
    let reader = guarded(|| FileReader::try_new(BufReader::new(file), None)).map_err(whole)?;
    check_columns(&reader.schema()).map_err(whole)?;
    let batches = reader.num_batches();
    let run = batches.div_ceil(rayon::current_num_threads()).max(1);
    let runs: Vec<Range<usize>> = (0..batches).step_by(run).map(|first| first..batches.min(first + run)).collect();
    side_by_side(runs.into_par_iter().map(|run| read_batches(path, run)))
}

fn read_batches(path: &Path, run: Range<usize>) -> Result<Piece, IngestError> {
    let file = open(path)?;
    let mut piece = Piece::default();
    let mut reader = guarded(|| {
        let mut reader = FileReader::try_new(BufReader::new(file), None)?;
        reader.set_index(run.start).map(|()| reader)
    })
    .map_err(|detail| corrupt(path, Place::Batch(run.start), detail))?;
    for number in run {
        let at = |detail: String| corrupt(path, Place::Batch(number), detail);
        let Some(batch) = guarded(|| reader.next().transpose()).map_err(at)? else { break };
        piece.read(&batch, Place::Batch(number)).map_err(at)?;
    }
    Ok(piece)
}

/// The pieces in order, or the error of the first that has one.
fn side_by_side(
    pieces: impl IndexedParallelIterator<Item = Result<Piece, IngestError>>,
) -> Result<Vec<Piece>, IngestError> {
    pieces.collect::<Vec<_>>().into_iter().collect()
}

fn open(path: &Path) -> Result<File, IngestError> {
    File::open(path).map_err(|cause| io(path, cause))
}

fn io(path: &Path, cause: std::io::Error) -> IngestError {
    IngestError::Io { path: path.to_owned(), place: Place::Whole, cause }
}

fn check_columns(schema: &Schema) -> Result<(), String> {
    for name in COLUMNS {
        let found = schema.field_with_name(name).map_err(|_| format!("column `{name}` is missing"))?.data_type();
        let is_taken = match found {
            DataType::List(item) if name == "reasons" => is_text(item.data_type()),
            found => name != "reasons" && is_text(found),
        };
        if !is_taken {
            let expected = if name == "reasons" { "List<Utf8>" } else { "Utf8" };
            return Err(format!("column `{name}` is {found}, not {expected}"));
        }
    }
    Ok(())
}

impl Piece {
    /// Adds a batch with the columns that [`check_columns`] has seen.
    fn read(&mut self, batch: &RecordBatch, place: Place) -> Result<(), String> {
        let column = |name: &str| {
            let column = batch.column_by_name(name).ok_or_else(|| format!("column `{name}` is missing"))?;
            cast(column, &wanted(name, column.data_type())).map_err(|error| error.to_string())
        };
        let (persons, colours, reasons) = (column("person")?, column("colour")?, column("reasons")?);
        if persons.null_count() + colours.logical_null_count() > 0 {
            return Err("a row has no person or no colour".to_owned());
        }
        self.blocks.push(Block {
            place,
            persons: persons.as_string::<i32>().clone(),
            colours: read_colours(&colours)?,
            reasons: read_reasons(&reasons, &mut self.lists)?,
        });
        Ok(())
    }
}

fn read_colours(column: &dyn Array) -> Result<Vec<Colour>, String> {
    let dictionary = column.as_dictionary::<Int32Type>();
    let names = dictionary.values().as_string::<i32>();
    let parsed: Vec<Option<Colour>> = names.iter().map(|name| Colour::parse(name?)).collect();
    let colour = |&key: &i32| {
        let key = usize::try_from(key).expect("keys are checked by the array");
        parsed[key].ok_or_else(|| format!("{:?} is no colour", names.value(key)))
    };
    dictionary.keys().values().iter().map(colour).collect()
}

/// The numbers of the lists. A null list is empty.
fn read_reasons(column: &dyn Array, lists: &mut ReasonLists) -> Result<Vec<ListId>, String> {
    let column = column.as_list::<i32>();
    let items = column.values().as_dictionary::<Int32Type>();
    if items.logical_null_count() > 0 {
        return Err("a list of reasons holds a null".to_owned());
    }
    let (keys, names) = (items.keys().values(), items.values().as_string::<i32>());
    let empty = lists.number(Vec::new());
    let mut known: HashMap<&[i32], ListId> = HashMap::new();
    let number = |(row, ends): (usize, &[i32])| {
        let range = usize::try_from(ends[0]).unwrap_or(0)..usize::try_from(ends[1]).unwrap_or(0);
        if range.is_empty() || column.is_null(row) {
            return empty;
        }
        let keys = &keys[range];
        *known.entry(keys).or_insert_with(|| {
            let name =
                |&key: &i32| names.value(usize::try_from(key).expect("keys are checked by the array")).to_owned();
            lists.number(keys.iter().map(name).collect())
        })
    };
    Ok(column.value_offsets().windows(2).enumerate().map(number).collect())
}
