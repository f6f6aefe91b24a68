//! Values of one type back to back: in memory of their own while they are loaded; in a mapped file when they were kept there;
//! in memory that several share once they are handed round.
//!
//! The one idea: a [`Flat`] keeps the begin and the number of its values beside whoever owns them, so that reading one is the
//! same load whoever that is; and what may lie in a file is an [`Element`], whose bits are looked at once, when the file is
//! taken, so that no later read can meet a value that its type does not have.
//!
//! This is the one place where memory is read as another type. Crates for that (zerocopy, bytemuck) do not know that `Option` of
//! an id of ours is four bytes, any of which are a value, and may not be told so from outside.
//!
//! Cost: reading is a slice's; a value that may be any bits is not looked at when a file is taken, others are once.
#![expect(unsafe_code, reason = "bytes of a file are read as values, after a look at each; see each block")]

use std::fmt;
use std::ops::{Deref, DerefMut, Range};
use std::panic::RefUnwindSafe;
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;

use arrow::buffer::Buffer;
use rayon::prelude::*;

use super::chunked::Chunked;
use super::enums::{
    Admission, CaseKind, ClosedEnum, DocType, EnumSet, Level, Outcome, QuarantineKind, ReviewState, Setting, Symptom,
    TestResult,
};
use super::facts::PlaceStay;
use super::ids::{ContactRow, LabelId, Origin, PersonId, PlaceId, Region, RegionId};
use super::optional::Optional;
use super::renumber::Renumbering;
use super::time::Timestamp;

/// Values looked at by one task of the pool.
const VALUES_PER_TASK: usize = 1 << 16;

/// A value that may lie in a file.
///
/// # Safety
/// The type has the size and the alignment of [`Self::Bits`] and no padding; any bytes are a `Bits`; and bits for which
/// [`Self::is_value`] holds are a value of the type.
pub unsafe trait Element: Copy + Send + Sync + 'static {
    /// The value's bytes, before it is known whether they are one.
    type Bits: Copy + Send + Sync + 'static;

    /// Whether these bits are a value.
    fn is_value(bits: Self::Bits) -> bool;

    /// The value, what it names by number being named by its new one; which is left.
    #[must_use]
    fn renumbered(self, _to: &Renumbering) -> Self {
        self
    }
}

/// A value of a row, and the form in which a column keeps it.
pub trait Keep: Copy {
    /// The form.
    type Kept: Element;

    /// The form of a value.
    fn keep(self) -> Self::Kept;
    /// The value of a form.
    fn of(kept: Self::Kept) -> Self;
}

macro_rules! elements {
    ($($type:ty as $bits:ty, $is_value:expr $(, $renumbered:expr)?;)+) => {$(
        const _: () = assert!(size_of::<$type>() == size_of::<$bits>() && align_of::<$type>() == align_of::<$bits>());

        // SAFETY: size and alignment are asserted above; bits are unsigned integers or arrays of them; the types are transparent,
        // or as C lays them out without a gap, and which bits each has is said beside it.
        unsafe impl Element for $type {
            type Bits = $bits;

            fn is_value(bits: $bits) -> bool {
                let is_value: fn($bits) -> bool = $is_value;
                is_value(bits)
            }

            $(fn renumbered(self, to: &Renumbering) -> Self {
                let renumbered: fn(Self, &Renumbering) -> Self = $renumbered;
                renumbered(self, to)
            })?
        }

        impl Keep for $type {
            type Kept = Self;

            fn keep(self) -> Self {
                self
            }

            fn of(kept: Self) -> Self {
                kept
            }
        }
    )+};
}

/// Whether bits are one of an enumeration's values, which are numbered from 0.
fn is_one_of<E: ClosedEnum>(bits: u8) -> bool {
    usize::from(bits) < E::ALL.len()
}

