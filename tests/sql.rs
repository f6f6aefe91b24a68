//! Answers in SQL = rows, codes, what-ifs and explanations as the engine itself gives them: on random worlds, rules and questions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt as _;
use rayon::ThreadPool;
use sanma::evaluate::{self, Current};
use sanma::explain::{self, Audience};
use sanma::facts::LiveFacts;
use sanma::model::facts::TableColumns as _;
use sanma::model::published::ReasonLists;
use sanma::model::{ClosedEnum as _, Level, PersonId, Table, Timestamp};
use sanma::query::{Answer, Folders, Kin, Limits, Origins, QueryError, Session, Snapshot};
use sanma::rules::{Catalog, Program};
use sanma::spelt::Spelt;
use sanma::whatif::{Candidate, Edit, Whatif};
use tokio::runtime::Runtime;

use crate::agreement::facts_of;
use crate::follow::{grown, id_of};
use crate::loading::rule_pair;
use crate::worlds::cells::Cell;
use crate::worlds::draw::Draw;
use crate::worlds::{PLACES, World};

/// Somebody who asks of a world.
pub struct Asker {
    runtime: Runtime,
    session: Session,
}

pub fn limits() -> Limits {
    Limits { memory_bytes: 1 << 30, threads: 2, time: None, files: Folders::default(), least_group: None }
}

fn pool() -> Arc<ThreadPool> {
    Arc::new(rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads"))
}

fn rules_of(program: &Program) -> (Arc<Program>, Catalog) {
    (Arc::new(program.clone()), Catalog::shipped().expect("good sets"))
}

/// What stands in a run.
pub fn snapshot_of(kin: &Kin, live: &mut LiveFacts, program: &Program, at: Timestamp) -> Snapshot {
    let current = Current::new(live, program, at);
    let facts = (&live.view(), current.codes());
    Snapshot::of_view(kin, facts, Origins::default(), rules_of(program), at, pool())
}

/// A world as it is loaded, or as a run has come to it and goes on.
pub fn snapshot(world: &World, program: &Program, at: Timestamp) -> Snapshot {
    let draw = &mut Draw::new(at.0.unsigned_abs() ^ world.rows().len() as u64, 86);
    if draw.chance(50) {
        return Snapshot::new(facts_of(world), Origins::default(), rules_of(program), at, pool());
    }
    // Who asks before leaves what others find again.
    let kin = Kin::default();
    let mut live = grown(world, draw, |live| {
        let asker = Asker::of(&Arc::new(snapshot_of(&kin, live, program, at)), limits());
        for table in Table::ALL {
            asker.rows(&format!("SELECT * FROM {}", table.name()));
        }
        let region = world.tables.stays.region.iter().next().map_or(330_100, |region| region.code());
        asker.rows(&format!("SELECT id FROM stays WHERE region = {region} OR place = '{}'", PLACES[0]));
        asker.rows("SELECT id FROM stays WHERE entered_at > TIMESTAMP '2020-02-01'");
    });
    let snapshot = snapshot_of(&kin, &mut live, program, at);
    for (table, row) in world.rows() {
        live.delete(table, id_of(&world.tables, table, row));
    }
    snapshot
}

impl Asker {
    fn new(world: &World, program: &Program, at: Timestamp) -> Self {
        Self::of(&Arc::new(snapshot(world, program, at)), limits())
    }

    pub fn of(snapshot: &Arc<Snapshot>, limits: Limits) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        Self { runtime, session: Session::new(snapshot, limits).expect("a session") }
    }

    pub fn batches(&self, sql: &str) -> Result<Vec<RecordBatch>, QueryError> {
        let mut statements = Session::statements(sql)?;
        let statement = statements.pop().expect("a statement");
        self.runtime.block_on(async {
            let Answer { batches, .. } = self.session.ask(statement).await?;
            Ok(batches.try_collect().await?)
        })
    }

    /// The rows of an answer, as texts.
    #[track_caller]
    pub fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        let options = FormatOptions::new().with_null("-");
        let batches = self.batches(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let of_batch = |batch: &RecordBatch| {
            let columns =
                batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).expect("shown"));
            let columns: Vec<_> = columns.collect();
            let row = |row| columns.iter().map(|column| column.value(row).to_string()).collect();
            (0..batch.num_rows()).map(row).collect::<Vec<Vec<String>>>()
        };
        batches.iter().flat_map(of_batch).collect()
    }

    #[track_caller]
    pub fn sorted(&self, sql: &str) -> Vec<Vec<String>> {
        let mut rows = self.rows(sql);
        rows.sort();
        rows
    }

    #[track_caller]
    fn one(&self, sql: &str) -> String {
        self.rows(sql).remove(0).remove(0)
    }
}

