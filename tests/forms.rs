//! The forms in which facts come in and changes go out over HTTP: each says what the others say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow::datatypes::{TimestampMicrosecondType, UInt64Type};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use sanma::model::Timestamp;
use serde_json::{Value, json};

use crate::loading::empty_dir;
use crate::run::{applied, long_feed};
use crate::server::{Served, case, declaration, declared};

const ARROW: &str = "application/vnd.apache.arrow.stream";

fn stream(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).expect("a schema");
    writer.write(&batch).expect("room");
    writer.into_inner().expect("an end")
}

#[test]
fn rows_come_in_as_an_arrow_stream() {
    let dir = empty_dir();
    let served = Served::start(&dir.path().join("store"), &[]);
    served.tick();
    served.post("/v1/messages", &(declared(1, "lin") + &declared(2, "wang")));
    let reported = TimestampMicrosecondArray::from(vec![1_581_386_400_000_000; 3]).with_timezone("UTC");
    let cases = stream(vec![
        ("id", Arc::new(UInt64Array::from(vec![Some(1), Some(2), None]))),
        ("person", Arc::new(StringArray::from(vec!["lin", "wang", "wang"]))),
        ("kind", Arc::new(StringArray::from(vec!["confirmed", "feared", "confirmed"]))),
        ("reported_at", Arc::new(reported)),
    ]);
    let key = [("Content-Type", ARROW), ("Idempotency-Key", "c")];
    let taken = served.ask("POST", "/v1/facts/cases", &key, &cases).json();
    assert_eq!((&taken["taken"], &taken["changes"]), (&json!(1), &json!(1)), "{taken}");
    let refused: Vec<_> = taken["refused"].as_array().expect("a list").iter().collect();
    let told: Vec<_> = refused.iter().map(|row| (&row["offset"], &row["column"], &row["reason"])).collect();
    assert_eq!(told, [(&json!(1), &json!("kind"), &json!("enumeration")), (&json!(2), &json!("id"), &json!("null"))]);
    assert_eq!(served.get("/v1/codes/lin").json()["colour"], "red");
    assert_eq!(served.ask("POST", "/v1/facts/cases", &key, &cases).json()["repeated"], true);
    for wrong in [&cases[..cases.len() / 2], b"no stream", b""] {
        let answer = served.ask("POST", "/v1/facts/cases", &[("Content-Type", ARROW)], wrong);
        assert_eq!(answer.status, 400, "{}", answer.text());
    }
    let other = served.ask("POST", "/v1/facts/contacts", &[("Content-Type", ARROW)], &cases);
    assert!(other.status == 400 && other.text().contains("person_a"), "{}", other.text());
    assert_eq!(served.get("/v1/rejections").text().lines().count(), 2);
    served.stop();
}

