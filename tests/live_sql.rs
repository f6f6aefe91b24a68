//! Questions in SQL of a run that goes on: an answer holds all that was told before, and nothing of what comes meanwhile.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::flight::{questions, settings, shipped};
use crate::loading::empty_dir;
use crate::server::{Served, case, declared};

const SANMA: &str = env!("CARGO_BIN_EXE_sanma");

/// A run that is asked in SQL.
struct Asked {
    run: Served,
    url: String,
}

impl Asked {
    fn start(store: &Path, more: &[&str]) -> Self {
        Self::start_at("2020-02-11", store, more)
    }

    fn start_at(as_of: &str, store: &Path, more: &[&str]) -> Self {
        let doors = ["--sql", "127.0.0.1:0", "--threads", "2"];
        let mut run = Served::start_at(as_of, store, &[&doors, more].concat());
        let url = run.said("listening on ");
        Self { run, url }
    }

    fn ask(&self, more: &[&str]) -> Output {
        ask(&["--connect", &self.url], more)
    }

    #[track_caller]
    fn csv(&self, sql: &str) -> String {
        csv(&self.ask(&["--format", "csv", "-c", sql]), sql)
    }

    #[track_caller]
    fn csv_of(&self, token: &Path, sql: &str) -> String {
        csv(&self.ask(&["--token-file", token.to_str().expect("text"), "--format", "csv", "-c", sql]), sql)
    }

    fn send(&self, lines: &str) {
        assert_eq!(self.run.ask("POST", "/v1/messages", &[], lines.as_bytes()).status, 200);
    }
}

fn ask(of: &[&str], more: &[&str]) -> Output {
    Command::new(SANMA).arg("sql").args(of).args(more).output().expect("it runs")
}

#[track_caller]
fn csv(told: &Output, sql: &str) -> String {
    assert!(told.status.success(), "{sql}: {}", String::from_utf8_lossy(&told.stderr));
    String::from_utf8(told.stdout.clone()).expect("text")
}

/// People whose code is not what they were told last: none, in an answer of one position.
const UNTOLD: &str = "WITH last AS (SELECT person, last_value(after ORDER BY position) AS colour FROM changes GROUP BY person) \
     SELECT count(*) AS untold FROM last FULL JOIN codes USING (person) WHERE last.colour IS DISTINCT FROM codes.colour";

#[test]
fn an_answer_holds_all_that_was_told_before_and_is_what_the_store_says() {
    let kept = empty_dir();
    let store = kept.path().join("store");
    let asked = Asked::start(&store, &[]);
    asked.run.tick();
    for id in 1..=4 {
        asked.send(&declared(id, &format!("p{id}")));
        assert_eq!(asked.csv("SELECT count(*) AS n FROM codes WHERE colour = 'green'"), format!("n\n{id}\n"));
    }
    asked.send(&(case("upsert", 1, "p2") + &case("upsert", 2, "p3") + &case("delete", 2, "p3")));
    assert_eq!(asked.csv("SELECT person FROM codes WHERE colour = 'red'"), "person\np2\n");
    asked.send("{\"table\": \"cases\", \"op\": \"upsert\", \"row\": {\"id\": 3}}\n");
    assert_eq!(asked.csv("SELECT \"table\", id FROM rejections"), "table,id\ncases,3\n");
    assert_eq!(asked.csv(UNTOLD), "untold\n0\n");
    let of_store = ["--store", store.to_str().expect("text")];
    for sql in [
        "SELECT * FROM declarations ORDER BY id",
        "SELECT * FROM cases ORDER BY id",
        "SELECT * FROM codes ORDER BY person",
        "SELECT * FROM codes_at('2020-02-29T00:00:00Z') ORDER BY person",
        "SELECT * FROM changes ORDER BY position, person",
        "SELECT * FROM rejections",
        "SELECT * FROM rules",
        "SELECT * FROM explain('p2')",
        "SELECT * FROM whatif('list 330106=high') ORDER BY person",
    ] {
        let here = asked.csv(sql);
        assert!(here.lines().count() > 1 || sql.contains("whatif"), "{sql}: {here}");
        assert_eq!(here, csv(&ask(&of_store, &["--format", "csv", "-c", sql]), sql), "{sql}");
    }
    let recorded = asked.csv("SELECT count(*) AS n FROM queries WHERE error IS NULL");
    assert_eq!(recorded, "n\n17\n");
    let rules = r#"{"name": "huzhou-2020-02-16"}"#;
    assert_eq!(asked.run.ask("PUT", "/v1/rules", &[], rules.as_bytes()).status, 200);
    assert_eq!(asked.csv("SELECT DISTINCT rule_set FROM rules"), "rule_set\nhuzhou-2020-02-16\n");
    assert!(store.join("desk/queries.ndjson").is_file());
    asked.run.stop();
}