/// A value as answers show it.
fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Instant(at) => at.to_rfc3339(),
        Cell::Float(value) => format!("{value:?}"),
        cell => cell.to_string(),
    }
}

/// A value as a literal.
pub fn literal(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => format!("'{}'", text.replace('\'', "''")),
        Cell::Instant(at) => format!("TIMESTAMP '{}'", at.to_rfc3339()),
        cell => cell.to_string(),
    }
}

/// What a condition means of a row.
type Holds = Box<dyn Fn(&[Cell]) -> bool>;

/// A condition, and what it means.
struct Condition {
    sql: String,
    holds: Holds,
}

fn less(one: &Cell, other: &Cell) -> Option<bool> {
    match (one, other) {
        (Cell::Int(one), Cell::Int(other)) => Some(one < other),
        (Cell::Instant(one), Cell::Instant(other)) => Some(one < other),
        _ => None,
    }
}

/// A condition on one column, with values that occur in it, or nearly so.
fn random_test(table: Table, rows: &[Vec<Cell>], draw: &mut Draw) -> Condition {
    let at = draw.below(table.columns().len());
    let name = format!("\"{}\"", table.columns()[at].name);
    let mut value = || {
        let some: Vec<&Cell> = rows.iter().map(|row| &row[at]).filter(|cell| **cell != Cell::Null).collect();
        let value = if some.is_empty() { Cell::Null } else { draw.pick(&some).clone() };
        match value {
            // A number that no column holds would be compared as another type.
            Cell::Int(value) if value < 1 << 31 && draw.chance(30) => Cell::Int(value + 1),
            Cell::Instant(Timestamp(micros)) if draw.chance(30) => Cell::Instant(Timestamp(micros + 1)),
            Cell::Text(_) if draw.chance(10) => Cell::Text("nobody".to_owned()),
            value => value,
        }
    };
    let (one, other) = (value(), value());
    if one == Cell::Null || matches!(one, Cell::Float(_)) {
        let null = draw.chance(50);
        let sql = format!("{name} IS {}NULL", if null { "" } else { "NOT " });
        return Condition { sql, holds: Box::new(move |row| (row[at] == Cell::Null) == null) };
    }
    let (left, right) = (literal(&one), literal(&other));
    match (draw.below(7), &one) {
        (_, Cell::Bool(_)) => {
            let wanted = draw.chance(50);
            let sql = if wanted { name } else { format!("NOT {name}") };
            Condition { sql, holds: Box::new(move |row| row[at] == Cell::Bool(wanted)) }
        }
        (0, Cell::Int(_) | Cell::Instant(_)) => Condition {
            sql: format!("{name} < {left}"),
            holds: Box::new(move |row| less(&row[at], &one) == Some(true)),
        },
        (1, Cell::Int(_) | Cell::Instant(_)) => Condition {
            sql: format!("{left} <= {name}"),
            holds: Box::new(move |row| less(&row[at], &one) == Some(false)),
        },
        (2, Cell::Int(_) | Cell::Instant(_)) => Condition {
            sql: format!("{name} BETWEEN {left} AND {right}"),
            holds: Box::new(move |row| less(&row[at], &one) == Some(false) && less(&other, &row[at]) == Some(false)),
        },
        (3, _) => Condition {
            sql: format!("{name} IN ({left}, {right})"),
            holds: Box::new(move |row| row[at] == one || row[at] == other),
        },
        (4, _) => Condition { sql: format!("{name} IS NOT NULL"), holds: Box::new(move |row| row[at] != Cell::Null) },
        (5, _) => Condition {
            sql: format!("{name} <> {left}"),
            holds: Box::new(move |row| row[at] != one && row[at] != Cell::Null),
        },
        _ => Condition { sql: format!("{name} = {left}"), holds: Box::new(move |row| row[at] == one) },
    }
}

