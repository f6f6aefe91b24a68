//! Files to facts: finds the tables of a data directory, decodes them in parallel, checks every row. And the messages of a
//! [`feed`], whose rows are checked by the same code.
//!
//! The one idea: work is cut into pieces (row groups, runs of batches, blocks of text) that know nothing of each other; each
//! gives typed columns with provisional ids and the rows it refused; putting the pieces together in order is the only
//! sequential step. Memory is bounded by the result plus a piece a thread.
//!
//! Invariants: `ingest` never looks at a rule; a row is either in the tables or among the rejections; nothing is returned if
//! any file cannot be read whole.

/// What a generic function is for each table, in their order.
macro_rules! by_table {
    ($function:ident) => {{
        use $crate::model::facts::{
            Cases, Checkins, Contacts, Declarations, Findings, Quarantines, Reviews, RiskAreas, Stays, Tests, Whitelist,
        };
        [
            $function::<Declarations>,
            $function::<Checkins>,
            $function::<Cases>,
            $function::<Quarantines>,
            $function::<Contacts>,
            $function::<Stays>,
            $function::<RiskAreas>,
            $function::<Tests>,
            $function::<Whitelist>,
            $function::<Findings>,
            $function::<Reviews>,
        ]
    }};
}

mod batches;
mod cells;
mod columnar;
mod error;
pub mod feed;
mod fields;
mod guard;
mod ipc;
mod layout;
mod listings;
mod objects;
mod published;
mod row_json;
mod rows;
mod split;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

pub use error::{IngestError, Place};
pub use guard::quiet_decoders;
pub use layout::{Compression, Format, Layout, SourceFile, discover};
pub use listings::load_listings;
pub use published::Published;

use cells::{Chunk, Interners, Refusal};
use rows::{Columns, Decode, Remaps};

use crate::intern::Tokens;
use crate::limits::TABLE_ROWS_MAX;
use crate::model::facts::Tables;
use crate::model::{Reason, Rejection, Table};

/// Who watches a load, and may stop it. Called from several threads.
pub trait Observer: Sync {
    /// The load begins; so many bytes of files are to be read.
    fn begin(&self, _bytes: u64) {}
    /// So many bytes more have been read.
    fn advance(&self, _bytes: u64) {}
    /// Whether the load shall stop with [`IngestError::Interrupted`].
    fn interrupted(&self) -> bool {
        false
    }
}

/// An observer that only looks on.
pub struct Unobserved;

impl Observer for Unobserved {}

/// Facts as loaded.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The rows.
    pub tables: Tables,
    /// Tokens of persons, by [`crate::model::PersonId`].
    pub persons: Tokens,
    /// Tokens of places, by [`crate::model::PlaceId`].
    pub places: Tokens,
    /// Texts, by [`crate::model::LabelId`].
    pub labels: Tokens,
    /// Rows refused, by table, source and offset.
    pub rejections: Vec<Rejection>,
    /// Rows replaced by a later row of the same id, a table each; tables without any are absent.
    pub duplicates: BTreeMap<Table, u64>,
    /// Names of the files read, by [`crate::model::Origin::source`].
    pub sources: Vec<String>,
    /// What looked odd, in words.
    pub warnings: Vec<String>,
}

/// What the tasks of a load share.
struct Sources<'a> {
    interners: Interners,
    observer: &'a dyn Observer,
}

impl Sources<'_> {
    fn check_interrupted(&self) -> Result<(), IngestError> {
        if self.observer.interrupted() { Err(IngestError::Interrupted) } else { Ok(()) }
    }
}

/// The result of one piece of work.
#[derive(Default)]
struct Part<C> {
    rows: C,
    rejections: Vec<Rejection>,
}

