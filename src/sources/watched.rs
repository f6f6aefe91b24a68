//! A folder that is watched: what is put there is taken, each file once.
//!
//! The one idea: a file is known by its name, its length and when it was changed last. So it may stay where it is; nothing in the
//! folder is ever changed, and after a stop of any kind each file is gone on with at the row behind the last one that counts.
//!
//! A file is taken once two looks in a row saw it alike. Plain files of lines may grow: from the second look on what is in them is
//! taken as it comes, whole lines at a time. Any other file that is not as it was when it was taken is another file.
//!
//! Cost: a look at all names and lengths, at a pace that keeps it below a twentieth of a thread.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::IgnoredAny;

use super::{Offsets, Piece, Running, Source, SourceError};
use crate::engine::Offset;
use crate::ingest::feed::{self, Batch, Block, Blocks, Event, SourceName, TableFile};
use crate::ingest::{Compression, Format, IngestError, SourceFile};
use crate::limits::{DECODE_ROWS_MAX, NOTES_MAX, WATCH_FILE_MICROS, WATCH_MILLIS_MIN};
use crate::model::Table;

/// Why a file is not taken.
const IS_NO_FILE: &str = "is not taken: a file of messages is .ndjson, one of rows has its table's name before a `.` or `-` or is in a \
                          folder of that name, and is .parquet, .arrow, .csv or .ndjson";
/// Why a folder is not looked into.
const IS_NO_TABLE: &str = "is not looked into: a folder of files has its table's name, and is no link";

/// A folder that is watched.
pub struct Watched {
    dir: PathBuf,
    name: String,
    number: u32,
    /// How far its files have been taken.
    read: Offsets,
    /// What the last look saw.
    seen: BTreeMap<String, Seen>,
    /// Files to take, in the order of their names.
    due: VecDeque<Found>,
    present: Option<Present>,
    /// Files that end in a part of a line, as they were when that was seen.
    held: BTreeMap<String, Seen>,
    /// Names of which has been told that they are not taken, or cannot be looked at.
    noted: BTreeSet<String>,
}

/// A file as one look saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    bytes: u64,
    /// When it was changed last, in nanoseconds since 1970.
    changed_at: u64,
}

/// A file that is to be taken.
#[derive(Debug)]
struct Found {
    name: String,
    path: PathBuf,
    seen: Seen,
    /// The table that its rows are of; none if it holds messages.
    table: Option<Table>,
    format: Format,
}

/// A file that is being taken.
struct Present {
    found: Found,
    /// How far it has been taken.
    offset: Offset,
    rest: Rest,
}

/// What is left of it.
enum Rest {
    /// Lines, of which some may have been taken before.
    Lines(Blocks<Box<dyn Read + Send>>),
    /// Rows of a table.
    Rows(Box<TableFile>),
}

/// Why a file is not taken to its end.
enum Stopped {
    /// It may be readable later.
    Later(String),
    /// It never will be.
    Damaged(String),
}

impl From<IngestError> for Stopped {
    fn from(error: IngestError) -> Self {
        match error {
            IngestError::Io { .. } => Self::Later(error.to_string()),
            error => Self::Damaged(error.to_string()),
        }
    }
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        if feed::is_damage(&error) { Self::Damaged(error.to_string()) } else { Self::Later(error.to_string()) }
    }
}

impl Watched {
    /// Watches a folder; `number` is what its rows say they come from.
    ///
    /// # Errors
    /// [`SourceError`]: there is no such folder.
    pub fn open(number: u32, path: &Path) -> Result<Self, SourceError> {
        let fail = |cause| SourceError::Io { name: path.display().to_string(), cause };
        let dir = path.canonicalize().map_err(fail)?;
        fs::read_dir(&dir).map_err(fail)?;
        let name = dir.display().to_string();
        Ok(Self {
            dir,
            name,
            number,
            read: Offsets::new(),
            seen: BTreeMap::new(),
            due: VecDeque::new(),
            present: None,
            held: BTreeMap::new(),
            noted: BTreeSet::new(),
        })
    }

