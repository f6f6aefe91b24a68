//! Everybody's code, as a table of SQL, at the snapshot's instant or another.
//!
//! The one idea: nearly everybody's code is the plain one, which is a bit; who asks for yellow or red visits nobody else.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringViewArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::common::stats::Precision;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::columns::with_views;
use super::filter::{Condition, Kind, Lookup, Wanted, condition_of, short};
use super::prepared::apart;
use super::scan::{self, Batches, ScanExec, Source};
use super::snapshot::Snapshot;
use crate::evaluate::Codes;
use crate::model::schema::codes_schema;
use crate::model::{ClosedEnum as _, Code, Colour, PersonId, Timestamp};
use crate::rules::Program;
use crate::sinks;

const PERSON: usize = 0;
const COLOUR: usize = 1;

/// The codes at an instant.
#[derive(Debug)]
pub(super) struct CodeTable {
    snapshot: Arc<Snapshot>,
    at: Timestamp,
    schema: SchemaRef,
}

impl CodeTable {
    pub(super) fn new(snapshot: Arc<Snapshot>, at: Timestamp) -> Self {
        Self { snapshot, at, schema: with_views(&codes_schema()) }
    }
}

/// What conditions leave: persons, if any are named, and colours.
fn wanted(conditions: &[Condition]) -> (Option<Vec<u32>>, Vec<Colour>) {
    let (mut persons, mut colours): (Option<Vec<u32>>, _) = (None, Colour::ALL.to_vec());
    for test in conditions.iter().flat_map(|condition| &condition.0) {
        let Wanted::Among(codes) = &test.wanted else { continue };
        if test.column == COLOUR {
            colours.retain(|colour| codes.contains(&short(colour.index())));
        } else if let Some(persons) = &mut persons {
            persons.retain(|person| codes.contains(person));
        } else {
            persons = Some(codes.iter().copied().collect());
        }
    }
    (persons, colours)
}

impl Lookup for CodeTable {
    fn column(&self, name: &str) -> Option<usize> {
        self.schema.index_of(name).ok()
    }

    fn codes_of(&self, column: usize, text: &str) -> Option<Vec<u32>> {
        let found = match column {
            PERSON => self.snapshot.person(text).map(|person| person.0),
            COLOUR => Colour::parse(text).map(|colour| short(colour.index())),
            _ => return None,
        };
        Some(found.into_iter().collect())
    }

    fn kind(&self, column: usize) -> Kind {
        if [PERSON, COLOUR].contains(&column) { Kind::Text } else { Kind::Other }
    }
}

/// The condition, if it is one that a scan of codes decides: some persons, or some colours.
fn taken(filter: &Expr, table: &CodeTable) -> Option<Condition> {
    let condition = condition_of(filter, table)?;
    let [test] = &*condition.0 else { return None };
    matches!(test.wanted, Wanted::Among(_)).then_some(condition)
}

#[async_trait]
impl TableProvider for CodeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(scan::pushed_down(filters, |filter| taken(filter, self).is_some()))
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (columns, schema) = scan::projected(&self.schema, projection)?;
        let conditions: Vec<Condition> = filters.iter().filter_map(|filter| taken(filter, self)).collect();
        let (persons, colours) = wanted(&conditions);
        let (snapshot, at) = (Arc::clone(&self.snapshot), self.at);
        let codes = apart(move || Ok(snapshot.codes_at(at))).await?;
        let persons = persons.map(|mut persons| {
            persons.retain(|&person| codes.of(PersonId(person)).is_some_and(|code| colours.contains(&code.colour)));
            persons.sort_unstable();
            persons
        });
        let source = CodeScan {
            snapshot: Arc::clone(&self.snapshot),
            at: self.at,
            codes,
            persons,
            colours,
            partitions: state.config().target_partitions(),
            schema,
            columns,
        };
        Ok(ScanExec::new(Arc::new(source), limit))
    }
}

/// A scan of codes.
#[derive(Debug)]
struct CodeScan {
    snapshot: Arc<Snapshot>,
    at: Timestamp,
    codes: Arc<Codes>,
    /// Who is asked for, if not everybody: all of them have a code that is asked for.
    persons: Option<Vec<u32>>,
    colours: Vec<Colour>,
    /// Parts wanted.
    partitions: usize,
    columns: Vec<usize>,
    schema: SchemaRef,
}

