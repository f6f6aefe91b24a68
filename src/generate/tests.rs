//! Cities of 20,000 people at most, looked at from outside: through the files, the loader and the nightly job.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::OnceLock;

use tempfile::TempDir;

use super::*;
use crate::ingest::{self, Loaded, Unobserved};
use crate::model::facts::TableColumns as _;
use crate::model::time::{MICROS_PER_DAY, MICROS_PER_SECOND};
use crate::model::{CaseKind, ClosedEnum as _, Colour, Outcome, Reason};
use crate::nightly::{self, Job, Phase};
use crate::rules::Catalog;
use crate::sinks::OutputFormat;
use epidemic::Source;

const PEOPLE: u32 = 20_000;

const fn order(people: u32, seed: u64, dirt: bool) -> Order {
    Order { people, seed, days: DAYS_DEFAULT, dirt }
}

fn make(order: Order) -> TempDir {
    let dir = tempfile::tempdir().expect("temporary directory");
    generate(&order, dir.path(), &Unwatched).expect("a city");
    dir
}

/// The city that most tests look at.
fn city() -> &'static TempDir {
    static CITY: OnceLock<TempDir> = OnceLock::new();
    CITY.get_or_init(|| make(order(PEOPLE, 11, false)))
}

fn load(dir: &TempDir) -> Loaded {
    ingest::load(dir.path(), &Unobserved).expect("readable tables")
}

fn bytes(dir: &TempDir) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(dir.path()).expect("listing").map(|entry| entry.expect("entry"));
    entries
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path()).expect("file")))
        .collect()
}

struct Silent;

impl ingest::Observer for Silent {}

impl nightly::Watcher for Silent {
    fn phase(&self, _phase: Phase) {}
}

fn nightly(dir: &TempDir, rules: &str) -> nightly::Report {
    let as_of = calendar::Calendar::new(DAYS_DEFAULT).as_of();
    let program = Catalog::shipped().expect("shipped rules").resolve(rules, as_of).expect("a rule set");
    let out = tempfile::tempdir().expect("temporary directory");
    let job = Job {
        cache: None,
        data: dir.path(),
        program: &program,
        as_of,
        out: out.path(),
        previous: None,
        format: OutputFormat::Parquet,
        reasons: false,
        strict: false,
    };
    nightly::run(&job, &Silent).expect("codes")
}

#[test]
fn the_bytes_depend_on_the_seed_and_not_on_the_threads() {
    let with_threads = |threads, seed| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| bytes(&make(order(6000, seed, true))))
    };
    let one = with_threads(1, 1);
    assert_eq!(one.len(), 12, "eleven tables and what they are");
    for threads in [2, 3] {
        for (name, found) in with_threads(threads, 1) {
            assert!(one[&name] == found, "{name} differs at {threads} threads");
        }
    }
    for (name, found) in with_threads(2, 2) {
        assert!(one[&name] != found, "{name} is the same for another seed");
    }
}

#[test]
fn every_size_of_city_is_valid() {
    for people in [1, 2, 3, 50, 65, 700] {
        for days in [1, 5, 60] {
            let dir = make(Order { people, seed: 9, days, dirt: false });
            let loaded = load(&dir);
            assert_eq!(loaded.rejections, [], "{people} people, {days} days");
            assert!(loaded.duplicates.is_empty() && loaded.warnings.is_empty());
        }
    }
}

#[test]
fn counts_are_those_of_the_contract() {
    let loaded = load(city());
    assert_eq!(loaded.rejections, [], "without dirt every row is valid");
    assert!(loaded.duplicates.is_empty());
    let tables = &loaded.tables;
    let near = |rows: usize, wanted: usize| rows.abs_diff(wanted * 20) <= wanted * 20 / 25;
    assert!(near(tables.declarations.len(), 1000), "{}", tables.declarations.len());
    assert!(near(tables.checkins.len(), 2000), "{}", tables.checkins.len());
    assert!(near(tables.contacts.len(), 4000), "{}", tables.contacts.len());
    assert!(near(tables.stays.len(), 4000), "{}", tables.stays.len());
    assert!(near(tables.tests.len(), 500), "{}", tables.tests.len());
    let in_place = tables.stays.place.iter().flatten().count();
    assert!(near(in_place, 400), "{in_place}");
    for table in [
        tables.cases.len(),
        tables.quarantines.len(),
        tables.risk_areas.len(),
        tables.whitelist.len(),
        tables.findings.len(),
        tables.reviews.len(),
    ] {
        assert!(table > 5);
    }
}

