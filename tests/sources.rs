//! A folder that is watched gives what a load of it gives, whatever its files are and wherever it is stopped; and what is put there
//! later, grows or is damaged is taken, gone on with or refused.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sanma::ingest::feed::{Batch, Event, SourceName, TableFile};
use sanma::ingest::{self, Unobserved};
use sanma::limits::JOURNAL_FRAME_BYTES_MAX;
use sanma::model::{Reason, Rejection, Table, Timestamp};
use sanma::sources::{Followed, Offsets, Source as _, Watched, follow};
use serde_json::{Value, json};

use crate::agreement::worlds;
use crate::feed::{Refused, Rows, apply, refused, rows_by_id};
use crate::loading::empty_dir;
use crate::run::run;
use crate::server::{Served, declared};
use crate::worlds::World;
use crate::worlds::dirt::dirt;
use crate::worlds::draw::Draw;
use crate::worlds::files::{Shape, write_with_dirt};

/// Longest wait for what is expected.
const PATIENCE: Duration = Duration::from_mins(1);
/// A file that is taken last, and says so.
const LAST: &str = "zz-last.ndjson";

/// Facts that are known so far.
#[derive(Default)]
struct Known {
    read: Offsets,
    rows: Rows,
    refused: BTreeSet<(String, Refused)>,
    notes: Vec<String>,
}

impl Known {
    fn hear(&mut self, batch: &Batch, what: &str) {
        apply(&mut self.rows, batch, what);
        self.refuse(&batch.rejections);
    }

    fn refuse(&mut self, rejections: &[Rejection]) {
        for rejection in rejections {
            let is_new = self.refused.insert((rejection.source.clone(), refused(rejection)));
            assert!(is_new, "refused twice: {rejection:?}");
        }
    }

    /// Whoever watches a folder from here on.
    fn watch(&self, dir: &Path) -> Followed {
        let mut watched = Watched::open(0, dir).expect("a folder");
        watched.resume(&self.read).expect("what was read");
        follow(vec![Box::new(watched)])
    }

    /// Takes so many pieces at the most, or all until a tick; gives whether that came.
    fn take(&mut self, from: &Followed, most: usize, what: &str) -> Option<Timestamp> {
        for _ in 0..most {
            let told = from.told.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{what}: nothing comes"));
            let piece = told.piece.expect("a folder that can be read");
            let mut tick = None;
            for event in piece.events {
                match event {
                    Event::Facts(batch) => self.hear(&batch, what),
                    Event::Tick(at) => tick = Some(at),
                }
            }
            self.read.extend(piece.offset.map(|offset| (offset.source.clone(), offset)));
            self.notes.extend(piece.notes);
            if tick.is_some() {
                return tick;
            }
        }
        None
    }
}

fn end(second: i64) -> String {
    format!("{}\n", json!({"as_of": Timestamp(second * 1_000_000).to_rfc3339()}))
}

/// What a load of a folder gives, rejections named by whole paths.
fn loaded(dir: &Path) -> Known {
    let loaded = ingest::load(dir, &Unobserved).expect("sound files");
    let names = [&loaded.persons, &loaded.places, &loaded.labels];
    let mut known = Known { rows: rows_by_id(&loaded.tables, names), ..Known::default() };
    let dir = dir.canonicalize().expect("a folder");
    let whole = |rejection: Rejection| {
        let source = dir.join(&rejection.source).display().to_string();
        Rejection { source, ..rejection }
    };
    known.refuse(&loaded.rejections.into_iter().map(whole).collect::<Vec<_>>());
    known
}

