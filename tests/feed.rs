//! A feed is its tables: messages in any order and any form, cut anywhere, leave the rows and refuse the rows that files of the same
//! lines do; and what a batch was written as is read back exactly, or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int32Array, NullArray, RecordBatch, StringArray, StringViewArray};
use arrow::ipc::CompressionType;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use sanma::ingest::feed::{Batch, Event, SourceName, decode, decode_stream, lines};
use sanma::ingest::{self, Unobserved};
use sanma::intern::Tokens;
use sanma::model::facts::Tables;
use sanma::model::{Reason, Rejection, Table, Timestamp};
use serde_json::{Value, json};

use crate::agreement::worlds;
use crate::loading::{empty_dir, with_id_of};
use crate::worlds::World;
use crate::worlds::cells::{self, Cell};
use crate::worlds::dirt::{Dirt, DirtyRow, dirt};
use crate::worlds::draw::Draw;
use crate::worlds::files::{Content, Format, Shape, Sheet, Slot, write_with_dirt};
use crate::worlds::text::ndjson;
use crate::worlds::valid::first_fault;

/// Every row by table and id, tokens spelt out.
pub type Rows = BTreeMap<(Table, u64), Vec<Cell>>;

fn texts(tokens: &Tokens) -> Vec<String> {
    (0..tokens.len()).map(|index| tokens.get(index).to_owned()).collect()
}

fn id_of(row: &[Cell]) -> u64 {
    let Cell::Int(id) = row[0] else { unreachable!("an id is an integer") };
    u64::try_from(id).expect("a valid row")
}

/// The rows of tables, in their order.
fn rows_of(tables: &Tables, [persons, places, labels]: [&Tokens; 3]) -> Vec<(Table, Vec<Cell>)> {
    let [persons, places, labels] = [persons, places, labels].map(texts);
    let tokens = cells::Tokens { persons: &persons, places: &places, labels: &labels };
    let of = |table| cells::cells(tables, table, tokens).into_iter().map(move |row| (table, row));
    Table::ALL.into_iter().flat_map(of).collect()
}

/// The rows of tables by table and id.
pub fn rows_by_id(tables: &Tables, names: [&Tokens; 3]) -> Rows {
    rows_of(tables, names).into_iter().map(|(table, row)| ((table, id_of(&row)), row)).collect()
}

fn rows_of_batch(batch: &Batch) -> Vec<(Table, Vec<Cell>)> {
    rows_of(&batch.upserts, [&batch.persons, &batch.places, &batch.labels])
}

/// What is sent.
pub enum Says {
    /// A row, as a line of its table's file; with its cells, if it is valid.
    Row(Table, Vec<u8>, Option<Vec<Cell>>),
    /// A delete of what this row's `id` says, which is that or at fault.
    Delete(Table, Value, Result<u64, Reason>),
    /// A line that is no message.
    Broken(Vec<u8>),
    Tick(Timestamp),
    Tombstone,
    Blank,
}

/// A message around a row.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    Plain,
    Debezium,
    Wrapped,
}

fn envelope(form: Form, table: Table, is_upsert: bool, row: &[u8], draw: &mut Draw) -> Vec<u8> {
    let name = table.name();
    let space = draw.pick(&["", " "]);
    let (head, tail) = match (form, is_upsert) {
        (Form::Plain, _) => {
            let op = if is_upsert { "upsert" } else { "delete" };
            let head = format!("{{\"table\":{space}\"{name}\",\"op\": \"{op}\",{space}\"row\":{space}");
            (head, format!("{space}}}"))
        }
        (Form::Debezium | Form::Wrapped, true) => {
            let op = draw.pick(&["c", "u", "r"]);
            let head = format!("{{\"before\":{},{space}\"after\":{space}", draw.pick(&["null", "{\"id\": 1}"]));
            (
                head,
                format!(
                    ",\"source\":{{\"db\":\"health\",\"table\":\"{name}\",\"lsn\":7}},{space}\"op\":\"{op}\",\"ts_ms\":5}}"
                ),
            )
        }
        (Form::Debezium | Form::Wrapped, false) => {
            let head = format!("{{\"op\":{space}\"d\",\"before\":");
            (head, format!(",\"after\":null,\"source\":{{\"table\":\"{name}\"}}}}"))
        }
    };
    let change = [head.as_bytes(), row, tail.as_bytes()].concat();
    match form {
        Form::Wrapped => [&b"{\"schema\":{\"type\":\"struct\",\"fields\":[]},\"payload\":"[..], &change, b"}"].concat(),
        Form::Plain | Form::Debezium => change,
    }
}

