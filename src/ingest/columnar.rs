//! Parquet and Arrow IPC to decoded cells.
//!
//! The one idea: a text column that the file keeps as a dictionary stays one, so a token is hashed once a dictionary value and
//! not once a row; everything else is one typed pass a column.

use std::fs::File;
use std::io::{BufReader, Cursor, Read as _, Seek as _};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{AnyDictionaryArray, Array, ArrayRef, AsArray as _, PrimitiveArray, RecordBatch, types};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::error::ArrowError;
use arrow::ipc::reader::{FileReader, StreamReader};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Encoding, PageType};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use super::cells::{Cells, Chunk, Fault, Interners, Values, check_enumeration, check_uint};
use super::error::{IngestError, Place};
use super::guard::guarded;
use super::ipc::{self, Bounds};
use super::layout::SourceFile;
use super::row_json::row_json;
use super::{Part, Sources};
use crate::ingest::rows::Decode;
use crate::limits::{DECODE_ROWS_MAX, ROW_GROUP_ROWS_RESERVED_MAX};
use crate::model::{Column, ColumnType, Table};

/// One piece of work: a Parquet row group, or a run of record batches of an Arrow file.
pub(super) enum Task {
    RowGroup { metadata: ArrowReaderMetadata, group: usize, first_row: u64, bytes: u64 },
    Batches { range: Range<usize>, bytes: u64 },
    Stream { bytes: u64 },
}

impl Task {
    pub(super) const fn bytes(&self) -> u64 {
        match self {
            Self::RowGroup { bytes, .. } | Self::Batches { bytes, .. } | Self::Stream { bytes } => *bytes,
        }
    }
}

pub(super) fn io(file: &SourceFile, cause: std::io::Error) -> IngestError {
    IngestError::Io { path: file.path.clone(), place: Place::Whole, cause }
}

pub(super) fn corrupt(file: &SourceFile, place: Place, detail: impl Into<String>) -> IngestError {
    IngestError::Corrupt { path: file.path.clone(), place, column: None, detail: detail.into() }
}

/// What a Parquet file says of itself, and the names of columns that its table does not know.
pub(super) fn parquet_metadata(file: &SourceFile) -> Result<(ArrowReaderMetadata, Vec<String>), IngestError> {
    let handle = File::open(&file.path).map_err(|cause| io(file, cause))?;
    let load = |options| guarded(|| ArrowReaderMetadata::load(&handle, options));
    let plain = load(ArrowReaderOptions::new()).map_err(|detail| corrupt(file, Place::Whole, detail))?;
    let extra = check_schema(file, plain.schema(), Place::RowGroup(0))?;
    let hinted = keep_dictionaries(plain.schema(), plain.metadata());
    // A hint that the reader does not take costs speed, not correctness.
    Ok((load(ArrowReaderOptions::new().with_schema(hinted)).unwrap_or(plain), extra))
}

/// Splits a Parquet file into its row groups, after checking its columns.
pub(super) fn plan_parquet(file: &SourceFile) -> Result<(Vec<Task>, Vec<String>), IngestError> {
    let (metadata, extra) = parquet_metadata(file)?;
    let mut first_row = 0u64;
    let mut tasks = Vec::new();
    for (group, meta) in metadata.metadata().row_groups().iter().enumerate() {
        let rows = u64::try_from(meta.num_rows())
            .map_err(|_| corrupt(file, Place::RowGroup(group), "negative number of rows"))?;
        let bytes = u64::try_from(meta.compressed_size()).unwrap_or(0);
        tasks.push(Task::RowGroup { metadata: metadata.clone(), group, first_row, bytes });
        first_row = first_row.saturating_add(rows);
    }
    Ok((tasks, extra))
}

