//! Tokens as Arrow's views, by id.
//!
//! The one idea: a view of a token is made once; from then on the text of an id is a copy of 16 bytes. What may be absent has
//! ids from 1, and the view at 0 is null.
//!
//! Cost: 16 bytes a token, made when one is first asked for; tokens of more than 12 bytes are copied besides.

use std::sync::OnceLock;

use arrow::array::{StringViewArray, StringViewBuilder};

use crate::facts::Facts;
use crate::intern::Tokens;

/// The views of a snapshot's names.
#[derive(Debug, Default)]
pub(super) struct Views {
    persons: OnceLock<StringViewArray>,
    places: OnceLock<StringViewArray>,
    labels: OnceLock<StringViewArray>,
}

impl Views {
    /// Persons, by id.
    pub(super) fn persons(&self, facts: &Facts) -> &StringViewArray {
        self.persons.get_or_init(|| views(&facts.names.persons, false))
    }

    /// Places, from 1.
    pub(super) fn places(&self, facts: &Facts) -> &StringViewArray {
        self.places.get_or_init(|| views(&facts.names.places, true))
    }

    /// Enterprises and reasons, from 1.
    pub(super) fn labels(&self, facts: &Facts) -> &StringViewArray {
        self.labels.get_or_init(|| views(&facts.names.labels, true))
    }
}

fn views(tokens: &Tokens, from_one: bool) -> StringViewArray {
    let mut builder = StringViewBuilder::with_capacity(tokens.len() + usize::from(from_one));
    if from_one {
        builder.append_null();
    }
    (0..tokens.len()).for_each(|index| builder.append_value(tokens.get(index)));
    builder.finish()
}
