//! `sanma diff`, and the reading of published codes: whatever the format, the order and whoever wrote it, the same changes; who
//! is there twice is refused.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arrow::array::{ArrayRef, ListBuilder, RecordBatch, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use sanma::compare::{self, Comparison};
use sanma::ingest::Published;
use sanma::model::Timestamp;
use sanma::model::published::{ReasonLists, Rows as _};
use sanma::nightly::Job;
use sanma::rules::Catalog;
use sanma::sinks::Destination;

use crate::loading::{empty_dir, job, run};
use crate::outputs::{self, FORMATS};

fn epidemic() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/covasim-huzhou")
}

#[test]
fn files_of_two_nights_give_the_changes_of_the_second() {
    let catalog = Catalog::shipped().expect("good sets");
    let [first, second] = ["2020-02-16T00:00:00Z", "2020-02-20T00:00:00Z"]
        .map(|text| Timestamp::parse_typed(text, sanma::model::UtcOffset::UTC).expect("an instant"));
    let [before_rules, after_rules] = ["huzhou", "hangzhou"].map(|name| catalog.resolve(name, first).expect("a set"));
    let data = epidemic();
    let dirs = FORMATS.map(|_| [empty_dir(), empty_dir()]);
    for (format, [before, after]) in FORMATS.into_iter().zip(&dirs) {
        run(&Job { format, ..job(&data, &before_rules, first, before.path()) }).expect("a run");
        let night = Job { format, reasons: true, ..job(&data, &after_rules, second, after.path()) };
        run(&Job { previous: Some(before.path()), ..night }).expect("a run");
    }
    let expected = outputs::read(dirs[0][1].path(), "changes", FORMATS[0]);
    assert!(expected.len() > 100, "{}", expected.len());
    for (number, format) in FORMATS.into_iter().enumerate() {
        assert_eq!(outputs::read(dirs[number][1].path(), "changes", format), expected, "{format:?}");
        // Each format is compared with the next one's file.
        let (before, after) = (dirs[number][0].path(), dirs[(number + 1) % 4][1].path());
        let out = empty_dir();
        let destination = Destination { dir: out.path(), format };
        let comparison = Comparison { before, after, reasons: true, out: Some((destination, second)) };
        let compared = compare::run(&comparison, &|| false).expect("a comparison");
        assert_eq!(outputs::read(out.path(), "changes", format), expected, "{format:?}");
        assert_eq!(compared.tally.changes, expected.len() as u64);
        let gained: usize = expected.iter().map(|row| outputs::set(row, "gained").len()).sum();
        assert_eq!(compared.tally.gained.values().sum::<u64>(), gained as u64);
        let lost: usize = expected.iter().map(|row| outputs::set(row, "lost").len()).sum();
        assert_eq!(compared.tally.lost.values().sum::<u64>(), lost as u64);
        let colours = Comparison { reasons: false, out: None, ..comparison };
        let of_colour = expected.iter().filter(|row| row["before"] != row["after"]).count();
        let compared = compare::run(&colours, &|| false).expect("a comparison");
        assert_eq!((compared.tally.changes, compared.output), (of_colour as u64, None));
        assert!(of_colour < expected.len(), "reasons alone change, too");
    }
}

const ROWS: [(&str, &str, &[&str]); 6] = [
    ("a", "green", &[]),
    ("b", "red", &["case", "contact"]),
    ("c", "red", &["contact", "case"]),
    ("d", "yellow", &["contact"]),
    ("e", "green", &[]),
    ("é", "red", &["case", "contact"]),
];

