//! The columns of facts, all of them, for whoever keeps facts elsewhere and brings them back.
//!
//! The one idea: columns are listed once, in [`Facts::visit`]; who writes them and who puts others in their place walk the same
//! list, so that the two cannot name different things.
//!
//! Invariant: what [`Facts::of_columns`] gives is as [`Facts::new`] left it, if the visitor gives back what it was shown.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use arrow::buffer::Buffer;

use super::Facts;
use crate::model::facts::TableColumns as _;
use crate::model::flat::{Element, Visitor};
use crate::model::{Chunked, Flat};

impl Facts {
    /// Shows every column to a visitor, under a name of its own: its group, a dot, its name there. Of columns that
    /// have grown a visitor sees the base, unless it asks for more ([`Visitor::chunked`]).
    ///
    /// # Errors
    /// The visitor's first.
    pub fn visit<V: Visitor>(&mut self, visitor: &mut V) -> Result<(), V::Error> {
        self.visit_people(visitor)?;
        Arc::make_mut(&mut self.regions).visit(&mut Group { name: "risk_areas", visitor })
    }

    /// All of them but those of regions.
    fn visit_people<V: Visitor>(&mut self, visitor: &mut V) -> Result<(), V::Error> {
        macro_rules! groups {
            ($($name:literal: $($part:ident).+;)+) => {$(
                self.$($part).+.visit(&mut Group { name: $name, visitor: &mut *visitor })?;
            )+};
        }
        groups! {
            "persons": names.persons;
            "places": names.places;
            "labels": names.labels;
            "declarations": declarations;
            "declarations_of": declarations_of;
            "checkins": checkins;
            "checkins_of": checkins_of;
            "cases": cases;
            "cases_of": cases_of;
            "quarantines": quarantines;
            "quarantines_of": quarantines_of;
            "contacts": contacts;
            "contacts_of": contacts_of;
            "stays": stays;
            "stays_of": stays_of;
            "case_contacts": case_contacts;
            "case_stays_of": case_stays_of;
            "shared_stays_of": shared_stays_of;
            "tests": tests;
            "tests_of": tests_of;
            "whitelist": whitelist;
            "whitelist_of": whitelist_of;
            "findings": findings;
            "findings_of": findings_of;
            "reviews": reviews;
        }
        let visitor = &mut Group { name: "beside", visitor };
        visitor.chunked("residence", &mut self.residence)?;
        visitor.chunked("came_from", &mut self.came_from)?;
        visitor.chunked("neighbours", &mut self.neighbours)?;
        visitor.chunked("contact_rows", &mut self.contact_rows)?;
        visitor.chunked("stay_region", &mut self.stay_region)?;
        visitor.chunked("case_stays", &mut self.case_stays)?;
        visitor.column("shared_stays", &mut self.shared_stays)?;
        let mut until = Flat::from(vec![self.checkins_until, self.tests_until]);
        visitor.column("until", &mut until)?;
        if let &[checkins, tests] = &*until {
            (self.checkins_until, self.tests_until) = (checkins, tests);
        }
        Ok(())
    }

    /// Lets copies of these facts share their columns: a copy costs next to nothing from then on, and whoever changes one copies
    /// the column first.
    pub fn share(&mut self) {
        let Ok(()) = self.visit_people(&mut Share);
        self.moved.share();
        self.contacts_lost.share();
    }

    /// Facts of the columns that a visitor gives; `None` if those do not belong together.
    ///
    /// # Errors
    /// The visitor's first.
    pub fn of_columns<V: Visitor>(visitor: &mut V) -> Result<Option<Self>, V::Error> {
        let mut facts = Self::default();
        facts.visit(visitor)?;
        facts.people = facts.names.persons.len();
        Ok(facts.is_whole().then_some(facts))
    }

    /// Whether columns are of lengths that belong together. Cost: none to speak of.
    fn is_whole(&self) -> bool {
        let (people, names) = (self.people, &self.names);
        let tables = self.declarations.is_even()
            && self.checkins.is_even()
            && self.cases.is_even()
            && self.quarantines.is_even()
            && self.contacts.is_even()
            && self.case_contacts.is_even()
            && self.stays.is_even()
            && self.tests.is_even()
            && self.whitelist.is_even()
            && self.findings.is_even()
            && self.reviews.is_even()
            && self.risk_areas().is_even();
        let ranges = self.declarations_of.fits(people, self.declarations.len())
            && self.checkins_of.fits(people, self.checkins.len())
            && self.cases_of.fits(people, self.cases.len())
            && self.quarantines_of.fits(people, self.quarantines.len())
            && self.contacts_of.fits(people, self.neighbours.len())
            && self.stays_of.fits(people, self.stays.len())
            && self.case_stays_of.fits(names.places.len(), self.case_stays.len())
            && self.shared_stays_of.fits(names.places.len(), self.shared_stays.len())
            && self.tests_of.fits(people, self.tests.len())
            && self.whitelist_of.fits(people, self.whitelist.len())
            && self.findings_of.fits(people, self.findings.len());
        names.persons.is_even()
            && names.places.is_even()
            && names.labels.is_even()
            && tables
            && ranges
            && self.residence.len() == self.declarations.len()
            && self.came_from.len() == self.declarations.len()
            && self.neighbours.len() == 2 * self.contacts.len()
            && self.contact_rows.len() == self.neighbours.len()
            && self.stay_region.len() == self.stays.len()
    }
}

/// Columns by name, in memory.
#[derive(Default)]
pub(super) struct Held {
    columns: HashMap<String, Buffer>,
}

impl Held {
    /// Facts of the columns.
    ///
    /// # Panics
    /// If they are not those of facts.
    pub(super) fn into_facts(self) -> Facts {
        let Ok(facts) = Facts::of_columns(&mut Given { columns: self.columns });
        facts.expect("columns of facts belong together")
    }
}

impl Visitor for Held {
    type Error = Infallible;

    fn column<T: Element>(&mut self, name: &str, column: &mut Flat<T>) -> Result<(), Infallible> {
        self.columns.insert(name.to_owned(), std::mem::take(column).into_buffer());
        Ok(())
    }
}

/// Puts columns that were held in the place of those it is shown.
struct Given {
    columns: HashMap<String, Buffer>,
}

impl Visitor for Given {
    type Error = Infallible;

    fn column<T: Element>(&mut self, name: &str, column: &mut Flat<T>) -> Result<(), Infallible> {
        let held = self.columns.remove(name).expect("every column is held");
        *column = Flat::mapped(held).expect("values stay values");
        Ok(())
    }
}

/// Lets each column be shared.
struct Share;

impl Visitor for Share {
    type Error = Infallible;

    fn column<T: Element>(&mut self, _name: &str, column: &mut Flat<T>) -> Result<(), Infallible> {
        column.share();
        Ok(())
    }
}

/// Shows a visitor the columns of a group under their whole names.
struct Group<'a, V> {
    name: &'static str,
    visitor: &'a mut V,
}

impl<V: Visitor> Visitor for Group<'_, V> {
    type Error = V::Error;

    fn column<T: Element>(&mut self, name: &str, column: &mut Flat<T>) -> Result<(), V::Error> {
        self.visitor.column(&format!("{}.{name}", self.name), column)
    }

    fn chunked<T: Element>(&mut self, name: &str, column: &mut Chunked<T>) -> Result<(), V::Error> {
        self.visitor.chunked(&format!("{}.{name}", self.name), column)
    }
}
