//! Tables of facts as Arrow batches, with the contract's columns: what a load reads.
//!
//! The one idea: the mirror of reading. A table says its columns once, in the contract's order; each is written from the rows
//! that are asked for.
//!
//! Cost: some copies a cell; enumerations are a byte a cell and a dictionary.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt16Array,
    UInt32Array, UInt64Array,
};
use arrow::compute::cast;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::batches::names;
use crate::intern::Tokens;
use crate::model::facts::{
    Cases, Checkins, Contacts, Declarations, Findings, Quarantines, Reviews, RiskAreas, Stays, Tables, Tests, Whitelist,
};
use crate::model::flat::Element;
use crate::model::optional::Coded;
use crate::model::{
    Chunked, ClosedEnum, ColumnType, EnumSet, LabelId, Optional, PersonId, PlaceId, Region, Table, Timestamp,
};

/// Names behind the ids of rows.
#[derive(Clone, Copy, Debug)]
pub struct RowNames<'a> {
    /// Persons.
    pub persons: &'a Tokens,
    /// Places.
    pub places: &'a Tokens,
    /// Texts.
    pub labels: &'a Tokens,
}

/// Some rows of a table, being written column by column.
struct Writer<'a> {
    rows: &'a [u32],
    names: RowNames<'a>,
    columns: Vec<ArrayRef>,
}

impl<'a> Writer<'a> {
    fn put(&mut self, column: impl arrow::array::Array + 'static) {
        self.columns.push(Arc::new(column));
    }

    /// The values of the rows.
    fn of<T: Element>(&self, column: &'a Chunked<T>) -> impl Iterator<Item = T> + use<'a, T> {
        self.rows.iter().map(|&row| column[row as usize])
    }

    fn ids(&mut self, column: &'a Chunked<u64>) {
        self.put(UInt64Array::from_iter_values(self.of(column)));
    }

    fn persons(&mut self, column: &'a Chunked<PersonId>) {
        let tokens = self.names.persons;
        self.put(StringArray::from_iter_values(self.of(column).map(|person| tokens.get(person.index()))));
    }

    fn places(&mut self, column: &'a Chunked<Option<PlaceId>>) {
        let tokens = self.names.places;
        let texts = self.of(column).map(|place| place.map(|place| tokens.get(place.index())));
        self.put(texts.collect::<StringArray>());
    }

    fn labels(&mut self, column: &'a Chunked<LabelId>) {
        let tokens = self.names.labels;
        self.put(StringArray::from_iter_values(self.of(column).map(|label| tokens.get(label.index()))));
    }

    fn labels_if(&mut self, column: &'a Chunked<Option<LabelId>>) {
        let tokens = self.names.labels;
        let texts = self.of(column).map(|label| label.map(|label| tokens.get(label.index())));
        self.put(texts.collect::<StringArray>());
    }

    fn instants(&mut self, column: &'a Chunked<Timestamp>) {
        let micros = self.of(column).map(|at| at.0);
        self.put(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"));
    }

    fn instants_if(&mut self, column: &'a Chunked<Optional<Timestamp>>) {
        let micros = self.of(column).map(|at| at.get().map(|at| at.0));
        self.put(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"));
    }

    /// Ends: an open one is null.
    fn ends(&mut self, column: &'a Chunked<Timestamp>) {
        let micros = self.of(column).map(|at| at.finite().map(|at| at.0));
        self.put(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"));
    }

    fn regions(&mut self, column: &'a Chunked<Region>) {
        self.put(UInt32Array::from_iter_values(self.of(column).map(Region::code)));
    }

    fn regions_if(&mut self, column: &'a Chunked<Option<Region>>) {
        self.put(self.of(column).map(|region| region.map(Region::code)).collect::<UInt32Array>());
    }

    fn seconds(&mut self, column: &'a Chunked<u32>) {
        self.put(UInt32Array::from_iter_values(self.of(column)));
    }

    fn seats_if(&mut self, column: &'a Chunked<Optional<u16>>) {
        self.put(self.of(column).map(Optional::get).collect::<UInt16Array>());
    }

    fn celsius(&mut self, column: &'a Chunked<f64>) {
        self.put(self.of(column).map(|degrees| (!degrees.is_nan()).then_some(degrees)).collect::<Float64Array>());
    }

    fn enumerations<E: ClosedEnum + Element>(&mut self, column: &'a Chunked<E>) {
        self.columns.push(names(self.of(column).map(Some)));
    }

    fn enumerations_if<E: ClosedEnum + Coded>(&mut self, column: &'a Chunked<Optional<E>>)
    where
        Optional<E>: Element,
    {
        self.columns.push(names(self.of(column).map(Optional::get)));
    }

    /// One column of flags a value of the enumeration, in its order.
    fn flags<E: ClosedEnum>(&mut self, column: &'a Chunked<EnumSet<E>>)
    where
        EnumSet<E>: Element,
    {
        for &value in E::ALL {
            self.put(self.of(column).map(|set| Some(set.contains(value))).collect::<BooleanArray>());
        }
    }
}

/// A table that can be written.
trait Encode {
    /// Writes its columns, in the contract's order.
    fn write<'a>(&'a self, to: &mut Writer<'a>);
}

impl Encode for Declarations {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        to.ids(&self.id);
        to.persons(&self.person);
        to.instants(&self.declared_at);
        to.enumerations(&self.doc_type);
        to.regions(&self.residence);
        to.regions_if(&self.came_from);
        to.instants_if(&self.arrived_at);
        to.flags(&self.symptoms);
        to.flags(&self.admissions);
        to.labels_if(&self.enterprise);
    }
}

impl Encode for Checkins {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        to.ids(&self.id);
        to.persons(&self.person);
        to.instants(&self.reported_at);
        to.celsius(&self.temperature_c);
        to.flags(&self.symptoms);
        to.labels_if(&self.enterprise);
    }
}

impl Encode for Cases {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        to.ids(&self.id);
        to.persons(&self.person);
        to.enumerations(&self.kind);
        to.instants_if(&self.onset_at);
        to.instants(&self.reported_at);
        to.ends(&self.isolated_at);
        to.enumerations_if(&self.outcome);
        to.ends(&self.outcome_at);
    }
}

impl Encode for Quarantines {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        to.ids(&self.id);
        to.persons(&self.person);
        to.enumerations(&self.kind);
        to.instants(&self.started_at);
        to.ends(&self.ended_at);
    }
}

impl Encode for Contacts {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        to.ids(&self.id);
        to.persons(&self.person_a);
        to.persons(&self.person_b);
        to.instants(&self.started_at);
        to.seconds(&self.duration_s);
        to.enumerations(&self.setting);
    }
}

impl Encode for Stays {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        to.ids(&self.id);
        to.persons(&self.person);
        to.regions(&self.region);
        to.places(&self.place);
        to.instants(&self.entered_at);
        to.ends(&self.left_at);
        to.seats_if(&self.row);
    }
}