#[test]
fn about_nine_in_ten_are_green_in_both_cities() {
    for rules in ["hangzhou", "huzhou"] {
        let report = nightly(city(), rules);
        let people: u64 = report.colours.values().sum();
        let green = report.colours[&Colour::Green] * 1000 / people;
        assert!((850..=950).contains(&green), "{rules}: {green} in a thousand, {:?}", report.by_rule);
        let silent: Vec<&String> = report.by_rule.iter().filter(|(_, n)| *n == 0).map(|(rule, _)| rule).collect();
        assert!(silent.is_empty(), "{rules}: nobody has {silent:?}");
        let reasons: BTreeSet<Reason> = report.rejections.keys().map(|&(_, reason)| reason).collect();
        assert_eq!(reasons, BTreeSet::from([Reason::ModificationLimit]));
    }
}

#[test]
fn dirt_is_of_every_kind_and_changes_no_code() {
    let dir = make(order(PEOPLE, 11, true));
    let loaded = load(&dir);
    let found: BTreeSet<Reason> = loaded.rejections.iter().map(|rejection| rejection.reason).collect();
    let text_only = [Reason::Malformed, Reason::Type, Reason::ModificationLimit];
    for &reason in Reason::ALL.iter().filter(|reason| !text_only.contains(reason)) {
        assert!(found.contains(&reason), "no row is refused for {}", reason.name());
    }
    assert_eq!(loaded.duplicates.len(), 11, "ids are given twice in every table: {:?}", loaded.duplicates);
    let bad = loaded.rejections.len();
    assert!((150..1000).contains(&bad), "{bad} bad rows");
    for column in Table::ALL.into_iter().flat_map(|table| table.columns().iter().map(move |column| (table, column))) {
        let (table, column) = column;
        let refused = loaded.rejections.iter().any(|refusal| {
            (refusal.table, refusal.reason, refusal.column) == (Some(table), Reason::Null, Some(column.name))
        });
        assert_eq!(refused, !column.nullable, "null in {}.{}", table.name(), column.name);
    }
    let (clean, dirty) = (nightly(city(), "huzhou"), nightly(&dir, "huzhou"));
    assert_eq!(clean.colours, dirty.colours);
    assert_eq!(clean.by_rule, dirty.by_rule);
}

#[test]
fn cases_are_reported_late() {
    let loaded = load(city());
    let mut delays: Vec<i64> = Vec::new();
    let mut kinds = BTreeMap::new();
    for case in loaded.tables.cases.rows() {
        *kinds.entry((case.kind, case.outcome)).or_insert(0) += 1;
        if let Some(onset) = case.onset_at.filter(|_| case.kind == CaseKind::Confirmed) {
            delays.push(case.reported_at.micros_since(onset));
        }
    }
    delays.sort_unstable();
    let median = delays[delays.len() / 2];
    assert!((5 * MICROS_PER_DAY..=7 * MICROS_PER_DAY).contains(&median), "{}", median / MICROS_PER_DAY);
    assert!(delays[0] > 0 && delays[delays.len() - 1] <= 23 * MICROS_PER_DAY);
    for kind in [
        (CaseKind::Confirmed, None),
        (CaseKind::Confirmed, Some(Outcome::Recovered)),
        (CaseKind::Suspected, Some(Outcome::RuledOut)),
    ] {
        assert!(kinds.contains_key(&kind), "{kinds:?}");
    }
}

