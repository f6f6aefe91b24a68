//! Exposures: contact with a case, the same place as a case, contact with the exposed.
//!
//! The one idea: a person's neighbours are probed against one bit a person (is there any case of theirs, in the second degree:
//! may they ever be exposed); only a hit is followed to the contact's times and the case's window.
//!
//! `volatile` is raised for whatever time alone may still change here: a contact or stay that has not ended, a case reported or
//! ruled out later, a window that moves. It may be raised needlessly, never wrongly left out.

use super::moment::Moment;
use crate::facts::Facts;
use crate::model::facts::{Case, Contacts, PlaceStay, TableColumns as _};
use crate::model::time::MICROS_PER_MINUTE;
use crate::model::{EnumSet, Outcome, PersonId, RuleId, Setting, Timestamp};
use crate::rules::{Cause, ContactRule};

/// The exposures of a person under a rule, summed up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exposures {
    /// First and last exposure that count.
    pub(super) counted: Option<(Timestamp, Timestamp)>,
    /// The earliest instant that may ever count as an exposure from now on.
    pub(super) earliest: Timestamp,
    /// Whether time alone may change them, other than by dropping all at once.
    pub(super) volatile: bool,
}

impl Default for Exposures {
    fn default() -> Self {
        Self { counted: None, earliest: Timestamp::NEVER, volatile: false }
    }
}

impl Exposures {
    /// Whether any counts or may count later.
    pub(super) fn possible(&self) -> bool {
        self.counted.is_some() || self.volatile
    }

    /// Both, summed up.
    pub(super) fn and(self, other: Self) -> Self {
        let counted = match (self.counted, other.counted) {
            (Some(mine), Some(theirs)) => Some((mine.0.min(theirs.0), mine.1.max(theirs.1))),
            (mine, theirs) => mine.or(theirs),
        };
        let (earliest, volatile) = (self.earliest.min(other.earliest), self.volatile | other.volatile);
        Self { counted, earliest, volatile }
    }

    fn count(&mut self, exposure: Timestamp) {
        let (first, last) = self.counted.unwrap_or((exposure, exposure));
        self.counted = Some((first.min(exposure), last.max(exposure)));
        self.earliest = self.earliest.min(exposure);
    }

    fn may_count_later(&mut self, exposure: Timestamp) {
        self.volatile = true;
        self.earliest = self.earliest.min(exposure);
    }
}

/// A half-open interval.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

impl Span {
    pub(super) const fn of(stay: &PlaceStay) -> Self {
        Self { from: stay.entered_at, to: stay.left_at }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), to: self.to.min(other.to) }
    }

    /// Whether it is longer than nothing and at least so many minutes long.
    pub(super) const fn lasts(self, minutes: u32) -> bool {
        let micros = self.to.micros_since(self.from);
        micros > 0 && micros >= minutes as i64 * MICROS_PER_MINUTE
    }
}

/// When a case infects, whatever is known of it at the moment.
pub(super) fn infectious(case: &Case, days_before_onset: u32) -> Span {
    let from = case.onset_at.unwrap_or(case.reported_at).minus_days(days_before_onset);
    Span { from, to: case.isolated_at.min(case.outcome_at) }
}

/// Exposures of `person` to cases, by contact and by place.
pub(super) fn first_degree(moment: &Moment<'_>, rule: &ContactRule, person: PersonId) -> Exposures {
    let mut found = Exposures::default();
    if rule.via_contact {
        by_contact(moment, rule, person, &mut found);
    }
    if rule.via_place {
        by_place(moment, rule, person, &mut found);
    }
    found
}

fn by_contact(moment: &Moment<'_>, rule: &ContactRule, person: PersonId, found: &mut Exposures) {
    for (case, setting, met) in contacts_with_cases(moment.facts, person) {
        meet_in_contact(moment, rule, case, setting, met, found);
    }
}

/// A person's contacts with cases: who, where and when.
pub(super) fn contacts_with_cases(
    facts: &Facts,
    person: PersonId,
) -> impl Iterator<Item = (PersonId, Setting, Span)> + use<'_> {
    facts.contacts_of.range(person.index()).filter_map(|end| {
        let other = facts.neighbours[end];
        let is_case = facts.cases_of.contains(other.index());
        is_case.then(|| contact_at(facts, end)).map(|(setting, met)| (other, setting, met))
    })
}

/// Where and when the contact at one of its ends took place.
pub(super) fn contact_at(facts: &Facts, end: usize) -> (Setting, Span) {
    let row = facts.contact_rows[end].index();
    (facts.contacts.setting[row], time_of(&facts.contacts, row))
}

/// From when to when a contact took.
pub(super) fn time_of(contacts: &Contacts, row: usize) -> Span {
    Span { from: contacts.started_at[row], to: contacts.ended_at(row) }
}

/// Counts the exposures of one contact with a case.
pub(super) fn meet_in_contact(
    moment: &Moment<'_>,
    rule: &ContactRule,
    case: PersonId,
    setting: Setting,
    met: Span,
    found: &mut Exposures,
) {
    if wants(rule.settings, setting) {
        meet_cases(moment, rule, case, met, met.to, found);
    }
}

