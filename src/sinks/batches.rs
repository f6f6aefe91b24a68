//! The outputs as Arrow batches.
//!
//! The one idea: an output's rows are cut into batches first, so that a whole group of batches is built in parallel and
//! written in order.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListBuilder, RecordBatch, StringBuilder, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::{DataType, Field, SchemaRef};

use crate::diff::Change;
use crate::evaluate::Codes;
use crate::facts::Facts;
use crate::limits::OUTPUT_ROWS_MAX;
use crate::model::published::ReasonLists;
use crate::model::schema::{changes_schema, codes_schema, rejections_schema};
use crate::model::{ClosedEnum as _, PersonId, Rejection, Timestamp};
use crate::rules::Program;

fn batch(schema: SchemaRef, columns: Vec<ArrayRef>) -> RecordBatch {
    RecordBatch::try_new(schema, columns).expect("columns are built by the schema")
}

fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    let mut builder = StringBuilder::new();
    values.for_each(|value| builder.append_option(value));
    Arc::new(builder.finish())
}

fn text_lists<'a, L: Iterator<Item = &'a str>>(lists: impl Iterator<Item = L>) -> ArrayRef {
    let field = Field::new("item", DataType::Utf8, false);
    let mut builder = ListBuilder::new(StringBuilder::new()).with_field(field);
    for list in lists {
        list.for_each(|value| builder.values().append_value(value));
        builder.append(true);
    }
    Arc::new(builder.finish())
}

fn instants(values: impl Iterator<Item = Timestamp>) -> ArrayRef {
    let values = values.map(|value| value.finite().map(|finite| finite.0));
    Arc::new(values.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

/// `codes`: a batch by call, lazily, in the order of the persons' bytes.
#[must_use]
pub fn code_batches<'a>(
    facts: &'a Facts,
    program: &'a Program,
    codes: &'a Codes,
) -> Vec<impl Fn() -> RecordBatch + Send + Sync + 'a> {
    let chunks = facts.names.persons.sorted().chunks(OUTPUT_ROWS_MAX);
    chunks
        .map(|chunk| {
            move || {
                let rows = || {
                    let persons = chunk.iter().copied().map(PersonId);
                    persons.filter_map(|person| Some((person, codes.of(person)?)))
                };
                let columns = vec![
                    texts(rows().map(|(person, _)| Some(facts.names.person(person)))),
                    texts(rows().map(|(_, code)| Some(code.colour.name()))),
                    text_lists(rows().map(|(_, code)| program.names(code.reasons))),
                    text_lists(rows().map(|(_, code)| program.names(code.excused))),
                    instants(rows().map(|(_, code)| code.valid_until)),
                ];
                batch(codes_schema(), columns)
            }
        })
        .collect()
}

/// `changes`, in the order given.
#[must_use]
pub fn change_batches<'a>(
    changes: &'a [Change<'a>],
    lists: &'a ReasonLists,
    as_of: Timestamp,
    position: u64,
) -> Vec<impl Fn() -> RecordBatch + Send + Sync + 'a> {
    let chunks = changes.chunks(OUTPUT_ROWS_MAX);
    chunks
        .map(move |chunk| {
            move || {
                let columns = vec![
                    instants(chunk.iter().map(|_| as_of)),
                    Arc::new(UInt64Array::from_iter_values(chunk.iter().map(|_| position))) as ArrayRef,
                    texts(chunk.iter().map(|change| Some(change.person))),
                    texts(chunk.iter().map(|change| change.before.map(|(colour, _)| colour.name()))),
                    texts(chunk.iter().map(|change| change.after.map(|(colour, _)| colour.name()))),
                    text_lists(chunk.iter().map(|change| change.gained(lists).map(String::as_str))),
                    text_lists(chunk.iter().map(|change| change.lost(lists).map(String::as_str))),
                ];
                batch(changes_schema(), columns)
            }
        })
        .collect()
}

/// `rejections`, in the order given.
#[must_use]
pub fn rejection_batches(rejections: &[Rejection]) -> Vec<impl Fn() -> RecordBatch + Send + Sync + '_> {
    let chunks = rejections.chunks(OUTPUT_ROWS_MAX);
    chunks
        .map(|chunk| {
            move || {
                let columns = vec![
                    texts(chunk.iter().map(|rejection| Some(rejection.table.name()))),
                    Arc::new(chunk.iter().map(|rejection| rejection.id).collect::<UInt64Array>()) as ArrayRef,
                    texts(chunk.iter().map(|rejection| Some(rejection.reason.name()))),
                    texts(chunk.iter().map(|rejection| rejection.column)),
                    texts(chunk.iter().map(|rejection| Some(rejection.row.as_str()))),
                    texts(chunk.iter().map(|rejection| Some(rejection.source.as_str()))),
                    Arc::new(UInt64Array::from_iter_values(chunk.iter().map(|rejection| rejection.offset))),
                ];
                batch(rejections_schema(), columns)
            }
        })
        .collect()
}
