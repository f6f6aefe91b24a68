//! What happens in a world: scenes, each of which stages one family of boundary cases.
//!
//! The one idea: a scene draws an instant on which facts crowd and lays its facts to it: touching, a microsecond off, exactly
//! as long as a rule demands. Scenes play on the same few persons, places and regions, so they meet. Ids are dealt
//! at random at the end, so that among equal instants any row may have the smaller id.

use sanma::model::facts::{
    Case, Checkin, Contact, Declaration, Finding, Quarantine, Review, RiskArea, Stay, TableColumns as _, Tables, Test,
    WhitelistEntry,
};
use sanma::model::time::{MICROS_PER_DAY, MICROS_PER_MINUTE, MICROS_PER_SECOND};
use sanma::model::{
    Admission, CaseKind, ClosedEnum, DocType, EnumSet, LabelId, Level, Origin, Outcome, PersonId, PlaceId,
    QuarantineKind, Region, ReviewState, Setting, Symptom, Table, TestResult, Timestamp,
};

use super::cells::with_table;
use super::draw::{Calendar, DAYS, Draw, LOCAL, MINUTES, ROWS, at_or_next_to, next_to, shift};
use super::seconds;

/// Codes on two branches of one province, another province, and overseas. `330100001` is a street right under a city.
pub const REGIONS: [u32; 11] =
    [330_106_109, 330_106, 330_100, 330_000, 330_100_001, 330_522, 330_500, 420_103_001, 420_100, 420_000, 392];
/// Degrees Celsius around the usual limit of 37.3.
pub const TEMPERATURES: [f64; 6] = [36.5, 37.2, 37.299_999, 37.3, 37.300_001, 38.5];

/// The facts of a world of so many persons, places and labels.
pub fn play(draw: Draw, calendar: Calendar, persons: usize, places: usize, labels: usize) -> Tables {
    let mut stage = Stage { draw, calendar, tables: Tables::default(), persons, places, labels };
    let share = stage.draw.pick(&[30, 60, 90]);
    stage.everyday(share);
    for scene in SCENES {
        for _ in 0..2 {
            if stage.draw.chance(share) {
                scene(&mut stage);
            }
        }
    }
    stage.deal_ids();
    stage.tables
}

const SCENES: &[fn(&mut Stage)] = &[
    Stage::modifications,
    Stage::declared_area,
    Stage::clean_run,
    Stage::patient,
    Stage::patient,
    Stage::contacts_at_window,
    Stage::isolated_in_contact,
    Stage::chain,
    Stage::chain,
    Stage::shared_place,
    Stage::carriage,
    Stage::listings,
    Stage::stays_at_listing,
    Stage::tests,
    Stage::tested_in_turn,
    Stage::confined,
    Stage::confined,
    Stage::excused,
    Stage::found_out,
];

struct Stage {
    draw: Draw,
    calendar: Calendar,
    tables: Tables,
    persons: usize,
    places: usize,
    labels: usize,
}

/// Draws.
impl Stage {
    fn person(&mut self) -> PersonId {
        PersonId(u32::try_from(self.draw.below(self.persons)).expect("a few"))
    }

    /// So many different persons.
    fn cast(&mut self, count: usize) -> Vec<PersonId> {
        let mut all: Vec<_> = (0..u32::try_from(self.persons).expect("a few")).map(PersonId).collect();
        self.draw.shuffle(&mut all);
        all.truncate(count);
        all
    }

    fn place(&mut self) -> PlaceId {
        PlaceId::from_index(u32::try_from(self.draw.below(self.places)).expect("a few"))
    }

    fn label(&mut self) -> LabelId {
        LabelId::from_index(u32::try_from(self.draw.below(self.labels)).expect("a few"))
    }

    fn region(&mut self) -> Region {
        Region::new(self.draw.pick(&REGIONS)).expect("a valid code")
    }

