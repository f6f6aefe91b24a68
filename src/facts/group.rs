//! Rows grouped by a small integer: person, place, region.
//!
//! The one idea: a table is put in the order of its key once (`cluster.rs`); from then on the rows of a key are a range. Where
//! nearly every key has rows the ranges are an array of offsets; where few have, a bitmap is asked first, and counting its bits
//! gives the key's place.
//!
//! Rows that come later do not fit between those of other keys. A key whose rows change has them elsewhere from then on, at the
//! end of the columns with room for more, and its range is looked up in [`Moved`] (`paged.rs`); where they were nobody looks any more, but
//! passes over whole columns do, so what such a pass finds is only ever too much.
//!
//! Cost: 4 bytes a key; two loads more a range once keys near it have moved.

use std::ops::Range;

use super::paged::Moved;
use crate::model::flat::Visitor;
use crate::model::renumber::{rank, set_before};
use crate::model::{Bitmap, Flat};

/// The rows of a key, and how many more would fit behind them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) begin: u32,
    pub(super) rows: u32,
    pub(super) room: u32,
}

impl Span {
    /// The rows.
    pub(super) const fn range(self) -> Range<usize> {
        self.begin as usize..(self.begin + self.rows) as usize
    }

    fn of(range: &Range<usize>) -> Self {
        let short = |place: usize| u32::try_from(place).expect("rows are numbered by 32 bits");
        let rows = short(range.len());
        Self { begin: short(range.start), rows, room: rows }
    }
}

/// Ranges that can be changed a key at a time.
pub(super) trait Ranges {
    /// The rows of a key.
    fn span_of(&self, key: usize) -> Span;
    /// Says where the rows of a key are from now on. The key may be beyond those for which the ranges were made.
    fn place(&mut self, key: usize, span: Span);
}

fn short(key: usize) -> u32 {
    u32::try_from(key).expect("keys are 32-bit ids")
}

/// Ranges of rows by key, one offset a key.
#[derive(Clone, Debug, Default)]
pub struct Offsets {
    begins: Flat<u32>,
    moved: Moved,
}

impl Offsets {
    /// Ranges that begin there, the last entry being the end of the last.
    pub(super) fn new(begins: Vec<u32>) -> Self {
        Self { begins: begins.into(), moved: Moved::default() }
    }

    /// Shows its column to a visitor.
    pub(super) fn visit<V: Visitor>(&mut self, visitor: &mut V) -> Result<(), V::Error> {
        visitor.column("begins", &mut self.begins)
    }

    /// Whether these can be the ranges of so many keys over so many rows.
    pub(super) fn fits(&self, keys: usize, rows: usize) -> bool {
        self.begins.len() == keys + 1 && self.begins[keys] as usize == rows
    }

    /// The rows of a key; none of one that the ranges do not know.
    #[must_use]
    pub fn range(&self, key: usize) -> Range<usize> {
        if let Some(span) = self.moved.get(key) {
            return span.range();
        }
        match self.begins.get(key + 1) {
            Some(&end) => self.begins[key] as usize..end as usize,
            None => 0..0,
        }
    }

    /// The rows that a range of keys had when the ranges were made.
    #[must_use]
    pub fn span(&self, keys: Range<usize>) -> Range<usize> {
        let begin = |key: usize| self.begins.get(key).or(self.begins.last()).map_or(0, |&begin| begin as usize);
        begin(keys.start)..begin(keys.end)
    }
}

impl Ranges for Offsets {
    fn span_of(&self, key: usize) -> Span {
        self.moved.get(key).unwrap_or_else(|| Span::of(&self.range(key)))
    }

    fn place(&mut self, key: usize, span: Span) {
        self.moved.insert(key, span);
    }
}

/// Ranges of rows by key where few keys have any.
#[derive(Clone, Debug, Default)]
pub struct Sparse {
    present: Bitmap,
    /// How many keys lie before each word of `ranked`.
    before: Flat<u32>,
    begins: Flat<u32>,
    /// `present` as it was when the ranges were made, once it differs.
    ranked: Option<Bitmap>,
    moved: Moved,
}

