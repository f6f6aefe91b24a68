//! Facts that change at scale: what a change costs by its kind, and from how many touched people on a full pass is cheaper.
//!
//! `SANMA_BENCH_DATA=DIR cargo bench -- live` on a directory that `sanma generate` made. Rows are those of the city itself, sent
//! again with another instant, so that a batch of any size has the city's own skew.

use std::fmt;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use divan::counter::ItemsCount;
use sanma::evaluate::{Current, recompute};
use sanma::facts::LiveFacts;
use sanma::model::facts::{Case, Contact, RiskArea, TableColumns as _};
use sanma::model::{CaseKind, Level, PersonId, Region, Setting, Table, Timestamp};
use sanma::rules::Program;

use crate::city::{City, count, shipped};

struct Followed {
    live: LiveFacts,
    current: Current,
    program: Program,
    people: usize,
    /// How many rows have been sent.
    sent: usize,
    /// Some who have met a thousand.
    met: Vec<PersonId>,
}

static LIVE: LazyLock<Mutex<Followed>> = LazyLock::new(|| {
    let City { facts, at, .. } = City::load();
    let program = shipped("huzhou", at);
    let people = facts.people;
    let met: Vec<PersonId> = (0..16).map(|number| PersonId(number * 31)).collect();
    let mut live = LiveFacts::new(facts);
    befriend(&mut live, &met, 1_000, at);
    let current = Current::new(&mut live, &program, at);
    Mutex::new(Followed { live, current, program, people, sent: 0, met })
});

/// Gives some persons as many more contacts, all of the last week.
fn befriend(live: &mut LiveFacts, persons: &[PersonId], contacts: usize, at: Timestamp) {
    let people = live.facts().people;
    let mut id = u64::MAX / 2;
    for &person_a in persons {
        for number in 0..contacts {
            id += 1;
            let person_b = scattered(usize::try_from(id).expect("64 bits"), people);
            let person_b = PersonId(u32::try_from(person_b).expect("32 bits"));
            let started_at = at.minus_days(u32::try_from(number % 7).expect("small"));
            if person_a != person_b {
                live.upsert_contact(Contact {
                    id,
                    person_a,
                    person_b,
                    started_at,
                    duration_s: 3_600,
                    setting: Setting::Work,
                });
            }
        }
    }
}

fn live() -> MutexGuard<'static, Followed> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A row's number, far from the one before.
const fn scattered(number: usize, rows: usize) -> usize {
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % rows
}

fn later(at: Timestamp, sent: usize) -> Timestamp {
    Timestamp(at.0 + i64::try_from(sent % 7).expect("small") - 3)
}

impl Followed {
    /// Sends a row of a table again, a little earlier or later.
    fn send(&mut self, table: Table) {
        self.sent += 1;
        let sent = self.sent;
        let facts = self.live.facts();
        let mut person = PersonId(u32::try_from(scattered(sent, self.people)).expect("32 bits"));
        macro_rules! send {
            ($rows:ident, $of:ident, $at:ident, $upsert:ident) => {{
                while facts.$of.range(person.index()).is_empty() {
                    person = PersonId((person.0 + 1) % u32::try_from(self.people).expect("32 bits"));
                }
                let mut row = facts.$rows.row(facts.$of.range(person.index()).start);
                row.$at = later(row.$at, sent);
                self.live.$upsert(row);
            }};
        }
        match table {
            Table::Contacts => {
                while facts.contacts_of.range(person.index()).is_empty() {
                    person = PersonId((person.0 + 1) % u32::try_from(self.people).expect("32 bits"));
                }
                let edge = facts.contacts_of.range(person.index()).start;
                let mut row = facts.contacts.row(facts.contact_rows[edge].index());
                row.started_at = later(row.started_at, sent);
                self.live.upsert_contact(row);
            }
            Table::Stays => send!(stays, stays_of, entered_at, upsert_stay),
            Table::Checkins => send!(checkins, checkins_of, reported_at, upsert_checkin),
            Table::Tests => send!(tests, tests_of, sampled_at, upsert_test),
            _ => send!(declarations, declarations_of, declared_at, upsert_declaration),
        }
    }

