//! `sanma sql` as people and scripts meet it: questions with known answers, formats, stores, refusals.
//!
//! `tests/sql/*.slt` are sqllogictest files over the shipped epidemic; `SANMA_REGENERATE=1` writes their answers anew.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::ipc::reader::FileReader;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use futures::TryStreamExt as _;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sanma::cache;
use sanma::ingest::Unobserved;
use sanma::model::{Timestamp, UtcOffset};
use sanma::query::{Folders, Limits, Origins, QueryError, Session, Snapshot};
use sanma::rules::Catalog;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner, default_column_validator, default_normalizer};

const SANMA: &str = env!("CARGO_BIN_EXE_sanma");
const EPIDEMIC_AT: &str = "2020-02-18T00:00+08:00";

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn epidemic() -> PathBuf {
    top().join("datasets/covasim-huzhou")
}

fn sql(args: &[&str]) -> Command {
    let mut command = Command::new(SANMA);
    command.args(["sql", "--quiet", "--rules", "huzhou", "--as-of", EPIDEMIC_AT, "--data"]).arg(epidemic()).args(args);
    command
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("UTF-8")
}

#[track_caller]
fn exits(command: &mut Command, code: i32) -> Output {
    let output = command.stdin(Stdio::null()).output().expect("the command runs");
    let said = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said).into_owned());
    assert_eq!(output.status.code(), Some(code), "{command:?}\n{}", said.concat());
    output
}

/// Files of a folder with an extension, by name.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(top().join(folder)).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut found: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
    found.sort();
    found
}

struct Asker(Session);

#[async_trait]
impl AsyncDB for Asker {
    type Error = QueryError;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, QueryError> {
        let mut rows = Vec::new();
        let mut columns = 0;
        for statement in Session::statements(sql)? {
            let answer = self.0.ask(statement).await?;
            columns = answer.schema.fields().len();
            let batches: Vec<RecordBatch> = answer.batches.try_collect().await?;
            rows = batches.iter().flat_map(shown).collect();
        }
        if columns == 0 {
            return Ok(DBOutput::StatementComplete(0));
        }
        Ok(DBOutput::Rows { types: vec![DefaultColumnType::Text; columns], rows })
    }

    async fn shutdown(&mut self) {}
}

/// Rows as texts; of a text that is empty, a word that says so.
fn shown(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::new().with_null("NULL");
    let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).expect("shown"));
    let columns: Vec<_> = columns.collect();
    let cell = |column: &ArrayFormatter<'_>, row| match column.value(row).to_string().trim_end().replace('\n', " / ") {
        empty if empty.is_empty() => "(empty)".to_owned(),
        text => text,
    };
    (0..batch.num_rows()).map(|row| columns.iter().map(|column| cell(column, row)).collect()).collect()
}

fn epidemic_snapshot() -> Snapshot {
    let at = Timestamp::parse_typed(EPIDEMIC_AT, UtcOffset::UTC).expect("an instant");
    let catalog = Catalog::shipped().expect("good sets");
    let program = catalog.resolve("huzhou", at).expect("shipped");
    let (ready, _) = cache::load(&epidemic(), None, &Unobserved).expect("shipped");
    let origins = Origins { rejections: ready.rejections, sources: ready.sources, ..Origins::default() };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads");
    Snapshot::new(ready.facts, origins, (Arc::new(program), catalog), at, Arc::new(pool))
}

#[test]
fn tables_functions_and_errors_are_as_written_down() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let snapshot = Arc::new(epidemic_snapshot());
    let regenerate = std::env::var_os("SANMA_REGENERATE").is_some();
    let found = files("tests/sql", "slt");
    assert!(!found.is_empty());
    for file in found {
        let connect = || async {
            let limits =
                Limits { memory_bytes: 1 << 30, threads: 1, time: None, files: Folders::default(), least_group: None };
            Session::new(&snapshot, limits).map(Asker)
        };
        let mut runner = Runner::new(connect);
        let done = runtime.block_on(async {
            if regenerate {
                let compare = |_: sqllogictest::Normalizer, actual: &[Vec<String>], expected: &[String]| {
                    actual.iter().map(|row| row.join(" ")).eq(expected.iter().cloned())
                };
                let updated =
                    runner.update_test_file(&file, " ", compare, default_normalizer, default_column_validator);
                return updated.await.map_err(|error| error.to_string());
            }
            runner.run_file_async(&file).await.map_err(|error| error.to_string())
        });
        done.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}