    fn one<E: ClosedEnum>(&mut self) -> E {
        self.draw.pick(E::ALL)
    }

    /// A set, mostly empty.
    fn few<E: ClosedEnum>(&mut self) -> EnumSet<E> {
        let draw = &mut self.draw;
        E::ALL.iter().copied().filter(|_| draw.chance(12)).collect()
    }

    fn instant(&mut self) -> Timestamp {
        self.calendar.instant(&mut self.draw)
    }

    fn anchor(&mut self) -> Timestamp {
        self.calendar.anchor(&mut self.draw)
    }

    fn end_after(&mut self, start: Timestamp) -> Timestamp {
        self.calendar.end_after(start, &mut self.draw)
    }

    fn near(&mut self, at: Timestamp) -> Timestamp {
        at_or_next_to(at, &mut self.draw)
    }

    fn maybe<T>(&mut self, percent: usize, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.draw.chance(percent).then(|| value(self))
    }

    /// A length in microseconds that some rule may demand, at least a minute.
    fn minutes(&mut self) -> i64 {
        i64::from(self.draw.pick(&MINUTES[1..])) * MICROS_PER_MINUTE
    }

    fn temperature(&mut self) -> f64 {
        if self.draw.chance(40) { f64::NAN } else { self.draw.pick(&TEMPERATURES) }
    }

    /// Distinct ids for every table: small ones in random order, now and then the least and the greatest there are.
    fn deal_ids(&mut self) {
        let extremes = self.draw.chance(10);
        for table in Table::ALL {
            let draw = &mut self.draw;
            with_table!(mut self.tables, table, columns => {
                let mut ids: Vec<u64> = (1..=columns.id.len() as u64).collect();
                if extremes && ids.len() > 1 {
                    ids[0] = 0;
                    ids[1] = u64::MAX;
                }
                draw.shuffle(&mut ids);
                columns.id = ids.into();
            });
        }
    }
}

/// Rows.
impl Stage {
    fn declare(&mut self, person: PersonId, declared_at: Timestamp) {
        let row = Declaration {
            id: 0,
            person,
            declared_at,
            doc_type: self.one::<DocType>(),
            residence: self.region(),
            came_from: self.maybe(40, Self::region),
            arrived_at: self.maybe(40, Self::instant),
            symptoms: self.few::<Symptom>(),
            admissions: self.few::<Admission>(),
            enterprise: self.maybe(30, Self::label),
            origin: Origin::default(),
        };
        self.tables.declarations.push(row);
    }

    fn check_in(&mut self, person: PersonId, reported_at: Timestamp, well: bool) {
        let temperature_c = if well { self.draw.pick(&[f64::NAN, 36.5, 37.2]) } else { self.temperature() };
        let symptoms = if well { EnumSet::EMPTY } else { self.few() };
        let enterprise = self.maybe(30, Self::label);
        self.tables.checkins.push(Checkin { id: 0, person, reported_at, temperature_c, symptoms, enterprise });
    }

    fn contact(&mut self, pair: (PersonId, PersonId), started_at: Timestamp, micros: i64) {
        let (person_a, person_b) = if self.draw.chance(50) { pair } else { (pair.1, pair.0) };
        let (duration_s, setting) = (seconds(micros).max(1), self.one::<Setting>());
        self.tables.contacts.push(Contact { id: 0, person_a, person_b, started_at, duration_s, setting });
    }

    /// A case whose outcome, isolation and onset may be anywhere; returns it.
    fn case(&mut self, person: PersonId, kind: CaseKind, reported_at: Timestamp) -> Case {
        let outcome = self.maybe(50, Self::one::<Outcome>);
        let row = Case {
            id: 0,
            person,
            kind,
            onset_at: self.maybe(60, |stage| {
                let days = stage.draw.pick(&DAYS);
                let onset = reported_at.minus_days(days);
                stage.near(onset)
            }),
            reported_at,
            isolated_at: self.maybe(50, Self::instant).unwrap_or(Timestamp::NEVER),
            outcome,
            outcome_at: outcome.map_or(Timestamp::NEVER, |_| self.instant()),
        };
        self.tables.cases.push(row);
        row
    }

