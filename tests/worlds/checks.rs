//! Checks of the generators themselves: seeds, validity, what a shrinker leaves, and that what they are for does occur.

use std::collections::{BTreeMap, BTreeSet};

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use sanma::model::facts::TableColumns as _;
use sanma::model::{ClosedEnum as _, RuleId, Table, Timestamp};
use sanma::rules::{Cause, Program};

use super::shrink::{Worlds, minimise};
use super::situations::SITUATIONS;
use super::valid::first_fault;
use super::{World, rules};

const SEEDS: std::ops::Range<u64> = 0..200;

#[test]
fn a_seed_is_a_world() {
    for seed in SEEDS {
        assert_eq!(format!("{:?}", World::random(seed)), format!("{:?}", World::random(seed)), "seed {seed}");
    }
    assert_ne!(format!("{:?}", World::random(1)), format!("{:?}", World::random(2)));
}

#[test]
fn worlds_are_small() {
    for seed in SEEDS {
        let world = World::random(seed);
        assert!((3..=12).contains(&world.persons.len()) && (1..=5).contains(&world.places.len()), "seed {seed}");
        assert!((5..=400).contains(&world.tables.rows()), "seed {seed}: {} rows", world.tables.rows());
    }
}

#[test]
fn every_row_is_valid() {
    for seed in SEEDS {
        let world = World::random(seed);
        for table in Table::ALL {
            let mut ids = BTreeSet::new();
            for row in world.cells(table) {
                assert_eq!(first_fault(table, &row), None, "seed {seed}: {} {row:?}", table.name());
                assert!(ids.insert(row[0].to_string()), "seed {seed}: {} id {} twice", table.name(), row[0]);
            }
        }
    }
}

#[test]
fn boundary_situations_occur() {
    let worlds: Vec<_> = SEEDS.map(World::random).collect();
    for (name, occurs) in SITUATIONS {
        let count = worlds.iter().filter(|world| occurs(world)).count();
        println!("{count:>4} of {} worlds: {name}", worlds.len());
        assert!(count > 0, "no world of {} has {name}", worlds.len());
    }
}

#[test]
fn instants_of_interest_are_sorted_and_lie_around_facts() {
    for seed in 0..20 {
        let world = World::random(seed);
        let all = world.instants_of_interest();
        assert!(all.is_sorted_by(|a, b| a < b));
        for at in world.instants() {
            for near in [Timestamp(at.0 - 1), at, Timestamp(at.0 + 1), at.plus_days(14)] {
                assert!(all.binary_search(&near).is_ok());
            }
        }
        let sample = world.sample_instants(seed, 30);
        assert!(!sample.is_empty() && sample.len() <= 30 && sample.iter().all(|at| all.binary_search(at).is_ok()));
    }
    let empty = World::random(0).with_rows(&[]);
    assert!(empty.instants_of_interest().is_empty() && empty.sample_instants(0, 5).is_empty());
}

#[test]
fn order_of_arrival_changes_without_the_facts() {
    let world = World::random(7);
    let other = world.shuffled(1);
    assert_ne!(format!("{world:?}"), format!("{other:?}"));
    for table in Table::ALL {
        let sorted = |world: &World| {
            let mut rows: Vec<_> = world.cells(table).iter().map(|row| format!("{row:?}")).collect();
            rows.sort();
            rows
        };
        assert_eq!(sorted(&world), sorted(&other));
    }
}

/// Some case whose person has a contact.
fn contagious(world: &World) -> bool {
    let contacts = &world.tables.contacts;
    world
        .tables
        .cases
        .person
        .iter()
        .any(|p| contacts.person_a.base().contains(p) || contacts.person_b.base().contains(p))
}

#[test]
fn a_counterexample_is_cut_to_the_rows_that_matter() {
    for seed in (0..40).filter(|&seed| contagious(&World::random(seed))) {
        let small = minimise(World::random(seed), contagious);
        assert_eq!((small.tables.cases.len(), small.tables.contacts.len()), (1, 1), "seed {seed}: {small:?}");
        assert_eq!(small.tables.rows(), 2, "seed {seed}: {small:?}");
    }
}

#[test]
fn proptest_shrinks_worlds() {
    let mut tree = Worlds.new_tree(&mut TestRunner::deterministic()).expect("a world");
    while !tree.current().tables.stays.is_empty() && tree.simplify() {
        if tree.current().tables.stays.is_empty() {
            assert!(tree.complicate());
        }
    }
    assert!(tree.current().tables.rows() <= 1);
    assert!(!tree.complicate() && !tree.simplify());
}

