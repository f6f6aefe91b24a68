//! Kernels = explain on a generated city: large, believable, and unlike the random worlds not written with the rules in mind.
//!
//! A small city in every run; `scripts/city-check` makes one of a million people and looks at a larger sample of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use sanma::evaluate::recompute;
use sanma::explain;
use sanma::facts::{Facts, Names};
use sanma::generate::{Order, Unwatched, generate};
use sanma::ingest::{self, Unobserved};
use sanma::model::{Code, PersonId, RuleMask, Timestamp, UtcOffset};
use sanma::rules::{Catalog, Program};

use crate::worlds::rules;

/// How many people of each kind of code (its reasons, what is excused, whether it will change) are looked at.
fn sample_of_each_kind() -> usize {
    std::env::var("SANMA_CITY_SAMPLE").ok().and_then(|text| text.parse().ok()).unwrap_or(6)
}

fn as_of(city: &Path) -> Timestamp {
    let about = std::fs::read_to_string(city.join("_about.json")).expect("a city says what it is");
    let about: serde_json::Value = serde_json::from_str(&about).expect("JSON");
    Timestamp::parse_typed(about["as_of"].as_str().expect("an instant"), UtcOffset::UTC).expect("an instant")
}

/// Some people of every kind, spread over all of that kind.
fn sample(codes: &[(PersonId, Code)]) -> Vec<(PersonId, Code)> {
    let mut kinds: BTreeMap<(RuleMask, RuleMask, bool), Vec<(PersonId, Code)>> = BTreeMap::new();
    for &(person, code) in codes {
        kinds.entry((code.reasons, code.excused, code.valid_until.is_never())).or_default().push((person, code));
    }
    let spread = |people: &Vec<(PersonId, Code)>| {
        let step = people.len().div_ceil(sample_of_each_kind());
        people.iter().copied().step_by(step.max(1)).collect::<Vec<_>>()
    };
    kinds.values().flat_map(spread).collect()
}

#[test]
fn kernels_and_explain_agree_on_a_generated_city() {
    let folder = tempfile::tempdir().expect("a folder");
    let city = std::env::var_os("SANMA_CITY").map_or_else(
        || {
            let order = Order { people: 3_000, seed: 7, days: 30, dirt: false };
            generate(&order, folder.path(), &Unwatched).expect("a city");
            folder.path().to_owned()
        },
        PathBuf::from,
    );
    let at = as_of(&city);
    let loaded = ingest::load(&city, &Unobserved).expect("a city can be read");
    let tables = loaded.tables.clone();
    let facts =
        Facts::new(loaded.tables, Names { persons: loaded.persons, places: loaded.places, labels: loaded.labels });

    let catalog = Catalog::shipped().expect("the shipped rule sets are good");
    let shipped = ["hangzhou", "huzhou"].map(|name| catalog.resolve(name, at).expect("a shipped rule set"));
    let random = [3, 11].map(rules::random);
    for program in shipped.iter().chain(&random) {
        // Some days earlier many facts lie ahead, so that whole futures are foreseen.
        for at in [at, at.minus_days(9)] {
            let codes: Vec<(PersonId, Code)> = recompute(&facts, program, at).iter().collect();
            assert!(!codes.is_empty(), "a city without codes proves nothing");
            sample(&codes).par_iter().for_each(|&(person, fast)| compare(&tables, program, person, at, fast, &facts));
        }
    }
}

fn compare(
    tables: &sanma::model::facts::Tables,
    program: &Program,
    person: PersonId,
    at: Timestamp,
    fast: Code,
    facts: &Facts,
) {
    let dossier = explain::dossier(tables, program, person);
    let slow = explain::code_at(&dossier, program, person, at);
    assert_eq!(Some(fast), slow, "{} at {at:?} under {}", facts.names.person(person), program.name);
}