fn random_condition(table: Table, rows: &[Vec<Cell>], draw: &mut Draw) -> Condition {
    let one = random_test(table, rows, draw);
    if draw.chance(40) {
        return one;
    }
    let other = random_condition(table, rows, draw);
    if draw.chance(50) {
        let sql = format!("({} OR {})", one.sql, other.sql);
        return Condition { sql, holds: Box::new(move |row| (one.holds)(row) || (other.holds)(row)) };
    }
    let sql = format!("({} AND {})", one.sql, other.sql);
    Condition { sql, holds: Box::new(move |row| (one.holds)(row) && (other.holds)(row)) }
}

#[test]
fn tables_hold_the_rows_and_conditions_mean_what_they_say() {
    let (mut indexed, mut passed) = (BTreeSet::new(), 0);
    for seed in 0..40 {
        let world = World::random(seed);
        let draw = &mut Draw::new(seed, 80);
        let [rules, _] = rule_pair(seed, draw);
        let at = world.sample_instants(seed, 1)[0];
        let asker = Asker::new(&world, &rules, at);
        for table in Table::ALL {
            let (rows, name) = (world.cells(table), table.name());
            let mut expected: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(shown).collect()).collect();
            expected.sort();
            assert_eq!(asker.sorted(&format!("SELECT * FROM {name}")), expected, "{name} of world {seed}");
            assert_eq!(asker.one(&format!("SELECT count(*) FROM {name}")), rows.len().to_string());
            for _ in 0..4 {
                let Condition { sql, holds } = random_condition(table, &rows, draw);
                let kept = rows.iter().filter(|row| holds(row));
                let mut expected: Vec<Vec<String>> = kept.map(|row| vec![shown(&row[0])]).collect();
                expected.sort();
                let query = format!("SELECT id FROM {name} WHERE {sql}");
                assert_eq!(asker.sorted(&query), expected, "world {seed}: {query}");
                let count = asker.one(&format!("SELECT count(*) FROM {name} WHERE {sql}"));
                assert_eq!(count, expected.len().to_string(), "world {seed}: {query}");
                let plan = asker.rows(&format!("EXPLAIN {query}")).concat().concat();
                let index = plan.split("index=").nth(1).and_then(|rest| rest.split(',').next());
                indexed.extend(index.map(str::to_owned));
                passed += usize::from(!plan.contains("FilterExec"));
            }
        }
    }
    let expected = ["person", "place", "region"].map(str::to_owned);
    assert_eq!(indexed, BTreeSet::from(expected), "every index was used");
    assert!(passed > 1_000, "nearly all conditions are decided by scans: {passed}");
}

fn persons(world: &World) -> impl Iterator<Item = (PersonId, &String)> {
    (0..).map(PersonId).zip(&world.persons)
}

/// The codes of a world as rows.
fn codes(world: &World, program: &Program, at: Timestamp) -> Vec<Vec<String>> {
    let facts = facts_of(world);
    let codes = evaluate::recompute(&facts, program, at);
    let list = |mask| format!("[{}]", program.names(mask).collect::<Vec<_>>().join(", "));
    let until = |at: Timestamp| at.finite().map_or("-".to_owned(), Timestamp::to_rfc3339);
    let row = |(person, code): (PersonId, sanma::model::Code)| {
        let person = facts.names.person(person).to_owned();
        vec![person, code.colour.name().to_owned(), list(code.reasons), list(code.excused), until(code.valid_until)]
    };
    let mut rows: Vec<Vec<String>> = codes.iter().map(row).collect();
    rows.sort();
    rows
}

