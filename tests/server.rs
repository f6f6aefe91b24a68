//! HTTP for a run, over real sockets: what is answered is on the disk and told, whoever follows misses nothing, and nobody who
//! is slow or in error harms the others.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::loading::empty_dir;
use crate::openapi::assert_described;
use crate::run::{applied, codes, done, long_feed, run};

const SANMA: &str = env!("CARGO_BIN_EXE_sanma");

/// A run that serves HTTP.
pub struct Served {
    child: Child,
    address: String,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Served {
    pub fn start(store: &Path, more: &[&str]) -> Self {
        Self::start_at("2020-02-11", store, more)
    }

    pub fn start_at(as_of: &str, store: &Path, more: &[&str]) -> Self {
        let mut command = Command::new(SANMA);
        command.args(["run", "--clock", "feed", "--as-of", as_of, "--listen", "127.0.0.1:0", "--store"]);
        Self::of(command.arg(store).args(more))
    }

    fn of(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = child.expect("it runs");
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        let mut lines = stderr.by_ref().lines().map(|line| line.expect("text"));
        let address = lines.find_map(|line| Some(line.strip_prefix("listening on http://")?.to_owned()));
        let address = address.expect("an address");
        let served = Self { child, address, stderr };
        while served.get("/readyz").status != 200 {
            std::thread::sleep(Duration::from_millis(5));
        }
        served
    }

    /// The rest of the next line that it says and that begins like this.
    #[cfg(feature = "flight")]
    pub fn said(&mut self, begin: &str) -> String {
        let mut lines = self.stderr.by_ref().lines().map(|line| line.expect("text"));
        lines.find_map(|line| Some(line.strip_prefix(begin)?.to_owned())).expect("said")
    }

    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let answer = Answer::read(&mut BufReader::new(self.send(method, path, headers, body))).expect("an answer");
        assert_described(method, path, &answer);
        answer
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let headers: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n{}\r\n",
            self.address,
            body.len(),
            headers.concat()
        );
        // Whoever sends too much is answered before all is sent.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        stream
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    pub fn post(&self, path: &str, body: &str) -> Answer {
        self.ask("POST", path, &[], body.as_bytes())
    }

    /// Time comes to where what the tests declare is true.
    pub fn tick(&self) {
        assert_eq!(self.post("/v1/tick", r#"{"as_of": "2020-02-11T04:00:00Z"}"#).status, 200);
    }

    /// Ends it as Ctrl-C does. Gives what it said.
    pub fn stop(mut self) -> String {
        let pid = self.child.id().to_string();
        done(Command::new("kill").args(["-INT", &pid]));
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).expect("text");
        assert!(self.child.wait().expect("it ends").success(), "{said}");
        said
    }
}

impl Drop for Served {
    /// Also where a test fails.
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    fn read(stream: &mut BufReader<TcpStream>) -> Option<Self> {
        let mut answer = Self::read_head(stream)?;
        if answer.headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
            while let Some(chunk) = read_chunk(stream) {
                answer.body.extend_from_slice(&chunk);
            }
        } else {
            let length = answer.headers.get("content-length")?.parse().ok()?;
            answer.body = vec![0; length];
            stream.read_exact(&mut answer.body).ok()?;
        }
        Some(answer)
    }

    fn read_head(stream: &mut BufReader<TcpStream>) -> Option<Self> {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let status = line.split(' ').nth(1)?.parse().ok()?;
        let mut headers = BTreeMap::new();
        loop {
            line.clear();
            stream.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        Some(Self { status, headers, body: Vec::new() })
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("JSON: {}", self.text()))
    }
}

/// The next chunk of a body, unless it has ended.
fn read_chunk(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    let length = usize::from_str_radix(line.trim_end(), 16).ok().filter(|&length| length > 0)?;
    let mut chunk = vec![0; length + 2];
    stream.read_exact(&mut chunk).ok()?;
    chunk.truncate(length);
    Some(chunk)
}

pub fn declaration(id: u64, person: &str) -> Value {
    json!({"id": id, "person": person, "declared_at": "2020-02-11T01:00:00Z", "doc_type": "other", "residence": 330_106,
        "fever": false, "dyspnea": false, "respiratory": false, "contact_with_case": false, "visited_key_area": false})
}

