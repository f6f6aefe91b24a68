//! The closed enumerations of the contract, their spellings, and sets of them.
//!
//! The one idea: one macro writes the type, its spelling and its order once; a set is a byte.

use std::marker::PhantomData;

/// An enumeration with a fixed list of values, each with one spelling.
pub trait ClosedEnum: Copy + Eq + 'static {
    /// All values, in declaration order.
    const ALL: &'static [Self];
    /// All spellings, in the same order.
    const NAMES: &'static [&'static str];

    /// Position in [`Self::ALL`].
    fn index(self) -> usize;

    /// The spelling in files, rules and outputs.
    fn name(self) -> &'static str {
        Self::NAMES[self.index()]
    }

    /// The value so spelt, or `None`.
    #[must_use]
    fn parse(text: &str) -> Option<Self> {
        Self::NAMES.iter().position(|&name| name == text).map(|index| Self::ALL[index])
    }
}

macro_rules! closed_enums {
    ($($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $text:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$value_doc])* $value),+ }

        impl ClosedEnum for $name {
            const ALL: &'static [Self] = &[$(Self::$value),+];
            const NAMES: &'static [&'static str] = &[$($text),+];

            fn index(self) -> usize {
                self as usize
            }
        }
    )+};
}

closed_enums! {
    /// Kind of identity document given in a declaration.
    DocType {
        /// Resident identity card.
        ResidentId = "resident_id",
        /// Passport.
        Passport = "passport",
        /// Permit of a resident of Hong Kong or Macau.
        HkMacauPermit = "hk_macau_permit",
        /// Permit of a resident of Taiwan.
        TaiwanPermit = "taiwan_permit",
        /// Anything else.
        Other = "other",
    }
    /// Kind of case.
    CaseKind {
        /// Suspected.
        Suspected = "suspected",
        /// Confirmed.
        Confirmed = "confirmed",
    }
    /// How a case ended.
    Outcome {
        /// Found not to be a case after all.
        RuledOut = "ruled_out",
        /// Recovered.
        Recovered = "recovered",
        /// Died.
        Died = "died",
    }
    /// Kind of quarantine.
    QuarantineKind {
        /// In a centralised facility.
        Centralised = "centralised",
        /// Observation at home.
        Home = "home",
    }
    /// Where a contact took place.
    Setting {
        /// In a household.
        Household = "household",
        /// At work.
        Work = "work",
        /// At school.
        School = "school",
        /// On the way.
        Transport = "transport",
        /// In a venue.
        Venue = "venue",
        /// Near each other, place unknown.
        Proximity = "proximity",
    }
    /// Level of risk of a region, lowest first, so that the order of values is the order of risk.
    Level {
        /// 低
        Low = "low",
        /// 较低
        Lower = "lower",
        /// 中
        Medium = "medium",
        /// 较高
        Elevated = "elevated",
        /// 高
        High = "high",
        /// 重点
        Key = "key",
    }
    /// Result of a nucleic acid test.
    TestResult {
        /// Nothing found.
        Negative = "negative",
        /// Virus found.
        Positive = "positive",
    }
    /// State of a review.
    ReviewState {
        /// Filed by the person.
        Filed = "filed",
        /// Assigned to a task force.
        Assigned = "assigned",
        /// The facts stand.
        Upheld = "upheld",
        /// The facts were corrected.
        Corrected = "corrected",
    }
    /// Symptoms as reported; a temperature at or over the rule set's limit counts as fever besides.
    Symptom {
        /// Fever.
        Fever = "fever",
        /// Shortness of breath.
        Dyspnea = "dyspnea",
        /// Other respiratory symptoms.
        Respiratory = "respiratory",
    }
    /// What a person may admit to in a declaration, besides symptoms.
    Admission {
        /// Contact with a case.
        ContactWithCase = "contact_with_case",
        /// A stay in a key area.
        VisitedKeyArea = "visited_key_area",
    }
    /// The three codes, mildest first.
    Colour {
        /// Passes.
        Green = "green",
        /// Waits.
        Yellow = "yellow",
        /// Waits longer.
        Red = "red",
    }
}

/// A set of values of one closed enumeration of at most eight values.
#[derive(PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct EnumSet<E> {
    bits: u8,
    of: PhantomData<E>,
}

impl<E> Clone for EnumSet<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for EnumSet<E> {}

impl<E> Default for EnumSet<E> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<E: ClosedEnum + std::fmt::Debug> std::fmt::Debug for EnumSet<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl<E> EnumSet<E> {
    /// No value.
    pub const EMPTY: Self = Self { bits: 0, of: PhantomData };

    /// Whether no value is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.bits == 0
    }
}

impl<E: ClosedEnum> EnumSet<E> {
    /// Adds a value.
    pub fn insert(&mut self, value: E) {
        self.bits |= 1 << value.index();
    }

    /// The set with `value` added if `present`.
    #[must_use]
    pub fn with(mut self, value: E, present: bool) -> Self {
        self.bits |= u8::from(present) << value.index();
        self
    }

    /// Whether the value is in the set.
    #[must_use]
    pub fn contains(self, value: E) -> bool {
        self.bits >> value.index() & 1 == 1
    }

    /// The values in either set.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self { bits: self.bits | other.bits, of: PhantomData }
    }

    /// Whether the sets share a value.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.bits & other.bits != 0
    }

    /// The values in declaration order.
    pub fn iter(self) -> impl Iterator<Item = E> {
        E::ALL.iter().copied().filter(move |&value| self.contains(value))
    }
}

impl<E: ClosedEnum> FromIterator<E> for EnumSet<E> {
    fn from_iter<I: IntoIterator<Item = E>>(values: I) -> Self {
        values.into_iter().fold(Self::EMPTY, |set, value| set.with(value, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_are_closed_and_lower_case() {
        assert_eq!(Level::parse("key"), Some(Level::Key));
        assert_eq!(Level::parse("Key"), None);
        assert_eq!(Outcome::parse(""), None);
        assert!(Level::Key > Level::High && Level::Lower > Level::Low);
    }

    #[test]
    fn sets_hold_what_was_put_in() {
        let set: EnumSet<Setting> = [Setting::Proximity, Setting::Household].into_iter().collect();
        assert!(set.contains(Setting::Household) && !set.contains(Setting::Work));
        assert_eq!(set.iter().collect::<Vec<_>>(), [Setting::Household, Setting::Proximity]);
        assert!(EnumSet::<Setting>::EMPTY.is_empty());
    }
}
