//! Who is out of circulation when: patients in isolation, contacts in quarantine.
//!
//! The one idea: few people ever are, so a bit a person answers for nearly all and a map for the rest.
//!
//! Invariant: what is added while a day is decided begins after that day; so rows of earlier days stay as they were.

use std::ops::Range;

use hashbrown::HashMap;

use super::bits::Bits;
use super::calendar::Seconds;

/// People out of circulation.
#[derive(Debug)]
pub(super) struct Withdrawn {
    ever: Bits,
    spans: HashMap<u32, Vec<Span>>,
}

#[derive(Clone, Debug)]
struct Span {
    time: Range<Seconds>,
    household_may_visit: bool,
}

impl Withdrawn {
    /// Nobody yet, of so many people.
    pub(super) fn new(people: u32) -> Self {
        Self { ever: Bits::new(people), spans: HashMap::new() }
    }

    /// Takes a person out for a time; at home the household stays in touch.
    pub(super) fn add(&mut self, person: u32, time: Range<Seconds>, household_may_visit: bool) {
        self.ever.set(person);
        self.spans.entry(person).or_default().push(Span { time, household_may_visit });
    }

    /// Whether a person is out at an instant, for those of the household or for all others.
    pub(super) fn is_out(&self, person: u32, at: Seconds, to_household: bool) -> bool {
        self.ever.get(person)
            && self.spans.get(&person).is_some_and(|spans| {
                spans.iter().any(|span| span.time.contains(&at) && !(to_household && span.household_may_visit))
            })
    }
}
