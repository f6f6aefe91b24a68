//! Messages one by one, and small runs of them.

use super::message::{Message, Wrong, parse};
use super::{Batch, BatchError, Event, SourceName, decode, lines};
use crate::limits::{FEED_MESSAGE_BYTES_MAX, ROWS_PER_TASK};
use crate::model::facts::TableColumns as _;
use crate::model::{ClosedEnum as _, Reason, Table, Timestamp};

fn wrong(table: Option<Table>, key: &'static str) -> Result<Message<'static>, Wrong> {
    Err(Wrong { table, key: Some(key) })
}

#[test]
fn messages_of_every_form_are_understood() {
    let upsert = Ok(Message::Upsert(Table::Cases, r#"{"id": 1}"#));
    let delete = Ok(Message::Delete(Table::Cases, r#"{"id": 1}"#));
    assert_eq!(parse(r#"{"table": "cases", "op": "upsert", "row": {"id": 1}}"#), upsert);
    assert_eq!(parse(r#"{"row":{"id": 1},"more":[1,{"a":2}],"op":"delete","table":"c\u0061ses"}"#), delete);
    for op in ["c", "u", "r"] {
        let change =
            format!(r#"{{"before":{{"id": 9}},"after":{{"id": 1}},"source":{{"lsn":7,"table":"cases"}},"op":"{op}"}}"#);
        assert_eq!(parse(&change), upsert);
        assert_eq!(parse(&format!(r#"{{"schema": {{"type": "struct"}}, "payload": {change}}}"#)), upsert);
    }
    assert_eq!(parse(r#"{"before":{"id": 1},"after":null,"source":{"table":"cases"},"op":"d"}"#), delete);
    let noon = Timestamp::parse_rfc3339("2020-02-12T12:00:00+08:00").expect("an instant");
    assert_eq!(parse(r#"{"as_of": "2020-02-12T12:00:00+08:00"}"#), Ok(Message::Tick(noon)));
    assert_eq!(parse(r#"{"payload": {"as_of": "2020-02-12T04:00:00Z"}}"#), Ok(Message::Tick(noon)));
    for tombstone in ["null", r#"{"schema":null,"payload":null}"#] {
        assert_eq!(parse(tombstone), Ok(Message::Tombstone));
    }
}

#[test]
fn of_a_key_that_is_there_twice_the_last_value_counts() {
    let twice = r#"{"table":"tests","op":"delete","row":{"id":1},"table":"cases","op":"upsert","row":{"id":2}}"#;
    assert_eq!(parse(twice), Ok(Message::Upsert(Table::Cases, r#"{"id":2}"#)));
    assert_eq!(parse(r#"{"table":"cases","op":"upsert","row":{"id":2},"row":null}"#), wrong(Some(Table::Cases), "row"));
}

#[test]
fn what_is_no_message_is_refused_for_its_first_fault() {
    let nothing =
        ["", "nul", "17", "[1]", "\"text\"", "{}", "{\"note\": 1}", "{} {}", "{\"op\": \"c\"", "{\"payload\": 5}"];
    for line in nothing {
        assert_eq!(parse(line), Err(Wrong::NOTHING), "{line:?}");
    }
    let cases = Some(Table::Cases);
    for (line, refused) in [
        (r#"{"op": "upsert", "row": {"id": 1}}"#, wrong(None, "table")),
        (r#"{"table": "case", "op": "upsert", "row": {"id": 1}}"#, wrong(None, "table")),
        (r#"{"table": 3, "op": "upsert", "row": {"id": 1}}"#, wrong(None, "table")),
        (r#"{"source": {"table": "public.cases"}, "op": "c", "after": {"id": 1}}"#, wrong(None, "table")),
        (r#"{"source": {"db": "health"}, "op": "c", "after": {"id": 1}}"#, wrong(None, "table")),
        (r#"{"source": "cases", "op": "c", "after": {"id": 1}}"#, wrong(None, "table")),
        (r#"{"table": "cases", "row": {"id": 1}}"#, wrong(cases, "op")),
        (r#"{"table": "cases", "op": "insert", "row": {"id": 1}}"#, wrong(cases, "op")),
        (r#"{"table": "cases", "op": "c", "after": {"id": 1}}"#, wrong(cases, "op")),
        (r#"{"source": {"table": "cases"}, "op": "t"}"#, wrong(cases, "op")),
        (r#"{"source": {"table": "cases"}, "op": "upsert", "row": {"id": 1}}"#, wrong(cases, "op")),
        (r#"{"table": "cases", "op": "upsert"}"#, wrong(cases, "row")),
        (r#"{"table": "cases", "op": "delete", "row": null}"#, wrong(cases, "row")),
        (r#"{"source": {"table": "cases"}, "op": "u", "before": {"id": 1}}"#, wrong(cases, "after")),
        (r#"{"source": {"table": "cases"}, "op": "d", "before": null, "after": {"id": 1}}"#, wrong(cases, "before")),
        (r#"{"as_of": "yesterday"}"#, wrong(None, "as_of")),
        (r#"{"as_of": 1581480000}"#, wrong(None, "as_of")),
        (r#"{"as_of": "2020-02-12T04:00:00Z", "table": "cases", "op": "upsert", "row": {}}"#, wrong(None, "as_of")),
        (r#"{"payload": {"payload": {"as_of": "2020-02-12T04:00:00Z"}}}"#, Err(Wrong::NOTHING)),
    ] {
        assert_eq!(parse(line), refused, "{line}");
    }
}

fn events(text: &str) -> Vec<Event> {
    decode(SourceName { number: 3, name: "feed" }, lines(text.as_bytes(), 1))
}

/// The only batch of a run.
fn batch(text: &str) -> Batch {
    match events(text).pop() {
        Some(Event::Facts(batch)) => *batch,
        other => panic!("no batch: {other:?}"),
    }
}

fn finding(op: &str, id: u64, person: &str) -> String {
    let row = format!(r#"{{"id":{id},"person":"{person}","found_at":"2020-02-12T00:00:00Z"}}"#);
    format!("{{\"table\":\"findings\",\"op\":\"{op}\",\"row\":{row}}}\n")
}

fn found(batch: &Batch) -> Vec<(u64, &str)> {
    batch.upserts.findings.rows().map(|row| (row.id, batch.persons.get(row.person.index()))).collect()
}

#[test]
fn ticks_part_batches_and_stay_where_they_are() {
    let tick = "{\"as_of\":\"1970-01-01T00:00:01Z\"}\n";
    let text = [tick, &finding("upsert", 1, "a"), "\n", tick, tick, &finding("delete", 1, "a"), "null\n"].concat();
    let told: Vec<String> = events(&text)
        .iter()
        .map(|event| match event {
            Event::Tick(at) => format!("tick {}", at.0),
            Event::Facts(batch) => {
                format!(
                    "{} upserts, {} deletes, {} messages",
                    batch.upserts.rows(),
                    batch.deletes.len(),
                    batch.messages
                )
            }
        })
        .collect();
    let tick = "tick 1000000";
    assert_eq!(told, [tick, "1 upserts, 0 deletes, 1 messages", tick, tick, "0 upserts, 1 deletes, 2 messages"]);
    assert!(events("").is_empty() && events("\n \r\n").is_empty());
}

#[test]
fn of_an_id_the_last_word_stands() {
    let text = [
        finding("upsert", 5, "a"),
        finding("upsert", 3, "b"),
        finding("delete", 3, "b"),
        finding("delete", 7, "c"),
        finding("upsert", 5, "d"),
        finding("upsert", 7, "e"),
        // Refused, and so as if they had never been sent.
        finding("upsert", 5, ""),
        "{\"table\":\"findings\",\"op\":\"delete\",\"row\":{\"id\":-7}}\n".to_owned(),
    ];
    let batch = batch(&text.concat());
    assert_eq!(found(&batch), [(5, "d"), (7, "e")]);
    assert_eq!(batch.deletes, [(Table::Findings, 3)]);
    let refused: Vec<_> = batch.rejections.iter().map(|r| (r.offset, r.table, r.id, r.reason, r.column)).collect();
    let findings = Some(Table::Findings);
    assert_eq!(
        refused,
        [(7, findings, Some(5), Reason::KeyLength, Some("person")), (8, findings, None, Reason::Type, Some("id"))]
    );
    assert_eq!(batch.messages, 8);
}

#[test]
fn the_refused_are_kept_as_they_came() {
    let long = format!("{{\"as_of\":\"2020-02-12T04:00:00Z\",\"note\":\"{}\"}}", "x".repeat(FEED_MESSAGE_BYTES_MAX));
    let text = [
        b"  not JSON \r\n".to_vec(),
        b"{\"as_of\":\"\xFF\"}\n".to_vec(),
        format!("{long}\n").into_bytes(),
        b"{\"table\":\"tests\",\"op\":\"upsert\",\"row\":[ 1 ]}\n".to_vec(),
        b"{\"table\":\"tests\",\"op\":\"delete\",\"row\": {\"person\":\"a\"} }\n".to_vec(),
        b"{\"table\":\"tests\",\"op\":\"delete\",\"row\":\"5\"}\n".to_vec(),
        b"{\"table\":\"tests\",\"op\":\"upsert\",\"row\": {\"id\" : 4} }".to_vec(),
    ];
    let text = text.concat();
    let mut events = decode(SourceName { number: 0, name: "a topic" }, lines(&text, 100));
    let Some(Event::Facts(batch)) = events.pop() else { panic!("a batch") };
    let refused: Vec<_> = batch.rejections.iter().map(|r| (r.offset, r.table, r.reason.name(), &*r.row)).collect();
    let (tests, quoted) = (Some(Table::Tests), |text: &str| serde_json::Value::from(text).to_string());
    let expected = [
        (100, None, "malformed", quoted("not JSON")),
        (101, None, "malformed", quoted("{\"as_of\":\"\u{FFFD}\"}")),
        (102, None, "malformed", quoted(&long)),
        (103, tests, "malformed", quoted("[ 1 ]")),
        (104, tests, "null", "{\"person\":\"a\"}".to_owned()),
        (105, tests, "malformed", quoted("\"5\"")),
        (106, tests, "null", "{\"id\" : 4}".to_owned()),
    ];
    assert!(refused.iter().copied().eq(expected.iter().map(|(at, table, why, row)| (*at, *table, *why, &**row))));
    assert!(batch.rejections.iter().all(|rejection| rejection.source == "a topic"));
    assert_eq!(
        batch.rejections.iter().map(|rejection| rejection.id).collect::<Vec<_>>(),
        [None, None, None, None, None, None, Some(4)]
    );
    assert_eq!((batch.messages, batch.upserts.rows(), events.len()), (7, 0, 0));
}

#[test]
fn keys_that_are_no_column_are_named_by_table() {
    let text = [
        r#"{"table":"findings","op":"upsert","row":{"id":1,"person":"a","found_at":"2020-02-12T00:00:00Z","tag":1}}"#,
        r#"{"table":"findings","op":"delete","row":{"id":2,"gone":1}}"#,
    ];
    let batch = batch(&text.join("\n"));
    let told: Vec<_> =
        batch.unknown.iter().map(|(table, names)| (*table, names.iter().cloned().collect::<Vec<_>>())).collect();
    assert_eq!(told, [(Table::Findings, vec!["tag".to_owned()])]);
}

#[test]
fn lines_are_numbered_blank_ones_too() {
    let of = |text: &'static str| lines(text.as_bytes(), 7).collect::<Vec<_>>();
    assert_eq!(of("a\n\nb\n"), [(7, &b"a"[..]), (8, b""), (9, b"b")]);
    assert_eq!(of("a\nb"), [(7, &b"a"[..]), (8, b"b")]);
    assert_eq!(of("\n"), [(7, &b""[..])]);
}

#[test]
fn a_declaration_knows_its_line() {
    let row = r#"{"id":1,"person":"a","declared_at":"2020-02-12T00:00:00Z","doc_type":"other","residence":330106,"fever":false,
        "dyspnea":false,"respiratory":true,"contact_with_case":false,"visited_key_area":true}"#;
    let message = format!(r#"{{"table":"declarations","op":"upsert","row":{row}}}"#).replace('\n', " ");
    let batch = batch(&format!("\n\n{message}"));
    let origin = batch.upserts.declarations.row(0).origin;
    assert_eq!((origin.source, origin.offset), (3, 3));
}

/// Many rows take other ways than few: across the pool.
#[test]
fn many_rows_are_as_few() {
    let count = 2 * ROWS_PER_TASK as u64 + 1;
    // Ids descend, and every third row is gone.
    let text: String = (0..count).rev().map(|id| finding("upsert", id, &format!("p{}", id % 5_000))).collect();
    let gone: String = (0..count).step_by(3).map(|id| finding("delete", id, "")).collect();
    let batch = batch(&(text + &gone));
    let expected: Vec<_> = (0..count).filter(|id| id % 3 != 0).map(|id| (id, format!("p{}", id % 5_000))).collect();
    assert!(found(&batch).into_iter().eq(expected.iter().map(|(id, person)| (*id, &**person))));
    assert!(batch.deletes.iter().map(|&(_, id)| id).eq((0..count).step_by(3)));
    let bytes = batch.encode();
    let again = Batch::decode(&bytes).expect("what was written");
    assert_eq!((found(&again), &again.deletes, again.messages), (found(&batch), &batch.deletes, batch.messages));
    assert_eq!(again.encode(), bytes);
    assert!(matches!(Batch::decode(&bytes[..bytes.len() - 1]), Err(BatchError::Short)));
}

#[test]
fn a_batch_of_one_row_is_few_bytes() {
    let people = r#""person_a":"0123456789abcdef","person_b":"fedcba9876543210""#;
    let row = format!(r#"{{"id":1,{people},"started_at":"2020-02-12T00:00:00Z","duration_s":60,"setting":"work"}}"#);
    let bytes = batch(&format!(r#"{{"table":"contacts","op":"upsert","row":{row}}}"#)).encode();
    // 2 + 1 of head, 1 + 2 + 32 and 1 and 1 of names, 3 of the table's head, 29 of the row.
    assert_eq!(bytes.len(), 72);
}