impl Encode for RiskAreas {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        to.ids(&self.id);
        to.regions(&self.region);
        to.enumerations(&self.level);
        to.instants(&self.listed_at);
        to.ends(&self.delisted_at);
    }
}

impl Encode for Tests {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        to.ids(&self.id);
        to.persons(&self.person);
        to.instants(&self.sampled_at);
        to.instants(&self.resulted_at);
        to.enumerations(&self.result);
    }
}

impl Encode for Whitelist {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        to.ids(&self.id);
        to.persons(&self.person);
        to.instants(&self.from_at);
        to.ends(&self.until_at);
        to.labels(&self.reason);
    }
}

impl Encode for Findings {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        to.ids(&self.id);
        to.persons(&self.person);
        to.instants(&self.found_at);
        to.ends(&self.lifted_at);
    }
}

impl Encode for Reviews {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        to.ids(&self.id);
        to.persons(&self.person);
        to.regions(&self.district);
        to.instants(&self.filed_at);
        to.enumerations(&self.state);
        to.ends(&self.decided_at);
    }
}

/// Some rows of a table, by their numbers and in their order.
///
/// # Panics
/// If a row is out of range, or names what has no name.
#[must_use]
pub fn table_batch(table: Table, tables: &Tables, names: RowNames<'_>, rows: &[u32]) -> RecordBatch {
    let mut to = Writer { rows, names, columns: Vec::with_capacity(table.columns().len()) };
    match table {
        Table::Declarations => tables.declarations.write(&mut to),
        Table::Checkins => tables.checkins.write(&mut to),
        Table::Cases => tables.cases.write(&mut to),
        Table::Quarantines => tables.quarantines.write(&mut to),
        Table::Contacts => tables.contacts.write(&mut to),
        Table::Stays => tables.stays.write(&mut to),
        Table::RiskAreas => tables.risk_areas.write(&mut to),
        Table::Tests => tables.tests.write(&mut to),
        Table::Whitelist => tables.whitelist.write(&mut to),
        Table::Findings => tables.findings.write(&mut to),
        Table::Reviews => tables.reviews.write(&mut to),
    }
    let schema = table.schema();
    let plain = schema.fields().iter().zip(to.columns);
    let plain = plain.map(|(field, column)| cast(&column, field.data_type()).expect("a dictionary can be written out"));
    RecordBatch::try_new(Arc::clone(&schema), plain.collect()).expect("columns are written by the schema")
}

/// Ids of a table's rows, in order.
#[must_use]
pub fn table_ids(table: Table, tables: &Tables) -> &Chunked<u64> {
    match table {
        Table::Declarations => &tables.declarations.id,
        Table::Checkins => &tables.checkins.id,
        Table::Cases => &tables.cases.id,
        Table::Quarantines => &tables.quarantines.id,
        Table::Contacts => &tables.contacts.id,
        Table::Stays => &tables.stays.id,
        Table::RiskAreas => &tables.risk_areas.id,
        Table::Tests => &tables.tests.id,
        Table::Whitelist => &tables.whitelist.id,
        Table::Findings => &tables.findings.id,
        Table::Reviews => &tables.reviews.id,
    }
}

/// How a file of a table is encoded: Snappy, and dictionaries for all but ids, instants and persons, of which there are too many.
#[must_use]
pub fn table_properties(table: Table, group_rows: usize) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(Some(group_rows));
    for column in table.columns() {
        let path = ColumnPath::from(column.name);
        let person = column.kind == ColumnType::Key && column.name != "place";
        if person || matches!(column.kind, ColumnType::UInt64 | ColumnType::Timestamp) {
            builder = builder.set_column_dictionary_enabled(path.clone(), false);
        }
        if column.kind == ColumnType::UInt64 {
            builder = builder.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
        }
    }
    builder.build()
}
