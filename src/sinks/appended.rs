//! Files of NDJSON that grow: what a run adds is added once, whatever ended the run before.
//!
//! The one idea: lines are a function of the journal, so nothing has to be remembered of what was written: the file says it.
//! What a crash left of the last position is cut and written again.
//!
//! Nothing is synced but at the end: whatever a crash takes away is written again.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::staged::SinkError;

/// A file that grows by lines.
#[derive(Debug)]
pub struct Appended {
    file: BufWriter<File>,
    path: PathBuf,
    bytes: u64,
}

/// How far a file of changes was known to be told: its bytes so far are on the disk, and are all that is told up to the position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// The file, by its whole path, or in a store by the path from there.
    pub changes: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// The position.
    pub position: u64,
}

/// What is read of a line of changes.
#[derive(Deserialize)]
struct Positioned {
    position: u64,
}

impl Appended {
    fn open(path: &Path) -> Result<(File, u64), SinkError> {
        let fail = |cause| SinkError::Io { path: path.to_owned(), cause };
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path).map_err(fail)?;
        let length = file.metadata().map_err(fail)?.len();
        let whole = previous_end(&file, length).map_err(fail)?;
        Ok((file, whole))
    }

    fn cut(mut file: File, path: &Path, length: u64) -> Result<Self, SinkError> {
        let cut = file.set_len(length).and_then(|()| file.seek(SeekFrom::Start(length)));
        cut.map_err(|cause| SinkError::Io { path: path.to_owned(), cause })?;
        Ok(Self { file: BufWriter::new(file), path: path.to_owned(), bytes: length })
    }

    /// Opens a file of changes, which is made if it is not there, and cuts the changes of its last position, of which some may be
    /// missing; but nothing before a mark. Gives the position up to which it is whole then, 0 if it is empty. `known` is the last
    /// position that there is.
    ///
    /// # Errors
    /// What the system says; a line that is no change; a file that tells of a position that is not known, which is left alone.
    pub fn open_changes(path: &Path, mark: Option<&Mark>, known: u64) -> Result<(Self, u64), SinkError> {
        let fail = |cause| SinkError::Io { path: path.to_owned(), cause };
        let (file, whole) = Self::open(path)?;
        let full_path = path.canonicalize().map_err(fail)?;
        let mark = mark.filter(|mark| mark.changes == full_path && mark.bytes <= whole);
        let floor = mark.map_or(0, |mark| mark.bytes);
        let (start, last) = match mark {
            Some(mark) if floor == whole => (whole, mark.position),
            None if whole == 0 => return Ok((Self::cut(file, path, 0)?, 0)),
            _ => {
                let start = previous_end(&file, whole - 1).map_err(fail)?.max(floor);
                (start, position_at(&file, start, whole).map_err(fail)?)
            }
        };
        if last > known {
            return Err(foreign(path, last));
        }
        if start == whole {
            return Ok((Self::cut(file, path, whole)?, last));
        }
        let low = begin_after(&file, floor..start, last.saturating_sub(1)).map_err(fail)?;
        let told = if low == 0 && mark.is_none() { 0 } else { last.saturating_sub(1) };
        Ok((Self::cut(file, path, low)?, told))
    }

    /// Opens a file of lines, which is made if it is not there, and cuts what is no whole line. Gives how many there are.
    ///
    /// # Errors
    /// What the system says.
    pub fn open_lines(path: &Path) -> Result<(Self, u64), SinkError> {
        let fail = |cause| SinkError::Io { path: path.to_owned(), cause };
        let (file, whole) = Self::open(path)?;
        let (mut lines, mut at) = (0, 0);
        let mut chunk = vec![0; 1 << 20];
        while at < whole {
            let length = file.read_at(&mut chunk, at).map_err(fail)?;
            lines += memchr::memchr_iter(b'\n', &chunk[..length]).count() as u64;
            at += length as u64;
        }
        Ok((Self::cut(file, path, whole)?, lines))
    }

    /// Adds lines.
    ///
    /// # Errors
    /// What the system says.
    pub fn append(&mut self, lines: &[u8]) -> Result<(), SinkError> {
        self.bytes += lines.len() as u64;
        self.file.write_all(lines).map_err(|cause| SinkError::Io { path: self.path.clone(), cause })
    }

    /// Length of the file with all that was added.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Hands what was added to the system.
    ///
    /// # Errors
    /// What the system says.
    pub fn flush(&mut self) -> Result<(), SinkError> {
        self.file.flush().map_err(|cause| SinkError::Io { path: self.path.clone(), cause })
    }

    /// Makes what was written durable. Gives how far it goes.
    ///
    /// # Errors
    /// What the system says.
    pub fn sync(&mut self, position: u64) -> Result<Mark, SinkError> {
        let synced = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        let length = synced.and_then(|()| self.file.get_ref().metadata()).map(|data| data.len());
        let mark = length.and_then(|bytes| Ok(Mark { changes: self.path.canonicalize()?, bytes, position }));
        mark.map_err(|cause| SinkError::Io { path: self.path.clone(), cause })
    }
}