/// The rows as a batch, with texts of these types, in an order of columns that is not ours, and a column that is none of ours.
fn batch(rows: &[(&str, &str, &[&str])], text: &DataType, item: &DataType) -> RecordBatch {
    let texts =
        |values: Vec<&str>| -> ArrayRef { cast(&StringArray::from(values), text).expect("texts have many types") };
    let mut lists = ListBuilder::new(StringBuilder::new());
    for (_, _, reasons) in rows {
        reasons.iter().for_each(|reason| lists.values().append_value(reason));
        lists.append(true);
    }
    let list = DataType::List(Arc::new(Field::new("item", item.clone(), true)));
    let lists = cast(&lists.finish(), &list).expect("texts have many types");
    let columns = [
        ("colour", texts(rows.iter().map(|row| row.1).collect())),
        ("note", texts(rows.iter().map(|_| "x").collect())),
        ("reasons", lists),
        ("person", texts(rows.iter().map(|row| row.0).collect())),
    ];
    let field = |(name, column): &(&str, ArrayRef)| Field::new(*name, column.data_type().clone(), true);
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), columns.map(|(_, column)| column).to_vec()).expect("columns of one length")
}

fn write_parquet(path: &Path, batch: &RecordBatch, group_rows: usize, dictionary: bool) {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group_rows))
        .set_dictionary_enabled(dictionary)
        .build();
    let file = File::create(path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("a writer");
    writer.write(batch).expect("written");
    writer.close().expect("closed");
}

fn said(path: &Path) -> Vec<(String, String, Vec<String>)> {
    let published = Published::read(path).expect("codes");
    let mut lists = ReasonLists::default();
    let entries = published.entries(&mut lists);
    let said = entries.walk(0..entries.len()).map(|entry| {
        let colour = format!("{:?}", entry.colour).to_lowercase();
        (entry.person.to_owned(), colour, lists.get(entry.reasons).to_vec())
    });
    let said: Vec<_> = said.collect();
    for first in 0..said.len() {
        for end in first..=said.len() {
            let walked: Vec<_> = entries.walk(first..end).map(|entry| entry.person.to_owned()).collect();
            assert!(walked.iter().eq(said[first..end].iter().map(|(person, _, _)| person)), "{first}..{end}");
        }
        assert_eq!(entries.person(first), said[first].0);
    }
    said
}

#[test]
fn codes_are_read_whatever_wrote_them() {
    let dir = empty_dir();
    let expected: Vec<(String, String, Vec<String>)> = ROWS
        .iter()
        .map(|(person, colour, reasons)| {
            ((*person).to_owned(), (*colour).to_owned(), reasons.iter().map(|&reason| reason.to_owned()).collect())
        })
        .collect();
    let dictionary = DataType::Dictionary(Box::new(DataType::UInt8), Box::new(DataType::Utf8));
    for text in [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View, dictionary] {
        let batch = batch(&ROWS, &text, &text);
        for (group_rows, dictionary) in [(100, true), (100, false), (1, true), (2, true), (4, false)] {
            let path = dir.path().join("codes.parquet");
            write_parquet(&path, &batch, group_rows, dictionary);
            assert_eq!(said(&path), expected, "{text} {group_rows} {dictionary}");
        }
        let path = dir.path().join("codes.arrow");
        let file = File::create(&path).expect("a file");
        let mut writer = arrow::ipc::writer::FileWriter::try_new(file, &batch.schema()).expect("a writer");
        for row in 0..batch.num_rows() {
            writer.write(&batch.slice(row, 1)).expect("written");
        }
        writer.finish().expect("closed");
        assert_eq!(said(&path), expected, "{text} in batches");
    }
    assert_eq!(said(&empty_codes(dir.path())), []);
}

fn empty_codes(dir: &Path) -> std::path::PathBuf {
    let path = dir.join("none.parquet");
    write_parquet(&path, &batch(&ROWS, &DataType::Utf8, &DataType::Utf8).slice(0, 0), 1, true);
    path
}

