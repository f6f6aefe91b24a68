//! Tokens to small integers: concurrent while a load runs, frozen afterwards.
//!
//! The one idea: the token's hash picks one of [`SHARDS`] independent tables, and a batch of tokens visits each table once, in
//! rounds: first the slots of all tokens are read, then compared. The reads of one round do not wait for each other, so a
//! cache miss costs a fraction of what it costs where one follows from another; and a token of up to 16 bytes lies in its
//! slot, so that there is one miss. The number given while loading (`local * SHARDS + shard`) becomes a dense id by one
//! addition when the load is over, because only then the sizes of the shards are known.
//!
//! Invariants: equal tokens have equal ids; ids are dense from 0; the tokens of a [`Tokens`] keep theirs, whatever is added.
//! Which id a token has depends on the order of arrival and on threads, so no output may depend on ids.
//!
//! Cost: one hash and one or two reads at random a token, none where it equals the one before. While loading 32 to 64 bytes a
//! token, and those of long ones; afterwards 8 an offset, 4 for the sorted order, and its bytes.

mod tokens;

use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::FixedState;
use rayon::prelude::*;

use crate::limits::ROWS_PER_TASK;

pub use tokens::Tokens;

/// Number of independent tables; enough that two threads seldom meet in one, few enough that a batch has several tokens each.
pub const SHARDS: u32 = 64;

/// [`SHARDS`] as a length.
const SHARD_COUNT: usize = SHARDS as usize;

/// Most tokens in one shard, so that a provisional id fits 32 bits.
const SHARD_TOKENS_MAX: u32 = u32::MAX / SHARDS - 1;

/// Tokens that visit the shards together: some hundred a shard, whose texts and hashes stay in the nearest cache but one.
/// `benches/intern.rs`.
const BATCH: usize = 1 << 13;

/// Tokens whose reads go together; four times as many as a core has under way, so that the ends of passes do not show.
const VISIT: usize = 256;

/// An id given while loading; [`Remap`] turns it into the final one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct Provisional(pub u32);

/// Longest token that lies in its slot.
const SHORT: usize = 16;

/// A slot of a table: a token, or the begin of a long one. All zero is a free slot.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// The token's bytes, filled up with zeros; of a long one the first eight, and where it lies in the shard's `long`.
    words: [u64; 2],
    bytes: u32,
    /// 1 + the token's number.
    number: u32,
}

impl Slot {
    const fn is_free(&self) -> bool {
        self.number == 0
    }

    const fn is_short(&self) -> bool {
        self.bytes as usize <= SHORT
    }
}

/// One table: open addressing with linear probing by the tag's high bits.
#[derive(Default)]
struct Shard {
    /// A power of two of slots, or none.
    slots: Vec<Slot>,
    tokens: u32,
    /// The bytes of long tokens, one after the other.
    long: Vec<u8>,
}

/// The `index`-th word of a token, zeros past its end.
fn word(token: &[u8], index: usize) -> u64 {
    let rest = token.get(index * 8..).unwrap_or_default();
    let mut bytes = [0; 8];
    match rest.first_chunk::<8>() {
        Some(whole) => bytes = *whole,
        None => bytes[..rest.len()].copy_from_slice(rest),
    }
    u64::from_le_bytes(bytes)
}

/// Equality without a call: most tokens are two words.
fn equal(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && (0..one.len().div_ceil(8)).all(|index| word(one, index) == word(other, index))
}

impl Shard {
    /// The slot at which the walk for a tag begins: the tag's high bits. There must be slots.
    const fn home(&self, tag: u32) -> usize {
        (tag as usize) >> (u32::BITS - self.slots.len().trailing_zeros())
    }

    /// The token in a slot, for which `short` lends space.
    fn token<'a>(&'a self, slot: &Slot, short: &'a mut [u8; SHORT]) -> &'a [u8] {
        let bytes = slot.bytes as usize;
        if slot.is_short() {
            for (into, word) in short.chunks_mut(8).zip(slot.words) {
                into.copy_from_slice(&word.to_le_bytes());
            }
            return &short[..bytes];
        }
        let begin = usize::try_from(slot.words[1]).expect("a place in memory");
        &self.long[begin..begin + bytes]
    }

    /// Whether this token is in a slot, which may be free.
    fn holds(&self, slot: &Slot, token: &[u8]) -> bool {
        if slot.bytes as usize != token.len() || slot.words[0] != word(token, 0) || slot.is_free() {
            return false;
        }
        if slot.is_short() { slot.words[1] == word(token, 1) } else { self.token(slot, &mut [0; SHORT]) == token }
    }