    /// A case that infects from `onset_at` and is not over by itself.
    fn open_case(&mut self, person: PersonId, onset_at: Timestamp) {
        let days = self.draw.pick(&DAYS);
        let row = Case {
            id: 0,
            person,
            kind: self.one::<CaseKind>(),
            onset_at: Some(onset_at),
            reported_at: onset_at.plus_days(days),
            isolated_at: Timestamp::NEVER,
            outcome: None,
            outcome_at: Timestamp::NEVER,
        };
        self.tables.cases.push(row);
    }

    fn quarantine(&mut self, person: PersonId, started_at: Timestamp) {
        let (kind, ended_at) = (self.one::<QuarantineKind>(), self.end_after(started_at));
        self.tables.quarantines.push(Quarantine { id: 0, person, kind, started_at, ended_at });
    }

    fn stay(&mut self, person: PersonId, place: Option<PlaceId>, entered_at: Timestamp, left_at: Timestamp) {
        let (region, row) = (self.region(), self.maybe(50, |stage| 10 + stage.draw.pick(&ROWS)));
        self.tables.stays.push(Stay { id: 0, person, region, place, entered_at, left_at, row });
    }

    fn list(&mut self, region: Region, listed_at: Timestamp, delisted_at: Timestamp) {
        let level = self.one::<Level>();
        self.tables.risk_areas.push(RiskArea { id: 0, region, level, listed_at, delisted_at });
    }

    fn test(&mut self, person: PersonId, sampled_at: Timestamp, result: TestResult) {
        let resulted_at = match self.draw.below(3) {
            0 => sampled_at,
            1 => sampled_at.plus_days(1),
            _ => self.instant().max(sampled_at),
        };
        self.tables.tests.push(Test { id: 0, person, sampled_at, resulted_at, result });
    }
}

/// Scenes.
impl Stage {
    /// Most persons declare, some never; a sprinkling of every table.
    fn everyday(&mut self, share: usize) {
        for person in self.cast(self.persons) {
            if self.draw.chance(85) {
                // Mostly early: what happens to a person without a declaration shows only in others.
                let early = self.calendar.first.plus(self.draw.range(0, 4).into()).starts_at(LOCAL);
                let at = if self.draw.chance(65) { self.near(early) } else { self.instant() };
                self.declare(person, at);
            }
            if self.draw.chance(share) {
                let at = self.instant();
                self.check_in(person, at, false);
            }
        }
        let person = self.person();
        if self.draw.chance(share) {
            let filed_at = self.instant();
            let (district, state, decided_at) = (self.region(), self.one::<ReviewState>(), self.end_after(filed_at));
            self.tables.reviews.push(Review { id: 0, person, district, filed_at, state, decided_at });
        }
    }

    /// Two to four declarations of one person, most at one instant.
    fn modifications(&mut self) {
        let (person, at) = (self.person(), self.anchor());
        for _ in 0..self.draw.range(2, 4) {
            let declared_at = if self.draw.chance(60) { at } else { self.instant() };
            self.declare(person, declared_at);
        }
    }

    /// A declaration with the region that a listing begins or ends in just then.
    fn declared_area(&mut self) {
        let (person, at, region) = (self.person(), self.anchor(), self.region());
        let declared_at = self.near(at);
        self.declare(person, declared_at);
        let last = self.tables.declarations.len() - 1;
        let arrived_at = self.maybe(60, |stage| stage.near(at));
        self.tables.declarations.came_from[last] = Some(region);
        self.tables.declarations.arrived_at[last] = arrived_at.into();
        if self.draw.chance(50) {
            self.tables.declarations.residence[last] = region;
        }
        let listed = region.parent().filter(|_| self.draw.chance(50)).unwrap_or(region);
        let (before, after) = (at.minus_days(self.draw.pick(&DAYS)), at.plus_days(self.draw.pick(&DAYS)));
        let (listed_at, delisted_at) = (self.near(before), self.near(after));
        self.list(listed, listed_at.min(delisted_at), delisted_at.max(listed_at));
    }

