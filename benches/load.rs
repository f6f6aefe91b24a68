//! Loading and indexing at scale, on a generated city.
//!
//! `SANMA_BENCH_DATA=DIR cargo bench -- city/load city/index` measures on a directory that `sanma generate` made; without it the
//! shipped data stand in.

use std::path::{Path, PathBuf};

use sanma::cache;
use sanma::ingest::{self, Loaded, Unobserved};
use sanma::model::facts::TableColumns as _;

use crate::index;

fn data() -> PathBuf {
    let shipped = || Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/covasim-huzhou");
    std::env::var_os("SANMA_BENCH_DATA").map_or_else(shipped, PathBuf::from)
}

fn load() -> Loaded {
    ingest::load(&data(), &Unobserved).expect("facts can be read")
}

/// The shape of the data, for a bench's name.
fn shape() -> [String; 1] {
    let loaded = load();
    let (people, contacts) = (loaded.persons.len(), loaded.tables.contacts.len());
    [format!("people={people}/contacts={contacts}/facts={}", loaded.tables.rows())]
}

#[divan::bench(name = "city/load", args = shape(), sample_count = 5, sample_size = 1)]
fn load_city(bencher: divan::Bencher<'_, '_>, _shape: &str) {
    bencher.bench(load);
}

/// Out of a cache, which is made first: as large on disk as facts in memory.
#[divan::bench(name = "city/load/warm", args = shape(), sample_count = 20, sample_size = 1)]
fn load_warm(bencher: divan::Bencher<'_, '_>, _shape: &str) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let load = || cache::load(&data(), Some(dir.path()), &Unobserved).expect("facts can be read");
    let (mut ready, made) = load();
    made.expect("a cache is named").keep(&mut ready.facts, &|| false).expect("room for the cache");
    drop(ready);
    bencher.bench(|| {
        let (ready, cache) = load();
        assert_eq!(cache.expect("a cache is named").served().rebuilt, None);
        ready
    });
}

#[divan::bench(name = "city/index", args = shape(), sample_count = 5, sample_size = 1)]
fn index_city(bencher: divan::Bencher<'_, '_>, _shape: &str) {
    bencher.with_inputs(load).bench_values(index);
}
