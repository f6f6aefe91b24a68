//! Facts, rules, time and codes: what records change, and what they change it to.

use std::sync::Arc;

use super::record::{Offset, Record, Rules, Word};
use super::{EngineError, Standing, View};
use crate::diff::{self, Change};
use crate::evaluate::{self, Codes, Current, Flip};
use crate::facts::{Facts, FactsView, LiveFacts, Names, Over};
use crate::journal::Position;
use crate::model::published::ReasonLists;
use crate::model::{Code, LocalDay, Table, Timestamp};
use crate::rules::Program;

/// What a record changed.
#[derive(Debug)]
pub struct Outcome {
    /// The record's position.
    pub position: Position,
    /// T.
    pub as_of: Timestamp,
    /// Rows refused with it: lines of NDJSON.
    pub refused: Vec<u8>,
    flips: Vec<Flip>,
    /// Rules before and after.
    rules: [Arc<Program>; 2],
}

/// A city at a position of its journal.
pub struct City {
    standing: Standing,
    live: LiveFacts,
    /// The rules in force; none before the first record.
    program: Option<Arc<Program>>,
    /// Codes at the position; nothing while records are absorbed only.
    current: Option<Current>,
}

impl City {
    /// Facts where they stand.
    ///
    /// # Errors
    /// A rule set that is none.
    pub(super) fn new(facts: Facts, standing: Standing) -> Result<Self, EngineError> {
        let mut city = Self { standing, live: LiveFacts::new(facts), program: None, current: None };
        city.enact()?;
        Ok(city)
    }

