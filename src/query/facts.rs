//! The tables of facts, as tables of SQL.
//!
//! The one idea: a scan takes the index that names fewest rows, if one names few; else it goes over the columns zone by zone. Either
//! way conditions are decided on what is kept, and only what is left becomes Arrow.
//!
//! Invariant: conditions that are taken are decided here alone; a count of rows that is called exact is.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::common::stats::Precision;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::columns::{self, Kept, kept};
use super::filter::{Condition, Kind, Lookup, Test, Wanted, condition_of, is_within, short};
use super::rows::Rows;
use super::scan::{self, Batches, ScanExec, Source};
use super::snapshot::Snapshot;
use crate::limits::{QUERY_INDEX_SHARE, QUERY_ZONE_ROWS};
use crate::model::{PersonId, Region, RegionId, Table};

/// Which rows of a table of facts a table of SQL has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// All.
    All,
    /// Of declarations, those that stand.
    Standing,
}

/// A table.
#[derive(Debug)]
pub(super) struct FactTable {
    snapshot: Arc<Snapshot>,
    table: Table,
    of: Of,
    schema: SchemaRef,
}

impl FactTable {
    pub(super) fn new(snapshot: Arc<Snapshot>, table: Table, of: Of) -> Self {
        Self { snapshot, table, of, schema: columns::schema(table) }
    }

    fn access(&self, conditions: &[Condition]) -> Access {
        let (snapshot, rows) = (&*self.snapshot, self.snapshot.facts.rows_of(self.table));
        let most = (rows / QUERY_INDEX_SHARE).max(1);
        let found = conditions.iter().filter_map(|condition| self.indexed(condition, most));
        let found = found.min_by_key(|(_, rows)| rows.len());
        let listed = match (found, self.of) {
            (Some((index, rows)), Of::All) => Some((index, rows)),
            (Some((index, mut rows)), Of::Standing) => {
                rows.retain(|row| snapshot.standing().binary_search(row).is_ok());
                Some((index, rows))
            }
            (None, Of::Standing) if conditions.is_empty() => {
                return Access::Listed { index: "standing", rows: Arc::clone(snapshot.standing()) };
            }
            (None, Of::Standing) => Some(("standing", snapshot.standing().to_vec())),
            (None, Of::All) => None,
        };
        if let Some((index, mut rows)) = listed {
            for condition in conditions {
                condition.retain(kept(self.table), &snapshot.facts, &mut rows);
            }
            return Access::Listed { index, rows: rows.into() };
        }
        let all = snapshot.facts.ids_of(self.table).zones(QUERY_ZONE_ROWS);
        let mut zones: Vec<usize> = (0..all.len()).collect();
        for condition in conditions {
            let [test @ Test { wanted: Wanted::Between(bounds), .. }] = &*condition.0 else { continue };
            let Some(extremes) = snapshot.zones(self.table, test.column) else { continue };
            zones.retain(|&zone| {
                let (least, greatest) = extremes[zone];
                i128::from(least) <= *bounds.end() && i128::from(greatest) >= *bounds.start()
            });
        }
        let is_all = zones.len() == all.len();
        let zones: Vec<Range<usize>> = zones.into_iter().map(|zone| all[zone].clone()).collect();
        let most = zones.iter().map(Range::len).sum();
        let rows = if is_all { Precision::Exact(rows) } else { Precision::Inexact(most) };
        Access::Zones { zones, all: all.len(), rows }
    }

    /// The rows that an index names for a condition, ascending, `most` at the most; the condition may not hold for all.
    fn indexed(&self, condition: &Condition, most: usize) -> Option<(&'static str, Vec<u32>)> {
        let (mut index, mut rows) = ("", Vec::new());
        for test in &condition.0 {
            index = self.indexed_by_one(test, most, &mut rows)?;
        }
        rows.sort_unstable();
        rows.dedup();
        Some((index, rows))
    }

