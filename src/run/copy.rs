//! A copy of a store, also of one that is in use: a backup, and what a backup becomes again.
//!
//! The one idea: what a store is made of is never changed once written, or only added to; so files are copied one after the other, the
//! checkpoint first, and what was added behind the last position that came along is cut off. If the run drops a file meanwhile,
//! because a newer checkpoint holds it, the copy begins again.
//!
//! Invariants: the run is not stopped and does not notice; a copy is under its name whole and on the disk, every checksum in it
//! read, or not at all; it is a store, and a run goes on in it as after a crash.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use super::{CHANGES, REJECTIONS, RunError, journal};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::columns;
use crate::engine::EngineError;
use crate::journal::{JournalError, Position, list};
use crate::limits::COPY_TRIES_MAX;
use crate::sinks::changes::{MARK, read_mark};
use crate::sinks::{self, Mark, SinkError};

/// What was copied.
#[derive(Clone, Copy, Debug)]
pub struct Copied {
    /// The last position in it.
    pub position: Position,
    /// Bytes of its files.
    pub bytes: u64,
    /// Whether the store tells its changes in a file of its own, which came along.
    pub has_changes: bool,
}

/// Copies a store to a folder that is not there yet; the columns of its checkpoint, which can be made again, only if they are wanted.
///
/// # Errors
/// What the system says; damage in the store, which is then in no copy; a folder that is there.
pub fn copy(store: &Path, into: &Path, with_columns: bool) -> Result<Copied, RunError> {
    if into.exists() {
        return Err(at(into)(ErrorKind::AlreadyExists.into()));
    }
    let parent = into.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(at(parent))?;
    let mut tries = 1;
    loop {
        let unfinished = tempfile::Builder::new().prefix(".copy-").tempdir_in(parent).map_err(at(parent))?;
        match copy_once(store, unfinished.path(), with_columns) {
            Ok(copied) => {
                fs::rename(unfinished.path(), into).map_err(at(into))?;
                // It has another name now, and stays.
                let _ = unfinished.keep();
                sync(parent).map_err(at(parent))?;
                return Ok(copied);
            }
            Err(Gone::Dropped) if tries < COPY_TRIES_MAX => tries += 1,
            Err(Gone::Dropped) => return Err(at(store)(ErrorKind::NotFound.into())),
            Err(Gone::Failed(error)) => return Err(error),
        }
    }
}

/// Why a copy was not made.
enum Gone {
    /// The run has dropped what was being copied.
    Dropped,
    /// Anything else.
    Failed(RunError),
}

impl<E: Into<RunError>> From<E> for Gone {
    fn from(error: E) -> Self {
        match error.into() {
            RunError::Checkpoint(CheckpointError::Io { cause, .. }) if cause.kind() == ErrorKind::NotFound => {
                Self::Dropped
            }
            RunError::Engine(EngineError::Journal(JournalError::Dropped { .. })) => Self::Dropped,
            error => Self::Failed(error),
        }
    }
}

fn copy_once(store: &Path, into: &Path, with_columns: bool) -> Result<Copied, Gone> {
    let mut bytes = 0;
    let checkpoint = Checkpoint::newest_in_use(store)?;
    if let Some(checkpoint) = &checkpoint {
        let inside = checkpoint.dir().strip_prefix(store).map_err(|error| at(store)(io::Error::other(error)))?;
        let files = entries(checkpoint.dir())?;
        make(&into.join(inside))?;
        let is_wanted = |file: &PathBuf| {
            let name = file.to_string_lossy();
            !columns::is_of_columns(&name) || (with_columns && !columns::is_unfinished(&name))
        };
        for file in files.into_iter().filter(is_wanted) {
            bytes += copy_file(&store.join(inside).join(&file), &into.join(inside).join(&file), u64::MAX)?;
        }
        sync(&into.join(inside)).map_err(at(into))?;
    }
    make(&into.join("journal"))?;
    for (segment, _) in list(&store.join("journal"))? {
        let name = Path::new("journal").join(&segment.name);
        bytes += copy_file(&store.join(&name), &into.join(&name), u64::MAX)?;
    }
    sync(&into.join("journal")).map_err(at(into))?;
    let checked = journal::check_what_lasts(into)?;
    bytes += copy_lines(&store.join(REJECTIONS), &into.join(REJECTIONS), checked.refused)?;
    let changes = copy_changes(store, into, checked.last)?;
    sync(into).map_err(at(into))?;
    Ok(Copied { position: checked.last, bytes: bytes + changes.unwrap_or(0), has_changes: changes.is_some() })
}