    /// The numbers of tokens of this shard, new ones for those that it does not know. `asked` holds tags and rows, `tokens` and
    /// `give` are by row.
    fn intern(&mut self, asked: &[(u32, u32)], tokens: &[&[u8]], mut give: impl FnMut(u32, u32)) {
        self.reserve(asked.len());
        let last = self.slots.len() - 1;
        let (mut walks, mut slots) = ([(0, 0); VISIT], [Slot::default(); VISIT]);
        for asked in asked.chunks(VISIT) {
            let mut left = asked.len();
            for (walk, &(tag, row)) in walks.iter_mut().zip(asked) {
                *walk = (self.home(tag), row);
            }
            // Each round takes all walks one slot further; those that have found their token end.
            while left > 0 {
                for (slot, &(at, _)) in slots.iter_mut().zip(&walks[..left]) {
                    *slot = self.slots[at];
                }
                let mut longer = 0;
                for index in 0..left {
                    let ((at, row), slot) = (walks[index], &slots[index]);
                    let token = tokens[row as usize];
                    if self.holds(slot, token) {
                        give(row, slot.number - 1);
                    } else if slot.is_free() {
                        give(row, self.insert(at, token));
                    } else {
                        walks[longer] = ((at + 1) & last, row);
                        longer += 1;
                    }
                }
                left = longer;
            }
        }
    }

    /// The number of a token whose walk has come to a slot that was free when the round began: it may have been taken since.
    fn insert(&mut self, mut at: usize, token: &[u8]) -> u32 {
        while !self.slots[at].is_free() {
            if self.holds(&self.slots[at], token) {
                return self.slots[at].number - 1;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
        assert!(self.tokens < SHARD_TOKENS_MAX, "a load has fewer tokens than 32-bit ids");
        self.tokens += 1;
        let bytes = u32::try_from(token.len()).expect("a token is shorter than 4 GB");
        let mut slot = Slot { words: [word(token, 0), word(token, 1)], bytes, number: self.tokens };
        if !slot.is_short() {
            slot.words[1] = self.long.len() as u64;
            self.long.extend_from_slice(token);
        }
        self.slots[at] = slot;
        self.tokens - 1
    }

    /// Makes room for so many tokens more: at most three of four slots are ever taken.
    fn reserve(&mut self, more: usize) {
        let wanted = (self.tokens as usize + more) * 4 / 3 + 1;
        if wanted <= self.slots.len() {
            return;
        }
        let slots = wanted.next_power_of_two().max(16);
        let old = std::mem::replace(&mut self.slots, vec![Slot::default(); slots]);
        for slot in old.into_iter().filter(|slot| !slot.is_free()) {
            let (_, tag) = shard_and_tag(self.token(&slot, &mut [0; SHORT]));
            let mut at = self.home(tag);
            while !self.slots[at].is_free() {
                at = (at + 1) & (slots - 1);
            }
            self.slots[at] = slot;
        }
    }

    fn taken(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|slot| !slot.is_free())
    }

    /// Bytes of its tokens.
    fn bytes(&self) -> usize {
        self.taken().map(|slot| slot.bytes as usize).sum()
    }

    /// Copies its tokens to `bytes` in the order of their numbers, and says where each ends; `before` bytes are in front of all.
    fn pour(&self, before: usize, bytes: &mut [u8], ends: &mut [usize]) {
        for slot in self.taken() {
            ends[slot.number as usize - 1] = slot.bytes as usize;
        }
        let mut end = before;
        for place in &mut *ends {
            end += *place;
            *place = end;
        }
        for slot in self.taken() {
            let end = ends[slot.number as usize - 1] - before;
            bytes[end - slot.bytes as usize..end].copy_from_slice(self.token(slot, &mut [0; SHORT]));
        }
    }
}

fn token_at<'a>(bytes: &'a [u8], ends: &[usize], index: usize) -> &'a [u8] {
    let begin = if index == 0 { 0 } else { ends[index - 1] };
    &bytes[begin..ends[index]]
}

