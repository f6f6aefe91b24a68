//! Rows of any table as plain values, in the contract's order of columns.
//!
//! The one idea: what writes a file, checks a row or prints a counterexample looks at cells and [`Table::columns`], so that
//! it is written once and not eleven times. Interned tokens are spelt out, so cells of two loads can be compared even when
//! the tokens were met in another order.

use sanma::model::facts::{TableColumns as _, Tables};
use sanma::model::{Admission, ClosedEnum, EnumSet, PersonId, Region, Symptom, Table, Timestamp};

use super::draw::LOCAL;

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Null, an open end, a temperature not taken.
    Null,
    /// An integer of any column type; wide enough for values that no column holds.
    Int(i128),
    /// A double.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A text, key or enumeration.
    Text(String),
    /// An instant.
    Instant(Timestamp),
    /// A value of another type than the column's, as JSON; only dirt holds one.
    Odd(serde_json::Value),
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("-"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Text(value) => f.write_str(value),
            Self::Instant(at) => f.write_str(&at.to_rfc3339_at(LOCAL)),
            Self::Odd(value) => write!(f, "{value}"),
        }
    }
}

/// The texts behind interned ids.
#[derive(Clone, Copy, Debug)]
pub struct Tokens<'a> {
    /// By person.
    pub persons: &'a [String],
    /// By place.
    pub places: &'a [String],
    /// By label.
    pub labels: &'a [String],
}

/// The columns of one table by its name: `with_table!(&tables, table, columns => expression)`, or `mut` to change them.
macro_rules! with_table {
    (@ $($mutable:ident)?, $tables:expr, $table:expr, $columns:ident, $body:expr) => {
        match $table {
            sanma::model::Table::Declarations => { let $columns = & $($mutable)? $tables.declarations; $body }
            sanma::model::Table::Checkins => { let $columns = & $($mutable)? $tables.checkins; $body }
            sanma::model::Table::Cases => { let $columns = & $($mutable)? $tables.cases; $body }
            sanma::model::Table::Quarantines => { let $columns = & $($mutable)? $tables.quarantines; $body }
            sanma::model::Table::Contacts => { let $columns = & $($mutable)? $tables.contacts; $body }
            sanma::model::Table::Stays => { let $columns = & $($mutable)? $tables.stays; $body }
            sanma::model::Table::RiskAreas => { let $columns = & $($mutable)? $tables.risk_areas; $body }
            sanma::model::Table::Tests => { let $columns = & $($mutable)? $tables.tests; $body }
            sanma::model::Table::Whitelist => { let $columns = & $($mutable)? $tables.whitelist; $body }
            sanma::model::Table::Findings => { let $columns = & $($mutable)? $tables.findings; $body }
            sanma::model::Table::Reviews => { let $columns = & $($mutable)? $tables.reviews; $body }
        }
    };
    (mut $tables:expr, $table:expr, $columns:ident => $body:expr) => {
        with_table!(@mut, $tables, $table, $columns, $body)
    };
    ($tables:expr, $table:expr, $columns:ident => $body:expr) => {
        with_table!(@, $tables, $table, $columns, $body)
    };
}
pub(crate) use with_table;

/// Number of rows of a table.
pub fn row_count(tables: &Tables, table: Table) -> usize {
    with_table!(tables, table, columns => columns.len())
}

/// All rows of a table as cells.
pub fn cells(tables: &Tables, table: Table, tokens: Tokens<'_>) -> Vec<Vec<Cell>> {
    let rows: Vec<_> = match table {
        Table::Declarations => declarations(tables, tokens),
        Table::Checkins => checkins(tables, tokens),
        Table::Cases => cases(tables, tokens),
        Table::Stays => stays(tables, tokens),
        Table::Contacts | Table::Quarantines | Table::Tests => links(tables, table, tokens),
        _ => listings(tables, table, tokens),
    };
    debug_assert!(rows.iter().all(|row| row.len() == table.columns().len()), "a cell a column");
    rows
}

fn declarations(tables: &Tables, tokens: Tokens<'_>) -> Vec<Vec<Cell>> {
    let row = |row: sanma::model::facts::Declaration| {
        let mut cells = vec![
            id(row.id),
            person(row.person, tokens),
            instant(row.declared_at),
            name(row.doc_type),
            region(row.residence),
            row.came_from.map_or(Cell::Null, region),
            row.arrived_at.map_or(Cell::Null, instant),
        ];
        cells.extend(flags(row.symptoms));
        cells.extend(
            [Admission::ContactWithCase, Admission::VisitedKeyArea].map(|a| Cell::Bool(row.admissions.contains(a))),
        );
        cells.push(row.enterprise.map_or(Cell::Null, |label| text(&tokens.labels[label.index()])));
        cells
    };
    tables.declarations.rows().map(row).collect()
}