    /// Looks what is there. Gives what looked odd.
    fn look(&mut self) -> Vec<String> {
        let mut notes = Vec::new();
        let (mut seen, mut due) = (BTreeMap::new(), Vec::new());
        let mut folders = vec![(self.dir.clone(), None)];
        while let Some((folder, table)) = folders.pop() {
            let name = folder.display().to_string();
            let listed = fs::read_dir(&folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
            let entries = match listed {
                Ok(entries) => entries,
                Err(cause) => {
                    self.note(&name, &format!("cannot be looked at: {cause}"), &mut notes);
                    continue;
                }
            };
            self.noted.remove(&name);
            for entry in entries {
                let (file_name, path) = (entry.file_name(), entry.path());
                let file_name = file_name.to_string_lossy();
                // What begins so is not data yet; and what is gone by now was not to be taken.
                let (false, Ok(meta)) = (file_name.starts_with(['.', '_']), fs::metadata(&path)) else { continue };
                if meta.is_dir() {
                    // A link may lead back to where it is.
                    let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
                    match table.or_else(|| Table::parse(&file_name)).filter(|_| !is_link) {
                        Some(table) => folders.push((path, Some(table))),
                        None => self.note(&path.display().to_string(), IS_NO_TABLE, &mut notes),
                    }
                } else if let Some(found) = self.see(path, &meta, table, &mut seen, &mut notes) {
                    due.push(found);
                }
            }
        }
        due.sort_by(|one: &Found, other| one.name.cmp(&other.name));
        (self.seen, self.due) = (seen, due.into());
        notes
    }

    /// Looks at what is no folder. Gives a file that is to be taken.
    fn see(
        &mut self,
        path: PathBuf,
        meta: &fs::Metadata,
        table: Option<Table>,
        seen: &mut BTreeMap<String, Seen>,
        notes: &mut Vec<String>,
    ) -> Option<Found> {
        let name = path.display().to_string();
        let nanos = i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec());
        let now = Seen { bytes: meta.len(), changed_at: u64::try_from(nanos).unwrap_or(0) };
        let last = self.seen.get(&name);
        let (is_known, is_still) = (last.is_some(), last == Some(&now));
        seen.insert(name.clone(), now);
        let kind = kind(&path, table).filter(|_| meta.is_file());
        let Some((table, format)) = kind else {
            if is_still {
                self.note(&name, IS_NO_FILE, notes);
            }
            return None;
        };
        let found = Found { name, path, seen: now, table, format };
        // What is empty has not been written yet.
        let is_there = now.bytes > 0 && (is_still || is_known && found.grows());
        Some(found).filter(|found| is_there && self.has_more(found))
    }

    /// Tells once of what is not taken.
    fn note(&mut self, name: &str, why: &str, notes: &mut Vec<String>) {
        if self.noted.len() < NOTES_MAX && self.noted.insert(name.to_owned()) {
            notes.push(format!("{name} {why}"));
        }
    }

    /// Whether there is more of a file than has been taken.
    fn has_more(&self, found: &Found) -> bool {
        let Some(offset) = self.read.get(&found.name) else { return true };
        if found.grows() {
            return offset.bytes != found.seen.bytes && self.held.get(&found.name) != Some(&found.seen);
        }
        !offset.is_whole || !found.is_as(offset)
    }

    /// Bytes that are there and have not been taken, besides those of a file that is being taken.
    fn waiting(&self) -> u64 {
        self.due.iter().map(|found| found.seen.bytes).sum()
    }

    /// Begins to take a file, behind what has been taken of it.
    fn begin(&mut self, found: Found) -> Option<Piece> {
        let is_same = |offset: &&Offset| {
            if found.grows() { found.has_line_at(offset.bytes) } else { found.is_as(offset) && !offset.is_whole }
        };
        let offset = self.read.get(&found.name).filter(is_same).cloned();
        let offset = offset.unwrap_or_else(|| found.begin());
        match found.open(self.number, &offset) {
            Ok(rest) => {
                self.present = Some(Present { found, offset, rest });
                None
            }
            Err(stopped) => self.stop(&found, offset, stopped),
        }
    }

    /// What the present file tells next, if there is one that has more to tell.
    fn go_on(&mut self) -> Option<Piece> {
        let mut present = self.present.take()?;
        match present.next(self.number) {
            Ok(Some(events)) => {
                let piece = self.tell(&present.found, present.offset.clone(), events);
                self.present = Some(present);
                Some(piece)
            }
            Ok(None) if present.found.grows() => {
                if present.offset.bytes < present.found.seen.bytes {
                    let (file, from) = (&present.found.name, present.offset.bytes);
                    tracing::info!(file, from, "the rest of a line is waited for");
                    self.held.insert(present.found.name, present.found.seen);
                }
                None
            }
            Ok(None) => {
                let (file, rows) = (&present.found.name, present.offset.lines);
                tracing::info!(file, rows, "a file has been taken");
                Some(self.tell_end(&present.found, present.offset, Box::default()))
            }
            Err(stopped) => self.stop(&present.found, present.offset, stopped),
        }
    }

