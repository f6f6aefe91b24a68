//! Invalid rows of every kind that SPEC 1 names, for every table, with the reason that each must be rejected for.
//!
//! The one idea: a valid row is spoilt in one value, in two, or as a whole. Which formats can say such a row follows
//! from the values: CSV knows no types and cannot tell an empty text from a null, a columnar file holds one type a column.
//!
//! Dirt names the persons of every world, so that a row let in by mistake may change a colour.

use sanma::model::{Column, ColumnType, Reason, Table, Timestamp};
use serde_json::json;

use super::PERSONS;
use super::cells::Cell;
use super::draw::{Draw, JANUARY, LOCAL};
use super::valid::{column_index, interval};

/// Ids of dirt begin here; those of a world's rows lie below, but for the greatest.
pub const FIRST_ID: u64 = 1_000_000;

/// What an invalid row holds.
#[derive(Clone, Debug, PartialEq)]
pub enum DirtyRow {
    /// A value a column, in the contract's order.
    Cells(Vec<Cell>),
    /// A line of NDJSON that is no JSON object.
    NdjsonLine(Vec<u8>),
    /// A CSV record with so many fields more, or fewer, than the header.
    CsvFields(isize),
}

/// An invalid row and what is to become of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Dirt {
    /// The table it is meant for.
    pub table: Table,
    /// The row.
    pub row: DirtyRow,
    /// Why it must be rejected.
    pub reason: Reason,
    /// The column of the value at fault; `None` where the row as a whole is.
    pub column: Option<&'static str>,
    /// Its id, if legible.
    pub id: Option<u64>,
}

impl Dirt {
    /// Whether an NDJSON file can say it.
    pub fn in_ndjson(&self) -> bool {
        !matches!(self.row, DirtyRow::CsvFields(_))
    }

    /// Whether a CSV file can say it so that the reason stays the same.
    pub fn in_csv(&self) -> bool {
        match &self.row {
            DirtyRow::Cells(cells) => {
                self.table.columns().iter().zip(cells).all(|(column, cell)| csv_says(column, cell))
            }
            DirtyRow::NdjsonLine(_) => false,
            DirtyRow::CsvFields(_) => true,
        }
    }

    /// Whether Parquet and Arrow can say it, given wide enough columns.
    pub fn in_columns(&self) -> bool {
        match &self.row {
            DirtyRow::Cells(cells) => !cells.iter().any(|cell| matches!(cell, Cell::Odd(_))),
            DirtyRow::NdjsonLine(_) | DirtyRow::CsvFields(_) => false,
        }
    }
}

fn csv_says(column: &Column, cell: &Cell) -> bool {
    let texts = matches!(column.kind, ColumnType::Text | ColumnType::Key | ColumnType::Enumeration(_));
    match cell {
        Cell::Null => column.nullable || column.kind != ColumnType::Text,
        Cell::Text(text) => !text.is_empty(),
        Cell::Odd(value) => !texts && (value.is_string() || value.is_f64()),
        _ => true,
    }
}

/// Every kind of invalid row for every table; the seed chooses among equals and the order.
pub fn dirt(seed: u64) -> Vec<Dirt> {
    let mut draw = Draw::new(seed, 5);
    let mut all = Vec::new();
    for table in Table::ALL {
        let mut id = FIRST_ID..;
        let mut fresh = || id.next().expect("endless");
        for (index, column) in table.columns().iter().enumerate() {
            for (cell, reason) in faults(column) {
                all.push(spoilt(table, fresh(), &[(index, cell)], reason, Some(column.name)));
            }
        }
        for _ in 0..5 {
            let (one, two) = (draw.below(table.columns().len()), draw.below(table.columns().len()));
            let (first, second) = (one.min(two), one.max(two));
            let [(cell, reason), (other, _)] = [first, second].map(|index| {
                let faults = faults(&table.columns()[index]);
                faults[draw.below(faults.len())].clone()
            });
            // The first column's fault comes last so that it holds where both are one column.
            let name = table.columns()[first].name;
            all.push(spoilt(table, fresh(), &[(second, other), (first, cell)], reason, Some(name)));
        }
        for (values, reason) in row_faults(table) {
            all.push(spoilt(table, fresh(), &values, reason, None));
            // A fault of a value goes before one of the row, even in the last column.
            let last = table.columns().iter().rposition(|column| !column.nullable).expect("every table has an id");
            let values: Vec<_> = values.into_iter().chain([(last, Cell::Null)]).collect();
            all.push(spoilt(table, fresh(), &values, Reason::Null, Some(table.columns()[last].name)));
        }
        all.extend(malformed(table));
    }
    draw.shuffle(&mut all);
    all
}

fn spoilt(table: Table, id: u64, values: &[(usize, Cell)], reason: Reason, column: Option<&'static str>) -> Dirt {
    let mut cells = valid_row(table, id);
    for (index, value) in values {
        cells[*index] = value.clone();
    }
    let id = (cells[0] == Cell::Int(id.into())).then_some(id);
    Dirt { table, row: DirtyRow::Cells(cells), reason, column, id }
}

