//! Tokens that stand: by id, and in the order of their bytes.
//!
//! The one idea: what a load has frozen lies back to back; what is added later lies behind it, and a copy shares both.
//!
//! Invariant: a token keeps its id, whatever is added.
//!
//! Cost: 8 bytes an offset, 4 for the order, and the token's bytes; an index of all by hash from when the first one is added.

use std::hash::BuildHasher as _;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use rayon::prelude::*;

use super::token_at;
use crate::limits::ROWS_PER_TASK;
use crate::model::flat::Visitor;
use crate::model::{Chunked, Flat, Left};

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
    pub(super) fn new(bytes: Vec<u8>, ends: Vec<usize>) -> Self {
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

    /// Those that are left, under their new ids. Cost: a copy of them; none to speak of if all are and none came late.
    #[must_use]
    pub fn left(&self, left: &Left) -> Self {
        if left.is_all() && self.late.len() == 0 {
            return self.clone();
        }
        let (mut bytes, mut ends) = (Vec::new(), Vec::with_capacity(left.len()));
        for id in left.ids() {
            bytes.extend_from_slice(self.bytes_at(id));
            ends.push(bytes.len());
        }
        let mut all = self.clone();
        all.sort();
        let sorted = all.sorted.iter().map(|&id| id as usize).filter(|&id| left.contains(id));
        let sorted = sorted.map(|id| left.number(id)).collect();
        Self { bytes: bytes.into(), ends: ends.into(), sorted, ..Self::default() }
    }

    /// Lets copies share what they hold.
    pub fn share(&mut self) {
        self.bytes.share();
        self.ends.share();
        self.sorted.share();
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
