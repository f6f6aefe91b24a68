//! Delta = full: facts that come, change and go in any order and in batches of any size, time that moves between them and rules
//! that are replaced give the codes of a full recompute of the facts that stand, at every step and to the last bit.

use std::collections::{BTreeMap, BTreeSet};

use sanma::evaluate::{Codes, Current, Flip, recompute};
use sanma::explain::{self, Audience};
use sanma::facts::{Facts, FactsView, LiveFacts, Names};
use sanma::model::facts::{TableColumns as _, Tables};
use sanma::model::{Code, LabelId, PersonId, PlaceId, Table, Timestamp};
use sanma::rules::{Cause, Program};
use sanma::sinks::{RowNames, table_batch};
use sanma::spelt::Spelt;

use crate::agreement::{facts_of, names_of, worlds};
use crate::worlds::cells::with_table;
use crate::worlds::draw::Draw;
use crate::worlds::{LABELS, PERSONS, PLACES, World, rules};

/// What happens to facts.
#[derive(Clone, Copy)]
enum Op {
    /// The row with this number of a table is sent; later rows of an id replace earlier ones.
    Upsert(Table, u32),
    Delete(Table, u64),
}

/// Rows of several worlds under one vocabulary, so that an id is a different row in each.
struct History {
    world: World,
    ops: Vec<Op>,
    instants: Vec<Timestamp>,
}

fn place_of(all: &[&str], token: &str) -> u32 {
    u32::try_from(all.iter().position(|&other| other == token).expect("a token of the worlds")).expect("few")
}

/// A world's rows, its ids those of the whole vocabulary.
fn renamed(world: &World) -> Tables {
    let mut tables = world.tables.clone();
    let person = |id: &mut PersonId| *id = PersonId(place_of(&PERSONS, &world.persons[id.index()]));
    let label = |id: &mut LabelId| *id = LabelId::from_index(place_of(&LABELS, &world.labels[id.index()]));
    tables.declarations.person.base_mut().iter_mut().for_each(person);
    tables.declarations.enterprise.base_mut().iter_mut().flatten().for_each(label);
    tables.checkins.person.base_mut().iter_mut().for_each(person);
    tables.checkins.enterprise.base_mut().iter_mut().flatten().for_each(label);
    tables.cases.person.base_mut().iter_mut().for_each(person);
    tables.quarantines.person.base_mut().iter_mut().for_each(person);
    tables.contacts.person_a.base_mut().iter_mut().for_each(person);
    tables.contacts.person_b.base_mut().iter_mut().for_each(person);
    tables.stays.person.base_mut().iter_mut().for_each(person);
    for place in tables.stays.place.base_mut().iter_mut().flatten() {
        *place = PlaceId::from_index(place_of(&PLACES, &world.places[place.index()]));
    }
    tables.tests.person.base_mut().iter_mut().for_each(person);
    tables.whitelist.person.base_mut().iter_mut().for_each(person);
    tables.whitelist.reason.base_mut().iter_mut().for_each(label);
    tables.findings.person.base_mut().iter_mut().for_each(person);
    tables.reviews.person.base_mut().iter_mut().for_each(person);
    tables
}

fn append(all: &mut Tables, more: &mut Tables) {
    all.declarations.append(&mut more.declarations);
    all.checkins.append(&mut more.checkins);
    all.cases.append(&mut more.cases);
    all.quarantines.append(&mut more.quarantines);
    all.contacts.append(&mut more.contacts);
    all.stays.append(&mut more.stays);
    all.risk_areas.append(&mut more.risk_areas);
    all.tests.append(&mut more.tests);
    all.whitelist.append(&mut more.whitelist);
    all.findings.append(&mut more.findings);
    all.reviews.append(&mut more.reviews);
}

fn strings(tokens: &[&str]) -> Vec<String> {
    tokens.iter().map(|&token| token.to_owned()).collect()
}

pub fn id_of(tables: &Tables, table: Table, row: u32) -> u64 {
    with_table!(tables, table, columns => columns.ids()[row as usize])
}

