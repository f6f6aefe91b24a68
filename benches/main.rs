//! Benches of the batch core. Names carry the shape; `cargo bench`.
//!
//! Here on the shipped data, to see whether a change helped; `city` on generated ones of any size (`scripts/bench`).

mod city;

use std::path::Path;

use dashmap::DashMap;
use rayon::prelude::*;
use sanma::evaluate;
use sanma::facts::{Facts, Names};
use sanma::ingest::{self, Loaded, Unobserved};
use sanma::intern::Interner;
use sanma::model::{Timestamp, UtcOffset};
use sanma::rules::{Catalog, Program};

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

/// Tokens as a load meets them: each person some twenty times, in batches of a row group's size.
fn tokens() -> Vec<String> {
    (0..2_000_000u64).map(|row| format!("{:016x}", (row % 100_000).wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect()
}

const BATCH: usize = 65_536;

#[divan::bench(name = "intern/by=shards/tokens=2m/distinct=100k")]
fn intern_sharded(bencher: divan::Bencher<'_, '_>) {
    let tokens = tokens();
    bencher.bench(|| {
        let interner = Interner::default();
        tokens.par_chunks(BATCH).for_each(|batch| {
            divan::black_box(interner.intern_batch(batch.iter().map(String::as_str)));
        });
        interner.freeze()
    });
}

/// The alternative that `intern` was measured against: a concurrent map of owned tokens.
#[divan::bench(name = "intern/by=dashmap/tokens=2m/distinct=100k")]
fn intern_dashmap(bencher: divan::Bencher<'_, '_>) {
    let tokens = tokens();
    bencher.bench(|| {
        let map: DashMap<Box<str>, u32, foldhash::fast::RandomState> = DashMap::default();
        let next = std::sync::atomic::AtomicU32::new(0);
        tokens.par_chunks(BATCH).for_each(|batch| {
            let id = |token: &String| match map.get(token.as_str()) {
                Some(id) => *id,
                None => *map
                    .entry(token.as_str().into())
                    .or_insert_with(|| next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)),
            };
            divan::black_box(batch.iter().map(id).collect::<Vec<u32>>());
        });
        map
    });
}
