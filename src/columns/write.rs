//! From columns to files.
//!
//! The one idea: all files are written under temporary names first; only then they get their own, the manifest last, and what
//! the new manifest does not name is removed. A run that dies leaves the old ones or files that nobody names.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tempfile::NamedTempFile;

use super::manifest::{Entry, Manifest, VERSION, checksum};
use super::open::seal;
use super::{LOCK, MANIFEST, PREFIX, TEMPORARY, is_of_columns, is_unfinished};
use crate::model::Flat;
use crate::model::flat::{Element, Visitor};

/// Bytes written between two looks at whether to stop.
const WRITE_BYTES: usize = 1 << 24;

/// Why columns were not kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The file system refused.
    #[error("{}: {cause}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Another run is writing there.
    #[error("another run is writing to {}", .dir.display())]
    Busy {
        /// The folder.
        dir: PathBuf,
    },
    /// The run was told to stop.
    #[error("interrupted")]
    Interrupted,
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> KeepError + '_ {
    move |cause| KeepError::Io { path: path.to_owned(), cause }
}

/// Keeps the columns that `fill` shows, and some bytes beside them, in a folder, which is made if it is not there; `of` says what they
/// are of.
///
/// # Errors
/// [`KeepError`]; what was kept earlier is then as it was.
pub fn keep(
    dir: &Path,
    of: impl Serialize,
    beside: &[u8],
    fill: impl FnOnce(&mut Writer<'_>) -> Result<(), KeepError>,
    interrupted: &dyn Fn() -> bool,
) -> Result<(), KeepError> {
    fs::create_dir_all(dir).map_err(io(dir))?;
    let lock_path = dir.join(LOCK);
    let lock = File::options().create(true).append(true).open(&lock_path).map_err(io(&lock_path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(KeepError::Busy { dir: dir.to_owned() }),
        Err(TryLockError::Error(cause)) => return Err(io(&lock_path)(cause)),
    }
    // What a run that died has left takes the room that this one needs.
    sweep(dir, is_unfinished);
    let mut writer = Writer { dir, staged: Vec::new(), columns: BTreeMap::new(), interrupted };
    fill(&mut writer)?;
    let beside = writer.stage("beside", beside, 1)?;
    let Writer { staged, columns, .. } = writer;
    let manifest = Manifest { version: VERSION, engine: env!("CARGO_PKG_VERSION").to_owned(), of, columns, beside };
    let mut text = serde_json::to_vec(&manifest).map_err(|error| io(dir)(error.into()))?;
    let sum = seal(&text);
    text.extend_from_slice(format!("\n{sum}\n").as_bytes());
    let mut last = temporary(dir)?;
    last.write_all(&text).map_err(io(dir))?;
    for (file, name) in staged.into_iter().chain([(last, MANIFEST.to_owned())]) {
        let path = dir.join(name);
        file.persist(&path).map_err(|refused| io(&path)(refused.error))?;
    }
    let entries = manifest.columns.values().chain([&manifest.beside]);
    let named: Vec<&str> = entries.filter_map(|entry| entry.file.as_deref()).collect();
    sweep(dir, |name| name != LOCK && !named.contains(&name));
    drop(lock);
    Ok(())
}

/// Removes files of columns for which `unwanted` holds. What cannot be removed costs room, nothing else.
fn sweep(dir: &Path, unwanted: impl Fn(&str) -> bool) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| is_of_columns(name) && name != MANIFEST && unwanted(name)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn temporary(dir: &Path) -> Result<NamedTempFile, KeepError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(TEMPORARY);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // As any file that the operator's programs make: their umask decides.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(dir).map_err(io(dir))
}

/// Writes the columns it is shown.
#[expect(missing_debug_implementations, reason = "files half written")]
pub struct Writer<'a> {
    dir: &'a Path,
    staged: Vec<(NamedTempFile, String)>,
    columns: BTreeMap<String, Entry>,
    interrupted: &'a dyn Fn() -> bool,
}

impl Writer<'_> {
    fn stage(&mut self, name: &str, bytes: &[u8], value_bytes: usize) -> Result<Entry, KeepError> {
        let checksum = checksum(bytes);
        let mut entry = Entry { file: None, bytes: bytes.len() as u64, value_bytes, checksum };
        if bytes.is_empty() {
            return Ok(entry);
        }
        let file = format!("{PREFIX}{name}.{}", entry.checksum);
        let path = self.dir.join(&file);
        let mut staged = temporary(self.dir)?;
        for piece in bytes.chunks(WRITE_BYTES) {
            if (self.interrupted)() {
                return Err(KeepError::Interrupted);
            }
            staged.write_all(piece).map_err(io(&path))?;
        }
        self.staged.push((staged, file.clone()));
        entry.file = Some(file);
        Ok(entry)
    }
}

impl Visitor for Writer<'_> {
    type Error = KeepError;

    fn column<T: Element>(&mut self, name: &str, column: &mut Flat<T>) -> Result<(), KeepError> {
        let entry = self.stage(name, column.bytes(), size_of::<T>())?;
        self.columns.insert(name.to_owned(), entry);
        Ok(())
    }
}
