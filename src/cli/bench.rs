//! `sanma bench run`: how long a run takes to answer facts that come at a given rate.
//!
//! The one idea: an open loop. Each lot of messages is due at an instant of its own, whether those before have been answered or not, and
//! what it took is counted from there, so that a run which is late is not asked less. It is asked as HTTP asks it, without the
//! sockets: an answer says that what was sent is on the disk, followed, and its changes told.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::Sender;
use hdrhistogram::Histogram;
use serde_json::json;

use super::args::BenchRunArgs;
use super::progress::{self, Progress, Stopwatch};
use super::summary::grouped;
use super::{Failure, config, memory_bytes, peak_rss_bytes, say};
use crate::generate::messages::Messages;
use crate::ingest::Observer;
use crate::ingest::feed::{SourceName, decode, lines};
use crate::journal::Position;
use crate::limits::{JOURNAL_SEGMENT_BYTES, REQUESTS_PENDING_MAX};
use crate::model::{Region, Table, Timestamp};
use crate::run::{self, CHANGES, Changes, Job, Request, Say, Seen, Stage, Watcher};

/// Where people of messages live.
const REGION: u32 = 330_106;
/// Most people of whom messages are: more are not known to caches anyway.
const PEOPLE_MAX: usize = 1 << 20;
/// Highest percentiles last.
const PERCENTILES: [f64; 4] = [50.0, 90.0, 99.0, 99.9];
/// Longest time that can be told apart, in microseconds: ten minutes.
const LONGEST_MICROS: u64 = 600_000_000;

/// What is counted: by table, in microseconds.
#[derive(Default)]
struct Counted {
    took: Mutex<BTreeMap<Table, Histogram<u64>>>,
    refused: AtomicU64,
    changes: AtomicU64,
}

impl Counted {
    fn add(&self, tables: &BTreeMap<Table, u64>, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(LONGEST_MICROS).clamp(1, LONGEST_MICROS);
        let mut took = self.took.lock().unwrap_or_else(PoisonError::into_inner);
        for (&table, &count) in tables {
            let of_table = took.entry(table).or_insert_with(histogram);
            of_table.saturating_record_n(micros, count);
        }
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_MICROS, 3).expect("bounds of a histogram")
}

/// Ends the run when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Watches the run, and ends it when all has been answered.
struct Bench {
    progress: Progress,
    is_over: AtomicBool,
    stopwatch: Stopwatch,
    stages: Mutex<[Duration; Stage::ALL.len()]>,
    /// Memory when counting began.
    rss_bytes: AtomicU64,
    begin: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Observer for Bench {
    fn begin(&self, bytes: u64) {
        self.progress.begin(bytes);
    }

    fn advance(&self, bytes: u64) {
        self.progress.advance(bytes);
    }

    fn interrupted(&self) -> bool {
        self.is_over.load(Ordering::Acquire) || progress::interrupted()
    }
}

impl Watcher for Bench {
    fn now(&self) -> Option<Timestamp> {
        None
    }

    fn ready(&self, _: Position) {
        self.progress.finish();
        self.stopwatch.pass();
        if let Some(begin) = self.begin.lock().unwrap_or_else(PoisonError::into_inner).take() {
            begin();
        }
    }