elements! {
    u8 as u8, |_| true;
    u32 as u32, |_| true;
    u64 as u64, |_| true;
    usize as usize, |_| true;
    f64 as u64, |_| true;
    Timestamp as u64, |_| true;
    Optional<Timestamp> as u64, |_| true;
    Optional<u16> as u32, |_| true;
    Optional<Outcome> as u8, |_| true;
    PersonId as u32, |_| true, |person, to| to.person(person);
    ContactRow as u32, |_| true, |row, to| to.contact(row);
    // Zero is not there.
    PlaceId as u32, |bits| bits != 0, |place, to| to.place(place);
    LabelId as u32, |bits| bits != 0, |label, to| to.label(label);
    RegionId as u32, |bits| bits != 0;
    Region as u32, |bits| Region::new(bits).is_some();
    // Zero is `None`: so the language lays out what is transparent over a number that is not zero.
    Option<PlaceId> as u32, |_| true, |place, to| place.map(|place| to.place(place));
    Option<LabelId> as u32, |_| true, |label, to| label.map(|label| to.label(label));
    Option<RegionId> as u32, |_| true;
    Option<Region> as u32, |bits| bits == 0 || Region::new(bits).is_some();
    EnumSet<Symptom> as u8, |_| true;
    EnumSet<Admission> as u8, |_| true;
    DocType as u8, is_one_of::<DocType>;
    CaseKind as u8, is_one_of::<CaseKind>;
    QuarantineKind as u8, is_one_of::<QuarantineKind>;
    Setting as u8, is_one_of::<Setting>;
    Level as u8, is_one_of::<Level>;
    TestResult as u8, is_one_of::<TestResult>;
    ReviewState as u8, is_one_of::<ReviewState>;
    Origin as [u32; 2], |_| true;
    PlaceStay as [u64; 3], |_| true, |stay, to| PlaceStay { person: to.person(stay.person), ..stay };
}

/// Why bytes are not values of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// Their number is no multiple of a value's.
    #[error("{bytes} bytes are no whole number of values")]
    Length {
        /// Their number.
        bytes: usize,
    },
    /// They begin where no value may.
    #[error("values begin at an odd place")]
    Alignment,
    /// Some are no value.
    #[error("bytes that are no value")]
    Value,
}

/// Values of one type, back to back.
pub struct Flat<T> {
    /// The owner's first value; dangling if there is none.
    start: NonNull<T>,
    /// The number of the owner's values.
    len: usize,
    owner: Owner<T>,
}

enum Owner<T> {
    Memory(Vec<T>),
    /// Memory that others may read too, or a mapped file.
    Shared(Buffer),
}

/// Values that a buffer keeps in memory.
struct Kept<T>(#[expect(dead_code, reason = "it is there to be dropped")] Vec<T>);

// Nothing is changed through it, so that a panic leaves nothing half done.
impl<T> RefUnwindSafe for Kept<T> {}

// SAFETY: what `start` points to is owned by `owner`, and is only written through a unique reference to the whole.
unsafe impl<T: Send> Send for Flat<T> {}
// SAFETY: as above; through a shared reference it is only read.
unsafe impl<T: Sync> Sync for Flat<T> {}

impl<T> From<Vec<T>> for Flat<T> {
    fn from(values: Vec<T>) -> Self {
        let start = NonNull::from(values.as_slice()).cast();
        Self { start, len: values.len(), owner: Owner::Memory(values) }
    }
}

impl<T> Deref for Flat<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `start` and `len` are those of the owner, which lives as long as `self` and changes only with them (`edit`).
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

/// Values that are not in memory of their own are copied before they are changed.
impl<T: Element> DerefMut for Flat<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        if self.is_shared() {
            self.edit(|_| ());
        }
        match &mut self.owner {
            Owner::Memory(values) => values,
            Owner::Shared(_) => unreachable!("they are in memory now"),
        }
    }
}

