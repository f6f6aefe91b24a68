//! The rows of every table, each from its number.
//!
//! The one idea: a table is rows spread over the days or the people, each a function of its number, followed by the few rows
//! that the epidemic calls for.

use super::calendar::{DAY, HOUR, MINUTE, Seconds};
use super::cells::Cells;
use super::city::{City, profile};
use super::contacts::{self, Daily};
use super::epidemic::{Epidemic, QUARANTINE, Traced};
use super::listings::Listing;
use super::random::{Draws, Purpose};
use super::{declarations, stays};
use crate::model::{CaseKind, Outcome, QuarantineKind, ReviewState, Table, TestResult, Timestamp};

/// People of the whitelist, those who ask for a review, in millionths.
const WHITELIST: u32 = 2_000;
const REVIEWS: u32 = 3_000;
/// Of those who came from Hubei one in so many conceals it and is found out.
pub(super) const CONCEALERS: u32 = 40;
/// Those from Hubei who are told to stay at home, in millionths.
const TOLD_TO_STAY: u32 = 20_000;
/// Tests of a contact in quarantine.
const TESTS_PER_TRACED: u64 = 2;

const WHITELIST_REASONS: &[&str] =
    &["医护人员", "民生保障", "物流运输", "基层防控", "重点企业复工", "already 14 days in observation"];

/// A row of `cases`.
#[derive(Clone, Copy, Debug)]
pub(super) struct CaseRow {
    person: u32,
    kind: CaseKind,
    onset: Option<Seconds>,
    reported: Seconds,
    isolated: Option<Seconds>,
    outcome: Option<(Outcome, Seconds)>,
}

/// All that rows are made from.
#[derive(Debug)]
pub(super) struct World {
    pub(super) city: City,
    pub(super) epidemic: Epidemic,
    pub(super) listings: Vec<Listing>,
    pub(super) cases: Vec<CaseRow>,
    /// Check-ins of people in quarantine: sum of those before each of [`Epidemic::traced`], and of all.
    reports_before: Vec<u64>,
    /// Infections whose patients are in a ward by the end.
    in_ward: Vec<usize>,
}

impl World {
    pub(super) fn new(city: City, epidemic: Epidemic, listings: Vec<Listing>) -> Self {
        let end = city.calendar.end();
        let mut sum = 0;
        let mut reports_before = vec![0];
        for traced in &epidemic.traced {
            sum += u64::try_from(((end - traced.started) / DAY).clamp(0, 14)).unwrap_or(0);
            reports_before.push(sum);
        }
        let cases = cases(&city, &epidemic);
        let all = epidemic.infections.iter().enumerate();
        let in_ward = all.filter(|(_, infection)| infection.course.admitted() < end).map(|(index, _)| index).collect();
        Self { city, epidemic, listings, cases, reports_before, in_ward }
    }

    fn at(&self, seconds: Seconds) -> Timestamp {
        self.city.calendar.at(seconds)
    }

    fn tests(&self) -> Daily {
        Daily::new((u64::from(self.city.people) / 2).max(1), self.city.calendar)
    }

    fn checkins(&self) -> Daily {
        Daily::new(u64::from(self.city.people) * 2, self.city.calendar)
    }

    /// Rows of a table, all good.
    pub(super) fn rows(&self, table: Table) -> u64 {
        let city = &self.city;
        let share = |millionths| u64::from(city.share(millionths).max(1));
        match table {
            Table::Declarations => declarations::rows(city),
            Table::Checkins => self.checkins().total() + self.reports_before.last().copied().unwrap_or(0),
            Table::Cases => self.cases.len() as u64,
            Table::Quarantines => self.epidemic.traced.len() as u64 + self.in_ward.len() as u64 + share(TOLD_TO_STAY),
            Table::Contacts => contacts::daily(city).total(),
            Table::Stays => stays::daily(city).total() + self.epidemic.imported().count() as u64,
            Table::RiskAreas => self.listings.len() as u64,
            Table::Tests => {
                let traced = self.epidemic.traced.len() as u64 * TESTS_PER_TRACED;
                self.tests().total() + self.cases.len() as u64 + traced
            }
            Table::Whitelist => share(WHITELIST),
            Table::Findings => share(profile::HUBEI.end / CONCEALERS),
            Table::Reviews => share(REVIEWS),
        }
    }

