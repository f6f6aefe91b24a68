//! Postgres's protocol over real sockets: what is answered there is what is answered here, to whom it is for, and all of it is recorded.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, SystemTime};

use futures::{StreamExt as _, TryStreamExt as _};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::flight::{Door, questions, settings, shipped};
use crate::loading::empty_dir;

const ANYWHERE: [&str; 2] = ["--postgres", "127.0.0.1:0"];

/// A client of a door, who says who they are by a password. Its connection ends when it does.
async fn client(door: &Door, password: &str) -> Result<Client, tokio_postgres::Error> {
    let (host, port) = door.postgres.split_once(':').expect("an address");
    let mut config = tokio_postgres::Config::new();
    config.host(host).port(port.parse().expect("a port")).user("anybody").dbname("sanma").password(password);
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

fn run<T>(what: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(what)
}

/// Waits until more is recorded than so many lines.
async fn more_recorded(door: &Door, lines: usize) {
    while door.recorded().len() == lines {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What `COPY` gives of a question.
async fn copied(client: &Client, question: &str, how: &str) -> Vec<u8> {
    let rows = client.copy_out(&format!("COPY ({question}) TO STDOUT {how}")).await.expect(question);
    let chunks: Vec<_> = rows.try_collect().await.expect(question);
    chunks.concat()
}

/// The rows of a statement, its values joined by commas.
async fn lines(client: &Client, statement: &str) -> Vec<String> {
    let messages = client.simple_query(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|at| row.get(at).unwrap_or("null")).collect::<Vec<_>>().join(","))
        }
        _ => None,
    };
    messages.iter().filter_map(row).collect()
}

/// The code and the words of a refusal.
async fn refusal(client: &Client, statement: &str) -> (String, String) {
    let error = client.simple_query(statement).await.expect_err(statement);
    let error = error.as_db_error().unwrap_or_else(|| panic!("{statement}: {error:?}"));
    (error.code().code().to_owned(), error.message().to_owned())
}

#[test]
fn questions_have_the_same_answers_through_this_door() {
    let kept = empty_dir();
    let door = Door::open(&kept.path().join("desk"), &shipped(), &ANYWHERE);
    run(async {
        let client = client(&door, "").await.expect("let in");
        let mut asked = 0;
        for (file, text, expected) in questions() {
            let told = copied(&client, text.trim().trim_end_matches(';'), "(FORMAT csv, HEADER)").await;
            assert_eq!(cells(&String::from_utf8(told).expect("text")), cells(&expected), "{file}");
            asked += 1;
        }
        assert_eq!(asked, 20);
    });
    door.stop();
}

/// The values of a file, numbers and instants alike however they are written.
fn cells(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    let one = |cell: &str| match (cell.parse::<f64>(), cell.len()) {
        (Ok(number), _) => number.to_string(),
        // 2020-02-18T00:00:00Z and 2020-02-18 00:00:00.000000+00
        (_, 19..) => cell.replace('T', " ").trim_end_matches(".000000+00").trim_end_matches('Z').to_owned(),
        _ => match cell {
            "t" => "true".to_owned(),
            "f" => "false".to_owned(),
            cell => cell.to_owned(),
        },
    };
    reader.records().map(|row| row.expect("a row").iter().map(one).collect()).collect()
}

