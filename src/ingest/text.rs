//! CSV and NDJSON to decoded cells.
//!
//! The one idea: one thread splits the (unpacked) text into blocks of records, since only it knows where a record ends; the
//! blocks cross a bounded channel to the workers, which parse and check them side by side. Memory is the channel's bound
//! times a block, which is bounded in rows and in bytes.
//!
//! An empty CSV field is a null. A record that is none of its format is refused whole as `malformed`.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};
use csv::ByteRecord;
use serde_json::Value;

use super::cells::{Cells, Chunk, Interners};
use super::error::{IngestError, Place};
use super::fields::{Field, decode};
use super::layout::{Format, SourceFile};
use super::objects::take_objects;
use super::rows::Decode;
use super::split::{CsvRecords, Lines, open};
use super::{Part, Sources, malformed};
use crate::limits::{TEXT_BLOCK_BYTES, TEXT_BLOCK_ROWS_MAX, TEXT_BLOCKS_PENDING_MAX};
use crate::model::Table;

/// A run of records as they came, numbered so that parts can be put back in order.
struct Block {
    number: usize,
    records: Vec<(u64, Raw)>,
}

/// A record as it came.
pub(super) enum Raw {
    Csv(ByteRecord),
    Json(Vec<u8>),
}

impl Raw {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Csv(record) => record.as_slice().len(),
            Self::Json(line) => line.len(),
        }
    }
}

/// What is known of a file before its records: for CSV, which field is which column.
pub(super) enum Shape {
    Csv { names: Vec<String>, field_of: Vec<Option<usize>> },
    Json,
}

impl Shape {
    /// How long the names are that each row repeats where it is told as an object.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Csv { names, .. } => names.iter().map(String::len).sum(),
            Self::Json => 0,
        }
    }
}

type Done<C> = (usize, Part<C>);

/// Reads a whole text file: its parts in order, and the names of columns that the table does not know.
pub(super) fn run<C: Decode>(
    file: &SourceFile,
    source: u32,
    sources: &Sources<'_>,
) -> Result<(Vec<Part<C>>, BTreeSet<String>), IngestError> {
    let mut extra = BTreeSet::new();
    let (shape, splitter) = begin(file, &mut extra)?;
    let extra = Mutex::new(extra);
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

/// Opens a text file before its first record, and adds the names of columns that its table does not know.
pub(super) fn begin(file: &SourceFile, extra: &mut BTreeSet<String>) -> Result<(Shape, Splitter), IngestError> {
    match file.format {
        Format::Csv(compression) => {
            let mut records = CsvRecords::new(open(&file.path, compression)?);
            let shape = csv_shape(file, &mut records, extra)?;
            Ok((shape, Splitter::Csv(Box::new(records))))
        }
        Format::Ndjson(compression) => Ok((Shape::Json, Splitter::Json(Lines::new(open(&file.path, compression)?)))),
        Format::Parquet | Format::Arrow => unreachable!("only text comes here"),
    }
}

fn csv_shape(file: &SourceFile, records: &mut CsvRecords, extra: &mut BTreeSet<String>) -> Result<Shape, IngestError> {
    let (line, header) = records.next(&file.path)?.unwrap_or((1, ByteRecord::new()));
    let place = Place::Line(line);
    let names: Vec<String> = header.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
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

/// A text that is cut into records.
pub(super) enum Splitter {
    Csv(Box<CsvRecords>),
    Json(Lines),
}

impl Splitter {
    fn split(mut self, file: &SourceFile, sources: &Sources<'_>, blocks: &Sender<Block>) -> Result<(), IngestError> {
        for number in 0.. {
            sources.check_interrupted()?;
            let records = self.block(&file.path)?;
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

    /// The records of the next block; none at the end of the text.
    fn block(&mut self, path: &Path) -> Result<Vec<(u64, Raw)>, IngestError> {
        let mut records = Vec::with_capacity(TEXT_BLOCK_ROWS_MAX);
        let mut bytes = 0;
        while records.len() < TEXT_BLOCK_ROWS_MAX && bytes < TEXT_BLOCK_BYTES {
            let Some((line, raw)) = self.next(path)? else { break };
            bytes += raw.bytes();
            records.push((line, raw));
        }
        Ok(records)
    }

    /// The next record, and its line.
    pub(super) fn next(&mut self, path: &Path) -> Result<Option<(u64, Raw)>, IngestError> {
        Ok(match self {
            Self::Csv(records) => records.next(path)?.map(|(line, record)| (line, Raw::Csv(record))),
            Self::Json(lines) => lines.next(path)?.map(|(line, text)| (line, Raw::Json(text))),
        })
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
        let (part, mut unknown) = part_of(file, source, shape, block.records, &sources.interners);
        if !unknown.is_empty() {
            extra.lock().unwrap_or_else(PoisonError::into_inner).append(&mut unknown);
        }
        // The receiver outlives the scope.
        let _ = parts.send((block.number, part));
    }
}

/// Records to rows, and the names of columns in them that the table does not know.
pub(super) fn part_of<C: Decode>(
    file: &SourceFile,
    source: u32,
    shape: &Shape,
    records: Vec<(u64, Raw)>,
    interners: &Interners,
) -> (Part<C>, BTreeSet<String>) {
    match shape {
        Shape::Csv { names, field_of } => {
            (csv_part(file, source, names, field_of, records, interners), BTreeSet::new())
        }
        Shape::Json => json_part(file, source, &records, interners),
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
            part.rejections.push(malformed(Some(file.table), &file.name, line, &Value::Array(fields)));
        }
    }
    let cells = file.table.columns().iter().zip(field_of).map(|(column, field)| match field {
        None => Cells::ABSENT,
        Some(field) => {
            let raw = good.iter().map(|(_, record)| match record.get(*field) {
                None | Some(b"") => Field::Null,
                Some(bytes) => std::str::from_utf8(bytes).map_or(Field::Illegible, Field::Spelt),
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
    part.take(chunk, &file.name, |row| good[row].0, row_json);
    part
}

fn json_part<'r, C: Decode>(
    file: &SourceFile,
    source: u32,
    records: &'r [(u64, Raw)],
    interners: &Interners,
) -> (Part<C>, BTreeSet<String>) {
    let text = |record: &'r (u64, Raw)| -> Option<(u64, &'r [u8])> {
        match record {
            (line, Raw::Json(text)) => Some((*line, text)),
            (_, Raw::Csv(_)) => None,
        }
    };
    let records: Vec<(u64, &[u8])> = records.iter().filter_map(text).collect();
    let mut unknown = BTreeSet::new();
    let (part, _) = take_objects(&records, (source, &file.name), interners, &mut unknown);
    (part, unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_full_of_rows_or_of_bytes() {
        let blocks_of = |text: String| {
            let mut splitter = Splitter::Json(Lines::new(Box::new(std::io::Cursor::new(text.into_bytes()))));
            let mut next = || splitter.block(Path::new("x.ndjson")).expect("lines").len();
            std::iter::from_fn(move || Some(next()).filter(|&rows| rows > 0)).collect::<Vec<_>>()
        };
        assert_eq!(blocks_of("{}\n".repeat(TEXT_BLOCK_ROWS_MAX + 1)), [TEXT_BLOCK_ROWS_MAX, 1]);
        let quarter = " ".repeat(TEXT_BLOCK_BYTES / 4 - 3) + "{}\n";
        assert_eq!(blocks_of(quarter.repeat(9)), [4, 4, 1]);
    }
}