#[test]
fn codes_are_those_of_a_recompute_at_any_instant() {
    let mut colours: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..60 {
        let world = World::random(seed);
        let draw = &mut Draw::new(seed, 81);
        let [rules, _] = rule_pair(seed, draw);
        let instants = world.sample_instants(seed, 3);
        let asker = Asker::new(&world, &rules, instants[0]);
        let expected = codes(&world, &rules, instants[0]);
        assert_eq!(asker.sorted("SELECT * FROM codes"), expected, "world {seed}");
        for &at in &instants {
            let query = format!("SELECT * FROM codes_at('{}')", at.to_rfc3339());
            assert_eq!(asker.sorted(&query), codes(&world, &rules, at), "world {seed}: {query}");
        }
        for colour in ["green", "yellow", "red"] {
            let of_colour: Vec<_> = expected.iter().filter(|row| row[1] == colour).cloned().collect();
            let query = format!("SELECT * FROM codes WHERE colour = '{colour}'");
            assert_eq!(asker.sorted(&query), of_colour, "world {seed}: {query}");
            let others =
                format!("SELECT count(*) FROM codes WHERE colour IN ('yellow', 'red') AND colour <> '{colour}'");
            let count = expected.iter().filter(|row| row[1] != colour && row[1] != "green").count();
            assert_eq!(asker.one(&others), count.to_string(), "world {seed}: {others}");
            *colours.entry(colour.to_owned()).or_default() += of_colour.len();
        }
        for person in &world.persons {
            let person_row: Vec<_> = expected.iter().filter(|row| row[0] == *person).cloned().collect();
            let query = format!("SELECT * FROM codes WHERE person = {}", literal(&Cell::Text(person.clone())));
            assert_eq!(asker.rows(&query), person_row, "world {seed}: {query}");
        }
        let standing = asker.sorted("SELECT person FROM standing_declarations");
        let with_code: Vec<Vec<String>> = expected.iter().map(|row| vec![row[0].clone()]).collect();
        assert_eq!(standing, with_code, "world {seed}: whoever has a code has a declaration that stands");
    }
    assert!(colours.values().all(|&people| people > 20), "{colours:?}");
}

#[test]
fn a_what_if_in_sql_is_a_what_if() {
    let mut flips = 0;
    for seed in 0..40 {
        let world = World::random(seed);
        let draw = &mut Draw::new(seed, 82);
        let [rules, _] = rule_pair(seed, draw);
        let at = world.sample_instants(seed, 1)[0];
        let asker = Asker::new(&world, &rules, at);
        let catalog = Catalog::shipped().expect("good sets");
        let (mut words, mut edit, mut program) = (Vec::new(), Edit::default(), rules.clone());
        let regions: Vec<_> =
            world.tables.stays.region.iter().chain(world.tables.declarations.residence.iter()).collect();
        for _ in 0..draw.below(3) {
            let (&region, level) = (draw.pick(&regions), draw.pick(Level::ALL));
            words.push(format!("list {}={}", region.code(), level.name()));
            edit.list.push((region, level));
        }
        let held = world.tables.risk_areas.rows().find(|row| row.listed_at <= at && at < row.delisted_at);
        if let Some(held) = held.filter(|_| draw.chance(50)) {
            words.push(format!("delist {}", held.region.code()));
            edit.delist.push(held.region);
        }
        if draw.chance(50) || words.is_empty() {
            words.push("rules hangzhou-2020-02-11".to_owned());
            program = catalog.resolve("hangzhou-2020-02-11", at).expect("shipped");
        }
        let listings = edit.apply(&world.tables.risk_areas, at).expect("listed");
        let candidate = Candidate { program: &program, listings: &listings };
        let (whatif, outcome) = Whatif::new(facts_of(&world), &rules, at, false).outcome(&candidate);
        let mut lists = ReasonLists::default();
        let colour = |state: sanma::diff::State| state.map_or("-", |(colour, _)| colour.name()).to_owned();
        let changes = whatif.changes(&candidate, &outcome, &mut lists);
        let shown = |ids: Vec<&str>| format!("[{}]", ids.join(", "));
        let mut expected: Vec<Vec<String>> = changes
            .iter()
            .map(|change| {
                let gained = shown(change.gained(&lists).map(String::as_str).collect());
                let lost = shown(change.lost(&lists).map(String::as_str).collect());
                vec![change.person.to_owned(), colour(change.before), colour(change.after), gained, lost]
            })
            .collect();
        expected.sort();
        flips += expected.len();
        let query = format!("SELECT person, before, after, gained, lost FROM whatif('{}')", words.join("; "));
        assert_eq!(asker.sorted(&query), expected, "world {seed}: {query}");
    }
    assert!(flips > 40, "what-ifs change something: {flips}");
}

