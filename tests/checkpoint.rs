//! A store with checkpoints is one without: the same codes and changes, from less.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::loading::empty_dir;
use crate::run::{applied, codes, done, long_feed, run};

const SANMA: &str = env!("CARGO_BIN_EXE_sanma");
/// So small that a run makes many checkpoints.
const SMALL: [&str; 2] = ["--segment-bytes", "8000"];

fn codes_after(store: &Path, feed: &Path) -> BTreeMap<String, String> {
    let out = store.join("out");
    done(run(store, feed).args(SMALL).args(["--format", "ndjson", "--out"]).arg(&out));
    codes(&out)
}

fn names(folder: &Path) -> Vec<String> {
    let listed = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> =
        listed.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A store that has read a feed, its feed, and the newest checkpoint.
fn store_with_checkpoint(dir: &Path) -> (PathBuf, PathBuf, PathBuf) {
    let (store, feed) = (dir.join("store"), dir.join("feed.ndjson"));
    long_feed(&feed);
    codes_after(&store, &feed);
    // What came late and was over by then is forgotten at the next start.
    codes_after(&store, &feed);
    let made = names(&store.join("checkpoints"));
    assert_eq!(made.len(), 1, "older ones are removed: {made:?}");
    let checkpoint = store.join("checkpoints").join(&made[0]);
    (store, feed, checkpoint)
}

#[test]
fn the_journal_behind_a_checkpoint_is_dropped_and_nobody_notices() {
    let dir = empty_dir();
    let (store, feed, checkpoint) = store_with_checkpoint(dir.path());
    let position = checkpoint.file_name().expect("a name").to_string_lossy().into_owned();
    let segments = names(&store.join("journal"));
    let first = segments.iter().find(|name| name.ends_with(".journal")).expect("a segment");
    assert_eq!(first[..20].parse::<u64>().expect("digits"), position.parse::<u64>().expect("digits") + 1);

    // Nothing is told again, by whatever way the store is opened.
    let changes = store.join("changes.ndjson");
    let told = fs::read(&changes).expect("changes");
    let now = codes_after(&store, &feed);
    assert_eq!(applied(&changes), now);
    assert_eq!(fs::read(&changes).expect("changes"), told);
    let moved = dir.path().join("moved");
    fs::rename(&store, &moved).expect("the same disk");
    assert_eq!(codes_after(&moved, &feed), now);
    assert_eq!(fs::read(moved.join("changes.ndjson")).expect("changes"), told);
    fs::rename(&moved, &store).expect("the same disk");
    fs::remove_file(store.join("told.json")).expect("it is there");
    let output = run(&store, &feed).output().expect("it runs");
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() || why.contains("the store knows what changed after position"), "{why}");
    let verified = done(Command::new(SANMA).args(["verify", "--store"]).arg(&store));
    assert!(String::from_utf8_lossy(&verified.stdout).contains("are those of a full recompute"));

    // A checkpoint is a data directory as any other.
    let (out, at) = (dir.path().join("nightly"), last_instant(&store));
    let mut recompute = Command::new(SANMA);
    recompute.args(["recompute", "--rules", "hangzhou-2020-02-11", "--format", "ndjson"]);
    recompute.args(["--as-of", &at]).arg("--data").arg(&checkpoint).arg("--out").arg(&out);
    done(&mut recompute);
    assert!(!codes(&out).is_empty());
}

/// T at the end of a store's changes.
fn last_instant(store: &Path) -> String {
    let text = fs::read_to_string(store.join("changes.ndjson")).expect("changes");
    let line: serde_json::Value = serde_json::from_str(text.lines().last().expect("a line")).expect("JSON");
    line["as_of"].as_str().expect("an instant").to_owned()
}

