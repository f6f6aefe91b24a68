//! Parquet and Arrow IPC files.
//!
//! The one idea: a column's Arrow type is drawn from all that hold its values: any width of integer, any unit and zone of
//! timestamp, four kinds of text. Without variety it is the contract's type, and another only where dirt needs it.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int8Array, Int16Array, Int32Array, Int32Builder, Int64Array,
    LargeStringArray, ListBuilder, RecordBatch, StringArray, StringViewArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray, UInt8Array, UInt16Array, UInt32Array,
    UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int8Type, Int32Type, Schema, TimeUnit, UInt16Type};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions};
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterVersion};
use sanma::model::{Column, ColumnType, Table};

use super::cells::Cell;
use super::draw::Draw;
use super::files::{Content, Sheet, Slot};

const INTEGERS: [DataType; 8] = [
    DataType::UInt8,
    DataType::UInt16,
    DataType::UInt32,
    DataType::UInt64,
    DataType::Int8,
    DataType::Int16,
    DataType::Int32,
    DataType::Int64,
];
const ZONES: [&str; 4] = ["UTC", "+00:00", "+08:00", "-03:30"];
/// Most rows whose texts an 8-bit dictionary surely holds.
const DICTIONARY_ROWS_MAX: usize = 127;

/// Whether every column of these rows has an Arrow type that holds all its values.
pub fn has_types(table: Table, rows: &[&Content], varied: bool) -> bool {
    let holds = |(index, column): (usize, &Column)| {
        let cells = column_cells(rows, index);
        !integral(column.kind) || !integer_types(column.kind, &cells, varied).is_empty()
    };
    table.columns().iter().enumerate().all(holds)
}

/// Writes a Parquet file; a row's place is its number.
pub fn write_parquet(path: &Path, sheet: &Sheet<'_>, draw: &mut Draw) -> Vec<u64> {
    let batch = batch(sheet, draw);
    let mut properties = WriterProperties::builder();
    let mut options = ArrowWriterOptions::new();
    if sheet.varied {
        let compressions = [
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::LZ4_RAW,
            Compression::GZIP(GzipLevel::default()),
            Compression::BROTLI(BrotliLevel::default()),
            Compression::ZSTD(ZstdLevel::default()),
        ];
        properties = properties
            .set_compression(draw.pick(&compressions))
            .set_max_row_group_row_count(Some(draw.pick(&[1, 2, 3, 7, 1000])))
            .set_dictionary_enabled(draw.chance(50))
            .set_writer_version(draw.pick(&[WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0]));
        // A writer that knows nothing of Arrow leaves no Arrow schema; but then Parquet has no seconds.
        let seconds = |field: &Arc<Field>| matches!(field.data_type(), DataType::Timestamp(TimeUnit::Second, _));
        let bare = !batch.schema().fields().iter().any(seconds) && draw.chance(30);
        options = options.with_skip_arrow_metadata(bare);
    }
    let file = File::create(path).expect("a file can be made");
    let options = options.with_properties(properties.build());
    let mut writer = ArrowWriter::try_new_with_options(file, batch.schema(), options).expect("a schema for Parquet");
    writer.write(&batch).expect("room on the disk");
    writer.close().expect("room on the disk");
    (0..batch.num_rows() as u64).collect()
}

/// Writes an Arrow IPC file; a row's place is its number.
pub fn write_arrow(path: &Path, sheet: &Sheet<'_>, draw: &mut Draw) -> Vec<u64> {
    let batch = batch(sheet, draw);
    let mut options = IpcWriteOptions::default();
    let mut rows = batch.num_rows().max(1);
    if sheet.varied {
        let compression = draw.pick(&[None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)]);
        options = options.try_with_compression(compression).expect("a compression that is built in");
        rows = draw.pick(&[1, 3, 1000]);
    }
    let file = File::create(path).expect("a file can be made");
    let mut writer = FileWriter::try_new_with_options(file, &batch.schema(), options).expect("a schema for Arrow");
    for start in (0..batch.num_rows()).step_by(rows) {
        writer.write(&batch.slice(start, rows.min(batch.num_rows() - start))).expect("room on the disk");
    }
    writer.finish().expect("room on the disk");
    (0..batch.num_rows() as u64).collect()
}

fn batch(sheet: &Sheet<'_>, draw: &mut Draw) -> RecordBatch {
    let mut fields = Vec::new();
    let mut arrays = Vec::new();
    for slot in &sheet.slots {
        let (name, nullable, array) = match *slot {
            Slot::Extra(name) => (name, true, extra(sheet.rows.len(), draw)),
            Slot::Column(index) => {
                let column = &sheet.table.columns()[index];
                let array = array(column, &column_cells(&sheet.rows, index), sheet.varied, draw);
                let nullable = column.nullable || array.null_count() > 0 || sheet.varied && draw.chance(30);
                (column.name, nullable, array)
            }
        };
        fields.push(Field::new(name, array.data_type().clone(), nullable));
        arrays.push(array);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("columns of one length")
}

fn column_cells<'a>(rows: &[&'a Content], index: usize) -> Vec<&'a Cell> {
    let cell = |row: &&'a Content| match row {
        Content::Cells(cells) => &cells[index],
        Content::Line(_) | Content::Fields(_) => unreachable!("no columns"),
    };
    rows.iter().map(cell).collect()
}

