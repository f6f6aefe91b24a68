//! A batch's facts as bytes, for a log, and back.
//!
//! The one idea: a column is written as it lies in memory, so that a batch of many rows is some copies, and nothing is written that
//! follows from the version, so that a batch of one row is some 70 bytes. Arrow's stream says a schema of a kilobyte first.
//!
//! ```text
//! batch := version:u16 messages:n names names names table*          persons, places, labels; n is LEB128
//! names := count:n (length:n)* bytes                                UTF-8, in the order of their ids
//! table := number:u8 upserts:n deletes:n column* id:u64*            tables ascend; columns in the order of the contract
//! ```
//!
//! Numbers of a fixed width lie as the machine has them: on one of another byte order the version is another one, too.
//! Rejections and unknown keys are not kept: they are told when they are met.
//!
//! Invariant: what [`Batch::decode`] gives keeps every promise of a [`Batch`] and of its rows, whatever the bytes; it never panics.
//! Whether bytes are those that were written is for the log's checksum.

use arrow::buffer::Buffer;

use super::Batch;
use crate::ingest::cells::check_text;
use crate::ingest::rows::{Decode, NameColumns};
use crate::intern::Tokens;
use crate::model::facts::{
    Cases, Checkins, Contacts, Declarations, Findings, Quarantines, Reviews, RiskAreas, Stays, Tests, Whitelist,
};
use crate::model::flat::{Element, Misfit, Visitor};
use crate::model::{Chunked, ClosedEnum as _, ColumnType, Flat, LabelId, PersonId, PlaceId, Reason, Table};

/// Version of the form. Columns of another type or number are another version.
const VERSION: u16 = 1;

/// Why bytes are no batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// They are of another version, or of a machine of another byte order.
    #[error("the batch is of version {found}, not {VERSION}")]
    Version {
        /// That version.
        found: u16,
    },
    /// They end before the batch does.
    #[error("the batch breaks off")]
    Short,
    /// A number is larger than any that a batch has.
    #[error("a number in the batch is too large")]
    Number,
    /// A name is no text, of a length that none of its kind has, or there twice.
    #[error("a name in the batch cannot be one")]
    Name,
    /// A table's number is none, or not after that of the table before it.
    #[error("table {number} cannot be next in the batch")]
    Table {
        /// The number.
        number: u8,
    },
    /// A column's bytes are not its values.
    #[error("{}: {misfit}", .table.name())]
    Column {
        /// Its table.
        table: Table,
        /// What is wrong with it.
        misfit: Misfit,
    },
    /// An id is there twice, or ids are not in order.
    #[error("{}: ids are not in order", .table.name())]
    Ids {
        /// Their table.
        table: Table,
    },
    /// A row names what the batch has no name for.
    #[error("{}: a row names what has no name", .table.name())]
    Nameless {
        /// Its table.
        table: Table,
    },
    /// A row is invalid.
    #[error("{}: a row is invalid: {}", .table.name(), .reason.name())]
    Row {
        /// Its table.
        table: Table,
        /// Why.
        reason: Reason,
    },
}

type Write = fn(&Batch, &[(Table, u64)], &mut Vec<u8>);
type Read = fn(&mut &[u8], &mut Batch) -> Result<(), BatchError>;

/// By table.
const CODECS: [(Write, Read); Table::ALL.len()] = [
    (write::<Declarations>, read::<Declarations>),
    (write::<Checkins>, read::<Checkins>),
    (write::<Cases>, read::<Cases>),
    (write::<Quarantines>, read::<Quarantines>),
    (write::<Contacts>, read::<Contacts>),
    (write::<Stays>, read::<Stays>),
    (write::<RiskAreas>, read::<RiskAreas>),
    (write::<Tests>, read::<Tests>),
    (write::<Whitelist>, read::<Whitelist>),
    (write::<Findings>, read::<Findings>),
    (write::<Reviews>, read::<Reviews>),
];