#[test]
fn an_explanation_in_sql_is_the_page() {
    let mut rules_told = 0;
    for seed in 0..40 {
        let world = World::random(seed);
        let draw = &mut Draw::new(seed, 83);
        let [rules, _] = rule_pair(seed, draw);
        let at = world.sample_instants(seed, 1)[0];
        let asker = Asker::new(&world, &rules, at);
        let names = facts_of(&world).names;
        for (person, token) in persons(&world) {
            let page = explain::explain(&world.tables, &rules, person, at, Audience::Official, &Spelt(&names));
            let instant = |at: Option<explain::LocalInstant>| at.map_or("-".to_owned(), |local| local.at.to_rfc3339());
            let expected: Vec<Vec<String>> = page.map_or_else(Vec::new, |page| {
                let head = [page.colour.name().to_owned(), instant(page.valid_until), instant(page.green.earliest)];
                let of_rule = |rule: &explain::RuleReport| {
                    let ends = [rule.trigger, rule.earliest_release, rule.attainable_release].map(instant);
                    let mut because: Vec<&str> = rule.because.iter().map(|words| words.en.as_str()).collect();
                    // Of two things at one instant, either is told first.
                    because.sort_unstable();
                    let own = [rule.id.clone(), rule.excused.to_string()];
                    let because = [format!("[{}]", because.join(", "))];
                    [head.to_vec(), own.to_vec(), ends.to_vec(), because.to_vec()].concat()
                };
                if page.rules.is_empty() {
                    let rest = ["-", "-", "-", "-", "-", "[]"].map(str::to_owned);
                    return vec![[head.to_vec(), rest.to_vec()].concat()];
                }
                page.rules.iter().map(of_rule).collect()
            });
            rules_told += expected.iter().filter(|row| row[3] != "-").count();
            let columns = "colour, valid_until, green_at, rule, excused, trigger_at, release_at, attainable_at, \
                           array_sort(because_en)";
            let token = literal(&Cell::Text(token.clone()));
            let query = format!("SELECT {columns} FROM explain({token})");
            assert_eq!(asker.rows(&query), expected, "world {seed}: {query}");
        }
    }
    assert!(rules_told > 100, "{rules_told}");
}

#[test]
fn contacts_are_traced_by_their_shortest_ways() {
    for seed in 0..40 {
        let world = World::random(seed);
        let draw = &mut Draw::new(seed, 84);
        let [rules, _] = rule_pair(seed, draw);
        let at = world.sample_instants(seed, 1)[0];
        let asker = Asker::new(&world, &rules, at);
        let contacts: Vec<_> = world.tables.contacts.rows().filter(|contact| contact.started_at <= at).collect();
        for (person, token) in persons(&world) {
            let mut distance: BTreeMap<PersonId, usize> = BTreeMap::from([(person, 0)]);
            for step in 1..=3 {
                for contact in &contacts {
                    for (near, far) in [(contact.person_a, contact.person_b), (contact.person_b, contact.person_a)] {
                        if distance.get(&near) == Some(&(step - 1)) {
                            distance.entry(far).or_insert(step);
                        }
                    }
                }
            }
            let name = |person: PersonId| world.persons[person.index()].clone();
            let mut expected = Vec::new();
            for contact in &contacts {
                for (near, far) in [(contact.person_a, contact.person_b), (contact.person_b, contact.person_a)] {
                    let (Some(before), Some(after)) = (distance.get(&near), distance.get(&far)) else { continue };
                    if *after == before + 1 {
                        let via = if near == person { "-".to_owned() } else { name(near) };
                        expected.push(vec![after.to_string(), name(far), via, contact.id.to_string()]);
                    }
                }
            }
            expected.sort();
            let token = literal(&Cell::Text(token.clone()));
            let query = format!("SELECT degree, person, via, id FROM contacts_of({token}, 3)");
            assert_eq!(asker.sorted(&query), expected, "world {seed}: {query}");
        }
    }
}