#[test]
fn tables_and_settings_are_found_as_tools_look_for_them() {
    let kept = empty_dir();
    let door = Door::open(&kept.path().join("desk"), &shipped(), &ANYWHERE);
    run(async {
        let client = client(&door, "").await.expect("let in");
        // What psql asks for `\d codes`: the number of the table by its name, then its columns by that number.
        let found = lines(
            &client,
            "SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c \
             LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relname OPERATOR(pg_catalog.~) '^(codes)$' COLLATE pg_catalog.default \
             AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 2, 3;",
        )
        .await;
        let [found] = &found[..] else { panic!("{found:?}") };
        let (number, name) = found.split_once(',').expect("columns");
        assert_eq!(name, "public,codes");
        let columns = lines(
            &client,
            &format!(
                "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod) FROM pg_catalog.pg_attribute a \
                 WHERE a.attrelid = '{number}' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum;"
            ),
        )
        .await;
        let names: Vec<&str> = columns.iter().filter_map(|column| Some(column.split_once(',')?.0)).collect();
        assert_eq!(names, ["person", "colour", "reasons", "excused", "valid_until"]);
        let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1";
        assert_eq!(lines(&client, tables).await.len(), 18);
        let version = lines(&client, "select pg_catalog.version()").await.concat();
        assert!(version.starts_with("PostgreSQL 16"), "{version}");
        assert_eq!(lines(&client, "SELECT current_schema()").await, ["public"]);
        assert_eq!(lines(&client, "SHOW TRANSACTION ISOLATION LEVEL").await, ["read committed"]);
        assert!(lines(&client, "SET application_name = 'a tool'; SET extra_float_digits TO 3").await.is_empty());
        assert!(lines(&client, "SET TIME ZONE 'UTC'").await.is_empty());
        assert_eq!(refusal(&client, "SET TimeZone = 'Asia/Shanghai'").await.0, "22023");
        assert_eq!(refusal(&client, "SET work_mem = '1GB'").await.0, "42704");
        // Facts and what there is are asked apart: an answer without rows would be wrong.
        let (_, why) = refusal(&client, "SELECT relname FROM pg_class, codes").await;
        assert!(why.contains("not asked in one statement"), "{why}");
    });
    door.stop();
}