pub fn declared(id: u64, person: &str) -> String {
    format!("{}\n", json!({"table": "declarations", "op": "upsert", "row": declaration(id, person)}))
}

pub fn case(op: &str, id: u64, person: &str) -> String {
    let row = json!({"id": id, "person": person, "kind": "confirmed", "reported_at": "2020-02-11T02:00:00Z"});
    format!("{}\n", json!({"table": "cases", "op": op, "row": row}))
}

#[test]
fn facts_come_in_and_codes_go_out() {
    let dir = empty_dir();
    let store = dir.path().join("store");
    let served = Served::start(&store, &[]);
    served.tick();
    let rows = format!("{}\n{{\"id\": 2}}\n\nnothing\n", declaration(1, "lin"));
    let taken = served.post("/v1/facts/declarations", &rows).json();
    assert_eq!((&taken["taken"], &taken["changes"], &taken["repeated"]), (&json!(1), &json!(1), &json!(false)));
    let refused: Vec<_> =
        taken["refused"].as_array().expect("a list").iter().map(|row| (&row["reason"], &row["offset"])).collect();
    assert_eq!(refused, [(&json!("null"), &json!(2)), (&json!("malformed"), &json!(4))]);
    let code = served.get("/v1/codes/lin").json();
    assert_eq!((&code["colour"], &code["position"]), (&json!("green"), &taken["position"]));

    let taken = served.post("/v1/messages", &(case("upsert", 7, "lin") + &declared(2, "wang"))).json();
    assert_eq!(taken["changes"], 2);
    let code = served.get("/v1/codes/lin").json();
    assert_eq!((&code["colour"], &code["reasons"]), (&json!("red"), &json!(["patient"])));
    let all = served.ask("GET", "/v1/codes", &[("Accept", "text/csv")], b"");
    assert!(all.text().starts_with("person,colour,"), "{}", all.text());
    assert_eq!(all.headers["sanma-position"], taken["position"].to_string());
    let all = served.get("/v1/codes");
    assert_eq!((all.text().lines().count(), all.headers["content-type"].as_str()), (2, "application/x-ndjson"));
    let parquet = served.ask("GET", "/v1/codes", &[("Accept", "application/vnd.apache.parquet")], b"");
    assert!(parquet.body.starts_with(b"PAR1"));

    let refused = served.get("/v1/rejections");
    assert_eq!(refused.text(), fs::read_to_string(store.join("rejections.ndjson")).expect("lines"));
    assert_eq!(served.get("/v1/rejections?from=1").text().lines().count(), 1);
    let metrics = served.get("/metrics");
    assert!(metrics.text().contains("sanma_codes{colour=\"red\"} 1\n"), "{}", metrics.text());
    assert!(metrics.text().contains("sanma_rows{table=\"declarations\"} 2\n"), "{}", metrics.text());
    assert_eq!(served.get("/healthz").text(), "alive\n");

    let before = served.get("/v1/rules").text().to_owned();
    let would = served.ask("PUT", "/v1/rules?dry_run=true", &[], br#"{"name": "huzhou-2020-02-21"}"#).json();
    assert_eq!((&would["rules"], &would["dry_run"]), (&json!("huzhou-2020-02-21"), &json!(true)));
    assert_eq!(served.get("/v1/rules").text(), before, "nothing is in force that was tried");
    for typed in ["dry_run=perhaps", "dry-run=true"] {
        let asked = served.ask("PUT", &format!("/v1/rules?{typed}"), &[], br#"{"name": "huzhou-2020-02-21"}"#);
        assert_eq!((asked.status, served.get("/v1/rules").text()), (400, &*before), "{typed}");
    }

    let rules = served.ask("PUT", "/v1/rules", &[], br#"{"name": "huzhou-2020-02-21"}"#).json();
    assert_eq!(rules["rules"], "huzhou-2020-02-21");
    assert_eq!(rules["changes"], would["changes"], "{would}");
    let text = served.get("/v1/rules").text().to_owned();
    assert!(text.contains("name = \"huzhou-2020-02-21\""), "{text}");
    let own = text.replace("name = \"huzhou-2020-02-21\"", "name = \"own\"");
    assert_eq!(served.ask("PUT", "/v1/rules", &[], own.as_bytes()).json()["rules"], "own");
    let wrong = served.ask("PUT", "/v1/rules", &[], own.replace("retention_days", "retention").as_bytes());
    assert_eq!(wrong.status, 400);
    assert!(wrong.text().contains("retention"), "{}", wrong.text());
    assert_eq!(served.get("/v1/rules").text(), own);
    served.stop();
    done(Command::new(SANMA).args(["verify", "--store"]).arg(&store));
}

#[test]
fn a_page_that_says_why_is_the_one_that_the_facts_give() {
    let dir = empty_dir();
    let store = dir.path().join("store");
    let served = Served::start(&store, &[]);
    served.tick();
    let contact = json!({"table": "contacts", "op": "upsert", "row": {"id": 1, "person_a": "lin", "person_b": "wang",
        "started_at": "2020-02-10T02:00:00Z", "duration_s": 7200, "setting": "household"}});
    let ill = json!({"table": "cases", "op": "upsert", "row": {"id": 7, "person": "wang", "kind": "confirmed",
        "onset_at": "2020-02-09T00:00:00Z", "reported_at": "2020-02-11T02:00:00Z"}});
    let told = [declared(1, "lin"), declared(2, "wang"), format!("{contact}\n{ill}\n")].concat();
    served.post("/v1/messages", &told);
    let pages = ["person", "official"].map(|audience| {
        let page = served.get(&format!("/v1/explain/lin?audience={audience}"));
        assert_eq!(page.headers["sanma-position"], "3", "{}", page.text());
        page.json()
    });
    let text = served.ask("GET", "/v1/explain/lin?lang=en", &[("Accept", "text/plain")], b"");
    assert!(!pages[0].to_string().contains("wang"), "the person concerned is told of nobody: {}", pages[0]);
    assert!(pages[1].to_string().contains("wang"));
    assert_eq!(pages[0]["colour"], served.get("/v1/codes/lin").json()["colour"]);
    assert_ne!(pages[0]["colour"], "green");
    served.stop();
    done(Command::new(SANMA).args(["journal", "compact", "--store"]).arg(&store));
    let facts = fs::read_dir(store.join("checkpoints")).expect("checkpoints").next().expect("one").expect("it").path();
    let explain = |more: &[&str]| {
        let mut command = Command::new(SANMA);
        command.args(["explain", "lin", "--rules", "hangzhou-2020-02-11", "--as-of", "2020-02-11T04:00:00Z", "--data"]);
        done(command.arg(&facts).args(more)).stdout
    };
    for (page, audience) in pages.iter().zip(["person", "official"]) {
        let same: Value = serde_json::from_slice(&explain(&["--json", "--audience", audience])).expect("JSON");
        assert_eq!(*page, same);
    }
    assert_eq!(text.text().as_bytes(), explain(&["--lang", "en"]));
}

/// Tokens and what they are for, as the settings of the test say.
const TOKENS: [(&str, &str); 4] = [("feed", "foo"), ("operator", "bar"), ("official", "baz"), ("app", "qux")];
const CALLERS: &str = r#"
http.callers = [
    { name = "a", role = "feed", sha256 = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae" },
    { name = "b", role = "operator", sha256 = "fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9" },
    { name = "c", role = "official", sha256 = "baa5a0964d3320fbc0c6a922140453c8513ea24ab8fd0577034804a967248096" },
    { name = "d", role = "app", sha256 = "21f58d27f827d295ffcd860c65045685e3baf1ad4506caa0140113b316647534" },
]
"#;

/// A run alone, in a folder where its settings stand.
fn start_by_settings(dir: &Path, settings: &str) -> Served {
    let own = "store = \"store\"\nclock = \"feed\"\nas_of = \"2020-02-11\"\nhttp.listen = \"0.0.0.0:0\"\n";
    fs::write(dir.join("sanma.toml"), format!("{own}{settings}")).expect("written");
    let mut served = Served::of(Command::new(SANMA).arg("run").current_dir(dir));
    served.address = served.address.replace("0.0.0.0", "127.0.0.1");
    served
}

#[test]
fn a_role_may_do_what_it_is_for_and_nothing_else() {
    let dir = empty_dir();
    let served = start_by_settings(dir.path(), CALLERS);
    let row = declared(1, "lin");
    let tick = r#"{"as_of": "2020-02-11T04:00:00Z"}"#;
    let cases: [(&str, &str, &str, &[&str]); 12] = [
        ("POST", "/v1/tick", tick, &["feed", "operator"]),
        ("POST", "/v1/messages", &row, &["feed", "operator"]),
        ("POST", "/v1/facts/declarations", "", &["feed", "operator"]),
        ("GET", "/v1/rejections", "", &["feed", "operator"]),
        ("GET", "/v1/rules", "", &["feed", "operator", "official", "app"]),
        ("PUT", "/v1/rules", r#"{"name": "huzhou-2020-02-16"}"#, &["operator"]),
        ("GET", "/v1/codes", "", &["operator"]),
        ("GET", "/v1/codes/lin", "", &["operator", "official", "app"]),
        ("GET", "/v1/explain/lin", "", &["operator", "official", "app"]),
        ("GET", "/v1/explain/lin?audience=official", "", &["operator", "official"]),
        ("GET", "/v1/changes?from=0&follow=false", "", &["operator", "app"]),
        ("GET", "/metrics", "", &["operator"]),
    ];
    for (method, path, body, roles) in cases {
        for (role, token) in TOKENS {
            let token = format!("Bearer {token}");
            let status = served.ask(method, path, &[("Authorization", &token)], body.as_bytes()).status;
            assert_eq!(status, if roles.contains(&role) { 200 } else { 403 }, "{role}: {method} {path}");
        }
        for given in [&[][..], &[("Authorization", "Bearer fo")], &[("Authorization", "Basic foo")]] {
            let answer = served.ask(method, path, given, body.as_bytes());
            assert_eq!((answer.status, &*answer.headers["www-authenticate"]), (401, "Bearer"), "{method} {path}");
        }
    }
    assert_eq!(served.get("/healthz").status, 200);
    served.stop();
}

#[test]
fn who_asks_too_often_is_told_so() {
    let dir = empty_dir();
    let served = start_by_settings(dir.path(), &format!("http.requests_per_second = 2\n{CALLERS}"));
    let ask = |token: &str| served.ask("GET", "/v1/rules", &[("Authorization", &format!("Bearer {token}"))], b"");
    let answers: Vec<Answer> = (0..200).map(|_| ask("foo")).collect();
    let refused = answers.iter().filter(|answer| answer.status == 429).collect::<Vec<_>>();
    assert!(refused.len() > 100 && refused.len() <= 196, "{}", refused.len());
    assert_eq!(refused[0].headers["retry-after"], "1");
    assert_eq!(ask("bar").status, 200, "others are not");
    served.stop();
}

/// Method, path, headers and body of a request, and the status of its answer.
type Asked<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str, u16);

#[test]
fn what_is_wrong_is_refused_with_its_status() {
    let dir = empty_dir();
    let served = Served::start(&dir.path().join("store"), &[]);
    let row = declared(1, "lin");
    let long = "x".repeat(5 << 20);
    let nothing = "x\n".repeat(2 << 20);
    let cases: [Asked<'_>; 20] = [
        ("GET", "/v1/explain/nobody", &[], "", 404),
        ("GET", "/v1/explain/lin?audience=crowd", &[], "", 400),
        ("GET", "/v1/explain/lin?lang=la", &[], "", 400),
        ("GET", "/v1/codes/nobody", &[], "", 404),
        ("POST", "/v1/messages", &[("Origin", "http://example.org")], &row, 403),
        ("GET", "/v1/nothing", &[], "", 404),
        ("POST", "/v1/facts/nothing", &[], "", 404),
        ("DELETE", "/v1/codes/lin", &[], "", 405),
        ("GET", "/v1/messages", &[], "", 405),
        ("POST", "/v1/messages", &[("Content-Type", "application/vnd.apache.arrow.stream")], "", 415),
        ("POST", "/v1/messages", &[], &long, 413),
        ("POST", "/v1/messages", &[("Idempotency-Key", "no")], &nothing[..nothing.len() - 2], 413),
        ("GET", "/v1/changes?from=then", &[], "", 400),
        ("POST", "/v1/messages", &[("Idempotency-Key", "")], &row, 400),
        ("POST", "/v1/tick", &[], "noon", 400),
        ("PUT", "/v1/rules", &[], "{\"name\": \"/etc/passwd\"}", 400),
        ("PUT", "/v1/rules", &[], "{\"name\": \"nowhere\"}", 400),
        ("GET", "/v1/codes", &[("Accept", "image/png")], "", 406),
        ("GET", "/v1/changes?colour=blue", &[], "", 400),
        ("GET", "/v1/changes", &[("Last-Event-ID", "x")], "", 400),
    ];
    for (method, path, headers, body, status) in cases {
        let answer = served.ask(method, path, headers, body.as_bytes());
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        assert!(answer.json()["error"].is_string(), "{method} {path}: {}", answer.text());
    }
    assert_eq!(served.post("/v1/messages", "").json()["taken"], 0);
    assert_eq!(served.get("/v1/rejections").text(), "");
    let refused = served.post("/v1/messages", &nothing[..1 << 16]).json();
    assert_eq!(refused["refused"].as_array().map(Vec::len), Some(1 << 15));
    served.stop();

    let open = Command::new(SANMA).args(["run", "--listen", "0.0.0.0:0", "--store"]).arg(dir.path()).output();
    let open = open.expect("it runs");
    assert_eq!(open.status.code(), Some(2), "{}", String::from_utf8_lossy(&open.stderr));
}

#[test]
fn time_on_the_wall_takes_no_ticks_and_standard_output_no_subscribers() {
    let dir = empty_dir();
    let mut command = Command::new(SANMA);
    command.args(["run", "--changes", "-", "--listen", "127.0.0.1:0", "--store"]).arg(dir.path().join("store"));
    let served = Served::of(&mut command);
    assert_eq!(served.post("/v1/tick", r#"{"as_of": "2020-02-11T04:00:00Z"}"#).status, 409);
    assert_eq!(served.get("/v1/changes").status, 409);
    served.stop();
}

#[test]
fn what_is_sent_twice_under_a_key_counts_once_also_after_a_stop() {
    let dir = empty_dir();
    let store = dir.path().join("store");
    let served = Served::start(&store, &[]);
    served.tick();
    let key = [("Idempotency-Key", "a1")];
    let sent = served.ask("POST", "/v1/messages", &key, declared(1, "lin").as_bytes()).json();
    assert_eq!((&sent["taken"], &sent["repeated"]), (&json!(1), &json!(false)));
    served.post("/v1/messages", &case("upsert", 1, "lin"));
    let gone = [("Idempotency-Key", "a2")];
    served.ask("POST", "/v1/messages", &gone, case("delete", 1, "lin").as_bytes());
    served.post("/v1/messages", &case("upsert", 1, "lin"));
    let last = served.get("/v1/codes/lin").json();
    assert_eq!(last["colour"], "red");
    let mut served = Some(served);
    for _ in 0..2 {
        let served = served.take().unwrap_or_else(|| Served::start(&store, &[]));
        let again = served.ask("POST", "/v1/messages", &gone, case("delete", 1, "lin").as_bytes()).json();
        assert_eq!((&again["taken"], &again["repeated"]), (&json!(0), &json!(true)));
        assert_eq!(
            served.get("/v1/codes/lin").json(),
            last,
            "a delete that is sent again does not undo what came after"
        );
        assert_eq!(served.ask("POST", "/v1/messages", &gone, b"{}").status, 422);
        drop(served);
    }
}

/// Reads events until the stream ends or some position has been told whole. Gives the lines with their ids.
fn events(stream: TcpStream, until: Option<u64>) -> Vec<(Value, Option<u64>)> {
    let mut reader = BufReader::new(stream);
    assert_eq!(Answer::read_head(&mut reader).expect("an answer").status, 200);
    let (mut text, mut told) = (String::new(), Vec::new());
    while let Some(chunk) = read_chunk(&mut reader) {
        text.push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
        while let Some((event, rest)) = text.split_once("\n\n") {
            let data = event.lines().find_map(|line| line.strip_prefix("data: "));
            let id = event.lines().find_map(|line| line.strip_prefix("id: ")).map(|id| id.parse().expect("a position"));
            if let Some(data) = data {
                told.push((serde_json::from_str(data).expect("a change"), id));
            }
            text = rest.to_owned();
            if until.is_some() && id >= until {
                return told;
            }
        }
    }
    told
}

#[test]
fn whoever_follows_the_changes_is_told_each_from_any_position() {
    let dir = empty_dir();
    let (store, feed) = (dir.path().join("store"), dir.path().join("feed.ndjson"));
    long_feed(&feed);
    let text = fs::read(&feed).expect("a feed");
    let lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').take(1_500).collect();
    let served = Served::start(&store, &[]);
    let follower = served.send("GET", "/v1/changes?from=0", &[], b"");
    // One that never reads harms nobody.
    let _idle = served.send("GET", "/v1/changes?from=0", &[], b"");
    let mut last = 0;
    for part in lines.chunks(50) {
        let taken = served.ask("POST", "/v1/messages", &[], &part.join(&b'\n'));
        last = taken.json()["position"].as_u64().expect("a position");
    }
    let file = fs::read_to_string(store.join("changes.ndjson")).expect("changes");
    let all: Vec<Value> = file.lines().map(|line| serde_json::from_str(line).expect("a change")).collect();
    let told = all.last().map_or(last, |line| line["position"].as_u64().expect("a position"));
    let live = events(follower, Some(told));
    assert!(live.iter().map(|(line, _)| line).eq(&all), "{} of {}", live.len(), all.len());
    // An id comes with the last change of its position, and nowhere else.
    for (number, (line, id)) in live.iter().enumerate() {
        let is_last = live.get(number + 1).is_none_or(|(next, _)| next["position"] != line["position"]);
        assert_eq!(*id, is_last.then(|| line["position"].as_u64().expect("a position")));
    }
    for from in (0..=told).step_by(7).chain([told]) {
        let rest: Vec<&Value> = all.iter().filter(|line| line["position"].as_u64() > Some(from)).collect();
        let stream = served.send("GET", &format!("/v1/changes?follow=false&from={from}"), &[], b"");
        assert!(events(stream, None).iter().map(|(line, _)| line).eq(rest.iter().copied()), "from {from}");
        let id = from.to_string();
        let plain = [("Accept", "application/x-ndjson"), ("Last-Event-ID", id.as_str())];
        let plain = served.ask("GET", "/v1/changes?follow=false&colour=red", &plain, b"");
        let red = rest.iter().filter(|line| line["after"] == "red").count();
        assert_eq!(plain.text().lines().count(), red, "from {from}");
    }
    assert_eq!(served.get("/v1/changes?follow=false").text(), "");
    let waiting = served.send("GET", "/v1/changes", &[], b"");
    let mut reader = BufReader::new(waiting);
    assert_eq!(Answer::read_head(&mut reader).expect("an answer").status, 200);
    served.stop();
    assert!(read_chunk(&mut reader).is_none(), "a stop ends the streams");
}

#[test]
fn whatever_was_answered_is_there_after_a_kill() {
    let dir = empty_dir();
    let (store, feed) = (dir.path().join("store"), dir.path().join("feed.ndjson"));
    let people = 400;
    let messages: Vec<String> =
        (0..people).map(|id| declared(id, &format!("p{id}")) + &case("upsert", id, &format!("p{}", id / 2))).collect();
    let mut missing: Vec<usize> = (0..messages.len()).collect();
    let mut rounds = 0;
    while !missing.is_empty() {
        let served = Served::start(&store, &["--segment-bytes", "20000"]);
        served.tick();
        rounds += 1;
        let most = if rounds < 4 { 60 } else { usize::MAX };
        let (sent, mut left) = missing.split_at(missing.len().min(most));
        let halves: Vec<&[usize]> = sent.chunks(sent.len().div_ceil(4).max(1)).collect();
        let answered: Vec<usize> = std::thread::scope(|scope| {
            let (served, messages) = (&served, &messages);
            let ask = |&number: &usize| {
                let key = format!("m{number}");
                let headers = [("Idempotency-Key", key.as_str())];
                let stream = served.send("POST", "/v1/messages", &headers, messages[number].as_bytes());
                let answer = Answer::read(&mut BufReader::new(stream)).filter(|answer| answer.status == 200);
                answer.map(|_| number)
            };
            let all = halves.iter().map(|half| scope.spawn(move || half.iter().filter_map(ask).collect::<Vec<_>>()));
            let all: Vec<_> = all.collect();
            all.into_iter().flat_map(|sender| sender.join().expect("it sends")).collect()
        });
        // Some go on while it is killed: these may count, or not, and are sent again under their key.
        let late: Vec<TcpStream> = left
            .iter()
            .take(5)
            .map(|&number| {
                let key = format!("m{number}");
                served.send("POST", "/v1/messages", &[("Idempotency-Key", &key)], messages[number].as_bytes())
            })
            .collect();
        drop(served);
        drop(late);
        let unanswered: Vec<usize> = sent.iter().copied().filter(|number| !answered.contains(number)).collect();
        assert!(rounds < 50, "it goes on");
        let next: Vec<usize> = unanswered.into_iter().chain(std::mem::take(&mut left).iter().copied()).collect();
        missing = next;
    }
    let out = store.join("out");
    fs::write(&feed, "").expect("room");
    done(run(&store, &feed).args(["--format", "ndjson", "--out"]).arg(&out));
    let colours = codes(&out);
    assert_eq!(colours.len() as u64, people);
    assert!((0..people / 2).all(|id| colours[&format!("p{id}")] == "red"));
    assert_eq!(applied(&store.join("changes.ndjson")), colours);
}

#[test]
fn rules_are_tried_and_put_in_force_from_the_command_line() {
    let dir = empty_dir();
    let served = Served::start(&dir.path().join("store"), &[]);
    served.tick();
    let declarations: String = (1..=6).map(|id| declared(id, &format!("p{id}"))).collect();
    let cases: String = (1..=2).map(|id| case("upsert", id, &format!("p{id}"))).collect();
    assert_eq!(served.post("/v1/messages", &(declarations + &cases)).status, 200);
    let url = format!("http://{}", served.address);
    let apply = |more: &[&str]| {
        let mut command = Command::new(SANMA);
        command.args(["rules", "apply", "--connect", &url]).args(more).output().expect("it runs")
    };
    let own = dir.path().join("own.toml");
    let text = served.get("/v1/rules").text().replace("\nname = \"", "\nname = \"own-");
    // Under rules that know of no case, whoever is one turns green.
    let rules: Vec<&str> = text.split("\n[[rule]]\n").collect();
    let without = rules.iter().filter(|rule| !rule.contains("\ncause = \"case\"")).copied();
    fs::write(&own, without.collect::<Vec<_>>().join("\n[[rule]]\n")).expect("written");
    let own = own.to_str().expect("text");
    let told = apply(&[own, "--dry-run"]);
    let said = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.status.success() && said.contains("there would be 2 changes"), "{said}{told:?}");
    assert!(said.contains("2 red -> green") && said.contains("by district"), "{said}");
    let would: Value = serde_json::from_slice(&apply(&[own, "--dry-run", "--json"]).stdout).expect("JSON");
    assert_eq!(would["transitions"], json!({"red->green": 2}));
    let told = apply(&[own]);
    let said = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(said.contains("is in force from position") && said.contains(": 2 changes"), "{said}");
    assert_eq!(served.get("/v1/codes/p1").json()["colour"], "green");
    let refusal = |command: Output| (command.status.code(), String::from_utf8(command.stderr).expect("text"));
    assert!(refusal(apply(&["nowhere"])).1.contains("nowhere"));
    let elsewhere = |more: &[&str]| {
        let mut command = Command::new(SANMA);
        command.args(["rules", "apply", own]).args(more).output().expect("it runs")
    };
    assert!(refusal(elsewhere(&["--connect", "https://127.0.0.1:1"])).1.contains("http://HOST:PORT"));
    assert!(refusal(elsewhere(&["--token-file", "no such file"])).1.contains("no such file: "));
    // By its name a set is the run's, as of its own instant.
    let would: Value = serde_json::from_slice(&apply(&["hangzhou", "--dry-run", "--json"]).stdout).expect("JSON");
    assert_eq!(would["rules"], "hangzhou-2020-02-11");
    served.stop();
    let (code, said) = refusal(apply(&["huzhou"]));
    assert!(code == Some(1) && said.contains(&url), "{said}");
}