impl Batch {
    /// The facts as bytes, which [`Self::decode`] takes: upserts, deletes, names and the number of messages, no rejections.
    ///
    /// Cost: a copy of every column, and a visit to each name.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = VERSION.to_ne_bytes().to_vec();
        write_number(self.messages, &mut bytes);
        for names in [&self.persons, &self.places, &self.labels] {
            write_names(names, &mut bytes);
        }
        let mut deletes = &*self.deletes;
        for ((write, _), table) in CODECS.iter().zip(Table::ALL) {
            let (mine, later) = deletes.split_at(deletes.partition_point(|(of, _)| *of <= table));
            deletes = later;
            write(self, mine, &mut bytes);
        }
        bytes
    }

    /// The batch that [`Self::encode`] made these bytes of, without rejections and unknown keys.
    ///
    /// Cost: as of writing, with a look at each row and a sort of the names.
    ///
    /// # Errors
    /// [`BatchError`], where bytes are none, whatever they are.
    pub fn decode(bytes: &[u8]) -> Result<Self, BatchError> {
        let rest = &mut &*bytes;
        let version = rest.split_off(..2).and_then(|version| version.try_into().ok());
        let found = u16::from_ne_bytes(version.ok_or(BatchError::Short)?);
        if found != VERSION {
            return Err(BatchError::Version { found });
        }
        let mut batch = Self { messages: read_number(rest)?, ..Self::default() };
        batch.persons = read_names(rest, ColumnType::Key)?;
        batch.places = read_names(rest, ColumnType::Key)?;
        batch.labels = read_names(rest, ColumnType::Text)?;
        let mut next = 0;
        while let Some(&number) = rest.split_off_first() {
            let place = usize::from(number);
            let codec = CODECS.get(place).filter(|_| place >= next);
            let (_, read) = codec.ok_or(BatchError::Table { number })?;
            read(rest, &mut batch)?;
            next = place + 1;
        }
        Ok(batch)
    }
}

fn write<C: Decode>(batch: &Batch, deletes: &[(Table, u64)], bytes: &mut Vec<u8>) {
    let rows = C::of(&batch.upserts);
    if rows.is_empty() && deletes.is_empty() {
        return;
    }
    bytes.push(C::TABLE as u8);
    write_number(rows.len(), bytes);
    write_number(deletes.len(), bytes);
    rows.write_columns(bytes);
    bytes.extend(deletes.iter().flat_map(|(_, id)| id.to_ne_bytes()));
}

fn read<C: Decode>(rest: &mut &[u8], batch: &mut Batch) -> Result<(), BatchError> {
    let table = C::TABLE;
    let (upserts, deletes) = (read_number(rest)?, read_number(rest)?);
    let mut rows = C::default();
    rows.visit(&mut Columns { table, rest, rows: upserts })?;
    let mut gone = Flat::<u64>::default();
    Columns { table, rest, rows: deletes }.column("deletes", &mut gone)?;
    let ascend = |ids: &[u64]| ids.is_sorted_by(|one, next| one < next);
    if !ascend(rows.ids().base()) || !ascend(&gone) || !are_apart(rows.ids().base(), &gone) {
        return Err(BatchError::Ids { table });
    }
    let mut bounds = Bounds { batch, holds: true };
    rows.visit_names(&mut bounds);
    if !bounds.holds {
        return Err(BatchError::Nameless { table });
    }
    if let Some(refusal) = rows.rows().find_map(|row| C::check(&row).err()) {
        return Err(BatchError::Row { table, reason: refusal.reason });
    }
    batch.deletes.extend(gone.iter().map(|&id| (table, id)));
    *C::of_mut(&mut batch.upserts) = rows;
    Ok(())
}

/// Whether no id is in both lists, which ascend.
fn are_apart(one: &[u64], other: &[u64]) -> bool {
    let mut one = one.iter().peekable();
    other.iter().all(|id| {
        while one.next_if(|&before| before < id).is_some() {}
        one.peek().is_none_or(|&next| next != id)
    })
}