    /// A trigger, then clean days: as many as a rule may want, with a gap, a doubled day or a symptom among them.
    fn clean_run(&mut self) {
        let (person, trigger) = (self.person(), self.anchor());
        match self.draw.below(3) {
            0 => {
                let symptoms = EnumSet::EMPTY.with(self.one(), true);
                let row = Checkin {
                    id: 0,
                    person,
                    reported_at: trigger,
                    temperature_c: f64::NAN,
                    symptoms,
                    enterprise: None,
                };
                self.tables.checkins.push(row);
            }
            1 => self.test(person, trigger, TestResult::Positive),
            _ => self.declare(person, trigger),
        }
        let (days, gap) = (self.draw.pick(&DAYS[1..]), self.draw.range(0, 13));
        let with_gap = self.draw.chance(40);
        for number in 1..=days + u32::from(with_gap) {
            let midnight = trigger.local_day(LOCAL).plus(number.into()).starts_at(LOCAL);
            if with_gap && number == gap {
                continue;
            }
            let hour = self.draw.pick(&[0, 0, 8 * 60, 24 * 60]);
            let at = shift(midnight, hour * MICROS_PER_MINUTE - i64::from(hour == 24 * 60));
            self.check_in(person, at, true);
            if self.draw.chance(15) {
                let (again, well) = (shift(midnight, MICROS_PER_DAY / 2), self.draw.chance(50));
                self.check_in(person, again, well);
            }
        }
    }

    /// One person with several cases: suspected, then confirmed; ruled out, recovered or dead.
    fn patient(&mut self) {
        let (person, at) = (self.person(), self.instant());
        self.case(person, CaseKind::Suspected, at);
        if self.draw.chance(70) {
            let later = if self.draw.chance(30) { at } else { self.instant() };
            self.case(person, CaseKind::Confirmed, later);
        }
    }

    /// Contacts laid to the ends of a case's infectious window: touching it, overlapping by exactly what a rule demands, by
    /// a second less, or by a microsecond.
    fn contacts_at_window(&mut self) {
        let people = self.cast(3);
        let (kind, at) = (self.one(), self.anchor());
        let case = self.case(people[0], kind, at);
        let opens = case.onset_at.unwrap_or(case.reported_at);
        for &other in &people[1..] {
            let (edge, opening) = match case.isolated_at.min(case.outcome_at).finite() {
                Some(closes) if self.draw.chance(50) => (closes, false),
                _ => (opens.minus_days(self.draw.pick(&DAYS)), true),
            };
            let (wanted, room) = (self.minutes(), self.minutes());
            let overlap = match self.draw.below(5) {
                0 => 0,
                1 => 1,
                2 => wanted - MICROS_PER_SECOND,
                _ => wanted,
            };
            let length = (overlap + MICROS_PER_SECOND - 1) / MICROS_PER_SECOND * MICROS_PER_SECOND + room;
            let start = if opening { shift(edge, overlap - length) } else { shift(edge, -overlap) };
            self.contact((people[0], other), start, length);
        }
    }

    /// A patient is isolated in mid-contact, or at its very end.
    fn isolated_in_contact(&mut self) {
        let (pair, start, half) = (self.cast(2), self.anchor(), self.minutes());
        let isolated_at = shift(start, self.draw.pick(&[half, half, half - MICROS_PER_SECOND, 2 * half, 0]));
        let isolated_at = self.near(isolated_at);
        let onset_at = self.maybe(70, |stage| start.minus_days(stage.draw.pick(&DAYS)));
        let reported_at = if self.draw.chance(50) { start } else { start.plus_days(self.draw.pick(&DAYS)) };
        let (kind, outcome) = (self.one(), None);
        let outcome_at = Timestamp::NEVER;
        self.tables.cases.push(Case {
            id: 0,
            person: pair[0],
            kind,
            onset_at,
            reported_at,
            isolated_at,
            outcome,
            outcome_at,
        });
        self.contact((pair[0], pair[1]), start, 2 * half);
    }

