//! Rows grouped by a small integer: person, place, region.
//!
//! The one idea: a table is put in the order of its key once (`cluster.rs`); from then on the rows of a key are a range. Where
//! nearly every key has rows the ranges are an array of offsets; where few have, a bitmap is asked first, and counting its bits
//! gives the key's place.
//!
//! Cost: 4 bytes a key.

use std::ops::Range;

use super::bitmap::Bitmap;
use crate::model::Flat;
use crate::model::flat::Visitor;

/// Ranges of rows by key, one offset a key.
#[derive(Clone, Debug, Default)]
pub struct Offsets {
    begins: Flat<u32>,
}

impl Offsets {
    /// Ranges that begin there, the last entry being the end of the last.
    pub(super) fn new(begins: Vec<u32>) -> Self {
        Self { begins: begins.into() }
    }

    /// Shows its column to a visitor.
    pub(super) fn visit<V: Visitor>(&mut self, visitor: &mut V) -> Result<(), V::Error> {
        visitor.column("begins", &mut self.begins)
    }

    /// Whether these can be the ranges of so many keys over so many rows.
    pub(super) fn fits(&self, keys: usize, rows: usize) -> bool {
        self.begins.len() == keys + 1 && self.begins[keys] as usize == rows
    }

    /// The rows of a key. Panics if the key is out of range.
    #[must_use]
    pub fn range(&self, key: usize) -> Range<usize> {
        self.begins[key] as usize..self.begins[key + 1] as usize
    }

    /// The rows of a range of keys. Panics if it is out of range.
    #[must_use]
    pub fn span(&self, keys: Range<usize>) -> Range<usize> {
        self.begins[keys.start] as usize..self.begins[keys.end] as usize
    }

    /// Where the rows of each key begin, and at the end how many there are.
    #[must_use]
    pub fn begins(&self) -> &[u32] {
        &self.begins
    }
}

/// Ranges of rows by key where few keys have any.
#[derive(Clone, Debug, Default)]
pub struct Sparse {
    present: Bitmap,
    /// How many keys lie before each word of `present`.
    before: Flat<u32>,
    keys: Flat<u32>,
    begins: Flat<u32>,
}

impl Sparse {
    /// The ranges of rows whose keys, in row order, ascend and are below `bound`.
    ///
    /// # Panics
    /// If a key is not below `bound`, or over 32 bits.
    #[must_use]
    pub fn of_ascending(bound: usize, ascending: impl Iterator<Item = usize>) -> Self {
        let mut present = Bitmap::new(bound);
        let (mut before, mut keys, mut begins) = (Vec::new(), Vec::new(), Vec::new());
        let mut rows = 0u32;
        for key in ascending {
            let short = u32::try_from(key).expect("keys are 32-bit ids");
            debug_assert!(keys.last().is_none_or(|&last| last <= short), "keys must ascend");
            if keys.last() != Some(&short) {
                keys.push(short);
                begins.push(rows);
                present.insert(key);
            }
            rows += 1;
        }
        begins.push(rows);
        let mut met = 0;
        for word in present.words() {
            before.push(met);
            met += word.count_ones();
        }
        before.push(met);
        Self { present, before: before.into(), keys: keys.into(), begins: begins.into() }
    }

    /// Shows its columns to a visitor.
    pub(super) fn visit<V: Visitor>(&mut self, visitor: &mut V) -> Result<(), V::Error> {
        self.present.visit(visitor)?;
        visitor.column("before", &mut self.before)?;
        visitor.column("keys", &mut self.keys)?;
        visitor.column("begins", &mut self.begins)
    }

    /// Whether these can be the ranges of keys below `bound` over so many rows.
    pub(super) fn fits(&self, bound: usize, rows: usize) -> bool {
        let words = bound.div_ceil(u64::BITS as usize);
        self.present.words().len() == words
            && self.before.len() == words + 1
            && self.before[words] as usize == self.keys.len()
            && self.begins.len() == self.keys.len() + 1
            && self.begins[self.keys.len()] as usize == rows
    }

    /// Whether the key has rows. Cost: one bit.
    #[must_use]
    pub fn contains(&self, key: usize) -> bool {
        self.present.contains(key)
    }

    /// The rows of a key. Cost: one bit for a key without rows, else a count of bits.
    #[must_use]
    pub fn range(&self, key: usize) -> Range<usize> {
        if !self.present.contains(key) {
            return 0..0;
        }
        let place = self.place(key);
        self.begins[place] as usize..self.begins[place + 1] as usize
    }

    /// The rows of a range of keys, the end at most the bound.
    #[must_use]
    pub fn span(&self, keys: Range<usize>) -> Range<usize> {
        self.begins[self.place(keys.start)] as usize..self.begins[self.place(keys.end)] as usize
    }

    /// How many keys with rows are less than this one.
    fn place(&self, key: usize) -> usize {
        let lower = self.present.words().get(key / 64).map_or(0, |word| word & ((1 << (key % 64)) - 1));
        self.before[key / 64] as usize + lower.count_ones() as usize
    }

    /// The keys that have rows, as a set.
    #[must_use]
    pub const fn present(&self) -> &Bitmap {
        &self.present
    }

    /// The keys that have rows, ascending.
    #[must_use]
    pub fn keys(&self) -> &[u32] {
        &self.keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparse_ranges_agree_with_dense_ones() {
        let keys = [0, 0, 2, 2, 2, 3];
        let before = |key: usize| keys.iter().filter(|&&other| other < key).count();
        let offsets = Offsets::new((0..=70).map(|key| u32::try_from(before(key)).expect("few")).collect());
        let sparse = Sparse::of_ascending(70, keys.iter().copied());
        for key in 0..70 {
            assert_eq!(sparse.range(key).len(), offsets.range(key).len(), "{key}");
            assert_eq!(sparse.contains(key), !offsets.range(key).is_empty());
        }
        assert_eq!(sparse.range(2), 2..5);
        for (from, to) in [(0, 70), (0, 0), (1, 2), (2, 64), (3, 70), (64, 70), (70, 70)] {
            assert_eq!(sparse.span(from..to), offsets.span(from..to), "{from}..{to}");
        }
        assert_eq!(Sparse::of_ascending(3, std::iter::empty()).range(1), 0..0);
    }
}
