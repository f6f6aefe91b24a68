//! From files to facts, or the reason why not.
//!
//! Invariant: nothing here panics at any bytes; what is given has been compared with its checksum, value by value where not every
//! byte may be, and length by length.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use arrow::buffer::Buffer;
use rayon::prelude::*;
use serde::de::DeserializeOwned;
use twox_hash::XxHash3_64;

use super::manifest::{Entry, Head, Manifest, VERSION, checksum};
use super::map::map;
use super::{LOCK, MANIFEST, is_of_columns};
use crate::facts::Facts;
use crate::model::Flat;
use crate::model::flat::{Element, Visitor};

/// Times that a manifest is read again because its files have been replaced in the meantime.
const ATTEMPTS_MAX: usize = 3;

/// Why columns are not used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stale {
    /// There are none.
    #[error("there was none")]
    Absent,
    /// They are of another version of their form, or of the program.
    #[error("it is of another version")]
    Version,
    /// They are of something else.
    #[error("{0}")]
    Other(String),
    /// A file is not what was written.
    #[error("{file} is damaged: {detail}")]
    Damaged {
        /// The file.
        file: String,
        /// What is wrong with it.
        detail: String,
    },
}

impl Stale {
    pub(crate) fn damaged(file: &str, detail: impl Into<String>) -> Self {
        Self::Damaged { file: file.to_owned(), detail: detail.into() }
    }

    /// Whether the operator should be told.
    #[must_use]
    pub const fn is_trouble(&self) -> bool {
        matches!(self, Self::Version | Self::Damaged { .. })
    }
}

/// The facts whose columns a folder keeps, if `is_of` finds them to be of what is wanted, and what is kept beside them.
///
/// # Errors
/// [`Stale`].
pub fn open<K: DeserializeOwned>(
    dir: &Path,
    is_of: impl Fn(&K) -> Result<(), String>,
) -> Result<(Facts, Buffer), Stale> {
    let mut text = read_manifest(dir)?;
    for _ in 0..ATTEMPTS_MAX {
        let opened = parse(&text).and_then(|manifest: Manifest<K>| {
            is_of(&manifest.of).map_err(Stale::Other)?;
            open_columns(dir, manifest.columns, &manifest.beside)
        });
        let Err(why) = opened else { return opened };
        // Another run may have put new columns in the place of those whose manifest was read.
        let again = read_manifest(dir)?;
        if again == text {
            return Err(why);
        }
        text = again;
    }
    Err(Stale::damaged(MANIFEST, "it does not stay the same"))
}

fn read_manifest(dir: &Path) -> Result<Vec<u8>, Stale> {
    match fs::read(dir.join(MANIFEST)) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == ErrorKind::NotFound && !has_columns(dir) => Err(Stale::Absent),
        Err(error) => Err(Stale::damaged(MANIFEST, error.to_string())),
    }
}

fn has_columns(dir: &Path) -> bool {
    let is_column = |entry: fs::DirEntry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        is_of_columns(&name) && name != LOCK
    };
    fs::read_dir(dir).is_ok_and(|entries| entries.flatten().any(is_column))
}

/// What a manifest's text says, which has its checksum on a line of its own.
fn parse<K: DeserializeOwned>(text: &[u8]) -> Result<Manifest<K>, Stale> {
    let broken = |detail: &str| Stale::damaged(MANIFEST, detail);
    let mut lines = text.split(|&byte| byte == b'\n');
    let (Some(line), Some(sum), Some([]), None) = (lines.next(), lines.next(), lines.next(), lines.next()) else {
        return Err(broken("it is not two lines"));
    };
    if seal(line).as_bytes() != sum {
        return Err(broken("its checksum is another"));
    }
    let head: Head = serde_json::from_slice(line).map_err(|error| Stale::damaged(MANIFEST, error.to_string()))?;
    if (head.version, &*head.engine) != (VERSION, env!("CARGO_PKG_VERSION")) {
        return Err(Stale::Version);
    }
    serde_json::from_slice(line).map_err(|error| Stale::damaged(MANIFEST, error.to_string()))
}

/// The checksum of a manifest's line.
pub(super) fn seal(line: &[u8]) -> String {
    format!("{:016x}", XxHash3_64::oneshot(line))
}

fn open_columns(dir: &Path, columns: BTreeMap<String, Entry>, beside: &Entry) -> Result<(Facts, Buffer), Stale> {
    let beside = open_file(dir, beside)?;
    let opened = columns.into_par_iter().map(|(name, entry)| {
        let bytes = open_file(dir, &entry)?;
        Ok((name, (entry, bytes)))
    });
    let mut columns = Columns { files: opened.collect::<Result<_, Stale>>()? };
    let facts = Facts::of_columns(&mut columns)?;
    let facts = facts.ok_or_else(|| Stale::damaged(MANIFEST, "its columns do not belong together"))?;
    Ok((facts, beside))
}

/// The bytes of a file, if they are those that were written.
fn open_file(dir: &Path, entry: &Entry) -> Result<Buffer, Stale> {
    let Some(name) = &entry.file else { return Ok(Buffer::from(&[][..])) };
    let broken = |detail: std::io::Error| Stale::damaged(name, detail.to_string());
    let file = File::open(dir.join(name)).map_err(broken)?;
    let bytes = file.metadata().map_err(broken)?.len();
    if bytes != entry.bytes {
        return Err(Stale::damaged(name, format!("{bytes} bytes where {} were written", entry.bytes)));
    }
    let bytes = map(&file).map_err(broken)?;
    if checksum(&bytes) != entry.checksum {
        return Err(Stale::damaged(name, "its checksum is another"));
    }
    Ok(bytes)
}

/// Puts columns of files in the place of those it is shown.
struct Columns {
    files: HashMap<String, (Entry, Buffer)>,
}

impl Visitor for Columns {
    type Error = Stale;

    fn column<T: Element>(&mut self, name: &str, column: &mut Flat<T>) -> Result<(), Stale> {
        let (entry, bytes) =
            self.files.remove(name).ok_or_else(|| Stale::damaged(MANIFEST, format!("it does not name {name}")))?;
        let broken = |detail: String| Stale::damaged(entry.file.as_deref().unwrap_or(MANIFEST), detail);
        if entry.value_bytes != size_of::<T>() {
            return Err(broken(format!("its values are of {} bytes", entry.value_bytes)));
        }
        *column = Flat::mapped(bytes).map_err(|misfit| broken(misfit.to_string()))?;
        Ok(())
    }
}