    /// A patient A, then B, C and D, each in contact with the one before; B's quarantine begins at the exposure or next to it.
    fn chain(&mut self) {
        let (cast, start) = (self.cast(4), self.anchor());
        let onset = start.minus_days(self.draw.pick(&DAYS[..4]));
        self.open_case(cast[0], onset);
        let length = self.minutes();
        let exposed = shift(start, length);
        self.contact((cast[0], cast[1]), start, length);
        let mut last = exposed;
        if self.draw.chance(50) {
            let (days, again) = (self.draw.pick(&DAYS[1..]), self.minutes());
            self.contact((cast[0], cast[1]), start.plus_days(days), again);
            last = shift(start.plus_days(days), again);
        }
        for pair in cast[1..].windows(2) {
            let length = self.minutes();
            let start = match self.draw.below(5) {
                0 => exposed,
                1 => shift(exposed, -length),
                2 => shift(exposed, length - length / 2),
                3 => shift(last.plus_days(self.draw.pick(&DAYS)), -length),
                _ => last,
            };
            let start = if self.draw.chance(80) { start } else { next_to(start, &mut self.draw) };
            let short = if self.draw.chance(25) { MICROS_PER_SECOND } else { 0 };
            self.contact((pair[0], pair[1]), start, length - short);
        }
        if self.draw.chance(60) {
            let at = self.draw.pick(&[exposed, exposed, start, last, shift(exposed, MICROS_PER_MINUTE)]);
            let at = self.near(at);
            self.quarantine(cast[1], at);
        }
    }

    /// A patient and another in one place: touching, overlapping exactly, one still there, one for no time at all.
    fn shared_place(&mut self) {
        let (cast, place, entered) = (self.cast(3), self.place(), self.anchor());
        let onset = entered.minus_days(self.draw.pick(&DAYS[..4]));
        self.open_case(cast[0], onset);
        let length = self.minutes();
        let left = shift(entered, length);
        self.stay(cast[0], Some(place), entered, left);
        for &other in &cast[1..] {
            let overlap = self.draw.pick(&[0, 1, length, length, length - MICROS_PER_SECOND, length / 2]);
            let (from, to) = match self.draw.below(4) {
                0 => (shift(left, -overlap), Timestamp::NEVER),
                1 => (shift(entered, overlap), shift(entered, overlap)),
                2 => (shift(entered, overlap - length), shift(entered, overlap)),
                _ => (shift(left, -overlap), shift(left, length)),
            };
            self.stay(other, Some(place), from, to);
        }
        if self.draw.chance(30) {
            self.stay(cast[0], Some(place), left, Timestamp::NEVER);
        }
    }

    /// A carriage: everyone in it for the same hour, in rows near and far, known and not.
    fn carriage(&mut self) {
        let count = self.draw.range(3, 5) as usize;
        let (cast, place, entered) = (self.cast(count), self.place(), self.anchor());
        let left = shift(entered, self.minutes());
        if self.draw.chance(70) {
            self.open_case(cast[0], entered);
        }
        for person in cast {
            self.stay(person, Some(place), entered, left);
        }
    }

