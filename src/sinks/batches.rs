//! The outputs as Arrow batches.
//!
//! The one idea: an output's rows are cut into batches first, so that a whole group of batches is built in parallel and
//! written in order.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, DictionaryArray, ListArray, ListBuilder, RecordBatch, StringArray, StringBuilder,
    TimestampMicrosecondArray, UInt8Array, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::diff::Change;
use crate::evaluate::Codes;
use crate::facts::Facts;
use crate::intern::Tokens;
use crate::limits::OUTPUT_ROWS_MAX;
use crate::model::published::ReasonLists;
use crate::model::schema::{changes_schema, codes_schema, rejections_schema};
use crate::model::{ClosedEnum, Code, PersonId, Rejection, RuleMask, Table, Timestamp};
use crate::rules::Program;

/// The columns by the schema's names; dictionaries stay such.
pub(super) fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>) -> RecordBatch {
    let fields = schema.fields().iter().zip(&columns);
    let typed =
        |(field, column): (&Arc<Field>, &ArrayRef)| field.as_ref().clone().with_data_type(column.data_type().clone());
    let schema = Schema::new(fields.map(typed).collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), columns).expect("columns are built by the schema")
}

pub(super) fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    let mut builder = StringBuilder::new();
    values.for_each(|value| builder.append_option(value));
    Arc::new(builder.finish())
}

/// Lists of texts.
pub fn text_lists<'a, L: Iterator<Item = &'a str>>(lists: impl Iterator<Item = L>) -> ArrayRef {
    let field = Field::new("item", DataType::Utf8, false);
    let mut builder = ListBuilder::new(StringBuilder::new()).with_field(field);
    for list in lists {
        list.for_each(|value| builder.values().append_value(value));
        builder.append(true);
    }
    Arc::new(builder.finish())
}

/// The tokens of these indexes.
fn tokens(tokens: &Tokens, indexes: &[u32]) -> ArrayRef {
    let (bytes, ends) = tokens.gather(indexes);
    let lengths = std::iter::once(&0).chain(&ends).zip(&ends).map(|(begin, end)| end - begin);
    Arc::new(StringArray::new(OffsetBuffer::from_lengths(lengths), bytes.into(), None))
}

/// The names of values of an enumeration, as a dictionary: nothing is copied a row but a byte.
pub(super) fn names<T: ClosedEnum>(values: impl Iterator<Item = Option<T>>) -> ArrayRef {
    let key = |value: T| u8::try_from(value.index()).expect("enumerations are small");
    let keys: UInt8Array = values.map(|value| value.map(key)).collect();
    let names = StringArray::from_iter_values(T::NAMES);
    Arc::new(DictionaryArray::new(keys, Arc::new(names)))
}

/// The ids of the rules in each mask, as lists of a dictionary's keys.
fn rule_lists(program: &Program, masks: impl Iterator<Item = RuleMask>) -> ArrayRef {
    let ids = StringArray::from_iter_values(program.rules.iter().map(|rule| &rule.id));
    let mut keys: Vec<u8> = Vec::new();
    let mut ends: Vec<i32> = vec![0];
    for mask in masks {
        keys.extend(mask.iter().map(|rule| rule.0));
        ends.push(i32::try_from(keys.len()).expect("a batch has fewer than 2^31 reasons"));
    }
    let items = DictionaryArray::new(UInt8Array::from(keys), Arc::new(ids));
    let field = Field::new("item", items.data_type().clone(), false);
    Arc::new(ListArray::new(Arc::new(field), OffsetBuffer::new(ends.into()), Arc::new(items), None))
}

/// Instants; `NEVER` is null.
pub fn instants(values: impl Iterator<Item = Timestamp>) -> ArrayRef {
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
                // The order of persons' bytes is none of memory: a pass does nothing but fetch, so that fetches overlap.
                let found: Vec<Option<Code>> = chunk.iter().map(|&person| codes.of(PersonId(person))).collect();
                let persons = chunk.iter().zip(&found).filter(|(_, code)| code.is_some());
                let persons: Vec<u32> = persons.map(|(&person, _)| person).collect();
                let rows = || found.iter().flatten();
                let columns = vec![
                    tokens(&facts.names.persons, &persons),
                    names(rows().map(|code| Some(code.colour))),
                    rule_lists(program, rows().map(|code| code.reasons)),
                    rule_lists(program, rows().map(|code| code.excused)),
                    instants(rows().map(|code| code.valid_until)),
                ];
                batch(&codes_schema(), columns)
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
                    names(chunk.iter().map(|change| change.before.map(|(colour, _)| colour))),
                    names(chunk.iter().map(|change| change.after.map(|(colour, _)| colour))),
                    text_lists(chunk.iter().map(|change| change.gained(lists).map(String::as_str))),
                    text_lists(chunk.iter().map(|change| change.lost(lists).map(String::as_str))),
                ];
                batch(&changes_schema(), columns)
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
                    texts(chunk.iter().map(|rejection| rejection.table.map(Table::name))),
                    Arc::new(chunk.iter().map(|rejection| rejection.id).collect::<UInt64Array>()) as ArrayRef,
                    names(chunk.iter().map(|rejection| Some(rejection.reason))),
                    texts(chunk.iter().map(|rejection| rejection.column)),
                    texts(chunk.iter().map(|rejection| Some(rejection.row.as_str()))),
                    texts(chunk.iter().map(|rejection| Some(rejection.source.as_str()))),
                    Arc::new(UInt64Array::from_iter_values(chunk.iter().map(|rejection| rejection.offset))),
                ];
                batch(&rejections_schema(), columns)
            }
        })
        .collect()
}