    fn indexed_by_one(&self, test: &Test, most: usize, rows: &mut Vec<u32>) -> Option<&'static str> {
        let facts = &self.snapshot.facts;
        match (kept(self.table)[test.column], &test.wanted) {
            (Kept::Person(_), Wanted::Among(persons)) if self.table != Table::Reviews => {
                let ranges = || persons.iter().map(|&person| self.rows_of(PersonId(person)));
                if ranges().map(|range| range.len()).sum::<usize>() > most {
                    return None;
                }
                let is_end = self.table == Table::Contacts;
                rows.extend(ranges().flatten().map(|at| if is_end { facts.contact_rows[at].0 } else { short(at) }));
                Some("person")
            }
            (Kept::Place(_), Wanted::Among(places)) => {
                let mut places: Vec<usize> = places.iter().map(|&place| place as usize).collect();
                places.sort_unstable();
                rows.extend(self.snapshot.stays_at(&places, most)?);
                Some("place")
            }
            (Kept::Region(_), Wanted::Among(_) | Wanted::Within(_)) if self.table == Table::Stays => {
                let inside = |region: Region| match &test.wanted {
                    Wanted::Among(codes) => codes.contains(&region.code()),
                    Wanted::Within(ancestor) => is_within(region, *ancestor),
                    _ => false,
                };
                let numbers = (0..facts.regions.len()).map(short).map(RegionId::from_index);
                let inside = numbers.filter(|&number| inside(facts.regions.code(number)));
                rows.extend(self.snapshot.stays_in(&inside.map(RegionId::index).collect::<Vec<_>>(), most)?);
                Some("region")
            }
            _ => None,
        }
    }

    /// Where a person's rows are; of contacts, their ends.
    fn rows_of(&self, person: PersonId) -> Range<usize> {
        let (facts, person) = (&self.snapshot.facts, person.index());
        match self.table {
            Table::Declarations => facts.declarations_of.range(person),
            Table::Checkins => facts.checkins_of.range(person),
            Table::Cases => facts.cases_of.range(person),
            Table::Quarantines => facts.quarantines_of.range(person),
            Table::Contacts => facts.contacts_of.range(person),
            Table::Stays => facts.stays_of.range(person),
            Table::Tests => facts.tests_of.range(person),
            Table::Whitelist => facts.whitelist_of.range(person),
            Table::Findings => facts.findings_of.range(person),
            Table::Reviews | Table::RiskAreas => 0..0,
        }
    }
}

impl Lookup for FactTable {
    fn column(&self, name: &str) -> Option<usize> {
        self.table.columns().iter().position(|column| column.name == name)
    }

    fn codes_of(&self, column: usize, text: &str) -> Option<Vec<u32>> {
        let names = &self.snapshot.facts.names;
        let found = match kept(self.table)[column] {
            Kept::Person(_) => names.persons.find(text),
            Kept::Place(_) => names.places.find(text),
            Kept::Label(_) | Kept::MaybeLabel(_) => names.labels.find(text),
            Kept::Name(_, all) => all.iter().position(|&name| name == text).map(short),
            _ => return None,
        };
        Some(found.into_iter().collect())
    }

    fn kind(&self, column: usize) -> Kind {
        match kept(self.table)[column] {
            Kept::Person(_) | Kept::Place(_) | Kept::Label(_) | Kept::MaybeLabel(_) | Kept::Name(..) => Kind::Text,
            Kept::Region(_) | Kept::MaybeRegion(_) => Kind::Region,
            Kept::Symptom(..) | Kept::Admission(..) => Kind::Flag,
            Kept::Temperature(_) => Kind::Other,
            _ => Kind::Number,
        }
    }
}

#[async_trait]
impl TableProvider for FactTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(scan::pushed_down(filters, |filter| condition_of(filter, self).is_some()))
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (columns, schema) = scan::projected(&self.schema, projection)?;
        let conditions: Vec<Condition> = filters.iter().filter_map(|filter| condition_of(filter, self)).collect();
        let access = self.access(&conditions);
        let source = FactScan {
            snapshot: Arc::clone(&self.snapshot),
            table: self.table,
            of: self.of,
            access,
            conditions,
            partitions: state.config().target_partitions(),
            columns,
            schema,
        };
        Ok(ScanExec::new(Arc::new(source), limit))
    }
}