impl History {
    fn random(seed: u64) -> Self {
        let mut draw = Draw::new(seed, 11);
        let versions = [World::random(seed), World::random(seed.wrapping_mul(977).wrapping_add(1))];
        let mut tables = Tables::default();
        for world in &versions {
            append(&mut tables, &mut renamed(world));
        }
        let world = World { tables, persons: strings(&PERSONS), places: strings(&PLACES), labels: strings(&LABELS) };
        let mut rows = world.rows();
        draw.shuffle(&mut rows);
        let mut ops = Vec::new();
        for (table, row) in rows {
            ops.push(Op::Upsert(table, row));
            if draw.chance(15) {
                ops.push(Op::Delete(table, id_of(&world.tables, table, row)));
            }
            if draw.chance(8) {
                ops.push(Op::Upsert(table, row));
            }
        }
        let instants = world.sample_instants(seed, 8);
        Self { world, ops, instants }
    }

    /// The world of the rows that stand.
    fn standing(&self, rows: &BTreeMap<(Table, u64), u32>) -> World {
        self.world.with_rows(&rows.iter().map(|(&(table, _), &row)| (table, row)).collect::<Vec<_>>())
    }
}

/// Facts that have come to be a world's: some were there, others came one by one, and some of all went and came back. They are looked at
/// on the way.
pub fn grown(world: &World, draw: &mut Draw, look: impl FnOnce(&mut LiveFacts)) -> LiveFacts {
    let (mut rows, names) = (world.rows(), names_of(world));
    draw.shuffle(&mut rows);
    let (there, later) = rows.split_at(draw.below(rows.len() + 1));
    let mut live = LiveFacts::new(facts_of(&world.with_rows(there)));
    let back = rows.iter().filter(|_| draw.chance(15));
    let back: Vec<(Table, u32)> = later.iter().chain(back).copied().collect();
    let halfway = draw.below(back.len() + 1);
    let mut look = Some(look);
    for (step, (table, row)) in (0..).zip(back) {
        if let Some(look) = look.take_if(|_| step == halfway) {
            look(&mut live);
        }
        live.delete(table, id_of(&world.tables, table, row));
        live.absorb(&world.with_rows(&[(table, row)]).tables, &names);
    }
    live
}

/// The live side: facts, codes, and the codes as somebody has them who started with none and was told every flip.
struct Follower {
    live: LiveFacts,
    current: Current,
    told: BTreeMap<String, Code>,
}

impl Follower {
    fn new(facts: Facts, program: &Program, at: Timestamp) -> Self {
        let mut live = LiveFacts::new(facts);
        let current = Current::new(&mut live, program, at);
        let name = |person| live.facts().names.person(person).to_owned();
        let told = current.codes().iter().map(|(person, code)| (name(person), code)).collect();
        Self { live, current, told }
    }

    fn tell(&mut self, flips: &[Flip]) {
        for flip in flips {
            let name = self.live.facts().names.person(flip.person).to_owned();
            let before = match flip.after {
                Some(after) => self.told.insert(name, after),
                None => self.told.remove(&name),
            };
            assert_eq!(before, flip.before, "what a flip says was before");
        }
    }

    fn apply(&mut self, history: &History, ops: &[Op]) {
        for op in ops {
            match *op {
                Op::Upsert(table, row) => {
                    let one = history.world.with_rows(&[(table, row)]);
                    self.live.absorb(&one.tables, &names_of(&history.world));
                }
                Op::Delete(table, id) => {
                    self.live.delete(table, id);
                }
            }
        }
    }

    fn check(&self, seed: u64, step: usize, world: &World, program: &Program, at: Timestamp) {
        let facts = facts_of(world);
        let full = recompute(&facts, program, at);
        let expected: BTreeMap<String, Code> =
            full.iter().map(|(person, code)| (facts.names.person(person).to_owned(), code)).collect();
        let names = &self.live.facts().names;
        let codes: BTreeMap<String, Code> =
            self.current.codes().iter().map(|(person, code)| (names.person(person).to_owned(), code)).collect();
        assert_eq!(codes, expected, "seed {seed}, step {step}, {}: {world:?}", at.to_rfc3339());
        assert_eq!(self.told, expected, "seed {seed}, step {step}: what was told");
        self.check_page(seed, step, world, program, at);
        for table in Table::ALL {
            let rows = with_table!(world.tables, table, columns => columns.len());
            assert_eq!(self.live.rows_of(table), rows, "seed {seed}, step {step}, {table:?}");
        }
    }
}