#[test]
fn an_answer_is_of_one_position_while_facts_come() {
    let kept = empty_dir();
    let asked = Asked::start(&kept.path().join("store"), &[]);
    asked.run.tick();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let mut id = 0;
            while !is_over.load(Ordering::Relaxed) {
                id += 1;
                // Each third message takes back what made a person before red.
                let (person, before) = (format!("p{id}"), id - id.min(2));
                let taken_back = || case("delete", before, &format!("p{before}"));
                let more = if id % 3 == 0 { taken_back() } else { case("upsert", id, &person) };
                asked.send(&(declared(id, &person) + &more));
                // Other tests want the disk, too.
                std::thread::sleep(Duration::from_millis(5));
            }
            id
        });
        let positions: Vec<u64> = (0..8)
            .map(|_| {
                assert_eq!(asked.csv(UNTOLD), "untold\n0\n");
                let last = asked.csv("SELECT max(position) AS position FROM changes");
                last.lines().nth(1).expect("a row").parse().unwrap_or(0)
            })
            .collect();
        is_over.store(true, Ordering::Relaxed);
        assert!(sending.join().expect("sent") > 20);
        assert!(positions.is_sorted() && positions[0] < positions[7], "{positions:?}");
    });
    asked.run.stop();
}

#[test]
fn analysts_see_the_same_pseudonyms_at_any_position() {
    let kept = empty_dir();
    let folder = kept.path();
    let (store, config) = (folder.join("store"), settings(folder));
    let start = || Asked::start(&store, &["--least-group", "1", "--config", config.to_str().expect("text")]);
    let send = |asked: &Asked, path: &str, body: &str| {
        let operator = [("Authorization", "Bearer operator-token")];
        assert_eq!(asked.run.ask("POST", path, &operator, body.as_bytes()).status, 200);
    };
    let seen = |asked: &Asked| -> Vec<String> {
        let people = "SELECT person, count(*) FROM codes GROUP BY person ORDER BY 1";
        let told = asked.csv_of(&folder.join("analyst"), people);
        told.lines().skip(1).map(str::to_owned).collect()
    };
    let asked = start();
    send(&asked, "/v1/tick", r#"{"as_of": "2020-02-11T04:00:00Z"}"#);
    let mut before = Vec::new();
    for id in 1..=5 {
        send(&asked, "/v1/messages", &declared(id, &format!("person-{id}")));
        let now = seen(&asked);
        assert!(
            now.len() == usize::try_from(id).expect("few") && before.iter().all(|known| now.contains(known)),
            "{now:?}"
        );
        assert!(now.iter().all(|row| !row.contains("person-")), "{now:?}");
        before = now;
    }
    asked.run.stop();
    let asked = start();
    assert_eq!(seen(&asked), before);
    asked.run.stop();
}

#[test]
fn the_questions_of_analysts_have_the_same_answers_in_a_run() {
    let kept = empty_dir();
    let shipped = shipped();
    let of_data: Vec<&str> = shipped[..4].iter().map(String::as_str).collect();
    let asked = Asked::start_at("2020-02-18T00:00+08:00", &kept.path().join("store"), &of_data);
    let mut of_the_past = 0;
    for (file, text, expected) in questions() {
        let told = asked.ask(&["--format", "csv", "-c", &text]);
        if told.status.success() {
            assert_eq!(String::from_utf8_lossy(&told.stdout), expected, "{file}");
        } else {
            assert!(String::from_utf8_lossy(&told.stderr).contains("may be forgotten"), "{file}: {told:?}");
            of_the_past += 1;
        }
    }
    assert_eq!(of_the_past, 1, "a run goes forward, and one question looks back");
    asked.run.stop();
}

#[test]
fn doors_that_cannot_be_opened_are_told_of_before_anything_is_done() {
    let kept = empty_dir();
    let store = kept.path().join("store");
    let refusal = |more: &[&str]| {
        let mut command = Command::new(SANMA);
        command.args(["run", "--clock", "feed", "--as-of", "2020-02-11", "--listen", "off", "--store"]).arg(&store);
        let told = command.args(more).stdin(Stdio::null()).output().expect("it runs");
        assert!(!told.status.success());
        String::from_utf8(told.stderr).expect("text")
    };
    assert!(refusal(&["--least-group", "3"]).contains("nobody asks in SQL"));
    assert!(refusal(&["--sql", "0.0.0.0:0"]).contains("no caller is named"));
    assert!(refusal(&["--sql", "127.0.0.1"]).contains("an address and a port"));
    assert!(!store.exists());
    let asked = Asked::start(&store, &[]);
    let desk = store.join("desk");
    let other = kept.path().join("other");
    let taken = Command::new(SANMA)
        .args(["run", "--listen", "off", "--sql", "127.0.0.1:0", "--desk"])
        .arg(&desk)
        .arg("--store")
        .arg(other)
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&taken.stderr);
    assert!(!taken.status.success() && told.contains("another process has it open"), "{told}");
    asked.run.stop();
}
