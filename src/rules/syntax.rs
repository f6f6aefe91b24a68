//! Reading a span-carrying TOML document: tables that know which keys they were asked for, values that know their type.
//!
//! The one idea: reading never stops. A getter that finds something wrong records it and answers a stand-in, so the reader
//! is straight-line code and one pass finds every error; [`Section::finish`] then reports the keys that nobody asked for.
//!
//! Invariant: a stand-in is answered only after an error was recorded, and a document with errors yields no `Program`.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{RuleError, RuleErrorKind, near_miss};
use crate::model::{ClosedEnum, EnumSet, Timestamp, UtcOffset};

/// Where errors are gathered.
#[derive(Debug, Default)]
pub(super) struct Errors {
    found: Vec<RuleError>,
}

impl Errors {
    pub(super) fn add(&mut self, span: Range<usize>, kind: RuleErrorKind) {
        self.found.push(RuleError { span, kind, hint: None });
    }

    pub(super) fn add_with_hint(&mut self, span: Range<usize>, kind: RuleErrorKind, hint: impl Into<String>) {
        self.found.push(RuleError { span, kind, hint: Some(hint.into()) });
    }

    /// The errors in the order of the text.
    pub(super) fn into_sorted(mut self) -> Vec<RuleError> {
        self.found.sort_by_key(|error| (error.span.start, error.span.end));
        self.found
    }
}

/// A table that is being read.
pub(super) struct Section<'d> {
    table: &'d DeTable<'d>,
    span: Range<usize>,
    name: String,
    asked: Vec<&'static str>,
}

impl<'d> Section<'d> {
    /// `name` is how error messages call it; `span` is where they point when a key is missing.
    pub(super) fn new(table: &'d DeTable<'d>, span: Range<usize>, name: String) -> Self {
        Self { table, span, name, asked: Vec::new() }
    }

    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Where the key stands, if it is there; that is not asking for it.
    pub(super) fn key_span(&self, key: &str) -> Option<Range<usize>> {
        self.table.get_key_value(key).map(|(key, _)| key.span())
    }

