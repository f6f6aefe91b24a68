//! Whatever ends a run, the next one goes on: nothing that was acknowledged is lost, nothing is told twice, and whoever applied
//! what was told has everybody's colour.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::UInt64Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sanma::checkpoint::Checkpoint;
use sanma::engine::{City, Engine, EngineError, Outcome, Record, Standing, Word};
use sanma::facts::Facts;
use sanma::ingest::Unobserved;
use sanma::ingest::feed::{Event, SourceName, decode, lines};
use sanma::journal::{Disk, Fault, Journal, Position};
use sanma::model::published::ReasonLists;
use sanma::model::{Colour, Timestamp, UtcOffset};
use sanma::rules::{Catalog, RuleSet};
use serde_json::{Value, json};

use crate::agreement::worlds;
use crate::feed::{Form, feed_of, history};
use crate::loading::empty_dir;
use crate::worlds::World;
use crate::worlds::draw::Draw;

const SANMA: &str = env!("CARGO_BIN_EXE_sanma");

fn rule_set(name: &str) -> RuleSet {
    let at = Timestamp::parse_typed("2020-02-24", UtcOffset::UTC).expect("an instant");
    Catalog::shipped().expect("good sets").find(name, at).expect("a shipped set")
}

/// Whoever is told what changes.
#[derive(Default)]
struct Consumer {
    told: Position,
    colours: BTreeMap<String, Colour>,
}

impl Consumer {
    fn hear(&mut self, city: &City, outcome: &Outcome) {
        assert_eq!(outcome.position, self.told.next(), "each position is told once, in order");
        self.told = outcome.position;
        let mut lists = ReasonLists::default();
        for change in city.changes(outcome, false, &mut lists) {
            let (before, after) = (change.before.map(|(colour, _)| colour), change.after.map(|(colour, _)| colour));
            let known = match after {
                Some(colour) => self.colours.insert(change.person.to_owned(), colour),
                None => self.colours.remove(change.person),
            };
            assert_eq!(known, before, "{} at {:?}", change.person, outcome.position);
        }
    }

    fn check(&self, city: &mut City) {
        assert!(city.is_sound(), "the codes are those of a recompute");
        let codes = city.codes().expect("it has begun").iter();
        let colours: BTreeMap<String, Colour> =
            codes.map(|(person, code)| (city.facts().names.person(person).to_owned(), code.colour)).collect();
        assert_eq!(self.colours, colours, "at {:?}", city.position());
    }
}

/// Messages of a random history, with ticks that move time.
fn messages(seed: u64) -> (Vec<Vec<u8>>, Timestamp) {
    let mut draw = Draw::new(seed, 21);
    let says = history(seed, &mut draw);
    let mut feed = feed_of(&says, &[Form::Plain, Form::Debezium, Form::Wrapped], &mut draw);
    let instants = World::random(seed).sample_instants(seed, 6);
    let first = instants.first().copied().unwrap_or_default();
    for at in instants.into_iter().rev() {
        let place = draw.below(feed.len() + 1);
        feed.insert(place, json!({"as_of": at.to_rfc3339()}).to_string().into_bytes());
    }
    (feed, first)
}

fn records(messages: &[Vec<u8>], mut as_of: Timestamp) -> Vec<Record> {
    let source = SourceName { number: 0, name: "test" };
    let text = messages.join(&b'\n');
    let record = |event| {
        let word = match event {
            Event::Facts(batch) => Word::Facts(batch),
            Event::Tick(at) => {
                as_of = as_of.max(at);
                Word::Time
            }
        };
        Record { as_of, source: None, refused: Vec::new(), word }
    };
    decode(source, lines(&text, 1)).into_iter().map(record).collect()
}