fn checkins(tables: &Tables, tokens: Tokens<'_>) -> Vec<Vec<Cell>> {
    let row = |row: sanma::model::facts::Checkin| {
        let temperature = if row.temperature_c.is_nan() { Cell::Null } else { Cell::Float(row.temperature_c) };
        let mut cells = vec![id(row.id), person(row.person, tokens), instant(row.reported_at), temperature];
        cells.extend(flags(row.symptoms));
        cells.push(row.enterprise.map_or(Cell::Null, |label| text(&tokens.labels[label.index()])));
        cells
    };
    tables.checkins.rows().map(row).collect()
}

fn cases(tables: &Tables, tokens: Tokens<'_>) -> Vec<Vec<Cell>> {
    let row = |row: sanma::model::facts::Case| {
        vec![
            id(row.id),
            person(row.person, tokens),
            name(row.kind),
            row.onset_at.map_or(Cell::Null, instant),
            instant(row.reported_at),
            instant(row.isolated_at),
            row.outcome.map_or(Cell::Null, name),
            instant(row.outcome_at),
        ]
    };
    tables.cases.rows().map(row).collect()
}

fn stays(tables: &Tables, tokens: Tokens<'_>) -> Vec<Vec<Cell>> {
    let row = |row: sanma::model::facts::Stay| {
        vec![
            id(row.id),
            person(row.person, tokens),
            region(row.region),
            row.place.map_or(Cell::Null, |place| text(&tokens.places[place.index()])),
            instant(row.entered_at),
            instant(row.left_at),
            row.row.map_or(Cell::Null, |seat| Cell::Int(seat.into())),
        ]
    };
    tables.stays.rows().map(row).collect()
}

fn links(tables: &Tables, table: Table, tokens: Tokens<'_>) -> Vec<Vec<Cell>> {
    let who = |of| person(of, tokens);
    match table {
        Table::Quarantines => tables
            .quarantines
            .rows()
            .map(|row| {
                vec![id(row.id), who(row.person), name(row.kind), instant(row.started_at), instant(row.ended_at)]
            })
            .collect(),
        Table::Contacts => tables
            .contacts
            .rows()
            .map(|row| {
                let (start, length) = (instant(row.started_at), Cell::Int(row.duration_s.into()));
                vec![id(row.id), who(row.person_a), who(row.person_b), start, length, name(row.setting)]
            })
            .collect(),
        _ => tables
            .tests
            .rows()
            .map(|row| {
                vec![id(row.id), who(row.person), instant(row.sampled_at), instant(row.resulted_at), name(row.result)]
            })
            .collect(),
    }
}

fn listings(tables: &Tables, table: Table, tokens: Tokens<'_>) -> Vec<Vec<Cell>> {
    let who = |of| person(of, tokens);
    match table {
        Table::RiskAreas => tables
            .risk_areas
            .rows()
            .map(|row| {
                vec![id(row.id), region(row.region), name(row.level), instant(row.listed_at), instant(row.delisted_at)]
            })
            .collect(),
        Table::Whitelist => tables
            .whitelist
            .rows()
            .map(|row| {
                let reason = text(&tokens.labels[row.reason.index()]);
                vec![id(row.id), who(row.person), instant(row.from_at), instant(row.until_at), reason]
            })
            .collect(),
        Table::Findings => tables
            .findings
            .rows()
            .map(|row| vec![id(row.id), who(row.person), instant(row.found_at), instant(row.lifted_at)])
            .collect(),
        _ => tables
            .reviews
            .rows()
            .map(|row| {
                let (filed, decided) = (instant(row.filed_at), instant(row.decided_at));
                vec![id(row.id), who(row.person), region(row.district), filed, name(row.state), decided]
            })
            .collect(),
    }
}

fn id(value: u64) -> Cell {
    Cell::Int(value.into())
}

fn person(value: PersonId, tokens: Tokens<'_>) -> Cell {
    text(&tokens.persons[value.index()])
}

fn region(value: Region) -> Cell {
    Cell::Int(value.code().into())
}

fn text(value: &str) -> Cell {
    Cell::Text(value.to_owned())
}

fn name(value: impl ClosedEnum) -> Cell {
    text(value.name())
}

fn instant(at: Timestamp) -> Cell {
    at.finite().map_or(Cell::Null, Cell::Instant)
}

fn flags(symptoms: EnumSet<Symptom>) -> [Cell; 3] {
    [Symptom::Fever, Symptom::Dyspnea, Symptom::Respiratory].map(|symptom| Cell::Bool(symptoms.contains(symptom)))
}