#[test]
fn a_new_file_of_changes_begins_with_everybody_and_an_old_one_is_refused() {
    let dir = empty_dir();
    let (store, feed, _) = store_with_checkpoint(dir.path());
    let changes = store.join("changes.ndjson");
    let told = fs::read_to_string(&changes).expect("changes");
    fs::remove_file(&changes).expect("it is there");
    let now = codes_after(&store, &feed);
    assert_eq!(applied(&changes), now);
    assert!(fs::metadata(&changes).expect("changes").len() < told.len() as u64);

    let old = told.lines().take(20).chain([""]).collect::<Vec<_>>().join("\n");
    fs::write(&changes, &old).expect("room");
    let output = run(&store, &feed).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(why.contains("the store knows what changed after position"), "{why}");
    let output = run(&store, &feed).args(["--changes", "-", "--from", "3"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn damage_of_a_checkpoint_is_told_and_what_a_stop_left_is_removed() {
    let dir = empty_dir();
    let (store, feed, checkpoint) = store_with_checkpoint(dir.path());
    let left = store.join("checkpoints/.new-00000000000000000099");
    fs::create_dir_all(&left).expect("room");
    fs::write(left.join("contacts.parquet"), "half").expect("room");
    codes_after(&store, &feed);
    assert!(!left.exists());
    let parts = || -> (Vec<String>, Vec<String>) {
        names(&checkpoint).into_iter().partition(|name| name.starts_with("_sanma"))
    };
    let count = parts().0.len();
    assert!(count > 50, "{count} files of columns");
    // Columns that are damaged cost time, and are made again.
    for number in (0..count).step_by(9) {
        // Made again they have other names.
        let name = &parts().0[number];
        let path = checkpoint.join(if name == "_sanma.lock" { "_sanma.json" } else { name });
        let mut bytes = fs::read(&path).expect("a file");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        fs::write(&path, bytes).expect("room");
        let verified = journal("verify", &store).output().expect("it runs");
        assert!(String::from_utf8_lossy(&verified.stderr).contains("damaged"), "{name}");
        let warned = || String::from_utf8_lossy(&done(&mut run(&store, &feed)).stderr).contains("its tables are");
        assert!(warned() && !warned(), "{name}");
    }
    let (_, tables) = parts();
    assert!(tables.len() > 5, "{tables:?}");
    for name in tables {
        let path = checkpoint.join(&name);
        let whole = fs::read(&path).expect("a file");
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 4;
        for (bytes, why) in [(&flipped[..], "checksum"), (&whole[..whole.len() - 1], "")] {
            fs::write(&path, bytes).expect("room");
            // A start that has columns reads no table.
            for name in parts().0 {
                fs::remove_file(checkpoint.join(name)).expect("it is there");
            }
            let output = run(&store, &feed).output().expect("it runs");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let is_manifest = name.starts_with('_');
            assert!(output.status.code() == Some(1) || is_manifest && bytes.len() < whole.len(), "{name}: {said}");
            assert!(said.contains(why) || is_manifest, "{name}: {said}");
        }
        fs::write(&path, &whole).expect("room");
    }
    codes_after(&store, &feed);
    // Of a journal that ends before its checkpoint something is missing.
    fs::remove_dir_all(store.join("journal")).expect("it is there");
    let output = run(&store, &feed).output().expect("it runs");
    assert!(String::from_utf8_lossy(&output.stderr).contains("its last files are missing"));
}

#[test]
fn data_that_a_store_began_from_are_wanted_once() {
    let dir = empty_dir();
    let (store, data, feed) = (dir.path().join("store"), dir.path().join("data"), dir.path().join("feed.ndjson"));
    fs::create_dir_all(&data).expect("room");
    let rows = "id,person,kind,onset_at,reported_at,isolated_at,outcome,outcome_at\n\
                1,lin,confirmed,,2020-02-10T00:00:00Z,,,\n";
    fs::write(data.join("cases.csv"), rows).expect("room");
    let row = r#"{"id":1,"person":"lin","declared_at":"2020-02-11T01:00:00Z","doc_type":"other","residence":330106,"fever":false,
        "dyspnea":false,"respiratory":false,"contact_with_case":false,"visited_key_area":false}"#;
    let messages = format!("{{\"table\":\"declarations\",\"op\":\"upsert\",\"row\":{row}}}").replace('\n', " ");
    fs::write(&feed, "").expect("room");
    done(run(&store, &feed).arg("--data").arg(&data));
    fs::write(&feed, format!("{messages}\n{{\"as_of\":\"2020-02-12T00:00:00Z\"}}\n")).expect("room");
    fs::remove_dir_all(&data).expect("it is there");
    let colours = codes_after(&store, &feed);
    assert_eq!(colours, BTreeMap::from([("lin".to_owned(), "red".to_owned())]));
}

fn journal(command: &str, store: &Path) -> Command {
    let mut journal = Command::new(SANMA);
    journal.args(["journal", command, "--store"]).arg(store);
    journal
}

fn text(command: &mut Command) -> String {
    String::from_utf8(done(command).stdout).expect("UTF-8")
}

#[test]
fn a_journal_that_is_dumped_is_a_feed_and_a_compacted_one_is_empty() {
    let dir = empty_dir();
    let (store, again, feed) = (dir.path().join("store"), dir.path().join("again"), dir.path().join("feed.ndjson"));
    long_feed(&feed);
    let out = store.join("out");
    done(run(&store, &feed).args(["--format", "ndjson", "--out"]).arg(&out));
    let before = codes(&out);
    // Whatever went into a checkpoint, it and the journal after it are all there is.
    let dump = dir.path().join("dump.ndjson");
    let position = text(&mut journal("verify", &store));
    assert!(position.contains("nothing damaged"), "{position}");
    let dumped = text(&mut journal("dump", &store));
    assert!(dumped.lines().count() > 10, "{dumped}");
    fs::write(&dump, dumped).expect("room");
    let mut follower = run(&again, &dump);
    if let Some(checkpoint) = names(&store).contains(&"checkpoints".to_owned()).then(|| store.join("checkpoints")) {
        follower.arg("--data").arg(checkpoint.join(&names(&checkpoint)[0]));
    }
    done(follower.args(["--format", "ndjson", "--out"]).arg(again.join("out")));
    assert_eq!(codes(&again.join("out")), before);

    done(&mut journal("compact", &store));
    let listed = text(&mut journal("ls", &store));
    assert_eq!(listed.lines().count(), 2, "a checkpoint and an empty segment: {listed}");
    assert!(listed.contains(" 32 bytes"), "{listed}");
    assert!(text(&mut journal("verify", &store)).contains(": 0 records, 0 rows"));
    assert_eq!(text(&mut journal("dump", &store)), "");
    assert_eq!(applied(&store.join("changes.ndjson")), before);
    assert_eq!(codes_after(&store, &feed), before);
    let refused = journal("dump", &store).args(["--from", "1"]).output().expect("it runs");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is not in the journal any more"));
}

#[test]
fn a_backup_of_a_run_that_goes_on_is_a_store_that_goes_on() {
    let dir = empty_dir();
    let (store, feed) = (dir.path().join("store"), dir.path().join("feed.ndjson"));
    long_feed(&feed);
    let copy = |command: &str, from: [&str; 2], paths: [&Path; 2]| {
        let mut sanma = Command::new(SANMA);
        sanma.arg(command).arg(from[0]).arg(paths[0]).arg(from[1]).arg(paths[1]);
        sanma.output().expect("it runs")
    };
    let mut child = run(&store, &feed).args(SMALL).stderr(std::process::Stdio::null()).spawn().expect("it runs");
    while !store.join("journal").is_dir() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let (mut backups, mut running) = (Vec::new(), true);
    while running || backups.len() < 3 {
        running = child.try_wait().expect("a child").is_none();
        let backup = dir.path().join(format!("backup-{}", backups.len()));
        let output = copy("backup", ["--store", "--to"], [&store, &backup]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        backups.push((backup, running));
    }
    child.wait().expect("it ended");
    let during = backups.iter().filter(|(_, running)| *running).count();
    assert!(during > 1, "{during} of {} while it ran", backups.len());
    let at_end = |store: &Path| {
        let codes = codes_after(store, &feed);
        assert_eq!(applied(&store.join("changes.ndjson")), codes);
        let verified = done(Command::new(SANMA).args(["verify", "--store"]).arg(store));
        assert!(String::from_utf8_lossy(&verified.stdout).contains("are those of a full recompute"));
        (codes, fs::read(store.join("rejections.ndjson")).expect("lines"))
    };
    let whole = at_end(&store);
    for (number, (backup, _)) in backups.iter().enumerate().step_by(backups.len().div_ceil(6)) {
        let restored = dir.path().join(format!("restored-{number}"));
        let output = copy("restore", ["--from", "--store"], [backup, &restored]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(at_end(&restored) == whole, "backup {number}");
    }
    let (first, _) = &backups[0];
    assert_eq!(copy("backup", ["--store", "--to"], [&store, first]).status.code(), Some(2), "it is there already");
    let nowhere = dir.path().join("nowhere");
    assert_eq!(copy("backup", ["--store", "--to"], [&nowhere, &dir.path().join("x")]).status.code(), Some(2));
    let left = names(dir.path());
    assert!(left.iter().all(|name| !name.starts_with('.') && name != "x"), "{left:?}");
}
