//! Facts of a run of messages, as they go to whoever holds facts.

use std::collections::{BTreeMap, BTreeSet};

use crate::intern::Tokens;
use crate::model::facts::Tables;
use crate::model::{Rejection, Table};

/// What messages between two ticks say. Ids of persons, places and labels are of the batch's own names.
#[derive(Debug, Default)]
pub struct Batch {
    /// Rows sent, by id: of an id the last that is valid, unless a delete came after it.
    pub upserts: Tables,
    /// Ids of rows that are gone, by table and id. None of them is among the upserts of its table.
    pub deletes: Vec<(Table, u64)>,
    /// Tokens of persons, by [`crate::model::PersonId`]; some may be of rows that were refused or replaced.
    pub persons: Tokens,
    /// Tokens of places, by [`crate::model::PlaceId`].
    pub places: Tokens,
    /// Texts, by [`crate::model::LabelId`].
    pub labels: Tokens,
    /// Messages refused, in the feed's order.
    pub rejections: Vec<Rejection>,
    /// Messages that the batch answers for: all but blank lines and ticks; those refused, and tombstones, included.
    pub messages: usize,
    /// Keys of rows that are no column of their table; they are ignored.
    pub unknown: BTreeMap<Table, BTreeSet<String>>,
}