    /// Writes the row of a number, but for its id.
    pub(super) fn write(&self, table: Table, row: u64, out: &mut Cells) {
        match table {
            Table::Declarations => declarations::write(&self.city, &self.epidemic, row, out),
            Table::Checkins => self.checkin(row, out),
            Table::Cases => self.case(&self.cases[index(row)], out),
            Table::Quarantines => self.quarantine(row, out),
            Table::Contacts => self.contact(row, out),
            Table::Stays => self.stay(row, out),
            Table::RiskAreas => self.risk_area(&self.listings[index(row)], out),
            Table::Tests => self.test(row, out),
            Table::Whitelist => self.whitelist(row, out),
            Table::Findings => self.finding(row, out),
            Table::Reviews => self.review(row, out),
        }
    }

    fn checkin(&self, row: u64, out: &mut Cells) {
        let (city, daily) = (&self.city, self.checkins());
        let mut draws = city.draws(Purpose::Checkin, row);
        let (person, at) = if row < daily.total() {
            let place = daily.locate(row);
            let at = place.instant(6, 23, &mut draws);
            (self.reporter(place.day, place.row, place.rows, &mut draws), at)
        } else {
            let row = row - daily.total();
            let of = self.reports_before.partition_point(|&before| before <= row) - 1;
            let traced = self.epidemic.traced[of];
            let day = i64::try_from(row - self.reports_before[of]).unwrap_or(0);
            (traced.person, (traced.started / DAY + day) * DAY + draws.seconds(7 * HOUR, 20 * HOUR))
        };
        let health = Health::of(&self.epidemic, person, at, 3_500, &mut draws);
        out.token(city.token(person));
        out.instant(self.at(at));
        out.float_if(health.celsius);
        out.flag(health.fever);
        out.flag(health.dyspnea);
        out.flag(health.respiratory);
        enterprise(city, person, 350_000, out);
    }

    /// Who reports in a row of a day: everybody in the share that reports daily, once, and between them anybody.
    fn reporter(&self, day: u64, row: u64, rows: u64, draws: &mut Draws) -> u32 {
        let daily = self.city.places(&profile::DAILY);
        let share = u64::from(daily.end - daily.start);
        let (before, after) = (row * share / rows.max(1), (row + 1) * share / rows.max(1));
        if before == after || draws.chance(20_000) {
            return draws.below_u32(self.city.people);
        }
        let first = self.city.draws(Purpose::Profile, day).below(share);
        let place = (first + before) % share;
        self.city.profile.undo(daily.start + u32::try_from(place).unwrap_or(0))
    }

    fn case(&self, case: &CaseRow, out: &mut Cells) {
        out.token(self.city.token(case.person));
        out.choice(case.kind);
        out.instant_if(case.onset.map(|at| self.at(at)));
        out.instant(self.at(case.reported));
        out.instant_if(case.isolated.map(|at| self.at(at)));
        out.choice_if(case.outcome.map(|(outcome, _)| outcome));
        out.instant_if(case.outcome.map(|(_, at)| self.at(at)));
    }

    /// Contacts, then patients, then those who came from Hubei and were told to stay at home.
    fn quarantine(&self, row: u64, out: &mut Cells) {
        let epidemic = &self.epidemic;
        let mut draws = self.city.draws(Purpose::Quarantine, row);
        let row = index(row);
        let traced = epidemic.traced.len();
        let (person, kind, started, mut ended) = if row < traced {
            let Traced { person, kind, started } = epidemic.traced[row];
            (person, kind, started, Some(started + QUARANTINE))
        } else if row < traced + self.in_ward.len() {
            let infection = &epidemic.infections[self.in_ward[row - traced]];
            (
                infection.person,
                QuarantineKind::Centralised,
                infection.course.admitted(),
                Some(infection.course.outcome.1),
            )
        } else {
            let place = u32::try_from(row - traced - self.in_ward.len()).unwrap_or(0);
            let arrived = self.city.traveller_at(place).map_or(0, |traveller| traveller.arrived);
            let started = arrived + draws.seconds(2 * HOUR, 5 * HOUR);
            (self.city.profile.undo(place), QuarantineKind::Home, started, Some(started + QUARANTINE))
        };
        // Of those that last, many have no end on record yet.
        ended = ended.filter(|&ended| ended < self.city.calendar.end() || draws.chance(400_000));
        out.token(self.city.token(person));
        out.choice(kind);
        out.instant(self.at(started));
        out.instant_if(ended.map(|at| self.at(at)));
    }