/// Shard and tag of a token: the shard from bits that the tag does not hold.
#[expect(clippy::cast_possible_truncation, reason = "halves of a hash")]
fn shard_and_tag(token: &[u8]) -> (usize, u32) {
    // A fixed seed: provisional ids then depend on arrival alone, which keeps single-threaded runs repeatable.
    let mut hasher = FixedState::with_seed(0).build_hasher();
    hasher.write(token);
    let hash = hasher.finish();
    (hash as usize % SHARD_COUNT, (hash >> 32) as u32)
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

/// What a batch works in.
#[derive(Default)]
struct Scratch {
    /// Rows whose token is not that of the row before.
    firsts: Vec<u32>,
    /// Shard and tag of each of these.
    hashes: Vec<(usize, u32)>,
    /// Tags and rows in the order of shards.
    asked: Vec<(u32, u32)>,
}

impl Interner {
    /// Interns tokens; one id a token, in order. Cost: a hash a token, a lock a shard and 8 thousand tokens.
    pub fn intern_batch<'a>(&self, tokens: impl IntoIterator<Item = &'a str>) -> Vec<Provisional> {
        let mut tokens = tokens.into_iter().map(str::as_bytes);
        let mut ids = Vec::with_capacity(tokens.size_hint().0);
        let mut scratch = Scratch::default();
        let mut batch: Vec<&[u8]> = Vec::with_capacity(BATCH.min(tokens.size_hint().0));
        loop {
            batch.clear();
            batch.extend(tokens.by_ref().take(BATCH));
            if batch.is_empty() {
                return ids;
            }
            let done = ids.len();
            ids.resize(done + batch.len(), Provisional::default());
            self.intern(&batch, &mut scratch, &mut ids[done..]);
        }
    }

    fn intern(&self, tokens: &[&[u8]], scratch: &mut Scratch, ids: &mut [Provisional]) {
        let Scratch { firsts, hashes, asked } = scratch;
        firsts.clear();
        let begins_run = |row: u32| row == 0 || !equal(tokens[row as usize - 1], tokens[row as usize]);
        firsts.extend((0u32..).take(tokens.len()).filter(|&row| begins_run(row)));
        hashes.clear();
        hashes.extend(firsts.iter().map(|&row| shard_and_tag(tokens[row as usize])));
        let mut begins = [0usize; SHARD_COUNT + 1];
        for &(shard, _) in &*hashes {
            begins[shard + 1] += 1;
        }
        for shard in 0..SHARD_COUNT {
            begins[shard + 1] += begins[shard];
        }
        let mut next = begins;
        asked.resize(firsts.len(), (0, 0));
        for (&row, &(shard, tag)) in firsts.iter().zip(&*hashes) {
            asked[next[shard]] = (tag, row);
            next[shard] += 1;
        }
        // Threads begin at different shards, so that they do not follow each other from lock to lock.
        let begin = hashes.first().map_or(0, |&(shard, _)| shard);
        for (number, shard) in (0u32..).zip(&self.shards).cycle().skip(begin).take(SHARD_COUNT) {
            let asked = &asked[begins[number as usize]..begins[number as usize + 1]];
            if !asked.is_empty() {
                let give = |row: u32, local: u32| ids[row as usize] = Provisional(local * SHARDS + number);
                lock(shard).intern(asked, tokens, give);
            }
        }
        if firsts.len() < tokens.len() {
            let ends = firsts.iter().skip(1).map(|&row| row as usize).chain([tokens.len()]);
            for (first, end) in firsts.iter().map(|&row| row as usize).zip(ends) {
                let id = ids[first];
                ids[first + 1..end].fill(id);
            }
        }
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
        for (base, shard) in base.iter_mut().zip(&shards) {
            *base = count;
            count = count.checked_add(shard.tokens).expect("all shards together hold fewer tokens than 32-bit ids");
        }
        // To wake the pool costs more than to go over a few.
        let few = count as usize <= ROWS_PER_TASK;
        let sizes: Vec<usize> =
            if few { shards.iter().map(Shard::bytes).collect() } else { shards.par_iter().map(Shard::bytes).collect() };
        let mut bytes = vec![0u8; sizes.iter().sum()];
        let mut ends = vec![0usize; count as usize];
        let mut pieces = Vec::with_capacity(SHARD_COUNT);
        let (mut bytes_left, mut ends_left, mut before) = (&mut *bytes, &mut *ends, 0);
        for (shard, size) in shards.into_iter().zip(sizes) {
            let (bytes, ends);
            (bytes, bytes_left) = bytes_left.split_at_mut(size);
            (ends, ends_left) = ends_left.split_at_mut(shard.tokens as usize);
            pieces.push((shard, before, bytes, ends));
            before += size;
        }
        let pour =
            |(shard, before, bytes, ends): (Shard, usize, &mut [u8], &mut [usize])| shard.pour(before, bytes, ends);
        if few {
            pieces.into_iter().for_each(pour);
        } else {
            pieces.into_par_iter().for_each(pour);
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
    fn tokens_of_any_length_and_in_runs_come_back_whole() {
        let interner = Interner::default();
        let text = "三码".repeat(20) + &"\0".repeat(40);
        let cuts = || text.char_indices().map(|(at, _)| at).chain([text.len()]);
        // Prefixes, of which many differ in their last byte or in their length alone, each three times in a row.
        let mut names: Vec<&str> = cuts().map(|end| &text[..end]).chain(cuts().skip(1).map(|at| &text[at..])).collect();
        names.extend(["a", "a\0", "aaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaab", "aaaaaaaaaaaaaaab"]);
        let rows: Vec<&str> = names.iter().flat_map(|&name| [name; 3]).collect();
        let ids = interner.intern_batch(rows.iter().copied());
        assert_eq!(ids, interner.intern_batch(rows.iter().copied()), "known by now");
        let (tokens, remap) = interner.freeze();
        for (row, id) in rows.iter().zip(ids) {
            assert_eq!(tokens.get(remap.apply(id) as usize), *row);
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(tokens.len(), names.len());
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
