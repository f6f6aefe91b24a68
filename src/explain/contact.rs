//! Contacts of the first and the second degree.
//!
//! The one idea: *where* a contact or a shared stay overlaps a window does not depend on T; T decides only whether the overlap is
//! known yet, still believed, and recent. So an [`Exposure`] is an instant together with the span of T in which it is
//! [`Known`]. A second degree's window does depend on T, since it begins and ends with the exposures that count at T; it is
//! worked out anew at every T.
//!
//! Invariant: an infectious window ends at the least of `isolated_at` and `outcome_at`, whether or not T has come to that.

use super::sighting::{Proof, Sighting};
use super::subject::{Others, Subject, rows_of};
use crate::model::facts::{Case, Contact, Quarantine, Stay};
use crate::model::time::MICROS_PER_MINUTE;
use crate::model::{EnumSet, Outcome, PersonId, RuleId, Setting, Timestamp};
use crate::rules::{Cause, ContactRule};

/// A span of time, half open.
#[derive(Clone, Copy)]
struct Span {
    from: Timestamp,
    to: Timestamp,
}

impl Span {
    fn and(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), to: self.to.min(other.to) }
    }

    /// Whether it is longer than nothing, and at least so many minutes.
    fn lasts(self, minutes: u32) -> bool {
        self.to > self.from && self.to.micros_since(self.from) >= i64::from(minutes) * MICROS_PER_MINUTE
    }
}

/// The end of an overlap with a case's infectious window, under some degree-1 rule, and when it is known.
#[derive(Clone, Copy)]
pub(super) struct Known {
    /// End of the overlap.
    pub(super) at: Timestamp,
    /// Known from when the contact (or both stays) has ended and the case is reported ...
    pub(super) from: Timestamp,
    /// ... until the case is ruled out.
    pub(super) until: Timestamp,
}

impl Known {
    /// Whether it counts at T, with R days of retention.
    pub(super) fn counts(&self, at: Timestamp, retention_days: u32) -> bool {
        self.from <= at && at < self.until && self.at > at.minus_days(retention_days)
    }
}

/// An exposure and the rows that prove it.
#[derive(Clone, Copy)]
pub(super) struct Exposure {
    pub(super) known: Known,
    pub(super) proof: Proof,
}

/// Somebody whom the person met: the contacts of the rule's settings, and what a second degree asks of the other.
#[derive(Clone)]
pub(super) struct Neighbour {
    person: PersonId,
    /// Contacts of the two.
    pub(super) contacts: Vec<Contact>,
    /// The other's exposures under the rule that is looked through, ordered by their instants.
    pub(super) exposures: Vec<Known>,
    /// The other's quarantines, of any kind.
    pub(super) quarantines: Vec<Quarantine>,
}

/// All exposures that `person` can have at any T under a degree-1 rule, ordered by their instants.
pub(super) fn exposures_of(others: &Others, rule: &ContactRule, person: PersonId) -> Vec<Exposure> {
    let mut exposures = Vec::new();
    if rule.via_contact {
        for contact in rows_of(&others.contacts_of, person).iter().filter(|contact| is_of(contact, rule.settings)) {
            let cases = rows_of(&others.cases_of, other_of(contact, person));
            exposures.extend(cases.iter().filter_map(|case| met(rule, contact, case)));
        }
    }
    if rule.via_place {
        for own in rows_of(&others.stays_of, person) {
            let Some(place) = own.place else { continue };
            let company = rows_of(&others.stays_in, place).iter().filter(|stay| stay.person != person);
            for theirs in company.filter(|theirs| rows_are_near(rule.rows, own, theirs)) {
                let cases = rows_of(&others.cases_of, theirs.person);
                exposures.extend(cases.iter().filter_map(|case| shared(rule, own, theirs, case)));
            }
        }
    }
    exposures.sort_by_key(|exposure| exposure.known.at);
    exposures
}

/// The same without proofs, and with spans that touch made one: whoever met many cases on one journey has many exposures
/// that end as it does, and one span or two.
fn known(exposures: &[Exposure]) -> Vec<Known> {
    let mut spans: Vec<Known> = exposures.iter().map(|exposure| exposure.known).collect();
    spans.retain(|span| span.from < span.until);
    spans.sort_by_key(|span| (span.at, span.from));
    let mut merged: Vec<Known> = Vec::new();
    for span in spans {
        match merged.last_mut() {
            Some(last) if last.at == span.at && span.from <= last.until => last.until = last.until.max(span.until),
            _ => merged.push(span),
        }
    }
    merged
}

/// Everybody in contact with `person` who can have been exposed under `through`.
pub(super) fn neighbours_of(
    others: &Others,
    through: &ContactRule,
    settings: Option<EnumSet<Setting>>,
    person: PersonId,
) -> Vec<Neighbour> {
    let contacts: Vec<Contact> =
        rows_of(&others.contacts_of, person).iter().copied().filter(|contact| is_of(contact, settings)).collect();
    let mut people: Vec<PersonId> = contacts.iter().map(|contact| other_of(contact, person)).collect();
    people.sort_unstable();
    people.dedup();
    let neighbour = |other: PersonId| Neighbour {
        person: other,
        contacts: contacts.iter().copied().filter(|contact| other_of(contact, person) == other).collect(),
        exposures: known(&exposures_of(others, through, other)),
        quarantines: rows_of(&others.quarantines_of, other).to_vec(),
    };
    people.into_iter().map(neighbour).filter(|neighbour| !neighbour.exposures.is_empty()).collect()
}

fn met(rule: &ContactRule, contact: &Contact, case: &Case) -> Option<Exposure> {
    let time = Span { from: contact.started_at, to: contact.ended_at() };
    let proof = Proof::Met { contact: *contact, case: *case };
    exposure(rule, time, contact.ended_at(), case, proof)
}

