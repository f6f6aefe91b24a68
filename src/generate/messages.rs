//! Messages for a city that is there: facts as they come while it is followed.
//!
//! The one idea: a message is a function of the seed and its number, as a row of a generated table is; who it is of is drawn from the
//! people that there are.

use std::io::Write as _;

use super::random::{Draws, Purpose};
use crate::model::time::MICROS_PER_SECOND;
use crate::model::{Region, Table, Timestamp};

/// How many of a million messages are rows of a table: half contacts, nearly all of the rest stays and check-ins.
const MIX: [(Table, u32); 7] = [
    (Table::Contacts, 500_000),
    (Table::Stays, 300_000),
    (Table::Checkins, 180_000),
    (Table::Tests, 15_000),
    (Table::Quarantines, 3_000),
    (Table::Declarations, 1_500),
    (Table::Cases, 500),
];
/// How far back facts lie, in seconds.
const PAST_SECONDS: i64 = 14 * 24 * 3_600;
/// Ids begin behind those of any table.
const FIRST_ID: u64 = 1 << 40;
/// Places that one in ten stays is at.
const PLACES: u64 = 1_000;

/// What those say of themselves who are well.
const WELL: &str = r#""fever":false,"dyspnea":false,"respiratory":false"#;
/// What those say of themselves who met nobody and went nowhere.
const AT_HOME: &str = r#""contact_with_case":false,"visited_key_area":false"#;

/// Messages without end.
#[derive(Clone, Debug)]
pub struct Messages {
    seed: u64,
    /// Tokens of people, as JSON.
    people: Vec<String>,
    region: Region,
    as_of: Timestamp,
    number: u64,
}

impl Messages {
    /// Messages of these people, in a region, as of an instant. None can be made of nobody.
    #[must_use]
    pub fn new<'a>(
        seed: u64,
        people: impl IntoIterator<Item = &'a str>,
        region: Region,
        as_of: Timestamp,
    ) -> Option<Self> {
        let people: Vec<String> = people.into_iter().map(|token| serde_json::Value::from(token).to_string()).collect();
        (people.len() > 1).then_some(Self { seed, people, region, as_of, number: 0 })
    }

    /// The tables that messages are of.
    pub fn tables() -> impl Iterator<Item = Table> {
        MIX.iter().map(|(table, _)| *table)
    }

    /// Adds the next message, as a line; gives the table that it is of.
    ///
    /// # Panics
    /// Never: a line can be added in memory.
    pub fn add(&mut self, lines: &mut Vec<u8>) -> Table {
        let mut draws = Draws::new(self.seed, Purpose::Message, self.number);
        let id = FIRST_ID + self.number;
        self.number += 1;
        let mut left = draws.below(1_000_000);
        let is_drawn = |(_, share): &&(Table, u32)| {
            let is_here = left < u64::from(*share);
            left = left.saturating_sub(u64::from(*share));
            is_here
        };
        let table = MIX.iter().find(is_drawn).map_or(Table::Contacts, |(table, _)| *table);
        let people = self.people.len() as u64;
        let one = draws.below(people);
        // Nobody meets themselves.
        let other = (one + 1 + draws.below(people - 1)) % people;
        let token = |number: u64| &self.people[usize::try_from(number).unwrap_or(0)];
        let (person, other) = (token(one), token(other));
        let begin = self.as_of.0 - draws.seconds(3_600, PAST_SECONDS) * MICROS_PER_SECOND;
        let length = draws.seconds(60, 3_600);
        let at = |micros: i64| Timestamp(micros).to_rfc3339();
        let (begin, end) = (at(begin), at(begin + length * MICROS_PER_SECOND));
        let region = self.region.code();
        let row = match table {
            Table::Contacts => format!(
                r#""person_a":{person},"person_b":{other},"started_at":"{begin}","duration_s":{length},"setting":"work""#
            ),
            Table::Stays if draws.chance(100_000) => format!(
                r#""person":{person},"region":{region},"place":"venue-{}","entered_at":"{begin}","left_at":"{end}""#,
                draws.below(PLACES)
            ),
            Table::Stays => format!(r#""person":{person},"region":{region},"entered_at":"{begin}","left_at":"{end}""#),
            Table::Checkins => format!(r#""person":{person},"reported_at":"{begin}","temperature_c":36.5,{WELL}"#),
            Table::Tests => {
                format!(r#""person":{person},"sampled_at":"{begin}","resulted_at":"{end}","result":"negative""#)
            }
            Table::Quarantines => format!(r#""person":{person},"kind":"home","started_at":"{begin}""#),
            Table::Declarations => format!(
                r#""person":{person},"declared_at":"{begin}","doc_type":"resident_id","residence":{region},{WELL},{AT_HOME}"#
            ),
            _ => format!(r#""person":{person},"kind":"confirmed","reported_at":"{begin}""#),
        };
        let written = writeln!(lines, r#"{{"table":"{}","op":"upsert","row":{{"id":{id},{row}}}}}"#, table.name());
        written.expect("memory");
        table
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::ingest::feed::{Event, SourceName, decode, lines};

    #[test]
    fn every_message_is_taken_and_the_mix_is_what_it_says() {
        let region = Region::new(330_106).expect("a region");
        let people = ["p\"1", "p2", "三"];
        let at = Timestamp::parse_rfc3339("2020-02-20T00:00:00Z").expect("an instant");
        let mut messages = Messages::new(5, people, region, at).expect("people");
        let (mut text, mut counts) = (Vec::new(), BTreeMap::<Table, u32>::new());
        for _ in 0..100_000 {
            *counts.entry(messages.add(&mut text)).or_default() += 1;
        }
        let mut events = decode(SourceName { number: 0, name: "test" }, lines(&text, 1));
        let Some(Event::Facts(batch)) = events.pop() else { panic!("facts") };
        assert!(events.is_empty() && batch.rejections.is_empty(), "{:?}", batch.rejections.first());
        assert!(batch.unknown.is_empty(), "{:?}", batch.unknown);
        assert_eq!(batch.upserts.rows(), 100_000);
        for (table, share) in MIX {
            let (found, wanted) = (i64::from(counts[&table]), i64::from(share / 10));
            assert!((found - wanted).abs() < 20 + wanted / 20, "{}: {found}", table.name());
        }
        assert!(Messages::new(5, ["one"], region, at).is_none());
    }
}
