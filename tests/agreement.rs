//! Kernels = explain: on random worlds dense in boundary cases, for random and shipped rule sets, at 1 and N threads.

use rayon::ThreadPoolBuilder;
use sanma::evaluate::{recompute, refused_declarations};
use sanma::explain;
use sanma::facts::{Facts, Names};
use sanma::intern::Tokens;
use sanma::model::facts::TableColumns as _;
use sanma::model::{Code, PersonId, Timestamp};
use sanma::rules::{Catalog, Program};

use crate::worlds::shrink::minimise;
use crate::worlds::{World, rules};

/// How many worlds a test looks at; `SANMA_WORLDS` asks for another number.
pub fn worlds(default: u64) -> std::ops::Range<u64> {
    let first = std::env::var("SANMA_FIRST_WORLD").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let count = std::env::var("SANMA_WORLDS").ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    first..first + count
}

/// The facts of a world, as the engine keeps them.
pub fn names_of(world: &World) -> Names {
    let tokens = |texts: &[String]| Tokens::from_distinct(texts.iter().map(String::as_str));
    Names { persons: tokens(&world.persons), places: tokens(&world.places), labels: tokens(&world.labels) }
}

pub fn facts_of(world: &World) -> Facts {
    Facts::new(world.tables.clone(), names_of(world))
}

fn persons(world: &World) -> impl Iterator<Item = PersonId> + use<> {
    (0..u32::try_from(world.persons.len()).expect("worlds are small")).map(PersonId)
}

/// The first disagreement at an instant, in words.
fn disagreement(world: &World, facts: &Facts, program: &Program, at: Timestamp) -> Option<String> {
    let codes = recompute(facts, program, at);
    for person in persons(world) {
        let (fast, slow) = (codes.of(person), explain::code_at(&world.tables, program, person, at));
        if fast != slow {
            let say = |code: Option<Code>| {
                code.map_or_else(
                    || "no code".to_owned(),
                    |code| {
                        let names = |mask| program.names(mask).collect::<Vec<_>>().join(",");
                        format!(
                            "{:?} [{}] excused [{}] until {}",
                            code.colour,
                            names(code.reasons),
                            names(code.excused),
                            code.valid_until.to_rfc3339_at(program.utc_offset)
                        )
                    },
                )
            };
            return Some(format!(
                "{} at {}: kernels say {}, explain says {}",
                world.persons[person.index()],
                at.to_rfc3339_at(program.utc_offset),
                say(fast),
                say(slow)
            ));
        }
    }
    let ids = refused_declarations(facts, program, at);
    let mut fast: Vec<u64> = ids.iter().map(|&row| facts.declarations.row(row).id).collect();
    let mut slow = explain::refused_declarations(&world.tables, program, at);
    fast.sort_unstable();
    slow.sort_unstable();
    (fast != slow).then(|| format!("refused declarations: kernels say {fast:?}, explain says {slow:?}"))
}

/// Panics with a small counterexample if the two evaluators differ anywhere.
fn check(seed: u64, world: &World, program: &Program, instants: &[Timestamp]) {
    let facts = facts_of(world);
    for &at in instants {
        if disagreement(world, &facts, program, at).is_some() {
            let small = minimise(world.clone(), |world| disagreement(world, &facts_of(world), program, at).is_some());
            let said = disagreement(&small, &facts_of(&small), program, at);
            let rules = crate::worlds::rule_text::to_terse_toml(program);
            panic!("seed {seed}: {}\n{rules}\n{small:?}", said.unwrap_or_default());
        }
    }
}

#[test]
fn kernels_and_explain_agree_under_random_rules() {
    for seed in worlds(400) {
        let world = World::random(seed);
        let program = rules::random(seed.wrapping_mul(31));
        check(seed, &world, &program, &world.sample_instants(seed, 6));
    }
}

#[test]
fn kernels_and_explain_agree_under_the_shipped_rules() {
    let catalog = Catalog::shipped().expect("the shipped rule sets are good");
    for seed in worlds(60) {
        let world = World::random(seed ^ 0x5EED);
        for set in catalog.sets() {
            check(seed, &world, &set.program, &world.sample_instants(seed, 3));
        }
    }
}

#[test]
fn threads_and_row_order_do_not_matter() {
    let pools = [1, 3].map(|threads| ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool of threads"));
    for seed in worlds(60) {
        let world = World::random(seed);
        let shuffled = world.shuffled(seed);
        let program = rules::random(seed);
        for at in world.sample_instants(seed, 2) {
            let [one, many] = pools.each_ref().map(|pool| pool.install(|| recompute(&facts_of(&world), &program, at)));
            assert_eq!(one, many, "seed {seed}: one thread and many");
            assert_eq!(one, recompute(&facts_of(&shuffled), &program, at), "seed {seed}: another order of rows");
        }
    }
}

#[test]
fn nothing_differs_before_valid_until() {
    for seed in worlds(150) {
        let world = World::random(seed);
        let program = rules::random(seed.wrapping_add(7));
        let facts = facts_of(&world);
        let mut instants = world.instants_of_interest();
        instants.sort_unstable();
        for at in world.sample_instants(seed, 1) {
            let now = recompute(&facts, &program, at);
            for &later in instants.iter().filter(|&&later| later > at).step_by(7) {
                let then = recompute(&facts, &program, later);
                for (person, code) in now.iter() {
                    let same = then.of(person).is_some_and(|then| {
                        (then.colour, then.reasons, then.excused) == (code.colour, code.reasons, code.excused)
                    });
                    assert!(same || later >= code.valid_until, "seed {seed}: {person:?} differs at {later:?} already");
                }
            }
        }
    }
}
