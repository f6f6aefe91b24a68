//! What speaks for a rule: an instant and the rows that prove it.
//!
//! The one idea: every cause answers in the same form, a list of sightings, so that the verdict needs their instants only
//! and the report shows the very rows that the verdict was made from.
//!
//! Invariant: a sighting holds copies of rows, never a conclusion drawn elsewhere.

use crate::model::facts::{Case, Contact, Declaration, Finding, Quarantine, Stay, Test};
use crate::model::{EnumSet, Level, PersonId, Symptom, Timestamp};

/// One thing that speaks for (or, for what is wanted and missing, against) a rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sighting {
    /// The instant that a release counts from; for causes without one, since when it holds.
    pub(super) trigger: Timestamp,
    /// The rows.
    pub(super) proof: Proof,
}

/// The rows behind a sighting.
#[derive(Clone, Copy, Debug)]
pub(super) enum Proof {
    /// The person is this case.
    Patient(Case),
    /// The person is in this quarantine.
    Held(Quarantine),
    /// A contact with a case's person.
    Met { contact: Contact, case: Case },
    /// A place shared with a case's person.
    Shared { own: Stay, theirs: Stay, case: Case },
    /// A contact with somebody who had been exposed: first and last counted exposure, and the quarantine that ended it.
    MetExposed { contact: Contact, other: PersonId, first: Timestamp, last: Timestamp, quarantine: Option<Quarantine> },
    /// A stay in an area.
    Visited { stay: Stay, level: Level },
    /// The standing declaration's `came_from`.
    CameFrom { declaration: Declaration, level: Level },
    /// The standing declaration's `residence`.
    Resides { declaration: Declaration, level: Level },
    /// Admitted in the standing declaration.
    Admitted(Declaration),
    /// A health report.
    Reported(Report),
    /// A test.
    Tested(Test),
    /// A false declaration found.
    Found(Finding),
}

/// A health report: the standing declaration or a check-in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    /// When.
    pub(super) at: Timestamp,
    /// Which row.
    pub(super) source: ReportSource,
    /// Symptoms, with a temperature at or over the limit as fever.
    pub(super) symptoms: EnumSet<Symptom>,
}

/// The row behind a health report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReportSource {
    /// A declaration of this id.
    Declaration(u64),
    /// A check-in of this id.
    Checkin(u64),
}

/// The latest trigger.
pub(super) fn latest(sightings: &[Sighting]) -> Option<Timestamp> {
    sightings.iter().map(|sighting| sighting.trigger).max()
}
