//! Tokens as Arrow's views, by id.
//!
//! The one idea: a view of a token is made once; from then on the text of an id is a copy of 16 bytes. An id is a token's for good, so
//! views are shared by all snapshots in which people have the same numbers; a batch with a token that came after the views is copied
//! token by token. What may be absent has ids from 1, and the view at 0 is null.
//!
//! Cost: 16 bytes a token, made when one is first asked for and again when there are twice as many; tokens of more than 12 bytes are
//! copied besides.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array as _, ArrayRef, AsArray as _, StringViewArray, StringViewBuilder, UInt32Array};
use arrow::compute::take;
use arrow::error::ArrowError;

use crate::facts::Facts;
use crate::intern::Tokens;

/// Views of the tokens of one kind: of the first ones, and in the end of half of them at least.
#[derive(Debug, Default)]
pub(super) struct Texts(Mutex<Option<StringViewArray>>);

impl Texts {
    /// Texts of some ids; `absent` is how many ids stand for none.
    fn of(&self, tokens: &Tokens, absent: usize, ids: &UInt32Array) -> Result<ArrayRef, ArrowError> {
        let views = self.views(tokens, absent);
        if ids.iter().flatten().all(|id| (id as usize) < views.len()) {
            let texts = take(&views, ids, None)?;
            // A view keeps all long tokens in memory: those that are not named are left behind.
            return Ok(if views.data_buffers().is_empty() { texts } else { Arc::new(texts.as_string_view().gc()) });
        }
        let text = |id: u32| (id as usize).checked_sub(absent).map(|index| tokens.get(index));
        Ok(Arc::new(ids.iter().map(|id| id.and_then(text)).collect::<StringViewArray>()))
    }

    /// Whoever else wants them while they are made waits, and makes none.
    fn views(&self, tokens: &Tokens, absent: usize) -> StringViewArray {
        let ids = absent + tokens.len();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(views) = known.as_ref().filter(|views| ids <= 2 * views.len()) {
            return views.clone();
        }
        let mut builder = StringViewBuilder::with_capacity(ids);
        (0..absent).for_each(|_| builder.append_null());
        (0..tokens.len()).for_each(|index| builder.append_value(tokens.get(index)));
        known.insert(builder.finish()).clone()
    }
}

/// The views of a snapshot's names.
#[derive(Clone, Debug, Default)]
pub(super) struct Views {
    persons: Arc<Texts>,
    places: Arc<Texts>,
    labels: Arc<Texts>,
}

impl Views {
    /// The same with other names of people.
    pub(super) fn with_persons(&self, persons: Arc<Texts>) -> Self {
        Self { persons, ..self.clone() }
    }

    /// Tokens of persons.
    ///
    /// # Errors
    /// None where ids are of the tokens; so for the others.
    pub(super) fn persons(&self, facts: &Facts, ids: &UInt32Array) -> Result<ArrayRef, ArrowError> {
        self.persons.of(&facts.names.persons, 0, ids)
    }

    /// Tokens of places, from 1.
    pub(super) fn places(&self, facts: &Facts, ids: &UInt32Array) -> Result<ArrayRef, ArrowError> {
        self.places.of(&facts.names.places, 1, ids)
    }

    /// Enterprises and reasons, from 1.
    pub(super) fn labels(&self, facts: &Facts, ids: &UInt32Array) -> Result<ArrayRef, ArrowError> {
        self.labels.of(&facts.names.labels, 1, ids)
    }
}