    /// Half contacts, three tenths stays, the rest mostly check-ins.
    fn send_mixed(&mut self) {
        match self.sent % 100 {
            0..50 => self.send(Table::Contacts),
            50..80 => self.send(Table::Stays),
            80..98 => self.send(Table::Checkins),
            98 => self.send(Table::Tests),
            _ => self.send(Table::Declarations),
        }
    }

    fn follow(&mut self) -> usize {
        let at = self.current.at();
        self.current.follow(&mut self.live, &self.program, at).len()
    }
}

/// A step, by what is sent and how much of it.
#[derive(Clone, Copy)]
struct Step {
    table: Option<Table>,
    batch: usize,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.table.map_or("mixed", Table::name);
        write!(f, "kind={kind}/batch={}/people={}", count(self.batch), count(live().people))
    }
}

fn steps() -> Vec<Step> {
    let tables = [Table::Contacts, Table::Stays, Table::Checkins, Table::Tests, Table::Declarations];
    let single = tables.into_iter().map(|table| Step { table: Some(table), batch: 1 });
    single.chain([1, 100, 1_500, 30_000].map(|batch| Step { table: None, batch })).collect()
}

/// Rows into the columns, and the codes of whomever they touch.
#[divan::bench(name = "live/step", args = steps())]
fn step(bencher: divan::Bencher<'_, '_>, step: &Step) {
    bencher.counter(ItemsCount::new(step.batch)).bench(|| {
        let mut live = live();
        for _ in 0..step.batch {
            match step.table {
                Some(table) => live.send(table),
                None => live.send_mixed(),
            }
        }
        live.follow()
    });
}

/// A case is confirmed and ruled out again: one step each, and all who met the person looked at twice.
#[divan::bench(name = "live/case/contacts=1000")]
fn case(bencher: divan::Bencher<'_, '_>) {
    let mut live = live();
    bencher.counter(ItemsCount::new(2usize)).bench_local(|| {
        live.sent += 1;
        let (sent, at) = (live.sent, live.current.at());
        let person = live.met[sent % live.met.len()];
        live.live.upsert_case(Case {
            id: u64::MAX,
            person,
            kind: CaseKind::Confirmed,
            onset_at: Some(at.minus_days(7)),
            reported_at: at,
            isolated_at: at,
            outcome: None,
            outcome_at: Timestamp::NEVER,
        });
        let told = live.follow();
        live.live.delete(Table::Cases, u64::MAX);
        told + live.follow()
    });
}

/// A province becomes an area of high risk and stops being one: one step each.
#[divan::bench(name = "live/listing/province")]
fn listing(bencher: divan::Bencher<'_, '_>) {
    let mut live = live();
    let (region, listed_at) = (Region::new(330_000).expect("Zhejiang"), live.current.at());
    let area = RiskArea { id: u64::MAX, region, level: Level::High, listed_at, delisted_at: Timestamp::NEVER };
    bencher.counter(ItemsCount::new(2usize)).bench_local(|| {
        live.live.upsert_risk_area(area);
        let told = live.follow();
        live.live.delete(Table::RiskAreas, u64::MAX);
        told + live.follow()
    });
}

/// Only the evaluation of so many people. Where it costs more than `live/all`, `PEOPLE_PER_TOUCHED_MIN` is too small.
#[divan::bench(name = "live/touched", args = [1, 256, 4_096, 16_384, 40_000])]
fn touched(bencher: divan::Bencher<'_, '_>, people: usize) {
    bencher
        .counter(ItemsCount::new(people))
        .with_inputs(|| {
            let mut live = live();
            for _ in 0..people {
                live.send(Table::Checkins);
            }
        })
        .bench_values(|()| live().follow());
}

/// Everybody, over columns that have been changed by the benches above.
#[divan::bench(name = "live/all")]
fn all(bencher: divan::Bencher<'_, '_>) {
    bencher.bench(|| {
        let Followed { live, program, current, .. } = &mut *live();
        let at = current.at();
        current.follow_all(live, program, at).len()
    });
}

/// The kernels alone, over the same columns.
#[divan::bench(name = "live/recompute")]
fn kernels(bencher: divan::Bencher<'_, '_>) {
    let live = live();
    bencher.bench_local(|| recompute(live.live.facts(), &live.program, live.current.at()));
}
