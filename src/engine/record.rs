//! What the engine is told, as it stands in the journal.
//!
//! ```text
//! 0 length of the head (4)   4 head: JSON   .. refused rows: lines of NDJSON   .. body
//! ```
//!
//! The head is text, so that a person can read a journal; the body is a batch's own encoding, the JSON of a rule set, or nothing.

use serde::{Deserialize, Serialize};

use crate::facts::Over;
use crate::ingest::feed::{Batch, BatchError};
use crate::model::Timestamp;
use crate::rules::RuleSet;

const VERSION: u16 = 1;

/// How far a source has been read once a record is applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offset {
    /// The source's name.
    pub source: String,
    /// Bytes read; or how long it is, if what has been read of it is told by its lines or rows alone.
    pub bytes: u64,
    /// Lines or rows read.
    pub lines: u64,
    /// Whether it has been read to its end, and nothing more is to come of it.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub is_whole: bool,
    /// What tells others of the same length apart: a digest of it, or when it was changed last. None where nothing does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stamp: Option<u64>,
}

impl Offset {
    /// The begin of a source.
    #[must_use]
    pub fn begin(source: &str) -> Self {
        Self { source: source.to_owned(), bytes: 0, lines: 0, is_whole: false, stamp: None }
    }
}

/// A rule set, by its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Where it was read from.
    pub path: String,
    /// The file's text.
    pub text: String,
}

impl Rules {
    /// The text of a rule set.
    #[must_use]
    pub fn of(set: &RuleSet) -> Self {
        Self { path: set.path.clone(), text: set.text.clone().into_owned() }
    }
}

/// How a store begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begin {
    /// Fingerprint of the facts that were there before; nothing if there were none.
    pub data: Option<String>,
    /// The first rules.
    pub rules: Rules,
}

/// What a record tells.
#[derive(Debug)]
pub enum Word {
    /// The first of all.
    Begin(Begin),
    /// Other rules are in force.
    Rules(Rules),
    /// Facts came and went.
    Facts(Box<Batch>),
    /// What was over by then is gone.
    Forget(Over),
    /// Time passed.
    Time,
}

/// A record of the journal.
#[derive(Debug)]
pub struct Record {
    /// T, from here on.
    pub as_of: Timestamp,
    /// How far its source has been read, if it has one and ends a piece of it.
    pub source: Option<Offset>,
    /// Rows that were refused with these facts: lines of NDJSON.
    pub refused: Vec<u8>,
    /// What it tells.
    pub word: Word,
}

/// Why bytes are no record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The head is none.
    #[error("the record's head is not understood: {0}")]
    Head(String),
    /// Of another version.
    #[error("the record is of version {found}; this program knows {VERSION}")]
    Version {
        /// That version.
        found: u16,
    },
    /// The facts are none.
    #[error(transparent)]
    Batch(#[from] BatchError),
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Begin,
    Rules,
    Facts,
    Forget,
    Time,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    version: u16,
    kind: Kind,
    /// Microseconds since 1970.
    as_of: i64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    source: Option<Offset>,
    /// Bytes of refused rows.
    refused: usize,
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("texts and numbers are JSON")
}

impl Record {
    /// As bytes, which [`Self::decode`] takes.
    ///
    /// # Panics
    /// If the source's name is of 4 GB.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (kind, body) = match &self.word {
            Word::Begin(begin) => (Kind::Begin, json(begin)),
            Word::Rules(rules) => (Kind::Rules, json(rules)),
            Word::Facts(batch) => (Kind::Facts, batch.encode()),
            Word::Forget(over) => (Kind::Forget, json(over)),
            Word::Time => (Kind::Time, Vec::new()),
        };
        let (as_of, source, refused) = (self.as_of.0, self.source.clone(), self.refused.len());
        let head = json(&Head { version: VERSION, kind, as_of, source, refused });
        let length = u32::try_from(head.len()).expect("a head is short");
        [&length.to_le_bytes()[..], &head, &self.refused, &body].concat()
    }

    /// The record that [`Self::encode`] made these bytes of.
    ///
    /// # Errors
    /// [`RecordError`], where bytes are none, whatever they are.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let wrong = |why: &str| RecordError::Head(why.to_owned());
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(|| wrong("it is cut short"))?;
        let length = u32::from_le_bytes(*length) as usize;
        let (head, rest) = rest.split_at_checked(length).ok_or_else(|| wrong("it is cut short"))?;
        let head: Head = serde_json::from_slice(head).map_err(|error| wrong(&error.to_string()))?;
        if head.version != VERSION {
            return Err(RecordError::Version { found: head.version });
        }
        let (refused, body) = rest.split_at_checked(head.refused).ok_or_else(|| wrong("it is cut short"))?;
        let not_json = |error: serde_json::Error| wrong(&error.to_string());
        let word = match head.kind {
            Kind::Begin => Word::Begin(serde_json::from_slice(body).map_err(not_json)?),
            Kind::Rules => Word::Rules(serde_json::from_slice(body).map_err(not_json)?),
            Kind::Facts => Word::Facts(Box::new(Batch::decode(body)?)),
            Kind::Forget => Word::Forget(serde_json::from_slice(body).map_err(not_json)?),
            Kind::Time => Word::Time,
        };
        Ok(Self { as_of: Timestamp(head.as_of), source: head.source, refused: refused.to_vec(), word })
    }
}
