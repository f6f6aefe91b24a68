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

use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use rayon::prelude::*;

use crate::limits::ROWS_PER_TASK;
use crate::model::flat::Visitor;
use crate::model::{Chunked, Flat};

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

/// Frozen tokens: by id, and in the order of their bytes. Others may be added; a copy shares what it can.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    bytes: Flat<u8>,
    ends: Flat<usize>,
    /// Those of which it is known where in the order of bytes they are.
    sorted: Flat<u32>,
    late: Late,
    /// All, by hash; made when the first one is to be added. It may hold more, of higher ids, that were added to a copy.
    index: Option<Arc<RwLock<HashTable<u32>>>>,
}

/// Tokens that were added, by their id less the number of those before.
#[derive(Clone, Debug, Default)]
struct Late {
    bytes: Chunked<u8>,
    begins: Chunked<u32>,
    lengths: Chunked<u32>,
}

impl Late {
    fn len(&self) -> usize {
        self.begins.len()
    }

    fn get(&self, index: usize) -> &[u8] {
        let begin = self.begins[index] as usize;
        &self.bytes[begin..begin + self.lengths[index] as usize]
    }

    fn push(&mut self, token: &[u8]) {
        let short = |bytes: usize| u32::try_from(bytes).expect("tokens that were added have less than 4 GB");
        let begin = self.bytes.open(token.len(), 0);
        self.bytes.slice_mut(begin..begin + token.len()).copy_from_slice(token);
        self.begins.add(short(begin));
        self.lengths.add(short(token.len()));
    }
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
        let keyed = |id| (prefix(id), id);
        let order = |left: &(u64, u32), right: &(u64, u32)| {
            left.0
                .cmp(&right.0)
                .then_with(|| token_at(&bytes, &ends, left.1 as usize).cmp(token_at(&bytes, &ends, right.1 as usize)))
        };
        let keyed: Vec<(u64, u32)> = if ends.len() <= ROWS_PER_TASK {
            let mut keyed: Vec<_> = (0..count).map(keyed).collect();
            keyed.sort_unstable_by(order);
            keyed
        } else {
            let mut keyed: Vec<_> = (0..count).into_par_iter().map(keyed).collect();
            keyed.par_sort_unstable_by(order);
            keyed
        };
        let sorted = keyed.into_iter().map(|(_, id)| id).collect();
        Self { bytes: bytes.into(), ends: ends.into(), sorted, ..Self::default() }
    }

    /// Shows the columns of the frozen tokens to a visitor.
    ///
    /// # Errors
    /// The visitor's first.
    pub fn visit<V: Visitor>(&mut self, visitor: &mut V) -> Result<(), V::Error> {
        visitor.column("bytes", &mut self.bytes)?;
        visitor.column("ends", &mut self.ends)?;
        visitor.column("sorted", &mut self.sorted)
    }

    /// Whether the columns are of lengths that belong together.
    #[must_use]
    pub fn is_even(&self) -> bool {
        self.sorted.len() == self.ends.len() && self.ends.last().copied().unwrap_or(0) == self.bytes.len()
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
        self.ends.len() + self.late.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn bytes_at(&self, index: usize) -> &[u8] {
        let frozen = self.ends.len();
        if index < frozen { token_at(&self.bytes, &self.ends, index) } else { self.late.get(index - frozen) }
    }

    /// The token with this index.
    ///
    /// # Panics
    /// If the index is out of range.
    #[must_use]
    pub fn get(&self, index: usize) -> &str {
        // Only whole `str`s are ever appended, so this cannot fail; tokens are short, so checking is cheap.
        std::str::from_utf8(self.bytes_at(index)).expect("tokens are UTF-8")
    }

    /// The tokens with these indexes, back to back, with the end of each. Cost: two visits to memory a token; nothing waits
    /// for one, so that many are under way at once.
    ///
    /// # Panics
    /// If an index is out of range.
    #[must_use]
    pub fn gather(&self, indexes: &[u32]) -> (Vec<u8>, Vec<usize>) {
        let tokens: Vec<&[u8]> = indexes.iter().map(|&index| self.bytes_at(index as usize)).collect();
        let mut bytes = Vec::with_capacity(tokens.iter().map(|token| token.len()).sum());
        let mut end = |token: &&[u8]| {
            bytes.extend_from_slice(token);
            bytes.len()
        };
        let ends = tokens.iter().map(&mut end).collect();
        (bytes, ends)
    }

    /// The index of a token, a new one if it is not there. Cost: a hash; the first time, an index of all.
    ///
    /// # Panics
    /// If there are 2^32 tokens.
    pub fn intern(&mut self, token: &str) -> u32 {
        let (len, hash) = (self.len(), index_hash(token.as_bytes()));
        let index = self.index.get_or_insert_with(Arc::default);
        // Whoever shares the index may have added others to it, or it is new.
        if read(index).len() != len {
            self.index = Some(Arc::new(RwLock::new(self.index_of_all())));
        }
        if let Some(id) = self.find_by_hash(token) {
            return id;
        }
        let id = u32::try_from(len).expect("an interner holds fewer than 2^32 tokens");
        self.late.push(token.as_bytes());
        if let Some(index) = &self.index {
            let mut index = index.write().unwrap_or_else(PoisonError::into_inner);
            index.insert_unique(hash, id, |&id| index_hash(self.bytes_at(id as usize)));
        }
        id
    }

    fn index_of_all(&self) -> HashTable<u32> {
        let mut index = HashTable::with_capacity(self.len() + self.len() / 8);
        for id in 0..u32::try_from(self.len()).expect("ids are 32-bit") {
            index.insert_unique(index_hash(self.bytes_at(id as usize)), id, |_| unreachable!("there is room"));
        }
        index
    }

    fn find_by_hash(&self, token: &str) -> Option<u32> {
        let is = |&id: &u32| (id as usize) < self.len() && self.bytes_at(id as usize) == token.as_bytes();
        read(self.index.as_ref()?).find(index_hash(token.as_bytes()), is).copied()
    }

    /// Puts tokens that were added in the order of bytes with the others. Cost: a sort of those, and a merge.
    ///
    /// # Panics
    /// If there are 2^32 tokens.
    pub fn sort(&mut self) {
        let (sorted, len) = (&self.sorted, self.len());
        if sorted.len() == len {
            return;
        }
        let token = |id: u32| self.bytes_at(id as usize);
        let short = |index: usize| u32::try_from(index).expect("ids are 32-bit");
        let mut late: Vec<u32> = (short(sorted.len())..short(len)).collect();
        late.par_sort_unstable_by(|&left, &right| token(left).cmp(token(right)));
        let mut merged = Vec::with_capacity(len);
        let mut rest = &**sorted;
        for id in late {
            let (before, after) = rest.split_at(rest.partition_point(|&other| token(other) < token(id)));
            merged.extend_from_slice(before);
            merged.push(id);
            rest = after;
        }
        merged.extend_from_slice(rest);
        self.sorted = merged.into();
    }

    /// All indexes in the order of the tokens' bytes, but for those added since [`Self::sort`].
    #[must_use]
    pub fn sorted(&self) -> &[u32] {
        &self.sorted
    }

    /// The index of a token, if there is such a one. Cost: a binary search, or a hash once tokens have been added.
    #[must_use]
    pub fn find(&self, token: &str) -> Option<u32> {
        if self.index.is_some() {
            return self.find_by_hash(token);
        }
        let bytes_of = |&id: &u32| self.bytes_at(id as usize);
        self.sorted.binary_search_by(|id| bytes_of(id).cmp(token.as_bytes())).ok().map(|place| self.sorted[place])
    }
}

fn read(index: &RwLock<HashTable<u32>>) -> RwLockReadGuard<'_, HashTable<u32>> {
    index.read().unwrap_or_else(PoisonError::into_inner)
}

/// By what [`Tokens`] finds a token once some have been added.
fn index_hash(token: &[u8]) -> u64 {
    FixedState::with_seed(0).hash_one(token)
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
