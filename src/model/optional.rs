//! A value that may be absent, in a column: a code of its own stands for nothing.
//!
//! The one idea: `Option` of what has no niche costs a second field and its padding, and its layout is the compiler's; a
//! column keeps a code instead, of which any bits mean something.

use super::enums::Outcome;
use super::flat::Keep;
use super::time::Timestamp;

/// A value with a code that is free to stand for nothing.
pub trait Coded: Copy {
    /// The code.
    type Code: Copy;

    /// The code of nothing.
    const NONE: Self::Code;

    /// The code of a value.
    fn code(self) -> Self::Code;
    /// The value of a code; of one that no value has, none.
    fn decode(code: Self::Code) -> Option<Self>;
}

/// `Option<T>` as its code.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Optional<T: Coded>(T::Code);

impl<T: Coded> Optional<T> {
    /// The value, if there is one.
    #[must_use]
    pub fn get(self) -> Option<T> {
        T::decode(self.0)
    }
}

impl<T: Coded> From<Option<T>> for Optional<T> {
    fn from(value: Option<T>) -> Self {
        Self(value.map_or(T::NONE, T::code))
    }
}

impl<T: Coded + PartialEq> PartialEq for Optional<T> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Coded + std::fmt::Debug> std::fmt::Debug for Optional<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.get().fmt(f)
    }
}

impl<T: Coded> Keep for Option<T>
where
    Optional<T>: super::flat::Element,
{
    type Kept = Optional<T>;

    fn keep(self) -> Optional<T> {
        self.into()
    }

    fn of(kept: Optional<T>) -> Self {
        kept.get()
    }
}

/// [`Timestamp::EARLIEST`] stands for nothing; an instant so early, 292,000 years before the epoch, is kept as the microsecond
/// after it, which no rule can tell from it.
impl Coded for Timestamp {
    type Code = i64;

    const NONE: i64 = i64::MIN;

    fn code(self) -> i64 {
        self.0.max(i64::MIN + 1)
    }

    fn decode(code: i64) -> Option<Self> {
        (code != Self::NONE).then_some(Self(code))
    }
}

/// Any row of 16 bits may be; nothing is the number after them all.
impl Coded for u16 {
    type Code = u32;

    const NONE: u32 = 1 << 16;

    fn code(self) -> u32 {
        self.into()
    }

    fn decode(code: u32) -> Option<Self> {
        Self::try_from(code).ok()
    }
}

impl Coded for Outcome {
    type Code = u8;

    const NONE: u8 = u8::MAX;

    fn code(self) -> u8 {
        self as u8
    }

    fn decode(code: u8) -> Option<Self> {
        use super::enums::ClosedEnum as _;
        Self::ALL.get(usize::from(code)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back() {
        for row in [None, Some(0), Some(1), Some(u16::MAX)] {
            assert_eq!(Optional::from(row).get(), row);
        }
        for at in [None, Some(Timestamp(0)), Some(Timestamp(i64::MIN + 1)), Some(Timestamp::NEVER)] {
            assert_eq!(Optional::from(at).get(), at);
        }
        assert_eq!(Optional::from(Some(Timestamp::EARLIEST)).get(), Some(Timestamp(i64::MIN + 1)));
        for outcome in [None, Some(Outcome::RuledOut), Some(Outcome::Recovered), Some(Outcome::Died)] {
            assert_eq!(Optional::from(outcome).get(), outcome);
        }
        assert_eq!([size_of::<Optional<Timestamp>>(), size_of::<Optional<u16>>()], [8, 4]);
    }
}
