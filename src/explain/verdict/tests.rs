//! The next change, on random worlds: constant until then, different from then on, and untouched by narrowing.

use super::*;
use crate::explain::fixture::{Dice, World, before, t};
use crate::model::Chunked;
use crate::model::time::{MICROS_PER_DAY, MICROS_PER_MINUTE};

const PEOPLE: u32 = 6;

/// Instants at which nothing is owed to the list of moments: every half hour, and a little around every row's instants
/// at any number of days.
fn probes(world: &World) -> Vec<Timestamp> {
    let facts = &world.facts;
    let mut instants: Vec<Timestamp> =
        (0..48 * 60).map(|slot| t("02-01").plus_micros(slot * 30 * MICROS_PER_MINUTE)).collect();
    let rows = [
        &facts.cases.reported_at,
        &facts.cases.outcome_at,
        &facts.contacts.started_at,
        &facts.stays.left_at,
        &facts.tests.sampled_at,
        &facts.checkins.reported_at,
    ];
    for instant in rows.into_iter().flat_map(Chunked::iter).filter(|instant| !instant.is_never()) {
        instants.extend((0..=12).map(|days| Timestamp(instant.0 + days * MICROS_PER_DAY)));
        instants.extend((0..=12).map(|days| Timestamp(instant.0 + days * MICROS_PER_DAY - 1)));
    }
    instants.sort_unstable();
    instants.dedup();
    instants
}

#[test]
fn a_code_holds_until_its_end_and_no_longer() {
    let mut changes = [0; 13];
    for seed in 0..20 {
        let mut dice = Dice(seed);
        let (program, world) = (dice.program(), dice.world(PEOPLE, 20));
        let probes = probes(&world);
        for person in (0..PEOPLE).map(PersonId) {
            let subject = Subject::new(&world.facts, &program, person);
            let mut at = t("02-01");
            // Follow the chain of codes to its end, checking every probe on the way.
            while let Some(code) = subject.code(at) {
                let state = subject.state(at);
                let from = probes.partition_point(|&probe| probe < at);
                let to = probes.partition_point(|&probe| probe < code.valid_until);
                for &probe in probes[from..to].iter().step_by(1 + dice.below(4) as usize) {
                    assert_eq!(subject.state(probe), state, "seed {seed} {person:?} from {at:?}, at {probe:?}");
                }
                if code.valid_until.is_never() {
                    break;
                }
                assert_eq!(subject.state(before(code.valid_until)), state, "seed {seed} {person:?} before the end");
                assert_ne!(subject.state(code.valid_until), state, "seed {seed} {person:?} at the end");
                at = code.valid_until;
                for (rule, _) in program.numbered() {
                    changes[usize::from(rule.0)] +=
                        u32::from(subject.is_active(rule, before(at)) != subject.is_active(rule, at));
                }
            }
        }
    }
    assert!(changes.iter().all(|&changes| changes >= 30), "the worlds are too quiet for some rules: {changes:?}");
}

#[test]
fn narrowing_changes_nothing() {
    for seed in 0..150 {
        let mut dice = Dice(seed);
        let (program, world) = (dice.program(), dice.world(8, 25));
        for person in (0..8).map(PersonId) {
            let at = dice.instant();
            let whole = Subject::new(&world.facts, &program, person).code(at);
            assert_eq!(code_at(&world.facts, &program, person, at), whole, "seed {seed} {person:?} at {at:?}");
            let narrow = dossier(&world.facts, &program, person);
            assert_eq!(dossier(&narrow, &program, person).rows(), narrow.rows(), "a dossier's dossier is itself");
        }
    }
}

#[test]
fn the_latest_trigger_is_that_of_the_sightings() {
    for seed in 0..40 {
        let mut dice = Dice(seed);
        let (program, world) = (dice.program(), dice.world(PEOPLE, 20));
        let subject = Subject::new(&world.facts, &program, PersonId(0));
        for at in std::iter::repeat_with(|| dice.instant()).take(20) {
            for (rule, _) in program.numbered() {
                assert_eq!(subject.trigger(rule, at), latest(&subject.sightings(rule, at)), "seed {seed} {rule:?}");
            }
        }
    }
}
