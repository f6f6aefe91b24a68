//! Files of messages, one after the other, and standard input.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::{Offsets, Piece, Running, Source, SourceError};
use crate::engine::Offset;
use crate::ingest::feed::{self, Blocks, SourceName};

/// Files of messages, one after the other; `-` among them is standard input.
pub struct Files {
    name: String,
    /// Those that have not been read to their end, the present one first.
    left: VecDeque<Feed>,
}

struct Feed {
    number: u32,
    name: String,
    blocks: Blocks<Box<dyn Read + Send>>,
    /// Its length, if it is a file, of which it is remembered how far it was read.
    file_bytes: Option<u64>,
}

fn failed(name: impl ToString) -> impl FnOnce(io::Error) -> SourceError {
    move |cause| SourceError::Io { name: name.to_string(), cause }
}

impl Files {
    /// Opens files; with none named it is standard input.
    ///
    /// # Errors
    /// [`SourceError`]: one that cannot be opened.
    pub fn open(paths: &[PathBuf]) -> Result<Self, SourceError> {
        let stdin = [PathBuf::from("-")];
        let paths = if paths.is_empty() { &stdin } else { paths };
        let left = (0..).zip(paths).map(|(number, path)| Feed::open(number, path)).collect::<Result<_, _>>()?;
        let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        Ok(Self { name: names.join(", "), left })
    }
}

impl Feed {
    fn open(number: u32, path: &Path) -> Result<Self, SourceError> {
        if path.as_os_str() == "-" {
            let blocks = Blocks::new(Box::new(io::stdin()) as Box<dyn Read + Send>, 0, 0);
            return Ok(Self { number, name: "-".to_owned(), blocks, file_bytes: None });
        }
        let name = path.canonicalize().map_err(failed(path.display()))?.display().to_string();
        let file = File::open(path).map_err(failed(&name))?;
        let meta = file.metadata().map_err(failed(&name))?;
        let file_bytes = meta.is_file().then_some(meta.len());
        Ok(Self { number, name, blocks: Blocks::new(Box::new(file), 0, 0), file_bytes })
    }

    fn resume(&mut self, read: &Offsets) -> Result<(), SourceError> {
        let (Some(bytes), Some(offset)) = (self.file_bytes, read.get(&self.name)) else { return Ok(()) };
        if bytes < offset.bytes {
            return Err(SourceError::Shrunk { name: self.name.clone(), bytes, read: offset.bytes });
        }
        let mut file = File::open(&self.name).map_err(failed(&self.name))?;
        file.seek(SeekFrom::Start(offset.bytes)).map_err(failed(&self.name))?;
        self.blocks = Blocks::new(Box::new(file), offset.bytes, offset.lines);
        Ok(())
    }
}

impl Source for Files {
    fn name(&self) -> &str {
        &self.name
    }

    fn resume(&mut self, read: &Offsets) -> Result<(), SourceError> {
        self.left.iter_mut().try_for_each(|feed| feed.resume(read))
    }

    fn next(&mut self, _: &Running) -> Result<Option<Piece>, SourceError> {
        while let Some(Feed { number, name, blocks, file_bytes }) = self.left.front_mut() {
            let block = match blocks.next_block() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                block => block.map_err(failed(&*name))?,
            };
            let Some(block) = block else {
                self.left.pop_front();
                continue;
            };
            let events =
                feed::decode(SourceName { number: *number, name }, feed::lines(&block.bytes, block.first_line));
            let offset = Offset { bytes: block.end, lines: block.lines, ..Offset::begin(name) };
            let behind = file_bytes.map_or(0, |bytes| bytes.saturating_sub(block.end));
            return Ok(Some(Piece { events, offset: file_bytes.map(|_| offset), behind, ..Piece::default() }));
        }
        Ok(None)
    }
}
