//! Codes as published: what a diff compares, whether freshly computed or read back from a file.
//!
//! The one idea: lists of reasons are few, so each different one has a number, and two persons' reasons are compared as
//! integers. Entries are made as they are walked over: ten million of them in a row would be 240 MB for nothing.

use std::ops::Range;

use hashbrown::HashMap;

use super::enums::Colour;

/// The number of a list of reasons in a [`ReasonLists`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListId(u32);

impl ListId {
    /// The number as an index into columns of one entry a list.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Every different list of rule ids, once.
#[derive(Clone, Debug, Default)]
pub struct ReasonLists {
    lists: Vec<Vec<String>>,
    numbers: HashMap<Vec<String>, ListId>,
}

impl ReasonLists {
    /// The number of a list.
    ///
    /// # Panics
    /// If there are 2^32 different lists, of at most 64 rules of two rule sets.
    pub fn number(&mut self, list: Vec<String>) -> ListId {
        if let Some(&number) = self.numbers.get(&list) {
            return number;
        }
        let number = ListId(u32::try_from(self.lists.len()).expect("lists of reasons are few"));
        self.lists.push(list.clone());
        self.numbers.insert(list, number);
        number
    }

    /// Takes in the lists of another collection. Gives the number here of each list there, by its number there.
    pub fn absorb(&mut self, other: &Self) -> Vec<ListId> {
        other.lists.iter().map(|list| self.number(list.clone())).collect()
    }

    /// The list with a number.
    #[must_use]
    pub fn get(&self, number: ListId) -> &[String] {
        &self.lists[number.0 as usize]
    }
}

/// One person's code in a state that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The person's token.
    pub person: &'a str,
    /// The colour.
    pub colour: Colour,
    /// The unexcused reasons.
    pub reasons: ListId,
}

/// A state: rows in the order of the persons' bytes, each person once.
pub trait Rows: Sync {
    /// Number of rows.
    fn len(&self) -> usize;
    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The person of a row. Panics when out of range.
    fn person(&self, row: usize) -> &str;
    /// The entries of a range of rows, in order; a row of a person without a code has none.
    fn walk(&self, rows: Range<usize>) -> impl Iterator<Item = Entry<'_>>;
}

impl Rows for Vec<Entry<'_>> {
    fn len(&self) -> usize {
        Vec::len(self)
    }

    fn person(&self, row: usize) -> &str {
        self[row].person
    }

    fn walk(&self, rows: Range<usize>) -> impl Iterator<Item = Entry<'_>> {
        self[rows].iter().copied()
    }
}
