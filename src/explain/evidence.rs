//! The rows behind a rule, for those who may see them.
//!
//! The one idea: a row is shown as its table, its id, its instants and the little else that the rule read, so that it can be found
//! and, where it is wrong, corrected.
//!
//! Invariant: only pages for officials call this.

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use super::report::{LocalInstant, Names};
use super::sighting::{Proof, ReportSource, Sighting};
use super::subject::Subject;
use crate::model::facts::{Case, Contact, Declaration, Finding, Quarantine, Stay, Test, WhitelistEntry};
use crate::model::{ClosedEnum, PersonId, Region, RuleId, Table, Timestamp};
use crate::rules::Cause;

/// A row that a rule read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// Name of the table.
    pub table: &'static str,
    /// Key of the row.
    pub id: u64,
    /// Token of the other person that the row is of, if it is of another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// Its instants by column, null where open.
    #[serde(serialize_with = "as_map")]
    pub instants: Vec<(&'static str, Option<LocalInstant>)>,
    /// What else the rule read of it.
    #[serde(serialize_with = "as_map")]
    pub details: Vec<(&'static str, String)>,
}

fn as_map<V: Serialize, S: Serializer>(pairs: &[(&'static str, V)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(pairs.len()))?;
    for (name, value) in pairs {
        map.serialize_entry(name, value)?;
    }
    map.end()
}

/// The rows behind the sightings of a rule, each once, in the sightings' order.
pub(super) fn evidence_of(
    subject: &Subject,
    rule: RuleId,
    sightings: &[Sighting],
    excused: bool,
    at: Timestamp,
    names: &dyn Names,
) -> Vec<Evidence> {
    let cause = &subject.program.rule(rule).cause;
    let mut file = File { subject, names, at, rows: Vec::new(), current: 0 };
    for sighting in sightings {
        file.of_proof(&sighting.proof);
        if let (Proof::MetExposed { other, .. }, Cause::SecondContact { through, .. }) = (sighting.proof, cause) {
            for exposure in subject.exposures_of_other(*through, other, at) {
                file.of_exposure_of(other, &exposure.proof);
            }
        }
    }
    if excused {
        let holding = subject.whitelist.iter().filter(|entry| entry.from_at <= at && at < entry.until_at);
        holding.for_each(|entry| file.whitelist(entry));
    }
    file.rows
}

struct File<'a> {
    subject: &'a Subject<'a>,
    names: &'a dyn Names,
    at: Timestamp,
    rows: Vec<Evidence>,
    /// The row that details go to.
    current: usize,
}

impl File<'_> {
    fn of_proof(&mut self, proof: &Proof) {
        match proof {
            Proof::Patient(case) => self.case(case),
            Proof::Held(quarantine) => self.quarantine(quarantine),
            Proof::Met { contact, case } => {
                self.contact(contact, case.person);
                self.case(case);
            }
            Proof::Shared { own, theirs, case } => {
                self.stay(own);
                self.stay(theirs);
                self.case(case);
            }
            Proof::MetExposed { contact, other, first, last, quarantine } => {
                self.contact(contact, *other);
                let offset = self.subject.program.utc_offset;
                self.detail("first_exposed_at", &first.to_rfc3339_at(offset));
                self.detail("last_exposed_at", &last.to_rfc3339_at(offset));
                if let Some(quarantine) = quarantine {
                    self.quarantine(quarantine);
                }
            }
            Proof::Visited { stay, .. } => {
                self.stay(stay);
                self.listings(stay.region);
            }
            Proof::CameFrom { declaration, .. } => {
                self.declaration(declaration);
                if let Some(came_from) = declaration.came_from {
                    self.detail("came_from", &came_from.code().to_string());
                    self.listings(came_from);
                }
            }
            Proof::Resides { declaration, .. } => {
                self.declaration(declaration);
                self.detail("residence", &declaration.residence.code().to_string());
                self.listings(declaration.residence);
            }
            Proof::Admitted(declaration) => {
                self.declaration(declaration);
                self.detail("admits", &list(declaration.admissions.iter()));
            }
            Proof::Reported(report) => {
                let (table, id, column) = match report.source {
                    ReportSource::Declaration(id) => (Table::Declarations, id, "declared_at"),
                    ReportSource::Checkin(id) => (Table::Checkins, id, "reported_at"),
                };
                self.add(table, id, None, &[(column, Some(report.at))]);
                self.detail("symptoms", &list(report.symptoms.iter()));
            }
            Proof::Tested(test) => self.test(test),
            Proof::Found(finding) => self.finding(finding),
        }
    }

    /// What exposed somebody else: as for the person, but of a contact both ends are named.
    fn of_exposure_of(&mut self, exposed: PersonId, proof: &Proof) {
        if let Proof::Met { contact, case } = proof {
            self.contact(contact, case.person);
            let exposed = self.names.person(exposed).to_owned();
            self.detail("with", &exposed);
            self.case(case);
        } else {
            self.of_proof(proof);
        }
    }

    fn case(&mut self, case: &Case) {
        let instants = [
            ("onset_at", case.onset_at),
            ("reported_at", Some(case.reported_at)),
            ("isolated_at", Some(case.isolated_at)),
            ("outcome_at", Some(case.outcome_at)),
        ];
        self.add(Table::Cases, case.id, Some(case.person), &instants);
        self.detail("kind", case.kind.name());
        if let Some(outcome) = case.outcome {
            self.detail("outcome", outcome.name());
        }
    }

    fn quarantine(&mut self, row: &Quarantine) {
        let instants = [("started_at", Some(row.started_at)), ("ended_at", Some(row.ended_at))];
        self.add(Table::Quarantines, row.id, Some(row.person), &instants);
        self.detail("kind", row.kind.name());
    }

    fn contact(&mut self, contact: &Contact, other: PersonId) {
        let instants = [("started_at", Some(contact.started_at)), ("ended_at", Some(contact.ended_at()))];
        self.add(Table::Contacts, contact.id, Some(other), &instants);
        self.detail("setting", contact.setting.name());
    }

    fn stay(&mut self, stay: &Stay) {
        let instants = [("entered_at", Some(stay.entered_at)), ("left_at", Some(stay.left_at))];
        self.add(Table::Stays, stay.id, Some(stay.person), &instants);
        self.detail("region", &stay.region.code().to_string());
        if let Some(place) = stay.place {
            let place = self.names.place(place).to_owned();
            self.detail("place", &place);
        }
        if let Some(row) = stay.row {
            self.detail("row", &row.to_string());
        }
    }

    fn listings(&mut self, region: Region) {
        for area in self.subject.listings_at(region, self.at) {
            let instants = [("listed_at", Some(area.listed_at)), ("delisted_at", Some(area.delisted_at))];
            self.add(Table::RiskAreas, area.id, None, &instants);
            self.detail("region", &area.region.code().to_string());
            self.detail("level", area.level.name());
        }
    }

    fn declaration(&mut self, row: &Declaration) {
        let mut instants = vec![("declared_at", Some(row.declared_at))];
        instants.extend(row.arrived_at.map(|arrived_at| ("arrived_at", Some(arrived_at))));
        self.add(Table::Declarations, row.id, None, &instants);
    }

    fn test(&mut self, row: &Test) {
        let instants = [("sampled_at", Some(row.sampled_at)), ("resulted_at", Some(row.resulted_at))];
        self.add(Table::Tests, row.id, None, &instants);
        self.detail("result", row.result.name());
    }

    fn finding(&mut self, row: &Finding) {
        let instants = [("found_at", Some(row.found_at)), ("lifted_at", Some(row.lifted_at))];
        self.add(Table::Findings, row.id, None, &instants);
    }

    fn whitelist(&mut self, row: &WhitelistEntry) {
        let instants = [("from_at", Some(row.from_at)), ("until_at", Some(row.until_at))];
        self.add(Table::Whitelist, row.id, None, &instants);
        let reason = self.names.label(row.reason).to_owned();
        self.detail("reason", &reason);
    }
}

impl File<'_> {
    /// Files a row, unless it is filed already.
    fn add(&mut self, table: Table, id: u64, of: Option<PersonId>, instants: &[(&'static str, Option<Timestamp>)]) {
        if let Some(filed) = self.rows.iter().position(|row| row.table == table.name() && row.id == id) {
            self.current = filed;
            return;
        }
        let offset = self.subject.program.utc_offset;
        let local = |at: Option<Timestamp>| at.and_then(Timestamp::finite).map(|at| LocalInstant { at, offset });
        self.current = self.rows.len();
        self.rows.push(Evidence {
            table: table.name(),
            id,
            person: of.filter(|&of| of != self.subject.person).map(|of| self.names.person(of).to_owned()),
            instants: instants.iter().map(|&(column, at)| (column, local(at))).collect(),
            details: Vec::new(),
        });
    }

    fn detail(&mut self, name: &'static str, value: &str) {
        if let Some(row) = self.rows.get_mut(self.current)
            && !row.details.iter().any(|(known, _)| *known == name)
        {
            row.details.push((name, value.to_owned()));
        }
    }
}

fn list<E: ClosedEnum>(values: impl Iterator<Item = E>) -> String {
    values.map(E::name).collect::<Vec<_>>().join(" ")
}