impl Follower {
    /// Explain over the rows around a person = explain over all facts, word for word.
    fn check_page(&self, seed: u64, step: usize, world: &World, program: &Program, at: Timestamp) {
        let looks_through = program.rules.iter().any(|rule| matches!(rule.cause, Cause::SecondContact { .. }));
        let token = &world.persons[step % world.persons.len()];
        let index = |tokens: &[String]| u32::try_from(tokens.iter().position(|other| other == token)?).ok();
        let names = &self.live.facts().names;
        let official = Audience::Official;
        let live = names.persons.find(token).map(PersonId).and_then(|person| {
            let around = self.live.facts().around(person, looks_through);
            explain::explain(&around, program, person, at, official, &Spelt(names))
        });
        let full = index(&world.persons).map(PersonId).and_then(|person| {
            explain::explain(&world.tables, program, person, at, official, &Spelt(&facts_of(world).names))
        });
        assert_eq!(live, full, "seed {seed}, step {step}, {token} at {}", at.to_rfc3339());
    }
}

/// What stood at a step, for whoever goes on reading it.
struct Seen {
    view: FactsView,
    codes: Codes,
    world: World,
    program: Program,
    at: Timestamp,
}

impl Seen {
    /// A view says for good what stood when it was made, whatever has come since.
    fn check(&self, seed: u64) {
        let facts = self.view.indexed();
        let codes = recompute(&facts, &self.program, self.at);
        assert!(codes.iter().eq(self.codes.iter()), "seed {seed} at {}", self.at.to_rfc3339());
        for table in Table::ALL {
            let mut expected: Vec<u64> =
                with_table!(self.world.tables, table, columns => columns.ids().iter().copied().collect());
            assert_eq!(facts.rows_of(table), expected.len(), "seed {seed}, {table:?}");
            expected.sort_unstable();
            let ids = facts.ids_of(table);
            let zones = ids.zones(3).into_iter();
            let mut standing: Vec<u64> = zones
                .flat_map(|zone| match facts.standing(table, zone.clone()) {
                    None => ids[zone].to_vec(),
                    Some(rows) => rows.iter().map(|&row| ids[row as usize]).collect(),
                })
                .collect();
            standing.sort_unstable();
            assert_eq!(standing, expected, "seed {seed}, {table:?}");
        }
        let names = &facts.names.persons;
        for index in 0..names.len() {
            assert_eq!(names.find(names.get(index)).map(|id| id as usize), Some(index));
        }
        let unknown = self.world.persons.iter().filter(|token| names.find(token).is_none());
        assert_eq!(names.len() + unknown.count(), self.world.persons.len(), "seed {seed}: nobody who came later");
        self.check_closed(seed);
    }