impl<C: Decode> Part<C> {
    /// Checks the rows of a decoded chunk: each goes to the rows or to the rejections. Gives the numbers of those refused.
    fn take(
        &mut self,
        mut chunk: Chunk,
        source: &str,
        offset_of: impl Fn(usize) -> u64,
        row_json: impl Fn(usize) -> String,
    ) -> Vec<usize> {
        let cells = chunk.refusals();
        let ids =
            if cells.is_empty() { Vec::new() } else { (0..chunk.rows).map(|row| chunk.legible_id(row)).collect() };
        let mut rows = C::columns(Columns::new(&mut chunk, &offset_of));
        let refusal = |row: usize| match cells.get(row) {
            Some(&Some(refusal)) => Some(refusal),
            _ => C::check(&rows.row(row)).err(),
        };
        let refused: Vec<(usize, Refusal)> = (0..chunk.rows).filter_map(|row| Some((row, refusal(row)?))).collect();
        if !refused.is_empty() {
            let mut keep = vec![true; chunk.rows];
            for &(row, Refusal { reason, column }) in &refused {
                keep[row] = false;
                self.rejections.push(Rejection {
                    table: Some(C::TABLE),
                    id: ids.get(row).copied().unwrap_or_else(|| Some(rows.ids()[row])),
                    reason,
                    column,
                    row: row_json(row),
                    source: source.to_owned(),
                    offset: offset_of(row),
                });
            }
            rows.retain(&keep);
        }
        self.rows.append(&mut rows);
        refused.into_iter().map(|(row, _)| row).collect()
    }
}

/// The refusal of what is no record, or no message.
fn malformed(table: Option<Table>, source: &str, offset: u64, row: &serde_json::Value) -> Rejection {
    let (reason, row, source) = (Reason::Malformed, row.to_string(), source.to_owned());
    Rejection { table, id: None, reason, column: None, row, source, offset }
}

/// Loads all facts of a data directory.
///
/// # Errors
/// The first file, in order, that cannot be read whole; see [`IngestError`].
pub fn load(dir: &Path, observer: &dyn Observer) -> Result<Loaded, IngestError> {
    load_layout(discover(dir)?, observer)
}

/// Loads the facts of files that [`discover`] has found. Its warnings come first among those of the load.
///
/// # Errors
/// As [`load`].
pub fn load_layout(layout: Layout, observer: &dyn Observer) -> Result<Loaded, IngestError> {
    let size = |file: &SourceFile| std::fs::metadata(&file.path).map_or(0, |meta| meta.len());
    observer.begin(layout.files.iter().map(size).sum());
    let sources = Sources { interners: Interners::default(), observer };
    let mut loaded = Loaded {
        sources: layout.files.iter().map(|file| file.name.clone()).collect(),
        warnings: layout.warnings,
        ..Loaded::default()
    };
    // Tables are read side by side, and put in place in order, so that of several bad files the first one is named.
    let tables: Vec<Result<Absorb, IngestError>> =
        LOADERS.par_iter().map(|load_table| load_table(&layout.files, &sources)).collect();
    for absorb in tables {
        absorb?(&mut loaded);
    }
    loaded
        .rejections
        .sort_by(|one, other| (one.table, &one.source, one.offset).cmp(&(other.table, &other.source, other.offset)));
    (loaded.persons, loaded.places, loaded.labels) = name_all(sources.interners, &mut loaded.tables);
    Ok(loaded)
}

/// Puts a table that has been read in its place.
type Absorb = Box<dyn FnOnce(&mut Loaded) + Send>;

type Loader = fn(&[SourceFile], &Sources<'_>) -> Result<Absorb, IngestError>;

const LOADERS: [Loader; Table::ALL.len()] = by_table!(load_table);

/// Ends a load: the tokens of persons, places and labels, and their final ids in the tables' rows.
fn name_all(interners: Interners, tables: &mut Tables) -> (Tokens, Tokens, Tokens) {
    let Interners { persons, places, labels } = interners;
    let (persons, persons_remap) = persons.freeze();
    let (places, places_remap) = places.freeze();
    let (labels, labels_remap) = labels.freeze();
    let maps = &mut Remaps { persons: persons_remap, places: places_remap, labels: labels_remap };
    tables.declarations.visit_names(maps);
    tables.checkins.visit_names(maps);
    tables.cases.visit_names(maps);
    tables.quarantines.visit_names(maps);
    tables.contacts.visit_names(maps);
    tables.stays.visit_names(maps);
    tables.risk_areas.visit_names(maps);
    tables.tests.visit_names(maps);
    tables.whitelist.visit_names(maps);
    tables.findings.visit_names(maps);
    tables.reviews.visit_names(maps);
    (persons, places, labels)
}

fn load_table<C: Decode + 'static>(files: &[SourceFile], sources: &Sources<'_>) -> Result<Absorb, IngestError> {
    let mine: Vec<(u32, &SourceFile)> = (0..).zip(files).filter(|(_, file)| file.table == C::TABLE).collect();
    let read: Vec<Result<FileRead<C>, IngestError>> =
        mine.par_iter().map(|(source, file)| load_file::<C>(file, *source, sources)).collect();
    let mut extra = BTreeSet::new();
    let mut parts = Vec::new();
    for file in read {
        let mut file = file?;
        parts.append(&mut file.parts);
        extra.append(&mut file.extra);
    }
    let rows: usize = parts.iter().map(|part| part.rows.len()).sum();
    if rows > TABLE_ROWS_MAX {
        return Err(IngestError::TooManyRows { what: format!("table {}", C::TABLE.name()) });
    }
    let mut table = C::default();
    let mut rejections = Vec::new();
    for (number, mut part) in parts.into_iter().enumerate() {
        rejections.append(&mut part.rejections);
        if number == 0 {
            // The first part's columns are grown to hold all: a table in one piece is not copied at all.
            table = part.rows;
            table.reserve(rows - table.len());
        } else {
            table.append(&mut part.rows);
        }
    }
    let kept = last_of_each_id(table.ids().base());
    let replaced = kept.as_ref().map(|kept| (table.len() - kept.len()) as u64);
    if let Some(kept) = kept {
        table.permute(&kept);
    }
    Ok(Box::new(move |loaded| {
        *C::of_mut(&mut loaded.tables) = table;
        loaded.rejections.append(&mut rejections);
        loaded.duplicates.extend(replaced.map(|replaced| (C::TABLE, replaced)));
        if !extra.is_empty() {
            let names = extra.into_iter().collect::<Vec<_>>().join(", ");
            loaded.warnings.push(format!("{}: unknown columns are ignored: {names}", C::TABLE.name()));
        }
    }))
}

