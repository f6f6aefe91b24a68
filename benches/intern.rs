//! Strategies of interning side by side: what `intern` does, and what it was measured against.
//!
//! Tokens are met as a load meets those of persons: each some eight times, at random, in batches of a decoder's size.

use std::fmt::Write as _;
use std::hash::BuildHasher as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use dashmap::DashMap;
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use rayon::prelude::*;
use sanma::intern::Interner;

const TOKENS: usize = 8_000_000;
const DISTINCT: u64 = 1_000_000;
const BYTES: usize = 16;
const BATCH: usize = 8_192;

/// Tokens one after the other, as a page of a file has them.
fn page() -> String {
    let mut state = 88_172_645_463_325_252_u64;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % DISTINCT
    };
    let mut page = String::with_capacity(TOKENS * BYTES);
    for _ in 0..TOKENS {
        write!(page, "{:016x}", draw().wrapping_mul(0x9E37_79B9_7F4A_7C15)).expect("a string takes any text");
    }
    page
}

fn rows(page: &str) -> Vec<&str> {
    (0..TOKENS).map(|row| &page[row * BYTES..(row + 1) * BYTES]).collect()
}

#[divan::bench(name = "intern/by=rounds/tokens=8m/distinct=1m", sample_count = 5)]
fn rounds(bencher: divan::Bencher<'_, '_>) {
    let page = page();
    let tokens = rows(&page);
    bencher.bench(|| {
        let interner = Interner::default();
        tokens.par_chunks(BATCH).for_each(|batch| {
            divan::black_box(interner.intern_batch(batch.iter().copied()));
        });
        interner.freeze()
    });
}

/// The same shards, but each token is looked for to the end before the next one is: slot, offset, bytes.
#[derive(Default)]
struct Shard {
    table: HashTable<u32>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Shard {
    fn intern(&mut self, hash: u64, token: &[u8]) -> u32 {
        let Self { table, bytes, ends } = self;
        let begin = |local: u32| local.checked_sub(1).map_or(0, |before| ends[before as usize]);
        let text = |local: u32| &bytes[begin(local)..ends[local as usize]];
        if let Some(&local) = table.find(hash, |&local| text(local) == token) {
            return local;
        }
        let local = u32::try_from(ends.len()).expect("few");
        table.insert_unique(hash, local, |&local| FixedState::with_seed(0).hash_one(text(local)));
        bytes.extend_from_slice(token);
        ends.push(bytes.len());
        local
    }
}

/// Bits that the tables inside the shards do not use.
const fn shard_of(hash: u64) -> usize {
    (hash >> 40) as usize % 64
}

#[divan::bench(name = "intern/by=one-by-one/tokens=8m/distinct=1m", sample_count = 5)]
fn one_by_one(bencher: divan::Bencher<'_, '_>) {
    let page = page();
    let tokens = rows(&page);
    bencher.bench(|| {
        let shards: Vec<Mutex<Shard>> = (0..64).map(|_| Mutex::default()).collect();
        tokens.par_chunks(BATCH).for_each(|batch| {
            let hash = |token: &&str| FixedState::with_seed(0).hash_one(token.as_bytes());
            let mut asked: Vec<(u64, &str)> = batch.iter().map(|token| (hash(token), *token)).collect();
            asked.sort_unstable_by_key(|&(hash, _)| shard_of(hash));
            for asked in asked.chunk_by(|(one, _), (other, _)| shard_of(*one) == shard_of(*other)) {
                let mut shard = shards[shard_of(asked[0].0)].lock().expect("no panic");
                for &(hash, token) in asked {
                    divan::black_box(shard.intern(hash, token.as_bytes()));
                }
            }
        });
        shards
    });
}

/// A concurrent map of owned tokens.
#[divan::bench(name = "intern/by=dashmap/tokens=8m/distinct=1m", sample_count = 5)]
fn dashmap(bencher: divan::Bencher<'_, '_>) {
    let page = page();
    let tokens = rows(&page);
    bencher.bench(|| {
        let map: DashMap<Box<str>, u32, foldhash::fast::RandomState> = DashMap::default();
        let next = AtomicU32::new(0);
        tokens.par_chunks(BATCH).for_each(|batch| {
            let id = |token: &&str| match map.get(*token) {
                Some(id) => *id,
                None => *map.entry((*token).into()).or_insert_with(|| next.fetch_add(1, Ordering::Relaxed)),
            };
            divan::black_box(batch.iter().map(id).collect::<Vec<u32>>());
        });
        map
    });
}
