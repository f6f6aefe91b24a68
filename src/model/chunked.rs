//! A column that grows and changes while others read what it was.
//!
//! The one idea: values that are there when a column is closed stay where they are for good, back to back, in its base; those that
//! come later lie behind it in chunks, each of which is copied before it is changed if anybody else has it. So a copy of a column
//! is as good as a copy of its values, costs a pointer a chunk, and whoever holds one is never waited for.
//!
//! Invariants: rows of one [`Chunked::open`] lie back to back; columns of which the same was asked number their rows alike.
//!
//! Cost: reading a value of the base is a slice's; one behind it two loads more. A change copies [`ROWS_PER_CHUNK`] values if they
//! are shared.

use std::fmt;
use std::ops::{Index, IndexMut, Range};
use std::sync::Arc;

use rayon::prelude::*;

use super::flat::{Element, Flat};
use crate::limits::ROWS_PER_CHUNK;

/// Values of one type by row.
pub struct Chunked<T> {
    base: Flat<T>,
    tail: Tail<T>,
}

/// What lies behind a base. Rows are counted from its end.
struct Tail<T> {
    /// As long as the rows that were asked for at once, filled up to a multiple of [`ROWS_PER_CHUNK`].
    chunks: Vec<Arc<[T]>>,
    /// Of each [`ROWS_PER_CHUNK`] rows the chunk, and the row at which that begins.
    places: Vec<(u32, u32)>,
    rows: usize,
}

impl<T: Element> Tail<T> {
    const fn room(&self) -> usize {
        self.places.len() * ROWS_PER_CHUNK
    }

    fn open(&mut self, rows: usize, filler: T) -> usize {
        if self.room() - self.rows < rows {
            self.rows = self.room();
            let chunk = short(self.chunks.len());
            let length = rows.next_multiple_of(ROWS_PER_CHUNK);
            self.chunks.push(std::iter::repeat_n(filler, length).collect());
            self.places.extend(std::iter::repeat_n((chunk, short(self.rows)), length / ROWS_PER_CHUNK));
        }
        let begin = self.rows;
        self.rows += rows;
        begin
    }

    /// The chunk of a row, and the row's place in it.
    fn place(&self, row: usize) -> (usize, usize) {
        let (chunk, begin) = self.places[row / ROWS_PER_CHUNK];
        (chunk as usize, row - begin as usize)
    }

    #[cold]
    fn value(&self, row: usize) -> &T {
        let (chunk, at) = self.place(row);
        &self.chunks[chunk][at]
    }

    #[cold]
    fn slice(&self, rows: Range<usize>) -> &[T] {
        let (chunk, at) = self.place(rows.start);
        &self.chunks[chunk][at..at + rows.len()]
    }

    fn slice_mut(&mut self, rows: Range<usize>) -> &mut [T] {
        let (chunk, at) = self.place(rows.start);
        &mut Arc::make_mut(&mut self.chunks[chunk])[at..at + rows.len()]
    }

    fn truncate(&mut self, rows: usize) {
        self.rows = self.rows.min(rows);
        // What is opened next begins in the last chunk, or in a new one.
        self.places.retain(|&(_, begin)| (begin as usize) < rows);
        self.chunks.truncate(self.places.last().map_or(0, |&(chunk, _)| chunk as usize + 1));
    }
}

fn short(rows: usize) -> u32 {
    u32::try_from(rows).expect("rows are numbered by 32 bits")
}

impl<T: Element> Chunked<T> {
    /// Number of rows, those that nobody was given included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.base.len() + self.tail.rows
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values that lie back to back: all of them, unless some came after the column was closed.
    #[must_use]
    pub const fn base(&self) -> &Flat<T> {
        &self.base
    }

    /// The same, for whoever makes them.
    #[must_use]
    pub const fn base_mut(&mut self) -> &mut Flat<T> {
        &mut self.base
    }

    /// All rows, in pieces that lie back to back each, with the row at which each begins.
    pub fn pieces(&self) -> impl Iterator<Item = (usize, &[T])> {
        let begin = self.base.len();
        let chunks = self.tail.chunks.iter().scan(0, move |done, chunk| {
            let from = *done;
            *done += chunk.len();
            Some((begin + from, &chunk[..chunk.len().min(self.tail.rows.saturating_sub(from))]))
        });
        std::iter::once((0, &*self.base)).chain(chunks)
    }

    /// All rows, in ranges of so many at most that lie back to back each. The last one of the base may be shorter, and so may those
    /// behind it.
    #[must_use]
    pub fn zones(&self, rows: usize) -> Vec<Range<usize>> {
        let cut = |(begin, values): (usize, &[T])| {
            let end = begin + values.len();
            (begin..end).step_by(rows).map(move |begin| begin..end.min(begin + rows))
        };
        self.pieces().flat_map(cut).collect()
    }

