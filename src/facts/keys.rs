//! From the id of a row to where it is, for whoever replaces and deletes rows by their id.
//!
//! The one idea: the ids themselves lie in the columns already, so the index holds for each row only what leads there (a person, or
//! a row) and one byte of the id's hash; whoever asks says whether what is found there has the id.
//!
//! Invariant: an entry is found from its home slot without crossing a free one; so two entries of one value whose ids fall on
//! each other's way may stand for each other.
//!
//! Cost: 5 bytes a slot, at most three of four taken.

/// What a slot without an entry has for a tag: never held one, or held one that was taken out.
const FREE: u8 = 0;
const GONE: u8 = 1;

/// An index by id.
#[derive(Debug, Default)]
pub(super) struct Keys {
    tags: Vec<u8>,
    values: Vec<u32>,
    /// Slots that are not free.
    taken: usize,
    entries: usize,
}

/// Home slot (of the whole range of 64 bits) and tag of an id.
#[expect(clippy::cast_possible_truncation, reason = "a byte of the hash")]
const fn hash(id: u64) -> (u64, u8) {
    let hash = (id ^ (id >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let tag = (hash >> 8) as u8;
    (hash, if tag > GONE { tag } else { tag + 2 })
}

impl Keys {
    /// The index of so many ids, each with its value.
    pub(super) fn of(ids: &[u64], values: impl Iterator<Item = u32>) -> Self {
        let mut keys = Self::default();
        keys.resize(ids.len());
        for (&id, value) in ids.iter().zip(values) {
            keys.put(id, value);
        }
        keys
    }

    /// Number of entries.
    pub(super) const fn len(&self) -> usize {
        self.entries
    }

    /// Whether the next entry needs [`Self::renew`] first.
    pub(super) const fn is_full(&self) -> bool {
        (self.taken + 1) * 4 > self.tags.len() * 3
    }

    /// Makes the index anew, from all rows there are, with room for as many more.
    pub(super) fn renew(&mut self, rows: impl Iterator<Item = (u64, u32)>) {
        self.resize(self.entries * 2 + 16);
        for (id, value) in rows {
            self.put(id, value);
        }
    }

    fn resize(&mut self, entries: usize) {
        let slots = (entries * 4 / 3 + 1).next_power_of_two();
        *self = Self { tags: vec![FREE; slots], values: vec![0; slots], taken: 0, entries: 0 };
    }

    /// The slots in which an id may be, from its home on.
    fn way(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let slots = self.tags.len();
        // The highest bits of the product are its best.
        let home = usize::try_from(hash >> (64 - slots.trailing_zeros())).unwrap_or_default();
        (0..slots).map(move |step| (home + step) & (slots - 1))
    }

    fn slot(&self, id: u64, holds: impl Fn(u32) -> bool) -> Option<usize> {
        if self.entries == 0 {
            return None;
        }
        let (hash, tag) = hash(id);
        self.way(hash)
            .take_while(|&slot| self.tags[slot] != FREE)
            .find(|&slot| self.tags[slot] == tag && holds(self.values[slot]))
    }

    /// Adds an entry for an id that has none. The index must not be full.
    pub(super) fn put(&mut self, id: u64, value: u32) {
        let (hash, tag) = hash(id);
        let free = self.way(hash).find(|&slot| self.tags[slot] <= GONE);
        let slot = free.expect("an index that is not full has a free slot");
        self.taken += usize::from(self.tags[slot] == FREE);
        (self.tags[slot], self.values[slot]) = (tag, value);
        self.entries += 1;
    }

    /// Takes the entry of an id out, while its row is still where the entry leads.
    pub(super) fn take(&mut self, id: u64, holds: impl Fn(u32) -> bool) -> Option<u32> {
        let slot = self.slot(id, holds)?;
        self.tags[slot] = GONE;
        self.entries -= 1;
        Some(self.values[slot])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Rows by id, several of one value.
    #[test]
    fn entries_are_found_until_they_are_taken_out() {
        let mut rows: BTreeMap<u64, u32> = BTreeMap::new();
        let mut keys = Keys::default();
        let mut state = 7u64;
        for _ in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (id, value) = ((state >> 33) % 700, u32::try_from((state >> 20) % 5).expect("small"));
            let known = rows.clone();
            let holds = |asked: u32| known.get(&id) == Some(&asked);
            assert_eq!(keys.take(id, holds), rows.remove(&id));
            if known.len() == rows.len() {
                if keys.is_full() {
                    keys.renew(rows.iter().map(|(&id, &value)| (id, value)));
                }
                keys.put(id, value);
                rows.insert(id, value);
            }
            assert_eq!(keys.len(), rows.len());
        }
    }
}