    /// Without gaps the facts are those of the rows that stand, and hold nothing else.
    fn check_closed(&self, seed: u64) {
        let closed = self.view.closed();
        let by_name = |names: &Names, codes: &Codes| -> BTreeMap<String, Code> {
            codes.iter().map(|(person, code)| (names.person(person).to_owned(), code)).collect()
        };
        let codes = by_name(&closed.names, &recompute(&closed, &self.program, self.at));
        assert_eq!(codes, by_name(&self.view.facts().names, &self.codes), "seed {seed} at {}", self.at.to_rfc3339());
        let spelt = |(tables, names): (Tables, Names)| {
            Table::ALL.map(|table| {
                let count = with_table!(tables, table, columns => columns.len());
                let mut rows: Vec<u32> = (0..u32::try_from(count).expect("few")).collect();
                rows.sort_unstable_by_key(|&row| id_of(&tables, table, row));
                let names = RowNames { persons: &names.persons, places: &names.places, labels: &names.labels };
                table_batch(table, &tables, names, &rows)
            })
        };
        let (tables, names) = closed.into_tables();
        let used: BTreeSet<usize> = persons_of(&tables).map(PersonId::index).collect();
        assert!(used.into_iter().eq(0..names.persons.len()), "seed {seed}: persons without rows");
        let used: BTreeSet<usize> = tables.stays.place.iter().flatten().map(|place| place.index()).collect();
        assert!(used.into_iter().eq(0..names.places.len()), "seed {seed}: places without stays");
        let labels = tables.declarations.enterprise.iter().chain(tables.checkins.enterprise.iter()).flatten();
        let used: BTreeSet<usize> = labels.chain(tables.whitelist.reason.iter()).map(|label| label.index()).collect();
        assert!(used.into_iter().eq(0..names.labels.len()), "seed {seed}: labels that nothing names");
        assert!(
            names.persons.sorted().is_sorted_by_key(|&id| names.persons.get(id as usize)),
            "seed {seed}: their order"
        );
        assert_eq!(spelt((tables, names)), spelt(facts_of(&self.world).into_tables()), "seed {seed}");
    }
}

fn persons_of(tables: &Tables) -> impl Iterator<Item = PersonId> {
    let contacts = tables.contacts.person_a.iter().chain(tables.contacts.person_b.iter());
    let others = [
        &tables.declarations.person,
        &tables.checkins.person,
        &tables.cases.person,
        &tables.quarantines.person,
        &tables.stays.person,
        &tables.tests.person,
        &tables.whitelist.person,
        &tables.findings.person,
        &tables.reviews.person,
    ];
    contacts.chain(others.into_iter().flat_map(sanma::model::Chunked::iter)).copied()
}

fn follow(seed: u64, history: &History, from_nothing: bool, mut program: Program) {
    let mut draw = Draw::new(seed, 12);
    let mut instants = history.instants.iter().copied();
    let Some(mut at) = instants.next() else { return };
    let mut standing: BTreeMap<(Table, u64), u32> = BTreeMap::new();
    let mut rest = &history.ops[..];
    if !from_nothing {
        let (first, later) = rest.split_at(draw.below(rest.len() + 1));
        stand(&mut standing, history, first);
        rest = later;
    }
    let facts = if from_nothing {
        Facts::new(Tables::default(), Names::default())
    } else {
        facts_of(&history.standing(&standing))
    };
    let mut follower = Follower::new(facts, &program, at);
    let (mut step, mut views) = (0, Vec::new());
    while !rest.is_empty() || step < 4 {
        step += 1;
        let (batch, later) = rest.split_at(draw.range(0, 6).min(u32::try_from(rest.len()).expect("few")) as usize);
        rest = later;
        follower.apply(history, batch);
        stand(&mut standing, history, batch);
        if draw.chance(12) {
            at = instants.next().unwrap_or(at);
        }
        let mut flips = follower.current.follow(&mut follower.live, &program, at);
        follower.tell(&flips);
        if draw.chance(5) {
            program = rules::random(draw.next());
            flips = follower.current.follow_all(&mut follower.live, &program, at);
            follower.tell(&flips);
        }
        let world = history.standing(&standing);
        follower.check(seed, step, &world, &program, at);
        if draw.chance(20) {
            let (view, codes) = (follower.live.view(), follower.current.codes().clone());
            views.push(Seen { view, codes, world, program: program.clone(), at });
        }
    }
    for view in &views {
        view.check(seed);
    }
}

fn stand(standing: &mut BTreeMap<(Table, u64), u32>, history: &History, ops: &[Op]) {
    for op in ops {
        match *op {
            Op::Upsert(table, row) => standing.insert((table, id_of(&history.world.tables, table, row)), row),
            Op::Delete(table, id) => standing.remove(&(table, id)),
        };
    }
}

#[test]
fn delta_is_full_whatever_comes_in_whatever_order() {
    for seed in worlds(150) {
        let history = History::random(seed);
        follow(seed, &history, seed % 2 == 0, rules::random(seed.wrapping_mul(37)));
    }
}
