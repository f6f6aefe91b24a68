//! Changes that were told, read back from their lines, and said in other forms.
//!
//! The one idea: the file of changes is what was told; who wants it as Arrow or in Debezium's envelope gets each line said again.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use serde::Deserialize;
use serde_json::{Value, json};

use super::batches::{batch, instants, text_lists, texts};
use crate::model::Timestamp;
use crate::model::schema::changes_schema;
use crate::model::time::MICROS_PER_SECOND;

/// A change as its line says it.
#[derive(Clone, Debug, Deserialize)]
pub struct Told<'a> {
    /// T, in RFC 3339.
    #[serde(borrow)]
    pub as_of: Cow<'a, str>,
    /// Position of the journal.
    pub position: u64,
    /// Token of the person.
    #[serde(borrow)]
    pub person: Cow<'a, str>,
    /// Colour before; none if the person had no code.
    #[serde(borrow)]
    pub before: Option<Cow<'a, str>>,
    /// Colour after; none if the person has no code any more.
    #[serde(borrow)]
    pub after: Option<Cow<'a, str>>,
    /// Rules that became reasons.
    pub gained: Vec<String>,
    /// Rules that were, and are not any more.
    pub lost: Vec<String>,
}

impl<'a> Told<'a> {
    /// What a line says; none if it is not one of changes.
    #[must_use]
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }

    fn at(&self) -> Timestamp {
        Timestamp::parse_rfc3339(&self.as_of).unwrap_or_default()
    }

    /// The change of a row of codes in Debezium's envelope: `op` is c, u or d, `source` says position and rules.
    #[must_use]
    pub fn debezium(&self) -> Value {
        let row = |colour: &Option<Cow<'_, str>>| {
            colour.as_ref().map(|colour| json!({ "person": self.person, "colour": colour }))
        };
        let op = match (&self.before, &self.after) {
            (None, _) => "c",
            (Some(_), Some(_)) => "u",
            (Some(_), None) => "d",
        };
        let ts_ms = self.at().0.div_euclid(MICROS_PER_SECOND / 1000);
        json!({
            "before": row(&self.before),
            "after": row(&self.after),
            "source": {
                "version": env!("CARGO_PKG_VERSION"),
                "connector": "sanma",
                "name": "sanma",
                "ts_ms": ts_ms,
                "db": "sanma",
                "table": "codes",
                "position": self.position,
                "gained": self.gained,
                "lost": self.lost,
            },
            "op": op,
            "ts_ms": ts_ms,
        })
    }
}

/// Changes that were told as a batch of `changes`.
#[must_use]
pub fn told_batch(told: &[Told<'_>]) -> RecordBatch {
    let columns = vec![
        instants(told.iter().map(Told::at)),
        Arc::new(UInt64Array::from_iter_values(told.iter().map(|told| told.position))) as ArrayRef,
        texts(told.iter().map(|told| Some(&*told.person))),
        texts(told.iter().map(|told| told.before.as_deref())),
        texts(told.iter().map(|told| told.after.as_deref())),
        text_lists(told.iter().map(|told| told.gained.iter().map(String::as_str))),
        text_lists(told.iter().map(|told| told.lost.iter().map(String::as_str))),
    ];
    batch(&changes_schema(), columns)
}
