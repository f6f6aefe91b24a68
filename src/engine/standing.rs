//! What a position of the journal says besides facts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::record::{Offset, Record, Rules, Word};
use crate::journal::Position;
use crate::model::Timestamp;

/// Time, rules, and how far sources have been read, at a position. With the facts that stand there it is all of a city.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// Position of the record that came last.
    pub position: Position,
    /// T, in microseconds since 1970.
    as_of_us: i64,
    /// The rules in force, as they were given; none before the first record.
    pub rules: Option<Rules>,
    /// Fingerprint of the facts before the first record.
    pub data: Option<String>,
    /// How far sources have been read, by name.
    pub offsets: BTreeMap<String, Offset>,
    /// Rows and messages refused so far.
    pub refused: u64,
}

impl Standing {
    /// Before the first record, with facts of a fingerprint.
    #[must_use]
    pub const fn before_all(data: Option<String>) -> Self {
        let (position, as_of_us) = (Position(0), Timestamp::EARLIEST.0);
        Self { position, as_of_us, rules: None, data, offsets: BTreeMap::new(), refused: 0 }
    }

    /// T.
    #[must_use]
    pub const fn as_of(&self) -> Timestamp {
        Timestamp(self.as_of_us)
    }

    /// Goes on to the next record.
    pub fn follow(&mut self, position: Position, record: &Record) {
        self.position = position;
        self.as_of_us = self.as_of_us.max(record.as_of.0);
        if let Some(offset) = &record.source {
            self.offsets.insert(offset.source.clone(), offset.clone());
        }
        self.refused += memchr::memchr_iter(b'\n', &record.refused).count() as u64;
        match &record.word {
            Word::Begin(begin) => self.rules = Some(begin.rules.clone()),
            Word::Rules(rules) => self.rules = Some(rules.clone()),
            Word::Facts(_) | Word::Forget(_) | Word::Time => {}
        }
    }
}
