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
mod replay;
mod standing;
mod view;

pub use city::{City, Outcome};
pub use record::{Begin, Offset, Record, RecordError, Rules, Word};
pub use standing::Standing;
pub use view::View;

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
    /// A checkpoint is of a position that the journal does not reach.
    #[error("the journal ends at position {}, before the checkpoint of position {}: its last files are missing", .last.0, .position.0)]
    Behind {
        /// Where the journal ends.
        last: Position,
        /// The checkpoint's.
        position: Position,
    },
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
    /// Of a store that began from facts of one fingerprint and is given those of another.
    pub(crate) fn of_data(began: Option<&str>, given: Option<&str>) -> Self {
        let began = began.map_or_else(|| "no facts".to_owned(), |print| format!("facts with the fingerprint {print}"));
        let given = given.map_or_else(|| "none are".to_owned(), |print| format!("some with {print} are"));
        Self::Data { began, given }
    }
}

/// Records that are in the journal and have not been applied yet.
#[must_use = "what is journalled has to be applied"]
#[derive(Debug)]
pub struct Journalled {
    first: Position,
    records: Vec<Record>,
}

/// A city that follows its feeds, and its journal.
pub struct Engine<S: Storage> {
    journal: Journal<S>,
    city: City,
}

impl<S: Storage> Engine<S> {
    /// An engine over facts where they stand in the journal: at its begin, or at a checkpoint. Then [`Self::recover`], or
    /// [`Self::begin`] if nothing has been journalled.
    ///
    /// # Errors
    /// A rule set that is none; a journal that ends before the position.
    pub fn new(journal: Journal<S>, facts: Facts, standing: Standing) -> Result<Self, EngineError> {
        let (last, position) = (journal.last(), standing.position);
        if last < position {
            return Err(EngineError::Behind { last, position });
        }
        Ok(Self { journal, city: City::new(facts, standing)? })
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
        let word = Word::Begin(Begin { data: self.city.standing().data.clone(), rules: Rules::of(rules) });
        self.step(vec![Record { as_of: at, source: None, refused: Vec::new(), word }])
    }

    /// Journals records as one group and applies them. Records of an instant that is past are of the present one.
    ///
    /// # Errors
    /// A journal that fails: then nothing is applied, now and later.
    pub fn step(&mut self, records: Vec<Record>) -> Result<Vec<Outcome>, EngineError> {
        let journalled = self.journal(records)?;
        self.apply(journalled)
    }

    /// The first half of a step: journals records as one group.
    ///
    /// # Errors
    /// A journal that fails.
    pub fn journal(&mut self, mut records: Vec<Record>) -> Result<Journalled, EngineError> {
        if records.is_empty() {
            return Ok(Journalled { first: self.last().next(), records });
        }
        let mut as_of = self.city.as_of();
        for record in &mut records {
            as_of = as_of.max(record.as_of);
            record.as_of = as_of;
        }
        let payloads: Vec<Vec<u8>> = records.iter().map(Record::encode).collect();
        let first = *self.journal.append(&payloads)?.start();
        Ok(Journalled { first, records })
    }

    /// The second half: applies what was journalled. Nothing may come in between.
    ///
    /// # Errors
    /// A rule set that is none.
    pub fn apply(&mut self, journalled: Journalled) -> Result<Vec<Outcome>, EngineError> {
        let Journalled { first, records } = journalled;
        let apply = |(position, record)| self.city.apply(Position(position), record);
        (first.0..).zip(records).map(apply).collect()
    }

    /// How many segments of the journal that are full hold something from a position on.
    #[must_use]
    pub fn sealed_since(&self, position: Position) -> usize {
        self.journal.sealed_since(position)
    }

    /// Lets a new segment of the journal follow, so that all others are full.
    ///
    /// # Errors
    /// A journal that fails.
    pub fn seal(&mut self) -> Result<(), EngineError> {
        Ok(self.journal.seal()?)
    }

    /// Drops what the journal holds up to a position, as far as whole segments go.
    ///
    /// # Errors
    /// A journal that fails.
    pub fn drop_until(&mut self, position: Position) -> Result<(), EngineError> {
        self.journal.drop_before(position.next())?;
        Ok(())
    }

    /// Brings the facts to the end of the journal, without a look at anybody's code.
    ///
    /// # Errors
    /// A journal that cannot be read.
    pub fn absorb_all(&mut self) -> Result<(), EngineError> {
        let city = &mut self.city;
        if city.position() == self.journal.last() {
            return Ok(());
        }
        replay::records(&self.journal, city.position().next(), |position, record| {
            city.absorb(position, record).map(|_| ())
        })
    }

    /// Replays the journal from where the facts stand and gives each outcome again, exactly as it was; but those up to the
    /// position `told` without what they changed, because nothing is evaluated there. If what has been told ends before the
    /// facts' position, everybody's code there is given first, as if nobody had had one.
    ///
    /// # Errors
    /// A journal that cannot be read, or began from other facts; the visitor's own.
    pub fn recover<E: From<EngineError>>(
        &mut self,
        told: Position,
        mut visit: impl FnMut(&City, &Outcome) -> Result<(), E>,
    ) -> Result<(), E> {
        let data = self.city.standing().data.clone();
        let city = &mut self.city;
        if told < city.position()
            && let Some(outcome) = city.restate()
        {
            visit(city, &outcome)?;
        }
        if city.position() == self.journal.last() {
            city.evaluate();
            return Ok(());
        }
        replay::records(&self.journal, city.position().next(), |position, record| {
            if let Word::Begin(begin) = &record.word
                && begin.data != data
            {
                return Err(EngineError::of_data(begin.data.as_deref(), data.as_deref()).into());
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