/// The schema to read with: text columns that are dictionaries throughout are read as such.
fn keep_dictionaries(schema: &Schema, metadata: &ParquetMetaData) -> Arc<Schema> {
    let pure = |name: &str| {
        metadata.row_groups().iter().all(|group| {
            group.columns().iter().any(|chunk| {
                let path = chunk.column_path().parts();
                path.len() == 1 && path[0] == name && is_pure_dictionary(chunk)
            })
        })
    };
    let fields = schema.fields().iter().map(|field| {
        let text = matches!(field.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        if text && pure(field.name()) {
            let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
            Arc::new(Field::new(field.name(), dictionary, field.is_nullable()))
        } else {
            Arc::clone(field)
        }
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn is_pure_dictionary(chunk: &ColumnChunkMetaData) -> bool {
    let dictionary = |encoding: Encoding| matches!(encoding, Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY);
    let data_page = |page: PageType| matches!(page, PageType::DATA_PAGE | PageType::DATA_PAGE_V2);
    chunk.page_encoding_stats().is_some_and(|stats| {
        stats.iter().any(|stat| data_page(stat.page_type))
            && stats.iter().all(|stat| !data_page(stat.page_type) || dictionary(stat.encoding))
    })
}

/// Splits an Arrow file into runs of batches; a stream is one piece.
pub(super) fn plan_arrow(file: &SourceFile) -> Result<(Vec<Task>, Vec<String>), IngestError> {
    let bytes = std::fs::metadata(&file.path).map_err(|cause| io(file, cause))?.len();
    let (reader, extra) = arrow_reader(file, bytes)?;
    let ArrowReader::File(reader) = reader else { return Ok((vec![Task::Stream { bytes }], extra)) };
    let batches = reader.num_batches();
    let run = batches.div_ceil(rayon::current_num_threads()).max(1);
    let runs = (0..batches).step_by(run).map(|begin| begin..(begin + run).min(batches));
    let share = bytes / batches.max(1) as u64;
    Ok((runs.map(|range| Task::Batches { bytes: share * range.len() as u64, range }).collect(), extra))
}

/// A reader of an Arrow file in one of its two forms.
pub(super) enum ArrowReader {
    File(FileReader<BufReader<File>>),
    Stream(StreamReader<BufReader<File>>),
}

/// Opens an Arrow file of this length, after checking the lengths that it says, and its columns; and names those that its table
/// does not know.
pub(super) fn arrow_reader(file: &SourceFile, bytes: u64) -> Result<(ArrowReader, Vec<String>), IngestError> {
    let is_file = is_arrow_file(file)?;
    let handle = File::open(&file.path).map_err(|cause| io(file, cause))?;
    let check = if is_file { ipc::check_file } else { ipc::check_stream };
    check(handle, bytes, Bounds::FILE).map_err(|(place, detail)| corrupt(file, place, detail))?;
    let reader = guarded(|| {
        Ok::<_, ArrowError>(if is_file {
            ArrowReader::File(FileReader::try_new(open(file)?, None)?)
        } else {
            ArrowReader::Stream(StreamReader::try_new(open(file)?, None)?)
        })
    });
    let reader = reader.map_err(|detail| corrupt(file, Place::Whole, detail))?;
    let schema = match &reader {
        ArrowReader::File(reader) => reader.schema(),
        ArrowReader::Stream(reader) => reader.schema(),
    };
    let extra = check_schema(file, &schema, Place::Batch(0))?;
    Ok((reader, extra))
}

fn open(file: &SourceFile) -> Result<BufReader<File>, ArrowError> {
    Ok(BufReader::new(File::open(&file.path)?))
}

fn is_arrow_file(file: &SourceFile) -> Result<bool, IngestError> {
    let mut handle = File::open(&file.path).map_err(|cause| io(file, cause))?;
    let mut magic = [0u8; 6];
    let found = handle.read(&mut magic).map_err(|cause| io(file, cause))?;
    handle.rewind().map_err(|cause| io(file, cause))?;
    Ok(&magic[..found] == b"ARROW1")
}

/// Checks that every column wanted is there once and of a type that is taken; gives the names of the others.
fn check_schema(file: &SourceFile, schema: &Schema, place: Place) -> Result<Vec<String>, IngestError> {
    let columns = file.table.columns();
    for column in columns {
        let mut found = schema.fields().iter().filter(|field| field.name() == column.name);
        let Some(field) = found.next() else {
            if column.nullable {
                continue;
            }
            let found = schema.fields().iter().map(|field| field.name().clone()).collect();
            return Err(IngestError::MissingColumn { path: file.path.clone(), place, column: column.name, found });
        };
        if found.next().is_some() {
            return Err(IngestError::ColumnTwice { path: file.path.clone(), place, column: column.name });
        }
        if !takes(column.kind, field.data_type()) {
            return Err(IngestError::WrongType {
                path: file.path.clone(),
                place,
                column: column.name,
                expected: column.kind.arrow().to_string(),
                found: field.data_type().to_string(),
            });
        }
    }
    let known = |name: &str| columns.iter().any(|column| column.name == name);
    Ok(schema.fields().iter().map(|field| field.name().clone()).filter(|name| !known(name)).collect())
}

/// Whether values of an Arrow type can stand in a column of this kind.
fn takes(kind: ColumnType, found: &DataType) -> bool {
    let text = |found: &DataType| matches!(found, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    match (kind, found) {
        (_, DataType::Null) => true,
        (ColumnType::UInt64 | ColumnType::UInt32 | ColumnType::UInt16 | ColumnType::Region, found) => {
            found.is_integer()
        }
        (ColumnType::Float64, found) => *found == DataType::Float64,
        (ColumnType::Boolean, found) => *found == DataType::Boolean,
        (ColumnType::Timestamp, found) => matches!(found, DataType::Timestamp(_, _)),
        (_, DataType::Dictionary(_, values)) => text(values),
        (_, found) => text(found),
    }
}

/// Runs one task: its rows and rejections.
pub(super) fn run<C: Decode>(
    file: &SourceFile,
    source: u32,
    task: &Task,
    sources: &Sources<'_>,
) -> Result<Part<C>, IngestError> {
    match task {
        Task::RowGroup { metadata, group, first_row, .. } => {
            run_row_group(file, source, metadata, *group, *first_row, sources)
        }
        Task::Batches { range, .. } => run_batches(file, source, range.clone(), sources),
        Task::Stream { .. } => {
            let place = Place::Batch(0);
            let reader =
                guarded(|| StreamReader::try_new(open(file)?, None)).map_err(|detail| corrupt(file, place, detail))?;
            drain(file, source, reader, 0, 0, sources)
        }
    }
}

/// Rows of one table in a stream in memory, with the names of columns that are none of the table's. What is refused of the rows
/// is at the most `text_bytes_max` times the table's columns.
pub(super) fn take_stream<C: Decode>(
    file: &SourceFile,
    source: u32,
    bytes: &[u8],
    (bounds, text_bytes_max): (Bounds, usize),
    interners: &Interners,
) -> Result<(Part<C>, Vec<String>), IngestError> {
    ipc::check_stream(Cursor::new(bytes), bytes.len() as u64, bounds)
        .map_err(|(place, detail)| corrupt(file, place, detail))?;
    let reader = guarded(|| StreamReader::try_new(Cursor::new(bytes), None));
    let mut batches = reader.map_err(|detail| corrupt(file, Place::Whole, detail))?;
    let extra = check_schema(file, &batches.schema(), Place::Batch(0))?;
    let (mut part, mut first_row) = (Part::default(), 0);
    let mut decoder = Decoder::new(file.table, source, interners);
    for number in 0.. {
        let place = Place::Batch(number);
        let batch = guarded(|| batches.next().transpose()).map_err(|detail| corrupt(file, place, detail))?;
        let Some(batch) = batch else { break };
        let columns = file.table.columns().iter().filter_map(|column| batch.column_by_name(column.name));
        let longest = columns.map(longest_text).max().unwrap_or(0);
        if longest.saturating_mul(batch.num_rows()) > text_bytes_max {
            return Err(corrupt(file, place, format!("{} rows with texts of {longest} bytes", batch.num_rows())));
        }
        take_batch(&mut decoder, &batch, file, first_row, &mut part);
        first_row += batch.num_rows() as u64;
    }
    Ok((part, extra))
}

/// Length of the longest text in an array.
pub(super) fn longest_text(array: &ArrayRef) -> usize {
    let array = array.as_any_dictionary_opt().map_or(array, AnyDictionaryArray::values);
    match array.data_type() {
        DataType::Utf8 => longest(array.as_string::<i32>().iter()),
        DataType::LargeUtf8 => longest(array.as_string::<i64>().iter()),
        DataType::Utf8View => longest(array.as_string_view().iter()),
        _ => 0,
    }
}

fn longest<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> usize {
    texts.flatten().map(str::len).max().unwrap_or(0)
}

fn run_batches<C: Decode>(
    file: &SourceFile,
    source: u32,
    range: Range<usize>,
    sources: &Sources<'_>,
) -> Result<Part<C>, IngestError> {
    let place = Place::Batch(range.start);
    let fail = |detail: String| corrupt(file, place, detail);
    let mut reader = guarded(|| FileReader::try_new(open(file)?, None)).map_err(fail)?;
    // A footer does not say how many rows a batch has, so the rows before this run are counted by reading past them.
    let mut first_row = 0u64;
    if range.start > 0 {
        guarded(|| reader.set_index(0)).map_err(fail)?;
        for _ in 0..range.start {
            if let Some(batch) = guarded(|| reader.next().transpose()).map_err(fail)? {
                first_row += batch.num_rows() as u64;
            }
        }
    }
    drain(file, source, reader.take(range.len()), range.start, first_row, sources)
}

fn drain<C: Decode>(
    file: &SourceFile,
    source: u32,
    mut batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
    first_batch: usize,
    mut first_row: u64,
    sources: &Sources<'_>,
) -> Result<Part<C>, IngestError> {
    let mut part = Part::default();
    let mut decoder = Decoder::new(file.table, source, &sources.interners);
    for number in first_batch.. {
        sources.check_interrupted()?;
        let batch = guarded(|| batches.next().transpose()).map_err(|detail| batch_error(file, number, detail))?;
        let Some(batch) = batch else { break };
        let rows = batch.num_rows() as u64;
        take_batch(&mut decoder, &batch, file, first_row, &mut part);
        first_row += rows;
    }
    Ok(part)
}

/// The error of a record batch that cannot be read, with the first column that cannot be read by itself.
pub(super) fn batch_error(file: &SourceFile, number: usize, detail: String) -> IngestError {
    let found = is_arrow_file(file).ok().and_then(|is_file| ipc::failing_column(&file.path, is_file, number));
    let (column, detail) = found.map_or((None, detail), |(column, detail)| (Some(column), detail));
    IngestError::Corrupt { path: file.path.clone(), place: Place::Batch(number), column, detail }
}

fn run_row_group<C: Decode>(
    file: &SourceFile,
    source: u32,
    metadata: &ArrowReaderMetadata,
    group: usize,
    first_row: u64,
    sources: &Sources<'_>,
) -> Result<Part<C>, IngestError> {
    let wanted = wanted_columns(file, metadata);
    let mut part: Part<C> = Part::default();
    // What the footer says of itself may be damaged: it is worth a reservation, but not all memory.
    let rows_said = u64::try_from(metadata.metadata().row_group(group).num_rows()).unwrap_or(0);
    part.rows.reserve(usize::try_from(rows_said).unwrap_or(usize::MAX).min(ROW_GROUP_ROWS_RESERVED_MAX));
    let mut decoder = Decoder::new(file.table, source, &sources.interners);
    let mut reader = row_group_reader(file, metadata, group, &wanted)
        .map_err(|detail| name_column(file, metadata, group, &wanted, detail))?;
    let mut rows = 0u64;
    loop {
        sources.check_interrupted()?;
        let next = guarded(|| reader.next().transpose());
        let batch = next.map_err(|detail| name_column(file, metadata, group, &wanted, detail))?;
        let Some(batch) = batch else { break };
        take_batch(&mut decoder, &batch, file, first_row + rows, &mut part);
        rows += batch.num_rows() as u64;
    }
    if rows != rows_said {
        return Err(corrupt(file, Place::RowGroup(group), format!("{rows} rows where the footer says {rows_said}")));
    }
    Ok(part)
}

/// The columns of a Parquet file that its table knows.
pub(super) fn wanted_columns(file: &SourceFile, metadata: &ArrowReaderMetadata) -> Vec<usize> {
    let is_wanted = |name: &str| file.table.columns().iter().any(|column| column.name == name);
    let fields = metadata.schema().fields().iter().enumerate();
    fields.filter(|(_, field)| is_wanted(field.name())).map(|(index, _)| index).collect()
}

pub(super) fn parquet_reader(
    file: &SourceFile,
    metadata: &ArrowReaderMetadata,
    roots: &[usize],
) -> Result<ParquetRecordBatchReaderBuilder<File>, ParquetError> {
    let handle = File::open(&file.path)?;
    let mask = ProjectionMask::roots(metadata.parquet_schema(), roots.iter().copied());
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(handle, metadata.clone());
    Ok(builder.with_projection(mask).with_batch_size(DECODE_ROWS_MAX))
}

fn row_group_reader(
    file: &SourceFile,
    metadata: &ArrowReaderMetadata,
    group: usize,
    roots: &[usize],
) -> Result<parquet::arrow::arrow_reader::ParquetRecordBatchReader, String> {
    guarded(|| parquet_reader(file, metadata, roots)?.with_row_groups(vec![group]).build())
}

/// The error of a row group that cannot be read, with the first column that cannot be read by itself.
fn name_column(
    file: &SourceFile,
    metadata: &ArrowReaderMetadata,
    group: usize,
    roots: &[usize],
    detail: String,
) -> IngestError {
    let fails = |root: usize| -> Option<String> {
        let mut reader = match row_group_reader(file, metadata, group, &[root]) {
            Ok(reader) => reader,
            Err(detail) => return Some(detail),
        };
        loop {
            match guarded(|| reader.next().transpose()) {
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(detail) => return Some(detail),
            }
        }
    };
    let found = roots.iter().find_map(|&root| fails(root).map(|detail| (root, detail)));
    let (column, detail) = match found {
        Some((root, detail)) => (Some(metadata.schema().field(root).name().clone()), detail),
        None => (None, detail),
    };
    IngestError::Corrupt { path: file.path.clone(), place: Place::RowGroup(group), column, detail }
}

pub(super) fn take_batch<C: Decode>(
    decoder: &mut Decoder<'_>,
    batch: &RecordBatch,
    file: &SourceFile,
    first_row: u64,
    part: &mut Part<C>,
) {
    let chunk = decoder.chunk(batch);
    part.take(chunk, &file.name, |row| first_row + row as u64, |row| row_json(file.table, batch, row));
}

/// Decodes the batches of one task; remembers the dictionaries that it has interned.
pub(super) struct Decoder<'a> {
    table: Table,
    source: u32,
    interners: &'a Interners,
    dictionaries: Vec<Option<(ArrayRef, Cells)>>,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(table: Table, source: u32, interners: &'a Interners) -> Self {
        let dictionaries = table.columns().iter().map(|_| None).collect();
        Self { table, source, interners, dictionaries }
    }

    fn chunk(&mut self, batch: &RecordBatch) -> Chunk {
        let cells =
            self.table.columns().iter().enumerate().map(|(index, column)| match batch.column_by_name(column.name) {
                Some(array) => self.decode_column(index, column, array),
                None => Cells::ABSENT,
            });
        let cells = cells.collect();
        Chunk { table: self.table, rows: batch.num_rows(), cells, source: self.source }
    }

    fn decode_column(&mut self, index: usize, column: &Column, array: &ArrayRef) -> Cells {
        let Some(dictionary) = array.as_any_dictionary_opt() else {
            return decode_array(column, array, self.interners);
        };
        let values = dictionary.values();
        if values.is_empty() {
            // Every row is null; keys cannot be made safe to look up in nothing.
            return Cells::ABSENT;
        }
        let known = self.dictionaries[index].take().filter(|(seen, _)| Arc::ptr_eq(seen, values));
        let (values, decoded) =
            known.unwrap_or_else(|| (Arc::clone(values), decode_array(column, values, self.interners)));
        let cells = expand(array, &dictionary.normalized_keys(), &decoded);
        self.dictionaries[index] = Some((values, decoded));
        cells
    }
}

/// A dictionary column, row by row.
fn expand(array: &dyn Array, keys: &[usize], values: &Cells) -> Cells {
    let judge = |row: usize, key: usize| {
        if array.is_null(row) { Fault::Null as u8 } else { values.faults.get(key).copied().unwrap_or(0) }
    };
    let any = array.null_count() > 0 || values.faults.iter().any(|&code| code != 0);
    let faults = if any { keys.iter().enumerate().map(|(row, &key)| judge(row, key)).collect() } else { Vec::new() };
    let expanded = match &values.values {
        Values::Token(ids) => {
            Values::Token(keys.iter().map(|&key| ids.get(key).copied().unwrap_or_default()).collect())
        }
        Values::Code(codes) => {
            Values::Code(keys.iter().map(|&key| codes.get(key).copied().unwrap_or_default()).collect())
        }
        _ => Values::Absent,
    };
    Cells { values: expanded, faults }
}

fn decode_array(column: &Column, array: &ArrayRef, interners: &Interners) -> Cells {
    match column.kind {
        ColumnType::UInt64 | ColumnType::UInt32 | ColumnType::UInt16 | ColumnType::Region => {
            decode_integers(column.kind, array)
        }
        ColumnType::Float64 => match array.as_primitive_opt::<types::Float64Type>() {
            Some(array) => checked(array, Ok, Values::Float),
            None => Cells::ABSENT,
        },
        ColumnType::Boolean => match array.as_boolean_opt() {
            Some(flags) => {
                let cells = flags.iter().map(|flag| flag.ok_or(Fault::Null));
                Cells::collect(array.len(), cells, Values::Bool)
            }
            None => Cells::ABSENT,
        },
        ColumnType::Timestamp => decode_instants(array),
        ColumnType::Enumeration(_) | ColumnType::Text | ColumnType::Key => match array.data_type() {
            DataType::Utf8 => decode_texts(column, array.len(), array.as_string::<i32>().iter(), interners),
            DataType::LargeUtf8 => decode_texts(column, array.len(), array.as_string::<i64>().iter(), interners),
            DataType::Utf8View => decode_texts(column, array.len(), array.as_string_view().iter(), interners),
            _ => Cells::ABSENT,
        },
    }
}

fn decode_texts<'a>(
    column: &Column,
    rows: usize,
    texts: impl Iterator<Item = Option<&'a str>>,
    interners: &Interners,
) -> Cells {
    let texts = texts.map(|text| text.ok_or(Fault::Null));
    match column.kind {
        ColumnType::Enumeration(names) => {
            let codes = texts.map(|text| check_enumeration(names, text?));
            Cells::collect(rows, codes, Values::Code)
        }
        _ => Cells::intern(column, interners.of(column), rows, texts),
    }
}

/// The values of an array, each checked. What stands at a null is not looked at.
fn checked<P: types::ArrowPrimitiveType, T: Copy + Default>(
    array: &PrimitiveArray<P>,
    check: impl Fn(P::Native) -> Result<T, Fault>,
    wrap: impl FnOnce(Vec<T>) -> Values,
) -> Cells {
    let values = array.values().iter().copied();
    match array.nulls() {
        None => Cells::collect(array.len(), values.map(check), wrap),
        Some(nulls) => {
            let cells = values.zip(nulls).map(|(value, valid)| if valid { check(value) } else { Err(Fault::Null) });
            Cells::collect(array.len(), cells, wrap)
        }
    }
}

fn decode_integers(kind: ColumnType, array: &ArrayRef) -> Cells {
    macro_rules! widths {
        ($($name:ident => $native:ty),+) => {
            match array.data_type() {
                $(DataType::$name => {
                    let check = |value| check_uint(kind, u64::try_from(value).map_err(|_| Fault::Type)?);
                    checked(array.as_primitive::<$native>(), check, Values::UInt)
                })+
                _ => Cells::ABSENT,
            }
        };
    }
    widths! {
        UInt64 => types::UInt64Type, UInt32 => types::UInt32Type, UInt16 => types::UInt16Type, UInt8 => types::UInt8Type,
        Int64 => types::Int64Type, Int32 => types::Int32Type, Int16 => types::Int16Type, Int8 => types::Int8Type
    }
}

fn decode_instants(array: &ArrayRef) -> Cells {
    macro_rules! units {
        ($($unit:ident: $native:ty => $micros:expr),+ $(,)?) => {
            match array.data_type() {
                $(DataType::Timestamp(TimeUnit::$unit, _) => {
                    let check = |value: i64| $micros(value).ok_or(Fault::Type);
                    checked(array.as_primitive::<$native>(), check, Values::Instant)
                })+
                _ => Cells::ABSENT,
            }
        };
    }
    units! {
        Microsecond: types::TimestampMicrosecondType => Some,
        Nanosecond: types::TimestampNanosecondType => |value: i64| Some(value.div_euclid(1000)),
        Millisecond: types::TimestampMillisecondType => |value: i64| value.checked_mul(1000),
        Second: types::TimestampSecondType => |value: i64| value.checked_mul(1_000_000),
    }
}