#[test]
fn rule_sets_are_checked() {
    for seed in 0..1000 {
        let program = rules::random(seed);
        assert_eq!(program, rules::random(seed));
        assert!((1..=12).contains(&program.rules.len()));
        assert!((3..=60).contains(&program.retention_days));
        assert!(program.excuses.iter().all(|rule| usize::from(rule.0) < program.rules.len()));
        for rule in &program.rules {
            if let Cause::SecondContact { through, .. } = rule.cause {
                assert!(matches!(program.rule(through).cause, Cause::Contact(_)));
            }
        }
    }
}

#[test]
fn a_rule_set_is_cut_to_the_rules_that_matter() {
    let second = |program: &Program| program.rules.iter().any(|rule| matches!(rule.cause, Cause::SecondContact { .. }));
    for program in (0..100).map(rules::random).filter(second) {
        let names = |program: &Program| program.names(program.excuses).map(str::to_owned).collect::<BTreeSet<_>>();
        let small = rules::minimise(program.clone(), second);
        assert_eq!(small.rules.len(), 2, "{}", rules::to_terse_toml(&small));
        assert!(names(&small).is_subset(&names(&program)));
        let through = |program: &Program, id: &str| {
            let of = program.rules.iter().find(|rule| rule.id == id).map(|rule| rule.cause.clone());
            if let Some(Cause::SecondContact { through, .. }) = of {
                Some(program.rule(through).id.clone())
            } else {
                None
            }
        };
        assert!(small.rules.iter().all(|rule| through(&small, &rule.id) == through(&program, &rule.id)));
    }
}

#[test]
fn every_cause_and_word_is_drawn() {
    let mut drawn: BTreeMap<String, usize> = BTreeMap::new();
    let mut degree_two_first = 0;
    for program in SEEDS.map(rules::random) {
        for (id, rule) in program.numbered() {
            *drawn.entry(rules::cause_name(&rule.cause).to_owned()).or_default() += 1;
            for word in rules::words(&rule.cause) {
                *drawn.entry(word.to_owned()).or_default() += 1;
            }
            if let Cause::SecondContact { through: RuleId(through), .. } = rule.cause {
                *drawn.entry("degree 2".to_owned()).or_default() += 1;
                degree_two_first += usize::from(through > id.0);
            }
        }
    }
    assert!(degree_two_first > 0, "no second-degree rule stands before its first-degree rule");
    // 9 causes and the two degrees apart, and 2 + 2 + 6 + 6 + 2 + 3 words of cases, quarantines, settings, levels, flags, symptoms.
    assert_eq!(drawn.len(), 11 + 21, "{drawn:?}");
}

#[test]
fn rule_files_are_toml_with_every_key() {
    for seed in 0..300 {
        let program = rules::random(seed);
        let full: toml::Table = rules::to_toml(&program).parse().expect("valid TOML");
        let terse: toml::Table = rules::to_terse_toml(&program).parse().expect("valid TOML");
        assert_eq!(full["title"]["en"].as_str(), Some(program.title.en.as_str()));
        assert_eq!(full["rule"].as_array().map(Vec::len), Some(program.rules.len()));
        assert_eq!(terse["rule"].as_array().map(Vec::len), Some(program.rules.len()));
        let excuses = full["whitelist"]["excuses"].as_array().expect("a list");
        assert_eq!(excuses.len(), program.excuses.iter().count());
        assert_rules_written(&program, full["rule"].as_array().expect("a list"));
        assert!(rules::to_terse_toml(&program).len() <= rules::to_toml(&program).len());
    }
}

fn assert_rules_written(program: &Program, written: &[toml::Value]) {
    for (rule, written) in program.rules.iter().zip(written) {
        assert_eq!(written["id"].as_str(), Some(rule.id.as_str()));
        assert_eq!(written["colour"].as_str(), Some(rule.colour.name()));
        assert_eq!(written["cause"].as_str(), Some(rules::cause_name(&rule.cause)));
        if let Cause::SecondContact { through, release, .. } = &rule.cause {
            assert_eq!(written["through"].as_str(), Some(program.rule(*through).id.as_str()));
            assert_eq!(written["release"]["clean_days"].as_integer(), Some(i64::from(release.clean_days)));
        }
    }
}
