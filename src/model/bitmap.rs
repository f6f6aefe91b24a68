//! One bit an id: the filter in front of everything that few people have.
//!
//! Cost: 1.25 MB for ten million ids, so probing it stays in cache.

use std::ops::Range;

use super::Flat;
use super::flat::Visitor;

/// Bits of a word.
const WORD: usize = u64::BITS as usize;

/// A set of ids below a fixed bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bitmap {
    words: Flat<u64>,
}

impl Bitmap {
    /// The empty set of ids below `bound`.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        Self { words: vec![0; bound.div_ceil(WORD)].into() }
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
        insert_bit(&mut self.words, id);
    }

    /// Takes an id out. Panics if it is not below the bound.
    pub fn remove(&mut self, id: usize) {
        self.words[id / WORD] &= !(1 << (id % WORD));
    }

    /// Raises the bound. Cost: amortised, that of the words that come to it.
    pub fn grow(&mut self, bound: usize) {
        let words = bound.div_ceil(WORD).max(self.words.len());
        self.words.edit(|all| all.resize(words, 0));
    }

    /// Whether the id is in the set. Panics if it is not below the bound.
    #[must_use]
    pub fn contains(&self, id: usize) -> bool {
        self.words[id / WORD] >> (id % WORD) & 1 == 1
    }

    /// Whether the id is in the set; none is that is not below the bound.
    #[must_use]
    pub fn contains_any(&self, id: usize) -> bool {
        self.words.get(id / WORD).is_some_and(|word| word >> (id % WORD) & 1 == 1)
    }

    /// Adds all ids of another set of the same bound.
    ///
    /// # Panics
    /// If the bounds differ.
    pub fn unite(&mut self, other: &Self) {
        assert_eq!(self.words.len(), other.words.len(), "sets of one bound");
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word |= other;
        }
    }

    /// Bit `i % 64` of word `i / 64` says whether `i` is in the set.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// As [`Self::words`], for those who fill a set side by side.
    #[must_use]
    pub fn words_mut(&mut self) -> &mut [u64] {
        &mut self.words
    }

    /// Shows its words to a visitor.
    ///
    /// # Errors
    /// The visitor's own.
    pub fn visit<V: Visitor>(&mut self, visitor: &mut V) -> Result<(), V::Error> {
        visitor.column("present", &mut self.words)
    }

    /// Lets copies share memory until one of them is changed.
    pub fn share(&mut self) {
        self.words.share();
    }

    /// The ids in the set, ascending, among those of a range of words, which may go beyond the bound.
    pub fn ids_in(&self, words: Range<usize>) -> impl Iterator<Item = usize> {
        let words = words.start.min(self.words.len())..words.end.min(self.words.len());
        words.clone().zip(&self.words[words]).flat_map(|(place, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
                rest &= rest - 1;
                Some(place * WORD + bit)
            })
        })
    }
}

/// Sets bit `id` of some words.
pub fn insert_bit(words: &mut [u64], id: usize) {
    words[id / WORD] |= 1 << (id % WORD);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_back_ascending() {
        let ids = [0, 1, 63, 64, 130, 199];
        let mut set = Bitmap::of(200, ids.into_iter().rev());
        assert_eq!(set.ids_in(0..4).collect::<Vec<_>>(), ids);
        assert_eq!(set.ids_in(1..2).collect::<Vec<_>>(), [64]);
        set.unite(&Bitmap::of(200, [2, 64].into_iter()));
        assert_eq!(set.ids_in(0..4).collect::<Vec<_>>(), [0, 1, 2, 63, 64, 130, 199]);
        assert!(set.contains(2) && !set.contains(3));
    }
}
