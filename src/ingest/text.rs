//! CSV and NDJSON to decoded cells.
//!
//! The one idea: one thread splits the (unpacked) text into blocks of records, since only it knows where a record ends; the
//! blocks cross a bounded channel to the workers, which parse and check them side by side. Memory is the channel's bound
//! times a block.
//!
//! An empty CSV field is a null. A record that is none of its format is refused whole as `malformed`.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::{Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};
use csv::ByteRecord;
use flate2::read::MultiGzDecoder;
use serde_json::{Map, Value};

use super::cells::{Cells, Chunk, Fault, Interners, Values, check_enumeration, check_uint};
use super::error::{IngestError, Place};
use super::layout::{Compression, Format, SourceFile};
use super::rows::Decode;
use super::{Part, Sources};
use crate::limits::{TEXT_BLOCK_ROWS_MAX, TEXT_BLOCKS_PENDING_MAX, TEXT_LINE_BYTES_MAX};
use crate::model::{Column, ColumnType, Reason, Rejection, Table, Timestamp};

/// A run of records as they came, numbered so that parts can be put back in order.
struct Block {
    number: usize,
    records: Vec<(u64, Raw)>,
}

enum Raw {
    Csv(ByteRecord),
    Json(Vec<u8>),
}

/// What is known of a file before its records: for CSV, which field is which column.
enum Shape {
    Csv { names: Vec<String>, field_of: Vec<Option<usize>> },
    Json,
}

type Done<C> = (usize, Part<C>);

/// Reads a whole text file: its parts in order, and the names of columns that the table does not know.
pub(super) fn run<C: Decode>(
    file: &SourceFile,
    source: u32,
    sources: &Sources<'_>,
) -> Result<(Vec<Part<C>>, BTreeSet<String>), IngestError> {
    let mut reader = open(file)?;
    // csv counts a line when it meets its `\n`, which in a CRLF file is after the record has ended.
    let begin = reader.fill_buf().map_err(|cause| io_error(file, 1, cause))?;
    let line_shift = u64::from(memchr::memchr(b'\n', begin).is_some_and(|end| end > 0 && begin[end - 1] == b'\r'));
    let extra = Mutex::new(BTreeSet::new());
    let (shape, splitter) = match file.format {
        Format::Csv(_) => {
            let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(reader);
            let shape = csv_shape(file, &mut reader, &mut extra.lock().unwrap_or_else(PoisonError::into_inner))?;
            (shape, Splitter::Csv { reader, line_shift })
        }
        _ => (Shape::Json, Splitter::Json { reader, line: 0 }),
    };
    let (send_block, blocks) = bounded::<Block>(TEXT_BLOCKS_PENDING_MAX);
    let (send_part, parts) = crossbeam_channel::unbounded::<Done<C>>();
    // Threads of their own: a worker of the pool that waited on a channel could keep another task of the pool waiting.
    let split = std::thread::scope(|scope| {
        for _ in 0..rayon::current_num_threads() {
            let (blocks, send_part, shape, extra) = (blocks.clone(), send_part.clone(), &shape, &extra);
            scope.spawn(move || work(file, source, shape, sources, &blocks, &send_part, extra));
        }
        drop((send_part, blocks));
        let split = splitter.split(file, sources, &send_block);
        // The workers end when nobody can send any more.
        drop(send_block);
        split
    });
    split?;
    let mut parts: Vec<Done<C>> = parts.into_iter().collect();
    parts.sort_unstable_by_key(|(number, _)| *number);
    let extra = extra.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok((parts.into_iter().map(|(_, part)| part).collect(), extra))
}