impl CodeScan {
    fn is_of_few(&self) -> bool {
        !self.colours.contains(&Code::PLAIN.colour)
    }

    fn of_task(&self, task: usize) -> Vec<(PersonId, Code)> {
        let wanted = |(_, code): &(PersonId, Code)| self.colours.contains(&code.colour);
        if self.is_of_few() {
            self.codes.marked_of_task(task).filter(wanted).collect()
        } else {
            self.codes.of_task(task).filter(wanted).collect()
        }
    }

    fn batch(&self, rows: &[(PersonId, Code)]) -> Result<RecordBatch> {
        let columns = self.columns.iter().map(|&column| self.column(column, rows)).collect::<Result<_>>()?;
        scan::batch(Arc::clone(&self.schema), columns, rows.len())
    }

    fn column(&self, column: usize, rows: &[(PersonId, Code)]) -> Result<ArrayRef> {
        let program = &*self.snapshot.program;
        Ok(match column {
            PERSON => persons(&self.snapshot, rows.iter().map(|&(person, _)| person))?,
            COLOUR => colours(rows.iter().map(|(_, code)| Some(code.colour)))?,
            2 => rule_lists(program, rows.iter().map(|(_, code)| code.reasons)),
            3 => rule_lists(program, rows.iter().map(|(_, code)| code.excused)),
            _ => sinks::instants(rows.iter().map(|(_, code)| code.valid_until)),
        })
    }
}

/// Tokens of persons.
pub(super) fn persons(snapshot: &Snapshot, persons: impl Iterator<Item = PersonId>) -> Result<ArrayRef> {
    let ids = UInt32Array::from_iter_values(persons.map(|person| person.0));
    Ok(snapshot.views().persons(&snapshot.facts, &ids)?)
}

/// Names of colours.
pub(super) fn colours(colours: impl Iterator<Item = Option<Colour>>) -> Result<ArrayRef> {
    let codes: UInt32Array = colours.map(|colour| colour.map(|colour| short(colour.index()))).collect();
    Ok(take(&StringViewArray::from_iter_values(Colour::NAMES), &codes, None)?)
}

/// Lists of the ids of rules.
fn rule_lists(program: &Program, masks: impl Iterator<Item = crate::model::RuleMask>) -> ArrayRef {
    sinks::text_lists(masks.map(|mask| program.names(mask)))
}

impl Source for CodeScan {
    fn describe(&self) -> String {
        let names: Vec<&str> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let colours: Vec<&str> = self.colours.iter().map(|colour| colour.name()).collect();
        let access = match &self.persons {
            Some(persons) => format!("index=person, rows={}", persons.len()),
            None if self.is_of_few() => format!("index=colour, colours=[{}]", colours.join(", ")),
            None => format!("colours=[{}]", colours.join(", ")),
        };
        format!("table=codes at {}, {access}, columns=[{}]", self.at.to_rfc3339(), names.join(", "))
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn partitions(&self) -> usize {
        let parts = if self.persons.is_some() { 1 } else { self.codes.tasks() };
        parts.clamp(1, self.partitions.max(1))
    }

    fn rows(&self) -> Precision<usize> {
        Precision::Exact(self.persons.as_ref().map_or_else(
            || {
                let people = self.codes.by_colour();
                let rows: u64 = self.colours.iter().filter_map(|colour| people.get(colour)).sum();
                usize::try_from(rows).unwrap_or(usize::MAX)
            },
            Vec::len,
        ))
    }

    fn batches(self: Arc<Self>, partition: usize, batch_rows: usize) -> Batches {
        let batch_rows = batch_rows.max(1);
        let batches = move |scan: &Self, rows: &[(PersonId, Code)]| {
            rows.chunks(batch_rows).map(|rows| scan.batch(rows)).collect::<Vec<_>>()
        };
        if let Some(persons) = &self.persons {
            let code = |&person: &u32| Some((PersonId(person), self.codes.of(PersonId(person))?));
            let rows: Vec<(PersonId, Code)> = persons.iter().filter_map(code).collect();
            return Box::new(batches(&self, &rows).into_iter());
        }
        let (parts, tasks) = (self.partitions(), self.codes.tasks());
        let tasks = tasks * partition / parts..tasks * (partition + 1) / parts;
        Box::new(tasks.flat_map(move |task| batches(&self, &self.of_task(task))))
    }
}
