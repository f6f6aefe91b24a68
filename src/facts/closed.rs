//! Facts as they stand between two changes, as if they had just been loaded: columns without gaps, by whoever keeps them.
//!
//! The one idea: what rows have left behind is what no range names; so a column without gaps is the runs of rows that ranges do name,
//! one after the other, each column made when it is asked for. Runs of persons whose rows have not moved are one.
//!
//! Invariants: what is shown is what [`Facts::new`] makes of the rows that stand, up to the numbers of persons, places, labels and
//! regions, the order of contacts, and instants up to which something may be ahead; no row, person, place or label is in it that
//! stands no more.
//!
//! Cost: a pass over the ranges and a copy of every column. Memory: the names and the ranges once more, and a column.

use std::ops::Range;

use super::columns::Held;
use super::group::Offsets;
use super::{Facts, FactsView, Over, Sparse};
use crate::model::flat::{Element, Visitor};
use crate::model::{Chunked, Flat, Left, Renumbering, Table};

/// Rows in the order in which they are wanted, as ranges.
#[derive(Default)]
struct Runs {
    /// Those of a column's base, or opened together.
    runs: Vec<Range<u32>>,
    rows: usize,
}

impl Runs {
    /// Adds rows behind the others. `closed` is where the column's base ends: within it what is adjacent is one run.
    fn add(&mut self, rows: Range<usize>, closed: usize) {
        self.rows += rows.len();
        let short = |row: usize| u32::try_from(row).expect("rows are numbered by 32 bits");
        let (begin, end) = (short(rows.start), short(rows.end));
        match self.runs.last_mut() {
            _ if begin == end => {}
            Some(last) if last.end == begin && rows.end <= closed => last.end = end,
            _ => self.runs.push(begin..end),
        }
    }

    /// Adds those of some rows that are wanted.
    fn add_wanted(&mut self, rows: Range<usize>, closed: usize, wanted: &impl Fn(usize) -> bool) {
        let mut begin = rows.start;
        for row in rows.clone().filter(|&row| !wanted(row)) {
            self.add(begin..row, closed);
            begin = row + 1;
        }
        self.add(begin..rows.end, closed);
    }

    /// The rows of a column that are wanted.
    fn of_all<T: Element>(column: &Chunked<T>, wanted: &impl Fn(usize) -> bool) -> Self {
        let mut all = Self::default();
        for (begin, values) in column.pieces() {
            all.add_wanted(begin..begin + values.len(), column.base().len(), wanted);
        }
        all
    }

    /// The pieces of a column that they are.
    fn of<'a, T: Element>(&'a self, column: &'a Chunked<T>) -> impl Iterator<Item = &'a [T]> {
        self.runs.iter().map(|run| &column[run.start as usize..run.end as usize])
    }

    /// The values of a column, one after the other.
    fn gather<T: Element>(&self, column: &Chunked<T>) -> Vec<T> {
        let mut values = Vec::with_capacity(self.rows);
        self.of(column).for_each(|piece| values.extend_from_slice(piece));
        values
    }
}

/// The rows of keys that are left, key by key, as far as they are wanted, and the ranges that those will have.
fn dense(keys: &Left, ranges: &Offsets, closed: usize, wanted: &impl Fn(usize) -> bool) -> (Runs, Offsets) {
    let (mut runs, mut begins) = (Runs::default(), Vec::with_capacity(keys.len() + 1));
    let begin = |runs: &Runs| u32::try_from(runs.rows).expect("rows are numbered by 32 bits");
    for key in keys.ids() {
        begins.push(begin(&runs));
        runs.add_wanted(ranges.range(key), closed, wanted);
    }
    begins.push(begin(&runs));
    (runs, Offsets::new(begins))
}

/// The same where few keys have rows. All of those are left.
fn sparse(keys: &Left, ranges: &Sparse, closed: usize, wanted: &impl Fn(usize) -> bool) -> (Runs, Sparse) {
    let (mut runs, mut named) = (Runs::default(), Vec::new());
    for key in ranges.keys() {
        let before = runs.rows;
        runs.add_wanted(ranges.range(key as usize), closed, wanted);
        named.extend(std::iter::repeat_n(keys.number(key as usize) as usize, runs.rows - before));
    }
    let ranges = Sparse::of_ascending(keys.len(), named.into_iter());
    (runs, ranges)
}