    /// What is told of a file that is not taken to its end: if it never will be, it is refused as a whole.
    fn stop(&mut self, found: &Found, offset: Offset, stopped: Stopped) -> Option<Piece> {
        match stopped {
            Stopped::Damaged(why) => {
                let source = SourceName { number: self.number, name: &found.name };
                let refused = feed::refuse_file(source, found.table, offset.lines, &why);
                Some(self.tell_end(found, offset, refused))
            }
            Stopped::Later(why) => {
                let mut piece = Piece { behind: self.waiting() + found.seen.bytes, ..Piece::default() };
                self.note(&found.name, &format!("cannot be read: {why}"), &mut piece.notes);
                Some(piece).filter(|piece| !piece.notes.is_empty())
            }
        }
    }

    /// What a file tells last.
    fn tell_end(&mut self, found: &Found, offset: Offset, batch: Box<Batch>) -> Piece {
        self.tell(found, Offset { is_whole: true, ..offset }, vec![Event::Facts(batch)])
    }

    /// What a file tells, and how far it has been taken then.
    fn tell(&mut self, found: &Found, offset: Offset, mut events: Vec<Event>) -> Piece {
        if !matches!(events.last(), Some(Event::Facts(_))) {
            // How far it has been taken stands beside facts, though they be none.
            events.push(Event::Facts(Box::default()));
        }
        let rest = match (found.grows(), offset.is_whole) {
            (true, _) => found.seen.bytes.saturating_sub(offset.bytes),
            (false, true) => 0,
            (false, false) => found.seen.bytes,
        };
        let behind = rest + self.waiting();
        self.noted.remove(&found.name);
        self.read.insert(found.name.clone(), offset.clone());
        Piece { events, offset: Some(offset), behind, notes: Vec::new() }
    }
}

impl Found {
    /// Whether it may grow.
    fn grows(&self) -> bool {
        self.format == Format::Ndjson(Compression::Plain)
    }

    /// Nothing of it.
    fn begin(&self) -> Offset {
        let begin = Offset::begin(&self.name);
        if self.grows() { begin } else { Offset { bytes: self.seen.bytes, stamp: Some(self.seen.changed_at), ..begin } }
    }

    /// Whether it is as it was when so much of it was taken.
    fn is_as(&self, offset: &Offset) -> bool {
        offset.bytes == self.seen.bytes && offset.stamp == Some(self.seen.changed_at)
    }

    /// Whether a line begins or ends at a byte, as it does where a file of lines was taken up to and has grown.
    fn has_line_at(&self, byte: u64) -> bool {
        let around = || -> io::Result<bool> {
            let (mut file, before) = (File::open(&self.path)?, byte.saturating_sub(1));
            file.seek(SeekFrom::Start(before))?;
            let mut read = Vec::new();
            file.take(2).read_to_end(&mut read)?;
            let ends = |place: usize| read.get(place).is_none_or(|&byte| byte == b'\n');
            Ok(byte == 0 || ends(0) || ends(1))
        };
        byte <= self.seen.bytes && around().unwrap_or(false)
    }

    fn open(&self, number: u32, offset: &Offset) -> Result<Rest, Stopped> {
        let source = SourceName { number, name: &self.name };
        if self.grows() {
            let mut file = File::open(&self.path)?;
            let mark = if offset.bytes == 0 { mark_of(&mut file)? } else { 0 };
            let begin = file.seek(SeekFrom::Start(offset.bytes + mark))?;
            return Ok(Rest::Lines(Blocks::new(Box::new(file), begin, offset.lines)));
        }
        let (path, name, format) = (self.path.clone(), self.name.clone(), self.format);
        Ok(match (self.table, format) {
            (Some(table), _) => {
                let file = SourceFile { table, path, name, format };
                Rest::Rows(Box::new(TableFile::open(file, source, offset.lines)?))
            }
            (None, Format::Ndjson(compression)) => Rest::Lines(Blocks::new(feed::unpack(&path, compression)?, 0, 0)),
            (None, _) => unreachable!("only files of lines hold messages"),
        })
    }
}