impl Sparse {
    /// The ranges of rows whose keys, in row order, ascend and are below `bound`.
    ///
    /// # Panics
    /// If a key is not below `bound`, or over 32 bits.
    #[must_use]
    pub fn of_ascending(bound: usize, ascending: impl Iterator<Item = usize>) -> Self {
        let mut present = Bitmap::new(bound);
        let mut begins = Vec::new();
        let (mut rows, mut last) = (0u32, None);
        for key in ascending {
            debug_assert!(last.is_none_or(|last| last <= key), "keys must ascend");
            if last != Some(key) {
                last = Some(key);
                begins.push(rows);
                present.insert(key);
            }
            rows += 1;
        }
        begins.push(rows);
        let before = set_before(present.words()).into();
        Self { present, before, begins: begins.into(), ranked: None, moved: Moved::default() }
    }

    /// Shows its columns to a visitor.
    pub(super) fn visit<V: Visitor>(&mut self, visitor: &mut V) -> Result<(), V::Error> {
        self.present.visit(visitor)?;
        visitor.column("before", &mut self.before)?;
        visitor.column("begins", &mut self.begins)
    }

    /// Lets copies share memory until one of them is changed.
    pub(super) fn share(&mut self) {
        self.present.share();
        self.before.share();
        self.begins.share();
    }

    /// Whether these can be the ranges of keys below `bound` over so many rows.
    pub(super) fn fits(&self, bound: usize, rows: usize) -> bool {
        let words = bound.div_ceil(u64::BITS as usize);
        self.present.words().len() == words
            && self.before.len() == words + 1
            && self.begins.len() == self.before[words] as usize + 1
            && self.begins[self.begins.len() - 1] as usize == rows
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
        if let Some(span) = self.moved.get(key) {
            return span.range();
        }
        let place = self.place_of(key);
        self.begins[place] as usize..self.begins[place + 1] as usize
    }

    /// The rows that a range of keys, the end at most the bound, had when the ranges were made.
    #[must_use]
    pub fn span(&self, keys: Range<usize>) -> Range<usize> {
        let begin = |key: usize| self.begins.get(self.place_of(key)).map_or(0, |&begin| begin as usize);
        begin(keys.start)..begin(keys.end)
    }

    /// How many keys less than this one had rows when the ranges were made.
    fn place_of(&self, key: usize) -> usize {
        // Past the last word are the keys at the bound, and those that have come later.
        rank(self.ranked.as_ref().unwrap_or(&self.present).words(), &self.before, key)
    }

    /// The keys that have rows, as a set.
    #[must_use]
    pub const fn present(&self) -> &Bitmap {
        &self.present
    }

    /// The keys that have rows, ascending. Cost: a pass over their set.
    #[must_use]
    pub fn keys(&self) -> Vec<u32> {
        self.present.ids_in(0..self.present.words().len()).map(short).collect()
    }

    /// Says that a key has one row from now on, and which. The key may be beyond the bound.
    pub fn place_one(&mut self, key: usize, row: usize) {
        self.place(key, Span { begin: short(row), rows: 1, room: 1 });
    }

    /// Says that a key has no row from now on.
    pub fn clear(&mut self, key: usize) {
        self.place(key, Span::default());
    }

    /// Keeps who had rows when the ranges were made, before that changes.
    fn rank(&mut self) {
        if self.ranked.is_none() {
            self.present.share();
            self.ranked = Some(self.present.clone());
        }
    }

    /// Raises the bound of the keys.
    pub fn grow(&mut self, bound: usize) {
        if bound.div_ceil(64) > self.present.words().len() {
            self.rank();
            self.present.grow(bound);
        }
    }
}

impl Ranges for Sparse {
    fn span_of(&self, key: usize) -> Span {
        self.moved.get(key).unwrap_or_else(|| Span::of(&self.range(key)))
    }

    fn place(&mut self, key: usize, span: Span) {
        self.rank();
        self.grow(key + 1);
        if span.rows == 0 {
            self.present.remove(key);
        } else {
            self.present.insert(key);
        }
        self.moved.insert(key, span);
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