#[test]
fn changes_go_out_in_the_form_that_is_asked_for() {
    let dir = empty_dir();
    let (store, feed) = (dir.path().join("store"), dir.path().join("feed.ndjson"));
    long_feed(&feed);
    let text = fs::read(&feed).expect("a feed");
    let served = Served::start(&store, &[]);
    for lines in text.split(|&byte| byte == b'\n').take(1_500).collect::<Vec<_>>().chunks(200) {
        assert_eq!(served.ask("POST", "/v1/messages", &[], &lines.join(&b'\n')).status, 200);
    }
    let file = fs::read_to_string(store.join("changes.ndjson")).expect("changes");
    let all: Vec<Value> = file.lines().map(|line| serde_json::from_str(line).expect("a change")).collect();
    assert!(all.len() > 20, "{}", all.len());

    let columns = served.ask("GET", "/v1/changes?from=0&follow=false", &[("Accept", ARROW)], b"");
    assert_eq!(columns.headers["content-type"], ARROW);
    let mut told = Vec::new();
    for batch in StreamReader::try_new(&*columns.body, None).expect("a stream") {
        let batch = batch.expect("a batch");
        assert_eq!(batch.schema(), sanma::model::schema::changes_schema());
        let column = |name: &str| Arc::clone(batch.column_by_name(name).expect("a column"));
        let (instants, positions, [persons, before, after]) =
            (column("as_of"), column("position"), ["person", "before", "after"].map(column));
        let text = |array: &ArrayRef, row| array.is_valid(row).then(|| array.as_string::<i32>().value(row).to_owned());
        for row in 0..batch.num_rows() {
            let lists = ["gained", "lost"].map(|name| {
                let list = column(name).as_list::<i32>().value(row);
                list.as_string::<i32>().iter().flatten().map(str::to_owned).collect::<Vec<_>>()
            });
            told.push(json!({
                "as_of": Timestamp(instants.as_primitive::<TimestampMicrosecondType>().value(row)).to_rfc3339(),
                "position": positions.as_primitive::<UInt64Type>().value(row),
                "person": text(&persons, row), "before": text(&before, row), "after": text(&after, row),
                "gained": &lists[0], "lost": &lists[1],
            }));
        }
    }
    assert_eq!(told, all);

    let lines = served.ask(
        "GET",
        "/v1/changes?from=0&follow=false&format=debezium",
        &[("Accept", "application/x-ndjson")],
        b"",
    );
    let mut colours = BTreeMap::new();
    for line in lines.text().lines() {
        let change: Value = serde_json::from_str(line).expect("a change");
        let row = |side: &str| {
            Some((change[side]["person"].as_str()?.to_owned(), change[side]["colour"].as_str()?.to_owned()))
        };
        assert_eq!(change["source"]["table"], "codes");
        match (change["op"].as_str().expect("an op"), row("before"), row("after")) {
            ("c", None, Some((person, colour))) => assert_eq!(colours.insert(person, colour), None),
            ("u", Some((person, before)), Some((same, after))) => {
                assert_eq!((&person, colours.insert(same, after)), (&person, Some(before)));
            }
            ("d", Some((person, before)), None) => assert_eq!(colours.remove(&person), Some(before)),
            _ => panic!("{line}"),
        }
    }
    assert_eq!(colours, applied(&store.join("changes.ndjson")));
    served.stop();
}

#[test]
fn changes_of_a_district_are_those_of_who_lives_there() {
    let dir = empty_dir();
    let served = Served::start(&dir.path().join("store"), &[]);
    served.tick();
    let living_in = |id: u64, person: &str, residence: u32| {
        let mut row = declaration(id, person);
        row["residence"] = residence.into();
        format!("{}\n", json!({"table": "declarations", "op": "upsert", "row": row}))
    };
    let told = [
        living_in(1, "lin", 330_106),
        living_in(2, "wang", 330_106_109),
        living_in(3, "zhao", 330_502),
        living_in(4, "gone", 420_102),
        case("upsert", 1, "zhao"),
        format!("{}\n", json!({"table": "declarations", "op": "delete", "row": {"id": 4}})),
    ];
    for message in &told {
        served.post("/v1/messages", message);
    }
    let plain = [("Accept", "application/x-ndjson")];
    let of = |district: u32| -> BTreeSet<String> {
        let path = format!("/v1/changes?from=0&follow=false&district={district}");
        let lines = served.ask("GET", &path, &plain, b"");
        let person =
            |line: &str| serde_json::from_str::<Value>(line).expect("a change")["person"].as_str().map(str::to_owned);
        lines.text().lines().filter_map(person).collect()
    };
    let set = |persons: &[&str]| persons.iter().map(|&person| person.to_owned()).collect::<BTreeSet<String>>();
    assert_eq!(of(330_106), set(&["lin", "wang", "gone"]), "who lives nowhere any more is told of to all");
    assert_eq!(of(330_106_109), set(&["wang", "gone"]));
    assert_eq!(of(330_000), set(&["lin", "wang", "zhao", "gone"]));
    assert_eq!(of(330_500), set(&["zhao", "gone"]));
    assert_eq!(served.get("/v1/changes?district=12345678").status, 400);
    assert_eq!(served.get("/v1/changes?format=xml").status, 400);
    assert_eq!(served.ask("GET", "/v1/changes?format=debezium", &[("Accept", ARROW)], b"").status, 400);
    served.stop();
}
