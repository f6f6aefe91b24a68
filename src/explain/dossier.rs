//! A person's dossier: the few rows, out of all, that can bear on that person's code at any instant.
//!
//! The one idea: follow the contract's nouns outwards. A code reads the person's own rows, the cases met or shared a place
//! with, and (where a rule is of degree 2) the same once more for each person met. Nobody further away is ever read.
//!
//! Invariant: narrowing never changes a verdict; `verdict/tests.rs` compares with the whole world.
//! Cost: four passes over the contacts' and stays' keys, one over every other table.

use std::collections::HashSet;

use crate::model::facts::{TableColumns, Tables};
use crate::model::{PersonId, PlaceId, Region};
use crate::rules::{Cause, Program};

/// The rows of `facts` that can matter for `person` under `program`, at any instant.
#[must_use]
pub fn dossier(facts: &Tables, program: &Program, person: PersonId) -> Tables {
    let second_degree = program.rules.iter().any(|rule| matches!(rule.cause, Cause::SecondContact { .. }));
    let circle = circle_of(facts, person, second_degree);
    let patients: HashSet<PersonId> = facts.cases.person.iter().copied().collect();
    let met = |one: PersonId, other: PersonId| circle.contains(&one) && patients.contains(&other);

    let patient_places = places_of(facts, &patients);
    let circle_places = places_of(facts, &circle);
    let mut kept = Tables {
        contacts: keep(&facts.contacts, |contact| {
            let (a, b) = (contact.person_a, contact.person_b);
            a == person || b == person || met(a, b) || met(b, a)
        }),
        stays: keep(&facts.stays, |stay| {
            let shared = |places: &HashSet<PlaceId>| stay.place.is_some_and(|place| places.contains(&place));
            stay.person == person
                || circle.contains(&stay.person) && shared(&patient_places)
                || patients.contains(&stay.person) && shared(&circle_places)
        }),
        declarations: keep(&facts.declarations, |row| row.person == person),
        checkins: keep(&facts.checkins, |row| row.person == person),
        quarantines: keep(&facts.quarantines, |row| circle.contains(&row.person)),
        tests: keep(&facts.tests, |row| row.person == person),
        whitelist: keep(&facts.whitelist, |row| row.person == person),
        findings: keep(&facts.findings, |row| row.person == person),
        reviews: keep(&facts.reviews, |row| row.person == person),
        ..Tables::default()
    };

    let mut seen: HashSet<PersonId> = HashSet::from([person]);
    seen.extend(kept.contacts.person_a.iter().chain(kept.contacts.person_b.iter()).chain(kept.stays.person.iter()));
    kept.cases = keep(&facts.cases, |case| seen.contains(&case.person));

    let regions = regions_of(&kept, person);
    kept.risk_areas = keep(&facts.risk_areas, |area| regions.contains(&area.region));
    kept
}

/// The person and, if a rule looks through them, everybody in contact with the person.
fn circle_of(facts: &Tables, person: PersonId, second_degree: bool) -> HashSet<PersonId> {
    let mut circle = HashSet::from([person]);
    if second_degree {
        for (&a, &b) in facts.contacts.person_a.iter().zip(facts.contacts.person_b.iter()) {
            if a == person {
                circle.insert(b);
            } else if b == person {
                circle.insert(a);
            }
        }
    }
    circle
}

fn places_of(facts: &Tables, people: &HashSet<PersonId>) -> HashSet<PlaceId> {
    let visits = facts.stays.person.iter().zip(facts.stays.place.iter());
    visits.filter(|(person, _)| people.contains(person)).filter_map(|(_, place)| *place).collect()
}

/// Every region whose level can be asked for: those in the person's rows, and what holds them.
fn regions_of(kept: &Tables, person: PersonId) -> HashSet<Region> {
    let stays = kept.stays.rows().filter(|stay| stay.person == person).map(|stay| stay.region);
    let declared =
        kept.declarations.rows().flat_map(|declaration| [Some(declaration.residence), declaration.came_from]);
    stays
        .chain(declared.flatten())
        .flat_map(|region| std::iter::successors(Some(region), |region| region.parent()))
        .collect()
}

fn keep<C: TableColumns>(table: &C, wanted: impl Fn(&C::Row) -> bool) -> C {
    let mut kept = C::default();
    table.rows().filter(wanted).for_each(|row| kept.push(row));
    kept
}
