//! Which rows nothing can come of any more.
//!
//! The one idea: a rule counts back a bounded time, so a row that ended before that is over for good, whatever is told later.
//! Declarations are never over: the number of those before decides which one stands.

use rayon::prelude::*;

use super::LiveFacts;
use super::group::Ranges;
use crate::model::facts::TableColumns as _;
use crate::model::{Chunked, Outcome, Table, Timestamp};

/// Up to when what has ended is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over {
    /// What ended then or before.
    pub ended: Timestamp,
    /// Health reports of before.
    pub reported: Timestamp,
    /// Cases that recovered then or before.
    pub recovered: Timestamp,
}

impl LiveFacts {
    /// Rows that are over, by table and id. Cost: a pass over the ranges of every table, and the column that says when a row ended.
    #[must_use]
    pub fn forgettable(&self, over: Over) -> Vec<(Table, u64)> {
        let facts = self.facts();
        let people = facts.people;
        let ended = |at: Timestamp| at <= over.ended;
        let mut found = Vec::new();
        let mut take = |table: Table, mut ids: Vec<u64>| {
            ids.sort_unstable();
            found.extend(ids.into_iter().map(|id| (table, id)));
        };
        macro_rules! of_persons {
            ($rows:ident in $ranges:ident, $is_over:expr) => {
                of_persons(people, &facts.$ranges, &facts.$rows.id, $is_over)
            };
        }
        take(
            Table::Checkins,
            of_persons!(checkins in checkins_of, |row| facts.checkins.reported_at[row] < over.reported),
        );
        let is_over = |row: usize| {
            let (outcome, at) = (facts.cases.outcome[row].get(), facts.cases.outcome_at[row]);
            outcome.is_some() && ended(at) && (outcome != Some(Outcome::Recovered) || at <= over.recovered)
        };
        take(Table::Cases, of_persons!(cases in cases_of, is_over));
        let is_over = |row| ended(facts.quarantines.ended_at[row]);
        take(Table::Quarantines, of_persons!(quarantines in quarantines_of, is_over));
        take(Table::Contacts, self.contacts_over(ended));
        take(Table::Stays, of_persons!(stays in stays_of, |row| ended(facts.stays.left_at[row])));
        let areas = facts.risk_areas().rows().filter(|area| ended(area.delisted_at));
        take(Table::RiskAreas, areas.map(|area| area.id).collect());
        take(Table::Tests, of_persons!(tests in tests_of, |row| ended(facts.tests.sampled_at[row])));
        take(Table::Whitelist, of_persons!(whitelist in whitelist_of, |row| ended(facts.whitelist.until_at[row])));
        take(Table::Findings, of_persons!(findings in findings_of, |row| ended(facts.findings.lifted_at[row])));
        let reviews = facts.reviews.rows().filter(|review| ended(review.decided_at));
        take(Table::Reviews, reviews.map(|review| review.id).collect());
        found
    }

    /// Both ends lead to a contact; it is looked at from one.
    fn contacts_over(&self, ended: impl Fn(Timestamp) -> bool + Sync) -> Vec<u64> {
        let facts = self.facts();
        let of = |person: usize| facts.contacts_of.span_of(person).range().map(move |end| (person, end));
        let rows = (0..facts.people).into_par_iter().flat_map_iter(of);
        let rows = rows.map(|(person, end)| (person, facts.contact_rows[end] as usize));
        let rows = rows.filter(|&(person, row)| facts.contacts.person_a[row].index() == person);
        rows.filter(|&(_, row)| ended(facts.contacts.ended_at(row))).map(|(_, row)| facts.contacts.id[row]).collect()
    }
}

fn of_persons(
    people: usize,
    ranges: &(impl Ranges + Sync),
    ids: &Chunked<u64>,
    is_over: impl Fn(usize) -> bool + Sync,
) -> Vec<u64> {
    let rows = (0..people).into_par_iter().flat_map_iter(|person| ranges.span_of(person).range());
    rows.filter(|&row| is_over(row)).map(|row| ids[row]).collect()
}
