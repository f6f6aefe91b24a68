//! Arrow Flight SQL over real sockets: what is answered there is what is answered here, to whom it is for, and all of it is recorded.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{CommandGetDbSchemas, CommandGetTables, SqlInfo};
use futures::TryStreamExt as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tonic::transport::{Channel, Endpoint};

use crate::loading::empty_dir;
use crate::server::{Served, declared};

const SANMA: &str = env!("CARGO_BIN_EXE_sanma");

/// A door, over the shipped data or a store.
pub(crate) struct Door {
    child: Child,
    url: String,
    /// Address of the door for Postgres's clients, if there is one.
    pub(crate) postgres: String,
    desk: PathBuf,
    /// Kept open: what is said there must find somebody.
    _stderr: BufReader<ChildStderr>,
}

pub(crate) fn shipped() -> Vec<String> {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/datasets/covasim-huzhou");
    ["--data", data, "--rules", "huzhou", "--as-of", "2020-02-18T00:00+08:00"].map(str::to_owned).into()
}

/// Settings with a caller of each role, whose token is the role's name and "-token".
pub(crate) fn settings(folder: &Path) -> PathBuf {
    let caller = |role: &str| {
        let digest = Sha256::digest(format!("{role}-token"));
        let digest: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let digest = digest.concat();
        fs::write(folder.join(role), format!("{role}-token\n")).expect("written");
        format!("[[http.callers]]\nname = \"the {role}\"\nrole = \"{role}\"\nsha256 = \"{digest}\"\n")
    };
    let file = folder.join("settings.toml");
    let callers = ["analyst", "official", "operator", "feed", "app"].map(caller);
    fs::write(&file, callers.concat()).expect("written");
    file
}

/// Questions that analysts ask, with their answers as CSV: file, question, answer.
pub(crate) fn questions() -> impl Iterator<Item = (String, String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/queries");
    let files = fs::read_dir(folder).expect("a folder").map(|file| file.expect("an entry").path());
    let questions = files.filter(|file| file.extension().is_some_and(|extension| extension == "sql"));
    let text = |file: &Path| fs::read_to_string(file).expect("text");
    questions.map(move |file| (file.display().to_string(), text(&file), text(&file.with_extension("csv"))))
}

