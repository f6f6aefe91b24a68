//! The epidemic: day by day, along the contacts and the shared places that are written.
//!
//! The one idea: contacts and stays are functions of their row, so the days can be played before anything is written: a day's
//! rows are scanned for people who are infectious, what they may have caused is decided in the order of rows, and tomorrow's
//! rows are scanned with what is known by then. Memory is a few bits a person and what concerns the patients.
//!
//! Invariants: whoever was infected in the city has a row with the patient in that patient's infectious time; what a day
//! decides (isolation, quarantine) begins after it, so the rows of a day are the same when it is written.

use std::ops::Range;

use hashbrown::HashMap;
use rayon::prelude::*;

use super::bits::Bits;
use super::calendar::{DAY, HOUR, MINUTE, Seconds, day_of};
use super::city::{City, profile};
use super::contacts::{self, Meeting};
use super::course::Course;
use super::random::{Draws, Purpose};
use super::stays::{self, Place, Visit};
use super::withdrawn::Withdrawn;
use super::{GenerateError, Watcher};
use crate::limits::GENERATED_BATCH_ROWS;
use crate::model::{QuarantineKind, Setting};

/// Infections brought in, in millionths of the people, and at least so many.
const SEEDS: u32 = 2_000;
const SEEDS_MIN: u32 = 3;
/// False alarms, in millionths of the people.
const SUSPECTS: u32 = 250;
/// Contacts last into the night.
const OVERHANG: Seconds = 9 * HOUR;
/// Rows of seats across which a shared carriage counts.
const ROWS_NEAR: u16 = 3;

/// Where an infection came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// From Hubei.
    Imported,
    /// From an infection (by its index), in the contact of a row.
    Contact { by: usize, row: u64 },
    /// From an infection (by its index), in a place, in the stay of a row.
    Place { by: usize, row: u64 },
}

/// An infection.
#[derive(Clone, Debug)]
pub(super) struct Infection {
    pub(super) person: u32,
    pub(super) at: Seconds,
    pub(super) source: Source,
    pub(super) course: Course,
}

/// A false alarm.
#[derive(Clone, Debug)]
pub(super) struct Suspect {
    pub(super) person: u32,
    pub(super) onset: Seconds,
    pub(super) reported: Seconds,
    pub(super) isolated: Seconds,
    pub(super) ruled_out: Seconds,
}

/// A contact who was found and put in quarantine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traced {
    pub(super) person: u32,
    pub(super) kind: QuarantineKind,
    pub(super) started: Seconds,
}

/// Length of a quarantine.
pub(super) const QUARANTINE: Seconds = 14 * DAY;

/// The epidemic, played to the end.
#[derive(Debug)]
pub(super) struct Epidemic {
    pub(super) infections: Vec<Infection>,
    pub(super) suspects: Vec<Suspect>,
    pub(super) traced: Vec<Traced>,
    pub(super) withdrawn: Withdrawn,
    infected: Bits,
    of_person: HashMap<u32, usize>,
    /// Whom each infected person may have infected, until that is looked into.
    met: Vec<Vec<u32>>,
}

impl Epidemic {
    /// Plays all days.
    ///
    /// # Errors
    /// An interruption.
    pub(super) fn play(city: &City, watcher: &dyn Watcher) -> Result<Self, GenerateError> {
        let mut epidemic = Self {
            infections: Vec::new(),
            suspects: Vec::new(),
            traced: Vec::new(),
            withdrawn: Withdrawn::new(city.people),
            infected: Bits::new(city.people),
            of_person: HashMap::new(),
            met: Vec::new(),
        };
        epidemic.suspect(city);
        epidemic.import(city);
        let mut infectious = Bits::new(city.people);
        for day in 0..u64::from(city.calendar.days()) {
            if watcher.interrupted() {
                return Err(GenerateError::Interrupted);
            }
            epidemic.trace(city, day);
            let today = epidemic.infectious_on(day);
            for &index in &today {
                infectious.set(epidemic.infections[index].person);
            }
            epidemic.meet(city, day, &infectious);
            epidemic.share_places(city, day, &infectious);
            for &index in &today {
                infectious.unset(epidemic.infections[index].person);
            }
            let rows = contacts::daily(city).of_day(day);
            watcher.advance(rows.end - rows.start);
        }
        epidemic.met = Vec::new();
        Ok(epidemic)
    }

