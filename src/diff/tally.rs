//! Changes counted: by transition of the colour, and by rule gained and lost.
//!
//! The one idea: states are few, so changes are counted by pair of states first, and each pair is looked at once.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use rayon::prelude::*;
use serde_json::{Map, Value};

use super::{Change, State};
use crate::limits::MERGE_ROWS;
use crate::model::published::ReasonLists;
use crate::model::{ClosedEnum as _, Colour};

/// Colours before and after, `None` for no code.
pub type Transition = (Option<Colour>, Option<Colour>);

/// Changes, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub changes: u64,
    /// By transition.
    pub transitions: BTreeMap<Transition, u64>,
    /// By rule that is a reason after and was none before.
    pub gained: BTreeMap<String, u64>,
    /// By rule that was a reason before and is none after.
    pub lost: BTreeMap<String, u64>,
}

/// A colour, or `none` for no code.
#[must_use]
pub fn colour_name(colour: Option<Colour>) -> &'static str {
    colour.map_or("none", |colour| colour.name())
}

/// Counts by transition in JSON, as `{"green->red": 3}`.
#[must_use]
pub fn transitions_json(transitions: &BTreeMap<Transition, u64>) -> Value {
    let field = |((before, after), &count): (&Transition, &u64)| {
        (format!("{}->{}", colour_name(*before), colour_name(*after)), Value::from(count))
    };
    transitions.iter().map(field).collect::<Map<_, _>>().into()
}

impl Tally {
    /// The fields that tell of changes in JSON: `changes`, `transitions`, `gained`, `lost`.
    #[must_use]
    pub fn fields(&self) -> Map<String, Value> {
        let counts = |counts: &BTreeMap<String, u64>| -> Value {
            counts.iter().map(|(rule, &count)| (rule.clone(), Value::from(count))).collect::<Map<_, _>>().into()
        };
        let mut fields = Map::new();
        fields.insert("changes".to_owned(), self.changes.into());
        fields.insert("transitions".to_owned(), transitions_json(&self.transitions));
        fields.insert("gained".to_owned(), counts(&self.gained));
        fields.insert("lost".to_owned(), counts(&self.lost));
        fields
    }

    /// Counts changes. Cost: a look into a small map a change.
    #[must_use]
    pub fn of(changes: &[Change<'_>], lists: &ReasonLists) -> Self {
        let count = |changes: &[Change<'_>]| {
            let mut counts: HashMap<(State, State), u64> = HashMap::new();
            for change in changes {
                *counts.entry((change.before, change.after)).or_default() += 1;
            }
            counts
        };
        let mut tally = Self::default();
        for counts in changes.par_chunks(MERGE_ROWS).map(count).collect::<Vec<_>>() {
            for ((before, after), count) in counts {
                tally.add(before, after, count, lists);
            }
        }
        tally
    }

    /// Counts so many changes from one state to another.
    pub fn add(&mut self, before: State, after: State, count: u64, lists: &ReasonLists) {
        let colour = |state: State| state.map(|(colour, _)| colour);
        self.changes += count;
        *self.transitions.entry((colour(before), colour(after))).or_default() += count;
        let change = Change { person: "", before, after };
        for rule in change.gained(lists) {
            *self.gained.entry(rule.clone()).or_default() += count;
        }
        for rule in change.lost(lists) {
            *self.lost.entry(rule.clone()).or_default() += count;
        }
    }
}