/// How rows are found.
#[derive(Debug)]
enum Access {
    /// An index names them; all conditions hold.
    Listed { index: &'static str, rows: Arc<[u32]> },
    /// They are in some of all zones.
    Zones {
        zones: Vec<Range<usize>>,
        all: usize,
        /// How many rows are in all of them.
        rows: Precision<usize>,
    },
}

/// A scan of a table.
#[derive(Debug)]
struct FactScan {
    snapshot: Arc<Snapshot>,
    table: Table,
    of: Of,
    access: Access,
    conditions: Vec<Condition>,
    /// Parts wanted.
    partitions: usize,
    columns: Vec<usize>,
    schema: SchemaRef,
}

impl FactScan {
    fn batch(&self, rows: &Rows<'_>) -> Result<arrow::array::RecordBatch> {
        let (facts, views) = (&self.snapshot.facts, self.snapshot.views());
        let kept = kept(self.table);
        let columns = self.columns.iter().map(|&column| columns::array(kept[column], facts, views, rows));
        scan::batch(Arc::clone(&self.schema), columns.collect::<Result<_, _>>()?, rows.len())
    }

    /// The rows of a zone for which all conditions hold.
    fn selected(&self, zone: Range<usize>, standing: Option<Vec<u32>>) -> Vec<u32> {
        let mut rows = standing.unwrap_or_else(|| (short(zone.start)..short(zone.end)).collect());
        for condition in &self.conditions {
            condition.retain(kept(self.table), &self.snapshot.facts, &mut rows);
        }
        rows
    }
}

impl Source for FactScan {
    fn describe(&self) -> String {
        let names = self.table.columns();
        let columns: Vec<&str> = self.columns.iter().map(|&column| names[column].name).collect();
        let access = match &self.access {
            Access::Listed { index, rows } => format!("index={index}, rows={}", rows.len()),
            Access::Zones { zones, all, .. } => format!("zones={} of {all}", zones.len()),
        };
        let test = |test: &Test| test.wanted.describe(names[test.column].name, kept(self.table)[test.column]);
        let condition = |condition: &Condition| condition.0.iter().map(test).collect::<Vec<_>>().join(" OR ");
        let conditions: Vec<String> = self.conditions.iter().map(condition).collect();
        let filter =
            if conditions.is_empty() { String::new() } else { format!(", filter=[{}]", conditions.join(", ")) };
        let table = if self.of == Of::Standing { "standing_declarations" } else { self.table.name() };
        format!("table={table}, {access}{filter}, columns=[{}]", columns.join(", "))
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn partitions(&self) -> usize {
        let parts = match &self.access {
            Access::Listed { rows, .. } => rows.len().div_ceil(QUERY_ZONE_ROWS),
            Access::Zones { zones, .. } => zones.len(),
        };
        parts.clamp(1, self.partitions.max(1))
    }

    fn rows(&self) -> Precision<usize> {
        match &self.access {
            Access::Listed { rows, .. } => Precision::Exact(rows.len()),
            Access::Zones { rows, .. } if self.conditions.is_empty() => *rows,
            Access::Zones { rows, .. } => rows.to_inexact(),
        }
    }

    fn batches(self: Arc<Self>, partition: usize, batch_rows: usize) -> Batches {
        let parts = self.partitions();
        let part = |items: usize| items * partition / parts..items * (partition + 1) / parts;
        match &self.access {
            Access::Listed { rows, .. } => {
                let (rows, part) = (Arc::clone(rows), part(rows.len()));
                let begins = part.clone().step_by(batch_rows.max(1));
                Box::new(begins.map(move |begin| {
                    let end = part.end.min(begin + batch_rows);
                    self.batch(&Rows::List(&rows[begin..end]))
                }))
            }
            Access::Zones { zones, .. } => {
                let zones: Vec<Range<usize>> = zones[part(zones.len())].to_vec();
                Box::new(zones.into_iter().flat_map(move |zone| self.zone_batches(zone, batch_rows.max(1))))
            }
        }
    }
}

impl FactScan {
    /// The rows of a zone.
    fn zone_batches(self: &Arc<Self>, zone: Range<usize>, batch_rows: usize) -> Batches {
        let scan = Arc::clone(self);
        let standing = self.snapshot.facts.standing(self.table, zone.clone());
        if self.conditions.is_empty() && standing.is_none() {
            let end = zone.end;
            return Box::new(
                zone.step_by(batch_rows).map(move |begin| scan.batch(&Rows::Range(begin..end.min(begin + batch_rows)))),
            );
        }
        let rows = self.selected(zone, standing);
        let begins = (0..rows.len()).step_by(batch_rows);
        Box::new(begins.map(move |begin| scan.batch(&Rows::List(&rows[begin..rows.len().min(begin + batch_rows)]))))
    }
}