#[test]
fn codes_in_any_order_are_the_same_and_nobody_is_there_twice() {
    let dir = empty_dir();
    let path = dir.path().join("codes.parquet");
    for group_rows in [1, 2, 3, 100] {
        let write = |rows: &[(&str, &str, &[&str])]| {
            write_parquet(&path, &batch(rows, &DataType::Utf8, &DataType::Utf8), group_rows, true);
        };
        write(&ROWS);
        let expected = said(&path);
        for wrong in 1..ROWS.len() {
            let mut swapped = ROWS;
            swapped.swap(wrong - 1, wrong);
            write(&swapped);
            assert_eq!(said(&path), expected, "{wrong} in groups of {group_rows}");
            let mut reversed = ROWS;
            reversed[..=wrong].reverse();
            write(&reversed);
            assert_eq!(said(&path), expected, "{wrong} in groups of {group_rows}");
            for other in [wrong - 1, 0] {
                let mut twice = ROWS;
                twice[wrong].0 = twice[other].0;
                write(&twice);
                let told = Published::read(&path).expect_err("a person twice").to_string();
                assert!(told.contains("is there twice") && told.contains("codes.parquet, row group "), "{told}");
                assert!(told.contains(&format!("{:?}", twice[wrong].0)), "{told}");
            }
        }
    }
    for (column, colour) in [("person", "blue"), ("colour", "red")] {
        let mut rows = ROWS;
        rows[3].1 = colour;
        let good = batch(&rows, &DataType::Utf8, &DataType::Utf8);
        let broken = if colour == "blue" {
            good
        } else {
            let kept: Vec<usize> = (0..4).filter(|&index| good.schema().field(index).name() != column).collect();
            good.project(&kept).expect("columns")
        };
        write_parquet(&path, &broken, 100, true);
        let told = Published::read(&path).expect_err("not codes").to_string();
        assert!(told.contains("\"blue\" is no colour") || told.contains("column `colour` is missing"), "{told}");
    }
}

#[test]
fn the_command_tells_and_writes_what_changed() {
    let dir = empty_dir();
    let [before, after] = ["before.csv", "after.ndjson"].map(|name| dir.path().join(name));
    std::fs::write(&before, "person,colour,reasons\np1,green,\np2,red,case;contact\n").expect("written");
    let line = |person: &str, colour: &str, reasons: &str| {
        format!("{{\"person\":\"{person}\",\"colour\":\"{colour}\",\"reasons\":[{reasons}]}}\n")
    };
    let lines = [line("p2", "red", "\"case\""), line("p3", "yellow", "\"area\"")].concat();
    std::fs::write(&after, lines).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sanma"));
    command.arg("diff").args([&before, &after]);
    let output = command.output().expect("the command runs");
    let said = String::from_utf8_lossy(&output.stdout);
    for part in ["2 people with a code before", "1 green -> none", "1 none -> yellow", "gained", " area"] {
        assert!(said.contains(part), "no {part:?} in:\n{said}");
    }
    let as_of = "2020-02-18T00:00:00+08:00";
    command.args(["--reasons", "--json", "--format", "ndjson", "--as-of", as_of, "--out"]).arg(dir.path());
    let output = command.output().expect("the command runs");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(told["changes"], 3);
    assert_eq!(told["transitions"].to_string(), r#"{"none->yellow":1,"green->none":1,"red->red":1}"#);
    assert_eq!(
        (told["gained"].to_string(), told["lost"].to_string()),
        (r#"{"area":1}"#.into(), r#"{"contact":1}"#.into())
    );
    let written = std::fs::read_to_string(dir.path().join("changes.ndjson")).expect("changes");
    assert_eq!(written.lines().count(), 3);
    assert!(written.contains("\"as_of\":\"2020-02-17T16:00:00Z\""), "{written}");
    std::fs::write(&after, line("p1", "red", "") + &line("p1", "green", "")).expect("written");
    let output = command.output().expect("the command runs");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("after.ndjson") && said.contains("person \"p1\" is there twice"), "{said}");
    let kept = std::fs::read_to_string(dir.path().join("changes.ndjson")).expect("changes");
    assert_eq!(kept, written, "a comparison that fails leaves what was there");
}
