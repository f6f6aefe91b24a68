//! A feed's messages to batches, and batches to bytes and back: in runs of one message, as they come when little happens, and in
//! long ones.

use std::fmt::Write as _;

use divan::counter::ItemsCount;
use sanma::ingest::feed::{Batch, Event, SourceName, decode, lines};

const MESSAGES: usize = 100_000;
const RUNS: [usize; 3] = [1, 1_000, 100_000];

/// Six contacts, two stays, a check-in and a test, over and over.
fn row(id: usize) -> (&'static str, String) {
    let (one, other) = (id * 2_654_435_761 % 1_000_003, (id * 40_503 + 7) % 1_000_003);
    let at = format!("2020-02-{:02}T{:02}:{:02}:00+08:00", 1 + id % 28, id % 24, id % 60);
    let person = format!("\"id\":{id},\"person\":\"{one:016x}\"");
    match id % 10 {
        0..=5 => {
            let both = format!("\"id\":{id},\"person_a\":\"{one:016x}\",\"person_b\":\"{other:016x}\"");
            ("contacts", format!("{{{both},\"started_at\":\"{at}\",\"duration_s\":900,\"setting\":\"work\"}}"))
        }
        6..=7 => {
            let place = format!("\"region\":330106,\"place\":\"venue-{}\"", other % 5_000);
            ("stays", format!("{{{person},{place},\"entered_at\":\"{at}\",\"left_at\":\"{at}\",\"row\":null}}"))
        }
        8 => {
            let flags = "\"fever\":false,\"dyspnea\":false,\"respiratory\":false";
            ("checkins", format!("{{{person},\"reported_at\":\"{at}\",\"temperature_c\":36.6,{flags}}}"))
        }
        _ => {
            let times = format!("\"sampled_at\":\"{at}\",\"resulted_at\":\"{at}\"");
            ("tests", format!("{{{person},{times},\"result\":\"negative\"}}"))
        }
    }
}

fn plain() -> String {
    let mut text = String::new();
    for (table, row) in (0..MESSAGES).map(row) {
        writeln!(text, "{{\"table\":\"{table}\",\"op\":\"upsert\",\"row\":{row}}}").expect("a text takes all");
    }
    text
}

fn debezium() -> String {
    let mut text = String::new();
    for (table, row) in (0..MESSAGES).map(row) {
        let source = format!(
            "{{\"version\":\"2.5.0.Final\",\"connector\":\"postgresql\",\"name\":\"health\",\"ts_ms\":1581480000000,\"db\":\"health\",\
             \"sequence\":\"[\\\"24023119\\\",\\\"24023128\\\"]\",\"schema\":\"public\",\"table\":\"{table}\",\"lsn\":24023128}}"
        );
        writeln!(text, "{{\"before\":null,\"after\":{row},\"source\":{source},\"op\":\"c\",\"ts_ms\":1581480000123}}")
            .expect("a text takes all");
    }
    text
}

fn batches(text: &str, run: usize) -> Vec<Batch> {
    let messages: Vec<(u64, &[u8])> = lines(text.as_bytes(), 1).collect();
    let events =
        messages.chunks(run).flat_map(|run| decode(SourceName { number: 0, name: "feed" }, run.iter().copied()));
    let batch = |event| match event {
        Event::Facts(batch) => Some(*batch),
        Event::Tick(_) => None,
    };
    events.filter_map(batch).collect()
}

#[divan::bench(name = "feed/messages=100k/form=plain/run", args = RUNS, sample_count = 5, sample_size = 1)]
fn decode_plain(bencher: divan::Bencher<'_, '_>, run: usize) {
    let text = plain();
    bencher.counter(ItemsCount::new(MESSAGES)).bench(|| batches(&text, run));
}

#[divan::bench(name = "feed/messages=100k/form=debezium/run", args = RUNS, sample_count = 5, sample_size = 1)]
fn decode_debezium(bencher: divan::Bencher<'_, '_>, run: usize) {
    let text = debezium();
    bencher.counter(ItemsCount::new(MESSAGES)).bench(|| batches(&text, run));
}

#[divan::bench(name = "feed/messages=100k/batch/encode/run", args = RUNS, sample_count = 5, sample_size = 1)]
fn encode_batches(bencher: divan::Bencher<'_, '_>, run: usize) {
    let batches = batches(&plain(), run);
    bencher.counter(ItemsCount::new(MESSAGES)).bench(|| batches.iter().map(Batch::encode).collect::<Vec<_>>());
}

#[divan::bench(name = "feed/messages=100k/batch/decode/run", args = RUNS, sample_count = 5, sample_size = 1)]
fn decode_batches(bencher: divan::Bencher<'_, '_>, run: usize) {
    let bytes: Vec<Vec<u8>> = batches(&plain(), run).iter().map(Batch::encode).collect();
    let read = |bytes: &Vec<u8>| Batch::decode(bytes).expect("what was written");
    bencher.counter(ItemsCount::new(MESSAGES)).bench(|| bytes.iter().map(read).collect::<Vec<_>>());
}
