//! A refused row of a columnar file as JSON text: its values as they came.

use arrow::array::{Array, AsArray as _, RecordBatch, types};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Map, Value};

use crate::model::{Table, Timestamp};

/// The row's columns that the table knows, in the contract's order, as a JSON object. Instants are RFC 3339 in UTC; a value
/// that JSON cannot hold (an infinite number) is text.
pub(super) fn row_json(table: Table, batch: &RecordBatch, row: usize) -> String {
    let object: Map<String, Value> = table
        .columns()
        .iter()
        .filter_map(|column| Some((column.name.to_owned(), cell_json(batch.column_by_name(column.name)?, row))))
        .collect();
    Value::Object(object).to_string()
}

fn cell_json(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::UInt64 => array.as_primitive::<types::UInt64Type>().value(row).into(),
        DataType::UInt32 => array.as_primitive::<types::UInt32Type>().value(row).into(),
        DataType::UInt16 => array.as_primitive::<types::UInt16Type>().value(row).into(),
        DataType::UInt8 => array.as_primitive::<types::UInt8Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<types::Int64Type>().value(row).into(),
        DataType::Int32 => array.as_primitive::<types::Int32Type>().value(row).into(),
        DataType::Int16 => array.as_primitive::<types::Int16Type>().value(row).into(),
        DataType::Int8 => array.as_primitive::<types::Int8Type>().value(row).into(),
        DataType::Float64 => {
            let value = array.as_primitive::<types::Float64Type>().value(row);
            serde_json::Number::from_f64(value).map_or_else(|| value.to_string().into(), Value::Number)
        }
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).into(),
        DataType::Utf8View => array.as_string_view().value(row).into(),
        DataType::Dictionary(_, _) => {
            // Only the row's own key is put in range: of all keys, that is a pass over the batch a refused row.
            let one = array.slice(row, 1);
            let dictionary = one.as_any_dictionary();
            cell_json(dictionary.values(), dictionary.normalized_keys()[0])
        }
        DataType::Timestamp(unit, _) => instant_json(array, *unit, row),
        DataType::Null => Value::Null,
        _ => ArrayFormatter::try_new(array, &FormatOptions::default())
            .map_or(Value::Null, |formatter| formatter.value(row).to_string().into()),
    }
}

/// An instant of any unit. One beyond the years that RFC 3339 can spell stays a number of its unit.
fn instant_json(array: &dyn Array, unit: TimeUnit, row: usize) -> Value {
    let (value, micros) = match unit {
        TimeUnit::Second => {
            let value = array.as_primitive::<types::TimestampSecondType>().value(row);
            (value, value.checked_mul(1_000_000))
        }
        TimeUnit::Millisecond => {
            let value = array.as_primitive::<types::TimestampMillisecondType>().value(row);
            (value, value.checked_mul(1_000))
        }
        TimeUnit::Microsecond => {
            let value = array.as_primitive::<types::TimestampMicrosecondType>().value(row);
            (value, Some(value))
        }
        TimeUnit::Nanosecond => {
            let value = array.as_primitive::<types::TimestampNanosecondType>().value(row);
            if value % 1_000 != 0 {
                let exact = chrono::DateTime::from_timestamp_nanos(value);
                return exact.to_rfc3339_opts(chrono::SecondsFormat::Nanos, true).into();
            }
            (value, Some(value / 1_000))
        }
    };
    micros.map_or_else(|| value.into(), |micros| Timestamp(micros).to_rfc3339().into())
}