impl<T: Element> Flat<T> {
    /// The values that lie in `bytes`. Cost: none where any bits are a value, else a pass.
    ///
    /// # Errors
    /// [`Misfit`] if they are none.
    pub fn mapped(bytes: Buffer) -> Result<Self, Misfit> {
        if !bytes.len().is_multiple_of(size_of::<T>()) {
            return Err(Misfit::Length { bytes: bytes.len() });
        }
        let len = bytes.len() / size_of::<T>();
        if len == 0 {
            return Ok(Self::default());
        }
        let Some(start) = NonNull::new(bytes.as_ptr().cast_mut()).filter(|start| start.cast::<T>().is_aligned()) else {
            return Err(Misfit::Alignment);
        };
        // SAFETY: the bytes are there as long as `bytes` is, begin where a `Bits` may (alignments are equal), and any are one.
        let bits: &[T::Bits] = unsafe { slice::from_raw_parts(start.cast().as_ptr(), len) };
        let are_values = |bits: &[T::Bits]| bits.iter().all(|&bits| T::is_value(bits));
        // To wake the pool costs more than a look at a few.
        let all_values =
            if len <= VALUES_PER_TASK { are_values(bits) } else { bits.par_chunks(VALUES_PER_TASK).all(are_values) };
        if !all_values {
            return Err(Misfit::Value);
        }
        Ok(Self { start: start.cast(), len, owner: Owner::Shared(bytes) })
    }

    /// The values' bytes, as [`Self::mapped`] takes them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: an `Element` has no padding, so each of its bytes is set.
        unsafe { slice::from_raw_parts(self.start.cast().as_ptr(), self.len * size_of::<T>()) }
    }

    /// Lets copies of these values share their memory, until one of them is changed. Cost: none to speak of.
    pub fn share(&mut self) {
        let Owner::Memory(values) = &mut self.owner else { return };
        let kept = Arc::new(Kept(std::mem::take(values)));
        let bytes = self.len * size_of::<T>();
        // SAFETY: `start` and `len` are those of the vector, whose memory does not move with it and is not changed while `kept`
        // has it; an `Element` has no padding, so each of its bytes is set.
        let buffer = unsafe { Buffer::from_custom_allocation(self.start.cast(), bytes, kept) };
        self.owner = Owner::Shared(buffer);
    }

    /// Whether the values are not in memory of their own.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        matches!(self.owner, Owner::Shared(_))
    }

    /// The values' bytes as a buffer. Cost: a copy unless they are shared or in a file.
    #[must_use]
    pub fn buffer(&self) -> Buffer {
        match &self.owner {
            Owner::Memory(_) => Buffer::from(self.bytes()),
            Owner::Shared(bytes) => bytes.clone(),
        }
    }

    /// The values' bytes as a buffer. Cost: none to speak of.
    #[must_use]
    pub fn into_buffer(mut self) -> Buffer {
        self.share();
        self.buffer()
    }

    /// The bytes of some of the values, as [`Self::buffer`]; whoever counts memory counts those alone. Panics when out of range.
    #[must_use]
    pub fn part(&self, values: Range<usize>) -> Buffer {
        let bytes = values.start * size_of::<T>()..values.end * size_of::<T>();
        let whole = self.buffer();
        let part = NonNull::from(&whole[bytes]);
        // SAFETY: the bytes are within those of `whole`, which lives as long as the part, and are not changed while anybody has them.
        unsafe { Buffer::from_custom_allocation(part.cast(), part.len(), Arc::new(whole)) }
    }

    /// Changes the values as a vector. Cost: a copy if they are not in memory of their own.
    pub fn edit<R>(&mut self, change: impl FnOnce(&mut Vec<T>) -> R) -> R {
        let mut values = std::mem::take(self).into_vec();
        let result = change(&mut values);
        *self = values.into();
        result
    }

    /// Adds a value at the end. Cost: a copy of all if they are not in memory of their own.
    pub fn push(&mut self, value: T) {
        self.edit(|values| values.push(value));
    }

    /// The values as a vector. Cost: a copy if they are not in memory of their own.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        match self.owner {
            Owner::Memory(values) => values,
            Owner::Shared(_) => self.to_vec(),
        }
    }
}

impl<T> Default for Flat<T> {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl<T: Element> Clone for Flat<T> {
    fn clone(&self) -> Self {
        match &self.owner {
            Owner::Memory(values) => values.clone().into(),
            Owner::Shared(bytes) => Self { owner: Owner::Shared(bytes.clone()), ..*self },
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Flat<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: PartialEq> PartialEq for Flat<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for Flat<T> {}

impl<T> FromIterator<T> for Flat<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Vec::from_iter(values).into()
    }
}

impl<T: Send> FromParallelIterator<T> for Flat<T> {
    fn from_par_iter<I: IntoParallelIterator<Item = T>>(values: I) -> Self {
        Vec::from_par_iter(values).into()
    }
}

impl<'a, T> IntoIterator for &'a Flat<T> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> slice::Iter<'a, T> {
        self.iter()
    }
}

