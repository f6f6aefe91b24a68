//! A slow reader of one file into cells, to see that writers and dirt say what they mean.
//!
//! The one idea: no row is judged here. A value that is not of its column's kind comes back as [`Cell::Odd`], a row that is
//! no record as `None`; [`super::valid`] judges.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, TimestampMicrosecondType};
use arrow::ipc::reader::FileReader;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sanma::model::schema::instant_type;
use sanma::model::{ColumnType, Table, Timestamp};
use serde_json::Value;

use super::cells::Cell;
use super::text::lines_in;

/// A row or line number, and the values there; `None` if it is no record.
pub type Record = (u64, Option<Vec<Cell>>);

/// The rows of a file that [`super::files`] wrote, by the ending of its name.
pub fn records(path: &Path, table: Table) -> Vec<Record> {
    let extensions: Vec<_> = path.to_str().expect("UTF-8").rsplit('.').take(2).collect();
    if let ["parquet" | "arrow", ..] = extensions[..] {
        let mut rows = Vec::new();
        for batch in batches(path) {
            rows.extend((0..batch.num_rows()).map(|row| table_row(&batch, row, table)));
        }
        return (0..).zip(rows.into_iter().map(Some)).collect();
    }
    let bytes = unpacked(path, extensions[0]);
    if extensions.contains(&"csv") { csv_records(&bytes, table) } else { ndjson_records(&bytes, table) }
}

/// The batches of a columnar file.
pub fn batches(path: &Path) -> Vec<RecordBatch> {
    let file = File::open(path).expect("a file that was written");
    if path.extension().is_some_and(|extension| extension == "parquet") {
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet").build().expect("Parquet");
        return reader.map(|batch| batch.expect("Parquet")).collect();
    }
    FileReader::try_new(file, None).expect("Arrow").map(|batch| batch.expect("Arrow")).collect()
}

fn table_row(batch: &RecordBatch, row: usize, table: Table) -> Vec<Cell> {
    let cell = |column: &sanma::model::Column| {
        let array = batch.column_by_name(column.name).map(|array| array.slice(row, 1));
        array.filter(|array| !array.is_null(0)).map_or(Cell::Null, |array| array_cell(&array, column.kind))
    };
    table.columns().iter().map(cell).collect()
}

fn array_cell(array: &ArrayRef, kind: ColumnType) -> Cell {
    let to = |of: &DataType| cast(array, of).expect("a column of that kind");
    match kind {
        ColumnType::Boolean => Cell::Bool(to(&DataType::Boolean).as_boolean().value(0)),
        ColumnType::Float64 => float(to(&DataType::Float64).as_primitive::<Float64Type>().value(0)),
        ColumnType::Timestamp => {
            Cell::Instant(Timestamp(to(&instant_type()).as_primitive::<TimestampMicrosecondType>().value(0)))
        }
        ColumnType::Text | ColumnType::Key | ColumnType::Enumeration(_) => {
            Cell::Text(to(&DataType::Utf8).as_string::<i32>().value(0).to_owned())
        }
        _ => Cell::Int(to(&DataType::Utf8).as_string::<i32>().value(0).parse().expect("an integer column")),
    }
}

/// NaN is a temperature not taken.
fn float(value: f64) -> Cell {
    if value.is_nan() { Cell::Null } else { Cell::Float(value) }
}

fn unpacked(path: &Path, packing: &str) -> Vec<u8> {
    let packed = fs::read(path).expect("a file that was written");
    match packing {
        "gz" => {
            let mut bytes = Vec::new();
            flate2::read::MultiGzDecoder::new(packed.as_slice()).read_to_end(&mut bytes).expect("gzip");
            bytes
        }
        "zst" => zstd::decode_all(packed.as_slice()).expect("zstd"),
        _ => packed,
    }
}

fn csv_records(bytes: &[u8], table: Table) -> Vec<Record> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
    let header = reader.headers().expect("a header").clone();
    let mut records = Vec::new();
    for record in reader.records() {
        let record = record.expect("UTF-8");
        // The reader stops after a carriage return, and would count its line feed to the record that follows.
        let start = usize::try_from(record.position().expect("read from a file").byte()).expect("a small file");
        let start = start + usize::from(bytes[start] == b'\n');
        let line = lines_in(&bytes[..start]) + 1;
        let cell = |column: &sanma::model::Column| {
            let field = header.iter().position(|name| name == column.name).map_or("", |at| &record[at]);
            if field.is_empty() { Cell::Null } else { text_cell(field, column.kind) }
        };
        let cells = (record.len() == header.len()).then(|| table.columns().iter().map(cell).collect());
        records.push((line, cells));
    }
    records
}

/// A value as text says it, where the text says one of that kind.
fn text_cell(text: &str, kind: ColumnType) -> Cell {
    let value = match kind {
        ColumnType::Boolean => text.parse().ok().map(Cell::Bool),
        ColumnType::Float64 => text.parse().ok().map(float),
        ColumnType::Timestamp => Timestamp::parse_rfc3339(text).map(Cell::Instant),
        ColumnType::Text | ColumnType::Key | ColumnType::Enumeration(_) => Some(Cell::Text(text.to_owned())),
        _ => text.parse().ok().map(Cell::Int),
    };
    value.unwrap_or_else(|| Cell::Odd(text.into()))
}

fn ndjson_records(bytes: &[u8], table: Table) -> Vec<Record> {
    let lines = bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|&byte| byte == b'\n');
    let object = |line: &[u8]| match serde_json::from_slice(line) {
        Ok(Value::Object(object)) => {
            let cell = |column: &sanma::model::Column| json_cell(object.get(column.name), column.kind);
            Some(table.columns().iter().map(cell).collect())
        }
        _ => None,
    };
    (1..).zip(lines.filter(|_| !bytes.is_empty()).map(object)).collect()
}

fn json_cell(value: Option<&Value>, kind: ColumnType) -> Cell {
    let texts = matches!(kind, ColumnType::Text | ColumnType::Key | ColumnType::Enumeration(_));
    match (value.unwrap_or(&Value::Null), kind) {
        (Value::Null, _) => Cell::Null,
        (Value::Bool(value), ColumnType::Boolean) => Cell::Bool(*value),
        (Value::Number(number), ColumnType::Float64) => Cell::Float(number.as_f64().expect("no bignums")),
        (Value::Number(number), _) if !texts => {
            number.as_i128().map_or_else(|| Cell::Odd(number.clone().into()), Cell::Int)
        }
        (Value::String(text), ColumnType::Timestamp) => text_cell(text, kind),
        (Value::String(text), _) if texts => Cell::Text(text.clone()),
        (odd, _) => Cell::Odd(odd.clone()),
    }
}