/// A city on a disk that crashes: groups of messages, sent again unless they were acknowledged.
fn live(seed: u64) {
    let mut draw = Draw::new(seed, 22);
    let disk = Disk::new(seed);
    let (feed, first) = messages(seed);
    let mut rest = &feed[..];
    let mut consumer = Consumer::default();
    let rules = ["hangzhou", "huzhou"].map(rule_set);
    let store = empty_dir();
    while !rest.is_empty() {
        let (journal, _) = Journal::open(disk.clone()).expect("a disk that only crashes");
        let journal = journal.with_segment_bytes(2_000);
        let checkpoint = Checkpoint::newest(store.path()).expect("nothing is damaged");
        let mut engine = at_checkpoint(journal, checkpoint.as_ref());
        assert!(engine.last() >= consumer.told, "what was told was acknowledged");
        if engine.last() == Position(0) {
            let begun = engine.begin(&rules[0], first).expect("no fault is set");
            for outcome in &begun {
                consumer.hear(engine.city(), outcome);
            }
        } else {
            let told = consumer.told;
            let hear = |city: &City, outcome: &Outcome| {
                if outcome.position > told {
                    consumer.hear(city, outcome);
                }
                Ok::<(), EngineError>(())
            };
            engine.recover(told, hear).expect("whole");
        }
        consumer.check(engine.city_mut());
        let fault_after = draw.range(0, 20);
        for group in 0.. {
            if group == fault_after {
                let after = draw.range(0, 2);
                disk.set_fault(Some(if draw.chance(50) { Fault::Write(after) } else { Fault::Sync(after) }));
            }
            let (sent, later) = rest.split_at(rest.len().min(draw.range(1, 12) as usize));
            let mut records = records(sent, engine.city().as_of());
            if draw.chance(5) {
                let word = Word::Rules(sanma::engine::Rules::of(&rules[draw.below(2)]));
                records.push(Record { as_of: engine.city().as_of(), source: None, refused: Vec::new(), word });
            }
            let Ok(outcomes) = engine.step(records) else { break };
            rest = later;
            // The process may end before anybody is told.
            let heard = if draw.chance(90) { outcomes.len() } else { draw.below(outcomes.len() + 1) };
            for outcome in outcomes.iter().take(heard) {
                consumer.hear(engine.city(), outcome);
            }
            if heard < outcomes.len() || rest.is_empty() {
                break;
            }
            if draw.chance(15) && !keep(&mut engine, store.path(), &mut draw) {
                break;
            }
        }
        drop(engine);
        disk.crash();
    }
    late(&disk, store.path(), &consumer);
}

fn at_checkpoint(journal: Journal<Disk>, checkpoint: Option<&Checkpoint>) -> Engine<Disk> {
    let Some(checkpoint) = checkpoint else {
        return Engine::new(journal, Facts::default(), Standing::before_all(None)).expect("nothing to disagree with");
    };
    checkpoint.check().and_then(|()| checkpoint.check_columns()).expect("nothing is damaged");
    let (facts, stale) = checkpoint.load(&Unobserved).expect("what was written");
    assert!(stale.is_none_or(|why| !why.is_trouble()), "columns are whole or not there");
    Engine::new(journal, facts, checkpoint.standing().clone()).expect("the journal goes on from there")
}

/// Makes a checkpoint; all has been told. Gives whether the disk went along.
fn keep(engine: &mut Engine<Disk>, store: &Path, draw: &mut Draw) -> bool {
    if engine.seal().is_err() {
        return false;
    }
    let city = engine.city_mut();
    let (standing, facts) = (city.standing().clone(), city.facts_view());
    let made = Checkpoint::write(store, standing, &facts, &|| false).expect("room");
    assert_eq!(made.position(), engine.last());
    // A stop may leave any of what follows undone.
    if draw.chance(20) {
        made.keep_columns(&facts, &|| false).expect("room");
    }
    let goes_on = draw.chance(30) || engine.drop_until(made.position()).is_ok();
    if draw.chance(70) {
        made.remove_older().expect("they are there");
    }
    goes_on
}

