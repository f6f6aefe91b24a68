//! Recompute at scale: a generated city, loaded once, and the machine's own limit beside it.
//!
//! `SANMA_BENCH_DATA=DIR cargo bench -- city` measures on a directory that `sanma generate` made; without it the shipped data
//! stand in. Bytes are those that the kernels must read whatever they do with them (`Bytes::of`), so the throughput of
//! `city/recompute` over that of `city/read` is how near the engine is to what the machine can give.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use divan::counter::BytesCount;
use rayon::prelude::*;
use sanma::evaluate;
use sanma::facts::{Facts, Names};
use sanma::ingest::{self, Loaded, Unobserved};
use sanma::model::facts::TableColumns as _;
use sanma::model::{RuleMask, Symptom, Timestamp, UtcOffset};
use sanma::rules::{Catalog, Cause, Program};

/// What the benches of this file run on.
pub(crate) struct City {
    pub(crate) facts: Facts,
    rows: usize,
    pub(crate) at: Timestamp,
}

static CITY: LazyLock<City> = LazyLock::new(City::load);

impl City {
    pub(crate) fn load() -> Self {
        let shipped = || Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/covasim-huzhou");
        let data = std::env::var_os("SANMA_BENCH_DATA").map_or_else(shipped, PathBuf::from);
        let Loaded { tables, persons, places, labels, .. } =
            ingest::load(&data, &Unobserved).expect("facts can be read");
        let rows = tables.rows();
        let about = std::fs::read_to_string(data.join("_about.json")).unwrap_or_default();
        let about: serde_json::Value = serde_json::from_str(&about).unwrap_or_default();
        let at = about["as_of"].as_str().unwrap_or("2020-02-18T00:00+08:00");
        let at = Timestamp::parse_typed(at, UtcOffset::UTC).expect("an instant");
        Self { facts: Facts::new(tables, Names { persons, places, labels }), rows, at }
    }
}

pub(crate) fn count(number: usize) -> String {
    match number {
        0..10_000 => number.to_string(),
        10_000..1_000_000 => format!("{}k", number / 1_000),
        _ => format!("{}.{}m", number / 1_000_000, number / 100_000 % 10),
    }
}

/// A program, shown with the shape of the city.
struct Case {
    name: String,
    program: Program,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let City { facts, rows, .. } = &*CITY;
        write!(f, "{}/people={}/facts={}", self.name, count(facts.people), count(*rows))
    }
}

pub(crate) fn shipped(name: &str, at: Timestamp) -> Program {
    Catalog::shipped().expect("the shipped rule sets are good").resolve(name, at).expect("a shipped rule set")
}

fn rule_sets() -> Vec<Case> {
    ["hangzhou", "huzhou"].map(|name| Case { name: format!("rules={name}"), program: shipped(name, CITY.at) }).into()
}

/// Huzhou's rules, one at a time.
fn single_rules() -> Vec<Case> {
    let whole = shipped("huzhou", CITY.at);
    let single = |(place, rule): (usize, &sanma::rules::Rule)| {
        assert!(!matches!(rule.cause, Cause::SecondContact { .. }), "rule {place} cannot stand alone");
        let program = Program { rules: vec![rule.clone()], excuses: RuleMask::EMPTY, ..whole.clone() };
        Case { name: format!("rule={}", rule.id), program }
    };
    whole.rules.iter().enumerate().map(single).collect()
}

/// Bytes of the columns that decide whom a rule concerns, and of the standing declaration's instant for everybody.
fn bytes_to_read(program: &Program) -> usize {
    let facts = &CITY.facts;
    let any = |wanted: &dyn Fn(&Cause) -> bool| program.rules.iter().any(|rule| wanted(&rule.cause));
    let mut bytes = facts.people * 4 + facts.declarations.len() * 8;
    if any(&|cause| matches!(cause, Cause::Declared { .. } | Cause::Symptoms { .. })) {
        bytes += facts.declarations.len() * 2;
    }
    if any(&|cause| matches!(cause, Cause::Symptoms { any, .. } if any.contains(Symptom::Fever))) {
        bytes += facts.checkins.len() * 9;
    }
    if any(&|cause| matches!(cause, Cause::Area { .. })) {
        bytes += facts.stays.len() * 4;
    }
    if any(&|cause| matches!(cause, Cause::Area { declared: true, .. })) {
        bytes += facts.declarations.len() * 4;
    }
    if any(&|cause| matches!(cause, Cause::Contact(contact) if contact.via_contact)) {
        bytes += facts.case_contacts.len() * (4 + 4 + 8 + 4 + 1);
    }
    if any(&|cause| matches!(cause, Cause::Contact(contact) if contact.via_place)) {
        bytes += size_of_val(&*facts.shared_stays) + size_of_val(&facts.case_stays[0..facts.case_stays.len()]);
    }
    bytes
}

fn time(bencher: divan::Bencher<'_, '_>, case: &Case) {
    let City { facts, at, .. } = &*CITY;
    let bytes = BytesCount::new(bytes_to_read(&case.program));
    bencher.counter(bytes).bench(|| evaluate::recompute(facts, &case.program, *at));
}

#[divan::bench(name = "city/recompute", args = rule_sets())]
fn recompute(bencher: divan::Bencher<'_, '_>, case: &Case) {
    time(bencher, case);
}

#[divan::bench(name = "city/cause", args = single_rules())]
fn recompute_one_rule(bencher: divan::Bencher<'_, '_>, case: &Case) {
    time(bencher, case);
}

/// What memory gives to all threads of the pool when they do nothing but add.
#[divan::bench(name = "city/read/bytes=1gb")]
fn read(bencher: divan::Bencher<'_, '_>) {
    let words = vec![1u64; 1 << 27];
    let add = |chunk: &[u64]| chunk.iter().fold(0u64, |sum, &word| sum.wrapping_add(word));
    bencher
        .counter(BytesCount::of_slice(&words))
        .bench(|| words.par_chunks(1 << 16).map(add).reduce(|| 0, u64::wrapping_add));
}
