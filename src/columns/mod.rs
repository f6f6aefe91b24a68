//! Columns of facts as files of a folder: written whole, mapped and not read when they are wanted again.
//!
//! The one idea: a column in memory and in its file are the same bytes, so that to open columns is to map the files, to compare
//! their checksums and to look once at what not every byte may be. Files are named by table, column and checksum, and hold
//! little-endian values and nothing else: any tool that can map an array opens them. (Arrow's own files were weighed: a record
//! batch wants columns of one length, which indexes, bitmaps and tokens are not, and columns would have to belong to Arrow or be
//! copied to be written.) The manifest, `_sanma.json`, says which files belong together and what they are of; names begin with
//! `_`, so that no run takes them for a table, wherever the folder is.
//!
//! Invariants: what is used has the checksum it was written with; columns that are damaged, of another version or of something else
//! are never used; files appear under their names whole, the manifest last, and are never changed, so that whoever has mapped
//! them is not disturbed; only who holds the lock writes.
//!
//! Nothing is synced to disk: whoever keeps columns can make them again, and what a machine loses when it stops shows in the
//! checksums.
//!
//! Cost: to open, a read of all columns at the speed of memory (`docs/performance.md`); their size once more on disk.

mod manifest;
mod map;
mod open;
mod write;

pub use open::{Stale, open};
pub use write::{KeepError, Writer, keep};

/// Begin of the names of the files.
const PREFIX: &str = "_sanma.";
/// Says which files belong together.
const MANIFEST: &str = "_sanma.json";
/// Held by the run that writes.
const LOCK: &str = "_sanma.lock";

/// End of the names of files that are not whole yet.
const TEMPORARY: &str = ".tmp";

/// Whether a file of a folder that keeps columns is of them, by its name.
#[must_use]
pub fn is_of_columns(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// Whether such a file is being written.
#[must_use]
pub fn is_unfinished(name: &str) -> bool {
    name.ends_with(TEMPORARY)
}
