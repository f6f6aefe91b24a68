//! Small worlds and rule sets for the tests of this folder.
//!
//! The one idea: one line a row, instants as `"02-18 09:30"` of 2020 on Hangzhou's clock, people and places as numbers.
//!
//! Invariant: seeded; the same seed makes the same world.

use super::verdict::{State, code_at, state_at};
use crate::model::facts::{
    Case, Checkin, Contact, Declaration, Finding, Quarantine, RiskArea, Stay, TableColumns as _, Tables, Test,
    WhitelistEntry,
};
use crate::model::{
    Admission, CaseKind, ClosedEnum, Code, Colour, DocType, EnumSet, LabelId, Level, Origin, Outcome, PersonId,
    PlaceId, QuarantineKind, Region, RuleId, RuleMask, Setting, Symptom, TestResult, Timestamp, UtcOffset,
};
use crate::rules::{Bilingual, Cause, ContactRule, Program, Release, Rule};

pub(super) const HANGZHOU: UtcOffset = UtcOffset(8 * 3600);
pub(super) const NEVER: Timestamp = Timestamp::NEVER;
/// The person most tests are about.
pub(super) const ME: u32 = 0;

/// `"02-18 09:30"` or `"02-18"`.
pub(super) fn t(text: &str) -> Timestamp {
    Timestamp::parse_typed(&format!("2020-{text}"), HANGZHOU).expect("month, day and perhaps time")
}

/// One microsecond before.
pub(super) fn before(instant: Timestamp) -> Timestamp {
    Timestamp(instant.0 - 1)
}

pub(super) fn region(code: u32) -> Region {
    Region::new(code).expect("a division code")
}

pub(super) fn all<E: ClosedEnum>() -> EnumSet<E> {
    E::ALL.iter().copied().collect()
}

pub(super) fn set<E: ClosedEnum, const N: usize>(values: [E; N]) -> EnumSet<E> {
    values.into_iter().collect()
}

pub(super) fn days(days: u32) -> Release {
    Release { days, ..Release::default() }
}

/// A contact rule of 14 days that counts every overlap with every case.
pub(super) fn contact_rule() -> ContactRule {
    ContactRule {
        of: all(),
        via_contact: true,
        via_place: true,
        infectious_days_before_onset: 2,
        min_minutes: 0,
        settings: None,
        rows: None,
        release: days(14),
    }
}

/// A rule set of red rules `r0`, `r1`, .. with R = 30 days and one modification; the white list excuses `r0`.
pub(super) fn program(causes: impl IntoIterator<Item = Cause>) -> Program {
    let text = |text: String| Bilingual { zh: format!("{text}（中）"), en: text };
    let rule = |(number, cause)| Rule {
        id: format!("r{number}"),
        colour: Colour::Red,
        title: text(format!("title {number}")),
        advice: text(format!("advice {number}")),
        cite: format!("clause {number}"),
        cause,
    };
    let mut excuses = RuleMask::EMPTY;
    excuses.insert(RuleId(0));
    Program {
        name: "test".into(),
        jurisdiction: None,
        effective_from: None,
        title: text("test".into()),
        source: "a test".into(),
        utc_offset: HANGZHOU,
        max_modifications: 1,
        retention_days: 30,
        fever_celsius: 37.3,
        excuses,
        rules: causes.into_iter().enumerate().map(rule).collect(),
        version: "0".into(),
    }
}

/// Rows, numbered as they come.
#[derive(Default)]
pub(super) struct World {
    pub(super) facts: Tables,
    rows: u64,
}

impl World {
    /// A world in which `ME` declared nothing unusual on 1 January.
    pub(super) fn new() -> Self {
        let mut world = Self::default();
        world.declare(ME, "01-01", |_| ());
        world
    }

    fn id(&mut self) -> u64 {
        self.rows += 1;
        self.rows
    }

    pub(super) fn declare(&mut self, person: u32, at: &str, change: impl FnOnce(&mut Declaration)) -> u64 {
        let mut row = Declaration {
            id: self.id(),
            person: PersonId(person),
            declared_at: t(at),
            doc_type: DocType::ResidentId,
            residence: region(330_106),
            came_from: None,
            arrived_at: None,
            symptoms: EnumSet::EMPTY,
            admissions: EnumSet::EMPTY,
            enterprise: None,
            origin: Origin::default(),
        };
        change(&mut row);
        self.facts.declarations.push(row);
        row.id
    }