#[test]
fn nothing_can_be_changed_and_no_file_reached() {
    let world = World::random(1);
    let draw = &mut Draw::new(1, 85);
    let [rules, _] = rule_pair(1, draw);
    let asker = Asker::new(&world, &rules, world.sample_instants(1, 1)[0]);
    for sql in [
        "INSERT INTO codes VALUES ('p1', 'green', [], [], NULL)",
        "INSERT INTO findings SELECT * FROM findings",
        "UPDATE codes SET colour = 'green'",
        "DELETE FROM cases",
        "DROP TABLE codes",
        "CREATE TABLE mine AS SELECT * FROM codes",
        "CREATE VIEW codes AS SELECT 1",
        "CREATE EXTERNAL TABLE mine STORED AS PARQUET LOCATION '/tmp/'",
        "CREATE SCHEMA mine",
        "CREATE FUNCTION mine(DOUBLE) RETURNS DOUBLE RETURN $1 + 1",
        "COPY codes TO '/tmp/codes.parquet'",
        "COPY (SELECT 1) TO 'codes.csv'",
        "EXPLAIN ANALYZE COPY codes TO '/tmp/codes.parquet'",
        "EXPLAIN COPY codes TO 'codes.parquet'",
        "PREPARE mine AS INSERT INTO codes SELECT * FROM codes",
        "PREPARE mine AS COPY codes TO '/tmp/codes.parquet'",
        "SET datafusion.execution.batch_size = 1000000000000",
        "SET datafusion.execution.target_partitions = 100000000",
        "WITH one AS (SELECT 1) INSERT INTO codes SELECT * FROM codes",
        "SET datafusion.runtime.memory_limit = '100G'",
        "RESET datafusion.runtime.memory_limit",
        "SELECT * FROM read_parquet('/etc/passwd')",
        "SELECT * FROM read_parquet('datasets/covasim-huzhou/cases.parquet')",
        "SELECT * FROM 'datasets/covasim-huzhou/cases.parquet'",
        "BEGIN",
    ] {
        let error = asker.batches(sql).expect_err(sql);
        assert!(error.is_of_words(), "{sql}: {error}");
    }
    assert_eq!(asker.rows("SELECT count(*) FROM codes").len(), 1, "the session goes on");
}