#[test]
fn every_table_goes_in_every_form() {
    let kept = empty_dir();
    let door = Door::open(&kept.path().join("desk"), &shipped(), &ANYWHERE);
    run(async {
        let client = client(&door, "").await.expect("let in");
        let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1";
        for table in lines(&client, tables).await {
            let question = format!("SELECT * FROM {table} LIMIT 3");
            let texts = lines(&client, &question).await;
            // Prepared, and then in Postgres's own bytes.
            let rows = client.query(&question, &[]).await.unwrap_or_else(|error| panic!("{table}: {error:?}"));
            assert_eq!(rows.len(), texts.len(), "{table}");
            let bytes = copied(&client, &question, "(FORMAT binary)").await;
            assert!(bytes.starts_with(b"PGCOPY\n\xff\r\n\0") && bytes.ends_with(&[0xff, 0xff]), "{table}: {bytes:?}");
            assert_eq!(copied(&client, &question, "").await.split(|byte| *byte == b'\n').count(), texts.len() + 1);
        }
        let texts = copied(&client, "SELECT 1 AS \"a,b\", NULL AS c, '' AS d", "CSV HEADER").await;
        assert_eq!(texts, b"\"a,b\",c,d\n1,,\"\"\n");
        // No value is none in every type, and what the protocol has no type for goes as one that it has.
        let odd = "SELECT CASE WHEN value = 2 THEN interval '1 day' END, arrow_cast(-3, 'Int8'), \
                   arrow_cast(count(*) OVER (), 'Float16') FROM generate_series(1, 2) ORDER BY value";
        assert_eq!(lines(&client, odd).await, ["null,-3,2.0", "1 day,-3,2.0"]);
        let rows = client.query(&odd.replace("interval '1 day'", "1"), &[]).await.expect("rows");
        assert_eq!(
            (rows[0].get::<_, Option<i64>>(0), rows[1].get::<_, i16>(1), rows[1].get::<_, f32>(2)),
            (None, -3, 2.0)
        );
        let nothing = copied(&client, "SELECT person FROM codes WHERE false", "(FORMAT binary)").await;
        assert_eq!(nothing, b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\xff\xff");
        assert_eq!(refusal(&client, "COPY codes TO STDOUT (FORMAT csv, FORCE_QUOTE (person))").await.0, "0A000");
        assert_eq!(refusal(&client, "COPY codes FROM STDIN").await.0, "42601");
    });
    door.stop();
}

#[test]
fn values_are_given_apart_from_statements_and_transactions_are_agreed_to() {
    let kept = empty_dir();
    let door = Door::open(&kept.path().join("desk"), &shipped(), &[&ANYWHERE[..], &["--at-once", "1"]].concat());
    run(async {
        let mut client = client(&door, "").await.expect("let in");
        let text = "SELECT colour, count(*) AS people FROM codes WHERE colour = $1 GROUP BY 1 HAVING count(*) > $2";
        let statement = client.prepare(text).await.expect("prepared");
        for (colour, people) in [("red", 973_i64), ("green", 3157)] {
            let rows = client.query(&statement, &[&colour, &1_i64]).await.expect("rows");
            assert_eq!(rows.len(), 1);
            assert_eq!((rows[0].get::<_, &str>(0), rows[0].get::<_, i64>(1)), (colour, people));
        }
        // In portions, of which the last may be empty.
        let transaction = client.transaction().await.expect("begun");
        let portal = transaction.bind("SELECT value FROM generate_series(1, 5)", &[]).await.expect("bound");
        let mut portions = Vec::new();
        for most in [2, 2, -1] {
            portions.push(transaction.query_portal(&portal, most).await.expect("rows").len());
        }
        transaction.commit().await.expect("ended");
        assert_eq!(portions, [2, 2, 1]);
        // What is left of an answer ends with its transaction, and so does its turn.
        let transaction = client.transaction().await.expect("begun");
        let portal = transaction.bind("SELECT value FROM generate_series(1, 1000000000)", &[]).await.expect("bound");
        assert_eq!(transaction.query_portal(&portal, 20_000).await.expect("rows").len(), 20_000);
        transaction.commit().await.expect("ended");
        assert_eq!(lines(&client, "SELECT 1").await, ["1"]);
        // A value is of the type that is given, and so is what comes of it.
        let typed = client.prepare_typed("SELECT coalesce($1, 1)", &[Type::FLOAT8]).await.expect("prepared");
        let row = client.query_one(&typed, &[&2.5_f64]).await.expect("a row");
        assert_eq!((row.get::<_, f64>(0),), (2.5,));
        let typed = client.prepare_typed("SELECT $1, $2 + 1", &[Type::INT2, Type::FLOAT8]).await.expect("prepared");
        let row = client.query_one(&typed, &[&7_i16, &2.5_f64]).await.expect("a row");
        assert_eq!((row.get::<_, i16>(0), row.get::<_, f64>(1)), (7, 3.5));
        let any = "SELECT count(*) FROM codes WHERE colour = ANY($1)";
        let typed = client.prepare_typed(any, &[Type::TEXT_ARRAY]).await.expect("prepared");
        let people: i64 = client.query_one(&typed, &[&vec!["red", "green"]]).await.expect("a row").get(0);
        assert_eq!(people, 973 + 3157);
        let since = "SELECT count(*) FROM declarations WHERE declared_at >= $1";
        let all: i64 = client.query_one(since, &[&SystemTime::UNIX_EPOCH]).await.expect("a row").get(0);
        let none: i64 = client
            .query_one(since, &[&(SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000))])
            .await
            .expect("a row")
            .get(0);
        assert!(all > 4000 && none == 0, "{all} {none}");
        // One turn: each statement of a text has it after the one before.
        assert_eq!(lines(&client, "SELECT 1; SELECT ';' ; -- nothing\n SELECT 3;").await, ["1", ";", "3"]);
        let transaction = client.transaction().await.expect("begun");
        assert_eq!(transaction.query_one("SELECT 2::int8", &[]).await.expect("a row").get::<_, i64>(0), 2);
        let wrong = transaction.simple_query("SELECT nothing FROM codes").await.expect_err("no column");
        assert_eq!(wrong.code(), Some(&SqlState::SYNTAX_ERROR));
        let after = transaction.simple_query("SELECT 1").await.expect_err("failed before");
        assert_eq!(after.code(), Some(&SqlState::IN_FAILED_SQL_TRANSACTION));
        transaction.rollback().await.expect("ended");
        assert_eq!(lines(&client, "BEGIN; SAVEPOINT a; SELECT 1").await, ["1"]);
        refusal(&client, "SELECT nothing FROM codes").await;
        assert_eq!(lines(&client, "ROLLBACK TO a; RELEASE a; SELECT 2; COMMIT").await, ["2"]);
        assert_eq!(refusal(&client, "ROLLBACK TO a").await.0, "25P01");
        for (paints, code) in [
            ("DELETE FROM codes", "42501"),
            ("INSERT INTO codes (person, colour) VALUES ('x', 'green')", "42501"),
            ("CREATE TABLE t AS SELECT 1", "42501"),
            ("COPY (SELECT 1) TO '/tmp/x.csv'", "42501"),
            ("SELECT person FORM codes", "42601"),
            ("SELECT 'open", "42601"),
            ("COPY codes TO STDOUT (FORMAT json)", "0A000"),
        ] {
            assert_eq!(refusal(&client, paints).await.0, code, "{paints}");
        }
    });
    let refused = door.recorded().iter().filter(|line| line["error"].is_string()).count();
    assert_eq!(refused, 10);
    door.stop();
}

