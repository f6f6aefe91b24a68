//! A disk in memory that loses what a real one may lose, decided by a seed.
//!
//! The one idea: a file is what was synced and a list of what was done to it since; a crash keeps any of those, a write by
//! sectors, in any combination. Names of files are kept or lost apart from their content.
//!
//! What it assumes of a disk: a sector is written whole or not at all; what was synced stays, unless the disk [lies](Fault::Lie).

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::JournalError;
use super::storage::{Storage, StorageFile};

const SECTOR_BYTES: usize = 512;

/// What goes wrong next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// After so many writes, one is cut short: the disk is full.
    Write(u32),
    /// After so many syncs, one fails: what it was for may be lost, and the next one succeeds.
    Sync(u32),
    /// No sync does anything, and all succeed.
    Lie,
}

/// A disk that can be dropped and found again.
#[derive(Clone, Debug)]
pub struct Disk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    seed: u64,
    fault: Option<Fault>,
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    synced_names: BTreeMap<String, usize>,
}

#[derive(Clone, Debug, Default)]
struct Content {
    now: Vec<u8>,
    synced: Vec<u8>,
    pending: Vec<Edit>,
}

#[derive(Clone, Debug)]
enum Edit {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

impl State {
    /// A number below a bound.
    fn draw(&mut self, bound: usize) -> usize {
        self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.seed;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ mixed >> 31) % bound as u64).expect("below the bound")
    }

    fn chance(&mut self) -> bool {
        self.draw(2) == 0
    }

    /// Counts down to a fault. Gives whether it is now.
    fn is_due(&mut self, kind: fn(u32) -> Fault) -> bool {
        match self.fault {
            Some(fault @ (Fault::Write(left) | Fault::Sync(left))) if fault == kind(left) => {
                self.fault = left.checked_sub(1).map(kind);
                left == 0
            }
            _ => false,
        }
    }

    /// What is found of some edits that were never synced.
    fn keep_some(&mut self, bytes: &mut Vec<u8>, edits: Vec<Edit>) {
        let all = self.draw(4) == 0;
        for edit in edits {
            match edit {
                Edit::Truncate(length) if all || self.chance() => bytes.truncate(length),
                Edit::Truncate(_) => {}
                Edit::Write(offset, written) => {
                    let mut at = 0;
                    while at < written.len() {
                        let end =
                            written.len().min((offset + at) / SECTOR_BYTES * SECTOR_BYTES + SECTOR_BYTES - offset);
                        if all || self.chance() {
                            write(bytes, offset + at, &written[at..end], self.chance());
                        }
                        at = end;
                    }
                }
            }
        }
    }
}

/// Writes at an offset; what lies between the end and it is zero, or what another file left there.
fn write(bytes: &mut Vec<u8>, offset: usize, written: &[u8], zero: bool) {
    let end = offset + written.len();
    if bytes.len() < end {
        bytes.resize(end, if zero { 0 } else { 0xA5 });
    }
    bytes[offset..end].copy_from_slice(written);
}

fn no_space() -> io::Error {
    io::Error::from(io::ErrorKind::StorageFull)
}

fn failure(name: &str, cause: io::Error) -> JournalError {
    JournalError::Io { file: name.to_owned(), cause }
}

impl Disk {
    /// An empty disk whose losses are those of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let (names, synced_names) = (BTreeMap::new(), BTreeMap::new());
        let state = State { seed, fault: None, files: Vec::new(), names, synced_names };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something is still to go wrong.
    #[cfg(test)]
    pub(super) fn state_has_fault(&self) -> bool {
        self.state().fault.is_some()
    }

    /// Sets what goes wrong next.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    /// The power fails. What is left is on the disk for whoever opens it next; files open until then are of no use.
    pub fn crash(&self) {
        let mut state = self.state();
        if state.fault != Some(Fault::Lie) {
            state.fault = None;
        }
        let contents = std::mem::take(&mut state.files);
        for mut content in contents {
            let mut bytes = std::mem::take(&mut content.synced);
            state.keep_some(&mut bytes, content.pending);
            state.files.push(Content { now: bytes.clone(), synced: bytes, pending: Vec::new() });
        }
        let (now, synced) = (std::mem::take(&mut state.names), std::mem::take(&mut state.synced_names));
        let mut kept = BTreeMap::new();
        for name in now.keys().chain(synced.keys()) {
            let of = if state.chance() { &now } else { &synced };
            let same = now.get(name) == synced.get(name);
            if let Some(&file) = if same { &now } else { of }.get(name) {
                kept.insert(name.clone(), file);
            }
        }
        state.names.clone_from(&kept);
        state.synced_names = kept;
    }