/// Opens and unpacks; gives the reader past a byte order mark.
fn open(file: &SourceFile) -> Result<Box<dyn BufRead + Send>, IngestError> {
    let failed = |cause| IngestError::Io { path: file.path.clone(), place: Place::Whole, cause };
    let handle = File::open(&file.path).map_err(failed)?;
    let (Format::Csv(compression) | Format::Ndjson(compression)) = file.format else {
        return Ok(Box::new(BufReader::new(handle)));
    };
    let unpacked: Box<dyn Read + Send> = match compression {
        Compression::Plain => Box::new(handle),
        Compression::Gzip => Box::new(MultiGzDecoder::new(BufReader::new(handle))),
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::new(handle).map_err(failed)?),
    };
    let mut reader = BufReader::with_capacity(1 << 18, unpacked);
    let begin = reader.fill_buf().map_err(|cause| io_error(file, 1, cause))?;
    if begin.starts_with(b"\xEF\xBB\xBF") {
        reader.consume(3);
    }
    Ok(Box::new(reader))
}

/// Errors of decompression arrive as I/O errors; both say where the text broke off.
fn io_error(file: &SourceFile, line: u64, cause: io::Error) -> IngestError {
    let place = Place::Line(line);
    let path = file.path.clone();
    match cause.kind() {
        io::ErrorKind::InvalidData
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::Other => IngestError::Corrupt { path, place, column: None, detail: cause.to_string() },
        _ => IngestError::Io { path, place, cause },
    }
}

fn csv_error(file: &SourceFile, line: u64, cause: csv::Error) -> IngestError {
    match cause.into_kind() {
        csv::ErrorKind::Io(cause) => io_error(file, line, cause),
        kind => IngestError::Corrupt {
            path: file.path.clone(),
            place: Place::Line(line),
            column: None,
            detail: format!("{kind:?}"),
        },
    }
}

fn csv_shape(
    file: &SourceFile,
    reader: &mut csv::Reader<Box<dyn BufRead + Send>>,
    extra: &mut BTreeSet<String>,
) -> Result<Shape, IngestError> {
    let place = Place::Line(1);
    let headers = reader.byte_headers().map_err(|cause| csv_error(file, 1, cause))?;
    let names: Vec<String> = headers.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
    let mut field_of = Vec::new();
    for column in file.table.columns() {
        let mut found = names.iter().enumerate().filter(|(_, name)| *name == column.name).map(|(index, _)| index);
        let first = found.next();
        if found.next().is_some() {
            return Err(IngestError::ColumnTwice { path: file.path.clone(), place, column: column.name });
        }
        if first.is_none() && !column.nullable {
            let path = file.path.clone();
            return Err(IngestError::MissingColumn { path, place, column: column.name, found: names });
        }
        field_of.push(first);
    }
    extra.extend(names.iter().filter(|name| !known(file.table, name)).cloned());
    Ok(Shape::Csv { names, field_of })
}

fn known(table: Table, name: &str) -> bool {
    table.columns().iter().any(|column| column.name == name)
}

enum Splitter {
    Csv { reader: csv::Reader<Box<dyn BufRead + Send>>, line_shift: u64 },
    Json { reader: Box<dyn BufRead + Send>, line: u64 },
}

