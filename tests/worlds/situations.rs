//! The boundary situations that worlds exist for, each as a question to a world.
//!
//! The one idea: a generator that once made a case may stop doing so unseen; these questions are asked of two hundred seeds.

use std::collections::{BTreeMap, BTreeSet};

use sanma::model::facts::{Case, Contact, Stay, TableColumns as _};
use sanma::model::time::{MICROS_PER_MINUTE, MICROS_PER_SECOND};
use sanma::model::{LocalDay, Outcome, PersonId, TestResult, Timestamp};

use super::World;
use super::draw::{DAYS, LOCAL, MINUTES, shift};

/// A name and the question.
type Situation = (&'static str, fn(&World) -> bool);

/// All situations.
pub const SITUATIONS: &[Situation] = &[
    ("a fact exactly at local midnight", |w| w.instants().iter().any(|&at| is_midnight(at))),
    ("a fact a microsecond before local midnight", |w| w.instants().iter().any(|&at| is_midnight(shift(at, 1)))),
    ("facts a microsecond apart", |w| w.instants().windows(2).any(|pair| pair[1].0 - pair[0].0 == 1)),
    ("facts exactly N days apart", days_apart),
    ("a person never declares", |w| (0..w.persons.len()).any(|p| declared_at(w).all(|(of, _)| of.index() != p))),
    ("declarations of one person at one instant", |w| twice(declared_at(w))),
    ("more than two declarations of one person", |w| {
        let mut counts = BTreeMap::new();
        declared_at(w).for_each(|(of, _)| *counts.entry(of).or_insert(0) += 1);
        counts.values().any(|&count| count > 2)
    }),
    ("a declared arrival after the declaration", |w| {
        w.tables.declarations.rows().any(|d| d.came_from.is_some() && d.arrived_at > Some(d.declared_at))
    }),
    ("a declared origin without arrival", |w| {
        w.tables.declarations.rows().any(|d| d.came_from.is_some() && d.arrived_at.is_none())
    }),
    ("a declared residence that is listed", |w| {
        w.tables.declarations.rows().any(|d| w.tables.risk_areas.region.base().contains(&d.residence))
    }),
    ("temperature exactly at the limit", |w| w.tables.checkins.temperature_c.base().contains(&37.3)),
    ("temperature just below the limit", |w| w.tables.checkins.temperature_c.base().contains(&37.299_999)),
    ("temperature not taken", |w| w.tables.checkins.temperature_c.iter().any(|t| t.is_nan())),
    ("two check-ins of one person on a day", |w| {
        twice(w.tables.checkins.rows().map(|c| (c.person, c.reported_at.local_day(LOCAL))))
    }),
    ("check-ins on exactly 7 days running", |w| runs(w).contains(&7)),
    ("check-ins with one day's gap", |w| days_of(w).values().any(gap)),
    ("a person suspected and confirmed", |w| {
        w.tables.cases.rows().any(|a| w.tables.cases.rows().any(|b| a.person == b.person && a.kind < b.kind))
    }),
    ("cases of one person reported at one instant", |w| {
        twice(w.tables.cases.rows().map(|c| (c.person, c.reported_at)))
    }),
    ("a case ruled out", |w| w.tables.cases.outcome.base().contains(&Some(Outcome::RuledOut).into())),
    ("a case recovered", |w| w.tables.cases.outcome.base().contains(&Some(Outcome::Recovered).into())),
    ("a case that died", |w| w.tables.cases.outcome.base().contains(&Some(Outcome::Died).into())),
    ("an outcome before the report", |w| w.tables.cases.rows().any(|c| c.outcome_at < c.reported_at)),
    ("onset before a late report", |w| {
        w.tables.cases.rows().any(|c| c.onset_at.is_some_and(|onset| onset < c.reported_at))
    }),
    ("a case without onset", |w| w.tables.cases.onset_at.base().contains(&None.into())),
    ("isolated before onset", |w| w.tables.cases.rows().any(|c| Some(c.isolated_at) < c.onset_at)),
    ("isolated in mid-contact", |w| {
        contacts_of_cases(w).any(|(case, c)| c.started_at < case.isolated_at && case.isolated_at < c.ended_at())
    }),
    ("isolated exactly as a contact ends", |w| contacts_of_cases(w).any(|(case, c)| case.isolated_at == c.ended_at())),
    ("a contact that touches the opening of a window", |w| {
        contacts_of_cases(w).any(|(case, c)| DAYS.iter().any(|&d| opens(&case, d) == c.ended_at()))
    }),
    ("a contact of exactly M minutes", |w| {
        w.tables.contacts.rows().any(|c| MINUTES.contains(&(c.duration_s / 60)) && c.duration_s % 60 == 0)
    }),
    ("a contact of a second less than M minutes", |w| {
        w.tables.contacts.rows().any(|c| (c.duration_s + 1) % 60 == 0 && MINUTES.contains(&((c.duration_s + 1) / 60)))
    }),
    ("an overlap of exactly M minutes within a longer contact", |w| {
        contacts_of_cases(w).any(|(case, c)| {
            let overlap = |d| overlap((c.started_at, c.ended_at()), (opens(&case, d), closes(&case)));
            DAYS.iter().any(|&d| overlap(d) < i64::from(c.duration_s) * MICROS_PER_SECOND && exact_minutes(overlap(d)))
        })
    }),
    ("a chain of three contacts from a case", chain),
    ("a quarantine that begins exactly at an exposure", |w| {
        contacts_of_cases(w).any(|(_, c)| w.tables.quarantines.started_at.base().contains(&c.ended_at()))
    }),
    ("a contact that begins exactly where another ended", |w| {
        w.tables.contacts.rows().any(|c| w.tables.contacts.started_at.base().contains(&c.ended_at()))
    }),
    ("an open stay", |w| w.tables.stays.rows().any(|s| s.left_at.is_never())),
    ("an empty stay", |w| w.tables.stays.rows().any(|s| s.left_at == s.entered_at)),
    ("touching stays in a place", |w| pairs_in_place(w).any(|(a, b)| a.left_at == b.entered_at)),
    ("stays that overlap by exactly M minutes", |w| {
        pairs_in_place(w).any(|(a, b)| exact_minutes(overlap(span(&a), span(&b))))
    }),
    ("stays that overlap by a microsecond", |w| pairs_in_place(w).any(|(a, b)| overlap(span(&a), span(&b)) == 1)),
    ("rows 3 apart", |w| pairs_in_place(w).any(|(a, b)| rows_apart(&a, &b) == Some(3))),
    ("rows 4 apart", |w| pairs_in_place(w).any(|(a, b)| rows_apart(&a, &b) == Some(4))),
    ("one row known, one not", |w| pairs_in_place(w).any(|(a, b)| a.row.is_some() && b.row.is_none())),
    ("a region and its parent both listed", |w| {
        let listed = w.tables.risk_areas.region.base();
        listed.iter().any(|region| region.parent().is_some_and(|parent| listed.contains(&parent)))
    }),
    ("listings of one region that overlap at two levels", |w| {
        pairs_listed(w).any(|(a, b)| a.2 != b.2 && overlap((a.0, a.1), (b.0, b.1)) > 0)
    }),
    ("touching listings of one region", |w| pairs_listed(w).any(|(a, b)| a.1 == b.0 && a.0 < a.1)),
    ("an empty listing", |w| w.tables.risk_areas.rows().any(|l| l.listed_at == l.delisted_at)),
    ("a listed street under a city", |w| w.tables.risk_areas.region.iter().any(|region| region.code() == 330_100_001)),
    ("a listed country", |w| w.tables.risk_areas.region.iter().any(|region| region.code() < 1000)),
    ("a stay of exactly M minutes", |w| {
        w.tables.stays.rows().any(|s| exact_minutes(s.left_at.micros_since(s.entered_at)))
    }),
    ("a positive test, then a negative one at the same instant", |w| pairs_of_tests(w, |gap| gap == 0)),
    ("a positive test, then a negative one a microsecond later", |w| pairs_of_tests(w, |gap| gap == 1)),
    ("two negative tests of one person on a day", |w| {
        let negative = w.tables.tests.rows().filter(|t| t.result == TestResult::Negative);
        twice(negative.map(|t| (t.person, t.sampled_at.local_day(LOCAL))))
    }),
    ("a result at the instant of the sample", |w| w.tables.tests.rows().any(|t| t.sampled_at == t.resulted_at)),
    ("an open white list entry", |w| w.tables.whitelist.until_at.iter().any(|at| at.is_never())),
    ("an empty white list entry", |w| w.tables.whitelist.rows().any(|e| e.from_at == e.until_at)),
    ("a finding lifted", |w| w.tables.findings.lifted_at.iter().any(|at| !at.is_never())),
    ("a finding open", |w| w.tables.findings.lifted_at.iter().any(|at| at.is_never())),
    ("a review", |w| !w.tables.reviews.id.is_empty()),
    ("quarantines that touch", |w| {
        w.tables.quarantines.rows().any(|a| {
            w.tables.quarantines.rows().any(|b| a.id != b.id && a.person == b.person && a.ended_at == b.started_at)
        })
    }),
    ("the greatest id", |w| w.tables.declarations.id.base().contains(&u64::MAX)),
];

fn is_midnight(at: Timestamp) -> bool {
    at.local_day(LOCAL).starts_at(LOCAL) == at
}

fn days_apart(world: &World) -> bool {
    let instants: BTreeSet<_> = world.instants().into_iter().collect();
    instants.iter().any(|at| DAYS[1..].iter().any(|&days| instants.contains(&at.plus_days(days))))
}

fn twice<T: Ord>(items: impl Iterator<Item = T>) -> bool {
    let mut seen = BTreeSet::new();
    items.into_iter().any(|item| !seen.insert(item))
}

fn declared_at(world: &World) -> impl Iterator<Item = (PersonId, Timestamp)> {
    world.tables.declarations.rows().map(|row| (row.person, row.declared_at))
}

fn days_of(world: &World) -> BTreeMap<PersonId, BTreeSet<LocalDay>> {
    let mut days: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for row in world.tables.checkins.rows() {
        days.entry(row.person).or_default().insert(row.reported_at.local_day(LOCAL));
    }
    days
}

/// Lengths of runs of days with a check-in.
fn runs(world: &World) -> BTreeSet<i64> {
    let mut lengths = BTreeSet::new();
    for days in days_of(world).values() {
        for &first in days.iter().filter(|day| !days.contains(&day.plus(-1))) {
            lengths.extend((1..100).find(|&length| !days.contains(&first.plus(length))));
        }
    }
    lengths
}

fn gap(days: &BTreeSet<LocalDay>) -> bool {
    days.iter().any(|day| days.contains(&day.plus(-1)) && !days.contains(&day.plus(1)) && days.contains(&day.plus(2)))
}

fn contacts_of_cases(world: &World) -> impl Iterator<Item = (Case, Contact)> {
    world.tables.cases.rows().flat_map(|case| {
        let with = move |contact: &Contact| contact.person_a == case.person || contact.person_b == case.person;
        world.tables.contacts.rows().filter(with).map(move |contact| (case, contact))
    })
}

fn opens(case: &Case, days: u32) -> Timestamp {
    case.onset_at.unwrap_or(case.reported_at).minus_days(days)
}

fn closes(case: &Case) -> Timestamp {
    case.isolated_at.min(case.outcome_at)
}

fn overlap(a: (Timestamp, Timestamp), b: (Timestamp, Timestamp)) -> i64 {
    a.1.min(b.1).micros_since(a.0.max(b.0)).max(0)
}

fn exact_minutes(micros: i64) -> bool {
    MINUTES[1..].iter().any(|&minutes| i64::from(minutes) * MICROS_PER_MINUTE == micros)
}

fn chain(world: &World) -> bool {
    let neighbours = |of: PersonId| {
        world.tables.contacts.rows().filter_map(move |c| match of {
            of if of == c.person_a => Some(c.person_b),
            of if of == c.person_b => Some(c.person_a),
            _ => None,
        })
    };
    let third = |a: PersonId, b: PersonId| {
        neighbours(b).filter(move |&c| c != a).any(|c| neighbours(c).any(|d| d != b && d != a))
    };
    world.tables.cases.rows().any(|case| neighbours(case.person).any(|b| third(case.person, b)))
}

fn pairs_in_place(world: &World) -> impl Iterator<Item = (Stay, Stay)> {
    let together = |a: &Stay, b: &Stay| a.person != b.person && a.place.is_some() && a.place == b.place;
    world
        .tables
        .stays
        .rows()
        .flat_map(move |a| world.tables.stays.rows().filter(move |b| together(&a, b)).map(move |b| (a, b)))
}

fn span(stay: &Stay) -> (Timestamp, Timestamp) {
    (stay.entered_at, stay.left_at)
}

fn rows_apart(a: &Stay, b: &Stay) -> Option<u16> {
    Some(a.row?.abs_diff(b.row?))
}

type Listing = (Timestamp, Timestamp, sanma::model::Level);

fn pairs_listed(world: &World) -> impl Iterator<Item = (Listing, Listing)> {
    world.tables.risk_areas.rows().flat_map(|a| {
        let same = move |b: &sanma::model::facts::RiskArea| a.id != b.id && a.region == b.region;
        let others = world.tables.risk_areas.rows().filter(same);
        others.map(move |b| ((a.listed_at, a.delisted_at, a.level), (b.listed_at, b.delisted_at, b.level)))
    })
}

fn pairs_of_tests(world: &World, apart: fn(i64) -> bool) -> bool {
    world.tables.tests.rows().filter(|a| a.result == TestResult::Positive).any(|a| {
        let negative = |b: &sanma::model::facts::Test| b.person == a.person && b.result == TestResult::Negative;
        world.tables.tests.rows().filter(negative).any(|b| apart(b.sampled_at.micros_since(a.sampled_at)))
    })
}