    /// The infections brought in: they are the first ones.
    pub(super) fn imported(&self) -> impl Iterator<Item = &Infection> {
        self.infections.iter().take_while(|infection| infection.source == Source::Imported)
    }

    /// The infection of a person.
    pub(super) fn of(&self, person: u32) -> Option<&Infection> {
        if !self.infected.get(person) {
            return None;
        }
        self.of_person.get(&person).map(|&index| &self.infections[index])
    }

    /// False alarms are known from the start: they depend on nothing.
    fn suspect(&mut self, city: &City) {
        for number in 0..city.share(SUSPECTS).max(2) {
            let mut draws = city.draws(Purpose::Suspects, number.into());
            let person = draws.below_u32(city.people);
            let reported = draws.seconds(0, city.calendar.end());
            let onset = reported - draws.seconds(12 * HOUR, 5 * DAY);
            let isolated = reported + draws.seconds(0, 6 * HOUR);
            let ruled_out = reported + draws.seconds(DAY, 4 * DAY);
            self.withdrawn.add(person, isolated..ruled_out, false);
            self.suspects.push(Suspect { person, onset, reported, isolated, ruled_out });
        }
    }

    /// Some who came from Hubei brought it with them, in the first half of the days.
    fn import(&mut self, city: &City) {
        let wanted = city.share(SEEDS).max(SEEDS_MIN) as usize;
        let latest = (city.calendar.end() / 2).max(DAY);
        for place in city.places(&profile::HUBEI) {
            if self.infections.len() >= wanted {
                return;
            }
            let Some(traveller) = city.traveller_at(place).filter(|traveller| traveller.arrived < latest) else {
                continue;
            };
            let mut draws = city.draws(Purpose::Seeds, place.into());
            let at = traveller.arrived - draws.seconds(HOUR, 4 * DAY);
            self.infect(city, city.profile.undo(place), at, Source::Imported);
        }
    }

    fn infect(&mut self, city: &City, person: u32, at: Seconds, source: Source) {
        if self.infected.get(person) {
            return;
        }
        let course = Course::new(city, person, at);
        if let Some(isolated) = course.isolated {
            self.withdrawn.add(person, isolated..course.outcome.1 + QUARANTINE, false);
        }
        self.infected.set(person);
        self.of_person.insert(person, self.infections.len());
        self.infections.push(Infection { person, at, source, course });
        self.met.push(Vec::new());
    }

    fn infectious_on(&self, day: u64) -> Vec<usize> {
        let begin = i64::try_from(day).unwrap_or(0) * DAY;
        let all = self.infections.iter().enumerate();
        let today = all.filter(|(_, infection)| {
            let time = &infection.course.infectious;
            time.start < begin + DAY + OVERHANG && time.end > begin && time.start < time.end
        });
        today.map(|(index, _)| index).collect()
    }

    /// Looks for the contacts of those who became known yesterday; quarantine begins today.
    fn trace(&mut self, city: &City, day: u64) {
        let today = i64::try_from(day).unwrap_or(0);
        for index in 0..self.infections.len() {
            if day_of(self.infections[index].course.first_known()) + 1 != today {
                continue;
            }
            for person in std::mem::take(&mut self.met[index]) {
                let mut draws = city.draws(Purpose::Tracing, day << 32 | u64::from(person));
                let started = today * DAY + draws.seconds(6 * HOUR, 20 * HOUR);
                let found = draws.chance(850_000) && !self.withdrawn.is_out(person, started, false);
                let home = draws.chance(600_000);
                if found {
                    let kind = if home { QuarantineKind::Home } else { QuarantineKind::Centralised };
                    self.traced.push(Traced { person, kind, started });
                    self.withdrawn.add(person, started..started + QUARANTINE, home);
                }
            }
        }
    }