fn array(column: &Column, cells: &[&Cell], varied: bool, draw: &mut Draw) -> ArrayRef {
    match column.kind {
        ColumnType::Boolean => {
            let value = |cell: &&Cell| if let Cell::Bool(value) = cell { Some(*value) } else { None };
            Arc::new(cells.iter().map(value).collect::<BooleanArray>())
        }
        ColumnType::Float64 => {
            // NaN is a temperature not taken, as null is: it is below every limit.
            let value = |cell: &&Cell| match cell {
                Cell::Float(value) => Some(*value),
                _ => (varied && draw.chance(30)).then_some(f64::NAN),
            };
            Arc::new(cells.iter().map(value).collect::<Float64Array>())
        }
        ColumnType::Timestamp => timestamps(cells, varied, draw),
        ColumnType::Text | ColumnType::Key | ColumnType::Enumeration(_) => texts(cells, varied, draw),
        kind => integers(kind, cells, varied, draw),
    }
}

fn integral(kind: ColumnType) -> bool {
    matches!(kind, ColumnType::UInt64 | ColumnType::UInt32 | ColumnType::UInt16 | ColumnType::Region)
}

fn integer_range(of: &DataType) -> (i128, i128) {
    match of {
        DataType::UInt8 => (0, u8::MAX.into()),
        DataType::UInt16 => (0, u16::MAX.into()),
        DataType::UInt32 => (0, u32::MAX.into()),
        DataType::UInt64 => (0, u64::MAX.into()),
        DataType::Int8 => (i8::MIN.into(), i8::MAX.into()),
        DataType::Int16 => (i16::MIN.into(), i16::MAX.into()),
        DataType::Int32 => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN.into(), i64::MAX.into()),
    }
}

/// The integer types that hold all of the values; without variety only the contract's, if it does.
fn integer_types(kind: ColumnType, cells: &[&Cell], varied: bool) -> Vec<DataType> {
    let holds = |of: &DataType| {
        let (least, most) = integer_range(of);
        cells.iter().all(|cell| !matches!(cell, Cell::Int(value) if *value < least || *value > most))
    };
    if !varied && holds(&kind.arrow()) {
        return vec![kind.arrow()];
    }
    INTEGERS.into_iter().filter(holds).collect()
}

fn integers(kind: ColumnType, cells: &[&Cell], varied: bool, draw: &mut Draw) -> ArrayRef {
    macro_rules! of {
        ($array:ty) => {{
            let value = |cell: &&Cell| if let Cell::Int(value) = cell { (*value).try_into().ok() } else { None };
            Arc::new(cells.iter().map(value).collect::<$array>())
        }};
    }
    let types = integer_types(kind, cells, varied);
    match &types[draw.below(types.len())] {
        DataType::UInt8 => of!(UInt8Array),
        DataType::UInt16 => of!(UInt16Array),
        DataType::UInt32 => of!(UInt32Array),
        DataType::UInt64 => of!(UInt64Array),
        DataType::Int8 => of!(Int8Array),
        DataType::Int16 => of!(Int16Array),
        DataType::Int32 => of!(Int32Array),
        _ => of!(Int64Array),
    }
}

fn texts(cells: &[&Cell], varied: bool, draw: &mut Draw) -> ArrayRef {
    let values = cells.iter().map(|cell| if let Cell::Text(text) = cell { Some(text.as_str()) } else { None });
    match if varied { draw.below(6) } else { 0 } {
        0 => Arc::new(values.collect::<StringArray>()),
        1 => Arc::new(values.collect::<LargeStringArray>()),
        2 => Arc::new(values.collect::<StringViewArray>()),
        3 if cells.len() <= DICTIONARY_ROWS_MAX => Arc::new(values.collect::<DictionaryArray<Int8Type>>()),
        4 => Arc::new(values.collect::<DictionaryArray<UInt16Type>>()),
        _ => Arc::new(values.collect::<DictionaryArray<Int32Type>>()),
    }
}

fn timestamps(cells: &[&Cell], varied: bool, draw: &mut Draw) -> ArrayRef {
    let micros = |cell: &&Cell| if let Cell::Instant(at) = cell { Some(at.0) } else { None };
    let exact = |unit: i64| cells.iter().filter_map(micros).all(|micros| micros % unit == 0);
    let mut units = vec![TimeUnit::Microsecond, TimeUnit::Nanosecond];
    units.extend(exact(1_000).then_some(TimeUnit::Millisecond));
    units.extend(exact(1_000_000).then_some(TimeUnit::Second));
    if !varied {
        units.truncate(1);
    }
    let zone = if varied { draw.pick(&ZONES) } else { ZONES[0] };
    let values = cells.iter().map(micros);
    match units[draw.below(units.len())] {
        TimeUnit::Second => {
            let values = values.map(|micros| micros.map(|micros| micros / 1_000_000));
            Arc::new(values.collect::<TimestampSecondArray>().with_timezone(zone))
        }
        TimeUnit::Millisecond => {
            let values = values.map(|micros| micros.map(|micros| micros / 1_000));
            Arc::new(values.collect::<TimestampMillisecondArray>().with_timezone(zone))
        }
        TimeUnit::Microsecond => Arc::new(values.collect::<TimestampMicrosecondArray>().with_timezone(zone)),
        TimeUnit::Nanosecond => {
            let values = values.map(|micros| micros.map(|micros| micros * 1_000));
            Arc::new(values.collect::<TimestampNanosecondArray>().with_timezone(zone))
        }
    }
}

/// A column that nobody knows: a list, which no column of the contract is, or a text.
fn extra(rows: usize, draw: &mut Draw) -> ArrayRef {
    if draw.chance(50) {
        return Arc::new((0..rows).map(|row| (row % 2 == 0).then_some("a note")).collect::<StringArray>());
    }
    let mut lists = ListBuilder::new(Int32Builder::new());
    for row in 0..rows {
        lists.values().append_slice(&[1, 2]);
        lists.append(row % 3 > 0);
    }
    Arc::new(lists.finish())
}
