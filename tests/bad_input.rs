//! Bad input: what is wrong with a file is told with its name and place, and nothing is written.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::{Arc, LazyLock, mpsc};
use std::time::Duration;

use arrow::array::{ArrayRef, BooleanArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::writer::{FileWriter, StreamWriter};
use parquet::arrow::ArrowWriter;
use sanma::evaluate::recompute;
use sanma::facts::{Facts, Names};
use sanma::ingest::{self, IngestError, Unobserved};
use sanma::limits::TEXT_LINE_BYTES_MAX;
use sanma::model::{Reason, Table, Timestamp};
use sanma::nightly::Job;
use sanma::rules::Program;
use sanma::sinks::OutputFormat;

use crate::agreement::worlds;
use crate::loading::{empty_dir, job, run};
use crate::worlds::cells::row_count;
use crate::worlds::draw::Draw;
use crate::worlds::files::{Format, Packing, Shape, write};
use crate::worlds::read::batches;
use crate::worlds::{PERSONS, PLACES, World, rules};

const OLD: &str = "codes of an earlier night";

fn names_in(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = entries.map(|name| name.into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

/// What the job says of data that cannot be read. What stood in the directory for outputs is as it was.
fn told(data: &Path) -> String {
    told_of(|out, program| run(&job(data, program, Timestamp(0), out)).map(drop))
}

fn told_of(run: impl FnOnce(&Path, &Program) -> Result<(), sanma::nightly::JobError>) -> String {
    let (out, program) = (empty_dir(), rules::random(1));
    fs::write(out.path().join("codes.ndjson"), OLD).expect("written");
    let error = run(out.path(), &program).expect_err("bad input is an error");
    assert_eq!(names_in(out.path()), ["codes.ndjson"], "{error}");
    assert_eq!(fs::read_to_string(out.path().join("codes.ndjson")).expect("readable"), OLD, "{error}");
    error.to_string()
}

#[track_caller]
fn assert_told(data: &Path, parts: &[&str]) {
    let message = told(data);
    for part in parts {
        assert!(message.contains(part), "no {part:?} in {message:?}");
    }
}

/// A directory with one world in files of one format.
fn world_in(format: Format) -> tempfile::TempDir {
    let dir = empty_dir();
    write(busy_world(), dir.path(), &Shape::plain(format));
    dir
}

/// A world with rows in every table: each is taken from the world that has most of it.
fn busy_world() -> &'static World {
    static BUSY: LazyLock<World> = LazyLock::new(make_busy_world);
    &BUSY
}

fn make_busy_world() -> World {
    let wide = |world: &World| world.persons.len() == PERSONS.len() && world.places.len() == PLACES.len();
    let mut worlds: Vec<_> = (0..150).map(World::random).collect();
    let mut busy = worlds.iter().find(|world| wide(world)).expect("some world has every token").clone();
    for table in Table::ALL {
        worlds.sort_by_key(|world| row_count(&world.tables, table));
        let other = worlds.last().expect("a world").clone();
        match table {
            Table::Declarations => busy.tables.declarations = other.tables.declarations,
            Table::Checkins => busy.tables.checkins = other.tables.checkins,
            Table::Cases => busy.tables.cases = other.tables.cases,
            Table::Quarantines => busy.tables.quarantines = other.tables.quarantines,
            Table::Contacts => busy.tables.contacts = other.tables.contacts,
            Table::Stays => busy.tables.stays = other.tables.stays,
            Table::RiskAreas => busy.tables.risk_areas = other.tables.risk_areas,
            Table::Tests => busy.tables.tests = other.tables.tests,
            Table::Whitelist => busy.tables.whitelist = other.tables.whitelist,
            Table::Findings => busy.tables.findings = other.tables.findings,
            Table::Reviews => busy.tables.reviews = other.tables.reviews,
        }
    }
    assert!(Table::ALL.into_iter().all(|table| row_count(&busy.tables, table) > 0));
    busy
}

fn write_columnar(path: &Path, batch: &RecordBatch) {
    let file = File::create(path).expect("a file");
    if path.extension().is_some_and(|extension| extension == "parquet") {
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a schema for Parquet");
        writer.write(batch).expect("written");
        writer.close().expect("written");
    } else {
        let mut writer = FileWriter::try_new(file, &batch.schema()).expect("a schema for Arrow");
        writer.write(batch).expect("written");
        writer.finish().expect("written");
    }
}

/// The columns of a file after `change`, in a file of that name.
fn rewritten(path: &Path, change: impl Fn(&mut Vec<(Arc<Field>, ArrayRef)>)) {
    let batch = batches(path).remove(0);
    let fields = batch.schema().fields().iter().cloned().collect::<Vec<_>>();
    let mut columns = fields.into_iter().zip(batch.columns().to_vec()).collect();
    change(&mut columns);
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    write_columnar(path, &RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("a batch"));
}

const COLUMNAR: [(Format, &str); 2] = [(Format::Parquet, "row group 0"), (Format::Arrow, "record batch 0")];

#[test]
fn a_missing_column_is_named_with_file_and_place() {
    for (format, place) in COLUMNAR {
        for table in Table::ALL {
            let (dir, name) = (world_in(format), format!("{}.{}", table.name(), format.extension()));
            let path = dir.path().join(&name);
            let intact = fs::read(&path).expect("readable");
            for column in table.columns() {
                rewritten(&path, |columns| columns.retain(|(field, _)| field.name() != column.name));
                if column.nullable {
                    ingest::load(dir.path(), &Unobserved).expect("a nullable column may be missing");
                } else {
                    assert_told(dir.path(), &[&name, place, &format!("column `{}` is missing", column.name)]);
                }
                fs::write(&path, &intact).expect("written");
            }
        }
    }
    for table in Table::ALL {
        let (dir, name) = (world_in(Format::Csv(Packing::Gzip)), format!("{}.csv", table.name()));
        fs::remove_file(dir.path().join(format!("{name}.gz"))).expect("removed");
        for column in table.columns().iter().filter(|column| !column.nullable) {
            let others = table.columns().iter().map(|other| other.name).filter(|&other| other != column.name);
            fs::write(dir.path().join(&name), others.collect::<Vec<_>>().join(",")).expect("written");
            assert_told(dir.path(), &[&name, "line 1", &format!("column `{}` is missing", column.name)]);
        }
    }
}

#[test]
fn a_column_of_a_wrong_type_is_named_with_both_types() {
    for (format, place) in COLUMNAR {
        for table in Table::ALL {
            let (dir, name) = (world_in(format), format!("{}.{}", table.name(), format.extension()));
            let path = dir.path().join(&name);
            let intact = fs::read(&path).expect("readable");
            for column in table.columns() {
                rewritten(&path, |columns| {
                    let (field, array) = columns.iter_mut().find(|(field, _)| field.name() == column.name).expect("it");
                    let text = column.kind.arrow() == DataType::Utf8;
                    let rows = array.len();
                    *array = if text {
                        Arc::new(Int32Array::from(vec![5; rows]))
                    } else if column.kind.arrow() == DataType::Boolean {
                        Arc::new(StringArray::from(vec!["true"; rows]))
                    } else {
                        Arc::new(BooleanArray::from(vec![true; rows]))
                    };
                    *field = Arc::new(Field::new(column.name, array.data_type().clone(), true));
                });
                assert_told(dir.path(), &[&name, place, &format!("column `{}`: type ", column.name)]);
                fs::write(&path, &intact).expect("written");
            }
        }
    }
}

#[test]
fn a_column_that_is_there_twice_is_an_error() {
    for (format, place) in COLUMNAR {
        let (dir, name) = (world_in(format), format!("cases.{}", format.extension()));
        rewritten(&dir.path().join(&name), |columns| columns.push(columns[1].clone()));
        assert_told(dir.path(), &[&name, place, "column `person` is there twice"]);
    }
    let dir = empty_dir();
    fs::write(dir.path().join("findings.csv"), "id,person,found_at,person\n").expect("written");
    assert_told(dir.path(), &["findings.csv", "line 1", "column `person` is there twice"]);
}

/// Loads on another thread and demands an answer: facts that can be evaluated, or an error that names the file.
fn survives(dir: &Path, name: &str, what: &str) -> Result<usize, String> {
    let (send, receive) = mpsc::channel();
    let path = dir.to_owned();
    let worker = std::thread::spawn(move || {
        let answer = ingest::load(&path, &Unobserved).map(|loaded| {
            let rows = loaded.tables.rows() + loaded.rejections.len();
            let names = Names { persons: loaded.persons, places: loaded.places, labels: loaded.labels };
            let facts = Facts::new(loaded.tables, names);
            let codes = recompute(&facts, &rules::random(3), Timestamp(1_581_955_200_000_000));
            assert!(codes.iter().count() <= facts.people);
            rows
        });
        send.send(answer).expect("the test waits");
    });
    let answer = receive.recv_timeout(Duration::from_mins(1));
    let answer =
        answer.unwrap_or_else(|gone| panic!("{what}: no answer ({gone}): {:?}", worker.join().err().map(drop)));
    answer.map_err(|error| {
        let message = error.to_string();
        assert!(message.contains(name), "{what}: the error does not name {name}: {message}");
        message
    })
}

/// One table's file, alone, with these bytes.
fn alone(dir: &Path, name: &str, bytes: &[u8]) {
    fs::write(dir.join(name), bytes).expect("written");
}

fn bytes_of(table: Table, format: Format, varied: Option<u64>) -> (String, Vec<u8>) {
    let (dir, name) = (empty_dir(), format!("{}.{}", table.name(), format.extension()));
    let shape = varied.map_or_else(|| Shape::plain(format), |seed| Shape::varied(format, seed));
    write(busy_world(), dir.path(), &shape);
    let bytes = fs::read(dir.path().join(&name)).expect("written");
    (name, bytes)
}

#[test]
fn a_file_cut_short_is_an_error_at_any_length() {
    ingest::quiet_decoders();
    let packed = [Format::Csv(Packing::Gzip), Format::Csv(Packing::Zstd), Format::Ndjson(Packing::Gzip)];
    for format in [Format::Parquet, Format::Arrow, Format::Ndjson(Packing::Zstd)].into_iter().chain(packed) {
        let (name, bytes) = bytes_of(Table::Stays, format, None);
        let dir = empty_dir();
        for length in (0..bytes.len()).filter(|length| length % 3 == 0 || bytes.len() - length < 40) {
            alone(dir.path(), &name, &bytes[..length]);
            let answer = survives(dir.path(), &name, &format!("{name} cut to {length} of {}", bytes.len()));
            assert!(answer.is_err(), "{name} cut to {length} of {} is taken for whole", bytes.len());
        }
        alone(dir.path(), &name, &bytes[..bytes.len() / 2]);
        assert_told(dir.path(), &[&name]);
    }
}

#[test]
fn an_arrow_stream_cut_short_is_an_error_or_ends_between_batches() {
    let (dir, batch) = (world_in(Format::Arrow), 2);
    let all = batches(&dir.path().join("stays.arrow")).remove(0);
    let mut writer = StreamWriter::try_new(Vec::new(), &all.schema()).expect("a schema");
    for start in (0..all.num_rows()).step_by(batch) {
        writer.write(&all.slice(start, batch.min(all.num_rows() - start))).expect("written");
    }
    writer.finish().expect("written");
    let bytes = writer.into_inner().expect("written");
    let dir = empty_dir();
    alone(dir.path(), "stays.arrow", &bytes);
    assert_eq!(survives(dir.path(), "stays.arrow", "whole"), Ok(all.num_rows()));
    let mut taken = BTreeMap::new();
    for length in 0..bytes.len() {
        alone(dir.path(), "stays.arrow", &bytes[..length]);
        if let Ok(rows) = survives(dir.path(), "stays.arrow", &format!("cut to {length}")) {
            *taken.entry(rows).or_insert(0) += 1;
        }
    }
    // A stream may end without a mark, so a cut between two batches cannot be told from an end.
    for (rows, lengths) in taken {
        assert!(rows % batch == 0 || rows == all.num_rows(), "{rows} rows");
        assert!(lengths <= 8, "{lengths} lengths are taken for the end after {rows} rows");
    }
}

#[test]
fn damage_in_a_record_batch_is_named_with_its_column() {
    const MARK: &str = "the token that is damaged";
    let world = world_in(Format::Arrow);
    let good = batches(&world.path().join("stays.arrow")).remove(0);
    let mut columns = good.columns().to_vec();
    let person = good.schema().index_of("person").expect("a column");
    columns[person] = Arc::new(StringArray::from(vec![MARK; good.num_rows()]));
    let bad = RecordBatch::try_new(good.schema(), columns).expect("a batch");
    let mut file = FileWriter::try_new(Vec::new(), &good.schema()).expect("a schema");
    let mut stream = StreamWriter::try_new(Vec::new(), &good.schema()).expect("a schema");
    for batch in [&good, &bad] {
        file.write(batch).expect("written");
        stream.write(batch).expect("written");
    }
    for bytes in [file.into_inner().expect("written"), stream.into_inner().expect("written")] {
        let dir = empty_dir();
        alone(dir.path(), "stays.arrow", &bytes);
        ingest::load(dir.path(), &Unobserved).expect("not damaged yet");
        let mut bytes = bytes;
        let at = bytes.windows(MARK.len()).position(|window| window == MARK.as_bytes()).expect("the mark");
        bytes[at] = 0xFF;
        alone(dir.path(), "stays.arrow", &bytes);
        assert_told(dir.path(), &["stays.arrow, record batch 1, column `person`: corrupt: "]);
    }
}

/// Damage to some bytes, as disks and networks do it.
fn damage(bytes: &mut Vec<u8>, draw: &mut Draw) -> String {
    let at = draw.below(bytes.len());
    match draw.below(8) {
        0 => {
            let end = (at + draw.below(16) + 1).min(bytes.len());
            let value = draw.pick(&[0x00, 0xFF, 0x7F, 0x80]);
            bytes[at..end].fill(value);
            format!("{at}..{end} filled with {value:#x}")
        }
        1 => {
            bytes.remove(at);
            format!("{at} removed")
        }
        _ => {
            let bit = draw.below(8);
            bytes[at] ^= 1 << bit;
            format!("bit {bit} of {at} flipped")
        }
    }
}

/// How many damaged files were refused, and in how many the damage was not noticed.
fn damaged(format: Format, tables: &[Table], rounds: u64) -> (u32, u32) {
    ingest::quiet_decoders();
    let (mut refused, mut taken) = (0, 0);
    for seed in worlds(rounds) {
        let draw = &mut Draw::new(seed, 90);
        let table = draw.pick(tables);
        let varied = draw.chance(70).then_some(seed % 12);
        let (name, bytes) = bytes_of(table, format, varied);
        for round in 0..12 {
            let (dir, mut bytes) = (empty_dir(), bytes.clone());
            let done = damage(&mut bytes, draw);
            alone(dir.path(), &name, &bytes);
            match survives(dir.path(), &name, &format!("seed {seed}.{round} {varied:?} {name}: {done}")) {
                Ok(_) => taken += 1,
                Err(_) => refused += 1,
            }
        }
    }
    (refused, taken)
}

#[test]
fn damaged_parquet_is_an_error_or_not_noticed() {
    let (refused, taken) =
        damaged(Format::Parquet, &[Table::Stays, Table::Cases, Table::Contacts, Table::Checkins], 50);
    println!("{refused} refused, {taken} not noticed");
    assert!(refused > 0, "no damage was noticed");
}

#[test]
fn damaged_arrow_is_an_error_or_not_noticed() {
    let (refused, taken) = damaged(Format::Arrow, &[Table::Stays, Table::Cases, Table::Checkins], 30);
    println!("{refused} refused, {taken} not noticed");
    assert!(refused > 0, "no damage was noticed");
}

#[test]
fn damaged_text_is_an_error_or_refused_rows() {
    for format in &Format::ALL[2..] {
        damaged(*format, &[Table::Stays, Table::Declarations], 6);
    }
}

#[test]
fn an_empty_file_is_no_file_of_its_format() {
    ingest::quiet_decoders();
    for format in Format::ALL {
        let (dir, name) = (empty_dir(), format!("cases.{}", format.extension()));
        alone(dir.path(), &name, b"");
        if format == Format::Ndjson(Packing::Plain) {
            // No line is a table of no rows, as a writer of no rows leaves it.
            assert_eq!(survives(dir.path(), &name, "empty"), Ok(0));
        } else {
            assert_told(dir.path(), &[&name]);
        }
    }
}

#[test]
fn text_that_breaks_off_or_never_ends_is_an_error_with_its_line() {
    let dir = empty_dir();
    let header = "id,person,found_at,lifted_at\n";
    let row = "1,p1,2020-02-10T00:00:00Z,\n";
    let told = |text: &str, parts: &[&str]| {
        alone(dir.path(), "findings.csv", text.as_bytes());
        assert_told(dir.path(), &[&["findings.csv"], parts].concat());
    };
    told(&format!("{header}{row}2,\"p2,2020-02-10T00:00:00Z,\n{row}"), &["line 3", "quote"]);
    told(&format!("{header}{row}2,p2,2020-02-10T00:00:00Z,\"\n{row}{row}"), &["line 3", "quote"]);
    // A reader may have begun a record in the buffer of the one before.
    let long = "x".repeat(TEXT_LINE_BYTES_MAX + (1 << 16));
    told(&format!("{header}{row}2,{long},2020-02-10T00:00:00Z,\n"), &["line 3", "bytes"]);
    told(&format!("{header}{row}2,\"{long}\n{row}"), &["line 3", "bytes"]);
    fs::remove_file(dir.path().join("findings.csv")).expect("removed");
    alone(dir.path(), "findings.ndjson", format!("{{}}\n\n{{\"person\":\"{long}\"}}\n").as_bytes());
    assert_told(dir.path(), &["findings.ndjson", "line 3", "bytes"]);
}

#[test]
fn bytes_that_are_no_text_are_refused_rows() {
    let dir = empty_dir();
    let csv = b"id,person,found_at,lifted_at\n7,p\xFF1,2020-02-10T00:00:00Z,\n8,p2,2020-02-10T00:00:00Z,\n";
    alone(dir.path(), "findings.csv", csv);
    alone(dir.path(), "tests.ndjson", b"\xFF\xFE\x00\n\x00\x00\n{\"id\": 1}\n");
    let loaded = ingest::load(dir.path(), &Unobserved).expect("a load");
    let refused: Vec<_> = loaded.rejections.iter().map(|r| (r.table, r.offset, r.id, r.reason, r.column)).collect();
    let expected = [
        (Some(Table::Tests), 1, None, Reason::Malformed, None),
        (Some(Table::Tests), 2, None, Reason::Malformed, None),
        (Some(Table::Tests), 3, Some(1), Reason::Null, Some("person")),
        (Some(Table::Findings), 2, Some(7), Reason::Type, Some("person")),
    ];
    assert_eq!(refused, expected);
    assert_eq!(loaded.tables.rows(), 1);
    alone(dir.path(), "findings.csv", b"id,p\xFFrson,found_at,lifted_at\n");
    assert_told(dir.path(), &["findings.csv", "line 1", "column `person` is missing"]);
}

#[cfg(unix)]
#[test]
fn what_cannot_be_opened_is_named() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    for name in ["cases.parquet", "cases.arrow", "cases.csv", "cases.ndjson.gz"] {
        let dir = empty_dir();
        fs::create_dir(dir.path().join(name)).expect("a directory");
        assert_told(dir.path(), &[name, "directory"]);
        let dir = empty_dir();
        symlink(dir.path().join("nowhere"), dir.path().join(name)).expect("a link");
        assert_told(dir.path(), &[name, "No such file"]);
        let dir = empty_dir();
        alone(dir.path(), name, b"");
        fs::set_permissions(dir.path().join(name), fs::Permissions::from_mode(0o000)).expect("our own file");
        if File::open(dir.path().join(name)).is_err() {
            assert_told(dir.path(), &[name, "Permission denied"]);
        }
    }
    let dir = empty_dir();
    fs::create_dir(dir.path().join("cases")).expect("a directory");
    symlink("../cases", dir.path().join("cases/again")).expect("a link");
    assert_told(dir.path(), &["cases/again"]);
}

#[test]
fn a_layout_that_is_none_is_told() {
    let dir = empty_dir();
    fs::create_dir(dir.path().join("cases")).expect("a directory");
    alone(dir.path(), "cases/part-0.xlsx", b"");
    assert_told(dir.path(), &["part-0.xlsx", "unknown format"]);
    let dir = empty_dir();
    alone(dir.path(), "cases.csv", b"");
    alone(dir.path(), "cases.ndjson", b"");
    assert_told(dir.path(), &["table cases is given twice", "cases.csv", "cases.ndjson"]);
    assert_told(&dir.path().join("nowhere"), &["nowhere", "No such file"]);
    assert_told(&dir.path().join("cases.csv"), &["cases.csv", "Not a directory"]);
    let (empty, out, program) = (empty_dir(), empty_dir(), rules::random(1));
    let report = run(&job(empty.path(), &program, Timestamp(0), out.path())).expect("no facts are facts too");
    assert!(report.warnings[0].ends_with("holds no table at all"), "{:?}", report.warnings);
    assert_eq!(names_in(out.path()), ["codes.ndjson", "rejections.ndjson"]);
}

#[test]
fn of_several_broken_files_the_first_is_named() {
    let dir = world_in(Format::Parquet);
    for table in ["contacts", "stays", "cases"] {
        let path = dir.path().join(format!("{table}.parquet"));
        let bytes = fs::read(&path).expect("readable");
        fs::write(path, &bytes[..bytes.len() - 1]).expect("written");
    }
    for _ in 0..5 {
        assert_told(dir.path(), &["cases.parquet"]);
    }
}

#[test]
fn earlier_codes_that_are_none_are_named() {
    ingest::quiet_decoders();
    let data = world_in(Format::Parquet);
    let told = |previous: &Path| {
        told_of(|out, program| {
            let job = job(data.path(), program, Timestamp(0), out);
            run(&Job { previous: Some(previous), ..job }).map(drop)
        })
    };
    let (dir, program) = (empty_dir(), rules::random(3));
    let at = busy_world().sample_instants(1, 4)[3];
    for format in crate::outputs::FORMATS {
        let out = dir.path().join(format.extension());
        run(&Job { format, ..job(data.path(), &program, at, &out) }).expect("a run");
        let name = format!("codes.{}", format.extension());
        let bytes = fs::read(out.join(&name)).expect("codes");
        let path = dir.path().join(&name);
        for length in (0..bytes.len()).step_by(bytes.len() / 23) {
            fs::write(&path, &bytes[..length]).expect("written");
            // Lines that are whole are all that text can promise.
            if !matches!(format, OutputFormat::Csv | OutputFormat::Ndjson) {
                assert!(told(&path).contains(&name), "{name} cut to {length}");
            }
        }
        let draw = &mut Draw::new(5, 91);
        for _ in 0..60 {
            let mut bytes = bytes.clone();
            let done = damage(&mut bytes, draw);
            fs::write(&path, &bytes).expect("written");
            let new = empty_dir();
            let job = Job { previous: Some(&path), ..job(data.path(), &program, at, new.path()) };
            if let Err(error) = run(&job) {
                assert!(error.to_string().contains(&name), "{name} {done}: {error}");
            }
        }
    }
    let path = dir.path().join("codes.csv");
    for (text, said) in [
        ("person,colour,reasons\np1,blue,\n", "\"blue\" is no colour"),
        ("person,colour,reasons\np1,red,case\np1,green,\n", "person \"p1\" is there twice"),
        ("person,colour,reasons\np1,red,case\np2,red,\np1,green,\n", "person \"p1\" is there twice"),
        ("person,reasons\np1,\n", "colour"),
        ("person,colour,reasons\np1,red\n", "line 2"),
    ] {
        fs::write(&path, text).expect("written");
        let message = told(&path);
        assert!(message.contains("codes.csv") && message.contains(said), "{message}");
    }
    assert!(told(&dir.path().join("nowhere.parquet")).contains("nowhere.parquet"));
    assert!(told(&dir.path().join("codes.txt")).contains("codes.txt"));
    assert!(told(empty_dir().path()).contains("codes.parquet"));
}

#[test]
fn errors_are_of_the_files_kind() {
    let dir = world_in(Format::Parquet);
    fs::write(dir.path().join("tests.parquet"), "PAR1 but no more PAR1").expect("written");
    let error = ingest::load(dir.path(), &Unobserved).expect_err("corrupt");
    assert!(matches!(error, IngestError::Corrupt { .. }), "{error}");
}