    pub(super) fn checkin(&mut self, person: u32, at: &str, change: impl FnOnce(&mut Checkin)) {
        let mut row = Checkin {
            id: self.id(),
            person: PersonId(person),
            reported_at: t(at),
            temperature_c: f64::NAN,
            symptoms: EnumSet::EMPTY,
            enterprise: None,
        };
        change(&mut row);
        self.facts.checkins.push(row);
    }

    pub(super) fn case(&mut self, person: u32, reported_at: &str, change: impl FnOnce(&mut Case)) {
        let mut row = Case {
            id: self.id(),
            person: PersonId(person),
            kind: CaseKind::Confirmed,
            onset_at: None,
            reported_at: t(reported_at),
            isolated_at: NEVER,
            outcome: None,
            outcome_at: NEVER,
        };
        change(&mut row);
        self.facts.cases.push(row);
    }

    pub(super) fn quarantine(&mut self, person: u32, kind: QuarantineKind, started_at: &str, ended_at: Option<&str>) {
        let ended_at = ended_at.map_or(NEVER, t);
        let row = Quarantine { id: self.id(), person: PersonId(person), kind, started_at: t(started_at), ended_at };
        self.facts.quarantines.push(row);
    }

    pub(super) fn contact(&mut self, one: u32, other: u32, started_at: &str, minutes: u32, setting: Setting) {
        let row = Contact {
            id: self.id(),
            person_a: PersonId(one),
            person_b: PersonId(other),
            started_at: t(started_at),
            duration_s: minutes * 60,
            setting,
        };
        self.facts.contacts.push(row);
    }

    pub(super) fn stay(
        &mut self,
        person: u32,
        entered_at: &str,
        left_at: Option<&str>,
        change: impl FnOnce(&mut Stay),
    ) {
        let mut row = Stay {
            id: self.id(),
            person: PersonId(person),
            region: region(330_106),
            place: None,
            entered_at: t(entered_at),
            left_at: left_at.map_or(NEVER, t),
            row: None,
        };
        change(&mut row);
        self.facts.stays.push(row);
    }

    /// A stay in place 7.
    pub(super) fn seat(&mut self, person: u32, entered_at: &str, left_at: Option<&str>, row: Option<u16>) {
        self.stay(person, entered_at, left_at, |stay| {
            stay.place = Some(PlaceId::from_index(7));
            stay.row = row;
        });
    }

    pub(super) fn listing(&mut self, code: u32, level: Level, listed_at: &str, delisted_at: Option<&str>) {
        let delisted_at = delisted_at.map_or(NEVER, t);
        let row = RiskArea { id: self.id(), region: region(code), level, listed_at: t(listed_at), delisted_at };
        self.facts.risk_areas.push(row);
    }

    pub(super) fn test(&mut self, person: u32, sampled_at: &str, resulted_at: &str, result: TestResult) {
        let (sampled_at, resulted_at) = (t(sampled_at), t(resulted_at));
        let row = Test { id: self.id(), person: PersonId(person), sampled_at, resulted_at, result };
        self.facts.tests.push(row);
    }

    pub(super) fn whitelist(&mut self, person: u32, from_at: &str, until_at: Option<&str>) {
        let (from_at, until_at) = (t(from_at), until_at.map_or(NEVER, t));
        let reason = LabelId::from_index(0);
        let row = WhitelistEntry { id: self.id(), person: PersonId(person), from_at, until_at, reason };
        self.facts.whitelist.push(row);
    }

    pub(super) fn finding(&mut self, person: u32, found_at: &str, lifted_at: Option<&str>) {
        let (found_at, lifted_at) = (t(found_at), lifted_at.map_or(NEVER, t));
        let row = Finding { id: self.id(), person: PersonId(person), found_at, lifted_at };
        self.facts.findings.push(row);
    }

    /// The state of `ME`, who has declared.
    pub(super) fn state(&self, program: &Program, at: Timestamp) -> State {
        state_at(&self.facts, program, PersonId(ME), at).expect("a standing declaration")
    }