    /// All values, in the order of rows.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.pieces().flat_map(|(_, values)| values)
    }

    /// Adds a value: to the base, as long as nobody else has that and nothing lies behind it.
    pub fn push(&mut self, value: T) {
        if self.tail.rows == 0 && !self.base.is_shared() {
            self.base.push(value);
        } else {
            self.add(value);
        }
    }

    /// Adds a value behind the base. Gives its row.
    pub fn add(&mut self, value: T) -> usize {
        let row = self.open(1, value);
        self[row] = value;
        row
    }

    /// Gives so many rows behind all others, back to back, and where they begin; they hold the filler or any other values. The base is
    /// closed from then on.
    pub fn open(&mut self, rows: usize, filler: T) -> usize {
        self.base.share();
        self.base.len() + self.tail.open(rows, filler)
    }

    /// Some rows, to be changed. They were opened together; or all are of the base, which is copied if it is shared.
    pub fn slice_mut(&mut self, rows: Range<usize>) -> &mut [T] {
        let base = self.base.len();
        if rows.is_empty() {
            &mut []
        } else if rows.start < base {
            &mut self.base[rows]
        } else {
            self.tail.slice_mut(rows.start - base..rows.end - base)
        }
    }

    /// Leaves only so many rows, the first.
    pub fn truncate(&mut self, rows: usize) {
        let base = self.base.len();
        if rows < base {
            self.base.edit(|values| values.truncate(rows));
        }
        self.tail.truncate(rows.saturating_sub(base));
    }
}

impl<T: Element> Index<usize> for Chunked<T> {
    type Output = T;

    #[inline]
    fn index(&self, row: usize) -> &T {
        match self.base.get(row) {
            Some(value) => value,
            None => self.tail.value(row - self.base.len()),
        }
    }
}

/// A value that others have too is copied first, with those around it.
impl<T: Element> IndexMut<usize> for Chunked<T> {
    fn index_mut(&mut self, row: usize) -> &mut T {
        &mut self.slice_mut(row..row + 1)[0]
    }
}

/// Rows that were opened together, or are of the base.
impl<T: Element> Index<Range<usize>> for Chunked<T> {
    type Output = [T];

    #[inline]
    fn index(&self, rows: Range<usize>) -> &[T] {
        let base = self.base.len();
        if rows.end <= base {
            &self.base[rows]
        } else if rows.is_empty() {
            &[]
        } else {
            self.tail.slice(rows.start - base..rows.end - base)
        }
    }
}

impl<T: Element> From<Flat<T>> for Chunked<T> {
    fn from(base: Flat<T>) -> Self {
        Self { base, tail: Tail::default() }
    }
}

impl<T: Element> From<Vec<T>> for Chunked<T> {
    fn from(base: Vec<T>) -> Self {
        Flat::from(base).into()
    }
}

impl<T: Element> FromParallelIterator<T> for Chunked<T> {
    fn from_par_iter<I: IntoParallelIterator<Item = T>>(values: I) -> Self {
        Flat::from_par_iter(values).into()
    }
}

impl<T: Element> FromIterator<T> for Chunked<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Flat::from_iter(values).into()
    }
}

impl<T> Default for Tail<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), places: Vec::new(), rows: 0 }
    }
}

impl<T> Default for Chunked<T> {
    fn default() -> Self {
        Self { base: Flat::default(), tail: Tail::default() }
    }
}

impl<T: Element> Clone for Chunked<T> {
    fn clone(&self) -> Self {
        let Tail { chunks, places, rows } = &self.tail;
        Self { base: self.base.clone(), tail: Tail { chunks: chunks.clone(), places: places.clone(), rows: *rows } }
    }
}

impl<T: Element + fmt::Debug> fmt::Debug for Chunked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T: Element + PartialEq> PartialEq for Chunked<T> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_from_base_and_chunks_and_copies_stay_what_they_were() {
        let mut column: Chunked<u32> = (0..5).collect();
        column.push(5);
        assert_eq!(column.base().len(), 6, "it is nobody else's yet");
        let begin = column.open(3, 9);
        column.slice_mut(begin..begin + 3).copy_from_slice(&[6, 7, 8]);
        for value in 9..3000 {
            assert_eq!(column.add(value), value as usize);
        }
        assert!(column.iter().copied().eq(0..3000));
        let copy = column.clone();
        let long = column.open(2 * ROWS_PER_CHUNK + 1, 0);
        column.slice_mut(long..long + 2 * ROWS_PER_CHUNK + 1).fill(3);
        (column[2], column[7], column[2500]) = (0, 0, 0);
        assert!(copy.iter().copied().eq(0..3000));
        assert_eq!((column[7], column[2500], column[long + 2 * ROWS_PER_CHUNK]), (0, 0, 3));
        assert_eq!((&column[3..6], &column[6..9], &column[long..long]), (&[3, 4, 5][..], &[6, 0, 8][..], &[][..]));
        let zones = copy.zones(1000);
        assert!(zones.iter().flat_map(|zone| copy[zone.clone()].iter().copied()).eq(0..3000));
        assert!(zones.iter().all(|zone| zone.len() <= 1000));
    }

    #[test]
    fn what_is_cut_off_makes_room() {
        let mut column: Chunked<u64> = vec![1, 2].into();
        let begin = column.add(3);
        (0..2000).for_each(|value| column.push(value));
        column.truncate(begin + 1);
        assert!(column.iter().eq(&[1, 2, 3]));
        assert_eq!(column.add(4), begin + 1);
        column.truncate(1);
        assert!(column.iter().eq(&[1]));
        assert_eq!((column.add(7), column[1]), (1, 7));
    }
}