/// A row as a line of NDJSON, in one of the ways in which that can be said.
fn line_of(table: Table, content: &Content, draw: &mut Draw) -> Vec<u8> {
    let mut slots: Vec<Slot> = (0..table.columns().len()).map(Slot::Column).collect();
    slots.extend(["note", "tags"].into_iter().filter(|_| draw.chance(10)).map(Slot::Extra));
    let (bytes, _) = ndjson(&Sheet { table, slots, rows: vec![content], varied: true }, draw);
    bytes.trim_ascii().to_vec()
}

/// Rows of two worlds under the same ids, sent again, deleted, and dirt among them.
pub fn history(seed: u64, draw: &mut Draw) -> Vec<Says> {
    let versions = [World::random(seed), World::random(seed.wrapping_mul(31).wrapping_add(5))];
    let mut says = Vec::new();
    for (table, row) in versions.iter().flat_map(rows_of_world) {
        let again = usize::from(draw.chance(15));
        for _ in 0..=again {
            says.push(Says::Row(table, line_of(table, &Content::Cells(row.clone()), draw), Some(row.clone())));
        }
        if draw.chance(25) {
            let id = json!(id_of(&row));
            let whole = json!({"person": "whoever", "id": id});
            says.push(Says::Delete(table, if draw.chance(50) { whole } else { json!({ "id": id }) }, Ok(id_of(&row))));
        }
    }
    for dirt in dirt(seed).into_iter().filter(Dirt::in_ndjson) {
        let dirt = with_id_of(dirt.clone(), &versions[0], draw).filter(|_| draw.chance(60)).unwrap_or(dirt);
        says.push(match dirt.row {
            DirtyRow::Cells(cells) => Says::Row(dirt.table, line_of(dirt.table, &Content::Cells(cells), draw), None),
            // What is JSON, but no object, is a row that is none; what is not breaks the message.
            DirtyRow::NdjsonLine(line) if serde_json::from_slice::<Value>(&line).is_ok() => {
                Says::Row(dirt.table, line, None)
            }
            DirtyRow::NdjsonLine(line) => Says::Broken(envelope(Form::Plain, dirt.table, true, &line, draw)),
            DirtyRow::CsvFields(_) => unreachable!("no NDJSON"),
        });
    }
    for table in Table::ALL {
        let at_fault =
            [(json!({}), Reason::Null), (json!({"id": null}), Reason::Null), (json!({"id": "1"}), Reason::Type)];
        says.extend(at_fault.into_iter().map(|(row, reason)| Says::Delete(table, row, Err(reason))));
    }
    for second in 0..i64::from(draw.range(0, 12)) {
        says.push(Says::Tick(Timestamp(second * 1_000_000)));
        says.push(if draw.chance(50) { Says::Tombstone } else { Says::Blank });
    }
    draw.shuffle(&mut says);
    says
}

fn rows_of_world(world: &World) -> Vec<(Table, Vec<Cell>)> {
    Table::ALL.into_iter().flat_map(|table| world.cells(table).into_iter().map(move |row| (table, row))).collect()
}

pub fn feed_of(says: &[Says], forms: &[Form], draw: &mut Draw) -> Vec<Vec<u8>> {
    let mut line = |says: &Says| {
        let form = draw.pick(forms);
        match says {
            Says::Row(table, row, _) => envelope(form, *table, true, row, draw),
            Says::Delete(table, row, _) => envelope(form, *table, false, row.to_string().as_bytes(), draw),
            Says::Broken(line) => line.clone(),
            Says::Tick(at) => json!({"as_of": at.to_rfc3339()}).to_string().into_bytes(),
            Says::Tombstone => b"null".to_vec(),
            Says::Blank => b" ".to_vec(),
        }
    };
    says.iter().map(&mut line).collect()
}

