//! What is left of some ids, numbered anew in the same order.
//!
//! The one idea: a set of bits, and how many are set before each word of it, give an id its new number in two loads.
//!
//! Cost: a bit and a half an id.

use super::bitmap::Bitmap;
use super::ids::{ContactRow, LabelId, PersonId, PlaceId};

/// Bits of a word.
const WORD: usize = u64::BITS as usize;

/// How many bits are set before each word, and at the end in all.
///
/// # Panics
/// If there are 2^32.
#[must_use]
pub fn set_before(words: &[u64]) -> Vec<u32> {
    let mut set = 0u32;
    let mut count = |word: &u64| {
        set = set.checked_add(word.count_ones()).expect("ids are 32-bit");
        set
    };
    std::iter::once(0).chain(words.iter().map(&mut count)).collect()
}

/// How many bits are set before one that is within these words; of one beyond them, how many are.
#[must_use]
pub fn rank(words: &[u64], before: &[u32], bit: usize) -> usize {
    match (words.get(bit / WORD), before.get(bit / WORD)) {
        (Some(word), Some(&before)) => before as usize + (word & ((1 << (bit % WORD)) - 1)).count_ones() as usize,
        _ => before.last().map_or(0, |&set| set as usize),
    }
}

/// Those that are left of ids from 0 on.
#[derive(Debug, Default)]
pub struct Left {
    /// How many there were.
    of: usize,
    set: Bitmap,
    before: Vec<u32>,
}

impl Left {
    /// Those named, of so many.
    ///
    /// # Panics
    /// If one is not of them.
    #[must_use]
    pub fn new(of: usize, ids: impl Iterator<Item = usize>) -> Self {
        let set = Bitmap::of(of, ids);
        Self { of, before: set_before(set.words()), set }
    }

    /// All of so many.
    #[must_use]
    pub fn all(of: usize) -> Self {
        Self::new(of, 0..of)
    }

    /// How many are left.
    #[must_use]
    pub fn len(&self) -> usize {
        self.before.last().map_or(0, |&left| left as usize)
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether all are, so that each keeps its number.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.len() == self.of
    }

    /// Whether this one is.
    #[must_use]
    pub fn contains(&self, id: usize) -> bool {
        self.set.contains_any(id)
    }

    /// Those that are, ascending.
    pub fn ids(&self) -> impl Iterator<Item = usize> {
        self.set.ids_in(0..self.set.words().len())
    }

    /// The new number of one that is left.
    #[must_use]
    pub fn number(&self, id: usize) -> u32 {
        debug_assert!(self.contains(id), "it is not left");
        u32::try_from(rank(self.set.words(), &self.before, id)).unwrap_or(u32::MAX)
    }
}

/// New numbers for all that columns name by number.
#[derive(Debug, Default)]
pub struct Renumbering {
    /// Persons.
    pub persons: Left,
    /// Places.
    pub places: Left,
    /// Labels.
    pub labels: Left,
    /// Rows of the table of contacts.
    pub contacts: Left,
}

impl Renumbering {
    /// Whether everything keeps its number.
    #[must_use]
    pub fn is_none(&self) -> bool {
        [&self.persons, &self.places, &self.labels, &self.contacts].into_iter().all(Left::is_all)
    }

    pub(super) fn person(&self, id: PersonId) -> PersonId {
        PersonId(self.persons.number(id.index()))
    }

    pub(super) fn place(&self, id: PlaceId) -> PlaceId {
        PlaceId::from_index(self.places.number(id.index()))
    }

    pub(super) fn label(&self, id: LabelId) -> LabelId {
        LabelId::from_index(self.labels.number(id.index()))
    }

    pub(super) fn contact(&self, row: ContactRow) -> ContactRow {
        ContactRow(self.contacts.number(row.index()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_left_are_numbered_from_zero_in_their_order() {
        let ids = [0, 3, 63, 64, 65, 127, 129];
        let left = Left::new(200, ids.into_iter());
        assert!(ids.iter().map(|&id| left.number(id)).eq(0..7));
        assert_eq!((0..300).filter(|&id| left.contains(id)).collect::<Vec<_>>(), ids);
        assert_eq!((left.len(), left.is_all()), (7, false));
        assert!(Left::new(3, 0..3).is_all() && Left::new(0, 0..0).is_all());
        for of in [0, 1, 63, 64, 65, 128, 130] {
            let all = Left::all(of);
            assert!((all.len(), all.is_all()) == (of, true) && all.ids().eq(0..of), "{of}");
        }
        assert!(Left::new(64, 0..0).is_empty());
    }
}
