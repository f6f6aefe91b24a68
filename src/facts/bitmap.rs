//! One bit an id: the filter in front of everything that few people have.
//!
//! Cost: 1.25 MB for ten million ids, so probing it stays in cache.

/// A set of ids below a fixed bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bitmap {
    words: Vec<u64>,
}

impl Bitmap {
    /// The empty set of ids below `bound`.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        Self { words: vec![0; bound.div_ceil(64)] }
    }

    /// The set of the ids given.
    #[must_use]
    pub fn of(bound: usize, ids: impl Iterator<Item = usize>) -> Self {
        let mut set = Self::new(bound);
        for id in ids {
            set.insert(id);
        }
        set
    }

    /// Adds an id. Panics if it is not below the bound.
    pub fn insert(&mut self, id: usize) {
        self.words[id / 64] |= 1 << (id % 64);
    }

    /// Whether the id is in the set. Panics if it is not below the bound.
    #[must_use]
    pub fn contains(&self, id: usize) -> bool {
        self.words[id / 64] >> (id % 64) & 1 == 1
    }
}