    /// One region and those around it, listed at several levels: overlapping, touching and empty listings.
    fn listings(&mut self) {
        let (region, from) = (self.region(), self.anchor());
        let until = self.end_after(from);
        self.list(region, from, until);
        if let Some(touching) = until.finite() {
            let end = self.end_after(touching);
            self.list(region, touching, end);
        }
        if self.draw.chance(60) {
            let start = self.near(from);
            let end = self.end_after(start);
            self.list(region.parent().unwrap_or(region), start, end);
        }
        if self.draw.chance(30) {
            self.list(region, from, from);
        }
        let start = self.instant();
        let (other, end) = (self.region(), self.end_after(start));
        self.list(other, start, end);
    }

    /// Stays just where and when a listing begins or ends, exactly as long as a rule may demand, or open, or empty.
    fn stays_at_listing(&mut self) {
        let (region, listed) = (self.region(), self.anchor());
        let until = self.end_after(listed);
        self.list(region, listed, until);
        for _ in 0..self.draw.range(1, 3) {
            let person = self.person();
            let edge = if self.draw.chance(50) { listed } else { until.finite().unwrap_or(listed) };
            let length = self.minutes();
            let entered = self.draw.pick(&[edge, shift(edge, -length)]);
            let left = match self.draw.below(5) {
                0 => Timestamp::NEVER,
                1 => entered,
                2 => shift(entered, length - MICROS_PER_SECOND),
                _ => shift(entered, length),
            };
            let place = self.maybe(30, Self::place);
            self.stay(person, place, entered, left);
            if self.draw.chance(70) {
                *self.tables.stays.region.base_mut().last_mut().expect("just pushed") = region;
            }
        }
    }

    /// A positive test, then negative ones: at the same instant, a microsecond later, several a day, at midnight.
    fn tests(&mut self) {
        let (person, at) = (self.person(), self.anchor());
        if self.draw.chance(70) {
            self.test(person, at, TestResult::Positive);
        }
        for _ in 0..self.draw.range(1, 4) {
            let days = i64::from(self.draw.pick(&DAYS[..4]));
            let midnight = at.local_day(LOCAL).plus(days).starts_at(LOCAL);
            let sampled_at =
                self.draw.pick(&[at, shift(at, 1), midnight, shift(midnight, -1), shift(midnight, MICROS_PER_DAY / 3)]);
            self.test(person, sampled_at, TestResult::Negative);
            if self.draw.chance(30) {
                self.test(person, shift(sampled_at, MICROS_PER_MINUTE), TestResult::Negative);
            }
        }
    }

    /// Quarantines of one person: touching, overlapping, of both kinds.
    fn confined(&mut self) {
        let (person, at) = (self.person(), self.anchor());
        let started_at = self.near(at);
        self.quarantine(person, started_at);
        if self.draw.chance(50) {
            let end = *self.tables.quarantines.ended_at.base().last().expect("just pushed");
            let next = end.finite().unwrap_or(started_at);
            self.quarantine(person, next);
        }
    }

    /// Negative tests of a few persons every so many days, with results late, early or never within the world.
    fn tested_in_turn(&mut self) {
        let (start, every) = (self.anchor(), self.draw.pick(&DAYS[1..]));
        for person in self.cast(2) {
            for turn in 0..self.draw.range(2, 5) {
                let sampled_at = start.plus_days(turn * every);
                let sampled_at = self.near(sampled_at);
                self.test(person, sampled_at, TestResult::Negative);
            }
        }
    }

    /// White list entries that begin and end where other facts lie.
    fn excused(&mut self) {
        for person in self.cast(3) {
            let (from_at, reason) = (self.instant(), self.label());
            let until_at = self.end_after(from_at);
            self.tables.whitelist.push(WhitelistEntry { id: 0, person, from_at, until_at, reason });
        }
    }

    /// Findings that begin and end where other facts lie; of one person two, that may touch.
    fn found_out(&mut self) {
        let (person, mut found_at) = (self.person(), self.instant());
        for _ in 0..2 {
            let lifted_at = self.end_after(found_at);
            self.tables.findings.push(Finding { id: 0, person, found_at, lifted_at });
            found_at = lifted_at.finite().unwrap_or(found_at);
        }
    }
}