/// Who goes over the columns of a table or an index, in an order that is always the same, and may replace them.
pub trait Visitor {
    /// What may go wrong.
    type Error;

    /// A column.
    ///
    /// # Errors
    /// The visitor's own.
    fn column<T: Element>(&mut self, name: &str, column: &mut Flat<T>) -> Result<(), Self::Error>;

    /// A column that may have grown, of which most want the base alone.
    ///
    /// # Errors
    /// The visitor's own.
    fn chunked<T: Element>(&mut self, name: &str, column: &mut Chunked<T>) -> Result<(), Self::Error> {
        self.column(name, column.base_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer<T: Element>(values: &[T]) -> Buffer {
        Buffer::from(Flat::from(values.to_vec()).bytes())
    }

    #[test]
    fn values_come_back_from_their_bytes() {
        let regions = [Some(Region::new(330_106).expect("a code")), None];
        let mapped = Flat::<Option<Region>>::mapped(buffer(&regions)).expect("values");
        assert_eq!(*mapped, regions);
        let mut copy = mapped.clone();
        copy.push(None);
        copy[0] = None;
        assert_eq!((&*mapped, &*copy), (&regions[..], &[None; 3][..]));
        assert!(Flat::<u32>::mapped(Buffer::from(&[0u8; 0][..])).expect("nothing").is_empty());
    }

    #[test]
    fn what_is_shared_is_one_memory_until_it_is_changed() {
        let mut values = Flat::from(vec![1u32, 2, 3]);
        let before = values.as_ptr();
        values.share();
        let mut copy = values.clone();
        assert_eq!((values.as_ptr(), copy.as_ptr(), values.buffer().as_ptr()), (before, before, before.cast()));
        let part = copy.part(1..3);
        assert_eq!((part.as_ptr(), part.capacity()), (values[1..].as_ptr().cast(), 8));
        assert_eq!(part.typed_data::<u32>(), [2, 3]);
        assert!(copy.part(3..3).is_empty());
        copy[1] = 7;
        assert_eq!((&*values, &*copy), (&[1, 2, 3][..], &[1, 7, 3][..]));
        drop(values);
        copy.share();
        copy.push(4);
        assert_eq!(*copy, [1, 7, 3, 4]);
        let mut none = Flat::<u64>::default();
        none.share();
        assert!(none.clone().is_empty() && none.buffer().is_empty());
    }

    #[test]
    fn bytes_that_are_no_value_are_refused() {
        let level = |code: u8| Flat::<Level>::mapped(Buffer::from(&[0, code, 1][..])).err();
        assert_eq!((level(5), level(6), level(255)), (None, Some(Misfit::Value), Some(Misfit::Value)));
        let setting = Flat::<Setting>::mapped(Buffer::from(&[6u8][..]));
        assert_eq!(setting.err(), Some(Misfit::Value));
        let place = |id: u32| Flat::<PlaceId>::mapped(buffer(&[7, id])).err();
        assert_eq!((place(1), place(0)), (None, Some(Misfit::Value)));
        let region = |code: u32| Flat::<Region>::mapped(buffer(&[392, code])).err();
        assert_eq!((region(330_106), region(0), region(1000)), (None, Some(Misfit::Value), Some(Misfit::Value)));
        let perhaps = |code: u32| Flat::<Option<Region>>::mapped(buffer(&[code])).err();
        assert_eq!((perhaps(0), perhaps(1000)), (None, Some(Misfit::Value)));
    }

    #[test]
    fn bytes_at_an_odd_place_or_too_few_are_refused() {
        let bytes = buffer(&[1u64, 2]);
        assert_eq!(Flat::<u64>::mapped(bytes.slice(4)).err(), Some(Misfit::Length { bytes: 12 }));
        assert_eq!(Flat::<u64>::mapped(bytes.slice_with_length(4, 8)).err(), Some(Misfit::Alignment));
        assert_eq!(*Flat::<u64>::mapped(bytes.slice(8)).expect("values"), [2]);
    }
}
