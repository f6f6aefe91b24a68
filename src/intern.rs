//! Tokens to small integers: concurrent while a load runs, frozen afterwards.
//!
//! The one idea: the token's hash picks one of [`SHARDS`] independent tables, a batch of tokens visits each table once, and the
//! number given while loading (`local * SHARDS + shard`) becomes a dense id by one addition when the load is over, because
//! only then the sizes of the shards are known.
//!
//! Invariants: equal tokens have equal ids; ids are dense from 0; a frozen [`Tokens`] never changes. Which id a token
//! has depends on the order of arrival and on threads, so no output may depend on ids.
//!
//! Cost: one hash and one probe a token; 4 bytes an id, 8 an offset, 4 for the sorted order, and the token's bytes.

use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use rayon::prelude::*;

/// Number of independent tables; enough that two threads seldom meet in one, few enough that a batch has several tokens each.
pub const SHARDS: u32 = 64;

/// [`SHARDS`] as a length.
const SHARD_COUNT: usize = SHARDS as usize;

/// Most tokens in one shard, so that a provisional id fits 32 bits.
const SHARD_TOKENS_MAX: u32 = u32::MAX / SHARDS - 1;

/// An id given while loading; [`Remap`] turns it into the final one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct Provisional(pub u32);

#[derive(Default)]
struct Shard {
    table: HashTable<u32>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Shard {
    fn intern(&mut self, hash: u64, token: &[u8]) -> u32 {
        let Self { table, bytes, ends } = self;
        let equal = |&local: &u32| token_at(bytes, ends, local as usize) == token;
        if let Some(&local) = table.find(hash, equal) {
            return local;
        }
        let local = u32::try_from(ends.len()).ok().filter(|&local| local < SHARD_TOKENS_MAX);
        let local = local.expect("a load has fewer tokens than 32-bit ids");
        bytes.extend_from_slice(token);
        ends.push(bytes.len());
        let rehash = |&local: &u32| hash_of(token_at(bytes, ends, local as usize));
        table.insert_unique(hash, local, rehash);
        local
    }
}

fn token_at<'a>(bytes: &'a [u8], ends: &[usize], index: usize) -> &'a [u8] {
    let begin = if index == 0 { 0 } else { ends[index - 1] };
    &bytes[begin..ends[index]]
}

fn hash_of(token: &[u8]) -> u64 {
    // A fixed seed: provisional ids then depend on arrival alone, which keeps single-threaded runs repeatable.
    let mut hasher = FixedState::with_seed(0).build_hasher();
    hasher.write(token);
    hasher.finish()
}

/// The shard of a hash: high bits, since the table inside the shard uses the low ones.
const fn shard_of(hash: u64) -> usize {
    (hash >> 48) as usize % SHARD_COUNT
}

/// The concurrent interner of one kind of token.
pub struct Interner {
    shards: Vec<Mutex<Shard>>,
}

impl Default for Interner {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl Interner {
    /// Interns a batch; one id a token, in order. Cost: a hash a token, a lock a shard.
    pub fn intern_batch<'a>(&self, tokens: impl Iterator<Item = &'a str> + Clone) -> Vec<Provisional> {
        let hashes: Vec<u64> = tokens.clone().map(|token| hash_of(token.as_bytes())).collect();
        let tokens: Vec<&str> = tokens.collect();
        let mut begins = [0u32; SHARD_COUNT + 1];
        for &hash in &hashes {
            begins[shard_of(hash) + 1] += 1;
        }
        for shard in 0..SHARD_COUNT {
            begins[shard + 1] += begins[shard];
        }
        let mut next = begins;
        let mut rows = vec![0u32; hashes.len()];
        for (row, &hash) in (0u32..).zip(&hashes) {
            let slot = &mut next[shard_of(hash)];
            rows[*slot as usize] = row;
            *slot += 1;
        }
        let mut ids = vec![Provisional::default(); hashes.len()];
        for (number, shard) in (0u32..).zip(&self.shards) {
            let at = number as usize;
            let rows = &rows[begins[at] as usize..begins[at + 1] as usize];
            if rows.is_empty() {
                continue;
            }
            let mut table = lock(shard);
            for &row in rows {
                let local = table.intern(hashes[row as usize], tokens[row as usize].as_bytes());
                ids[row as usize] = Provisional(local * SHARDS + number);
            }
        }
        ids
    }

    /// Ends the load: the tokens in final order, and how provisional ids become final ones.
    ///
    /// # Panics
    /// If there are 2^32 tokens.
    #[must_use]
    pub fn freeze(self) -> (Tokens, Remap) {
        let shards: Vec<Shard> =
            self.shards.into_iter().map(|shard| shard.into_inner().unwrap_or_else(PoisonError::into_inner)).collect();
        let mut base = [0u32; SHARD_COUNT];
        let mut count = 0u32;
        let mut bytes = Vec::with_capacity(shards.iter().map(|shard| shard.bytes.len()).sum());
        let mut ends = Vec::with_capacity(shards.iter().map(|shard| shard.ends.len()).sum());
        for (base, shard) in base.iter_mut().zip(shards) {
            *base = count;
            count = u32::try_from(shard.ends.len())
                .ok()
                .and_then(|tokens| count.checked_add(tokens))
                .expect("all shards together hold fewer tokens than 32-bit ids");
            let shift = bytes.len();
            ends.extend(shard.ends.iter().map(|end| end + shift));
            bytes.extend_from_slice(&shard.bytes);
        }
        (Tokens::new(bytes, ends), Remap { base })
    }
}

/// A panic while a shard was locked leaves at worst a token without id, which is harmless: the load fails anyway.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Provisional ids to final ones.
#[derive(Clone, Debug)]
pub struct Remap {
    base: [u32; SHARD_COUNT],
}

