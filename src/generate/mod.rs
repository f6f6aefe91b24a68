//! A believable city of any size: declarations, check-ins, cases, contacts, stays and all the rest, made from a seed.
//!
//! The one idea: every row is a function of the seed and the row's number, so nothing has to be kept, any thread can make any
//! row group, and the epidemic can be played over the very contacts that are written later. Memory is a few bits a person, the
//! patients, and the row groups in hand.
//!
//! Invariants: the same order gives the same bytes, whatever the threads; no clock is read; tables appear whole or not at all;
//! without dirt every row is valid.

mod bits;
mod calendar;
mod cells;
mod city;
mod contacts;
mod course;
mod declarations;
mod dirt;
mod divisions;
mod epidemic;
mod listings;
pub mod messages;
mod output;
mod random;
mod stays;
mod tables;
#[cfg(test)]
mod tests;
mod withdrawn;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::model::{Table, Timestamp};
use crate::sinks::{self, SinkError, Staged};

use city::City;
use epidemic::Epidemic;
use tables::World;

/// Days of a city if none are given: the counts of people's facts are those of so many days.
pub const DAYS_DEFAULT: u32 = 30;
/// The file beside the tables that says what they are; whoever reads tables passes over names with `_`.
pub const ABOUT: &str = "_about.json";

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// People, at least one.
    pub people: u32,
    /// Another seed is another city.
    pub seed: u64,
    /// Days of facts, at least one.
    pub days: u32,
    /// Whether bad rows stand between the good ones.
    pub dirt: bool,
}

/// Who watches, and may stop it. Called from several threads.
pub trait Watcher: Sync {
    /// All work is so much.
    fn begin(&self, _work: u64) {}
    /// The epidemic (`None`) or a table begins.
    fn step(&self, _table: Option<Table>) {}
    /// So much more work is done.
    fn advance(&self, _work: u64) {}
    /// Whether to stop with [`GenerateError::Interrupted`].
    fn interrupted(&self) -> bool {
        false
    }
}

/// A watcher that only looks on.
#[derive(Clone, Copy, Debug)]
pub struct Unwatched;

impl Watcher for Unwatched {}

/// Why there is no city.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The watcher said to stop.
    #[error("interrupted")]
    Interrupted,
    /// The directory cannot be made or listed.
    #[error("cannot use the directory {}: {cause}", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The directory holds something that is not a generated city.
    #[error("{} is not empty and holds no generated city; choose another directory", .path.display())]
    Occupied {
        /// The directory.
        path: PathBuf,
    },
    /// A table cannot be written.
    #[error(transparent)]
    Sink(#[from] SinkError),
}

/// What was made.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Rows by table.
    pub rows: BTreeMap<Table, u64>,
    /// The instant proposed for codes: the midnight that ends the last day.
    pub as_of: Timestamp,
    /// The same, on the city's clock.
    pub as_of_text: String,
    /// Infections by the end, known or not.
    pub infections: u64,
    /// Of those, brought in from elsewhere.
    pub imported: u64,
}

/// Makes a city in a directory. Cost: a second a million people and thread for the epidemic, several for the tables.
///
/// # Errors
/// [`GenerateError`]; the directory is then as it was.
pub fn generate(order: &Order, out: &Path, watcher: &dyn Watcher) -> Result<Report, GenerateError> {
    let made = prepare(out)?;
    let result = fill(order, out, watcher);
    if made && result.is_err() {
        // Only an empty directory goes: whatever else came to be there is not ours.
        drop(std::fs::remove_dir(out));
    }
    result
}

/// Makes the directory if it is not there (then true), or checks that it may be filled.
fn prepare(out: &Path) -> Result<bool, GenerateError> {
    let failed = |cause| GenerateError::Directory { path: out.to_owned(), cause };
    if !out.exists() {
        std::fs::create_dir_all(out).map_err(failed)?;
        return Ok(true);
    }
    let is_empty = std::fs::read_dir(out).map_err(failed)?.next().is_none();
    if !is_empty && !out.join(ABOUT).exists() {
        return Err(GenerateError::Occupied { path: out.to_owned() });
    }
    Ok(false)
}

fn fill(order: &Order, out: &Path, watcher: &dyn Watcher) -> Result<Report, GenerateError> {
    let world = imagine(order, watcher)?;
    let mut report = Report {
        as_of: world.city.calendar.as_of(),
        as_of_text: world.city.calendar.as_of_text(),
        infections: world.epidemic.infections.len() as u64,
        imported: world.epidemic.imported().count() as u64,
        ..Report::default()
    };
    let mut staged = Vec::new();
    for table in Table::ALL {
        watcher.step(Some(table));
        let path = out.join(format!("{}.parquet", table.name()));
        let (file, rows) = output::write(&world, table, order.dirt, &path, watcher)?;
        staged.push(file);
        report.rows.insert(table, rows);
    }
    staged.push(stage_about(order, &report, &out.join(ABOUT))?);
    sinks::commit(staged)?;
    Ok(report)
}

/// The city with its epidemic, before anything is written.
fn imagine(order: &Order, watcher: &dyn Watcher) -> Result<World, GenerateError> {
    let city = City::new(order);
    let meetings = contacts::daily(&city).total();
    // Playing a contact is work as writing one is; the other tables are guessed, exact numbers follow from the epidemic.
    let people = u64::from(order.people);
    let days = u64::from(order.days);
    watcher.begin(2 * meetings + people + people * 13 / 2 * days / u64::from(DAYS_DEFAULT));
    watcher.step(None);
    let epidemic = Epidemic::play(&city, watcher)?;
    let listings = listings::listings(&city);
    Ok(World::new(city, epidemic, listings))
}

fn stage_about(order: &Order, report: &Report, path: &Path) -> Result<Staged, SinkError> {
    let rows: Map<String, Value> =
        report.rows.iter().map(|(table, &rows)| (table.name().to_owned(), rows.into())).collect();
    let about = json!({
        "what": "a city made by `sanma generate`: nobody in it is real",
        "people": order.people,
        "seed": order.seed,
        "days": order.days,
        "dirt": order.dirt,
        "as_of": report.as_of_text,
        "infections": report.infections,
        "imported": report.imported,
        "rows": rows,
    });
    Staged::write(path, |file| {
        writeln!(file, "{about:#}").map_err(|cause| SinkError::Io { path: path.to_owned(), cause })
    })
}