#[test]
fn analysts_questions_have_their_answers() {
    let questions = files("datasets/queries", "sql");
    assert!(questions.len() >= 20, "{} questions", questions.len());
    for question in questions {
        let asked = text(&fs::read(&question).expect("readable")).to_owned();
        assert!(asked.starts_with("-- 问："), "{}: asks in Chinese first", question.display());
        let output = exits(sql(&["--format", "csv", "--file"]).arg(&question), 0);
        let answer = question.with_extension("csv");
        if std::env::var_os("SANMA_REGENERATE").is_some() {
            fs::write(&answer, &output.stdout).expect("written");
        }
        let expected = fs::read(&answer).expect("an answer");
        assert_eq!(text(&output.stdout), text(&expected), "{}", question.display());
    }
}

#[test]
fn an_answer_is_the_same_in_every_format() {
    let asked =
        "SELECT person, colour, reasons, valid_until FROM codes WHERE colour <> 'green' ORDER BY person LIMIT 50";
    let answer = |format| exits(&mut sql(&["-c", asked, "--format", format]), 0).stdout;
    let lines: Vec<serde_json::Value> =
        text(&answer("ndjson")).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 50);
    let array: serde_json::Value = serde_json::from_slice(&answer("json")).expect("JSON");
    assert_eq!(array, serde_json::Value::Array(lines.clone()));
    let dir = tempfile::tempdir().expect("a folder");
    let [parquet, arrow] = ["parquet", "arrow"].map(|format| {
        let path = dir.path().join(format);
        fs::write(&path, answer(format)).expect("written");
        File::open(path).expect("there")
    });
    let parquet = ParquetRecordBatchReaderBuilder::try_new(parquet).expect("Parquet").build().expect("Parquet");
    let parquet: Vec<RecordBatch> = parquet.map(|batch| batch.expect("rows")).collect();
    let arrow: Vec<RecordBatch> =
        FileReader::try_new(arrow, None).expect("Arrow").map(|batch| batch.expect("rows")).collect();
    let rows = |batches: &[RecordBatch]| batches.iter().flat_map(shown).collect::<Vec<_>>();
    assert_eq!(rows(&parquet), rows(&arrow));
    let csv = answer("csv");
    let records: Vec<csv::StringRecord> =
        csv::Reader::from_reader(&*csv).into_records().map(|record| record.expect("CSV")).collect();
    for (number, row) in rows(&arrow).iter().enumerate() {
        let line = &lines[number];
        assert_eq!((line["person"].as_str(), line["valid_until"].as_str()), (Some(&*row[0]), Some(&*row[3])));
        let reasons: Vec<&str> =
            line["reasons"].as_array().expect("a list").iter().filter_map(|id| id.as_str()).collect();
        assert_eq!(row[2], format!("[{}]", reasons.join(", ")));
        assert_eq!(records[number].iter().collect::<Vec<_>>(), [&*row[0], &*row[1], &*reasons.join(";"), &*row[3]]);
    }
    let table = answer("table");
    assert!(text(&table).ends_with("(50 rows)\n"), "{}", text(&table));
}

