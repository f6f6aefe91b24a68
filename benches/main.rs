//! Benches of the batch core. Names carry the shape; `cargo bench`.
//!
//! Here on the shipped data, to see whether a change helped; `city` and `live` on generated ones of any size (`scripts/bench`).

mod city;
mod feed;
mod intern;
mod live;
mod load;

use std::path::Path;

use sanma::evaluate;
use sanma::facts::{Facts, Names};
use sanma::ingest::{self, Loaded, Unobserved};
use sanma::model::{Timestamp, UtcOffset};
use sanma::rules::{Catalog, Program};

mod outputs;

fn main() {
    divan::main();
}

fn load() -> Loaded {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/covasim-huzhou");
    ingest::load(&data, &Unobserved).expect("the shipped data can be read")
}

fn index(loaded: Loaded) -> Facts {
    let Loaded { tables, persons, places, labels, .. } = loaded;
    Facts::new(tables, Names { persons, places, labels })
}

fn program(rules: &str) -> (Program, Timestamp) {
    let at = Timestamp::parse_typed("2020-02-18T00:00+08:00", UtcOffset::UTC).expect("an instant");
    let catalog = Catalog::shipped().expect("the shipped rule sets are good");
    (catalog.resolve(rules, at).expect("a shipped rule set"), at)
}

#[divan::bench(name = "load/format=parquet/facts=447k")]
fn load_parquet() -> Loaded {
    load()
}

#[divan::bench(name = "index/facts=447k")]
fn build_index(bencher: divan::Bencher<'_, '_>) {
    bencher.with_inputs(load).bench_values(index);
}

#[divan::bench(name = "recompute/people=6k/contacts=375k", args = ["hangzhou", "huzhou"])]
fn recompute(bencher: divan::Bencher<'_, '_>, rules: &str) {
    let facts = index(load());
    let (program, at) = program(rules);
    bencher.bench(|| evaluate::recompute(&facts, &program, at));
}