/// A file that has been read: its parts in order, and the names of columns that its table does not know.
struct FileRead<C> {
    parts: Vec<Part<C>>,
    extra: BTreeSet<String>,
}

fn load_file<C: Decode>(file: &SourceFile, source: u32, sources: &Sources<'_>) -> Result<FileRead<C>, IngestError> {
    sources.check_interrupted()?;
    let (tasks, extra) = match file.format {
        Format::Parquet => columnar::plan_parquet(file)?,
        Format::Arrow => columnar::plan_arrow(file)?,
        Format::Csv(_) | Format::Ndjson(_) => {
            let (parts, extra) = text::run(file, source, sources)?;
            sources.observer.advance(std::fs::metadata(&file.path).map_or(0, |meta| meta.len()));
            return Ok(FileRead { parts, extra });
        }
    };
    let failed = Mutex::new(None::<(usize, IngestError)>);
    let parts: Vec<Part<C>> = tasks
        .par_iter()
        .enumerate()
        .filter_map(|(number, task)| match columnar::run::<C>(file, source, task, sources) {
            Ok(part) => {
                sources.observer.advance(task.bytes());
                Some(part)
            }
            Err(error) => {
                // Of several broken row groups the first is named, whichever thread met one first.
                let mut first = failed.lock().unwrap_or_else(PoisonError::into_inner);
                if first.as_ref().is_none_or(|(earlier, _)| number < *earlier) {
                    *first = Some((number, error));
                }
                None
            }
        })
        .collect();
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((_, error)) => Err(error),
        None => Ok(FileRead { parts, extra: extra.into_iter().collect() }),
    }
}

/// The rows to keep, in order, if an id is there twice: of equal ids the last row. `None` if all ids differ.
/// Cost: one pass where ids ascend, as writers usually leave them; else a sort.
fn last_of_each_id(ids: &[u64]) -> Option<Vec<u32>> {
    if ids.windows(2).all(|pair| pair[0] < pair[1]) {
        return None;
    }
    let mut keyed: Vec<(u64, u32)> = ids.iter().copied().zip(0..).collect();
    keyed.par_sort_unstable();
    let is_last = |place: usize| keyed.get(place + 1).is_none_or(|next| next.0 != keyed[place].0);
    let mut kept: Vec<u32> = (0..keyed.len()).filter(|&place| is_last(place)).map(|place| keyed[place].1).collect();
    if kept.len() == ids.len() {
        return None;
    }
    kept.par_sort_unstable();
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_ids_the_last_row_is_kept_in_order() {
        assert_eq!(last_of_each_id(&[1, 2, 3]), None);
        assert_eq!(last_of_each_id(&[3, 1, 2]), None);
        assert_eq!(last_of_each_id(&[5, 1, 5, 2, 1]), Some(vec![2, 3, 4]));
        assert_eq!(last_of_each_id(&[]), None);
    }
}
