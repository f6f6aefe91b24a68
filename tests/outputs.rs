//! Outputs read back, whatever their format, as one shape of rows.
//!
//! The one idea: a row is a JSON object with the columns of SPEC 3, lists as arrays, instants as RFC 3339, so that files of
//! two formats, or a file and what was expected, are compared as values.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use arrow::array::{Array, AsArray as _, RecordBatch};
use arrow::datatypes::{DataType, TimestampMicrosecondType, UInt64Type};
use sanma::model::Timestamp;
use sanma::sinks::OutputFormat;
use serde_json::{Map, Value};

use crate::worlds::read::batches;

/// A row of an output.
pub type Record = Map<String, Value>;

/// Every format of outputs.
pub const FORMATS: [OutputFormat; 4] =
    [OutputFormat::Parquet, OutputFormat::Csv, OutputFormat::Ndjson, OutputFormat::Arrow];

const LISTS: [&str; 4] = ["reasons", "excused", "gained", "lost"];
const NUMBERS: [&str; 3] = ["id", "offset", "position"];

/// The rows of one of `codes`, `changes`, `rejections` in a directory of outputs.
pub fn read(dir: &Path, output: &str, format: OutputFormat) -> Vec<Record> {
    let path = dir.join(format!("{output}.{}", format.extension()));
    match format {
        OutputFormat::Parquet | OutputFormat::Arrow => batches(&path).iter().flat_map(batch_records).collect(),
        OutputFormat::Csv => csv_records(&path),
        OutputFormat::Ndjson => {
            let text = std::fs::read_to_string(&path).expect("an output");
            text.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect()
        }
    }
}

fn batch_records(batch: &RecordBatch) -> Vec<Record> {
    let schema = batch.schema();
    let record = |row: usize| {
        let fields = schema.fields().iter().zip(batch.columns());
        fields.map(|(field, array)| (field.name().clone(), value(array, row))).collect()
    };
    (0..batch.num_rows()).map(record).collect()
}

fn value(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>().value(row);
            list.as_string::<i32>().iter().flatten().collect()
        }
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).into(),
        DataType::Timestamp(_, _) => {
            Timestamp(array.as_primitive::<TimestampMicrosecondType>().value(row)).to_rfc3339().into()
        }
        _ => array.as_string::<i32>().value(row).into(),
    }
}

fn csv_records(path: &Path) -> Vec<Record> {
    let mut reader = csv::Reader::from_path(path).expect("an output");
    let names = reader.headers().expect("a header").clone();
    let field = |name: &str, text: &str| -> Value {
        if LISTS.contains(&name) {
            return text.split(';').filter(|item| !item.is_empty()).collect();
        }
        if text.is_empty() {
            return Value::Null;
        }
        if NUMBERS.contains(&name) { text.parse::<u64>().expect("a number").into() } else { text.into() }
    };
    let record = |record: csv::StringRecord| {
        names.iter().zip(&record).map(|(name, text)| (name.to_owned(), field(name, text))).collect()
    };
    reader.records().map(|line| record(line.expect("a record"))).collect()
}

/// A text in a row.
pub fn text<'a>(record: &'a Record, column: &str) -> &'a str {
    record[column].as_str().unwrap_or_else(|| panic!("{column} is a text in {record:?}"))
}

/// A list in a row, as a set.
pub fn set(record: &Record, column: &str) -> BTreeSet<String> {
    let items = record[column].as_array().unwrap_or_else(|| panic!("{column} is a list in {record:?}"));
    items.iter().map(|item| item.as_str().expect("a rule id").to_owned()).collect()
}

/// Everybody's colour and reasons.
pub type State = BTreeMap<String, (String, BTreeSet<String>)>;

/// The state that rows of `codes` say; they must be in the order of the persons' bytes.
pub fn state(codes: &[Record]) -> State {
    assert!(codes.is_sorted_by(|left, right| text(left, "person") < text(right, "person")), "codes are in order");
    let entry = |row: &Record| (text(row, "person").to_owned(), (text(row, "colour").to_owned(), set(row, "reasons")));
    codes.iter().map(entry).collect()
}

/// Applies rows of `changes` to a state. What they say of before must be so.
pub fn apply(state: &mut State, changes: &[Record]) {
    assert!(changes.is_sorted_by(|left, right| text(left, "person") < text(right, "person")), "changes are in order");
    for change in changes {
        let person = text(change, "person");
        let before = state.remove(person);
        assert_eq!(change["before"].as_str(), before.as_ref().map(|(colour, _)| colour.as_str()), "{change:?}");
        let mut reasons = before.map(|(_, reasons)| reasons).unwrap_or_default();
        for lost in set(change, "lost") {
            assert!(reasons.remove(&lost), "{lost} is lost and was not there: {change:?}");
        }
        for gained in set(change, "gained") {
            assert!(reasons.insert(gained.clone()), "{gained} is gained and was there: {change:?}");
        }
        match change["after"].as_str() {
            Some(after) => {
                state.insert(person.to_owned(), (after.to_owned(), reasons));
            }
            None => assert!(reasons.is_empty(), "no code has no reasons: {change:?}"),
        }
    }
}