impl Remap {
    /// The final id.
    #[must_use]
    pub const fn apply(&self, id: Provisional) -> u32 {
        self.base[(id.0 % SHARDS) as usize] + id.0 / SHARDS
    }
}

/// Frozen tokens: by id, and in the order of their bytes.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    sorted: Vec<u32>,
}

impl Tokens {
    fn new(bytes: Vec<u8>, ends: Vec<usize>) -> Self {
        let count = u32::try_from(ends.len()).expect("ids are 32-bit");
        // The first eight bytes decide most comparisons without a visit to the token.
        let prefix = |id: u32| {
            let token = token_at(&bytes, &ends, id as usize);
            let mut head = [0u8; 8];
            let shown = token.len().min(8);
            head[..shown].copy_from_slice(&token[..shown]);
            u64::from_be_bytes(head)
        };
        let mut keyed: Vec<(u64, u32)> = (0..count).into_par_iter().map(|id| (prefix(id), id)).collect();
        keyed.par_sort_unstable_by(|left, right| {
            left.0
                .cmp(&right.0)
                .then_with(|| token_at(&bytes, &ends, left.1 as usize).cmp(token_at(&bytes, &ends, right.1 as usize)))
        });
        let sorted = keyed.into_iter().map(|(_, id)| id).collect();
        Self { bytes, ends, sorted }
    }

    /// Frozen tokens in the order given, which becomes their id. The tokens must differ.
    #[must_use]
    pub fn from_distinct<'a>(tokens: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for token in tokens {
            bytes.extend_from_slice(token.as_bytes());
            ends.push(bytes.len());
        }
        Self::new(bytes, ends)
    }

    /// Number of tokens.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The token with this index.
    ///
    /// # Panics
    /// If the index is out of range.
    #[must_use]
    pub fn get(&self, index: usize) -> &str {
        // Only whole `str`s are ever appended, so this cannot fail; tokens are short, so checking is cheap.
        std::str::from_utf8(token_at(&self.bytes, &self.ends, index)).expect("tokens are UTF-8")
    }

    /// The tokens with these indexes, back to back, with the end of each. Cost: two visits to memory a token; nothing waits
    /// for one, so that many are under way at once.
    ///
    /// # Panics
    /// If an index is out of range.
    #[must_use]
    pub fn gather(&self, indexes: &[u32]) -> (Vec<u8>, Vec<usize>) {
        let begin = |index: usize| if index == 0 { 0 } else { self.ends[index - 1] };
        let spans: Vec<(usize, usize)> =
            indexes.iter().map(|&index| (begin(index as usize), self.ends[index as usize])).collect();
        let mut bytes = Vec::with_capacity(spans.iter().map(|(begin, end)| end - begin).sum());
        let ends = spans.iter().map(|&(begin, end)| {
            bytes.extend_from_slice(&self.bytes[begin..end]);
            bytes.len()
        });
        let ends = ends.collect();
        (bytes, ends)
    }

    /// All indexes in the order of the tokens' bytes.
    #[must_use]
    pub fn sorted(&self) -> &[u32] {
        &self.sorted
    }

    /// The index of a token, if there is such a one. Cost: a binary search.
    #[must_use]
    pub fn find(&self, token: &str) -> Option<u32> {
        let bytes_of = |&id: &u32| token_at(&self.bytes, &self.ends, id as usize);
        self.sorted.binary_search_by(|id| bytes_of(id).cmp(token.as_bytes())).ok().map(|place| self.sorted[place])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_tokens_have_equal_ids_and_ids_are_dense() {
        let interner = Interner::default();
        let names: Vec<String> = (0..5000).map(|n| format!("p{}", n % 1700)).collect();
        let ids = interner.intern_batch(names.iter().map(String::as_str));
        let again = interner.intern_batch(names.iter().rev().map(String::as_str));
        assert!(ids.iter().eq(again.iter().rev()));
        let (tokens, remap) = interner.freeze();
        assert_eq!(tokens.len(), 1700);
        for (name, id) in names.iter().zip(ids) {
            assert_eq!(tokens.get(remap.apply(id) as usize), name);
            assert_eq!(tokens.find(name), Some(remap.apply(id)));
        }
        assert_eq!(tokens.find("p1700"), None);
    }

    #[test]
    fn threads_agree_on_ids() {
        let interner = Interner::default();
        let names: Vec<String> = (0..20_000).map(|n| format!("person-{}", n % 3000)).collect();
        let batches: Vec<Vec<Provisional>> =
            names.par_chunks(100).map(|chunk| interner.intern_batch(chunk.iter().map(String::as_str))).collect();
        let (tokens, remap) = interner.freeze();
        assert_eq!(tokens.len(), 3000);
        for (name, id) in names.iter().zip(batches.concat()) {
            assert_eq!(tokens.get(remap.apply(id) as usize), name);
        }
    }

    #[test]
    fn sorted_is_by_bytes() {
        let tokens = Tokens::from_distinct(["b", "a", "aaaaaaaaab", "aaaaaaaaaa", "", "é", "z", "a\0"]);
        let (bytes, ends) = tokens.gather(&[4, 2, 0, 2]);
        assert_eq!((&*bytes, &*ends), (&b"aaaaaaaaabbaaaaaaaaab"[..], &[0, 10, 11, 21][..]));
        let order: Vec<&str> = tokens.sorted().iter().map(|&id| tokens.get(id as usize)).collect();
        assert_eq!(order, ["", "a", "a\0", "aaaaaaaaaa", "aaaaaaaaab", "b", "z", "é"]);
    }
}
