//! Facts kept ready from one run to the next.
//!
//! The one idea: columns and indexes are kept as files (`columns`), with what the load said of the data; a run whose data have not
//! changed maps them.
//!
//! Invariants: what is used is what was written; a cache that is damaged, of another version or of other data is never used and never
//! an error; data are known by each file's name, size and times of modification and of change (the second moves where a file is
//! put in another's place with its times), taken before the file is read and compared after.
//!
//! Cost: that of opening columns, and their size once more on disk. A changed, new or missing file of the data means that all are
//! read again.

mod kept;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kept::{Said, Stamp};

use crate::columns::{self, Stale};
use crate::facts::{Facts, Names};
use crate::ingest::{self, IngestError, Layout, Loaded, Observer};
use crate::model::{Rejection, Table};

/// Why facts were not kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// Their columns cannot be.
    #[error("the cache is not written: {0}")]
    Columns(#[from] columns::KeepError),
    /// A file of the data has changed since the run began to read it.
    #[error("the cache is not written: {} changed while it was read", .path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

/// Facts ready to be evaluated, with what their load said.
#[derive(Debug, Default)]
pub struct Ready {
    /// The facts.
    pub facts: Facts,
    /// Rows refused, by table, source and offset.
    pub rejections: Vec<Rejection>,
    /// Rows replaced by a later row of the same id, a table each; tables without any are absent.
    pub duplicates: BTreeMap<Table, u64>,
    /// Names of the files, by [`crate::model::Origin::source`].
    pub sources: Vec<String>,
    /// What looked odd, in words.
    pub warnings: Vec<String>,
}

/// How a cache served a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Files of the data that did not have to be read.
    pub files_reused: usize,
    /// Files of the data that were.
    pub files_read: usize,
    /// Why all of them were, if so.
    pub rebuilt: Option<String>,
}

/// A directory that has given a run its facts, or will be given them.
#[derive(Debug)]
pub struct Cache {
    served: Served,
    unkept: Option<Unkept>,
}

/// What is to be kept beside the facts.
#[derive(Debug)]
struct Unkept {
    dir: PathBuf,
    /// Paths and stamps of the data's files, from before they were read.
    files: Vec<(PathBuf, Stamp)>,
    said: Said,
}

/// Loads the facts of a data directory: out of a cache if one is named and is of these data, else from the files.
///
/// # Errors
/// As [`ingest::load`]. A cache that cannot be used is a warning at most.
pub fn load(data: &Path, cache: Option<&Path>, observer: &dyn Observer) -> Result<(Ready, Option<Cache>), IngestError> {
    let layout = ingest::discover(data)?;
    let Some(dir) = cache else { return Ok((build(layout, observer)?, None)) };
    let files: Vec<(PathBuf, Stamp)> = layout.files.iter().map(|file| (file.path.clone(), Stamp::of(file))).collect();
    let stamps: Vec<Stamp> = files.iter().map(|(_, stamp)| stamp.clone()).collect();
    let why = match open(dir, &stamps) {
        Ok((facts, said)) => {
            let served = Served { files_reused: files.len(), ..Served::default() };
            let sources = layout.files.into_iter().map(|file| file.name).collect();
            let warnings = layout.warnings.into_iter().chain(said.warnings).collect();
            let ready = Ready { facts, rejections: said.rejections, duplicates: said.duplicates, sources, warnings };
            return Ok((ready, Some(Cache { served, unkept: None })));
        }
        Err(why) => why,
    };
    let odd_entries = layout.warnings.len();
    let mut ready = build(layout, observer)?;
    let said = Said {
        rejections: ready.rejections.clone(),
        duplicates: ready.duplicates.clone(),
        warnings: ready.warnings[odd_entries..].to_vec(),
    };
    if why.is_trouble() {
        ready.warnings.push(format!("the cache in {} is not used: {why}", dir.display()));
    }
    let served = Served { files_reused: 0, files_read: files.len(), rebuilt: Some(why.to_string()) };
    Ok((ready, Some(Cache { served, unkept: Some(Unkept { dir: dir.to_owned(), files, said }) })))
}

/// The facts that a directory keeps of data with these stamps, with what their load said.
fn open(dir: &Path, stamps: &[Stamp]) -> Result<(Facts, Said), Stale> {
    let (facts, said) = columns::open(dir, |kept: &Vec<Stamp>| {
        if kept == stamps {
            return Ok(());
        }
        let same = stamps.iter().filter(|stamp| kept.contains(stamp)).count();
        let gone = kept.iter().filter(|one| !stamps.iter().any(|stamp| stamp.name == one.name)).count();
        let (changed, files) = (stamps.len() - same + gone, stamps.len() + gone);
        Err(format!("{changed} of {files} files are new, changed or missing"))
    })?;
    let said = Said::of_json(&said);
    let said = said.ok_or_else(|| Stale::damaged("what was kept beside the columns", "it says something else"))?;
    Ok((facts, said))
}

fn build(layout: Layout, observer: &dyn Observer) -> Result<Ready, IngestError> {
    let Loaded { tables, persons, places, labels, rejections, duplicates, sources, warnings } =
        ingest::load_layout(layout, observer)?;
    let facts = Facts::new(tables, Names { persons, places, labels });
    Ok(Ready { facts, rejections, duplicates, sources, warnings })
}

impl Cache {
    /// How it served.
    #[must_use]
    pub const fn served(&self) -> &Served {
        &self.served
    }

    /// Keeps the facts that [`load`] gave, unless they came from here. Cost: a pass over all columns for their checksums, and
    /// writing them.
    ///
    /// # Errors
    /// [`KeepError`]; what was kept earlier is then as it was.
    pub fn keep(self, facts: &mut Facts, interrupted: &dyn Fn() -> bool) -> Result<(), KeepError> {
        let Some(Unkept { dir, files, said }) = self.unkept else { return Ok(()) };
        if let Some((path, _)) = files.iter().find(|(path, stamp)| stamp.has_moved(path)) {
            return Err(KeepError::Changed { path: path.clone() });
        }
        let stamps: Vec<Stamp> = files.into_iter().map(|(_, stamp)| stamp).collect();
        let said = said.to_json().map_err(|error| columns::KeepError::Io { path: dir.clone(), cause: error.into() })?;
        Ok(columns::keep(&dir, stamps, &said, |writer| facts.visit(writer), interrupted)?)
    }
}