#[test]
fn files_are_reached_in_the_folders_that_are_open() {
    let dir = tempfile::tempdir().expect("a folder");
    let (open, other) = (dir.path().join("open"), dir.path().join("other"));
    std::fs::create_dir_all(&open).expect("made");
    std::fs::create_dir_all(&other).expect("made");
    let world = World::random(3);
    let draw = &mut Draw::new(3, 86);
    let [rules, _] = rule_pair(3, draw);
    let files = Folders::new(std::slice::from_ref(&open)).expect("it is there");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let snapshot = Arc::new(snapshot(&world, &rules, world.sample_instants(3, 1)[0]));
    let session = Session::new(&snapshot, Limits { files, ..limits() }).expect("a session");
    let asker = Asker { runtime, session };
    asker.rows("COPY (SELECT id, person FROM stays ORDER BY id) TO 'mine.parquet'");
    let copied = asker.rows("SELECT * FROM read_parquet('mine.parquet') ORDER BY id");
    assert_eq!(copied, asker.rows("SELECT id, person FROM stays ORDER BY id"));
    let whole = format!("SELECT count(*) FROM read_parquet('{}')", open.display());
    assert_eq!(asker.one(&whole), copied.len().to_string());
    let inside = asker.batches("EXPLAIN ANALYZE COPY (SELECT 1) TO 'inside.parquet'").expect_err("a copy inside");
    assert!(matches!(inside, QueryError::ReadOnly { .. }), "{inside}");
    // A name with signs of a pattern is a name.
    let odd = "st*r[1]? %20.parquet";
    asker.rows(&format!("COPY (SELECT 42 AS a) TO '{odd}'"));
    assert!(open.join(odd).is_file());
    std::os::unix::fs::symlink("/etc/passwd", open.join("str1x %20.parquet")).expect("a link");
    assert_eq!(asker.one(&format!("SELECT a FROM read_parquet('{odd}')")), "42");
    std::fs::remove_file(open.join(odd)).expect("there");
    assert!(std::process::Command::new("mkfifo").arg(open.join("pipe")).status().expect("mkfifo runs").success());
    for sql in ["SELECT * FROM read_parquet('pipe')", "COPY codes TO 'pipe'"] {
        assert!(asker.batches(sql).is_err(), "{sql}");
    }
    std::os::unix::fs::symlink(&other, open.join("link")).expect("a link");
    for path in ["../other/x.parquet", "link/x.parquet", "/etc/x.parquet", "../open/../other/x.parquet", "no/x.parquet"]
    {
        let error = asker.batches(&format!("COPY codes TO '{path}'")).expect_err(path);
        assert!(matches!(error, QueryError::Outside { .. }), "{path}: {error}");
        assert!(asker.batches(&format!("SELECT * FROM read_parquet('{path}')")).is_err(), "{path}");
    }
    assert_eq!(std::fs::read_dir(&other).expect("readable").count(), 0);
    assert!(matches!(Folders::new(&[PathBuf::from("/no/such/folder")]), Err(QueryError::Folder { .. })));
}

#[test]
fn what_a_query_may_hold_is_bounded_and_the_rest_goes_to_disk() {
    let world = World::random(5);
    let draw = &mut Draw::new(5, 87);
    let [rules, _] = rule_pair(5, draw);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let snapshot = Arc::new(snapshot(&world, &rules, world.sample_instants(5, 1)[0]));
    let few = Limits { memory_bytes: 16 << 20, threads: 1, ..limits() };
    let session = Session::new(&snapshot, few).expect("a session");
    let asker = Asker { runtime, session };
    // 64 MB of numbers, sorted in a quarter of that.
    let sorted = "SELECT max(place) FROM (SELECT row_number() OVER (ORDER BY value % 1000003) AS place \
                  FROM generate_series(1, 4000000))";
    assert_eq!(asker.one(sorted), "4000000");
    let grouped = "SELECT count(*) FROM (SELECT DISTINCT value FROM generate_series(1, 1000000))";
    assert_eq!(asker.one(grouped), "1000000");
    let held = "SELECT count(*) FROM generate_series(1, 3000000) a JOIN generate_series(1, 3000000) b USING (value)";
    let error = asker.batches(held).expect_err("a hash table stays in memory").to_string();
    assert!(error.contains("Resources exhausted"), "{error}");
}

#[test]
fn a_query_that_nobody_waits_for_ends() {
    let world = World::random(6);
    let draw = &mut Draw::new(6, 88);
    let [rules, _] = rule_pair(6, draw);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().expect("a runtime");
    let snapshot = Arc::new(snapshot(&world, &rules, world.sample_instants(6, 1)[0]));
    let session = Session::new(&snapshot, limits()).expect("a session");
    let endless = "SELECT count(*) FROM generate_series(1, 1000000000000) WHERE value % 7 = 3";
    let statement = Session::statements(endless).expect("SQL").remove(0);
    runtime.block_on(async {
        let answer = session.ask(statement).await.expect("begun");
        let rows = answer.batches.try_collect::<Vec<_>>();
        assert!(tokio::time::timeout(Duration::from_millis(200), rows).await.is_err(), "it is endless");
    });
    // The one thread is free again.
    let after = runtime.block_on(async {
        let answer = session.ask(Session::statements("SELECT 1").expect("SQL").remove(0)).await.expect("begun");
        tokio::time::timeout(Duration::from_mins(1), answer.batches.try_collect::<Vec<_>>()).await
    });
    assert_eq!(after.expect("in time").expect("an answer").len(), 1);
}
