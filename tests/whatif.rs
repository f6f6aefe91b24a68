//! What-if = a full run over the edited tables, and the diff: on random worlds, rules and edits.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use sanma::compare::{self, Compared, Comparison};
use sanma::diff::Transition;
use sanma::model::facts::{RiskArea, RiskAreas, TableColumns as _};
use sanma::model::published::ReasonLists;
use sanma::model::{ClosedEnum as _, Level, PersonId, Region, Timestamp};
use sanma::nightly::Job;
use sanma::rules::Program;
use sanma::sinks::{self, Destination, OutputFormat};
use sanma::whatif::{Candidate, Edit, Whatif};
use tempfile::TempDir;

use crate::agreement::facts_of;
use crate::loading::{empty_dir, job, rule_pair, run};
use crate::outputs::{self, FORMATS};
use crate::worlds::World;
use crate::worlds::draw::Draw;
use crate::worlds::files::{Shape, write};

/// Regions that a listing of which may matter: of stays and declarations, and those above them.
fn regions(world: &World) -> Vec<Region> {
    let declared = world.tables.declarations.rows().flat_map(|row| [Some(row.residence), row.came_from]).flatten();
    let named = world.tables.stays.region.iter().copied().chain(declared);
    let with_parents = named.flat_map(|region| std::iter::successors(Some(region), |region| region.parent()));
    with_parents.collect::<BTreeSet<_>>().into_iter().collect()
}

/// An edit of the world's listings that may be done at an instant.
fn random_edit(world: &World, at: Timestamp, draw: &mut Draw) -> Edit {
    let regions = regions(world);
    let listed = (0..draw.below(3)).filter(|_| !regions.is_empty());
    let list = listed.map(|_| (draw.pick(&regions), draw.pick(Level::ALL))).collect();
    let held = world.tables.risk_areas.rows().filter(|row| row.listed_at <= at && at < row.delisted_at);
    let held: BTreeSet<Region> = held.map(|row| row.region).collect();
    Edit { list, delist: held.into_iter().filter(|_| draw.chance(40)).collect() }
}

/// The world as it would be written down if the edit were signed.
fn signed(world: &World, edit: &Edit, at: Timestamp) -> World {
    let mut rows: Vec<RiskArea> = world.tables.risk_areas.rows().collect();
    for row in &mut rows {
        if edit.delist.contains(&row.region) && row.listed_at <= at && row.delisted_at > at {
            row.delisted_at = at;
        }
    }
    for &(region, level) in &edit.list {
        let id = (1..1000).find(|id| rows.iter().all(|row| row.id != *id)).expect("listings are few");
        rows.push(RiskArea { id, region, level, listed_at: at, delisted_at: Timestamp::NEVER });
    }
    with_listings(world, rows)
}

fn with_listings(world: &World, rows: impl IntoIterator<Item = RiskArea>) -> World {
    let mut world = world.clone();
    world.tables.risk_areas = RiskAreas::default();
    rows.into_iter().for_each(|row| world.tables.risk_areas.push(row));
    world
}

/// The county of the residence last declared, within the accepted ones.
fn district(world: &World, program: &Program, person: &str, at: Timestamp) -> Option<Region> {
    let token = world.persons.iter().position(|token| token == person).expect("a person of the world");
    let id = PersonId(u32::try_from(token).expect("small"));
    let made = world.tables.declarations.rows().filter(|row| row.person == id && row.declared_at <= at);
    let mut made: Vec<_> = made.map(|row| (row.declared_at, row.id, row.residence)).collect();
    made.sort_unstable();
    let mut accepted = made.into_iter().take(program.max_modifications as usize + 1);
    accepted.next_back().map(|(_, _, residence)| residence.district())
}

/// Publishes the codes of a world in full.
fn publish(world: &World, program: &Program, at: Timestamp, seed: u64, draw: &mut Draw) -> TempDir {
    let [data, out] = [(); 2].map(|()| empty_dir());
    write(world, data.path(), &Shape::random(seed));
    let format = draw.pick(&FORMATS);
    run(&Job { format, ..job(data.path(), program, at, out.path()) }).expect("a run");
    out
}

/// Compares published codes. Gives the rows of `changes`, too.
fn compared(
    [before, after]: [&Path; 2],
    at: Timestamp,
    reasons: bool,
    draw: &mut Draw,
) -> (Compared, Vec<outputs::Record>) {
    let (out, format) = (empty_dir(), draw.pick(&FORMATS));
    let destination = Destination { dir: out.path(), format };
    let comparison = Comparison { before, after, reasons, out: Some((destination, at)) };
    let compared = compare::run(&comparison, &|| false).expect("codes in order");
    (compared, outputs::read(out.path(), "changes", format))
}