/// Whoever comes late is told everybody's code at the checkpoint, and then what everybody else is told.
fn late(disk: &Disk, store: &Path, consumer: &Consumer) {
    let (journal, _) = Journal::open(disk.clone()).expect("a disk that only crashes");
    let checkpoint = Checkpoint::newest(store).expect("nothing is damaged");
    let mut engine = at_checkpoint(journal, checkpoint.as_ref());
    let from = engine.city().position();
    let mut latecomer = Consumer { told: Position(from.0.saturating_sub(1)), ..Consumer::default() };
    let hear = |city: &City, outcome: &Outcome| {
        latecomer.hear(city, outcome);
        Ok::<(), EngineError>(())
    };
    engine.recover(Position(0), hear).expect("whole");
    latecomer.check(engine.city_mut());
    if latecomer.told == consumer.told {
        assert_eq!(latecomer.colours, consumer.colours);
    }
}

#[test]
fn a_city_on_a_disk_that_crashes_is_told_of_once_and_whole() {
    for seed in worlds(60) {
        live(seed);
    }
}

pub fn run(store: &Path, feed: &Path) -> Command {
    let mut command = Command::new(SANMA);
    command.args(["run", "--clock", "feed", "--as-of", "2020-02-11", "--json", "--store"]).arg(store).arg(feed);
    command
}

pub fn done(command: &mut Command) -> Output {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The state that a file of changes tells, and its last position.
pub fn applied(changes: &Path) -> BTreeMap<String, String> {
    let (mut colours, mut last) = (BTreeMap::new(), 0);
    for line in fs::read_to_string(changes).expect("changes").lines() {
        let line: Value = serde_json::from_str(line).expect("a change");
        let (person, position) = (line["person"].as_str().expect("a person"), line["position"].as_u64());
        let position = position.expect("a position");
        assert!(position >= last, "positions ascend");
        last = position;
        let text = |key: &str| line[key].as_str().map(str::to_owned);
        let known = match text("after") {
            Some(after) => colours.insert(person.to_owned(), after),
            None => colours.remove(person),
        };
        assert_eq!(known, text("before"), "{line}");
    }
    colours
}

pub fn codes(out: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(out.join("codes.ndjson")).expect("codes");
    let of = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("a code");
        (line["person"].as_str().expect("a person").to_owned(), line["colour"].as_str().expect("a colour").to_owned())
    };
    text.lines().map(of).collect()
}

/// Position, person, colour before and after of each change.
type Told = (u64, String, Option<String>, Option<String>);

/// The changes in Parquet files, in the order of their names, each of which says which positions are in it.
fn in_parquet(dir: &Path) -> Vec<Told> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .filter(|name| !name.starts_with(['.', '_']))
        .collect();
    names.sort();
    let (mut told, mut last) = (Vec::new(), 0);
    for name in names {
        let bounds = name.strip_prefix("changes-").and_then(|name| name.strip_suffix(".parquet")).expect("a name");
        let (from, to) = bounds.split_once('-').expect("two positions");
        let (from, to) = (from.parse().expect("a position"), to.parse().expect("a position"));
        assert!(last < from && from <= to, "{name} after {last}");
        last = to;
        let file = fs::File::open(dir.join(&name)).expect("a file");
        let rows = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet").build().expect("a reader");
        for batch in rows {
            let batch = batch.expect("rows");
            let text = |column: &str, row: usize| {
                let column = batch.column_by_name(column).expect("a column").as_string::<i32>();
                column.is_valid(row).then(|| column.value(row).to_owned())
            };
            let positions = batch.column_by_name("position").expect("a column").as_primitive::<UInt64Type>();
            for row in 0..batch.num_rows() {
                let position = positions.value(row);
                assert!((from..=to).contains(&position), "{position} in {name}");
                let person = text("person", row).expect("never null");
                told.push((position, person, text("before", row), text("after", row)));
            }
        }
    }
    told
}

/// The changes in a file of lines.
fn in_lines(file: &Path) -> Vec<Told> {
    let text = fs::read_to_string(file).expect("changes");
    let of = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("a change");
        let text = |key: &str| line[key].as_str().map(str::to_owned);
        (
            line["position"].as_u64().expect("a position"),
            text("person").expect("a person"),
            text("before"),
            text("after"),
        )
    };
    text.lines().map(of).collect()
}

/// A feed that takes a while, written to a file.
pub fn long_feed(path: &Path) {
    let mut text = Vec::new();
    for seed in 1..=250 {
        let (feed, _) = messages(seed);
        for line in feed {
            text.extend_from_slice(&line);
            text.push(b'\n');
        }
    }
    fs::write(path, text).expect("room");
}

