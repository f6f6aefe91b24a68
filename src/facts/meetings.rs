//! Where cases may have been met: their contacts, and the stays at places where they stayed.
//!
//! The one idea: cases are few, so what a rule about contacts reads is a small part of the contacts and stays; it is copied
//! once into pieces that lie in the order in which they are read, whatever the rules and the instant will be.
//!
//! Cost: a visit a contact of a case, 4 bytes a stay and a visit a stay at such a place. Memory: 29 bytes a contact, 24 a stay.

use rayon::prelude::*;

use super::{Facts, Sparse};
use crate::model::facts::{Contact, Contacts, PlaceStay, TableColumns as _};
use crate::model::{Chunked, Flat, PersonId, PlaceId, Timestamp};

impl Facts {
    /// Builds the indexes of this file; the tables are in order.
    pub(super) fn index_meetings(&mut self) {
        self.case_contacts = self.contacts_of_cases();
        self.index_case_stays();
        self.index_shared_stays();
    }

    /// The same for facts that change, whose stays of cases are up to date; `visits` are all stays in places.
    pub(super) fn index_live_meetings(&mut self, visits: &Chunked<PlaceStay>, visits_of: &Sparse) {
        self.case_contacts = self.contacts_of_cases();
        let places = self.case_stays_of.keys();
        let shared = places
            .iter()
            .flat_map(|&place| visits[visits_of.range(place as usize)].iter().map(move |&stay| (place as usize, stay)));
        let (places, stays): (Vec<usize>, Vec<PlaceStay>) = shared.unzip();
        self.shared_stays = stays.into();
        self.shared_stays_of = Sparse::of_ascending(self.names.places.len(), places.into_iter());
    }

    fn contacts_of_cases(&self) -> Contacts {
        let contacts_of = |&case: &u32| {
            self.contacts_of.range(case as usize).map(move |end| Contact {
                person_a: PersonId(case),
                person_b: self.neighbours[end],
                ..self.contacts.row(self.contact_rows[end].index())
            })
        };
        let rows: Vec<Contact> = self.cases_of.keys().par_iter().flat_map_iter(contacts_of).collect();
        let mut contacts = Contacts::default();
        for row in rows {
            contacts.push(row);
        }
        contacts
    }

    fn index_case_stays(&mut self) {
        let rows = self.cases_of.keys().into_iter().flat_map(|person| self.stays_of.range(person as usize));
        let placed = rows.filter_map(|row| Some((self.stays.place[row]?, self.stays.entered_at[row], row)));
        let (stays, ranges) = self.by_place(placed.collect());
        (self.case_stays, self.case_stays_of) = (stays.into(), ranges);
    }

    fn index_shared_stays(&mut self) {
        let shared = self.stays.place.base().par_iter().enumerate().filter_map(|(row, place)| {
            let place = place.filter(|place| self.case_stays_of.contains(place.index()))?;
            Some((place, self.stays.entered_at[row], row))
        });
        (self.shared_stays, self.shared_stays_of) = self.by_place(shared.collect());
    }

    /// The stays in some rows, by place and `entered_at`.
    fn by_place(&self, mut placed: Vec<(PlaceId, Timestamp, usize)>) -> (Flat<PlaceStay>, Sparse) {
        placed.par_sort_unstable();
        let ranges = Sparse::of_ascending(self.names.places.len(), placed.iter().map(|(place, ..)| place.index()));
        (placed.par_iter().map(|&(.., row)| self.place_stay(row)).collect(), ranges)
    }

    /// All stays in places, by place and `entered_at`. Cost: a sort of them.
    pub(super) fn all_visits(&self) -> (Flat<PlaceStay>, Sparse) {
        let placed = self.stays.place.base().par_iter().enumerate();
        self.by_place(placed.filter_map(|(row, place)| Some(((*place)?, self.stays.entered_at[row], row))).collect())
    }

    /// What co-presence asks of a row of `stays`. Panics if it is out of range.
    #[must_use]
    pub fn place_stay(&self, row: usize) -> PlaceStay {
        let stays = &self.stays;
        PlaceStay {
            person: stays.person[row],
            row: stays.row[row],
            entered_at: stays.entered_at[row],
            left_at: stays.left_at[row],
        }
    }
}