#[test]
fn a_folder_that_is_watched_gives_what_a_load_gives_wherever_it_is_stopped() {
    for seed in worlds(24) {
        let (dir, draw) = (empty_dir(), &mut Draw::new(seed, 41));
        write_with_dirt(&World::random(seed), &dirt(seed), dir.path(), &Shape::random(seed));
        fs::write(dir.path().join(LAST), end(7)).expect("room");
        // A line that is not whole is waited for here, and refused by a load.
        for file in ingest::discover(dir.path()).expect("files").files {
            if file.name.ends_with(".ndjson") {
                let mut file = fs::OpenOptions::new().append(true).open(file.path).expect("a file");
                file.write_all(b"\n").expect("room");
            }
        }
        let (expected, mut known, what) = (loaded(dir.path()), Known::default(), format!("seed {seed}"));
        let mut tick = None;
        while tick.is_none() {
            let from = known.watch(dir.path());
            let most = if draw.chance(70) { usize::MAX } else { draw.range(1, 12) as usize };
            tick = known.take(&from, most, &what);
        }
        assert_eq!(tick, Some(Timestamp(7_000_000)), "{what}");
        assert!(known.rows == expected.rows, "{what}: rows");
        assert!(known.refused == expected.refused, "{what}: refused");
        assert_eq!(known.notes, Vec::<String>::new(), "{what}");
        // Nothing is taken again of what is still there.
        fs::write(dir.path().join("zz-more.ndjson"), end(8)).expect("room");
        let from = known.watch(dir.path());
        assert_eq!(known.take(&from, 1, &what), Some(Timestamp(8_000_000)), "{what}");
    }
}

#[test]
fn a_file_is_gone_on_with_at_any_row() {
    let mut cuts = 0;
    for seed in worlds(20) {
        let (dir, draw) = (empty_dir(), &mut Draw::new(seed, 42));
        write_with_dirt(&World::random(seed), &dirt(seed), dir.path(), &Shape::random(seed));
        let (expected, mut known) = (loaded(dir.path()), Known::default());
        for file in ingest::discover(dir.path()).expect("files").files {
            let name = file.path.canonicalize().expect("a file").display().to_string();
            let (source, what) = (SourceName { number: 3, name: &name }, format!("seed {seed}, {name}"));
            let open = |taken| TableFile::open(file.clone(), source, taken).expect("a sound file");
            let mut rows = open(0);
            while let Some(batch) = rows.next_batch(draw.range(1, 9) as usize).expect("a sound file") {
                known.hear(&batch, &what);
                if draw.chance(25) {
                    rows = open(rows.taken());
                    cuts += 1;
                }
            }
            assert!(open(rows.taken()).next_batch(1).expect("a sound file").is_none(), "{what}");
        }
        assert!(known.rows == expected.rows, "seed {seed}: rows");
        assert!(known.refused == expected.refused, "seed {seed}: refused");
    }
    assert!(cuts > 100, "{cuts}");
}

fn finding(id: u64, person: &str) -> Value {
    json!({"id": id, "person": person, "found_at": "2020-02-12T00:00:00Z"})
}

fn said(op: &str, id: u64, person: &str) -> String {
    format!("{}\n", json!({"table": "findings", "op": op, "row": finding(id, person)}))
}

fn ids(known: &Known) -> Vec<u64> {
    known.rows.keys().map(|&(_, id)| id).collect()
}

#[test]
fn lines_that_are_added_are_taken_once_they_are_whole() {
    let dir = empty_dir();
    let path = dir.path().join("feed.ndjson");
    let (mut known, mut file) = (Known::default(), fs::File::create(&path).expect("room"));
    let second = said("upsert", 2, "b");
    let (begin, end) = second.split_at(20);
    let mut add = |text: &str| file.write_all(text.as_bytes()).expect("room");
    add(&(said("upsert", 1, "a") + begin));
    let from = known.watch(dir.path());
    known.take(&from, 1, "a line and a part of one");
    assert_eq!(ids(&known), [1]);
    // The part stays a part, however often it is looked at, and after a stop.
    drop(from);
    let from = known.watch(dir.path());
    assert!(from.told.recv_timeout(Duration::from_millis(1_200)).is_err());
    add(end);
    known.take(&from, 1, "the rest of it");
    assert_eq!(ids(&known), [1, 2]);
    // What is JSON is a line, though its end has not been written.
    add(said("upsert", 3, "c").trim_end());
    known.take(&from, 1, "without an end of line");
    assert_eq!(ids(&known), [1, 2, 3]);
    add(&("\nno message\n".to_owned() + &said("delete", 1, "a")));
    while ids(&known).len() == 3 {
        known.take(&from, 1, "more");
    }
    assert_eq!(ids(&known), [2, 3]);
    // Lines are numbered as they stand in the file.
    assert_eq!(known.refused.iter().map(|(_, refused)| refused.0).collect::<Vec<_>>(), [4]);
    // A shorter one is another file.
    fs::write(&path, said("upsert", 9, "z")).expect("room");
    known.take(&from, 1, "another file");
    assert_eq!(ids(&known), [2, 3, 9]);
}

