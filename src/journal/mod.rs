//! What the engine was told, in order and for good: payloads with dense positions in files that only grow.
//!
//! The one idea: a group of payloads is one frame, one write and one sync; when [`Journal::append`] returns, the group is on
//! the disk. A group that was not acknowledged is there whole or not at all, because a frame carries its checksum.
//!
//! ```text
//! <position of the first payload, 20 digits>.journal
//!   header   0 magic "SANMAJNL" (8)   8 version (4)   12 zero (4)   16 first position (8)   24 XXH3-64 of bytes 0..24 (8)
//!   frame    0 magic "SMF\x01" (4)    4 length of what follows the head (4)   8 first position (8)   16 payloads (4)
//!           20 length of each payload (4 each), their bytes, XXH3-64 of all of the frame before it (8)
//! ```
//!
//! Integers are little-endian. A segment that has grown long is followed by another one; old ones are dropped whole.
//!
//! Invariants: positions are dense from 1; what was acknowledged is replayed, in order and once; what is not whole at the end of
//! the last segment was never acknowledged and is cut; anything else that is not whole is an error that names file and offset.
//! After a failed write or sync nothing more is written: what the system then holds of the file is not known until it is
//! read again. One process at a time.
//!
//! Cost: a group is one write and one sync; opening reads the last segment, replaying each segment once.

mod error;
mod frame;
mod simulated;
mod storage;

pub use error::JournalError;
pub use simulated::{Disk, Fault};
pub use storage::{Folder, Storage, StorageFile};

use std::ops::RangeInclusive;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::limits::{JOURNAL_FRAME_BYTES_MAX, JOURNAL_SEGMENT_BYTES};

use frame::{Bad, HEADER_BYTES};

/// Which payload; 0 is before all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub u64);

impl Position {
    /// The position that follows.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// What opening a journal mended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Bytes of a group that was never acknowledged, cut from the end.
    pub cut_bytes: u64,
}

/// A file of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Name of the file.
    pub name: String,
    /// Position of its first payload, there or to come.
    pub first: Position,
}

impl Segment {
    fn new(first: Position) -> Self {
        Self { name: format!("{:020}.journal", first.0), first }
    }

    fn of_name(name: &str) -> Option<Self> {
        let digits = name.strip_suffix(".journal").filter(|digits| digits.len() == 20)?;
        Some(Self { name: name.to_owned(), first: Position(digits.parse().ok().filter(|&first| first > 0)?) })
    }

    fn damaged(&self, bad: Bad) -> JournalError {
        JournalError::Damaged { segment: self.name.clone(), offset: bad.offset as u64, detail: bad.detail }
    }
}

/// An open journal.
#[derive(Debug)]
pub struct Journal<S: Storage = Folder> {
    storage: S,
    /// Oldest first; the last one is written to.
    segments: Vec<Segment>,
    tail: S::File,
    /// Bytes of the last segment that hold whole frames.
    end: u64,
    last: Position,
    segment_bytes: u64,
    /// The first failure, after which nothing is written.
    shut: Option<String>,
    frame: Vec<u8>,
}