    fn contact(&self, row: u64, out: &mut Cells) {
        let meeting = contacts::meeting(&self.city, &self.epidemic.withdrawn, row);
        out.token(self.city.token(meeting.a));
        out.token(self.city.token(meeting.b));
        out.instant(self.at(meeting.start));
        out.uint(meeting.length.unsigned_abs());
        out.choice(meeting.setting);
    }

    /// All stays of the days, then where the imported infections came from.
    fn stay(&self, row: u64, out: &mut Cells) {
        let city = &self.city;
        let daily = stays::daily(city);
        let visit = if row < daily.total() {
            stays::visit(city, &self.epidemic.withdrawn, row)
        } else {
            let infection = &self.epidemic.infections[index(row - daily.total())];
            stays::before_arrival(city, infection.person)
        };
        out.token(city.token(visit.person));
        out.uint(visit.region.into());
        out.text_if(visit.place.map(|place| place.token(city)).as_deref());
        out.instant(self.at(visit.entered));
        out.instant_if(visit.left.map(|at| self.at(at)));
        out.uint_if(visit.row.map(u64::from));
    }

    fn risk_area(&self, listing: &Listing, out: &mut Cells) {
        out.uint(listing.region.into());
        out.choice(listing.level);
        out.instant(self.at(listing.listed));
        out.instant_if(listing.delisted.map(|at| self.at(at)));
    }

    /// Tests of anybody, then those that confirmed or cleared cases, then those of contacts in quarantine.
    fn test(&self, row: u64, out: &mut Cells) {
        let (city, daily) = (&self.city, self.tests());
        let mut draws = city.draws(Purpose::Test, row);
        let cases = daily.total() + self.cases.len() as u64;
        let (person, sampled, takes, positive) = if row < daily.total() {
            let person = city.anybody(&mut draws);
            let sampled = daily.locate(row).instant(7, 20, &mut draws);
            let infection = self.epidemic.of(person);
            let shows = infection.is_some_and(|infection| (2 * DAY..20 * DAY).contains(&(sampled - infection.at)));
            (person, sampled, draws.seconds(4 * HOUR, 30 * HOUR), shows && draws.chance(850_000))
        } else if row < cases {
            let case = &self.cases[index(row - daily.total())];
            let takes = draws.seconds(4 * HOUR, 20 * HOUR);
            let cleared = case.outcome.is_some_and(|(outcome, _)| outcome == Outcome::RuledOut);
            (case.person, case.reported - takes, takes, case.kind == CaseKind::Confirmed && !cleared)
        } else {
            let number = row - cases;
            let traced = self.epidemic.traced[index(number / TESTS_PER_TRACED)];
            let later = if number.is_multiple_of(TESTS_PER_TRACED) { 0 } else { 12 * DAY };
            let sampled = traced.started + later + draws.seconds(2 * HOUR, DAY);
            let infection = self.epidemic.of(traced.person);
            let shows = infection.is_some_and(|infection| (2 * DAY..20 * DAY).contains(&(sampled - infection.at)));
            (traced.person, sampled.min(city.calendar.end() - MINUTE), draws.seconds(4 * HOUR, 30 * HOUR), shows)
        };
        out.token(city.token(person));
        out.instant(self.at(sampled));
        out.instant(self.at(sampled + takes));
        out.choice(if positive { TestResult::Positive } else { TestResult::Negative });
    }

    /// Of the whitelist and the reviews, half concern people from Hubei, who are stopped most.
    fn concerned(&self, row: u64, draws: &mut Draws) -> u32 {
        let hubei = self.city.places(&profile::HUBEI).end;
        if row.is_multiple_of(2) && hubei > 0 {
            self.city.profile.undo(u32::try_from(row * 5 % u64::from(hubei)).unwrap_or(0))
        } else {
            draws.below_u32(self.city.people)
        }
    }

    fn whitelist(&self, row: u64, out: &mut Cells) {
        let (city, mut draws) = (&self.city, self.city.draws(Purpose::Whitelist, row));
        let person = self.concerned(row, &mut draws);
        let from = draws.seconds(city.calendar.code_opens(), city.calendar.end());
        let until = draws.chance(600_000).then(|| from + draws.seconds(3 * DAY, 30 * DAY));
        out.token(city.token(person));
        out.instant(self.at(from));
        out.instant_if(until.map(|at| self.at(at)));
        let reason: &str = draws.pick::<&str>(WHITELIST_REASONS);
        out.text(reason);
    }