fn shared(rule: &ContactRule, own: &Stay, theirs: &Stay, case: &Case) -> Option<Exposure> {
    let time = stay_time(own).and(stay_time(theirs));
    let proof = Proof::Shared { own: *own, theirs: *theirs, case: *case };
    exposure(rule, time, own.left_at.max(theirs.left_at), case, proof)
}

/// The overlap of `time`, which is over at `ended_at`, with the window of `case`, if it is long enough to count.
fn exposure(rule: &ContactRule, time: Span, ended_at: Timestamp, case: &Case, proof: Proof) -> Option<Exposure> {
    let overlap = time.and(infectious_window(rule, case));
    let infects = rule.of.contains(case.kind) && overlap.lasts(rule.min_minutes);
    let until = if case.outcome == Some(Outcome::RuledOut) { case.outcome_at } else { Timestamp::NEVER };
    infects.then(|| Exposure { known: Known { at: overlap.to, from: ended_at.max(case.reported_at), until }, proof })
}

fn infectious_window(rule: &ContactRule, case: &Case) -> Span {
    let onset = case.onset_at.unwrap_or(case.reported_at);
    Span { from: onset.minus_days(rule.infectious_days_before_onset), to: case.isolated_at.min(case.outcome_at) }
}

fn stay_time(stay: &Stay) -> Span {
    Span { from: stay.entered_at, to: stay.left_at }
}

/// Whether two seats are at most `rows` rows apart; a row that is not known, or not asked for, does not part them.
fn rows_are_near(rows: Option<u16>, own: &Stay, theirs: &Stay) -> bool {
    match (rows, own.row, theirs.row) {
        (Some(apart), Some(own), Some(theirs)) => own.abs_diff(theirs) <= apart,
        _ => true,
    }
}

fn is_of(contact: &Contact, settings: Option<EnumSet<Setting>>) -> bool {
    settings.is_none_or(|settings| settings.contains(contact.setting))
}

/// The other one of the two.
pub(super) fn other_of(contact: &Contact, person: PersonId) -> PersonId {
    if contact.person_a == person { contact.person_b } else { contact.person_a }
}

impl Subject<'_> {
    /// The exposures under a degree-1 rule that count at T.
    pub(super) fn first_degree(&self, rule: RuleId, at: Timestamp) -> Vec<Sighting> {
        let counted = |exposure: &&Exposure| exposure.known.counts(at, self.program.retention_days);
        self.exposures[usize::from(rule.0)]
            .iter()
            .filter(counted)
            .map(|exposure| Sighting { trigger: exposure.known.at, proof: exposure.proof })
            .collect()
    }

    /// The latest of [`Self::first_degree`].
    pub(super) fn latest_first_degree(&self, rule: RuleId, at: Timestamp) -> Option<Timestamp> {
        let retention_days = self.program.retention_days;
        let mut latest_first = self.exposures[usize::from(rule.0)].iter().rev();
        latest_first.find(|exposure| exposure.known.counts(at, retention_days)).map(|exposure| exposure.known.at)
    }

    /// The exposures under a degree-2 rule that count at T.
    pub(super) fn second_degree(
        &self,
        rule: RuleId,
        through: RuleId,
        min_minutes: u32,
        at: Timestamp,
    ) -> Vec<Sighting> {
        let recent = at.minus_days(self.program.retention_days);
        let mut sightings = Vec::new();
        for neighbour in &self.neighbours[usize::from(rule.0)] {
            let Some(window) = self.exposed_window(neighbour, through, at) else { continue };
            for contact in neighbour.contacts.iter().filter(|contact| contact.ended_at() <= at) {
                let overlap = Span { from: contact.started_at, to: contact.ended_at() }.and(window.span);
                if overlap.lasts(min_minutes) && overlap.to > recent {
                    let proof = Proof::MetExposed {
                        contact: *contact,
                        other: neighbour.person,
                        first: window.span.from,
                        last: window.last,
                        quarantine: window.quarantine,
                    };
                    sightings.push(Sighting { trigger: overlap.to, proof });
                }
            }
        }
        sightings
    }

    /// The exposures of somebody whom the person met that count at T under the degree-1 rule `through`.
    pub(super) fn exposures_of_other(&self, through: RuleId, other: PersonId, at: Timestamp) -> Vec<Exposure> {
        let Cause::Contact(through) = &self.program.rule(through).cause else { return Vec::new() };
        let mut exposures = exposures_of(&self.others, through, other);
        exposures.retain(|exposure| exposure.known.counts(at, self.program.retention_days));
        exposures
    }

    /// The window in which a neighbour may have passed it on, as known at T; `None` without a counted exposure.
    fn exposed_window(&self, neighbour: &Neighbour, through: RuleId, at: Timestamp) -> Option<ExposedWindow> {
        let retention_days = self.program.retention_days;
        let mut counted = neighbour.exposures.iter().filter(|exposure| exposure.counts(at, retention_days));
        let first = counted.next()?.at;
        let last = counted.next_back().map_or(first, |exposure| exposure.at);
        let days = match &self.program.rule(through).cause {
            Cause::Contact(through) => through.release.days,
            _ => 0,
        };
        let quarantine = neighbour
            .quarantines
            .iter()
            .copied()
            .filter(|quarantine| quarantine.started_at >= first && quarantine.started_at <= at)
            .min_by_key(|quarantine| quarantine.started_at);
        let until = last.plus_days(days);
        let to = quarantine.map_or(until, |quarantine| until.min(quarantine.started_at));
        Some(ExposedWindow { span: Span { from: first, to }, last, quarantine })
    }
}

struct ExposedWindow {
    span: Span,
    last: Timestamp,
    quarantine: Option<Quarantine>,
}
