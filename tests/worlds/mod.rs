//! Small random worlds of facts, dense in boundary cases, for the tests that compare two ways of computing a colour.
//!
//! The one idea: a seed gives a world, a program of rules ([`rules`]) and files ([`files`]) that hold the world; whatever
//! fails is cut down ([`shrink`]) until every row left matters, and printed a row a line.
//!
//! Invariant: every row of a world is valid by SPEC 1 ([`valid`] says what that is), and nothing here uses the engine beyond `model` and
//! `rules::program`.

pub mod cells;
pub mod columnar;
pub mod dirt;
pub mod draw;
pub mod files;
pub mod read;
pub mod rule_text;
pub mod rules;
pub mod scenes;
pub mod shrink;
pub mod text;
pub mod valid;

mod checks;
mod file_checks;
mod situations;

use std::collections::BTreeSet;

use sanma::model::facts::{TableColumns as _, Tables};
use sanma::model::time::{MICROS_PER_MINUTE, MICROS_PER_SECOND};
use sanma::model::{LocalDay, Table, Timestamp};

use cells::{Cell, Tokens, with_table};
use draw::{Calendar, DAYS, Draw, LOCAL, MINUTES, OFFSETS, RETENTIONS};

/// Person tokens that worlds use, in this order. Their byte order is not their order here.
pub const PERSONS: [&str; 12] = [
    "p1",
    "p2",
    "p10",
    "张三",
    "P1",
    "z",
    "é",
    "with space",
    "a \"quoted\", token",
    "x234567890123456789012345678901234567890123456789012345678901234",
    "p",
    "~",
];
/// Place tokens that worlds use. One is also a person's.
pub const PLACES: [&str; 5] = [
    "G7301/2020-02-05/03",
    "venue",
    "p1",
    "地铁一号线",
    "y234567890123456789012345678901234567890123456789012345678901234",
];
/// Labels that worlds use.
pub const LABELS: [&str; 4] = ["works", "湖州, \"一\" 厂", "nurse", "two\nlines"];

/// A set of facts with the tokens behind its ids.
#[derive(Clone, PartialEq)]
pub struct World {
    /// The facts.
    pub tables: Tables,
    /// Person tokens, by [`sanma::model::PersonId`].
    pub persons: Vec<String>,
    /// Place tokens, by [`sanma::model::PlaceId`].
    pub places: Vec<String>,
    /// Labels, by [`sanma::model::LabelId`].
    pub labels: Vec<String>,
}

impl World {
    /// The world of a seed: 3 to 12 persons, 1 to 5 places, 20 to 35 days of January to March 2020.
    pub fn random(seed: u64) -> Self {
        let mut draw = Draw::new(seed, 1);
        let persons = draw.range(3, 12);
        let places = draw.range(1, 5);
        let mut take = |tokens: &[&str], count: u32| {
            let mut taken: Vec<_> = tokens[..count as usize].iter().map(|&token| token.to_owned()).collect();
            draw.shuffle(&mut taken);
            taken
        };
        let persons = take(&PERSONS, persons);
        let places = take(&PLACES, places);
        let labels = take(&LABELS, 4);
        let calendar = Calendar::random(&mut draw);
        let tables = scenes::play(draw, calendar, persons.len(), places.len(), labels.len());
        Self { tables, persons, places, labels }
    }