#[test]
fn infections_follow_what_is_written() {
    let loaded = load(city());
    let world = imagine(&order(PEOPLE, 11, false), &Unwatched).expect("a city");
    let city = &world.city;
    let contacts: HashMap<u64, usize> = loaded.tables.contacts.id.iter().copied().zip(0..).collect();
    let stays: HashMap<u64, usize> = loaded.tables.stays.id.iter().copied().zip(0..).collect();
    let is = |id: crate::model::PersonId, person: u32| loaded.persons.get(id.index()).as_bytes() == city.token(person);
    let (mut by_contact, mut by_place) = (0, 0);
    for infection in &world.epidemic.infections {
        let window = |by: usize| {
            let time = &world.epidemic.infections[by].course.infectious;
            (city.calendar.at(time.start), city.calendar.at(time.end))
        };
        match infection.source {
            Source::Imported => assert!(city.traveller(infection.person).is_some()),
            Source::Contact { by, row } => {
                let contact = loaded.tables.contacts.row(contacts[&(row + 1)]);
                let (patient, person) = (world.epidemic.infections[by].person, infection.person);
                assert!(
                    is(contact.person_a, patient) && is(contact.person_b, person)
                        || is(contact.person_a, person) && is(contact.person_b, patient)
                );
                let (from, to) = window(by);
                assert!(contact.started_at < to && contact.ended_at() > from);
                by_contact += 1;
            }
            Source::Place { by, row } => {
                let stay = loaded.tables.stays.row(stays[&(row + 1)]);
                let (from, to) = window(by);
                assert!(is(stay.person, infection.person) && stay.place.is_some());
                let shared = loaded.tables.stays.rows().any(|other| {
                    other.place == stay.place
                        && is(other.person, world.epidemic.infections[by].person)
                        && other.entered_at.max(stay.entered_at).max(from) < other.left_at.min(stay.left_at).min(to)
                });
                assert!(shared);
                by_place += 1;
            }
        }
    }
    assert!(by_contact > 5, "{by_contact} by contacts, {by_place} in places");
}

#[test]
fn nothing_is_known_before_it_happens() {
    let loaded = load(city());
    let tables = &loaded.tables;
    let end = calendar::Calendar::new(DAYS_DEFAULT).as_of();
    assert!(tables.declarations.declared_at.iter().all(|&at| at < end));
    assert!(tables.checkins.reported_at.iter().all(|&at| at < end));
    assert!(tables.cases.reported_at.iter().all(|&at| at < end));
    assert!(tables.quarantines.started_at.iter().all(|&at| at < end));
    assert!(tables.contacts.started_at.iter().all(|&at| at < end));
    assert!(tables.stays.entered_at.iter().all(|&at| at < end));
    assert!(tables.tests.sampled_at.iter().all(|&at| at < end));
    assert!(tables.contacts.started_at.iter().all(|at| at.0 % MICROS_PER_SECOND == 0));
}

struct Impatient;

impl Watcher for Impatient {
    fn interrupted(&self) -> bool {
        true
    }
}

#[test]
fn a_directory_of_other_things_is_left_alone() {
    let dir = tempfile::tempdir().expect("temporary directory");
    std::fs::write(dir.path().join("cases.csv"), "id").expect("a file");
    let refused = generate(&order(10, 1, false), dir.path(), &Unwatched);
    assert!(matches!(refused, Err(GenerateError::Occupied { .. })));
    let out = dir.path().join("city");
    let stopped = generate(&order(10, 1, false), &out, &Impatient);
    assert!(matches!(stopped, Err(GenerateError::Interrupted)) && !out.exists());
    generate(&order(10, 1, false), &out, &Unwatched).expect("a city");
    generate(&order(10, 2, false), &out, &Unwatched).expect("another in its place");
    assert!(matches!(generate(&order(10, 1, false), &out, &Impatient), Err(GenerateError::Interrupted)));
    assert_eq!(load_seed(&out), Some(2));
}

fn load_seed(out: &Path) -> Option<u64> {
    let about = std::fs::read_to_string(out.join(ABOUT)).ok()?;
    serde_json::from_str::<Value>(&about).ok()?.get("seed")?.as_u64()
}