/// What a rejection says, but for its source.
pub type Refused = (u64, Option<Table>, Option<u64>, Reason, Option<&'static str>, String);

pub fn refused(rejection: &Rejection) -> Refused {
    let Rejection { table, id, reason, column, row, offset, .. } = rejection;
    (*offset, *table, *id, *reason, *column, row.clone())
}

/// The rejections of the messages, numbered from 1: of rows as a load of files of these rows gives them. And that load's rows: a row
/// that a later delete takes away is not in the file.
fn load_of_files(says: &[Says]) -> (Rows, BTreeSet<Refused>) {
    let dir = empty_dir();
    let mut refusals = BTreeSet::new();
    let mut files: BTreeMap<Table, Vec<(u64, &[u8])>> = BTreeMap::new();
    let mut deleted: BTreeSet<(Table, u64)> = BTreeSet::new();
    for (number, says) in (1..=says.len() as u64).rev().zip(says.iter().rev()) {
        match says {
            Says::Row(table, _, Some(row)) if deleted.contains(&(*table, id_of(row))) => {}
            Says::Row(table, line, _) => files.entry(*table).or_default().push((number, line)),
            Says::Delete(table, _, Ok(id)) => {
                deleted.insert((*table, *id));
            }
            Says::Delete(table, row, Err(reason)) => {
                refusals.insert((number, Some(*table), None, *reason, Some("id"), row.to_string()));
            }
            Says::Broken(line) => {
                let line = Value::from(String::from_utf8_lossy(line)).to_string();
                refusals.insert((number, None, None, Reason::Malformed, None, line));
            }
            Says::Tick(_) | Says::Tombstone | Says::Blank => {}
        }
    }
    for (table, lines) in &mut files {
        lines.reverse();
        let text: Vec<&[u8]> = lines.iter().flat_map(|(_, line)| [*line, b"\n"]).collect();
        std::fs::write(dir.path().join(format!("{}.ndjson", table.name())), text.concat()).expect("room on the disk");
    }
    let loaded = ingest::load(dir.path(), &Unobserved).expect("lines of NDJSON");
    for rejection in &loaded.rejections {
        let (line, table, id, reason, column, row) = refused(rejection);
        let at = usize::try_from(line - 1).expect("few");
        refusals.insert((files[&table.expect("a file's table")][at].0, table, id, reason, column, row));
    }
    (rows_by_id(&loaded.tables, [&loaded.persons, &loaded.places, &loaded.labels]), refusals)
}

/// The rows after each tick, and at last, message by message.
fn states(says: &[Says]) -> Vec<(Option<Timestamp>, Rows)> {
    let (mut rows, mut states) = (Rows::new(), Vec::new());
    for says in says {
        match says {
            Says::Row(table, _, Some(row)) => drop(rows.insert((*table, id_of(row)), row.clone())),
            Says::Delete(table, _, Ok(id)) => drop(rows.remove(&(*table, *id))),
            Says::Tick(at) => states.push((Some(*at), rows.clone())),
            _ => {}
        }
    }
    states.push((None, rows));
    states
}

/// Puts a batch on rows as the engine does: all deletes, then all upserts. The batch keeps what it promises.
pub fn apply(rows: &mut Rows, batch: &Batch, what: &str) {
    assert!(batch.deletes.is_sorted_by(|one, next| one < next), "{what}: deletes are in order");
    for key in &batch.deletes {
        rows.remove(key);
    }
    let upserts: Vec<_> = rows_of_batch(batch).into_iter().map(|(table, row)| ((table, id_of(&row)), row)).collect();
    assert!(upserts.is_sorted_by(|one, next| one.0 < next.0), "{what}: an id is there once, and in order");
    assert!(upserts.iter().all(|(key, _)| batch.deletes.binary_search(key).is_err()), "{what}: lists are apart");
    rows.extend(upserts);
}

fn assert_comes_back(batch: &Batch, what: &str) {
    let bytes = batch.encode();
    let again = Batch::decode(&bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(again.encode(), bytes, "{what}");
    assert_eq!((&again.deletes, again.messages), (&batch.deletes, batch.messages), "{what}");
    assert_eq!(rows_of_batch(&again), rows_of_batch(batch), "{what}");
    assert_eq!(again.upserts.declarations.origin, batch.upserts.declarations.origin, "{what}");
    assert!(again.rejections.is_empty() && again.unknown.is_empty(), "{what}");
}

/// The events of a feed cut into runs of this many lines at the most.
fn events(feed: &[Vec<u8>], most: usize, draw: &mut Draw) -> Vec<Event> {
    let (mut events, mut rest, mut first) = (Vec::new(), feed, 1);
    while !rest.is_empty() {
        let run;
        (run, rest) = rest.split_at(1 + draw.below(most.min(rest.len())));
        let block = run.join(&b'\n');
        events.extend(decode(SourceName { number: 9, name: "feed" }, lines(&block, first)));
        first += run.len() as u64;
    }
    events
}

#[test]
fn a_feed_leaves_and_refuses_what_files_do_however_it_is_cut() {
    for seed in worlds(40) {
        let draw = &mut Draw::new(seed, 21);
        let says = history(seed, draw);
        let feed = feed_of(&says, &[Form::Plain, Form::Debezium, Form::Wrapped], draw);
        let states = states(&says);
        let (loaded, refusals) = load_of_files(&says);
        for most in [1, 7, 300, usize::MAX] {
            let what = format!("seed {seed}, runs of at most {most}");
            let (mut rows, mut found, mut messages) = (Rows::new(), BTreeSet::new(), 0);
            let mut expected = states.iter();
            for event in events(&feed, most, draw) {
                match event {
                    Event::Facts(batch) => {
                        apply(&mut rows, &batch, &what);
                        assert_comes_back(&batch, &what);
                        assert!(batch.rejections.is_sorted_by_key(|rejection| rejection.offset), "{what}");
                        assert!(batch.rejections.iter().all(|rejection| rejection.source == "feed"), "{what}");
                        found.extend(batch.rejections.iter().map(refused));
                        let names = batch.unknown.values().flatten();
                        assert!(names.into_iter().all(|name| ["note", "tags"].contains(&&**name)), "{what}");
                        messages += batch.messages;
                    }
                    Event::Tick(at) => {
                        let (tick, state) = expected.next().expect("no tick is made up");
                        assert_eq!(*tick, Some(at), "{what}");
                        assert!(rows == *state, "{what}: the rows at {}", at.0);
                    }
                }
            }
            assert!(expected.next() == Some(&(None, rows.clone())), "{what}: message by message");
            assert!(rows == loaded, "{what}: as files");
            assert_eq!(found, refusals, "{what}");
            let counted = says.iter().filter(|says| !matches!(says, Says::Tick(_) | Says::Blank)).count();
            assert_eq!(messages, counted, "{what}");
        }
    }
}

#[test]
fn debezium_says_what_plain_messages_say() {
    for seed in worlds(20) {
        let mut draw = Draw::new(seed, 22);
        let mut says = history(seed, &mut draw);
        // The text of a line that is no message is its own.
        says.retain(|says| !matches!(says, Says::Broken(_)));
        let told = |form: Form| {
            let feed = feed_of(&says, &[form], &mut Draw::new(seed, 23));
            let told = |event: &Event| match event {
                Event::Facts(batch) => (batch.encode(), batch.rejections.clone()),
                Event::Tick(at) => (at.0.to_le_bytes().to_vec(), Vec::new()),
            };
            events(&feed, 200, &mut Draw::new(seed, 24)).iter().map(told).collect::<Vec<_>>()
        };
        let plain = told(Form::Plain);
        for form in [Form::Debezium, Form::Wrapped] {
            assert!(told(form) == plain, "seed {seed} {form:?}");
        }
    }
}

/// An Arrow file as a stream.
fn stream_of(file: &Path, compression: Option<CompressionType>) -> Vec<u8> {
    let reader = FileReader::try_new(File::open(file).expect("it was written"), None).expect("a file");
    let options = IpcWriteOptions::default().try_with_compression(compression).expect("it is built in");
    let schema = reader.schema();
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &schema, options).expect("a schema");
    for batch in reader {
        writer.write(&batch.expect("a batch")).expect("room");
    }
    writer.into_inner().expect("an end")
}

#[test]
fn a_stream_leaves_and_refuses_what_a_file_does() {
    let source = SourceName { number: 0, name: "http" };
    let (mut sound, mut damaged) = (0, 0);
    for seed in worlds(30) {
        let (dir, draw) = (empty_dir(), &mut Draw::new(seed, 26));
        let world = World::random(seed);
        let dirt: Vec<Dirt> = dirt(seed).into_iter().filter(Dirt::in_columns).collect();
        write_with_dirt(&world, &dirt, dir.path(), &Shape::varied(Format::Arrow, seed));
        let loaded = ingest::load(dir.path(), &Unobserved).expect("sound files");
        let all = rows_of(&loaded.tables, [&loaded.persons, &loaded.places, &loaded.labels]);
        for table in Table::ALL {
            let what = format!("seed {seed}, {}", table.name());
            let compression = draw.pick(&[None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)]);
            let bytes = stream_of(&dir.path().join(format!("{}.arrow", table.name())), compression);
            let batch = decode_stream(source, table, &bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
            let mut rows = Rows::new();
            apply(&mut rows, &batch, &what);
            assert_comes_back(&batch, &what);
            let of_table = all.iter().filter(|(of, _)| *of == table).map(|(of, row)| ((*of, id_of(row)), row.clone()));
            assert!(rows == of_table.collect(), "{what}: rows");
            let of_table = loaded.rejections.iter().filter(|rejection| rejection.table == Some(table)).map(refused);
            let found: BTreeSet<Refused> = batch.rejections.iter().map(refused).collect();
            assert_eq!(found, of_table.collect(), "{what}: rejections");
            assert!(batch.rejections.iter().all(|rejection| rejection.source == "http"), "{what}");
            for _ in 0..20 {
                let mut bytes = bytes.clone();
                let at = draw.below(bytes.len());
                match draw.below(3) {
                    0 => bytes.truncate(at),
                    1 => bytes[at] = draw.next().to_le_bytes()[0],
                    _ => bytes[at] ^= 1 << draw.below(8),
                }
                match decode_stream(source, table, &bytes) {
                    Ok(batch) => {
                        apply(&mut Rows::new(), &batch, &what);
                        sound += 1;
                    }
                    Err(error) => {
                        assert!(error.to_string().starts_with("the body"), "{what}: {error}");
                        damaged += 1;
                    }
                }
            }
        }
    }
    assert!(sound > 100 && damaged > 100, "{sound} {damaged}");
}

#[test]
fn a_stream_that_says_much_in_few_bytes_is_refused() {
    let stream = |columns: Vec<(&str, ArrayRef)>| {
        let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
        let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD)).expect("built in");
        let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options).expect("a schema");
        writer.write(&batch).expect("room");
        writer.into_inner().expect("an end")
    };
    let required = |rows: usize| -> Vec<(&str, ArrayRef)> {
        let nothing = || Arc::new(NullArray::new(rows)) as ArrayRef;
        let required = Table::Whitelist.columns().iter().filter(|column| !column.nullable);
        required.map(|column| (column.name, nothing())).collect()
    };
    let texts = |rows: usize, bytes: usize| -> ArrayRef {
        let text = "x".repeat(bytes);
        Arc::new(StringViewArray::from(vec![text.as_str(); rows]))
    };
    let with = |mut columns: Vec<(&'static str, ArrayRef)>, reason: ArrayRef| {
        columns.retain(|(name, _)| *name != "reason");
        columns.push(("reason", reason));
        columns
    };
    let told = |columns| {
        let bytes = stream(columns);
        assert!(bytes.len() < 1 << 16, "{}", bytes.len());
        let source = SourceName { number: 0, name: "http" };
        decode_stream(source, Table::Whitelist, &bytes).map(|batch| batch.messages).map_err(|error| error.to_string())
    };
    assert_eq!(told(required(9)), Ok(9));
    assert!(told(required(1 << 20)).is_err_and(|error| error.contains("too many rows")));
    let long = Arc::new(StringArray::from(vec!["x".repeat(6 << 20)]));
    assert!(told(with(required(1), long)).is_err_and(|error| error.contains("once unpacked")));
    let shared = DictionaryArray::new(Int32Array::from(vec![0; 5000]), texts(1, 1 << 20));
    assert!(told(with(required(5000), Arc::new(shared))).is_err_and(|error| error.contains("5000 rows with texts of")));
}