    /// The tokens, to spell cells.
    pub fn tokens(&self) -> Tokens<'_> {
        Tokens { persons: &self.persons, places: &self.places, labels: &self.labels }
    }

    /// The rows of a table as cells, in the contract's order of columns.
    pub fn cells(&self, table: Table) -> Vec<Vec<Cell>> {
        cells::cells(&self.tables, table, self.tokens())
    }

    /// All rows, as table and row number.
    pub fn rows(&self) -> Vec<(Table, u32)> {
        let of = |table| {
            (0..u32::try_from(cells::row_count(&self.tables, table)).expect("small")).map(move |row| (table, row))
        };
        Table::ALL.into_iter().flat_map(of).collect()
    }

    /// The rows that name this person.
    pub fn rows_of(&self, person: &str) -> Vec<(Table, u32)> {
        let names = |table: Table, row: &[Cell]| {
            let mut named = table.columns().iter().zip(row).filter(|(column, _)| column.name.starts_with("person"));
            named.any(|(_, cell)| matches!(cell, Cell::Text(token) if token == person))
        };
        let mut found = Vec::new();
        for table in Table::ALL {
            let rows = self.cells(table);
            found.extend((0..).zip(&rows).filter(|(_, row)| names(table, row)).map(|(number, _)| (table, number)));
        }
        found
    }

    /// This world with only the rows listed, in the order listed.
    pub fn with_rows(&self, rows: &[(Table, u32)]) -> Self {
        let mut world = self.clone();
        for table in Table::ALL {
            let order: Vec<_> = rows.iter().filter(|&&(of, _)| of == table).map(|&(_, row)| row).collect();
            with_table!(mut world.tables, table, columns => columns.permute(&order));
        }
        world
    }

    /// This world with the rows of each table in another order: a different order of arrival of the same facts.
    pub fn shuffled(&self, seed: u64) -> Self {
        let mut rows = self.rows();
        Draw::new(seed, 2).shuffle(&mut rows);
        self.with_rows(&rows)
    }

    /// Every instant named by a fact, and every contact's end, sorted.
    pub fn instants(&self) -> Vec<Timestamp> {
        let mut instants = BTreeSet::new();
        for table in Table::ALL {
            for cell in self.cells(table).into_iter().flatten() {
                if let Cell::Instant(at) = cell {
                    instants.insert(at);
                }
            }
        }
        instants.extend(self.tables.contacts.rows().map(|contact| contact.ended_at()));
        instants.into_iter().collect()
    }

    /// Sorted instants at which a colour may change or all but change: every instant of a fact, and that plus each of
    /// [`DAYS`], [`RETENTIONS`] and [`MINUTES`]; every midnight of each of [`OFFSETS`] from the first such instant to a day
    /// after the last; each also a microsecond earlier and later; and one instant long after. Some thousands: take a few
    /// with [`Self::sample_instants`].
    pub fn instants_of_interest(&self) -> Vec<Timestamp> {
        let mut edges = BTreeSet::new();
        for at in self.instants() {
            edges.extend(DAYS.iter().chain(&RETENTIONS).map(|&days| at.plus_days(days)));
            edges.extend(MINUTES.map(|minutes| at.plus_micros(i64::from(minutes) * MICROS_PER_MINUTE)));
        }
        if let (Some(first), Some(last)) = (edges.first().copied(), edges.last().copied()) {
            for offset in OFFSETS {
                let days = first.local_day(offset).0..=last.local_day(offset).0 + 1;
                edges.extend(days.map(|day| LocalDay(day).starts_at(offset)));
            }
            edges.insert(last.plus_days(400));
        }
        let around: BTreeSet<_> =
            edges.into_iter().flat_map(|at| [-1, 0, 1].map(|micros| draw::shift(at, micros))).collect();
        around.into_iter().collect()
    }

    /// At most `count` of [`Self::instants_of_interest`], sorted: most at facts or a whole number of days after one.
    pub fn sample_instants(&self, seed: u64, count: usize) -> Vec<Timestamp> {
        let mut draw = Draw::new(seed, 3);
        let (facts, all) = (self.instants(), self.instants_of_interest());
        if all.is_empty() {
            return Vec::new();
        }
        let mut pick = |index: usize| {
            let fact = draw.pick(&facts);
            match index % 8 {
                0..=2 => draw::at_or_next_to(fact, &mut draw),
                3..=5 => draw::at_or_next_to(fact.plus_days(draw.pick(&DAYS)), &mut draw),
                6 => draw::at_or_next_to(fact.local_day(LOCAL).starts_at(LOCAL).max(facts[0]), &mut draw),
                _ => draw.pick(&all),
            }
        };
        let sample: BTreeSet<_> = (0..count).map(&mut pick).collect();
        sample.into_iter().collect()
    }
}

/// A row a line, nulls left out, instants on the local clock: a counterexample to read.
impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "World of {} rows, {} persons", self.tables.rows(), self.persons.len())?;
        for table in Table::ALL {
            for row in self.cells(table) {
                write!(f, "  {}", table.name())?;
                for (column, cell) in table.columns().iter().zip(&row) {
                    if !matches!(cell, Cell::Null | Cell::Bool(false)) {
                        write!(f, " {}={cell}", column.name)?;
                    }
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

/// Seconds of a span, for a contact's length.
pub fn seconds(micros: i64) -> u32 {
    u32::try_from(micros / MICROS_PER_SECOND).expect("a contact of some hours")
}