impl<S: Storage> Journal<S> {
    /// Opens the journal that a storage holds, or begins one.
    ///
    /// # Errors
    /// A storage that fails; damage.
    pub fn open(storage: S) -> Result<(Self, Recovery), JournalError> {
        let mut segments = segments_of(&storage)?;
        let mut recovery = Recovery::default();
        let mut is_last = true;
        while let Some(segment) = segments.pop() {
            let bytes = storage.read(&segment.name)?;
            let whole = match frame::walk(&bytes, segment.first, |_, _| Ok::<(), JournalError>(()))? {
                Ok(whole) => whole,
                Err(bad) if !is_last || frame::whole_after(&bytes, bad.offset, bad.next) => {
                    return Err(segment.damaged(bad));
                }
                // A crash while the segment was begun; nothing can have been acknowledged from it.
                Err(bad) if bad.offset < HEADER_BYTES => {
                    storage.remove(&segment.name)?;
                    storage.sync_names()?;
                    recovery.cut_bytes += bytes.len() as u64;
                    is_last = false;
                    continue;
                }
                Err(bad) => {
                    let mut file = storage.open(&segment.name)?;
                    file.truncate(bad.offset as u64).and_then(|()| file.sync())?;
                    recovery.cut_bytes += (bytes.len() - bad.offset) as u64;
                    frame::Whole { next: bad.next, end: bad.offset }
                }
            };
            let tail = storage.open(&segment.name)?;
            segments.push(segment);
            let last = Position(whole.next.0 - 1);
            return Ok((Self::new(storage, segments, tail, whole.end as u64, last), recovery));
        }
        let first = Segment::new(Position(1));
        let tail = begin(&storage, &first)?;
        Ok((Self::new(storage, vec![first], tail, HEADER_BYTES as u64, Position(0)), recovery))
    }

    fn new(storage: S, segments: Vec<Segment>, tail: S::File, end: u64, last: Position) -> Self {
        let segment_bytes = JOURNAL_SEGMENT_BYTES;
        Self { storage, segments, tail, end, last, segment_bytes, shut: None, frame: Vec::new() }
    }

    /// Sets after how many bytes a segment is followed by another one.
    #[must_use]
    pub fn with_segment_bytes(self, segment_bytes: u64) -> Self {
        Self { segment_bytes, ..self }
    }

    /// Position of the last payload.
    #[must_use]
    pub const fn last(&self) -> Position {
        self.last
    }

    /// The files, oldest first.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Adds a group of payloads; they are on the disk when this returns. Gives their positions.
    ///
    /// # Errors
    /// A group that is too long, which changes nothing; a storage that fails. After that nothing is added any more, and each try
    /// says so.
    ///
    /// # Panics
    /// If there is no payload.
    pub fn append(&mut self, payloads: &[impl AsRef<[u8]>]) -> Result<RangeInclusive<Position>, JournalError> {
        assert!(!payloads.is_empty(), "a group has payloads");
        if let Some(first) = &self.shut {
            return Err(JournalError::Shut { first: first.clone() });
        }
        let bytes = payloads.iter().map(|payload| payload.as_ref().len() + 4).sum();
        if bytes > JOURNAL_FRAME_BYTES_MAX {
            return Err(JournalError::TooLong { bytes });
        }
        let first = self.last.next();
        frame::encode(&mut self.frame, first, payloads);
        if let Err(error) = self.write(first) {
            self.shut = Some(error.to_string());
            // What is left of the frame would be cut when the journal is opened; the space may be wanted before.
            let _ = self.tail.truncate(self.end);
            return Err(error);
        }
        self.end += self.frame.len() as u64;
        self.last = Position(self.last.0 + payloads.len() as u64);
        Ok(first..=self.last)
    }

    fn write(&mut self, first: Position) -> Result<(), JournalError> {
        if self.end >= self.segment_bytes.max(HEADER_BYTES as u64 + 1) {
            self.roll(first)?;
        }
        self.tail.write_all_at(&self.frame, self.end)?;
        self.tail.sync()
    }

