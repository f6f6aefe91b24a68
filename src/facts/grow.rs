//! Rows put in and taken out of columns that are in the order of keys.
//!
//! The one idea: rows of a key stay one range in their order, whatever comes; when there is no room behind them they move to the
//! end of the columns, with room for as many more. So kernels read what they always read.
//!
//! Cost: a move of the key's rows each time their number doubles; else of those behind the new one, mostly none, since facts
//! come in the order of time.

use super::group::{Ranges, Span};
use crate::model::facts::{PlaceStay, TableColumns};
use crate::model::flat::Element;
use crate::model::{Flat, PersonId};

/// Columns side by side.
pub(super) trait Rows {
    /// A row of them.
    type Row: Copy;

    fn len(&self) -> usize;
    fn get(&self, at: usize) -> Self::Row;
    fn set(&mut self, at: usize, row: Self::Row);
    fn push(&mut self, row: Self::Row);
}

/// Columns of rows with an id.
pub(super) trait Numbered: Rows {
    fn id(&self, at: usize) -> u64;
}

impl<C: TableColumns> Numbered for Alone<'_, C> {
    fn id(&self, at: usize) -> u64 {
        self.0.ids()[at]
    }
}

impl<R: Numbered, T: Element> Numbered for Beside<'_, R, T> {
    fn id(&self, at: usize) -> u64 {
        self.0.id(at)
    }
}

/// A table by itself.
pub(super) struct Alone<'a, C>(pub(super) &'a mut C);

impl<C: TableColumns> Rows for Alone<'_, C> {
    type Row = C::Row;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, at: usize) -> C::Row {
        self.0.row(at)
    }

    fn set(&mut self, at: usize, row: C::Row) {
        self.0.set(at, row);
    }

    fn push(&mut self, row: C::Row) {
        self.0.push(row);
    }
}

/// Columns, and one more beside them.
pub(super) struct Beside<'a, R, T>(pub(super) R, pub(super) &'a mut Flat<T>);

impl<R: Rows, T: Element> Rows for Beside<'_, R, T> {
    type Row = (R::Row, T);

    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, at: usize) -> Self::Row {
        (self.0.get(at), self.1[at])
    }

    fn set(&mut self, at: usize, (row, beside): Self::Row) {
        self.0.set(at, row);
        self.1[at] = beside;
    }

    fn push(&mut self, (row, beside): Self::Row) {
        self.0.push(row);
        self.1.push(beside);
    }
}

/// The ends of contacts: the other person, and the contact's row.
pub(super) struct Ends<'a>(pub(super) &'a mut Flat<PersonId>, pub(super) &'a mut Flat<u32>);

impl Rows for Ends<'_> {
    type Row = (PersonId, u32);

    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, at: usize) -> Self::Row {
        (self.0[at], self.1[at])
    }

    fn set(&mut self, at: usize, (neighbour, row): Self::Row) {
        self.0[at] = neighbour;
        self.1[at] = row;
    }

    fn push(&mut self, (neighbour, row): Self::Row) {
        self.0.push(neighbour);
        self.1.push(row);
    }
}

impl Rows for Flat<PlaceStay> {
    type Row = PlaceStay;

    fn len(&self) -> usize {
        <[PlaceStay]>::len(self)
    }

    fn get(&self, at: usize) -> PlaceStay {
        self[at]
    }

    fn set(&mut self, at: usize, row: PlaceStay) {
        self[at] = row;
    }

    fn push(&mut self, row: PlaceStay) {
        Self::push(self, row);
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
    let (begin, end) = (span.begin as usize, (span.begin + span.rows) as usize);
    let mut at = end;
    while at > begin {
        let last = rows.get(at - 1);
        if before(&last) {
            break;
        }
        rows.set(at, last);
        at -= 1;
    }
    rows.set(at, row);
    ranges.place(key, Span { rows: span.rows + 1, ..span });
}

/// Takes out the first row of a key for which `is` holds.
pub(super) fn remove<R: Rows>(
    rows: &mut R,
    ranges: &mut impl Ranges,
    key: usize,
    is: impl Fn(&R::Row) -> bool,
) -> Option<R::Row> {
    let span = ranges.span_of(key);
    let (begin, end) = (span.begin as usize, (span.begin + span.rows) as usize);
    let (at, row) = (begin..end).map(|at| (at, rows.get(at))).find(|(_, row)| is(row))?;
    for at in at + 1..end {
        rows.set(at - 1, rows.get(at));
    }
    ranges.place(key, Span { rows: span.rows - 1, ..span });
    Some(row)
}

/// Copies the rows of a span to the end, with room for as many more. `filler` is what the room holds until then.
fn move_to_end<R: Rows>(rows: &mut R, span: Span, filler: R::Row) -> Span {
    let begin = u32::try_from(rows.len()).expect("rows are numbered by 32 bits");
    for at in span.begin..span.begin + span.rows {
        rows.push(rows.get(at as usize));
    }
    let room = (span.rows * 2).max(2);
    for _ in span.rows..room {
        rows.push(filler);
    }
    Span { begin, rows: span.rows, room }
}