/// The codes and rejections of a run that comes to the end of its feed; what it has told is those codes, in each form.
fn at_end(store: &Path, feed: &Path) -> (Vec<u8>, Vec<u8>) {
    let (out, parquet) = (store.join("out"), store.join("parquet"));
    done(run(store, feed).args(["--format", "ndjson", "--out"]).arg(&out).arg("--parquet").arg(&parquet));
    assert!(in_parquet(&parquet) == in_lines(&store.join("changes.ndjson")), "Parquet files tell what lines tell");
    assert_eq!(applied(&store.join("changes.ndjson")), codes(&out));
    let verified = done(Command::new(SANMA).args(["verify", "--store"]).arg(store));
    assert!(String::from_utf8_lossy(&verified.stdout).contains("are those of a full recompute"));
    (fs::read(out.join("codes.ndjson")).expect("codes"), fs::read(store.join("rejections.ndjson")).expect("lines"))
}

/// A file that may not grow is what a full disk is, with another word of the system's.
#[test]
fn a_run_whose_disk_is_full_goes_on_where_there_is_room_again() {
    let dir = empty_dir();
    let (feed, full, whole) = (dir.path().join("feed.ndjson"), dir.path().join("full"), dir.path().join("whole"));
    long_feed(&feed);
    let (mut stopped, mut blocks) = (0, 4);
    loop {
        let mut command = run(&full, &feed);
        // Of the journal's files, of changes, of rejections and of checkpoints another one is the first to be full.
        command.args(["--segment-bytes", ["8000", "60000", "2000000"][stopped % 3]]);
        command.arg("--parquet").arg(full.join("parquet"));
        let shell = format!("ulimit -f {blocks}; trap '' XFSZ; exec \"$0\" \"$@\"");
        let ended = Command::new("sh").args(["-c", &shell, SANMA]).args(command.get_args()).output().expect("it runs");
        if ended.status.success() {
            break;
        }
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(said.contains("File too large"), "{said}");
        stopped += 1;
        blocks += 1 + blocks / 3;
    }
    assert!(stopped > 10, "{stopped}");
    assert_eq!(at_end(&full, &feed), at_end(&whole, &feed), "codes and rejections are those of a run that had room");
}

#[test]
fn a_run_that_is_killed_again_and_again_ends_as_one_that_was_not() {
    let dir = empty_dir();
    let (feed, killed, whole) = (dir.path().join("feed.ndjson"), dir.path().join("killed"), dir.path().join("whole"));
    long_feed(&feed);
    let mut draw = Draw::new(7, 23);
    let (mut kills, mut stopped) = (0, 0);
    // On a busy machine a run gets less far before it is killed, and more are wanted until one makes a checkpoint.
    while kills < 100 || (!killed.join("checkpoints").is_dir() && kills < 1_000) {
        kills += 1;
        let mut command = run(&killed, &feed);
        command.args(["--segment-bytes", "8000", "--parquet"]).arg(killed.join("parquet"));
        let mut child = command.stderr(Stdio::null()).spawn().expect("it runs");
        // Longer and longer, so that it comes to that on any machine.
        let most = 90 + u32::try_from(kills).expect("few");
        std::thread::sleep(Duration::from_millis(u64::from(draw.range(5, most))));
        stopped += usize::from(child.try_wait().expect("a child").is_none());
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    }
    assert!(stopped > 60 * kills / 100, "{stopped} of {kills} were still under way when they were killed");
    assert!(killed.join("checkpoints").is_dir(), "no checkpoint was made");
    assert_eq!(
        at_end(&killed, &feed),
        at_end(&whole, &feed),
        "codes and rejections are those of a run that was left alone"
    );
}

