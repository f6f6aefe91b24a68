//! Names of things inside the engine: dense ids for interned tokens, division codes, rules, rows.
//!
//! The one idea: a token of the outside (person, place, label) is interned once and is a small integer from then on, with a
//! niche where it may be absent, so that `Option<PlaceId>` costs four bytes.

use std::num::NonZeroU32;

/// A person: dense index of the token in the interner, in no meaningful order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct PersonId(pub u32);

impl PersonId {
    /// The id as an index into columns of one entry a person.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A row of the table of contacts, named from an end of the contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct ContactRow(pub u32);

impl ContactRow {
    /// The row as an index into the table's columns.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

macro_rules! niche_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(NonZeroU32);

        impl $name {
            /// The id of the token at `index` in its interner.
            ///
            /// # Panics
            /// If `index` is `u32::MAX`: interners stop before that.
            #[must_use]
            pub const fn from_index(index: u32) -> Self {
                Self(NonZeroU32::new(index.wrapping_add(1)).expect("an interner holds fewer than u32::MAX tokens"))
            }

            /// The id as an index into columns of one entry a token.
            #[must_use]
            pub const fn index(self) -> usize {
                self.0.get() as usize - 1
            }
        }
    };
}

niche_id! {
    /// A place: a venue, or one carriage of one train on one day.
    PlaceId
}
niche_id! {
    /// A text that no rule reads: an enterprise's name, the reason of a whitelisting.
    LabelId
}

niche_id! {
    /// A region that persons' facts name: its dense number among those, which are few.
    RegionId
}

/// A division code (GB/T 2260 with 6 or 9 digits) or an ISO 3166-1 numeric country code, checked to be in range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Region(NonZeroU32);

impl Region {
    /// `code` if it is in 1..=999, 110000..=829999 or 110000000..=829999999, else `None`. The code need not be in any list.
    #[must_use]
    pub const fn new(code: u32) -> Option<Self> {
        match (NonZeroU32::new(code), code) {
            (Some(valid), 1..=999 | 110_000..=829_999 | 110_000_000..=829_999_999) => Some(Self(valid)),
            _ => None,
        }
    }

    /// The region whose code is written so, in digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().and_then(Self::new)
    }

    /// The number itself.
    #[must_use]
    pub const fn code(self) -> u32 {
        self.0.get()
    }

    /// The county, city, province or country: a street's own county, else the region itself.
    #[must_use]
    pub const fn district(self) -> Self {
        match self.parent() {
            Some(county) if self.code() >= 110_000_000 => county,
            _ => self,
        }
    }

    /// The division that holds this one: street, county, city, province; `None` for provinces and countries.
    #[must_use]
    pub const fn parent(self) -> Option<Self> {
        match self.code() {
            code @ 110_000_000.. => Self::new(code / 1000),
            code @ 110_000.. if code % 100 != 0 => Self::new(code / 100 * 100),
            code @ 110_000.. if code % 10_000 != 0 => Self::new(code / 10_000 * 10_000),
            _ => None,
        }
    }
}

/// A rule: its place in the rule set's order, below [`crate::limits::RULES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct RuleId(pub u8);

/// A set of rules of one rule set: bit `i` is rule `i`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct RuleMask(pub u64);

impl RuleMask {
    /// No rule.
    pub const EMPTY: Self = Self(0);

    /// One rule.
    #[must_use]
    pub const fn of(rule: RuleId) -> Self {
        Self(1 << rule.0)
    }

    /// Adds a rule.
    pub const fn insert(&mut self, rule: RuleId) {
        self.0 |= 1 << rule.0;
    }

    /// Whether the rule is in the set.
    #[must_use]
    pub const fn contains(self, rule: RuleId) -> bool {
        self.0 >> rule.0 & 1 == 1
    }

    /// Whether no rule is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The rules in either set.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The rules in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The rules in this set that are not in the other.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The rules in order.
    pub fn iter(self) -> impl Iterator<Item = RuleId> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let rule = u8::try_from(rest.trailing_zeros()).ok().filter(|&bit| bit < 64)?;
            rest &= rest - 1;
            Some(RuleId(rule))
        })
    }
}

/// Where a row came from: which source (index into the list of sources) and its row or line there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct Origin {
    /// Index into the load's list of sources.
    pub source: u32,
    /// Row (columnar files, from 0) or line (text, from 1).
    pub offset: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_ranges_not_lists() {
        for valid in [1, 999, 110_000, 829_999, 110_000_000, 829_999_999] {
            assert!(Region::new(valid).is_some(), "{valid}");
        }
        for invalid in [0, 1000, 109_999, 830_000, 109_999_999, 830_000_000, u32::MAX] {
            assert!(Region::new(invalid).is_none(), "{invalid}");
        }
    }

    #[test]
    fn parents_climb_to_the_province() {
        let climb = |code| {
            std::iter::successors(Region::new(code), |region| region.parent()).map(Region::code).collect::<Vec<_>>()
        };
        assert_eq!(climb(330_106_109), [330_106_109, 330_106, 330_100, 330_000]);
        assert_eq!(climb(330_100_001), [330_100_001, 330_100, 330_000]);
        assert_eq!(climb(330_000), [330_000]);
        assert_eq!(climb(392), [392]);
        assert_eq!(climb(330_001), [330_001, 330_000]);
    }

    #[test]
    fn masks_list_rules_in_order() {
        let mut mask = RuleMask::EMPTY;
        for rule in [63, 0, 7] {
            mask.insert(RuleId(rule));
        }
        assert_eq!(mask.iter().map(|rule| rule.0).collect::<Vec<_>>(), [0, 7, 63]);
        assert!(mask.contains(RuleId(63)) && !mask.contains(RuleId(1)));
        assert_eq!(RuleMask::EMPTY.iter().count(), 0);
    }

    #[test]
    fn absent_ids_cost_nothing() {
        assert_eq!(size_of::<Option<PlaceId>>(), 4);
        assert_eq!(size_of::<Option<Region>>(), 4);
        assert_eq!(PlaceId::from_index(0).index(), 0);
    }
}
