//! One message: what of the envelope says that it is, and where in it the row lies.
//!
//! The one idea: the envelope is read with its values left as they lie in the text; those that matter are looked at then. Of a key
//! that is there twice the last value counts, as in a row.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::model::{Table, Timestamp};

/// What a message says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message<'a> {
    /// A row is put in the place of the one with its id.
    Upsert(Table, &'a str),
    /// The row with the id of this one is gone.
    Delete(Table, &'a str),
    /// Time has come so far.
    Tick(Timestamp),
    /// What Debezium sends after a delete, for a log that forgets: nothing new.
    Tombstone,
}

/// Why a line is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The table, as far as it is known.
    pub(super) table: Option<Table>,
    /// The key that is missing or has no value that it may have, if it is about one.
    pub(super) key: Option<&'static str>,
}

impl Wrong {
    /// Nothing about it is legible.
    pub(super) const NOTHING: Self = Self { table: None, key: None };

    const fn key(table: Option<Table>, key: &'static str) -> Self {
        Self { table, key: Some(key) }
    }
}

/// The message that a line is.
pub(super) fn parse(line: &str) -> Result<Message<'_>, Wrong> {
    if line == "null" {
        return Ok(Message::Tombstone);
    }
    let envelope = Envelope::of(line)?;
    match envelope.payload {
        Some("null") if !envelope.says_anything() => Ok(Message::Tombstone),
        Some(payload) if !envelope.says_anything() => Envelope::of(payload)?.message(),
        _ => envelope.message(),
    }
}

/// The values that matter, as they lie in the text.
#[derive(Default)]
struct Envelope<'a> {
    table: Option<&'a str>,
    op: Option<&'a str>,
    row: Option<&'a str>,
    before: Option<&'a str>,
    after: Option<&'a str>,
    source: Option<&'a str>,
    /// May be `null`; the others are then not there.
    payload: Option<&'a str>,
    as_of: Option<&'a str>,
}

impl<'a> Envelope<'a> {
    fn of(text: &'a str) -> Result<Self, Wrong> {
        serde_json::from_str(text).map_err(|_| Wrong::NOTHING)
    }

    const fn says_anything(&self) -> bool {
        self.table.is_some() || self.op.is_some() || self.as_of.is_some()
    }

    fn message(&self) -> Result<Message<'a>, Wrong> {
        if let Some(as_of) = self.as_of {
            // A line that is a fact as well is neither: there is no telling which was meant.
            let alone = self.table.is_none() && self.op.is_none();
            let at = text(as_of).filter(|_| alone).and_then(|at| Timestamp::parse_rfc3339(&at));
            return at.map(Message::Tick).ok_or(Wrong::key(None, "as_of"));
        }
        if !self.says_anything() && self.source.is_none() {
            return Err(Wrong::NOTHING);
        }
        // Debezium names the table in `source`, of which the rest says where in the database's log the change is.
        let name = match (self.table, self.source) {
            (None, Some(source)) => Self::of(source).ok().and_then(|source| source.table),
            (name, _) => name,
        };
        let table = name.and_then(text).and_then(|name| Table::parse(&name));
        let table = table.ok_or(Wrong::key(None, "table"))?;
        let op = self.op.and_then(text);
        let op = op.as_deref().unwrap_or_default();
        let (is_upsert, key, row) = match (self.table.is_some(), op) {
            (true, "upsert") => (true, "row", self.row),
            (true, "delete") => (false, "row", self.row),
            (false, "c" | "u" | "r") => (true, "after", self.after),
            (false, "d") => (false, "before", self.before),
            _ => return Err(Wrong::key(Some(table), "op")),
        };
        let row = row.ok_or(Wrong::key(Some(table), key))?;
        Ok(if is_upsert { Message::Upsert(table, row) } else { Message::Delete(table, row) })
    }
}

/// The text that a value is, if it is one.
fn text(value: &str) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str(value).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
}

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Table,
    Op,
    Row,
    Before,
    After,
    Source,
    Payload,
    AsOf,
    #[serde(other)]
    Other,
}

impl<'de: 'a, 'a> Deserialize<'de> for Envelope<'a> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_map(Envelopes)
    }
}

struct Envelopes;

impl<'de> Visitor<'de> for Envelopes {
    type Value = Envelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope<'de>, A::Error> {
        let mut envelope = Envelope::default();
        while let Some(key) = map.next_key()? {
            let place = match key {
                Key::Table => &mut envelope.table,
                Key::Op => &mut envelope.op,
                Key::Row => &mut envelope.row,
                Key::Before => &mut envelope.before,
                Key::After => &mut envelope.after,
                Key::Source => &mut envelope.source,
                Key::Payload => &mut envelope.payload,
                Key::AsOf => &mut envelope.as_of,
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            let value = map.next_value::<&RawValue>()?.get();
            *place = Some(value).filter(|&value| value != "null" || matches!(key, Key::Payload));
        }
        Ok(envelope)
    }
}