    /// The contacts of a day.
    fn meet(&mut self, city: &City, day: u64, infectious: &Bits) {
        let withdrawn = &self.withdrawn;
        let hit = |row| {
            let meeting = contacts::meeting(city, withdrawn, row);
            (infectious.get(meeting.a) || infectious.get(meeting.b)).then_some((row, meeting))
        };
        let rows: Vec<u64> = contacts::daily(city).of_day(day).step_by(GENERATED_BATCH_ROWS).collect();
        let end = contacts::daily(city).of_day(day).end;
        let batch = |&first: &u64| (first..end.min(first + GENERATED_BATCH_ROWS as u64)).filter_map(hit).collect();
        let hits: Vec<Vec<(u64, Meeting)>> = rows.par_iter().map(batch).collect();
        for (row, meeting) in hits.into_iter().flatten() {
            for (from, to) in [(meeting.a, meeting.b), (meeting.b, meeting.a)] {
                let Some(&by) = self.of_person.get(&from) else { continue };
                let Some(shared) = overlap(&(meeting.start..meeting.end()), &self.infections[by].course.infectious)
                else {
                    continue;
                };
                self.met[by].push(to);
                let mut draws = city.draws(Purpose::Transmission, row);
                if draws.chance(catches(meeting.setting, shared.end - shared.start)) {
                    self.infect(city, to, shared.end, Source::Contact { by, row });
                }
            }
        }
    }

    /// The shared places of a day.
    fn share_places(&mut self, city: &City, day: u64, infectious: &Bits) {
        let withdrawn = &self.withdrawn;
        let visit = |row| (row, stays::visit(city, withdrawn, row));
        let rows: Vec<u64> = stays::place_rows(city, day).collect();
        let batch = GENERATED_BATCH_ROWS;
        let ill: Vec<(u64, Visit)> = rows
            .par_iter()
            .with_min_len(batch)
            .map(|&row| visit(row))
            .filter(|(_, visit)| infectious.get(visit.person))
            .collect();
        let mut places: HashMap<Place, Vec<Visit>> = HashMap::new();
        for (_, visit) in ill {
            if let Some(place) = visit.place {
                places.entry(place).or_default().push(visit);
            }
        }
        let shared = |visit: &Visit| visit.place.is_some_and(|place| places.contains_key(&place));
        let near: Vec<(u64, Visit)> =
            rows.par_iter().with_min_len(batch).map(|&row| visit(row)).filter(|(_, visit)| shared(visit)).collect();
        for (row, visit) in near {
            for patient in visit.place.iter().flat_map(|place| &places[place]) {
                self.share(city, row, &visit, patient);
            }
        }
    }

    fn share(&mut self, city: &City, row: u64, visit: &Visit, patient: &Visit) {
        let Some(&by) = self.of_person.get(&patient.person) else { return };
        let apart = visit.row.zip(patient.row).is_some_and(|(row, other)| row.abs_diff(other) > ROWS_NEAR);
        if apart || visit.person == patient.person {
            return;
        }
        let time = |visit: &Visit| visit.entered..visit.left.unwrap_or(Seconds::MAX);
        let together = overlap(&time(visit), &time(patient));
        let Some(shared) = together.and_then(|time| overlap(&time, &self.infections[by].course.infectious)) else {
            return;
        };
        let mut draws: Draws = city.draws(Purpose::PlaceTransmission, row << 24 ^ u64::from(patient.person));
        if draws.chance(400_000) {
            self.met[by].push(visit.person);
        }
        if shared.end - shared.start >= 15 * MINUTE && draws.chance(30_000) {
            self.infect(city, visit.person, shared.end, Source::Place { by, row });
        }
    }
}

/// The chance, in millionths, to catch it in a contact of so long.
fn catches(setting: Setting, length: Seconds) -> u32 {
    let close = match setting {
        Setting::Household => 700_000,
        Setting::Work | Setting::School => 500_000,
        Setting::Transport | Setting::Venue => 400_000,
        Setting::Proximity => 250_000,
    };
    if length >= 15 * MINUTE { close } else { close / 4 }
}

fn overlap(left: &Range<Seconds>, right: &Range<Seconds>) -> Option<Range<Seconds>> {
    let both = left.start.max(right.start)..left.end.min(right.end);
    (both.start < both.end).then_some(both)
}
