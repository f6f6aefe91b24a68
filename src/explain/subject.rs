//! The person under study: own rows, the listings of regions, and what others did to them.
//!
//! The one idea: lay the rows out once, by table, so that each cause is a plain loop; the overlaps of contacts and stays with
//! windows do not depend on T, so they are found once too (see `contact`).
//!
//! Invariant: a subject holds no conclusion that depends on T.

use std::collections::HashMap;
use std::rc::Rc;

use super::contact::{Exposure, Neighbour, exposures_of, neighbours_of};
use crate::model::facts::{
    Case, Checkin, Contact, Declaration, Finding, Quarantine, RiskArea, Stay, TableColumns, Tables, Test,
    WhitelistEntry,
};
use crate::model::{PersonId, PlaceId};
use crate::rules::{Cause, Program};

/// One person's rows, laid out to be read.
#[derive(Clone)]
pub(super) struct Subject<'a> {
    /// The rules.
    pub(super) program: &'a Program,
    /// Who it is.
    pub(super) person: PersonId,
    /// Own declarations, ordered by (`declared_at`, `id`).
    pub(super) declarations: Vec<Declaration>,
    /// Own check-ins.
    pub(super) checkins: Vec<Checkin>,
    /// Own cases.
    pub(super) cases: Vec<Case>,
    /// Own quarantines.
    pub(super) quarantines: Vec<Quarantine>,
    /// Own stays.
    pub(super) stays: Vec<Stay>,
    /// Own tests.
    pub(super) tests: Vec<Test>,
    /// Own entries of the white list.
    pub(super) whitelist: Vec<WhitelistEntry>,
    /// Own findings.
    pub(super) findings: Vec<Finding>,
    /// Listings of regions.
    pub(super) risk_areas: Vec<RiskArea>,
    /// For each rule, in order: what exposed the person, if it is a degree-1 contact rule.
    pub(super) exposures: Vec<Vec<Exposure>>,
    /// For each rule, in order: whom the person met, if it is a degree-2 contact rule.
    pub(super) neighbours: Vec<Vec<Neighbour>>,
    /// Everybody's rows that bear on exposures.
    pub(super) others: Rc<Others>,
}

impl<'a> Subject<'a> {
    /// Lays out the rows of `facts` (best a [`super::dossier()`]) around `person`.
    pub(super) fn new(facts: &Tables, program: &'a Program, person: PersonId) -> Self {
        let others = Others::new(facts);
        let of_rule = |index: usize| match &program.rules[index].cause {
            Cause::Contact(rule) => (exposures_of(&others, rule, person), Vec::new()),
            Cause::SecondContact { through, settings, .. } => match &program.rule(*through).cause {
                Cause::Contact(rule) => (Vec::new(), neighbours_of(&others, rule, *settings, person)),
                // A checked program has none such; without a first degree there is nobody to have caught anything from.
                _ => (Vec::new(), Vec::new()),
            },
            _ => (Vec::new(), Vec::new()),
        };
        let (exposures, neighbours) = (0..program.rules.len()).map(of_rule).unzip();
        let mut declarations = own(&facts.declarations, |row| row.person == person);
        declarations.sort_by_key(|declaration| (declaration.declared_at, declaration.id));
        Self {
            program,
            person,
            declarations,
            checkins: own(&facts.checkins, |row| row.person == person),
            cases: own(&facts.cases, |row| row.person == person),
            quarantines: own(&facts.quarantines, |row| row.person == person),
            stays: own(&facts.stays, |row| row.person == person),
            tests: own(&facts.tests, |row| row.person == person),
            whitelist: own(&facts.whitelist, |row| row.person == person),
            findings: own(&facts.findings, |row| row.person == person),
            risk_areas: facts.risk_areas.rows().collect(),
            exposures,
            neighbours,
            others: Rc::new(others),
        }
    }
}

fn own<C: TableColumns>(table: &C, mine: impl Fn(&C::Row) -> bool) -> Vec<C::Row> {
    table.rows().filter(mine).collect()
}

/// Rows of everybody, by person and by place.
pub(super) struct Others {
    pub(super) cases_of: HashMap<PersonId, Vec<Case>>,
    pub(super) contacts_of: HashMap<PersonId, Vec<Contact>>,
    pub(super) quarantines_of: HashMap<PersonId, Vec<Quarantine>>,
    pub(super) stays_of: HashMap<PersonId, Vec<Stay>>,
    pub(super) stays_in: HashMap<PlaceId, Vec<Stay>>,
}

impl Others {
    fn new(facts: &Tables) -> Self {
        let mut others = Self {
            cases_of: HashMap::new(),
            contacts_of: HashMap::new(),
            quarantines_of: HashMap::new(),
            stays_of: HashMap::new(),
            stays_in: HashMap::new(),
        };
        for case in facts.cases.rows() {
            others.cases_of.entry(case.person).or_default().push(case);
        }
        for contact in facts.contacts.rows() {
            others.contacts_of.entry(contact.person_a).or_default().push(contact);
            others.contacts_of.entry(contact.person_b).or_default().push(contact);
        }
        for quarantine in facts.quarantines.rows() {
            others.quarantines_of.entry(quarantine.person).or_default().push(quarantine);
        }
        for stay in facts.stays.rows() {
            others.stays_of.entry(stay.person).or_default().push(stay);
            if let Some(place) = stay.place {
                others.stays_in.entry(place).or_default().push(stay);
            }
        }
        others
    }
}

/// The rows under `key`, none if there is none.
pub(super) fn rows_of<K: std::hash::Hash + Eq + Copy, R>(table: &HashMap<K, Vec<R>>, key: K) -> &[R] {
    table.get(&key).map_or(&[], Vec::as_slice)
}