#[test]
fn what_cannot_be_read_is_refused_and_what_is_no_file_of_facts_is_told() {
    let dir = empty_dir();
    let put = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("room");
        fs::write(path, bytes).expect("room");
    };
    put("contacts-1.parquet", b"PAR1 or nearly");
    put("findings.2.csv", b"id,person,found_at\n1,a,2020-02-12T00:00:00Z\n");
    put("findings/one.ndjson", format!("{}\n", finding(2, "b")).as_bytes());
    put("messages.ndjson.gz", b"not packed");
    put("messages.ndjson.zst", b"\x28\xB5\x2F\xFD and then something else");
    put("findings-bom.ndjson", format!("\u{FEFF}{}\n", finding(3, "c")).as_bytes());
    let rows: Vec<String> = (10..60).map(|id| format!("{id},a,2020-02-12T00:00:00Z\n")).collect();
    put("findings-open.csv", format!("id,person,found_at\n{}99,\"a", rows.concat()).as_bytes());
    put("orders.xlsx", b"no facts");
    put("tests.parquet", b"");
    put(".hidden.ndjson", said("upsert", 7, "h").as_bytes());
    put("_staged/findings.csv", b"id,person,found_at\n8,h,2020-02-12T00:00:00Z\n");
    put(LAST, end(1).as_bytes());
    let mut known = Known::default();
    let from = known.watch(dir.path());
    known.take(&from, usize::MAX, "what is there");
    // What is right before the damage counts.
    assert_eq!(ids(&known), [1, 2, 3].into_iter().chain(10..60).collect::<Vec<_>>());
    let told: Vec<_> = known.refused.iter().map(|(source, refused)| (source.clone(), refused.1, refused.3)).collect();
    let path = |name: &str| dir.path().canonicalize().expect("a folder").join(name).display().to_string();
    let malformed = Reason::Malformed;
    assert_eq!(
        told,
        [
            (path("contacts-1.parquet"), Some(Table::Contacts), malformed),
            (path("findings-open.csv"), Some(Table::Findings), malformed),
            (path("messages.ndjson.gz"), None, malformed),
            (path("messages.ndjson.zst"), None, malformed),
        ]
    );
    let behind = known.refused.iter().find(|(source, _)| source.ends_with("open.csv")).map(|(_, refused)| refused.0);
    assert_eq!(behind, Some(50));
    assert!(known.notes.iter().any(|note| note.starts_with(&path("orders.xlsx"))), "{:?}", known.notes);
    assert_eq!(known.notes.len(), 1, "{:?}", known.notes);
    drop(from);
    // A file in the place of a damaged one is taken; nothing else is again.
    put("contacts-1.parquet", b"still none of its kind");
    // So is one that is corrected, though it is as long as before.
    put("findings.2.csv", b"id,person,found_at\n4,b,2020-02-12T00:00:00Z\n");
    put("zz-more.ndjson", end(2).as_bytes());
    let mut later = Known { read: known.read.clone(), ..Known::default() };
    let from = later.watch(dir.path());
    later.take(&from, usize::MAX, "what is new");
    assert_eq!((later.refused.len(), ids(&later)), (1, vec![4]));
}