impl Write for Appended {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The error of something that tells of a position which the store does not have.
pub(super) fn foreign(path: &Path, position: u64) -> SinkError {
    let why = format!("it tells of position {position}, which the store does not have: it is another store's");
    SinkError::Io { path: path.to_owned(), cause: io::Error::new(io::ErrorKind::InvalidData, why) }
}

/// Where in a file of changes those after a position begin. `lines` are the bytes to look at: whole lines.
///
/// # Errors
/// What the system says; a line that is no change.
pub fn begin_after(file: &File, lines: Range<u64>, position: u64) -> io::Result<u64> {
    // Positions ascend, so it is found by halves. `low` begins a line.
    let (mut low, mut high) = (lines.start, lines.end);
    while low < high {
        let line = previous_end(file, low + (high - low) / 2)?.max(low);
        let end = line_end(file, line, lines.end)?;
        if position_at(file, line, end)? <= position {
            low = end;
        } else {
            high = line;
        }
    }
    Ok(low)
}

/// Length of the whole lines within the first bytes of a file.
///
/// # Errors
/// What the system says.
pub fn whole_lines(file: &File, length: u64) -> io::Result<u64> {
    previous_end(file, length)
}

/// The end of the last whole line within the first bytes of a file.
fn previous_end(file: &File, length: u64) -> io::Result<u64> {
    let mut chunk = [0; 4096];
    let mut end = length;
    while end > 0 {
        let begin = end.saturating_sub(chunk.len() as u64);
        let part = &mut chunk[..usize::try_from(end - begin).expect("at most a chunk")];
        file.read_exact_at(part, begin)?;
        if let Some(at) = memchr::memrchr(b'\n', part) {
            return Ok(begin + at as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

/// The end of the line that begins somewhere.
fn line_end(file: &File, begin: u64, whole: u64) -> io::Result<u64> {
    let mut chunk = [0; 4096];
    let mut at = begin;
    while at < whole {
        let length = file.read_at(&mut chunk, at)?;
        if let Some(end) = memchr::memchr(b'\n', &chunk[..length]) {
            return Ok(at + end as u64 + 1);
        }
        at += length as u64;
    }
    Ok(whole)
}

/// The position that the line beginning somewhere says.
fn position_at(file: &File, begin: u64, whole: u64) -> io::Result<u64> {
    let length = usize::try_from(line_end(file, begin, whole)? - begin).unwrap_or(usize::MAX);
    let mut line = vec![0; length];
    file.read_exact_at(&mut line, begin)?;
    let parsed: Result<Positioned, _> = serde_json::from_slice(&line);
    let no_change = |_| io::Error::new(io::ErrorKind::InvalidData, format!("the line at byte {begin} is no change"));
    parsed.map(|line| line.position).map_err(no_change)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_left_of_a_file_it_goes_on_after_a_whole_position() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("changes.ndjson");
        let lines: Vec<(u64, String)> = [1, 1, 1, 4, 5, 5, 9]
            .iter()
            .enumerate()
            .map(|(number, &at)| {
                (at, format!("{{\"person\": \"{}\", \"position\": {at}}}\n", "p".repeat(number * 900)))
            })
            .collect();
        let text: String = lines.iter().map(|(_, line)| &**line).collect();
        for cut in (0..=text.len()).step_by(7).chain([text.len()]) {
            std::fs::write(&path, &text[..cut]).expect("room");
            let (mut file, told) = Appended::open_changes(&path, None, 9).expect("changes");
            Appended::flush(&mut file).expect("nothing");
            let whole = text[..cut].rfind('\n').map_or(0, |end| end + 1);
            let last = lines.iter().scan(0, |end, (at, line)| {
                *end += line.len();
                Some((*end, *at))
            });
            let last = last.filter(|&(end, _)| end <= whole).last().map_or(0, |(_, at)| at);
            assert_eq!(told, u64::saturating_sub(last, 1));
            let kept: String = lines.iter().filter(|(at, _)| *at < last).map(|(_, line)| &**line).collect();
            assert_eq!(std::fs::read_to_string(&path).expect("text"), kept, "{cut}");
            let (_, count) = Appended::open_lines(&path).expect("lines");
            assert_eq!(count, kept.matches('\n').count() as u64);
        }
        std::fs::write(&path, "something else\n").expect("room");
        assert!(Appended::open_changes(&path, None, 9).expect_err("no change").to_string().contains("is no change"));
        std::fs::write(&path, "{\"position\": 10}\n").expect("room");
        assert!(Appended::open_changes(&path, None, 9).expect_err("foreign").to_string().contains("another store"));
        assert_eq!(std::fs::read_to_string(&path).expect("text"), "{\"position\": 10}\n");
        std::fs::write(&path, "a\nb\nc").expect("room");
        assert_eq!(Appended::open_lines(&path).expect("lines").1, 2);
        assert_eq!(std::fs::read_to_string(&path).expect("text"), "a\nb\n");
    }
}