    /// Shows all payloads from a position on, in order. Memory: one segment.
    ///
    /// # Errors
    /// A storage that fails; damage; positions that have been dropped; the visitor's own.
    pub fn replay<E: From<JournalError>>(
        &self,
        from: Position,
        mut visit: impl FnMut(Position, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let (segments, last) = (&self.segments, self.last);
        let from = from.max(Position(1));
        let at = segments.partition_point(|segment| segment.first <= from);
        let Some(at) = at.checked_sub(1) else {
            let first = segments.first().map_or(last.0 + 1, |segment| segment.first.0);
            return Err(JournalError::Dropped { position: from.0, first }.into());
        };
        let mut next = segments[at].first;
        for (number, segment) in segments.iter().enumerate().skip(at) {
            if segment.first != next {
                let detail = "it does not follow the segment before it: one is missing or cut";
                return Err(segment.damaged(Bad { offset: 0, next, detail }).into());
            }
            let bytes = self.storage.read(&segment.name)?;
            // Past the end of the one that is written to may be what is left of a group that failed.
            let is_last = number + 1 == segments.len();
            let end = if is_last { usize::try_from(self.end).unwrap_or(usize::MAX) } else { usize::MAX };
            let visit = |at: Position, payload: &[u8]| if at < from { Ok(()) } else { visit(at, payload) };
            let walked = frame::walk(&bytes[..bytes.len().min(end)], segment.first, visit)?;
            next = walked.map_err(|bad| segment.damaged(bad))?.next;
        }
        if next != last.next() {
            let last = &segments[segments.len() - 1];
            let detail = "it ends before what was acknowledged";
            return Err(last.damaged(Bad { offset: 0, next, detail }).into());
        }
        Ok(())
    }

    /// How many segments that are full hold something from a position on.
    #[must_use]
    pub fn sealed_since(&self, position: Position) -> usize {
        self.segments.iter().skip(1).filter(|next| next.first > position).count()
    }

    /// Lets another segment follow, so that all there is is sealed; unless the last one is empty.
    ///
    /// # Errors
    /// A storage that fails; a journal that is shut.
    pub fn seal(&mut self) -> Result<(), JournalError> {
        if let Some(first) = &self.shut {
            return Err(JournalError::Shut { first: first.clone() });
        }
        if self.end > HEADER_BYTES as u64 {
            self.roll(self.last.next())?;
        }
        Ok(())
    }

    fn roll(&mut self, first: Position) -> Result<(), JournalError> {
        let segment = Segment::new(first);
        self.tail = begin(&self.storage, &segment)?;
        self.segments.push(segment);
        self.end = HEADER_BYTES as u64;
        Ok(())
    }

    /// Drops the segments that hold nothing from a position on. Gives how many.
    ///
    /// # Errors
    /// A storage that fails; what was not dropped can be dropped later.
    pub fn drop_before(&mut self, position: Position) -> Result<usize, JournalError> {
        let mut dropped = 0;
        while self.segments.len() > 1 && self.segments[1].first <= position {
            self.storage.remove(&self.segments[0].name)?;
            self.segments.remove(0);
            dropped += 1;
            // One at a time: of several removals a crash may undo the first and not the second, which would leave a gap.
            self.storage.sync_names()?;
        }
        Ok(dropped)
    }
}

/// The segments in a folder with their bytes, oldest first, also of a journal that is open elsewhere.
///
/// # Errors
/// What the system says.
pub fn list(folder: &Path) -> Result<Vec<(Segment, u64)>, JournalError> {
    let failed = |cause| JournalError::Io { file: folder.display().to_string(), cause };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if let Some(segment) = Segment::of_name(&entry.file_name().to_string_lossy()) {
            found.push((segment, entry.metadata().map_err(failed)?.len()));
        }
    }
    found.sort_unstable_by_key(|(segment, _)| segment.first);
    Ok(found)
}

/// The segments of a storage, oldest first.
fn segments_of(storage: &impl Storage) -> Result<Vec<Segment>, JournalError> {
    let mut segments: Vec<Segment> = storage.names()?.iter().filter_map(|name| Segment::of_name(name)).collect();
    segments.sort_unstable_by_key(|segment| segment.first);
    Ok(segments)
}

/// Begins a segment, durably.
fn begin<S: Storage>(storage: &S, segment: &Segment) -> Result<S::File, JournalError> {
    let mut file = storage.create(&segment.name)?;
    file.write_all_at(&frame::header(segment.first), 0)?;
    file.sync()?;
    storage.sync_names()?;
    Ok(file)
}

#[cfg(test)]
mod tests;
