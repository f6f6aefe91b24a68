//! Who has met whom, in how many steps.

use hashbrown::HashMap;

use crate::facts::Facts;
use crate::model::{PersonId, Timestamp};

/// A contact that leads from nearer to further away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Met {
    /// How many contacts away the person is.
    pub(super) degree: u8,
    /// Who.
    pub(super) person: PersonId,
    /// Through whom; nobody for those whom the person asked for has met.
    pub(super) via: Option<PersonId>,
    /// The contact's row.
    pub(super) row: u32,
}

/// The contacts, begun by an instant, that lead from a person to those so many contacts away, each person being as near as can be.
/// Cost: the contacts of all who are nearer.
pub(super) fn contacts_of(facts: &Facts, person: PersonId, degree: i64, at: Timestamp) -> Vec<Met> {
    let mut distances: HashMap<PersonId, u8> = HashMap::new();
    distances.insert(person, 0);
    let (mut found, mut edge) = (Vec::new(), vec![person]);
    for degree in (1..).take(usize::try_from(degree).unwrap_or_default()) {
        let mut next = Vec::new();
        for &near in &edge {
            for end in facts.contacts_of.range(near.index()) {
                if facts.contacts.started_at[facts.contact_rows[end].index()] > at {
                    continue;
                }
                let other = facts.neighbours[end];
                let distance = *distances.entry(other).or_insert_with(|| {
                    next.push(other);
                    degree
                });
                if distance == degree {
                    let via = Some(near).filter(|&near| near != person);
                    found.push(Met { degree, person: other, via, row: facts.contact_rows[end].0 });
                }
            }
        }
        edge = next;
    }
    found
}