/// Puts columns of a batch's bytes in the place of those it is shown.
struct Columns<'r, 'a> {
    table: Table,
    rest: &'r mut &'a [u8],
    rows: usize,
}

impl Visitor for Columns<'_, '_> {
    type Error = BatchError;

    fn column<T: Element>(&mut self, _name: &str, column: &mut Flat<T>) -> Result<(), BatchError> {
        let bytes = self.rows.checked_mul(size_of::<T>()).ok_or(BatchError::Number)?;
        let bytes = self.rest.split_off(..bytes).ok_or(BatchError::Short)?;
        // Copied, since values of a batch of bytes lie at any place.
        let column_of = |misfit| BatchError::Column { table: self.table, misfit };
        *column = Flat::mapped(Buffer::from(bytes)).map_err(column_of)?;
        Ok(())
    }
}

/// Whether all that is named has a name.
struct Bounds<'b> {
    batch: &'b Batch,
    holds: bool,
}

impl NameColumns for Bounds<'_> {
    fn persons(&mut self, column: &mut Chunked<PersonId>) {
        self.holds &= column.iter().all(|id| id.index() < self.batch.persons.len());
    }

    fn places(&mut self, column: &mut Chunked<Option<PlaceId>>) {
        self.holds &= column.iter().flatten().all(|id| id.index() < self.batch.places.len());
    }

    fn labels(&mut self, column: &mut Chunked<LabelId>) {
        self.holds &= column.iter().all(|id| id.index() < self.batch.labels.len());
    }

    fn labels_if(&mut self, column: &mut Chunked<Option<LabelId>>) {
        self.holds &= column.iter().flatten().all(|id| id.index() < self.batch.labels.len());
    }
}

fn write_names(names: &Tokens, bytes: &mut Vec<u8>) {
    write_number(names.len(), bytes);
    for index in 0..names.len() {
        write_number(names.get(index).len(), bytes);
    }
    for index in 0..names.len() {
        bytes.extend_from_slice(names.get(index).as_bytes());
    }
}

fn read_names(rest: &mut &[u8], kind: ColumnType) -> Result<Tokens, BatchError> {
    let count = read_number(rest)?;
    // Each has a byte of length at the least: what is longer than the rest is not set aside.
    if count > rest.len() {
        return Err(BatchError::Short);
    }
    let mut lengths = Vec::with_capacity(count);
    for _ in 0..count {
        lengths.push(read_number(rest)?);
    }
    let mut names = Vec::with_capacity(count);
    for length in lengths {
        let name = rest.split_off(..length).ok_or(BatchError::Short)?;
        let name = std::str::from_utf8(name).map_err(|_| BatchError::Name)?;
        names.push(check_text(kind, name).map_err(|_| BatchError::Name)?);
    }
    let tokens = Tokens::from_distinct(names.iter().copied());
    let name = |id: u32| names[id as usize];
    if tokens.sorted().windows(2).any(|pair| name(pair[0]) == name(pair[1])) {
        return Err(BatchError::Name);
    }
    Ok(tokens)
}

/// LEB128: seven bits a byte, the lowest first, the eighth says that more follow.
fn write_number(number: usize, bytes: &mut Vec<u8>) {
    let mut left = number;
    while left >= 0x80 {
        bytes.push(left.to_le_bytes()[0] | 0x80);
        left >>= 7;
    }
    bytes.push(left.to_le_bytes()[0]);
}