impl Door {
    pub(crate) fn open(desk: &Path, facts: &[String], more: &[&str]) -> Self {
        let mut command = Command::new(SANMA);
        command.args(["serve", "--quiet", "--listen", "127.0.0.1:0", "--threads", "2", "--desk"]).arg(desk);
        command.args(facts).args(more).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        let mut listening = || {
            let mut line = String::new();
            stderr.read_line(&mut line).expect("text");
            line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line}")).to_owned()
        };
        let url = listening();
        let postgres = if more.contains(&"--postgres") { listening() } else { String::new() };
        let postgres = postgres.replace("postgres://", "");
        Self { child, url, postgres, desk: desk.to_owned(), _stderr: stderr }
    }

    fn ask(&self, more: &[&str]) -> Output {
        Command::new(SANMA).args(["sql", "--connect", &self.url]).args(more).output().expect("it runs")
    }

    /// What somebody reads as CSV, asking with a token in a file.
    #[track_caller]
    fn csv(&self, token: &Path, sql: &str) -> String {
        let told = self.ask(&["--token-file", token.to_str().expect("text"), "--format", "csv", "-c", sql]);
        assert!(told.status.success(), "{sql}: {}", String::from_utf8_lossy(&told.stderr));
        String::from_utf8(told.stdout).expect("text")
    }

    /// What somebody is told instead of an answer.
    #[track_caller]
    fn refusal(&self, token: Option<&Path>, sql: &str) -> String {
        let token = token.map(|token| ["--token-file", token.to_str().expect("text")]);
        let told = self.ask(&[token.as_ref().map_or(&[][..], |token| &token[..]), &["-c", sql]].concat());
        assert!(!told.status.success(), "{sql}: {}", String::from_utf8_lossy(&told.stdout));
        String::from_utf8(told.stderr).expect("text")
    }

    /// The lines of what has been asked.
    pub(crate) fn recorded(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.desk.join("queries.ndjson")).expect("recorded");
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    pub(crate) fn stop(mut self) {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-INT", &pid]).status().expect("sent");
        assert!(self.child.wait().expect("ended").success());
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn the_questions_of_analysts_have_the_same_answers_through_the_door() {
    let kept = empty_dir();
    let folder = kept.path();
    let door = Door::open(&folder.join("desk"), &shipped(), &[]);
    let mut asked = 0;
    for (file, text, expected) in questions() {
        let told = door.ask(&["--format", "csv", "-c", &text]);
        assert_eq!(String::from_utf8_lossy(&told.stdout), expected, "{file}");
        asked += 1;
    }
    assert_eq!(asked, 20);
    let recorded = door.recorded();
    let ended = |line: &&Value| line.get("ended").is_some();
    assert_eq!(recorded.iter().filter(ended).count(), asked);
    assert_eq!(recorded.len(), 2 * asked);
    door.stop();
}

#[test]
fn each_role_sees_what_it_is_for_and_everything_asked_is_recorded() {
    let kept = empty_dir();
    let folder = kept.path();
    let config = settings(folder);
    let door = Door::open(&folder.join("desk"), &shipped(), &["--config", config.to_str().expect("text")]);
    let [analyst, official, operator, feed, app] =
        ["analyst", "official", "operator", "feed", "app"].map(|role| folder.join(role));
    let by_colour = "SELECT colour, count(*) AS people FROM codes GROUP BY 1 ORDER BY 1";
    let people = door.csv(&operator, by_colour);
    assert_eq!(people, door.csv(&official, by_colour));
    assert_eq!(people, door.csv(&analyst, by_colour));
    let token = door.csv(&official, "SELECT person FROM codes WHERE colour = 'red' ORDER BY 1 LIMIT 1");
    let token = token.lines().nth(1).expect("a row");
    let one = format!("SELECT * FROM codes WHERE person = '{token}'");
    assert!(door.csv(&official, &one).contains("red"));
    assert!(door.refusal(Some(&analyst), &one).contains("rows of single people do not leave"));
    assert_eq!(door.csv(&analyst, &format!("SELECT count(*) FROM ({one})")).lines().count(), 1, "a group of one");
    for (token, why) in
        [(Some(&feed), "not for your role"), (Some(&app), "not for your role"), (None, "say who you are")]
    {
        assert!(door.refusal(token.map(PathBuf::as_path), by_colour).contains(why));
    }
    for paints in [
        "DELETE FROM codes",
        "CREATE TABLE t AS SELECT 1",
        "COPY (SELECT 1) TO '/tmp/x.csv'",
        "INSERT INTO queries SELECT 1",
    ] {
        door.refusal(Some(&operator), paints);
    }
    // An analyst reads what the analyst asked, operators what everybody did, and that is what the file says.
    let own = door.csv(&analyst, "SELECT DISTINCT caller FROM queries");
    assert_eq!(own, "caller\nthe analyst\n");
    let of_others = "FROM queries WHERE caller <> 'the operator' ORDER BY query";
    let callers = door.csv(&operator, &format!("SELECT caller, role {of_others}"));
    let [ana, off] = ["the analyst,analyst", "the official,official"];
    assert_eq!(callers.lines().skip(1).collect::<Vec<_>>(), [off, ana, off, off, ana, ana, ana]);
    let ends = door.csv(&operator, &format!("SELECT rows, error IS NULL {of_others}"));
    assert_eq!(
        ends.lines().skip(1).collect::<Vec<_>>(),
        ["3,true", "3,true", "1,true", "1,true", "0,false", "0,true", "1,true"]
    );
    let tried = door.csv(&operator, "SELECT statement FROM queries WHERE error LIKE 'rows of single people%'");
    assert!(tried.contains(token), "{tried}");
    let refused = door.recorded().iter().filter(|line| line["error"].is_string()).count();
    assert_eq!(refused, 5);
    // One process has the record.
    let mut other = Command::new(SANMA);
    other.args(["serve", "--quiet", "--listen", "127.0.0.1:0", "--desk"]).arg(&door.desk).args(shipped());
    let other = other.output().expect("it runs");
    assert!(!other.status.success() && String::from_utf8_lossy(&other.stderr).contains("queries.ndjson"));
    door.stop();
}

#[test]
fn what_nobody_waits_for_or_takes_too_long_ends_and_is_recorded() {
    let kept = empty_dir();
    let folder = kept.path();
    let door = Door::open(&folder.join("desk"), &shipped(), &["--time-limit", "3", "--at-once", "1"]);
    let slow = "SELECT count(*) FROM contacts a, contacts b WHERE a.duration_s + b.duration_s = 1";
    assert!(door.refusal(None, slow).contains("longer than 3 s"));
    let mut asking = Command::new(SANMA);
    asking.args(["sql", "--connect", &door.url, "-c", slow]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut asking = asking.spawn().expect("it runs");
    while door.recorded().len() < 3 {
        std::thread::sleep(Duration::from_millis(5));
    }
    asking.kill().expect("killed");
    asking.wait().expect("ended");
    // There is one turn: who comes next gets it when the query before has ended.
    assert_eq!(door.ask(&["--format", "csv", "-c", "SELECT 1 AS one"]).stdout, b"one\n1\n");
    let errors: Vec<String> =
        door.recorded().iter().filter_map(|line| Some(line["error"].as_str()?.to_owned())).collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].contains("longer than 3 s") && errors[1] == "ended by who asked", "{errors:?}");
    door.stop();
}

async fn client(url: &str) -> FlightSqlServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(url.replace("grpc://", "http://")).expect("an address");
    FlightSqlServiceClient::new(endpoint.connect().await.expect("a door"))
}