#[test]
fn a_file_that_is_written_without_a_pause_is_taken_meanwhile() {
    let dir = empty_dir();
    let mut file = fs::File::create(dir.path().join("feed.ndjson")).expect("room");
    let is_taken = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for id in 0.. {
                file.write_all(said("upsert", id, "a").as_bytes()).expect("room");
                std::thread::sleep(Duration::from_millis(20));
                if is_taken.load(Ordering::Acquire) {
                    break;
                }
            }
        });
        let mut known = Known::default();
        let from = known.watch(dir.path());
        known.take(&from, 3, "what is there so far");
        is_taken.store(true, Ordering::Release);
        assert!(known.refused.is_empty() && !known.rows.is_empty());
    });
}

#[test]
fn rows_that_are_long_to_refuse_come_a_few_at_a_time() {
    let dir = empty_dir();
    let names: Vec<String> = (0..300).map(|number| format!(",a_column_that_no_table_has_{number:015}")).collect();
    let row = format!("x,a,2020-02-12T00:00:00Z{}\n", ",".repeat(300));
    let text = format!("id,person,found_at{}\n{}", names.concat(), row.repeat(2_000));
    fs::write(dir.path().join("findings.csv"), text).expect("room");
    let mut known = Known::default();
    let from = known.watch(dir.path());
    while known.refused.len() < 2_000 {
        let before = known.refused.len();
        known.take(&from, 1, "some of them");
        let each = known.refused.first().map_or(0, |(source, refused)| source.len() + refused.5.len());
        assert!((known.refused.len() - before) * each < JOURNAL_FRAME_BYTES_MAX / 4, "{each}");
    }
}

#[test]
fn nothing_is_followed_twice_and_nothing_that_the_run_writes() {
    let (dir, store) = (empty_dir(), empty_dir());
    let (watched, feed) = (dir.path().join("in"), dir.path().join("in/feed.ndjson"));
    fs::create_dir(&watched).expect("room");
    fs::write(&feed, "").expect("room");
    let watch = |command: &mut Command| {
        let output = command.arg("--watch").arg(&watched).stdin(Stdio::null()).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for (mut command, word) in
        [(run(store.path(), &feed), "would be taken twice"), (run(&watched, Path::new("-")), "what it tells itself")]
    {
        let (status, said) = watch(&mut command);
        assert!(status == Some(1) && said.contains(word), "{status:?} {said}");
    }
    let (status, said) = watch(run(store.path(), Path::new("-")).arg("--parquet").arg(watched.join("tests")));
    assert!(status == Some(1) && said.contains("what it tells itself"), "{status:?} {said}");
}

#[test]
fn a_run_watches_a_folder_until_it_is_stopped_and_takes_each_file_once() {
    let (dir, store) = (empty_dir(), empty_dir());
    let watched = dir.path().join("in");
    fs::create_dir(&watched).expect("room");
    let flags = ["--watch", watched.to_str().expect("UTF-8")];
    let declare = |name: &str, id, person| fs::write(watched.join(name), declared(id, person)).expect("room");
    declare("1.ndjson", 1, "lin");
    let served = Served::start(store.path(), &flags);
    served.tick();
    let until_green = |served: &Served, person: &str| {
        // A little more than the looks that it takes, on any machine.
        let is_there = (0..3_000).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            served.get(&format!("/v1/codes/{person}")).status == 200
        });
        assert!(is_there, "{person} has no code");
    };
    until_green(&served, "lin");
    declare("2.ndjson", 2, "wang");
    until_green(&served, "wang");
    assert!(served.get("/metrics").text().contains("sanma_source_behind_bytes{source=\""));
    let position = |served: &Served| served.get("/v1/codes/lin").json()["position"].clone();
    let last = position(&served);
    assert!(served.stop().contains("2 messages taken"));
    let served = Served::start(store.path(), &flags);
    declare("3.ndjson", 3, "zhao");
    until_green(&served, "zhao");
    assert_eq!(position(&served), json!(last.as_u64().expect("a number") + 1));
    drop(served);
    let none = run(store.path(), Path::new("-")).args(["--watch", "nowhere"]).stdin(Stdio::null()).output();
    let none = none.expect("it runs");
    assert_eq!(none.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&none.stderr).contains("nowhere: No such file"), "{none:?}");
}