impl Present {
    /// What it tells next; none at its end.
    fn next(&mut self, number: u32) -> Result<Option<Vec<Event>>, Stopped> {
        let Self { found, offset, rest } = self;
        let source = SourceName { number, name: &found.name };
        match rest {
            Rest::Rows(rows) => {
                let batch = rows.next_batch(DECODE_ROWS_MAX)?;
                offset.lines = rows.taken();
                Ok(batch.map(|batch| vec![Event::Facts(batch)]))
            }
            Rest::Lines(blocks) => loop {
                let block = match blocks.next_block() {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    block => block?,
                };
                let Some(block) = block else { return Ok(None) };
                let left = if found.grows() { whole(block) } else { behind(&block, offset.lines) };
                let Some(block) = left else { continue };
                if found.grows() {
                    offset.bytes = block.end;
                }
                offset.lines = block.lines;
                let lines = feed::lines(&block.bytes, block.first_line);
                return Ok(Some(match found.table {
                    Some(table) => feed::decode_rows(source, table, lines).into_iter().map(Event::Facts).collect(),
                    None => feed::decode(source, lines),
                }));
            },
        }
    }
}

impl Source for Watched {
    fn name(&self) -> &str {
        &self.name
    }

    fn resume(&mut self, read: &Offsets) -> Result<(), SourceError> {
        let inside = format!("{}/", self.name.trim_end_matches('/'));
        let mine = read.iter().filter(|(name, _)| name.starts_with(&inside));
        self.read = mine.map(|(name, offset)| (name.clone(), offset.clone())).collect();
        Ok(())
    }

    fn next(&mut self, run: &Running) -> Result<Option<Piece>, SourceError> {
        loop {
            let piece = match self.present {
                Some(_) => self.go_on(),
                None => self.due.pop_front().and_then(|found| self.begin(found)),
            };
            if piece.is_some() {
                return Ok(piece);
            }
            if self.present.is_some() || !self.due.is_empty() {
                continue;
            }
            let micros = 1_000 * WATCH_MILLIS_MIN + WATCH_FILE_MICROS * self.seen.len() as u64;
            if !run.wait(Duration::from_micros(micros)) {
                return Ok(None);
            }
            let notes = self.look();
            if !notes.is_empty() {
                return Ok(Some(Piece { notes, behind: self.waiting(), ..Piece::default() }));
            }
        }
    }
}

/// How long the byte order mark is with which a file begins, if there is one.
fn mark_of(file: &mut File) -> io::Result<u64> {
    let mut begin = Vec::new();
    file.take(3).read_to_end(&mut begin)?;
    Ok(if begin == [0xEF, 0xBB, 0xBF] { 3 } else { 0 })
}

/// What a file holds, by its name and that of its folder.
fn kind(path: &Path, table: Option<Table>) -> Option<(Option<Table>, Format)> {
    let (stem, format) = Format::of_name(path.file_name()?.to_str()?)?;
    let table = table.or_else(|| Table::parse(stem.split(['.', '-']).next()?));
    (table.is_some() || matches!(format, Format::Ndjson(_))).then_some((table, format))
}

/// The whole lines of a block. What stands at the end without an end of line is one if it is JSON: nothing can follow it then; but it
/// is not counted before its end is there.
fn whole(mut block: Block) -> Option<Block> {
    let end = memchr::memrchr(b'\n', &block.bytes).map_or(0, |at| at + 1);
    let last = &block.bytes[end..];
    if last.is_empty() {
        return Some(block);
    }
    block.lines -= 1;
    if serde_json::from_slice::<IgnoredAny>(last).is_err() {
        block.end -= last.len() as u64;
        block.bytes.truncate(end);
    }
    Some(block).filter(|block| !block.bytes.is_empty())
}

/// The lines of a block behind so many.
fn behind(block: &Block, lines: u64) -> Option<Block> {
    let skip = (lines + 1).saturating_sub(block.first_line);
    let mut rest = &block.bytes[..];
    for _ in 0..skip {
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        rest = &rest[end..];
    }
    let bytes = rest.to_vec();
    Some(Block { bytes, first_line: block.first_line + skip, end: block.end, lines: block.lines })
        .filter(|block| !block.bytes.is_empty())
}