    /// The value of a key that may be left out.
    pub(super) fn optional(&mut self, key: &'static str) -> Option<Value<'d>> {
        self.asked.push(key);
        self.table.get(key).map(|node| Value { key, node })
    }

    /// The value of a key that must be there.
    pub(super) fn required(&mut self, key: &'static str, errors: &mut Errors) -> Option<Value<'d>> {
        let value = self.optional(key);
        if value.is_none() {
            errors.add(self.span(), RuleErrorKind::MissingKey { key, section: self.name.clone() });
        }
        value
    }

    /// Lets a key pass that cannot be judged, because what it depends on is wrong already.
    pub(super) fn tolerate(&mut self, keys: &[&'static str]) {
        self.asked.extend_from_slice(keys);
    }

    /// A required text.
    pub(super) fn text(&mut self, key: &'static str, errors: &mut Errors) -> String {
        self.required(key, errors).and_then(|value| value.text(errors)).unwrap_or_default().to_owned()
    }

    /// A required count.
    pub(super) fn count(&mut self, key: &'static str, errors: &mut Errors) -> u32 {
        self.required(key, errors).and_then(|value| value.count(u32::MAX, errors)).unwrap_or_default()
    }

    /// A count that is `default` where left out.
    pub(super) fn count_or(&mut self, key: &'static str, default: u32, errors: &mut Errors) -> u32 {
        self.optional(key).and_then(|value| value.count(u32::MAX, errors)).unwrap_or(default)
    }

    /// A required set of words, not empty.
    pub(super) fn words<E: ClosedEnum>(&mut self, key: &'static str, errors: &mut Errors) -> EnumSet<E> {
        self.required(key, errors).map_or(EnumSet::EMPTY, |value| value.words(errors))
    }

    /// Reports every key that was never asked for. `elsewhere` may know what such a key belongs to.
    pub(super) fn finish(self, elsewhere: impl Fn(&str) -> Option<String>, errors: &mut Errors) {
        for key in self.table.keys() {
            let name = key.get_ref().as_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let hint = elsewhere(name)
                .or_else(|| near_miss(name, self.asked.iter().copied()).map(|near| format!("did you mean `{near}`?")))
                .unwrap_or_else(|| format!("known here: {}", listed(&self.asked)));
            let kind = RuleErrorKind::UnknownKey { key: name.to_owned(), section: self.name.clone() };
            errors.add_with_hint(key.span(), kind, hint);
        }
    }
}

/// A key's value.
#[derive(Clone, Copy)]
pub(super) struct Value<'d> {
    key: &'static str,
    node: &'d Spanned<DeValue<'d>>,
}

impl<'d> Value<'d> {
    pub(super) fn span(self) -> Range<usize> {
        self.node.span()
    }

    fn wrong_type(self, expected: &'static str, errors: &mut Errors) {
        let found = type_name(self.node.get_ref());
        errors.add(self.span(), RuleErrorKind::WrongType { key: self.key, expected, found });
    }

    pub(super) fn text(self, errors: &mut Errors) -> Option<&'d str> {
        let text = self.node.get_ref().as_str();
        if text.is_none() {
            self.wrong_type("a string", errors);
        }
        text
    }

    pub(super) fn flag(self, errors: &mut Errors) -> Option<bool> {
        let flag = self.node.get_ref().as_bool();
        if flag.is_none() {
            self.wrong_type("true or false", errors);
        }
        flag
    }

    /// A whole number from 0 to `most`.
    pub(super) fn count(self, most: u32, errors: &mut Errors) -> Option<u32> {
        let Some(integer) = self.node.get_ref().as_integer() else {
            self.wrong_type("a whole number", errors);
            return None;
        };
        let (key, found) = (self.key, integer.to_string());
        match i128::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) if (0..=i128::from(most)).contains(&number) => u32::try_from(number).ok(),
            Ok(..0) => {
                errors.add(self.span(), RuleErrorKind::Negative { key, found });
                None
            }
            Err(_) if integer.as_str().starts_with('-') => {
                errors.add(self.span(), RuleErrorKind::Negative { key, found });
                None
            }
            Ok(_) | Err(_) => {
                errors.add(self.span(), RuleErrorKind::TooLarge { key, found, most });
                None
            }
        }
    }

    /// A finite number, whole or not.
    pub(super) fn number(self, errors: &mut Errors) -> Option<f64> {
        let written = match self.node.get_ref() {
            DeValue::Float(float) => float.as_str().to_owned(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().to_owned(),
            _ => {
                self.wrong_type("a decimal number", errors);
                return None;
            }
        };
        let number = written.parse().ok().filter(|number: &f64| number.is_finite());
        if number.is_none() {
            errors.add(self.span(), RuleErrorKind::NotFinite { key: self.key, found: written });
        }
        number
    }

    /// An instant: a TOML date or date and time, or the same as a string; without an offset it is local time in `offset`.
    pub(super) fn instant(self, offset: UtcOffset, errors: &mut Errors) -> Option<Timestamp> {
        let written = match self.node.get_ref() {
            DeValue::Datetime(instant) => instant.to_string(),
            DeValue::String(text) => text.to_string(),
            _ => {
                self.wrong_type("a date, or a date and a time", errors);
                return None;
            }
        };
        let instant = Timestamp::parse_typed(&written, offset);
        if instant.is_none() {
            let kind = RuleErrorKind::Instant { key: self.key, found: written };
            errors.add_with_hint(self.span(), kind, "write 2020-02-21 or 2020-02-21T08:00:00+08:00");
        }
        instant
    }

    /// One word of a closed list.
    pub(super) fn word(self, known: &[&'static str], errors: &mut Errors) -> Option<&'static str> {
        let text = self.text(errors)?;
        let word = known.iter().copied().find(|&word| word == text);
        if word.is_none() {
            let hint = near_miss(text, known.iter().copied())
                .map_or_else(|| format!("known words: {}", listed(known)), |near| format!("did you mean `{near}`?"));
            errors.add_with_hint(
                self.span(),
                RuleErrorKind::UnknownWord { key: self.key, word: text.to_owned() },
                hint,
            );
        }
        word
    }

    /// A list of words of a closed list, not empty.
    pub(super) fn word_list(self, known: &[&'static str], errors: &mut Errors) -> Vec<&'static str> {
        let items = self.items(errors);
        if items.as_ref().is_some_and(Vec::is_empty) {
            let kind = RuleErrorKind::Empty { key: self.key };
            errors.add_with_hint(self.span(), kind, format!("known words: {}", listed(known)));
        }
        items.into_iter().flatten().filter_map(|item| item.word(known, errors)).collect()
    }

    /// As [`Self::word_list`], as a set.
    pub(super) fn words<E: ClosedEnum>(self, errors: &mut Errors) -> EnumSet<E> {
        self.word_list(E::NAMES, errors).into_iter().filter_map(E::parse).collect()
    }

    /// The items of a list; each goes by the list's key in error messages.
    pub(super) fn items(self, errors: &mut Errors) -> Option<Vec<Value<'d>>> {
        let Some(array) = self.node.get_ref().as_array() else {
            self.wrong_type("a list", errors);
            return None;
        };
        Some(array.iter().map(|node| Value { key: self.key, node }).collect())
    }

    /// The table that the value is.
    pub(super) fn table(self, errors: &mut Errors) -> Option<&'d DeTable<'d>> {
        let table = self.node.get_ref().as_table();
        if table.is_none() {
            self.wrong_type("a table", errors);
        }
        table
    }

    /// As [`Self::table`], to be read; error messages call it `name`.
    pub(super) fn section(self, name: String, errors: &mut Errors) -> Option<Section<'d>> {
        self.table(errors).map(|table| Section::new(table, self.span(), name))
    }
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// `a`, `b`, `c`
pub(super) fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
