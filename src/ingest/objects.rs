//! Objects of JSON, one a row, to the rows of a table: lines of an NDJSON file, rows of a feed's messages.
//!
//! The one idea: an object's values are put where its table's columns are while it is parsed, texts left where they lie, so that
//! nothing is made of it that is thrown away again. The whole of it must be JSON all the same, what nobody asked for included.
//!
//! Of a key that is there twice the last value counts.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::cells::{Cells, Chunk, Interners};
use super::fields::{Field, decode};
use super::rows::Decode;
use super::{Part, malformed};
use crate::model::Column;

/// A value of JSON, as far as a column can have it.
#[derive(Clone, Debug)]
enum Value<'a> {
    Null,
    Bool(bool),
    UInt(u64),
    Float(f64),
    Text(Cow<'a, str>),
    /// A list or an object.
    Other,
}

impl Value<'_> {
    fn field(&self) -> Field<'_> {
        match self {
            Self::Null => Field::Null,
            &Self::Bool(value) => Field::Bool(value),
            &Self::UInt(value) => Field::UInt(value),
            &Self::Float(value) => Field::Float(value),
            Self::Text(text) => Field::Text(text),
            Self::Other => Field::Illegible,
        }
    }
}

/// Objects that have been parsed: the values of some columns, row by row.
pub(super) struct Objects<'a> {
    columns: &'static [Column],
    values: Vec<Value<'a>>,
    rows: usize,
    /// Keys that are no column.
    unknown: BTreeSet<String>,
}

impl<'a> Objects<'a> {
    /// None yet; there will be so many rows.
    pub(super) fn new(columns: &'static [Column], rows: usize) -> Self {
        Self { columns, values: Vec::with_capacity(rows * columns.len()), rows: 0, unknown: BTreeSet::new() }
    }

    /// Adds the object that a text is; gives whether it is one.
    pub(super) fn push(&mut self, text: &'a str) -> bool {
        let begin = self.values.len();
        self.values.resize(begin + self.columns.len(), Value::Null);
        let mut unknown = Vec::new();
        let mut reader = serde_json::Deserializer::from_str(text);
        let row = Row {
            columns: self.columns,
            values: &mut self.values[begin..],
            known: &self.unknown,
            unknown: &mut unknown,
        };
        if row.deserialize(&mut reader).and_then(|()| reader.end()).is_err() {
            self.values.truncate(begin);
            return false;
        }
        self.unknown.extend(unknown);
        self.rows += 1;
        true
    }

    /// The values of the column with this index, checked.
    pub(super) fn decode(&self, index: usize, interners: &Interners) -> Cells {
        let fields = self.values.chunks_exact(self.columns.len()).map(|row| row[index].field());
        decode(&self.columns[index], fields, self.rows, interners)
    }
}

/// Records that are each to be an object, with row or line, to a part; and, for each row kept, the index of its record.
pub(super) fn take_objects<C: Decode>(
    records: &[(u64, &[u8])],
    (source, name): (u32, &str),
    interners: &Interners,
    unknown: &mut BTreeSet<String>,
) -> (Part<C>, Vec<u32>) {
    let mut part = Part::default();
    let columns = C::TABLE.columns();
    let mut objects = Objects::new(columns, records.len());
    let mut good: Vec<u32> = Vec::with_capacity(records.len());
    for (index, &(offset, text)) in (0..).zip(records) {
        if std::str::from_utf8(text).is_ok_and(|text| objects.push(text)) {
            good.push(index);
        } else {
            let text = String::from_utf8_lossy(text.trim_ascii());
            part.rejections.push(malformed(Some(C::TABLE), name, offset, &text.into()));
        }
    }
    let cells = (0..columns.len()).map(|index| objects.decode(index, interners)).collect();
    let chunk = Chunk { table: C::TABLE, rows: good.len(), cells, source };
    let record = |row: usize| records[good[row] as usize];
    // The text as it came: a number of a wrong type need not fit any type of ours.
    let row_json = |row: usize| String::from_utf8_lossy(record(row).1.trim_ascii()).into_owned();
    let refused = part.take(chunk, name, |row| record(row).0, row_json);
    unknown.append(&mut objects.unknown);
    if !refused.is_empty() {
        let (mut refused, mut row) = (refused.into_iter().peekable(), 0);
        good.retain(|_| {
            row += 1;
            refused.next_if_eq(&(row - 1)).is_none()
        });
    }
    (part, good)
}

/// Where an object's values go.
struct Row<'r, 'a> {
    columns: &'static [Column],
    values: &'r mut [Value<'a>],
    known: &'r BTreeSet<String>,
    unknown: &'r mut Vec<String>,
}

impl<'a> DeserializeSeed<'a> for Row<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Row<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let Row { columns, values, known, unknown } = self;
        let mut next = 0;
        while let Some(column) = map.next_key_seed(Key { columns, next, known, unknown: &mut *unknown })? {
            match column {
                Some(index) => {
                    values[index] = map.next_value()?;
                    next = index + 1;
                }
                None => {
                    map.next_value::<Whatever>()?;
                }
            }
        }
        Ok(())
    }
}