#[test]
fn tools_prepare_statements_and_ask_what_there_is() {
    let kept = empty_dir();
    let folder = kept.path();
    let door = Door::open(&folder.join("desk"), &shipped(), &[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut client = client(&door.url).await;
        let text = "SELECT colour, count(*) AS people FROM codes WHERE colour = $1 GROUP BY 1 HAVING count(*) > $2";
        let mut prepared = client.prepare(text.to_owned(), None).await.expect("prepared");
        let kinds: Vec<String> = prepared
            .parameter_schema()
            .expect("known")
            .fields()
            .iter()
            .map(|field| field.data_type().to_string())
            .collect();
        assert_eq!(kinds.len(), 2, "{kinds:?}");
        for (colour, people) in [("red", 973), ("green", 3157)] {
            let colour: ArrayRef = Arc::new(StringArray::from(vec![colour]));
            let least: ArrayRef = Arc::new(Int64Array::from(vec![1]));
            let values = RecordBatch::try_from_iter([("$1", Arc::clone(&colour)), ("$2", least)]).expect("a row");
            prepared.set_parameters(values).expect("set");
            let info = prepared.execute().await.expect("asked");
            let ticket = info.endpoint[0].ticket.clone().expect("a ticket");
            let rows: Vec<RecordBatch> = client.do_get(ticket).await.expect("rows").try_collect().await.expect("rows");
            assert_eq!(rows.len(), 1);
            assert_eq!(rows[0].column(0), &colour);
            assert_eq!(rows[0].column(1).as_ref(), &Int64Array::from(vec![people]) as &dyn arrow::array::Array);
        }
        prepared.close().await.expect("closed");
        let tables = CommandGetTables {
            include_schema: true,
            table_name_filter_pattern: Some("co%".to_owned()),
            ..Default::default()
        };
        for (info, names) in [
            (client.get_catalogs().await, "sanma"),
            (client.get_db_schemas(CommandGetDbSchemas::default()).await, "public"),
            (client.get_tables(tables).await, "codes contacts"),
            (client.get_table_types().await, "BASE TABLE"),
            (client.get_sql_info(vec![SqlInfo::FlightSqlServerName]).await, ""),
        ] {
            let ticket = info.expect("known").endpoint[0].ticket.clone().expect("a ticket");
            let rows: Vec<RecordBatch> = client.do_get(ticket).await.expect("rows").try_collect().await.expect("rows");
            let name = match rows[0].num_columns() {
                1 => 0,
                2 => 1,
                _ => 2,
            };
            let texts = rows[0].column(name).as_any().downcast_ref::<StringArray>();
            let texts = texts.map(|texts| texts.iter().flatten().collect::<Vec<_>>().join(" ")).unwrap_or_default();
            assert_eq!(texts, names);
        }
    });
    door.stop();
}

#[test]
fn a_line_is_encrypted_where_there_is_a_certificate() {
    let kept = empty_dir();
    let folder = kept.path();
    let tls = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls");
    let file = |name: &str| tls.join(name).to_str().expect("text").to_owned();
    let more = ["--certificate", &file("door.crt"), "--key", &file("door.key")];
    let door = Door::open(&folder.join("desk"), &shipped(), &more);
    assert!(door.url.starts_with("grpc+tls://"));
    let one = ["--format", "csv", "-c", "SELECT 1 AS one"];
    let with = |authority: &str| door.ask(&[&["--authority", authority][..], &one].concat());
    assert_eq!(with(&file("authority.crt")).stdout, b"one\n1\n");
    // A certificate that another has signed is no proof; a plain line finds nobody.
    assert!(!with(&file("door.crt")).status.success());
    let plain = Command::new(SANMA).args(["sql", "--connect", &door.url.replace("+tls", "")]).args(one).output();
    assert!(!plain.expect("it runs").status.success());
    door.stop();
}

#[test]
fn a_store_that_a_run_has_is_published_again_and_again() {
    let kept = empty_dir();
    let folder = kept.path();
    let store = folder.join("store");
    let run = Served::start(&store, &[]);
    run.tick();
    let send = |lines: &str| assert_eq!(run.ask("POST", "/v1/messages", &[], lines.as_bytes()).status, 200);
    send(&declared(1, "lin"));
    let of_store = ["--store".to_owned(), store.to_str().expect("text").to_owned()];
    let door = Door::open(&folder.join("desk"), &of_store, &["--refresh", "1"]);
    let people =
        || String::from_utf8(door.ask(&["--format", "csv", "-c", "SELECT person FROM codes ORDER BY 1"]).stdout);
    assert_eq!(people().expect("text"), "person\nlin\n");
    send(&declared(2, "wu"));
    while people().expect("text") != "person\nlin\nwu\n" {
        std::thread::sleep(Duration::from_millis(50));
    }
    door.stop();
}