/// Which rows are shown of each group of columns.
struct Closing<'a, V> {
    runs: Vec<(&'static [&'static str], Runs)>,
    to: &'a Renumbering,
    visitor: &'a mut V,
}

impl<V: Visitor> Closing<'_, V> {
    fn renumber<T: Element>(&self, values: &mut [T]) {
        if !self.to.is_none() {
            for value in values {
                *value = value.renumbered(self.to);
            }
        }
    }
}

impl<V: Visitor> Visitor for Closing<'_, V> {
    type Error = V::Error;

    fn column<T: Element>(&mut self, name: &str, column: &mut Flat<T>) -> Result<(), V::Error> {
        // Ranges and names have been made anew; what they hold names nothing by number.
        self.visitor.column(name, column)
    }

    fn chunked<T: Element>(&mut self, name: &str, column: &mut Chunked<T>) -> Result<(), V::Error> {
        let group = name.split('.').next().unwrap_or_default();
        let runs = self.runs.iter().find(|(names, _)| names.contains(&group) || names.contains(&name));
        let mut values = match runs {
            Some((_, runs)) => runs.gather(column),
            None => Runs::of_all(column, &|_| true).gather(column),
        };
        self.renumber(&mut values);
        self.visitor.column(name, &mut values.into())
    }
}

/// What is to be left of facts.
#[derive(Clone, Copy)]
enum Wanted {
    /// What stands.
    Standing,
    /// What stands and is not over; and all names, under their numbers.
    Lasting(Over),
}

impl FactsView {
    /// Shows every column to a visitor, as [`Facts::visit`] does of facts that have just been loaded.
    ///
    /// # Errors
    /// The visitor's first.
    pub fn close<V: Visitor>(&self, visitor: &mut V) -> Result<(), V::Error> {
        close(self.indexed(), Wanted::Standing, visitor)
    }

    /// The same in memory. Memory: all columns once more.
    #[must_use]
    pub fn closed(&self) -> Facts {
        held(self.indexed(), Wanted::Standing)
    }
}

impl Facts {
    /// The facts that are not over. Persons, places and labels keep their numbers. Columns are shared.
    pub(super) fn without(self, over: Over) -> Self {
        let mut facts = held(self, Wanted::Lasting(over));
        // Who was a case may be none any more.
        facts.index_meetings();
        facts
    }
}

fn held(facts: Facts, wanted: Wanted) -> Facts {
    let mut held = Held::default();
    let Ok(()) = close(facts, wanted, &mut held);
    held.into_facts()
}