    fn finding(&self, row: u64, out: &mut Cells) {
        let (city, mut draws) = (&self.city, self.city.draws(Purpose::Finding, row));
        let place = u32::try_from(row * u64::from(CONCEALERS)).unwrap_or(0);
        let found = draws.seconds(city.calendar.code_opens(), city.calendar.end());
        let lifted = draws.chance(200_000).then(|| found + draws.seconds(2 * HOUR, 5 * DAY));
        out.token(city.token(city.profile.undo(place.min(city.people - 1))));
        out.instant(self.at(found));
        out.instant_if(lifted.map(|at| self.at(at)));
    }

    fn review(&self, row: u64, out: &mut Cells) {
        let (city, mut draws) = (&self.city, self.city.draws(Purpose::Review, row));
        let person = self.concerned(row, &mut draws);
        let filed = draws.seconds(city.calendar.code_opens(), city.calendar.end());
        let decided = filed + draws.seconds(4 * HOUR, 3 * DAY);
        let is_decided = decided < city.calendar.end();
        let state = match (is_decided, draws.chance(600_000)) {
            (true, true) => ReviewState::Upheld,
            (true, false) => ReviewState::Corrected,
            (false, true) => ReviewState::Assigned,
            (false, false) => ReviewState::Filed,
        };
        out.token(city.token(person));
        out.uint((city.street(person).code / 1000).into());
        out.instant(self.at(filed));
        out.choice(state);
        out.instant_if(is_decided.then(|| self.at(decided)));
    }
}

/// How somebody says they feel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Health {
    celsius: Option<f64>,
    pub(super) fever: bool,
    pub(super) dyspnea: bool,
    pub(super) respiratory: bool,
}

impl Health {
    /// Patients mostly have symptoms from onset on; of others so many millionths have a cold.
    pub(super) fn of(epidemic: &Epidemic, person: u32, at: Seconds, colds: u32, draws: &mut Draws) -> Self {
        let onset = epidemic.of(person).and_then(|infection| infection.course.onset);
        let ill = onset.is_some_and(|onset| (0..15 * DAY).contains(&(at - onset)));
        let unwell = draws.chance(if ill { 700_000 } else { colds });
        let mut symptom = |of_unwell| unwell && draws.chance(of_unwell);
        let fever = symptom(550_000);
        let dyspnea = symptom(150_000);
        let respiratory = symptom(600_000) || unwell && !fever && !dyspnea;
        let tenths = if fever { 373 + draws.below_u32(22) } else { 360 + draws.below_u32(11) };
        let celsius = (!draws.chance(100_000)).then(|| f64::from(tenths) / 10.0);
        Self { celsius, fever, dyspnea, respiratory }
    }
}

/// The employer's name, for so many millionths of those who work.
pub(super) fn enterprise(city: &City, person: u32, told: u32, out: &mut Cells) {
    let mut draws = city.draws(Purpose::Label, u64::from(person) + (1 << 32));
    let works = draws.chance(told) && city.role(person) == super::city::Role::Worker;
    let name = works.then(|| declarations::firm_name(city, city.firm(person).0));
    out.text_if(name.as_deref());
}

/// The cases known by the end.
fn cases(city: &City, epidemic: &Epidemic) -> Vec<CaseRow> {
    let end = city.calendar.end();
    let known = |at: Option<Seconds>| at.filter(|&at| at < end);
    let mut rows = Vec::new();
    for infection in &epidemic.infections {
        let course = &infection.course;
        let outcome = Some(course.outcome).filter(|&(_, at)| at < end);
        let isolated = known(course.isolated);
        let row = |kind, reported| CaseRow {
            person: infection.person,
            kind,
            onset: course.onset,
            reported,
            isolated,
            outcome,
        };
        let confirmed = course.reported < end;
        // Whoever was suspected first is on record as such until confirmed; a third keep that record beside the other one.
        let kept = infection.person.is_multiple_of(3) || !confirmed;
        rows.extend(known(course.suspected).filter(|_| kept).map(|at| row(CaseKind::Suspected, at)));
        rows.extend(confirmed.then(|| row(CaseKind::Confirmed, course.reported)));
    }
    for suspect in &epidemic.suspects {
        let outcome = known(Some(suspect.ruled_out)).map(|at| (Outcome::RuledOut, at));
        rows.push(CaseRow {
            person: suspect.person,
            kind: CaseKind::Suspected,
            onset: Some(suspect.onset),
            reported: suspect.reported,
            isolated: known(Some(suspect.isolated)),
            outcome,
        });
    }
    rows.sort_by_key(|row| (row.reported, row.person, row.kind));
    rows
}

fn index(row: u64) -> usize {
    usize::try_from(row).unwrap_or(usize::MAX)
}