    /// A file's content, to be damaged by whoever asks.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn damage(&self, name: &str, damage: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let file = state.names[name];
        let content = &mut state.files[file];
        damage(&mut content.now);
        content.synced.clone_from(&content.now);
    }

    fn file(&self, name: &str) -> Result<DiskFile, JournalError> {
        let file = self.state().names.get(name).copied();
        let file = file.ok_or_else(|| failure(name, io::Error::from(io::ErrorKind::NotFound)))?;
        Ok(DiskFile { disk: self.clone(), name: name.to_owned(), file })
    }
}

impl Storage for Disk {
    type File = DiskFile;

    fn names(&self) -> Result<Vec<String>, JournalError> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, JournalError> {
        let file = self.file(name)?.file;
        Ok(self.state().files[file].now.clone())
    }

    fn open(&self, name: &str) -> Result<DiskFile, JournalError> {
        self.file(name)
    }

    fn create(&self, name: &str) -> Result<DiskFile, JournalError> {
        let mut state = self.state();
        if state.names.contains_key(name) {
            return Err(failure(name, io::Error::from(io::ErrorKind::AlreadyExists)));
        }
        let file = state.files.len();
        state.files.push(Content::default());
        state.names.insert(name.to_owned(), file);
        drop(state);
        self.file(name)
    }

    fn remove(&self, name: &str) -> Result<(), JournalError> {
        let removed = self.state().names.remove(name);
        removed.map(|_| ()).ok_or_else(|| failure(name, io::Error::from(io::ErrorKind::NotFound)))
    }

    fn sync_names(&self) -> Result<(), JournalError> {
        let mut state = self.state();
        if state.is_due(Fault::Sync) {
            return Err(failure(".", io::Error::other("the sync failed")));
        }
        if state.fault != Some(Fault::Lie) {
            state.synced_names = state.names.clone();
        }
        drop(state);
        Ok(())
    }
}

/// A file of a [`Disk`].
#[derive(Debug)]
pub struct DiskFile {
    disk: Disk,
    name: String,
    file: usize,
}

impl StorageFile for DiskFile {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> Result<(), JournalError> {
        let mut state = self.disk.state();
        let fails = state.is_due(Fault::Write);
        let length = if fails { state.draw(bytes.len() + 1) } else { bytes.len() };
        let (offset, bytes) = (usize::try_from(offset).expect("a disk in memory"), &bytes[..length]);
        let content = &mut state.files[self.file];
        write(&mut content.now, offset, bytes, true);
        content.pending.push(Edit::Write(offset, bytes.to_vec()));
        drop(state);
        if fails { Err(failure(&self.name, no_space())) } else { Ok(()) }
    }

    fn truncate(&mut self, bytes: u64) -> Result<(), JournalError> {
        let length = usize::try_from(bytes).expect("a disk in memory");
        let mut state = self.disk.state();
        let content = &mut state.files[self.file];
        content.now.truncate(length);
        content.pending.push(Edit::Truncate(length));
        drop(state);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        let mut state = self.disk.state();
        let fails = state.is_due(Fault::Sync);
        if fails {
            // The system forgets that these pages were never written, so that no later sync tries again.
            let mut content = std::mem::take(&mut state.files[self.file]);
            let pending = std::mem::take(&mut content.pending);
            state.keep_some(&mut content.synced, pending);
            state.files[self.file] = content;
            return Err(failure(&self.name, io::Error::other("the sync failed")));
        }
        if state.fault != Some(Fault::Lie) {
            let content = &mut state.files[self.file];
            content.synced.clone_from(&content.now);
            content.pending.clear();
        }
        drop(state);
        Ok(())
    }
}
