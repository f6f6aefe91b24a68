//! The live engine: what it is told is journalled, applied to the facts, followed by the codes and given out as changes.
//!
//! The one idea: codes at a position are a function of the journal up to it, so that there is one way from a [`Record`] to an
//! [`Outcome`], `City::apply`, for what arrives now and for what is replayed after a stop. Nothing else changes a city.
//!
//! Invariants: a record is on the disk before it is applied; at any position the codes are those of a full recompute of the
//! facts that stand; the outcomes of a replay are those of the first time; time goes one way.
//!
//! Cost: a write and a sync a group of records; then what absorbing the rows and following them costs.

mod city;
mod record;

pub use city::{City, Outcome};
pub use record::{Begin, Offset, Record, RecordError, Rules, Word};

use crate::facts::Facts;
use crate::journal::{Journal, JournalError, Position, Storage};
use crate::model::Timestamp;
use crate::rules::{RuleErrors, RuleSet};

/// Why an engine stops.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The journal cannot be opened, read or added to.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A record of the journal is none.
    #[error("position {}: {cause}", .position.0)]
    Record {
        /// Its position.
        position: Position,
        /// Why.
        cause: RecordError,
    },
    /// A rule set in the journal is none for this program.
    #[error("position {}: the rule set is not understood: {cause}", .position.0)]
    Rules {
        /// Its position.
        position: Position,
        /// Why.
        cause: RuleErrors,
    },
    /// The journal's first record is of something that is under way.
    #[error("the journal does not begin with rules")]
    NoBeginning,
    /// The store began from other facts than those given.
    #[error("the store began from {began}, and {given} given: its journal continues the former")]
    Data {
        /// The facts that the store began from.
        began: String,
        /// Those given.
        given: String,
    },
}

impl EngineError {
    fn of_data(began: Option<&str>, given: Option<&str>) -> Self {
        let began = began.map_or_else(|| "no facts".to_owned(), |print| format!("facts with the fingerprint {print}"));
        let given = given.map_or_else(|| "none are".to_owned(), |print| format!("some with {print} are"));
        Self::Data { began, given }
    }
}

/// A city that follows its feeds, and its journal.
pub struct Engine<S: Storage> {
    journal: Journal<S>,
    city: City,
    /// Fingerprint of the facts before the first record.
    data: Option<String>,
}

impl<S: Storage> Engine<S> {
    /// An engine over the facts that a store began from, before the first record of its journal; then [`Self::recover`], or
    /// [`Self::begin`] if the journal is empty. `data` is those facts' fingerprint.
    #[must_use]
    pub fn new(journal: Journal<S>, facts: Facts, data: Option<String>) -> Self {
        Self { journal, city: City::new(facts), data }
    }

    /// The city.
    #[must_use]
    pub const fn city(&self) -> &City {
        &self.city
    }

    /// The city, for what changes no code.
    #[must_use]
    pub const fn city_mut(&mut self) -> &mut City {
        &mut self.city
    }

    /// The city, without its journal.
    #[must_use]
    pub fn into_city(self) -> City {
        self.city
    }

    /// Position of the last record in the journal.
    #[must_use]
    pub const fn last(&self) -> Position {
        self.journal.last()
    }

    /// Begins a journal: rules come into force, and everybody who has declared has a first code.
    ///
    /// # Errors
    /// A journal that fails.
    pub fn begin(&mut self, rules: &RuleSet, at: Timestamp) -> Result<Vec<Outcome>, EngineError> {
        let word = Word::Begin(Begin { data: self.data.clone(), rules: Rules::of(rules) });
        self.step(vec![Record { as_of: at, source: None, refused: Vec::new(), word }])
    }

    /// Journals records as one group and applies them. Records of an instant that is past are of the present one.
    ///
    /// # Errors
    /// A journal that fails: then nothing is applied, now and later.
    pub fn step(&mut self, mut records: Vec<Record>) -> Result<Vec<Outcome>, EngineError> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let mut as_of = self.city.as_of();
        for record in &mut records {
            as_of = as_of.max(record.as_of);
            record.as_of = as_of;
        }
        let payloads: Vec<Vec<u8>> = records.iter().map(Record::encode).collect();
        let positions = self.journal.append(&payloads)?;
        let first = positions.start().0;
        let apply = |(position, record)| self.city.apply(Position(position), record);
        (first..).zip(records).map(apply).collect()
    }

    /// Replays the journal and gives each outcome again, exactly as it was; but those up to the position `told` without what
    /// they changed, because nothing is evaluated there.
    ///
    /// # Errors
    /// A journal that cannot be read, or began from other facts; the visitor's own.
    pub fn recover<E: From<EngineError> + From<JournalError>>(
        &mut self,
        told: Position,
        mut visit: impl FnMut(&City, &Outcome) -> Result<(), E>,
    ) -> Result<(), E> {
        let (city, data) = (&mut self.city, self.data.as_deref());
        self.journal.replay(Position(1), |position, payload| {
            let record = Record::decode(payload).map_err(|cause| EngineError::Record { position, cause })?;
            if let Word::Begin(begin) = &record.word
                && begin.data.as_deref() != data
            {
                return Err(EngineError::of_data(begin.data.as_deref(), data).into());
            }
            let outcome = if position <= told {
                city.absorb(position, record)?
            } else {
                city.evaluate();
                city.apply(position, record)?
            };
            visit(city, &outcome)
        })?;
        city.evaluate();
        Ok(())
    }
}