#[test]
fn statements_come_from_words_files_and_standard_input() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("two.sql");
    fs::write(&file, "SELECT 2;\nSELECT 3;").expect("written");
    let words = exits(sql(&["--format", "csv", "-c", "SELECT 1", "-c", "SELECT 4; SELECT 5", "-f"]).arg(&file), 0);
    let answers: Vec<&str> = text(&words.stdout).lines().filter(|line| line.len() == 1).collect();
    assert_eq!(answers, ["1", "4", "5", "2", "3"]);
    let mut piped = sql(&["--format", "csv"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("runs");
    piped.stdin.take().expect("piped").write_all(b"SELECT count(*) AS people FROM codes;").expect("written");
    assert_eq!(text(&piped.wait_with_output().expect("ended").stdout), "people\n5565\n");
    let timed = exits(&mut sql(&["--timing", "-c", "SELECT 1; SELECT 2"]), 0);
    assert_eq!(text(&timed.stderr).lines().filter(|line| line.starts_with("-- time: ")).count(), 2);
}

#[test]
fn what_is_wrong_is_said_with_its_exit_code() {
    let said = |args: &[&str], code| text(&exits(&mut sql(args), code).stderr).to_owned();
    assert!(said(&["-c", "SELEC 1"], 2).contains("SELEC"));
    assert!(said(&["-c", "SELECT color FROM codes"], 2).contains("colour"), "a near name is told");
    assert!(said(&["-c", "SELECT * FROM code"], 2).contains("code"));
    assert!(said(&["-c", "UPDATE codes SET colour = 'green'"], 2).contains("nobody's hand"));
    assert!(said(&["-c", "COPY codes TO '/tmp/codes.csv'"], 2).contains("--files"));
    assert!(said(&["-f", "/no/such/file.sql"], 2).contains("/no/such/file.sql"));
    assert!(said(&["--files", "/no/such/folder", "-c", "SELECT 1"], 2).contains("/no/such/folder"));
    assert!(said(&["-c", "SELECT 1; SELECT 2", "--format", "parquet"], 2).contains("one answer"));
    assert!(said(&["-c", "SELECT region_level()"], 2).contains("region_level(code)"));
    assert!(said(&["-c", "SELECT * FROM whatif('330106=high')"], 2).contains("list CODE=LEVEL"));
    assert!(said(&["-c", "SELECT * FROM whatif('rules nowhere')"], 2).contains("hangzhou"));
    assert!(said(&["-c", "SELECT * FROM whatif('rules /etc/passwd')"], 2).contains("no rule set"));
    assert!(said(&["-c", "SELECT * FROM codes_at('yesterday')"], 2).contains("no instant"));
    assert!(said(&["-c", "SELECT * FROM contacts_of('a', 9)"], 2).contains("from 1 to 3"));
    assert!(said(&["-c", "SELECT * FROM explain(person) FROM codes"], 2).contains("sanma"));
    assert!(said(&["-c", "SELECT CAST('x' AS INT)"], 2).contains('x'));
    assert!(said(&["-c", "SELECT CAST(person AS INT) FROM codes"], 1).contains("Cast error"));
    assert!(said(&["-c", "SELECT * FROM contacts WHERE started_at > 'yesterday'"], 2).contains("yesterday"));
    assert!(said(&["-c", "SELECT region_name(1, 'ZH')"], 1).contains("no language"));
    assert!(said(&["-c", "SET datafusion.execution.batch_size = 1000000000000"], 2).contains("cannot be set"));
    assert!(said(&["-c", "SELECT count(*) FROM contacts TABLESAMPLE SYSTEM (10)"], 2).contains("TABLESAMPLE"));
    assert!(said(&["-c", "-- nothing", "--format", "parquet"], 2).contains("one answer"));
    let long = format!("SELECT 1{}", " + 1".repeat(20_000));
    assert!(said(&["-c", &long], 2).contains("words and signs"));
    let slow = "SELECT count(*) FROM contacts a, contacts b WHERE a.duration_s + b.duration_s = 1";
    assert!(said(&["--time-limit", "1", "-c", slow], 1).contains("longer than 1 s"));
    exits(Command::new(SANMA).args(["sql", "-c", "SELECT 1"]), 2);
    exits(Command::new(SANMA).args(["sql", "--data", "x", "--store", "y", "--rules", "huzhou", "-c", "SELECT 1"]), 2);
    exits(Command::new(SANMA).args(["sql", "--store", "y", "--rules", "huzhou", "-c", "SELECT 1"]), 2);
}

#[test]
fn a_long_question_is_answered() {
    let terms = 400;
    let long = format!("SELECT 0{} AS sum FROM contacts LIMIT 1", " + duration_s".repeat(terms));
    let output = exits(&mut sql(&["--format", "csv", "-c", &long]), 0);
    let sum: u64 = text(&output.stdout).lines().nth(1).expect("a row").parse().expect("a number");
    assert_eq!(sum % terms as u64, 0);
    let alternatives =
        format!("SELECT count(*) FROM contacts WHERE id = 0{}", " OR id = 7 AND duration_s > 0".repeat(100));
    exits(&mut sql(&["--format", "csv", "-c", &alternatives]), 0);
}

#[test]
fn a_plan_that_takes_long_is_ended_too() {
    let slow = "SELECT array_length(range(0, 400000000))";
    exits(&mut sql(&["--time-limit", "1", "-c", slow]), 1);
}

#[test]
fn who_reads_no_further_ends_a_query() {
    let mut query =
        sql(&["--format", "csv", "-c", "SELECT * FROM contacts"]).stdout(Stdio::piped()).spawn().expect("runs");
    drop(query.stdout.take());
    assert_eq!(query.wait().expect("ended").code(), Some(0));
}

#[test]
fn ctrl_c_ends_a_query() {
    let slow = "SELECT count(*) FROM contacts a, contacts b WHERE a.duration_s + b.duration_s = 1";
    let mut query =
        sql(&["-c", "SELECT 1", "-c", slow]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
    // Once the first answer is there, the second question is asked.
    let mut first = [0; 1];
    std::io::Read::read_exact(query.stdout.as_mut().expect("piped"), &mut first).expect("an answer");
    let pid = query.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill runs").success());
    assert_eq!(query.wait().expect("ended").code(), Some(130));
}

/// Two friends, a case, and a store that has followed them.
fn store() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    let store = dir.path().join("store");
    let feed = top().join("datasets/feeds/two-friends.ndjson");
    let mut run = Command::new(SANMA);
    run.args(["run", "--clock", "feed", "--as-of", "2020-02-11", "--json", "--store"]).arg(&store).arg(feed);
    exits(&mut run, 0);
    (dir, store)
}

fn of_store(store: &Path, sql: &str) -> String {
    let mut command = Command::new(SANMA);
    command.args(["sql", "--quiet", "--format", "csv", "--store"]).arg(store).args(["-c", sql]);
    text(&exits(&mut command, 0).stdout).to_owned()
}

#[test]
fn a_store_is_asked_as_it_stands() {
    let (_dir, store) = store();
    let codes = of_store(&store, "SELECT person, colour, reasons FROM codes ORDER BY person");
    let told = of_store(
        &store,
        "SELECT position, person, before, after, gained FROM changes WHERE position > 1 ORDER BY position, person",
    );
    assert!(told.contains("wang,green,red,contact"), "{told}");
    let last = "SELECT person, after AS colour FROM changes \
                QUALIFY row_number() OVER (PARTITION BY person ORDER BY position DESC) = 1 ORDER BY person";
    let by_changes: Vec<String> = of_store(&store, last).lines().skip(1).map(str::to_owned).collect();
    let by_codes: Vec<String> =
        codes.lines().skip(1).map(|line| line.split(',').take(2).collect::<Vec<_>>().join(",")).collect();
    assert_eq!(by_changes, by_codes, "changes applied are the codes");
    let counted = of_store(&store, "SELECT count(*) FROM contacts UNION ALL SELECT count(*) FROM rejections");
    assert_eq!(counted.lines().count(), 3, "{counted}");
    // The store is left alone, to the byte, and one of any name is read.
    let odd = store.with_file_name("st[1] *%20");
    fs::rename(&store, &odd).expect("renamed");
    let journal = || {
        let files = fs::read_dir(odd.join("journal")).expect("a folder").map(|entry| entry.expect("an entry").path());
        let mut files: Vec<(PathBuf, Vec<u8>)> =
            files.map(|path| (path.clone(), fs::read(path).expect("there"))).collect();
        files.sort();
        files
    };
    let segment =
        journal().into_iter().map(|(path, _)| path).find(|path| path.extension().is_none_or(|end| end != "lock"));
    let mut torn = File::options().append(true).open(segment.expect("a segment")).expect("there");
    torn.write_all(b"torn").expect("written");
    let before = journal();
    assert_eq!(of_store(&odd, "SELECT person, colour, reasons FROM codes ORDER BY person"), codes);
    assert_eq!(of_store(&odd, "SELECT count(*) FROM changes WHERE position > 1").lines().count(), 2);
    assert!(!of_store(&odd, "SELECT count(*) FROM changes").contains("\n0\n"), "its changes are there");
    assert_eq!(journal(), before);
    fs::rename(&odd, &store).expect("renamed");
    let mut earlier = Command::new(SANMA);
    earlier.args(["sql", "--store"]).arg(&store).args(["-c", "SELECT * FROM codes_at('2020-01-01')"]);
    assert!(text(&exits(&mut earlier, 2).stderr).contains("forgotten"));
}

#[test]
fn a_store_that_a_run_has_is_asked_too() {
    let (_dir, store) = store();
    let journal_bytes = || {
        let files = fs::read_dir(store.join("journal")).expect("a folder");
        files.map(|entry| entry.and_then(|entry| entry.metadata()).expect("a file").len()).sum::<u64>()
    };
    let before = journal_bytes();
    let mut run = Command::new(SANMA);
    run.args(["run", "--clock", "feed", "--store"]).arg(&store).arg("-");
    let mut run = run.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("runs");
    let mut feed = run.stdin.take().expect("piped");
    feed.write_all(b"{\"as_of\": \"2020-03-20T00:00:00Z\"}\n").expect("written");
    for _ in 0..1_000 {
        if journal_bytes() > before {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(run.try_wait().expect("asked").is_none(), "the run goes on");
    let meanwhile = of_store(&store, "SELECT * FROM codes ORDER BY person");
    drop(feed);
    assert!(run.wait().expect("ended").success());
    assert_eq!(of_store(&store, "SELECT * FROM codes ORDER BY person"), meanwhile);
}