#[test]
fn what_if_is_a_full_run_over_edited_tables() {
    let (mut changes, mut kinds) = (0, BTreeSet::new());
    for seed in 0..50 {
        let world = World::random(seed);
        let draw = &mut Draw::new(seed, 60);
        let [rules, other] = rule_pair(seed, draw);
        let reasons = draw.chance(50);
        for at in world.sample_instants(seed, 2) {
            let edit = random_edit(&world, at, draw);
            let another = World::random(seed + 1000).tables.risk_areas;
            let edited = edit.apply(&world.tables.risk_areas, at).expect("what is delisted is listed");
            // Candidates follow each other over the same facts; nothing of one may be left for the next.
            let candidates = [
                (&rules, &edited, Box::new(signed(&world, &edit, at))),
                (&other, &another, Box::new(with_listings(&world, another.rows()))),
                (&other, &edited, Box::new(signed(&world, &edit, at))),
                (&rules, &world.tables.risk_areas, Box::new(world.clone())),
            ];
            let before = publish(&world, &rules, at, seed, draw);
            let mut whatif = Whatif::new(facts_of(&world), &rules, at, reasons);
            for (number, (program, listings, signed)) in candidates.iter().enumerate() {
                let candidate = Candidate { program, listings };
                let (next, outcome) = whatif.outcome(&candidate);
                whatif = next;
                let after = publish(signed, program, at, seed + 1, draw);
                let (full, rows) = compared([before.path(), after.path()], at, reasons, draw);
                let what = format!("seed {seed} candidate {number} at {}", at.to_rfc3339());
                assert_eq!(outcome.tally, full.tally, "{what}");
                assert_eq!(written(&whatif, &candidate, &outcome), rows, "{what}");
                let mut by_district: BTreeMap<Region, u64> = BTreeMap::new();
                for row in &rows {
                    let person = outputs::text(row, "person");
                    let place = district(&world, &rules, person, at).or_else(|| district(&world, program, person, at));
                    *by_district.entry(place.expect("who changes has declared")).or_default() += 1;
                }
                let sum = |transitions: &BTreeMap<Transition, u64>| transitions.values().sum::<u64>();
                let told: BTreeMap<Region, u64> =
                    outcome.by_district.iter().map(|(district, transitions)| (*district, sum(transitions))).collect();
                assert_eq!(told, by_district, "{what}");
                if number == 3 {
                    assert_eq!(outcome.tally.changes, 0, "{what}: what is in force changes nothing");
                }
                changes += rows.len();
                kinds.extend(outcome.tally.transitions.into_keys());
            }
        }
    }
    assert!(changes > 150 && kinds.len() >= 6, "{changes} changes in all worlds, of kinds {kinds:?}");
}

/// The changes of an outcome, written and read back.
fn written(whatif: &Whatif<'_>, candidate: &Candidate<'_>, outcome: &sanma::whatif::Outcome) -> Vec<outputs::Record> {
    let (mut lists, out) = (ReasonLists::default(), empty_dir());
    let changes = whatif.changes(candidate, outcome, &mut lists);
    let destination = Destination { dir: out.path(), format: OutputFormat::Ndjson };
    let staged = destination.stage_changes("changes-1", &changes, &lists, whatif.as_of(), &|| false).expect("written");
    sinks::commit(vec![staged]).expect("renamed");
    outputs::read(out.path(), "changes-1", OutputFormat::Ndjson)
}

fn whatif(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sanma"));
    command.args(["whatif", "--rules", "hangzhou", "--as-of", "2020-02-18", "--data"]).arg(data);
    command
}

fn epidemic() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/covasim-huzhou")
}

#[test]
fn candidates_share_a_run_and_are_told_one_by_one() {
    let out = empty_dir();
    let list = out.path().join("official.csv");
    std::fs::write(&list, "id,region,level,listed_at,delisted_at\n1,330502,high,2020-02-01T00:00:00Z,\n2,7,x,,\n")
        .expect("written");
    let mut command = whatif(&epidemic());
    command.args(["--against", "huzhou", "--list", "330502=high", "--reasons", "--format", "csv", "--json"]);
    command.arg("--risk-areas").arg(&list).arg("--out").arg(out.path());
    let output = command.output().expect("the command runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    let candidates = told["candidates"].as_array().expect("candidates");
    assert_eq!(candidates.len(), 2, "{told}");
    for (number, candidate) in (1..).zip(candidates) {
        assert!(candidate["rules"].as_str().expect("rules").starts_with("huzhou-"), "{candidate}");
        let rows = outputs::read(out.path(), &format!("changes-{number}"), OutputFormat::Csv);
        assert_eq!(candidate["changes"].as_u64(), Some(rows.len() as u64));
        assert!(!rows.is_empty(), "{candidate}");
        let districts = candidate["by_district"].as_object().expect("districts").values();
        let by_district: u64 = districts.map(|district| district["changes"].as_u64().expect("a count")).sum();
        assert_eq!(by_district, rows.len() as u64);
    }
    assert_eq!(candidates[0]["listings"][0], "330502 浙江省湖州市吴兴区 listed high");
    assert!(
        told["warnings"][0].as_str().expect("a warning").contains("official.csv: 1 invalid rows are left out"),
        "{told}"
    );
}

#[test]
fn the_summary_names_districts_and_rules() {
    let output = whatif(&epidemic()).args(["--list", "330000=key"]).output().expect("the command runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    for part in
        ["what if 1: rules hangzhou-", "330000 浙江省 listed key", "changes\n", "gained", "by district", "recompute "]
    {
        assert!(said.contains(part), "no {part:?} in:\n{said}");
    }
}

#[test]
fn what_cannot_be_asked_is_told() {
    for (typed, part) in [
        (&[][..], "--against"),
        (&["--list", "330106"], "330106=high"),
        (&["--list", "330106=hgih"], "low, lower, medium, elevated, high, key"),
        (&["--list", "12345=high"], "division code"),
        (&["--delist", "900000"], "division code"),
        (&["--delist", "820000"], "820000 is not listed at that instant"),
        (&["--against", "huzhuo"], "huzhou"),
        (&["--list", "330106=high", "--as-off", "2020-02-18"], "--as-of"),
    ] {
        let output = whatif(&epidemic()).args(typed).output().expect("the command runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{typed:?}: {said}");
        assert!(said.contains(part), "{typed:?}: no {part:?} in:\n{said}");
    }
    let missing = whatif(&epidemic()).args(["--risk-areas", "nowhere.csv"]).output().expect("the command runs");
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("nowhere.csv"));
}
