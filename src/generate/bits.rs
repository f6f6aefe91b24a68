//! A bit a person.

/// A set of people.
#[derive(Clone, Debug)]
pub(super) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    /// The empty set of so many people.
    pub(super) fn new(people: u32) -> Self {
        Self { words: vec![0; (people as usize).div_ceil(64)] }
    }

    pub(super) fn set(&mut self, person: u32) {
        self.words[person as usize / 64] |= 1 << (person % 64);
    }

    pub(super) fn unset(&mut self, person: u32) {
        self.words[person as usize / 64] &= !(1 << (person % 64));
    }

    pub(super) fn get(&self, person: u32) -> bool {
        self.words[person as usize / 64] >> (person % 64) & 1 == 1
    }
}
