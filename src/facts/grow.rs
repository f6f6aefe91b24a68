//! Rows put in and taken out of columns that are in the order of keys.
//!
//! The one idea: rows of a key stay one range in their order, whatever comes; when there is no room behind them they move to the
//! end of the columns, with room for as many more. So kernels read what they always read. Rows of the columns' base are never
//! written: whoever loses one there moves as well.
//!
//! Cost: a move of the key's rows each time their number doubles; else of those behind the new one, mostly none, since facts
//! come in the order of time.

use std::ops::Range;

use super::group::{Ranges, Span};
use crate::model::Chunked;
use crate::model::facts::{TableColumns, copy_rows, insert_row, remove_row};
use crate::model::flat::Element;

/// Columns side by side.
pub(super) trait Rows {
    /// A row of them.
    type Row: Copy;

    fn get(&self, at: usize) -> Self::Row;
    /// Number of the rows that are never written.
    fn closed(&self) -> usize;
    /// Gives so many rows behind all others, and where they begin.
    fn open(&mut self, rows: usize, filler: Self::Row) -> usize;
    fn copy(&mut self, from: Range<usize>, to: usize);
    /// Puts a row in among others, behind which one row is free.
    fn insert(&mut self, rows: Range<usize>, at: usize, row: Self::Row);
    /// Takes one of some rows out.
    fn remove(&mut self, rows: Range<usize>, at: usize);
}

/// Columns of rows with an id.
pub(super) trait Numbered: Rows {
    fn id(&self, at: usize) -> u64;
}

/// A table by itself.
pub(super) struct Alone<'a, C>(pub(super) &'a mut C);

impl<C: TableColumns> Numbered for Alone<'_, C> {
    fn id(&self, at: usize) -> u64 {
        self.0.ids()[at]
    }
}

impl<C: TableColumns> Rows for Alone<'_, C> {
    type Row = C::Row;

    fn get(&self, at: usize) -> C::Row {
        self.0.row(at)
    }

    fn closed(&self) -> usize {
        self.0.ids().base().len()
    }

    fn open(&mut self, rows: usize, filler: C::Row) -> usize {
        self.0.open(rows, filler)
    }

    fn copy(&mut self, from: Range<usize>, to: usize) {
        self.0.copy_rows(from, to);
    }

    fn insert(&mut self, rows: Range<usize>, at: usize, row: C::Row) {
        self.0.insert_row(rows, at, row);
    }

    fn remove(&mut self, rows: Range<usize>, at: usize) {
        self.0.remove_row(rows, at);
    }
}

/// One column by itself.
pub(super) struct Lone<'a, T>(pub(super) &'a mut Chunked<T>);

impl<T: Element> Rows for Lone<'_, T> {
    type Row = T;

    fn get(&self, at: usize) -> T {
        self.0[at]
    }

    fn closed(&self) -> usize {
        self.0.base().len()
    }

    fn open(&mut self, rows: usize, filler: T) -> usize {
        self.0.open(rows, filler)
    }

    fn copy(&mut self, from: Range<usize>, to: usize) {
        copy_rows(self.0, from, to);
    }

    fn insert(&mut self, rows: Range<usize>, at: usize, row: T) {
        insert_row(self.0, rows, at, row);
    }

    fn remove(&mut self, rows: Range<usize>, at: usize) {
        remove_row(self.0, rows, at);
    }
}

/// Columns, and one more beside them.
pub(super) struct Beside<'a, R, T>(pub(super) R, pub(super) &'a mut Chunked<T>);

impl<R: Numbered, T: Element> Numbered for Beside<'_, R, T> {
    fn id(&self, at: usize) -> u64 {
        self.0.id(at)
    }
}

impl<R: Rows, T: Element> Rows for Beside<'_, R, T> {
    type Row = (R::Row, T);

    fn get(&self, at: usize) -> Self::Row {
        (self.0.get(at), self.1[at])
    }

    fn closed(&self) -> usize {
        self.0.closed()
    }

    fn open(&mut self, rows: usize, (filler, beside): Self::Row) -> usize {
        self.1.open(rows, beside);
        self.0.open(rows, filler)
    }

    fn copy(&mut self, from: Range<usize>, to: usize) {
        copy_rows(self.1, from.clone(), to);
        self.0.copy(from, to);
    }

    fn insert(&mut self, rows: Range<usize>, at: usize, (row, beside): Self::Row) {
        insert_row(self.1, rows.clone(), at, beside);
        self.0.insert(rows, at, row);
    }

    fn remove(&mut self, rows: Range<usize>, at: usize) {
        remove_row(self.1, rows.clone(), at);
        self.0.remove(rows, at);
    }
}

/// Adds a row to those of a key, behind all that are `before` it; they must be the first ones.
pub(super) fn insert<R: Rows>(
    rows: &mut R,
    ranges: &mut impl Ranges,
    key: usize,
    row: R::Row,
    before: impl Fn(&R::Row) -> bool,
) {
    let mut span = ranges.span_of(key);
    if span.rows == span.room {
        span = move_to_end(rows, span, row);
    }
    let held = span.range();
    let at = held.clone().rev().find(|&at| before(&rows.get(at))).map_or(held.start, |last| last + 1);
    rows.insert(held, at, row);
    ranges.place(key, Span { rows: span.rows + 1, ..span });
}

/// Takes out the first row of a key for which `is` holds.
pub(super) fn remove<R: Rows>(
    rows: &mut R,
    ranges: &mut impl Ranges,
    key: usize,
    is: impl Fn(&R::Row) -> bool,
) -> Option<R::Row> {
    let mut span = ranges.span_of(key);
    let (at, row) = span.range().map(|at| (at, rows.get(at))).find(|(_, row)| is(row))?;
    let place = at - span.begin as usize;
    if (span.begin as usize) < rows.closed() {
        span = move_to_end(rows, span, row);
    }
    rows.remove(span.range(), span.begin as usize + place);
    ranges.place(key, Span { rows: span.rows - 1, ..span });
    Some(row)
}

/// Copies the rows of a span to the end, with room for as many more. `filler` is what the room holds until then.
fn move_to_end<R: Rows>(rows: &mut R, span: Span, filler: R::Row) -> Span {
    let room = (span.rows * 2).max(2);
    let begin = rows.open(room as usize, filler);
    rows.copy(span.range(), begin);
    Span { begin: u32::try_from(begin).expect("rows are numbered by 32 bits"), rows: span.rows, room }
}
