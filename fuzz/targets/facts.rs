//! Any set of facts, a line each: a table's name, a space, a row of NDJSON. Whatever the rows say, kernels and `explain` agree on
//! every code under every shipped rule set.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use libfuzzer_sys::{Corpus, fuzz_target};
use sanma::evaluate::recompute;
use sanma::explain;
use sanma::facts::{Facts, Names};
use sanma::ingest::{self, Unobserved};
use sanma::model::{PersonId, Table, Timestamp};
use sanma::rules::Catalog;

/// Most lines looked at: what differs, differs among few.
const LINES_MAX: usize = 40;

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog::shipped().expect("the shipped rule sets are good"));

fuzz_target!(|text: &str| -> Corpus {
    let mut files: BTreeMap<&str, String> = BTreeMap::new();
    for line in text.lines().take(LINES_MAX) {
        let Some((table, row)) = line.split_once(' ') else { continue };
        if Table::parse(table).is_some() {
            let file = files.entry(table).or_default();
            file.push_str(row);
            file.push('\n');
        }
    }
    if files.is_empty() {
        return Corpus::Reject;
    }
    let folder = sanma_fuzz::folder();
    for (table, rows) in &files {
        std::fs::write(folder.path().join(format!("{table}.ndjson")), rows).expect("room in memory");
    }
    let loaded = ingest::load(folder.path(), &Unobserved).expect("lines are no error");
    let tables = loaded.tables.clone();
    let names = Names { persons: loaded.persons, places: loaded.places, labels: loaded.labels };
    let facts = Facts::new(loaded.tables, names);
    let mut instants = vec![Timestamp(1_581_955_200_000_000), Timestamp::EARLIEST, Timestamp(i64::MAX - 1)];
    instants.extend(tables.declarations.declared_at.iter().map(|at| at.plus_days(3)));
    instants.truncate(6);
    for set in CATALOG.sets() {
        for &at in &instants {
            let codes = recompute(&facts, &set.program, at);
            for person in (0..u32::try_from(facts.people).expect("a few lines")).map(PersonId) {
                let slow = explain::code_at(&tables, &set.program, person, at);
                assert_eq!(codes.of(person), slow, "{} at {at:?} under {}", facts.names.person(person), set.program.name);
            }
        }
    }
    Corpus::Keep
});