/// Copies the changes up to a position, and says how far they are known to be told, if the store keeps them itself.
fn copy_changes(store: &Path, into: &Path, last: Position) -> Result<Option<u64>, Gone> {
    // Read after the checkpoint was: what that holds has been told, and is noted here.
    let mark = read_mark(store);
    let (from, to) = (store.join(CHANGES), into.join(CHANGES));
    let own = from.canonicalize().ok();
    if own.is_none() || mark.as_ref().is_some_and(|mark| Some(&mark.changes) != own.as_ref()) {
        return Ok(None);
    }
    let file = File::open(&from).map_err(at(&from))?;
    let length = file.metadata().map_err(at(&from))?.len();
    let end = sinks::whole_lines(&file, length).map_err(at(&from))?;
    let end = sinks::begin_after(&file, 0..end, last.0).map_err(at(&from))?;
    copy_file(&from, &to, end)?;
    if let Some(mark) = mark {
        let known = if mark.position > last.0 {
            Mark { changes: CHANGES.into(), bytes: end, position: last.0 }
        } else {
            Mark { changes: CHANGES.into(), ..mark }
        };
        let path = into.join(MARK);
        let text = serde_json::to_vec(&known).map_err(|error| at(&path)(error.into()))?;
        fs::write(&path, [&*text, b"\n"].concat()).and_then(|()| sync(&path)).map_err(at(&path))?;
    }
    Ok(Some(end))
}

/// Copies the first lines of a file that may not be there.
fn copy_lines(from: &Path, to: &Path, lines: u64) -> Result<u64, Gone> {
    let text = match fs::read(from) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(at(from)(error).into()),
    };
    let lines = usize::try_from(lines).unwrap_or(usize::MAX);
    let end = lines
        .checked_sub(1)
        .map_or(0, |last| memchr::memchr_iter(b'\n', &text).nth(last).map_or(text.len(), |end| end + 1));
    fs::write(to, &text[..end]).and_then(|()| sync(to)).map_err(at(to))?;
    Ok(end as u64)
}

/// Copies the first bytes of a file, all that there are at this moment at the most.
fn copy_file(from: &Path, to: &Path, most: u64) -> Result<u64, Gone> {
    let file = match File::open(from) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(Gone::Dropped),
        file => file.map_err(at(from))?,
    };
    let length = file.metadata().map_err(at(from))?.len().min(most);
    let mut copy = OpenOptions::new().write(true).create_new(true).open(to).map_err(at(to))?;
    let copied = io::copy(&mut file.take(length), &mut copy).map_err(at(to))?;
    copy.sync_all().map_err(at(to))?;
    Ok(copied)
}

/// The names in a folder.
fn entries(dir: &Path) -> Result<Vec<PathBuf>, Gone> {
    let listed = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(Gone::Dropped),
        listed => listed.map_err(at(dir))?,
    };
    let names = listed.map(|entry| entry.map(|entry| entry.file_name().into()));
    Ok(names.collect::<io::Result<_>>().map_err(at(dir))?)
}

fn make(dir: &Path) -> Result<(), RunError> {
    fs::create_dir_all(dir).map_err(at(dir))
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> RunError {
    let path = path.to_owned();
    |cause| SinkError::Io { path, cause }.into()
}