    /// Position, time, rules and sources.
    #[must_use]
    pub const fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Position of the record that was applied last.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.standing.position
    }

    /// T.
    #[must_use]
    pub const fn as_of(&self) -> Timestamp {
        self.standing.as_of()
    }

    /// The rules in force; none before the first record.
    #[must_use]
    pub fn program(&self) -> Option<&Arc<Program>> {
        self.program.as_ref()
    }

    /// The rules in force, as they were given; none before the first record.
    #[must_use]
    pub const fn rules(&self) -> Option<&Rules> {
        self.standing.rules.as_ref()
    }

    /// The facts.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        self.live.facts()
    }

    /// The facts as they stand now, for whoever keeps them. Cost: as [`Self::view`].
    #[must_use]
    pub fn facts_view(&mut self) -> FactsView {
        self.live.view()
    }

    /// Number of rows in a table.
    #[must_use]
    pub fn rows_of(&self, table: Table) -> usize {
        self.live.rows_of(table)
    }

    /// The day, on the clock of the rules in force; none before the first record.
    #[must_use]
    pub fn day(&self) -> Option<LocalDay> {
        self.program().map(|program| self.as_of().local_day(program.utc_offset))
    }

    /// Up to when what has ended is past its retention under the rules in force; none before the first record.
    #[must_use]
    pub fn over(&self) -> Option<Over> {
        self.program().map(|program| evaluate::over(program, self.as_of()))
    }

    /// Rows, by table and id, that no colour can come of any more under the rules in force: they are past their retention.
    #[must_use]
    pub fn forgettable(&self) -> Vec<(Table, u64)> {
        self.over().map_or_else(Vec::new, |over| self.live.forgettable(over))
    }

    /// What stands now, for whoever reads it while the city goes on. Cost: none to speak of; what is changed next is copied first.
    #[must_use]
    pub fn view(&mut self) -> View {
        View {
            position: self.position(),
            as_of: self.as_of(),
            rules: self.rules().cloned(),
            program: self.program.clone(),
            facts: self.facts_view(),
            codes: self.codes().cloned(),
        }
    }

    /// Everybody's code, unless records were absorbed only.
    #[must_use]
    pub fn codes(&self) -> Option<&Codes> {
        self.current.as_ref().map(Current::codes)
    }

    /// How many people have been evaluated since the codes were worked out first.
    #[must_use]
    pub fn evaluated(&self) -> u64 {
        self.current.as_ref().map_or(0, Current::evaluated)
    }

    /// How far a source has been read.
    #[must_use]
    pub fn offset(&self, source: &str) -> Option<&Offset> {
        self.standing.offsets.get(source)
    }

    /// When time alone may change a code, if ever.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.current.as_ref().and_then(Current::next_due)
    }

    /// Whether everybody's code is what a recompute gives, to the last bit. Cost: a recompute, and the indexes that it wants.
    #[must_use]
    pub fn is_sound(&mut self) -> bool {
        self.live.index_meetings();
        let (Some(program), Some(codes)) = (self.program(), self.codes()) else { return self.program.is_none() };
        evaluate::recompute(self.facts(), program, self.as_of()).iter().eq(codes.iter())
    }

    /// Puts names that came late in the order of bytes, which outputs want.
    pub fn sort_names(&mut self) {
        self.live.sort_names();
    }

    /// Applies a record without looking at codes: the outcome changes none.
    ///
    /// # Errors
    /// A rule set that is none; a first record that does not begin.
    pub(super) fn absorb(&mut self, position: Position, record: Record) -> Result<Outcome, EngineError> {
        let before = self.program.clone();
        self.current = None;
        self.standing.follow(position, &record);
        match record.word {
            Word::Begin(_) | Word::Rules(_) => self.enact()?,
            Word::Facts(batch) => {
                let batch = *batch;
                for (table, id) in batch.deletes {
                    self.live.delete(table, id);
                }
                let names = Names { persons: batch.persons, places: batch.places, labels: batch.labels };
                self.live.absorb(&batch.upserts, &names);
            }
            Word::Forget(over) => self.live.forget(over),
            Word::Time => {}
        }
        let program = self.program.as_ref().ok_or(EngineError::NoBeginning)?;
        let rules = [before.unwrap_or_else(|| Arc::clone(program)), Arc::clone(program)];
        Ok(Outcome { position, as_of: self.as_of(), refused: record.refused, flips: Vec::new(), rules })
    }

    /// Puts the rules of the standing in force.
    fn enact(&mut self) -> Result<(), EngineError> {
        let Some(Rules { path, text }) = &self.standing.rules else { return Ok(()) };
        let position = self.position();
        let program = Program::parse(path, text).map_err(|cause| EngineError::Rules { position, cause })?;
        self.program = Some(Arc::new(program));
        Ok(())
    }

    /// Computes everybody's code, if records were absorbed only.
    pub(super) fn evaluate(&mut self) {
        if let (None, Some(program)) = (&self.current, &self.program) {
            self.current = Some(Current::new(&mut self.live, program, self.standing.as_of()));
        }
    }

    /// Applies a record. The codes are those at the position before; there are none before the first.
    ///
    /// # Errors
    /// A rule set that is none; a first record that does not begin.
    pub(super) fn apply(&mut self, position: Position, record: Record) -> Result<Outcome, EngineError> {
        let concerns_all = matches!(record.word, Word::Begin(_) | Word::Rules(_) | Word::Forget(_));
        let current = self.current.take();
        let mut outcome = self.absorb(position, record)?;
        let ([_, program], live, at) = (&outcome.rules, &mut self.live, self.standing.as_of());
        outcome.flips = if let Some(mut current) = current {
            let follow = if concerns_all { Current::follow_all } else { Current::follow };
            let flips = follow(&mut current, live, program, at);
            self.current = Some(current);
            flips
        } else {
            first_codes(self.current.insert(Current::new(live, program, at)))
        };
        Ok(outcome)
    }

    /// The codes of the position as if it were the first one of all: nobody had a code before. None before the first record.
    pub(super) fn restate(&mut self) -> Option<Outcome> {
        self.evaluate();
        let (current, program) = (self.current.as_ref()?, self.program.as_ref()?);
        let rules = [Arc::clone(program), Arc::clone(program)];
        let flips = first_codes(current);
        Some(Outcome { position: self.position(), as_of: self.as_of(), refused: Vec::new(), flips, rules })
    }

    /// What an outcome changed, in the order of persons' bytes: where colours differ, and with `with_reasons` also where only
    /// reasons do. `lists` numbers the lists of reasons.
    #[must_use]
    pub fn changes(&self, outcome: &Outcome, with_reasons: bool, lists: &mut ReasonLists) -> Vec<Change<'_>> {
        let [before, after] = &outcome.rules;
        let names = &self.facts().names;
        let mut state = |program: &Program, code: Option<Code>| {
            code.map(|code| (code.colour, diff::number_mask(program, code.reasons, lists)))
        };
        let mut changes: Vec<Change<'_>> = Vec::with_capacity(outcome.flips.len());
        for flip in &outcome.flips {
            let (person, before) = (names.person(flip.person), state(before, flip.before));
            changes.push(Change { person, before, after: state(after, flip.after) });
        }
        changes.retain(|change| diff::is_change(change, with_reasons, lists));
        changes.sort_unstable_by_key(|change| change.person);
        changes
    }
}

fn first_codes(current: &Current) -> Vec<Flip> {
    current.codes().iter().map(|(person, code)| Flip { person, before: None, after: Some(code) }).collect()
}
