//! What the targets share.

use std::path::Path;

/// A folder for one input: in memory where the system has that, since a target fills thousands a second.
///
/// # Panics
/// If no folder can be made.
#[must_use]
pub fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a folder can be made")
}