/// A key: the index of its column, if it has one.
struct Key<'r> {
    columns: &'static [Column],
    /// The column that is likely to come: most writers keep an order.
    next: usize,
    known: &'r BTreeSet<String>,
    unknown: &'r mut Vec<String>,
}

impl<'a> DeserializeSeed<'a> for Key<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'a>>(self, reader: D) -> Result<Option<usize>, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Option<usize>, E> {
        if self.columns.get(self.next).is_some_and(|column| column.name == name) {
            return Ok(Some(self.next));
        }
        let found = self.columns.iter().position(|column| column.name == name);
        if found.is_none() && !self.known.contains(name) {
            self.unknown.push(name.to_owned());
        }
        Ok(found)
    }
}

impl<'a> Deserialize<'a> for Value<'a> {
    fn deserialize<D: Deserializer<'a>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(Values)
    }
}

struct Values;

impl<'a> Visitor<'a> for Values {
    type Value = Value<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value<'a>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value<'a>, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value<'a>, E> {
        Ok(Value::UInt(value))
    }

    /// Below zero: no column of whole numbers has it.
    fn visit_i64<E>(self, value: i64) -> Result<Value<'a>, E> {
        #[expect(clippy::cast_precision_loss, reason = "a number of JSON is the nearest double")]
        Ok(Value::Float(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value<'a>, E> {
        Ok(Value::Float(value))
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Value<'a>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'a>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'a>>(self, list: A) -> Result<Value<'a>, A::Error> {
        Whatever.visit_seq(list).map(|_| Value::Other)
    }

    fn visit_map<A: MapAccess<'a>>(self, map: A) -> Result<Value<'a>, A::Error> {
        Whatever.visit_map(map).map(|_| Value::Other)
    }
}

/// A value that nobody asks for. Other than [`serde::de::IgnoredAny`] it is read like any other: a text that is none, or a
/// number beyond all doubles, is no JSON wherever it stands.
struct Whatever;

impl<'a> Deserialize<'a> for Whatever {
    fn deserialize<D: Deserializer<'a>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(Self)
    }
}

impl<'a> Visitor<'a> for Whatever {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Table;

    fn fields(text: &str) -> Option<Vec<String>> {
        let mut objects = Objects::new(Table::Stays.columns(), 1);
        let told = |value: &Value<'_>| format!("{:?}", value.field());
        objects.push(text).then(|| objects.values.iter().map(told).collect())
    }

    /// What the tree that is no longer built would have said, key by key.
    fn fields_of_tree(text: &str) -> Option<Vec<String>> {
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).ok()?;
        let field = |column: &Column| match object.get(column.name) {
            None | Some(serde_json::Value::Null) => Field::Null,
            Some(serde_json::Value::Bool(value)) => Field::Bool(*value),
            Some(serde_json::Value::Number(number)) => {
                number.as_u64().map_or_else(|| Field::Float(number.as_f64().expect("a double")), Field::UInt)
            }
            Some(serde_json::Value::String(text)) => Field::Text(text),
            Some(_) => Field::Illegible,
        };
        Some(Table::Stays.columns().iter().map(|column| format!("{:?}", field(column))).collect())
    }

    #[test]
    fn an_object_is_what_a_tree_of_it_is() {
        let deep = |levels: usize| format!("{{\"note\": {}{}}}", "[".repeat(levels), "]".repeat(levels));
        let texts = [
            "{}",
            " {\"id\": 1} \r\n",
            r#"{"id": 1, "person": "p", "id": 2, "region": 1.0, "row": -0, "left_at": -5}"#,
            r#"{"row": 1e2, "id": 18446744073709551616, "place": "a \"b\" 三", "person": null}"#,
            r#"{"place": [1, {"a": []}], "region": {"id": 7}, "entered_at": true}"#,
            r#"{"note": 1e999}"#,
            r#"{"id": 1e999}"#,
            r#"{"note": "\ud800"}"#,
            r#"{"note": {"\ud800": 1}}"#,
            r#"{"note": [1, 2,]}"#,
            r#"{"id": 01}"#,
            r#"{"id": 1,}"#,
            "{} {}",
            "[1]",
            "null",
            "17",
            "\"{}\"",
            "",
            "{\"id\": \"a\tb\"}",
            "{1: 2}",
            &deep(100),
            &deep(126),
            &deep(127),
            &deep(10_000),
        ];
        for text in texts {
            assert_eq!(fields(text), fields_of_tree(text), "{text:?}");
        }
    }

    #[test]
    fn keys_that_are_no_column_are_told_of_objects_only() {
        let mut objects = Objects::new(Table::Stays.columns(), 3);
        assert!(objects.push(r#"{"note": 1, "id": 1, "tag": 2, "note": 3}"#));
        assert!(!objects.push(r#"{"lost": 1"#));
        assert!(objects.push(r#"{"note": 1, "\u0074ag": 2}"#));
        assert!(objects.unknown.iter().eq(["note", "tag"]));
        assert_eq!((objects.rows, objects.values.len()), (2, 2 * Table::Stays.columns().len()));
    }
}