/// Bytes are no batch, or one of which every promise holds.
fn assert_no_or_whole(bytes: &[u8], what: &str) -> bool {
    let Ok(batch) = Batch::decode(bytes) else { return false };
    for (table, row) in rows_of_batch(&batch) {
        assert_eq!(first_fault(table, &row), None, "{what}: {row:?}");
    }
    apply(&mut Rows::new(), &batch, what);
    assert_comes_back(&batch, what);
    true
}

#[test]
fn damaged_bytes_are_no_batch_or_a_whole_one() {
    let (mut whole, mut none) = (0, 0);
    for seed in worlds(12) {
        let draw = &mut Draw::new(seed, 25);
        let says = history(seed, draw);
        let feed = feed_of(&says, &[Form::Plain], draw);
        for event in events(&feed, 60, draw) {
            let Event::Facts(batch) = event else { continue };
            let bytes = batch.encode();
            for _ in 0..60 {
                let mut bytes = bytes.clone();
                let at = draw.below(bytes.len());
                match draw.below(4) {
                    0 => bytes.truncate(at),
                    1 => bytes[at] = draw.next().to_le_bytes()[0],
                    2 => drop(bytes.remove(at)),
                    _ => bytes[at] ^= 1 << draw.below(8),
                }
                let count = if assert_no_or_whole(&bytes, &format!("seed {seed}")) { &mut whole } else { &mut none };
                *count += 1;
            }
        }
        let mut noise: Vec<u8> = (0..200).map(|_| draw.next().to_le_bytes()[0] & 0x13).collect();
        noise.splice(..2, [1, 0]);
        assert_no_or_whole(&noise, "noise");
    }
    assert!(whole > 100 && none > 100, "{whole} {none}");
}