    fn passed(&self, stage: Stage) {
        let time = self.stopwatch.pass();
        self.stages.lock().unwrap_or_else(PoisonError::into_inner)[stage as usize] += time;
    }
}

/// Runs a store that is of nobody, sends messages, and tells how long the answers took.
///
/// # Errors
/// [`Failure`].
pub(super) fn run(args: &BenchRunArgs, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
    let lot_s = f64::from(args.lot.get()) / f64::from(args.rate.get());
    if lot_s > f64::from(args.seconds) {
        let why = format!(
            "--lot {} at --rate {} is one in {lot_s:.0} s, and --seconds is {}",
            args.lot, args.rate, args.seconds
        );
        return Err(Failure::Usage(why));
    }
    let scratch = args.dir.clone().unwrap_or_else(std::env::temp_dir);
    let store = tempfile::tempdir_in(scratch)?;
    let changes = store.path().join(CHANGES);
    let (requests, asked) = crossbeam_channel::bounded(REQUESTS_PENDING_MAX);
    let counted = Arc::new(Counted::default());
    let bench = Arc::new(Bench {
        progress: Progress::new(args.json),
        is_over: AtomicBool::new(false),
        stopwatch: Stopwatch::new(),
        stages: Mutex::default(),
        rss_bytes: AtomicU64::new(0),
        begin: Mutex::default(),
    });
    let sent = Arc::new(Mutex::new(None));
    let begin = {
        let (args, counted, bench, sent) = (args.clone(), Arc::clone(&counted), Arc::clone(&bench), Arc::clone(&sent));
        move || {
            std::thread::spawn(move || {
                // However it ends, the run does.
                let _over = Over(&bench.is_over);
                *sent.lock().unwrap_or_else(PoisonError::into_inner) = send(&args, &requests, &counted, &bench);
            });
        }
    };
    *bench.begin.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(begin));
    let job = Job {
        store: store.path(),
        data: Some(&args.data),
        rules: Some(&args.rules),
        as_of: Some(args.as_of),
        feeds: None,
        watch: &[],
        requests: Some(&asked),
        changes: Changes::File(&changes),
        parquet: None,
        reasons: false,
        segment_bytes: JOURNAL_SEGMENT_BYTES,
        compact: false,
        out: None,
    };
    let pool = config::pool(args.threads)?;
    let report = pool.install(|| run::run(&job, &mut std::io::sink(), &*bench))?;
    if progress::interrupted() {
        return Err(Failure::Interrupted);
    }
    let sent = sent.lock().unwrap_or_else(PoisonError::into_inner).take();
    let took = sent.ok_or_else(|| {
        Failure::Job(anyhow::anyhow!(
            "not all was answered: the run has ended, or there are fewer than two people in the data"
        ))
    })?;
    for warning in &report.warnings {
        say(&format!("warning: {warning}"));
    }
    tell(args, &counted, took, &bench, out)
}