    pub(super) fn code(&self, program: &Program, at: Timestamp) -> Code {
        code_at(&self.facts, program, PersonId(ME), at).expect("a standing declaration")
    }

    /// Whether the only rule of `program` is active for `ME`.
    pub(super) fn is_active(&self, program: &Program, at: Timestamp) -> bool {
        self.state(program, at).reasons.contains(RuleId(0))
    }

    /// Asserts that the first rule is active for `ME` throughout [from, to) and neither just before nor at `to`, and that the
    /// code says so beforehand.
    pub(super) fn assert_active(&self, program: &Program, from: Timestamp, to: Timestamp) {
        assert!(!self.is_active(program, before(from)), "not before {}", from.to_rfc3339_at(HANGZHOU));
        assert!(self.is_active(program, from), "from {}", from.to_rfc3339_at(HANGZHOU));
        assert_eq!(self.code(program, from).valid_until, to, "to {}", self.ends(program, from));
        if !to.is_never() {
            assert!(self.is_active(program, before(to)) && !self.is_active(program, to));
        }
    }

    fn ends(&self, program: &Program, at: Timestamp) -> String {
        self.code(program, at).valid_until.to_rfc3339_at(HANGZHOU)
    }
}

/// A generator of small numbers (`SplitMix64`).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((mixed ^ (mixed >> 31)) % u64::from(bound)).expect("below a u32")
    }

    fn one_in(&mut self, bound: u32) -> bool {
        self.below(bound) == 0
    }

    fn of<E: ClosedEnum>(&mut self) -> E {
        let index = self.below(u32::try_from(E::ALL.len()).expect("few values"));
        E::ALL[index as usize]
    }

    fn some<E: ClosedEnum>(&mut self) -> EnumSet<E> {
        let first = self.of();
        E::ALL.iter().copied().filter(|_| self.one_in(2)).collect::<EnumSet<E>>().with(first, true)
    }

    /// An instant of February, mostly on the hour, so that instants meet.
    pub(super) fn instant(&mut self) -> Timestamp {
        let hours = i64::from(self.below(20 * 12)) * 2;
        t("02-01").plus_micros(hours * 3_600_000_000 + i64::from(self.one_in(10)))
    }

    fn later(&mut self, than: Timestamp) -> Timestamp {
        than.plus_micros(i64::from(self.below(72)) * 3_600_000_000)
    }

    fn end(&mut self, start: Timestamp) -> Timestamp {
        if self.one_in(4) { NEVER } else { self.later(start) }
    }

    fn release(&mut self) -> Release {
        Release { days: self.below(9), clean_days: self.below(4), negative_tests: self.below(3) }
    }

    /// A rule set with a rule of every cause.
    pub(super) fn program(&mut self) -> Program {
        let mut contact_rule = || ContactRule {
            of: self.some(),
            via_contact: !self.one_in(5),
            via_place: !self.one_in(5),
            infectious_days_before_onset: self.below(3),
            min_minutes: self.below(3) * 60,
            settings: self.one_in(2).then(|| self.some()),
            rows: self.one_in(2).then_some(2),
            release: self.release(),
        };
        let contacts = [contact_rule(), contact_rule()];
        let [first, second] = contacts.map(Cause::Contact);
        let mut program = program([
            Cause::Area {
                levels: self.some(),
                min_minutes: self.below(3) * 90,
                declared: self.one_in(2),
                residence: self.one_in(3),
                release: self.release(),
            },
            first,
            second,
            self.second_contact(RuleId(1)),
            self.second_contact(RuleId(2)),
            Cause::Case { kinds: self.some(), convalescence_days: self.below(5) },
            Cause::Quarantine {
                kinds: self.some(),
                ignore_home_started_before: self.one_in(2).then(|| self.instant()),
            },
            Cause::Declared { any: self.some(), release: self.release() },
            Cause::Symptoms { any: self.some(), release: self.release() },
            Cause::Test { release: self.release() },
            Cause::Untested { days: self.below(9) },
            Cause::Unreported { days: self.below(9) },
            Cause::Finding,
        ]);
        program.retention_days = 9 + self.below(4);
        program.max_modifications = self.below(3);
        program.excuses = RuleMask(u64::from(self.below(1 << program.rules.len())));
        program
    }

    fn second_contact(&mut self, through: RuleId) -> Cause {
        Cause::SecondContact {
            through,
            min_minutes: self.below(3) * 60,
            settings: self.one_in(2).then(|| self.some()),
            release: self.release(),
        }
    }

    /// A world of `people` people with about `rows` rows in each busy table.
    pub(super) fn world(&mut self, people: u32, rows: u32) -> World {
        let mut world = World::default();
        for person in 0..people - 1 {
            world.declare(person, "01-31", |_| ());
        }
        for _ in 0..rows {
            self.health_rows(&mut world, people);
            self.other_rows(&mut world, people);
            for _ in 0..3 {
                let (one, other) = (self.below(people), self.below(people));
                if one != other {
                    world.contact(one, other, "02-01", 1 + self.below(300), self.of());
                    *world.facts.contacts.started_at.base_mut().last_mut().expect("a contact") = self.instant();
                }
            }
            let entered_at = self.instant();
            let left_at = self.end(entered_at);
            world.stay(self.below(people), "02-01", None, |stay| {
                (stay.entered_at, stay.left_at, stay.region) = (entered_at, left_at, self.region());
                stay.place = (!self.one_in(4)).then(|| PlaceId::from_index(self.below(4)));
                stay.row = self.one_in(2).then(|| u16::try_from(self.below(9)).expect("a row"));
            });
        }
        world
    }

    fn health_rows(&mut self, world: &mut World, people: u32) {
        let person = self.below(people);
        let symptoms = |dice: &mut Self| if dice.one_in(4) { dice.some() } else { EnumSet::<Symptom>::EMPTY };
        if self.one_in(4) {
            world.declare(person, "02-01", |row| {
                row.declared_at = self.instant();
                row.residence = self.region();
                row.came_from = self.one_in(2).then(|| self.region());
                row.arrived_at = self.one_in(2).then(|| self.instant());
                row.symptoms = symptoms(self);
                row.admissions = if self.one_in(2) { self.some::<Admission>() } else { EnumSet::EMPTY };
            });
        }
        for _ in 0..4 {
            world.checkin(person, "02-01", |row| {
                row.reported_at = self.instant();
                row.symptoms = symptoms(self);
                row.temperature_c = [f64::NAN, 36.5, 37.3][self.below(3) as usize];
            });
        }
        if self.one_in(2) {
            world.test(self.below(people), "02-01", "02-01", self.of());
            let sampled_at = self.instant();
            *world.facts.tests.sampled_at.base_mut().last_mut().expect("a test") = sampled_at;
            *world.facts.tests.resulted_at.base_mut().last_mut().expect("a test") = self.later(sampled_at);
        }
    }

    fn other_rows(&mut self, world: &mut World, people: u32) {
        if self.one_in(4) {
            world.case(self.below(people), "02-01", |case| {
                case.kind = self.of();
                case.reported_at = self.instant();
                case.onset_at = self.one_in(2).then(|| self.instant());
                case.isolated_at = if self.one_in(2) { self.instant() } else { NEVER };
                case.outcome = self.one_in(2).then(|| self.of::<Outcome>());
                case.outcome_at = if case.outcome.is_some() { self.instant() } else { NEVER };
            });
        }
        let start = self.instant();
        let (id, person, end) = (world.id(), PersonId(self.below(people)), self.end(start));
        match self.below(10) {
            0 | 1 => {
                let kind: QuarantineKind = self.of();
                world.facts.quarantines.push(Quarantine { id, person, kind, started_at: start, ended_at: end });
            }
            2 | 3 => {
                let (region, level) = (self.region(), self.of::<Level>());
                world.facts.risk_areas.push(RiskArea { id, region, level, listed_at: start, delisted_at: end });
            }
            4 => {
                let reason = LabelId::from_index(0);
                let row = WhitelistEntry { id, person, from_at: start, until_at: end, reason };
                world.facts.whitelist.push(row);
            }
            5 => world.facts.findings.push(Finding { id, person, found_at: start, lifted_at: end }),
            _ => {}
        }
    }

    fn region(&mut self) -> Region {
        region([330_106_109, 330_106, 330_100, 330_000, 420_100, 392][self.below(6) as usize])
    }
}