impl Splitter {
    fn split(mut self, file: &SourceFile, sources: &Sources<'_>, blocks: &Sender<Block>) -> Result<(), IngestError> {
        for number in 0.. {
            sources.check_interrupted()?;
            let mut records = Vec::with_capacity(TEXT_BLOCK_ROWS_MAX);
            while records.len() < TEXT_BLOCK_ROWS_MAX {
                match self.next(file)? {
                    Some(record) => records.push(record),
                    None => break,
                }
            }
            if records.is_empty() {
                break;
            }
            // The workers are gone only if one of them panicked, which the scope reports.
            if blocks.send(Block { number, records }).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn next(&mut self, file: &SourceFile) -> Result<Option<(u64, Raw)>, IngestError> {
        match self {
            Self::Csv { reader, line_shift } => {
                let mut record = ByteRecord::new();
                let at = reader.position().line();
                let more = reader.read_byte_record(&mut record).map_err(|cause| csv_error(file, at, cause))?;
                let line = record.position().map_or(at, csv::Position::line);
                Ok(more.then_some((line + *line_shift, Raw::Csv(record))))
            }
            Self::Json { reader, line } => loop {
                let mut text = Vec::new();
                *line += 1;
                let limit = TEXT_LINE_BYTES_MAX as u64;
                let read = reader
                    .by_ref()
                    .take(limit)
                    .read_until(b'\n', &mut text)
                    .map_err(|cause| io_error(file, *line, cause))?;
                if read == 0 {
                    return Ok(None);
                }
                if read == TEXT_LINE_BYTES_MAX && text.last() != Some(&b'\n') {
                    let detail = format!("a line of more than {TEXT_LINE_BYTES_MAX} bytes");
                    let path = file.path.clone();
                    return Err(IngestError::Corrupt { path, place: Place::Line(*line), column: None, detail });
                }
                if !text.trim_ascii().is_empty() {
                    return Ok(Some((*line, Raw::Json(text))));
                }
            },
        }
    }
}

fn work<C: Decode>(
    file: &SourceFile,
    source: u32,
    shape: &Shape,
    sources: &Sources<'_>,
    blocks: &Receiver<Block>,
    parts: &Sender<Done<C>>,
    extra: &Mutex<BTreeSet<String>>,
) {
    for block in blocks {
        let part = match shape {
            Shape::Csv { names, field_of } => {
                csv_part(file, source, names, field_of, block.records, &sources.interners)
            }
            Shape::Json => json_part(file, source, block.records, &sources.interners, extra),
        };
        // The receiver outlives the scope.
        let _ = parts.send((block.number, part));
    }
}

fn csv_part<C: Decode>(
    file: &SourceFile,
    source: u32,
    names: &[String],
    field_of: &[Option<usize>],
    records: Vec<(u64, Raw)>,
    interners: &Interners,
) -> Part<C> {
    let mut part = Part::default();
    let mut good: Vec<(u64, ByteRecord)> = Vec::with_capacity(records.len());
    for (line, raw) in records {
        let Raw::Csv(record) = raw else { continue };
        if record.len() == names.len() {
            good.push((line, record));
        } else {
            let fields: Vec<Value> = record.iter().map(|field| String::from_utf8_lossy(field).into()).collect();
            part.rejections.push(malformed(file, line, &Value::Array(fields)));
        }
    }
    let cells = file.table.columns().iter().zip(field_of).map(|(column, field)| match field {
        None => Cells::ABSENT,
        Some(field) => {
            let raw = good.iter().map(|(_, record)| match record.get(*field) {
                None | Some(b"") => RawCell::Null,
                Some(bytes) => std::str::from_utf8(bytes).map_or(RawCell::Illegible, RawCell::Text),
            });
            decode(column, raw, good.len(), interners)
        }
    });
    let chunk = Chunk { table: file.table, rows: good.len(), cells: cells.collect(), source };
    let row_json = |row: usize| {
        let fields = names.iter().zip(&good[row].1);
        let object = fields.map(|(name, field)| (name.clone(), String::from_utf8_lossy(field).into()));
        Value::Object(object.collect()).to_string()
    };
    part.take(&chunk, &file.name, |row| good[row].0, row_json);
    part
}

fn json_part<C: Decode>(
    file: &SourceFile,
    source: u32,
    records: Vec<(u64, Raw)>,
    interners: &Interners,
    extra: &Mutex<BTreeSet<String>>,
) -> Part<C> {
    let mut part = Part::default();
    let mut good: Vec<(u64, Map<String, Value>)> = Vec::with_capacity(records.len());
    let mut unknown = BTreeSet::new();
    for (line, raw) in records {
        let Raw::Json(text) = raw else { continue };
        if let Ok(object) = serde_json::from_slice::<Map<String, Value>>(&text) {
            unknown.extend(object.keys().filter(|name| !known(file.table, name)).cloned());
            good.push((line, object));
        } else {
            let text = String::from_utf8_lossy(text.trim_ascii()).into_owned();
            part.rejections.push(malformed(file, line, &Value::String(text)));
        }
    }
    if !unknown.is_empty() {
        extra.lock().unwrap_or_else(PoisonError::into_inner).append(&mut unknown);
    }
    let cells = file.table.columns().iter().map(|column| {
        let raw = good.iter().map(|(_, object)| match object.get(column.name) {
            None | Some(Value::Null) => RawCell::Null,
            Some(value) => RawCell::Json(value),
        });
        decode(column, raw, good.len(), interners)
    });
    let chunk = Chunk { table: file.table, rows: good.len(), cells: cells.collect(), source };
    let row_json = |row: usize| serde_json::to_string(&good[row].1).unwrap_or_default();
    part.take(&chunk, &file.name, |row| good[row].0, row_json);
    part
}

fn malformed(file: &SourceFile, line: u64, row: &Value) -> Rejection {
    Rejection {
        table: file.table,
        id: None,
        reason: Reason::Malformed,
        column: None,
        row: row.to_string(),
        source: file.name.clone(),
        offset: line,
    }
}

/// A field as it came.
#[derive(Clone, Copy)]
enum RawCell<'a> {
    Null,
    /// CSV: any type is spelt as text.
    Text(&'a str),
    /// NDJSON: types are JSON's own.
    Json(&'a Value),
    /// Not UTF-8.
    Illegible,
}

impl<'a> RawCell<'a> {
    fn text(self) -> Result<&'a str, Fault> {
        match self {
            Self::Null => Err(Fault::Null),
            Self::Text(text) => Ok(text),
            Self::Json(Value::String(text)) => Ok(text),
            _ => Err(Fault::Type),
        }
    }

    fn uint(self) -> Result<u64, Fault> {
        match self {
            Self::Null => Err(Fault::Null),
            Self::Text(text) => text.parse().map_err(|_| Fault::Type),
            Self::Json(value) => value.as_u64().ok_or(Fault::Type),
            Self::Illegible => Err(Fault::Type),
        }
    }

    fn float(self) -> Result<f64, Fault> {
        match self {
            Self::Null => Err(Fault::Null),
            Self::Text(text) => text.parse().map_err(|_| Fault::Type),
            Self::Json(value) => value.as_f64().ok_or(Fault::Type),
            Self::Illegible => Err(Fault::Type),
        }
    }

    fn bool(self) -> Result<bool, Fault> {
        match self {
            Self::Null => Err(Fault::Null),
            Self::Text(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Self::Text(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Self::Json(value) => value.as_bool().ok_or(Fault::Type),
            _ => Err(Fault::Type),
        }
    }

    fn instant(self) -> Result<i64, Fault> {
        let instant = Timestamp::parse_rfc3339(self.text()?).ok_or(Fault::Type)?;
        Ok(instant.0)
    }
}

fn decode<'a>(column: &Column, cells: impl Iterator<Item = RawCell<'a>>, rows: usize, interners: &Interners) -> Cells {
    match column.kind {
        ColumnType::UInt64 | ColumnType::UInt32 | ColumnType::UInt16 | ColumnType::Region => {
            let checked = cells.map(|cell| cell.uint().and_then(|value| check_uint(column.kind, value)));
            Cells::collect(rows, checked, Values::UInt)
        }
        ColumnType::Float64 => Cells::collect(rows, cells.map(RawCell::float), Values::Float),
        ColumnType::Boolean => Cells::collect(rows, cells.map(RawCell::bool), Values::Bool),
        ColumnType::Timestamp => Cells::collect(rows, cells.map(RawCell::instant), Values::Instant),
        ColumnType::Enumeration(names) => {
            let codes = cells.map(|cell| cell.text().and_then(|text| check_enumeration(names, text)));
            Cells::collect(rows, codes, Values::Code)
        }
        ColumnType::Text | ColumnType::Key => {
            let texts: Vec<Result<&str, Fault>> = cells.map(RawCell::text).collect();
            Cells::intern(column, interners.of(column), &texts)
        }
    }
}