#[test]
fn a_second_run_waits_for_nobody_and_a_store_stays_its_own() {
    let dir = empty_dir();
    let (store, feed) = (dir.path().join("store"), dir.path().join("feed.ndjson"));
    fs::write(&feed, "").expect("room");
    let mut first = run(&store, Path::new("-")).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it runs");
    while !store.join("changes.ndjson").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let second = run(&store, &feed).output().expect("it runs");
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("in use by another process"));
    drop(first.stdin.take());
    assert!(first.wait().expect("it ends").success());
    done(&mut run(&store, &feed));

    let other = dir.path().join("other");
    fs::create_dir_all(&other).expect("room");
    let mut data = run(&store, &feed);
    let refused = data.arg("--data").arg(&other).output().expect("it runs");
    assert_eq!(refused.status.code(), Some(1), "{}", String::from_utf8_lossy(&refused.stderr));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("began from no facts"));
    // And nothing of those facts stays.
    done(&mut run(&store, &feed));
}

#[test]
fn changes_are_told_as_they_come_and_again_on_demand() {
    let dir = empty_dir();
    let (store, feed) = (dir.path().join("store"), dir.path().join("feed.ndjson"));
    let declaration = json!({"id": 1, "person": "p1", "declared_at": "2020-02-11T08:00:00+08:00", "doc_type": "resident_id",
        "residence": 330_106, "fever": false, "dyspnea": false, "respiratory": false, "contact_with_case": false,
        "visited_key_area": false});
    let case = json!({"id": 1, "person": "p1", "kind": "confirmed", "reported_at": "2020-02-12T00:00:00+08:00"});
    let message = |table: &str, op: &str, row: &Value| json!({"table": table, "op": op, "row": row}).to_string();
    let text = [
        message("declarations", "upsert", &declaration),
        json!({"as_of": "2020-02-12T12:00:00+08:00"}).to_string(),
        message("cases", "upsert", &case),
        "no message".to_owned(),
        json!({"as_of": "2020-02-12T13:00:00+08:00"}).to_string(),
        message("cases", "delete", &json!({"id": 1})),
    ];
    fs::write(&feed, text.join("\n")).expect("room");
    let told = done(run(&store, &feed).args(["--changes", "-"]));
    let told = String::from_utf8(told.stdout).expect("UTF-8");
    let said: Vec<(u64, Value, Value)> = told
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a change"))
        .map(|line| (line["position"].as_u64().expect("a position"), line["before"].clone(), line["after"].clone()))
        .collect();
    assert_eq!(
        said,
        [(3, Value::Null, json!("green")), (4, json!("green"), json!("red")), (6, json!("red"), json!("green")),]
    );
    let again = done(run(&store, &feed).args(["--changes", "-", "--from", "3"]));
    assert_eq!(String::from_utf8(again.stdout).expect("UTF-8"), told[told.find('\n').expect("lines") + 1..]);
    let silent = done(run(&store, &feed).args(["--changes", "-"]));
    assert_eq!(silent.stdout, b"");
    let rejections = fs::read_to_string(store.join("rejections.ndjson")).expect("lines");
    assert_eq!(rejections.lines().count(), 1, "{rejections}");
    assert!(rejections.contains("\"offset\":4"), "{rejections}");
}

#[test]
fn the_walk_through_tells_what_its_page_says() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let store = empty_dir();
    let feed = top.join("datasets/feeds/two-friends.ndjson");
    let told = done(run(store.path(), &feed).args(["--rules", "hangzhou", "--changes", "-"])).stdout;
    let told = String::from_utf8(told).expect("UTF-8");
    let page = fs::read_to_string(top.join("docs/streaming.md")).expect("the page");
    assert!(page.contains(&format!("```json\n{told}```")), "{told}");
    let readme = fs::read_to_string(top.join("README.md")).expect("the page");
    let shown: Vec<&str> = told.lines().filter(|line| readme.contains(line)).collect();
    assert_eq!(shown.len(), 2, "{shown:?}");
}