pub(super) fn wants(settings: Option<EnumSet<Setting>>, setting: Setting) -> bool {
    settings.is_none_or(|wanted| wanted.contains(setting))
}

fn by_place(moment: &Moment<'_>, rule: &ContactRule, person: PersonId, found: &mut Exposures) {
    for (stay, case_stays) in stays_beside_cases(moment.facts, person) {
        meet_at_place(moment, rule, &stay, case_stays, found);
    }
}

/// A person's stays at places at which cases stayed, with the stays of those.
pub(super) fn stays_beside_cases(facts: &Facts, person: PersonId) -> impl Iterator<Item = (PlaceStay, &[PlaceStay])> {
    facts.stays_of.range(person.index()).filter_map(|row| {
        let case_stays = facts.case_stays_of.range(facts.stays.place[row]?.index());
        (!case_stays.is_empty()).then(|| (facts.place_stay(row), &facts.case_stays[case_stays]))
    })
}

/// Counts the exposures of one stay, at a place at which cases stayed.
pub(super) fn meet_at_place(
    moment: &Moment<'_>,
    rule: &ContactRule,
    stay: &PlaceStay,
    case_stays: &[PlaceStay],
    found: &mut Exposures,
) {
    let mine = Span::of(stay);
    // In the order of `entered_at`: past the first that comes when I have left nobody is met.
    for theirs in case_stays.iter().take_while(|theirs| theirs.entered_at < mine.to) {
        let both = mine.and(Span::of(theirs));
        if both.lasts(rule.min_minutes)
            && theirs.person != stay.person
            && near(rule.rows, stay.row.get(), theirs.row.get())
        {
            meet_cases(moment, rule, theirs.person, both, mine.to.max(theirs.left_at), found);
        }
    }
}

/// Whether two seats are near enough; they are unless both rows are known and differ by more than `within`.
pub(super) fn near(within: Option<u16>, mine: Option<u16>, theirs: Option<u16>) -> bool {
    match (within, mine, theirs) {
        (Some(within), Some(mine), Some(theirs)) => mine.abs_diff(theirs) <= within,
        _ => true,
    }
}

/// Counts the exposures of `met` (a time spent together, over by `ended_at`) with each case of `other`.
fn meet_cases(
    moment: &Moment<'_>,
    rule: &ContactRule,
    other: PersonId,
    met: Span,
    ended_at: Timestamp,
    found: &mut Exposures,
) {
    // An end that never comes never counts.
    if ended_at.is_never() {
        return;
    }
    for row in moment.facts.cases_of.range(other.index()) {
        let case = moment.facts.cases.row(row);
        let overlap = met.and(infectious(&case, rule.infectious_days_before_onset));
        if !rule.of.contains(case.kind) || !overlap.lasts(rule.min_minutes) || overlap.to <= moment.counted_after {
            continue;
        }
        let ruled_out_at = if case.outcome == Some(Outcome::RuledOut) { case.outcome_at } else { Timestamp::NEVER };
        if ruled_out_at <= moment.at {
            continue;
        }
        if case.reported_at > moment.at || ended_at > moment.at {
            found.may_count_later(overlap.to);
        } else {
            found.count(overlap.to);
            found.volatile |= !ruled_out_at.is_never();
        }
    }
}

/// Exposures of `person` to those exposed under the rule `through`.
pub(super) fn second_degree(
    moment: &Moment<'_>,
    through: RuleId,
    min_minutes: u32,
    settings: Option<EnumSet<Setting>>,
    person: PersonId,
) -> Exposures {
    let facts = moment.facts;
    let Cause::Contact(first) = &moment.program.rule(through).cause else {
        unreachable!("a checked program goes through first-degree contact rules only")
    };
    let exposed = moment.strata.exposed(through);
    let mut found = Exposures::default();
    for end in facts.contacts_of.range(person.index()) {
        let other = facts.neighbours[end];
        let Some(base) = exposed.of(other) else { continue };
        let (setting, met) = contact_at(facts, end);
        if !wants(settings, setting) || met.to <= base.earliest || met.to <= moment.counted_after {
            continue;
        }
        // The other's window moves as exposures come and go and quarantines begin: any such meeting may count later, or not
        // count any more.
        found.volatile = true;
        let counted = if moment.is_base() { base.counted } else { first_degree(moment, first, other).counted };
        let Some(window) = counted.map(|counted| window_of(moment, other, counted, first.release.days)) else {
            continue;
        };
        let overlap = met.and(window);
        if met.to <= moment.at && overlap.lasts(min_minutes) && overlap.to > moment.counted_after {
            found.count(overlap.to);
        }
    }
    found
}

/// When a person with counted exposures passes them on: from the first one until they are isolated or released.
fn window_of(moment: &Moment<'_>, person: PersonId, counted: (Timestamp, Timestamp), days: u32) -> Span {
    let (first, last) = counted;
    // Ordered by `started_at`: the first that fits is the earliest.
    let isolated = moment
        .facts
        .quarantines_of
        .range(person.index())
        .map(|row| moment.facts.quarantines.started_at[row])
        .find(|&started_at| started_at >= first)
        .filter(|&started_at| started_at <= moment.at);
    Span { from: first, to: isolated.unwrap_or(Timestamp::NEVER).min(last.plus_days(days)) }
}