/// Shows a visitor the columns of what is wanted of some facts.
fn close<V: Visitor>(mut facts: Facts, wanted: Wanted, visitor: &mut V) -> Result<(), V::Error> {
    let of = facts.clone();
    let lasts = |table: Table| {
        let of = &of;
        move |row: usize| match wanted {
            Wanted::Standing => true,
            Wanted::Lasting(over) => !over.holds(of, table, row),
        }
    };
    let keeps_names = matches!(wanted, Wanted::Lasting(_));
    let persons = if keeps_names { Left::all(of.people) } else { of.persons_left() };
    let mut runs: Vec<(&'static [&'static str], Runs)> = Vec::new();
    macro_rules! order {
        ($($group:expr => $how:ident of $($column:ident).+ by $ranges:ident, $keys:expr, $wanted:expr;)+) => {$({
            let (rows, ranges) = $how($keys, &of.$ranges, of.$($column).+.base().len(), &$wanted);
            facts.$ranges = ranges;
            runs.push(($group, rows));
        })+};
    }
    order! {
        &["declarations", "beside.residence", "beside.came_from"]
            => dense of declarations.id by declarations_of, &persons, lasts(Table::Declarations);
        &["checkins"] => dense of checkins.id by checkins_of, &persons, lasts(Table::Checkins);
        &["cases"] => sparse of cases.id by cases_of, &persons, lasts(Table::Cases);
        &["quarantines"] => sparse of quarantines.id by quarantines_of, &persons, lasts(Table::Quarantines);
        &["stays", "beside.stay_region"] => dense of stays.id by stays_of, &persons, lasts(Table::Stays);
        &["tests"] => sparse of tests.id by tests_of, &persons, lasts(Table::Tests);
        &["whitelist"] => sparse of whitelist.id by whitelist_of, &persons, lasts(Table::Whitelist);
        &["findings"] => sparse of findings.id by findings_of, &persons, lasts(Table::Findings);
    }
    runs.push((&["reviews"], Runs::of_all(&of.reviews.id, &lasts(Table::Reviews))));
    runs.push((&["risk_areas"], Runs::of_all(&of.risk_areas().id, &lasts(Table::RiskAreas))));
    let in_group = |group: &str| &runs.iter().find(|(names, _)| names.contains(&group)).expect("just put in").1;
    let (places, labels) = if keeps_names {
        (Left::all(of.names.places.len()), Left::all(of.names.labels.len()))
    } else {
        (of.places_left(in_group("stays")), of.labels_left(["declarations", "checkins", "whitelist"].map(in_group)))
    };
    let contacts = of.contacts_left(&lasts(Table::Contacts));
    runs.push((&["contacts"], Runs::of_all(&of.contacts.id, &|row| contacts.contains(row))));
    let to = Renumbering { persons, places, labels, contacts };
    order! {
        &["beside.neighbours", "beside.contact_rows"] => dense of neighbours by contacts_of, &to.persons,
            |end: usize| to.contacts.contains(of.contact_rows[end].index());
        &["beside.case_stays"] => sparse of case_stays by case_stays_of, &to.places, |_| true;
    }
    let (rows, ranges) = sparse(&to.places, &of.shared_stays_of, of.shared_stays.len(), &|_| true);
    facts.shared_stays_of = ranges;
    let shared = rows.gather(&Chunked::from(std::mem::take(&mut facts.shared_stays)));
    facts.shared_stays = shared.into_iter().map(|stay| stay.renumbered(&to)).collect();
    facts.names.persons = of.names.persons.left(&to.persons);
    facts.names.places = of.names.places.left(&to.places);
    facts.names.labels = of.names.labels.left(&to.labels);
    facts.visit(&mut Closing { runs, to: &to, visitor })
}

impl Facts {
    /// Persons who have rows.
    fn persons_left(&self) -> Left {
        let has_rows = |&person: &usize| {
            [&self.declarations_of, &self.checkins_of, &self.contacts_of, &self.stays_of]
                .iter()
                .any(|ranges| !ranges.range(person).is_empty())
                || [&self.cases_of, &self.quarantines_of, &self.tests_of, &self.whitelist_of, &self.findings_of]
                    .iter()
                    .any(|ranges| ranges.contains(person))
        };
        let reviewed = self.reviews.person.iter().map(|person| person.index());
        Left::new(self.people, (0..self.people).filter(has_rows).chain(reviewed))
    }

    /// Places of the stays in some rows.
    fn places_left(&self, stays: &Runs) -> Left {
        let named = stays.of(&self.stays.place).flatten().flatten();
        Left::new(self.names.places.len(), named.map(|place| place.index()))
    }

    /// Labels of the declarations, health reports and entries of the white list in some rows.
    fn labels_left(&self, [declarations, checkins, whitelist]: [&Runs; 3]) -> Left {
        let named = declarations.of(&self.declarations.enterprise).chain(checkins.of(&self.checkins.enterprise));
        let named = named.flatten().flatten().chain(whitelist.of(&self.whitelist.reason).flatten());
        Left::new(self.names.labels.len(), named.map(|label| label.index()))
    }

    /// Contacts that stand and are wanted.
    fn contacts_left(&self, wanted: &impl Fn(usize) -> bool) -> Left {
        let rows = self.contacts.id.len();
        Left::new(rows, (0..rows).filter(|&row| self.stands(Table::Contacts, row) && wanted(row)))
    }
}
