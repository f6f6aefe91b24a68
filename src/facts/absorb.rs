//! Rows of a batch, whose ids are those of the batch's own names, into facts that change.
//!
//! The one idea: a name is looked up once a batch, when the first row needs it.

use super::{LiveFacts, Names};
use crate::intern::Tokens;
use crate::model::facts::{
    Case, Checkin, Contact, Declaration, Finding, Quarantine, Review, Stay, TableColumns as _, Tables, Test,
    WhitelistEntry,
};
use crate::model::{LabelId, PersonId, PlaceId};

/// Ids of the facts, by id of the batch, as far as they have been looked up.
struct Known<'a, I> {
    tokens: &'a Tokens,
    ids: Vec<Option<I>>,
}

impl<'a, I: Copy> Known<'a, I> {
    fn new(tokens: &'a Tokens) -> Self {
        Self { tokens, ids: vec![None; tokens.len()] }
    }

    fn get(&mut self, index: usize, look_up: impl FnOnce(&str) -> I) -> I {
        *self.ids[index].get_or_insert_with(|| look_up(self.tokens.get(index)))
    }
}

/// A batch's ids to those of facts.
struct Ids<'a> {
    persons: Known<'a, PersonId>,
    places: Known<'a, PlaceId>,
    labels: Known<'a, LabelId>,
}

impl Ids<'_> {
    fn person(&mut self, live: &mut LiveFacts, id: PersonId) -> PersonId {
        self.persons.get(id.index(), |token| live.person(token))
    }

    fn place(&mut self, live: &mut LiveFacts, id: Option<PlaceId>) -> Option<PlaceId> {
        id.map(|id| self.places.get(id.index(), |token| live.place(token)))
    }

    fn label(&mut self, live: &mut LiveFacts, id: LabelId) -> LabelId {
        self.labels.get(id.index(), |text| live.label(text))
    }

    fn label_if(&mut self, live: &mut LiveFacts, id: Option<LabelId>) -> Option<LabelId> {
        id.map(|id| self.label(live, id))
    }
}

/// Rows that name one person and nothing else that has an id of its own.
macro_rules! absorb_persons {
    ($live:ident, $ids:ident, $($rows:expr => $upsert:ident as $row:ident;)+) => {$(
        for row in $rows.rows() {
            let person = $ids.person($live, row.person);
            $live.$upsert($row { person, ..row });
        }
    )+};
}

impl LiveFacts {
    /// Puts the rows of a batch in, each in the place of the one with its id. `names` are the batch's own.
    ///
    /// # Panics
    /// If a row has an id that the names do not know.
    pub fn absorb(&mut self, rows: &Tables, names: &Names) {
        let live = self;
        let ids = &mut Ids {
            persons: Known::new(&names.persons),
            places: Known::new(&names.places),
            labels: Known::new(&names.labels),
        };
        for row in rows.declarations.rows() {
            let (person, enterprise) = (ids.person(live, row.person), ids.label_if(live, row.enterprise));
            live.upsert_declaration(Declaration { person, enterprise, ..row });
        }
        for row in rows.checkins.rows() {
            let (person, enterprise) = (ids.person(live, row.person), ids.label_if(live, row.enterprise));
            live.upsert_checkin(Checkin { person, enterprise, ..row });
        }
        for row in rows.whitelist.rows() {
            let (person, reason) = (ids.person(live, row.person), ids.label(live, row.reason));
            live.upsert_whitelisting(WhitelistEntry { person, reason, ..row });
        }
        for row in rows.stays.rows() {
            let (person, place) = (ids.person(live, row.person), ids.place(live, row.place));
            live.upsert_stay(Stay { person, place, ..row });
        }
        for row in rows.contacts.rows() {
            let (person_a, person_b) = (ids.person(live, row.person_a), ids.person(live, row.person_b));
            live.upsert_contact(Contact { person_a, person_b, ..row });
        }
        absorb_persons! {
            live, ids,
            rows.cases => upsert_case as Case;
            rows.quarantines => upsert_quarantine as Quarantine;
            rows.tests => upsert_test as Test;
            rows.findings => upsert_finding as Finding;
            rows.reviews => upsert_review as Review;
        }
        for area in rows.risk_areas.rows() {
            live.upsert_risk_area(area);
        }
    }
}
