//! The names of facts, with those of regions, as an explanation calls them.

use crate::explain::{self, Words};
use crate::facts;
use crate::gazetteer;
use crate::model::{LabelId, PersonId, PlaceId, Region};

/// Names of persons, places and labels as they were given, and of regions out of the lists.
#[derive(Clone, Copy, Debug)]
pub struct Spelt<'a>(pub &'a facts::Names);

impl explain::Names for Spelt<'_> {
    fn person(&self, person: PersonId) -> &str {
        self.0.person(person)
    }

    fn place(&self, place: PlaceId) -> &str {
        self.0.place(place)
    }

    fn label(&self, label: LabelId) -> &str {
        self.0.label(label)
    }

    fn region(&self, region: Region) -> Words {
        let [zh, en] = gazetteer::with_code(region);
        Words { zh, en }
    }
}