fn read_number(rest: &mut &[u8]) -> Result<usize, BatchError> {
    let mut number = 0u64;
    for shift in (0..u64::BITS).step_by(7) {
        let &byte = rest.split_off_first().ok_or(BatchError::Short)?;
        let bits = u64::from(byte & 0x7F);
        if bits << shift >> shift != bits {
            break;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return usize::try_from(number).map_err(|_| BatchError::Number);
        }
    }
    Err(BatchError::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for number in [0, 1, 0x7F, 0x80, 300, 1 << 32, usize::MAX] {
            let mut bytes = Vec::new();
            write_number(number, &mut bytes);
            let rest = &mut &*bytes;
            assert_eq!((read_number(rest), rest.len()), (Ok(number), 0));
            assert_eq!(read_number(&mut &bytes[..bytes.len() - 1]), Err(BatchError::Short));
        }
        assert_eq!(read_number(&mut &[0xFF; 11][..]), Err(BatchError::Number));
        assert_eq!(read_number(&mut &[&[0xFF; 9][..], &[2]].concat()[..]), Err(BatchError::Number));
    }

    #[test]
    fn lists_are_apart_if_no_id_is_in_both() {
        assert!(are_apart(&[], &[]) && are_apart(&[1, 3], &[0, 2, 4]) && are_apart(&[1], &[]));
        assert!(!are_apart(&[1, 3], &[0, 3]) && !are_apart(&[1], &[1]));
    }

    #[test]
    fn what_is_no_batch_is_told() {
        let whole = [&VERSION.to_ne_bytes()[..], &[1, 1, 1, b'p', 0, 0]].concat();
        let told = |bytes: &[u8]| Batch::decode(bytes).err();
        let with = |more: &[u8]| told(&[&whole, more].concat());
        assert_eq!(told(&whole), None);
        assert_eq!(told(&[]), Some(BatchError::Short));
        assert_eq!(told(&2u16.to_ne_bytes()), Some(BatchError::Version { found: 2 }));
        assert_eq!(with(&[11]), Some(BatchError::Table { number: 11 }));
        assert_eq!(with(&[3, 0, 0, 3]), Some(BatchError::Table { number: 3 }));
        assert_eq!(with(&[3, 1, 0]), Some(BatchError::Short));
        let mut far = vec![3];
        write_number(usize::MAX, &mut far);
        assert_eq!(with(&[&far[..], &[0]].concat()), Some(BatchError::Number));
        let ids = |ids: [u64; 2]| [vec![3, 0, 2], ids.map(u64::to_ne_bytes).concat()].concat();
        assert_eq!(
            (with(&ids([1, 2])), with(&ids([2, 2]))),
            (None, Some(BatchError::Ids { table: Table::Quarantines }))
        );
        let names = |names: &[u8]| told(&[&VERSION.to_ne_bytes(), &[0][..], names].concat());
        assert_eq!(names(&[2, 1, 1, b'p', b'p', 0, 0]), Some(BatchError::Name));
        assert_eq!(names(&[1, 0, 0, 0]), Some(BatchError::Name));
        assert_eq!(names(&[1, 1, 0xFF, 0, 0]), Some(BatchError::Name));
        assert_eq!(names(&[0, 0, 1, 0]), None);
    }

    /// A finding of person 0, with these bytes of person, begin and end.
    fn finding(person: u32, found: i64, lifted: i64) -> Option<BatchError> {
        let mut bytes = [&VERSION.to_ne_bytes()[..], &[1, 1, 1, b'p', 0, 0]].concat();
        bytes.extend([Table::Findings as u8, 1, 1]);
        bytes.extend(7u64.to_ne_bytes());
        bytes.extend(person.to_ne_bytes());
        bytes.extend([found, lifted].map(i64::to_ne_bytes).concat());
        bytes.extend(8u64.to_ne_bytes());
        Batch::decode(&bytes).err()
    }

    #[test]
    fn rows_that_break_a_promise_are_told() {
        let table = Table::Findings;
        assert_eq!(finding(0, 5, 5), None);
        assert_eq!(finding(1, 5, 5), Some(BatchError::Nameless { table }));
        assert_eq!(finding(0, 5, 4), Some(BatchError::Row { table, reason: Reason::Interval }));
    }
}
