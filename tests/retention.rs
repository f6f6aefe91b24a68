//! What is past its retention is forgotten, and no colour changes by it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use sanma::evaluate::{over, recompute};
use sanma::facts::{Facts, LiveFacts};
use sanma::model::{Code, PersonId, Table, Timestamp};
use sanma::rules::Program;

use crate::agreement::{facts_of, names_of, worlds};
use crate::follow::grown;
use crate::loading::empty_dir;
use crate::run::{applied, codes, done, run};
use crate::worlds::cells::{Cell, cells};
use crate::worlds::draw::Draw;
use crate::worlds::{World, rules};

/// Ids of a world's rows.
fn id_of(world: &World, table: Table, row: u32) -> u64 {
    match cells(&world.tables, table, world.tokens())[row as usize][0] {
        Cell::Int(id) => u64::try_from(id).expect("an id"),
        ref other => panic!("an id: {other:?}"),
    }
}

/// All of a code but how long it is known to hold.
fn said(facts: &Facts, program: &Program, at: Timestamp) -> Vec<Option<Code>> {
    let codes = recompute(facts, program, at);
    let people = u32::try_from(facts.people).expect("worlds are small");
    let plain = |code: Code| Code { valid_until: Timestamp::NEVER, ..code };
    (0..people).map(|person| codes.of(PersonId(person)).map(plain)).collect()
}

/// What is forgotten at once, after any changes, leaves what forgetting row by row leaves, and facts that go on changing.
fn at_once(seed: u64, world: &World, program: &Program, at: Timestamp, left: &Facts) {
    let mut live = grown(world, &mut Draw::new(seed, 31), |_| ());
    live.forget(over(program, at));
    assert_eq!(live.forgettable(over(program, at)), [], "seed {seed}");
    for table in Table::ALL {
        let mut ids: [Vec<u64>; 2] = [live.facts(), left].map(|facts| facts.ids_of(table).iter().copied().collect());
        for ids in &mut ids {
            ids.sort_unstable();
        }
        assert_eq!(ids[0], ids[1], "seed {seed}, {table:?}");
    }
    let named = |facts: &Facts, codes: Vec<Option<Code>>| -> BTreeMap<String, Code> {
        let names = (0..).map(|person| facts.names.person(PersonId(person)).to_owned());
        codes.into_iter().zip(names).filter_map(|(code, name)| Some((name, code?))).collect()
    };
    let codes = |facts: &Facts| named(facts, said(facts, program, at));
    assert_eq!(codes(live.facts()), codes(left), "seed {seed} at {}", at.to_rfc3339());
    // All come back.
    for (table, row) in world.rows() {
        live.delete(table, id_of(world, table, row));
        live.absorb(&world.with_rows(&[(table, row)]).tables, &names_of(world));
    }
    let (mut live, facts) = (live, facts_of(world));
    live.settle();
    live.index_meetings();
    assert_eq!(codes(live.facts()), codes(&facts), "seed {seed} at {}", at.to_rfc3339());
}

#[test]
fn what_is_forgotten_changes_no_code_then_or_later() {
    let (mut forgotten, mut tables) = (0, BTreeSet::new());
    for seed in worlds(150) {
        let (world, program) = (World::random(seed), rules::random(seed));
        let facts = facts_of(&world);
        let instants = world.sample_instants(seed, 12);
        for (number, &at) in instants.iter().enumerate() {
            let over = LiveFacts::new(facts_of(&world)).forgettable(over(&program, at));
            forgotten += over.len();
            tables.extend(over.iter().map(|&(table, _)| table));
            let over: BTreeSet<(Table, u64)> = over.into_iter().collect();
            let stays = |&(table, row): &(Table, u32)| !over.contains(&(table, id_of(&world, table, row)));
            let left = facts_of(&world.with_rows(&world.rows().into_iter().filter(stays).collect::<Vec<_>>()));
            at_once(seed, &world, &program, at, &left);
            for &later in &instants[number..] {
                assert_eq!(
                    said(&left, &program, later),
                    said(&facts, &program, later),
                    "seed {seed}: forgotten at {}, codes of {}",
                    at.to_rfc3339(),
                    later.to_rfc3339()
                );
            }
        }
    }
    assert!(forgotten > 1_000, "{forgotten}");
    assert_eq!(tables.len(), Table::ALL.len() - 1, "all but declarations: {tables:?}");
}

/// Whether a text is in a file below a folder.
fn holds(folder: &Path, text: &str) -> bool {
    fs::read_dir(folder).expect("a folder").any(|entry| {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            return holds(&path, text);
        }
        let bytes = fs::read(&path).expect("a file");
        bytes.windows(text.len()).any(|part| part == text.as_bytes())
    })
}

#[test]
fn no_byte_of_what_is_forgotten_stays_on_the_disk() {
    let dir = empty_dir();
    let (store, feed, out) = (dir.path().join("store"), dir.path().join("feed.ndjson"), dir.path().join("out"));
    let declaration = r#"{"table":"declarations","op":"upsert","row":{
        "id":1,"person":"lin","declared_at":"2020-02-11T01:00:00Z","doc_type":"other","residence":330106,
        "fever":false,"dyspnea":false,"respiratory":false,"contact_with_case":false,"visited_key_area":false}}"#;
    let stay = r#"{"table":"stays","op":"upsert","row":{"id":7,"person":"lin","region":330106,"place":"teahouse-by-the-lake",
        "entered_at":"2020-02-11T02:00:00Z","left_at":"2020-02-11T03:00:00Z"}}"#;
    let tick = |at: &str| format!("{{\"as_of\":\"{at}\"}}\n");
    let line = |message: &str| message.replace('\n', " ");
    let mut text = [line(declaration), line(stay), tick("2020-02-12T00:00:00Z")].join("\n");
    fs::write(&feed, &text).expect("room");
    done(&mut run(&store, &feed));
    assert!(holds(&store, "teahouse-by-the-lake"));
    // The last instant at which it is within 30 days, and the one after it.
    text += &tick("2020-03-12T02:59:59Z");
    fs::write(&feed, &text).expect("room");
    done(&mut run(&store, &feed));
    assert!(holds(&store, "teahouse-by-the-lake"));
    text += &tick("2020-03-13T03:00:00Z");
    fs::write(&feed, &text).expect("room");
    done(run(&store, &feed).args(["--format", "ndjson", "--out"]).arg(&out));
    assert!(!holds(&store, "teahouse-by-the-lake"), "journal, checkpoints, or elsewhere");
    assert_eq!(codes(&out).keys().collect::<Vec<_>>(), ["lin"]);
    assert_eq!(applied(&store.join("changes.ndjson")), codes(&out));
}