#[test]
fn settings_are_checked_before_anything_is_done() {
    let dir = empty_dir();
    let file = dir.path().join("own.toml");
    let check = |text: &str| {
        fs::write(&file, text).expect("written");
        let output = Command::new(SANMA).args(["config", "check"]).arg(&file).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let example = done(Command::new(SANMA).args(["config", "example"])).stdout;
    let example = String::from_utf8(example).expect("text");
    assert_eq!(check(&example).0, Some(0));
    assert_eq!(check("").0, Some(0));
    // What the example does not set is right as well.
    let is_key = |line: &str| line.contains(" = ") && !line.contains(". ") || line.starts_with("[[");
    let whole: Vec<&str> =
        example.lines().map(|line| line.strip_prefix("# ").filter(|key| is_key(key)).unwrap_or(line)).collect();
    let whole = whole.join("\n");
    let whole = whole.replace("clock = \"wall\"", "clock = \"feed\"");
    assert_eq!(check(&whole), (Some(0), String::new()), "{whole}");
    for key in ["as_of", "data", "rules", "changes", "threads", "requests_per_second", "sha256"] {
        assert!(whole.contains(&format!("\n{key} = ")), "{key}: {whole}");
    }
    for (text, word) in [
        ("stor = \"x\"", "unknown field `stor`"),
        ("clock = \"sun\"", "line 1"),
        ("as_of = \"then\"\nclock = \"feed\"", "write 2020-02-18"),
        ("as_of = \"2020-02-11\"", "--clock feed"),
        ("segment_bytes = 0", "line 1"),
        ("threads = 0", "line 1"),
        ("log.filter = \"loud\"", "loud says no level"),
        ("log.filter = \"warn,sanma\"", "write a level"),
        ("log.format = \"xml\"", "line 1"),
        ("rules = \"nowhere\"", "nowhere"),
        ("http.listen = \"here\"", "127.0.0.1:8620"),
        ("http.listen = \"0.0.0.0:1\"", "no caller is named"),
        ("http.callers = [{ name = \"a\", role = \"king\", sha256 = \"\" }]", "king"),
        ("http.callers = [{ name = \"a\", role = \"app\", sha256 = \"12\" }]", "64 hexadecimal digits"),
    ] {
        let (status, said) = check(text);
        assert_eq!(status, Some(2), "{text}: {said}");
        assert!(said.contains(word) && said.contains("own.toml") == said.contains("line"), "{text}: {said}");
    }
    let lost = Command::new(SANMA).args(["run", "--config", "nowhere.toml"]).output().expect("it runs");
    assert_eq!(lost.status.code(), Some(2));
}

/// Copies a folder.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("room");
    for entry in fs::read_dir(from).expect("a folder") {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).expect("an entry");
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).expect("room");
        }
    }
}

/// Stores as earlier versions left them: with a checkpoint, a journal behind it and what was told. They are never made anew.
#[test]
fn a_store_of_an_earlier_version_is_gone_on_with() {
    let stores = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stores");
    let mut opened = 0;
    for entry in fs::read_dir(stores).expect("stores") {
        let (then, dir) = (entry.expect("an entry").path(), empty_dir());
        let (store, out, feed) = (dir.path().join("store"), dir.path().join("out"), dir.path().join("feed.ndjson"));
        copy(&then.join("store"), &store);
        let kept = |name: &str| fs::read_to_string(then.join(name)).expect("text");
        let dump = done(Command::new(SANMA).args(["journal", "dump", "--store"]).arg(&store)).stdout;
        assert!(String::from_utf8(dump).expect("text") == kept("dump.ndjson"), "{}: messages", then.display());
        done(Command::new(SANMA).args(["verify", "--store"]).arg(&store));
        fs::write(&feed, "").expect("room");
        done(run(&store, &feed).args(["--format", "ndjson", "--out"]).arg(&out));
        assert_eq!(fs::read_to_string(out.join("codes.ndjson")).expect("codes"), kept("codes.ndjson"));
        for name in ["changes.ndjson", "rejections.ndjson"] {
            let now = fs::read_to_string(store.join(name)).expect("lines");
            assert_eq!(now, kept(&format!("store/{name}")), "{}: {name}", then.display());
        }
        // And it takes what comes.
        fs::write(&feed, messages(1).0.join(&b'\n')).expect("room");
        done(&mut run(&store, &feed));
        done(Command::new(SANMA).args(["verify", "--store"]).arg(&store));
        opened += 1;
    }
    assert!(opened > 0, "no store");
}