/// Sends messages and waits for their answers. Gives how long those that count were sent and answered; none if the run has ended.
fn send(args: &BenchRunArgs, requests: &Sender<Request>, counted: &Arc<Counted>, bench: &Bench) -> Option<Duration> {
    let mut messages = messages(args, requests)?;
    let lot = args.lot.get();
    let gap = Duration::from_secs_f64(f64::from(lot) / f64::from(args.rate.get()));
    let lots = |seconds: u32| (f64::from(seconds) / gap.as_secs_f64()).ceil().max(1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of lots")]
    let (warm, all) = (lots(args.warm_up) as u64, (lots(args.warm_up) + lots(args.seconds)) as u64);
    let open = Arc::new(AtomicU64::new(0));
    let begun = progress::clock();
    let mut text = Vec::new();
    for number in 0..all {
        if number == warm {
            *bench.stages.lock().unwrap_or_else(PoisonError::into_inner) = [Duration::ZERO; Stage::ALL.len()];
            bench.rss_bytes.store(memory_bytes("VmRSS:"), Ordering::Relaxed);
        }
        text.clear();
        let mut tables = BTreeMap::new();
        for _ in 0..lot {
            *tables.entry(messages.add(&mut text)).or_default() += 1;
        }
        let events = decode(SourceName { number: 0, name: "bench" }, lines(&text, 1));
        let due = begun + Duration::from_secs_f64(gap.as_secs_f64() * f64::from(u32::try_from(number).ok()?));
        std::thread::sleep(due.saturating_duration_since(progress::clock()));
        open.fetch_add(1, Ordering::AcqRel);
        let (counted, open, counts) = (Arc::clone(counted), Arc::clone(&open), number >= warm);
        let reply = Box::new(move |answer: Result<run::Receipt, run::NotTaken>| {
            let time = progress::clock().saturating_duration_since(due);
            if counts {
                counted.add(&tables, time);
            }
            match answer {
                Ok(receipt) => {
                    counted.refused.fetch_add(receipt.refusals(), Ordering::Relaxed);
                    counted.changes.fetch_add(receipt.changes, Ordering::Relaxed);
                }
                Err(_) => drop(counted.refused.fetch_add(1, Ordering::Relaxed)),
            }
            open.fetch_sub(1, Ordering::AcqRel);
        });
        requests.send(Request::Say(Say { events, bytes: text.len(), key: None, reply })).ok()?;
    }
    while open.load(Ordering::Acquire) > 0 {
        if bench.interrupted() {
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Some(
        progress::clock()
            .saturating_duration_since(begun + Duration::from_secs_f64(gap.as_secs_f64() * lots(args.warm_up))),
    )
}

/// Messages of the people in the data.
fn messages(args: &BenchRunArgs, requests: &Sender<Request>) -> Option<Messages> {
    let (tell, told) = crossbeam_channel::bounded(1);
    requests.send(Request::View(Box::new(move |seen: Seen| drop(tell.send(seen))))).ok()?;
    let seen = told.recv().ok()?;
    let persons = &seen.view.facts().names.persons;
    let step = (persons.len() / PEOPLE_MAX).max(1);
    let people = (0..persons.len()).step_by(step).map(|index| persons.get(index));
    Messages::new(args.seed, people, Region::new(REGION)?, seen.view.as_of())
}

fn tell(
    args: &BenchRunArgs,
    counted: &Counted,
    took: Duration,
    bench: &Bench,
    out: &mut (dyn Write + Send),
) -> Result<(), Failure> {
    let by_table = counted.took.lock().unwrap_or_else(PoisonError::into_inner);
    let mut all = histogram();
    for histogram in by_table.values() {
        all.add(histogram).expect("the same bounds");
    }
    let stages = *bench.stages.lock().unwrap_or_else(PoisonError::into_inner);
    let total: Duration = stages.iter().sum();
    let share = |time: Duration| 100.0 * time.as_secs_f64() / total.as_secs_f64().max(f64::MIN_POSITIVE);
    #[expect(clippy::cast_precision_loss, reason = "to be read")]
    let rate = all.len() as f64 / took.as_secs_f64();
    let rss = (bench.rss_bytes.load(Ordering::Relaxed), memory_bytes("VmRSS:"));
    let (refused, changes) = (counted.refused.load(Ordering::Relaxed), counted.changes.load(Ordering::Relaxed));
    let rows = by_table.iter().map(|(table, histogram)| (table.name(), histogram)).chain([("all", &all)]);
    if args.json {
        let of = |histogram: &Histogram<u64>| {
            let at = PERCENTILES.map(|percentile| histogram.value_at_percentile(percentile));
            let (messages, most) = (histogram.len(), histogram.max());
            json!({"messages": messages, "p50_us": at[0], "p90_us": at[1], "p99_us": at[2], "p999_us": at[3], "max_us": most})
        };
        let took: serde_json::Map<_, _> = rows.map(|(name, histogram)| (name.to_owned(), of(histogram))).collect();
        let stages: serde_json::Map<_, _> = Stage::ALL
            .iter()
            .zip(stages)
            .map(|(stage, time)| (stage.name().to_owned(), time.as_secs_f64().into()))
            .collect();
        let told = json!({
            "rate": args.rate, "lot": args.lot, "seconds": args.seconds, "messages_per_second": rate, "took": took,
            "writer_s": stages, "refused": refused, "changes": changes, "rss_bytes": [rss.0, rss.1],
            "peak_rss_bytes": peak_rss_bytes(),
        });
        writeln!(out, "{told}")?;
        return Ok(());
    }
    writeln!(out, "{:14} {:>12} {:>9} {:>9} {:>9} {:>9} {:>9}", "", "messages", "p50", "p90", "p99", "p99.9", "most")?;
    for (name, histogram) in rows {
        write!(out, "{name:14} {:>12}", grouped(histogram.len()))?;
        let at = PERCENTILES.map(|percentile| histogram.value_at_percentile(percentile));
        for micros in at.into_iter().chain([histogram.max()]) {
            #[expect(clippy::cast_precision_loss, reason = "to be read")]
            write!(out, " {:>9}", format!("{:.2} ms", micros as f64 / 1e3))?;
        }
        writeln!(out)?;
    }
    let stages = Stage::ALL.iter().zip(stages).map(|(stage, time)| format!("{} {:.0} %", stage.name(), share(time)));
    writeln!(out, "writer: {}", stages.collect::<Vec<_>>().join(", "))?;
    writeln!(
        out,
        "{rate:.0} messages a second of {} wanted, {} a lot; {} changes told, {} refused",
        args.rate,
        args.lot,
        grouped(changes),
        grouped(refused)
    )?;
    let [before, after, peak] = [rss.0, rss.1, peak_rss_bytes()].map(|bytes| bytes / 1_000_000);
    writeln!(out, "memory {before} MB when counting began, {after} MB at the end, {peak} MB at the most")?;
    Ok(())
}