/// A valid row of the table with as few nulls as may be.
pub fn valid_row(table: Table, id: u64) -> Vec<Cell> {
    let text = |text: &str| Cell::Text(text.to_owned());
    let mut instants = (30..).map(|day| Cell::Instant(JANUARY.plus(day).starts_at(LOCAL)));
    let value = |column: &Column| match column.kind {
        ColumnType::UInt64 => Cell::Int(id.into()),
        ColumnType::UInt32 => Cell::Int(3600),
        ColumnType::UInt16 => Cell::Int(12),
        ColumnType::Region => Cell::Int(330_106_109),
        ColumnType::Float64 => Cell::Float(38.5),
        ColumnType::Boolean => Cell::Bool(true),
        ColumnType::Text => text("works"),
        ColumnType::Key => text(if column.name == "person_b" { PERSONS[1] } else { PERSONS[0] }),
        ColumnType::Timestamp => instants.next().expect("endless"),
        ColumnType::Enumeration(names) => text(names[names.len() - 1]),
    };
    table.columns().iter().map(value).collect()
}

/// Every fault that a value of this column can have.
fn faults(column: &Column) -> Vec<(Cell, Reason)> {
    let integers =
        |most: i128| vec![Cell::Int(-1), Cell::Int(most + 1), Cell::Odd(json!("seven")), Cell::Odd(json!(1.5))];
    let mut faults: Vec<_> = match column.kind {
        ColumnType::UInt64 => integers(u64::MAX.into()),
        ColumnType::UInt32 | ColumnType::Region => integers(u32::MAX.into()),
        ColumnType::UInt16 => integers(u16::MAX.into()),
        ColumnType::Float64 => vec![Cell::Odd(json!("warm")), Cell::Odd(json!(true))],
        ColumnType::Boolean => vec![Cell::Odd(json!("perhaps")), Cell::Odd(json!(1))],
        ColumnType::Text => vec![Cell::Odd(json!(5)), Cell::Odd(json!(["works"]))],
        ColumnType::Key | ColumnType::Enumeration(_) => vec![Cell::Odd(json!(5)), Cell::Odd(json!({"of": "p1"}))],
        ColumnType::Timestamp => ["yesterday", "2020-02-18", "2020-02-18T00:00:00", "2020-02-30T00:00:00Z"]
            .map(|at| Cell::Odd(json!(at)))
            .into(),
    }
    .into_iter()
    .map(|cell| (cell, Reason::Type))
    .collect();
    match column.kind {
        ColumnType::Region => {
            let codes = [0, 1000, 109_999, 830_000, 109_999_999, 830_000_000, u32::MAX];
            faults.extend(codes.map(|code| (Cell::Int(code.into()), Reason::Region)));
        }
        ColumnType::Key => {
            let tokens = [String::new(), "k".repeat(65), "健".repeat(22)];
            faults.extend(tokens.map(|token| (Cell::Text(token), Reason::KeyLength)));
        }
        ColumnType::Enumeration(names) => {
            let spellings = ["unknown".to_owned(), names[0].to_uppercase(), format!("{} ", names[0]), String::new()];
            faults.extend(spellings.map(|name| (Cell::Text(name), Reason::Enumeration)));
        }
        _ => {}
    }
    if !column.nullable {
        faults.push((Cell::Null, Reason::Null));
    }
    faults
}

/// Every fault that a row of valid values can have, as the values that make it.
fn row_faults(table: Table) -> Vec<(Vec<(usize, Cell)>, Reason)> {
    let at = |name| column_index(table, name);
    let (early, late) = (JANUARY.plus(40).starts_at(LOCAL), JANUARY.plus(41).starts_at(LOCAL));
    let reversed = |from, to, reason| {
        let pair =
            |start: Timestamp, end: Timestamp| vec![(at(from), Cell::Instant(start)), (at(to), Cell::Instant(end))];
        vec![(pair(late, early), reason), (pair(late, Timestamp(late.0 - 1)), reason)]
    };
    match table {
        Table::Contacts => vec![
            (vec![(at("person_b"), Cell::Text(PERSONS[0].to_owned()))], Reason::SamePerson),
            (vec![(at("duration_s"), Cell::Int(0))], Reason::ZeroDuration),
        ],
        Table::Cases => {
            ["outcome", "outcome_at"].map(|name| (vec![(at(name), Cell::Null)], Reason::OutcomePair)).into()
        }
        Table::Tests => reversed("sampled_at", "resulted_at", Reason::ResultBeforeSample),
        _ => interval(table).map_or_else(Vec::new, |(from, to)| reversed(from, to, Reason::Interval)),
    }
}

/// Lines that are no record at all.
fn malformed(table: Table) -> Vec<Dirt> {
    let lines: [&[u8]; 7] = [
        b"{\"id\": 1, \"person\"",
        b"not JSON",
        b"[1, 2]",
        b"\"text\"",
        b"17",
        b"{} {}",
        b"{\"id\": 1, \"person\": \"\xff\"}",
    ];
    let lines = lines.into_iter().map(|line| DirtyRow::NdjsonLine(line.to_owned()));
    let fields = [-1, 1, 5].map(DirtyRow::CsvFields);
    let dirt = |row| Dirt { table, row, reason: Reason::Malformed, column: None, id: None };
    lines.chain(fields).map(dirt).collect()
}