#[test]
fn each_role_sees_what_it_is_for_through_this_door() {
    let kept = empty_dir();
    let folder = kept.path();
    let config = settings(folder);
    let more = [&ANYWHERE[..], &["--config", config.to_str().expect("text")]].concat();
    let door = Door::open(&folder.join("desk"), &shipped(), &more);
    run(async {
        let operator = client(&door, "operator-token").await.expect("let in");
        let analyst = client(&door, "analyst-token").await.expect("let in");
        let by_colour = "SELECT colour, count(*) AS people FROM codes GROUP BY 1 ORDER BY 1";
        assert_eq!(lines(&operator, by_colour).await, lines(&analyst, by_colour).await);
        assert_eq!(lines(&operator, "SELECT * FROM codes LIMIT 2").await.len(), 2);
        let (code, why) = refusal(&analyst, "SELECT * FROM codes").await;
        assert!(code == "42501" && why.contains("rows of single people do not leave"), "{code} {why}");
        let (code, _) = refusal(&analyst, "COPY codes TO STDOUT").await;
        assert_eq!(code, "42501");
        // What tables there are is no secret.
        assert_eq!(lines(&analyst, "SELECT relname FROM pg_class WHERE relname = 'codes'").await, ["codes"]);
        for (token, code) in [("feed-token", "42501"), ("app-token", "42501"), ("nobody's", "28P01")] {
            let error = client(&door, token).await.expect_err("not let in");
            assert_eq!(error.code().map(SqlState::code), Some(code), "{token}: {error:?}");
        }
        let callers = "SELECT DISTINCT caller, role FROM queries ORDER BY 1";
        assert_eq!(lines(&operator, callers).await, ["the analyst,analyst", "the operator,operator"]);
    });
    door.stop();
}

#[test]
fn what_is_cancelled_or_hung_up_on_ends_and_is_recorded() {
    let kept = empty_dir();
    let door = Door::open(&kept.path().join("desk"), &shipped(), &[&ANYWHERE[..], &["--at-once", "1"]].concat());
    let slow = "SELECT count(*) FROM contacts a, contacts b WHERE a.duration_s + b.duration_s = 1";
    // Its first rows come at once, and it has very many.
    let long = "SELECT value FROM generate_series(1, 1000000000000)";
    let errors = || -> Vec<String> {
        door.recorded().iter().filter_map(|line| Some(line["error"].as_str()?.to_owned())).collect()
    };
    run(async {
        let one = client(&door, "").await.expect("let in");
        for statement in [slow, long] {
            let cancel = one.cancel_token();
            let asked = door.recorded().len();
            let told = async {
                more_recorded(&door, asked).await;
                tokio::time::sleep(Duration::from_millis(200)).await;
                cancel.cancel_query(NoTls).await.expect("told");
            };
            let rows = async {
                let mut rows = Box::pin(one.query_raw(statement, Vec::<&str>::new()).await?);
                while let Some(row) = rows.next().await {
                    row?;
                }
                Ok::<_, tokio_postgres::Error>(())
            };
            let (ended, ()) = tokio::join!(rows, told);
            assert_eq!(ended.expect_err("cancelled").code(), Some(&SqlState::QUERY_CANCELED), "{statement}");
        }
        // There is one turn: who comes next gets it when the query before has ended.
        assert_eq!(lines(&one, "SELECT 1").await, ["1"]);
        // Somebody who has gone, with all their lines, is noticed while their question is answered.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                run(async {
                    let other = client(&door, "").await.expect("let in");
                    let asked = door.recorded().len();
                    tokio::select! {
                        _ = other.simple_query(slow) => panic!("it takes longer"),
                        () = more_recorded(&door, asked) => {}
                    }
                });
            });
        });
        assert_eq!(lines(&one, "SELECT 2").await, ["2"]);
    });
    assert_eq!(errors(), ["ended by who asked"; 3]);
    door.stop();
}

#[test]
fn who_takes_no_rows_keeps_nobody_waiting_for_ever() {
    let kept = empty_dir();
    let more = [&ANYWHERE[..], &["--at-once", "1", "--time-limit", "2"]].concat();
    let door = Door::open(&kept.path().join("desk"), &shipped(), &more);
    run(async {
        let (one, other) = (client(&door, "").await.expect("let in"), client(&door, "").await.expect("let in"));
        let rows = one.query_raw("SELECT value FROM generate_series(1, 1000000000000)", Vec::<&str>::new()).await;
        let mut rows = Box::pin(rows.expect("begun"));
        rows.next().await.expect("a row").expect("a row");
        // Nobody asks for more of them, and there is one turn.
        assert_eq!(lines(&other, "SELECT 1").await, ["1"]);
        let mut ended = None;
        while let (None, Some(row)) = (&ended, rows.next().await) {
            ended = row.err();
        }
        assert_eq!(ended.expect("an end").code(), Some(&SqlState::QUERY_CANCELED));
    });
    door.stop();
}

#[test]
fn nobody_gets_in_in_plain_text_where_there_is_a_certificate() {
    let kept = empty_dir();
    let tls = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls");
    let file = |name: &str| tls.join(name).to_str().expect("text").to_owned();
    let (certificate, key) = (file("door.crt"), file("door.key"));
    let more = [&ANYWHERE[..], &["--certificate", &certificate, "--key", &key]].concat();
    let door = Door::open(&kept.path().join("desk"), &shipped(), &more);
    let error = run(client(&door, "")).map(|_| ()).expect_err("refused");
    assert!(error.as_db_error().is_some_and(|error| error.message().contains("wants TLS")), "{error:?}");
    // Who asks for TLS is told that there is some.
    let mut line = TcpStream::connect(&door.postgres).expect("a door");
    line.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).expect("sent");
    let mut said = [0];
    line.read_exact(&mut said).expect("told");
    assert_eq!(&said, b"S");
    drop(line);
    door.stop();
}

#[test]
fn who_is_not_let_in_is_let_go() {
    let kept = empty_dir();
    let folder = kept.path();
    let config = settings(folder);
    let more = [&ANYWHERE[..], &["--config", config.to_str().expect("text")]].concat();
    let door = Door::open(&folder.join("desk"), &shipped(), &more);
    let mut line = TcpStream::connect(&door.postgres).expect("a door");
    let message = |kind: &[u8], body: &[u8]| {
        let length = u32::try_from(body.len() + 4).expect("short").to_be_bytes();
        [kind, &length, body].concat()
    };
    line.write_all(&message(b"", b"\0\x03\0\0user\0anybody\0\0")).expect("sent");
    let mut said = [0; 9];
    line.read_exact(&mut said).expect("told");
    assert_eq!(said, *b"R\0\0\0\x08\0\0\0\x03", "a password is asked for");
    line.write_all(&message(b"p", b"wrong\0")).expect("sent");
    let mut told = Vec::new();
    line.read_to_end(&mut told).expect("the line ends");
    let told = String::from_utf8_lossy(&told);
    assert!(told.starts_with('E') && told.contains("28P01") && told.contains("FATAL"), "{told}");
    assert!(door.recorded().is_empty());
    door.stop();
}
