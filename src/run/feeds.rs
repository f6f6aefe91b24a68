//! Feeds that are files, and standard input: opened, read from where the journal says, decoded.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::PathBuf;

use crossbeam_channel::Sender;

use super::RunError;
use crate::engine::{City, Offset};
use crate::ingest::feed::{self, Blocks, Event, Source};

/// A feed that is open.
pub(super) struct Feed {
    number: u32,
    name: String,
    reader: Box<dyn Read + Send>,
    /// Its length, if it is a file, of which it is remembered how far it was read.
    file_bytes: Option<u64>,
    bytes: u64,
    lines: u64,
}

pub(super) fn open_feeds(paths: &[PathBuf]) -> Result<Vec<Feed>, RunError> {
    let stdin = || Feed {
        number: 0,
        name: "-".to_owned(),
        reader: Box::new(io::stdin()),
        file_bytes: None,
        bytes: 0,
        lines: 0,
    };
    if paths.is_empty() {
        return Ok(vec![stdin()]);
    }
    let open = |(number, path): (u32, &PathBuf)| {
        if path.as_os_str() == "-" {
            return Ok(Feed { number, ..stdin() });
        }
        let fail = |cause| RunError::Feed { feed: path.display().to_string(), cause };
        let name = path.canonicalize().map_err(fail)?.display().to_string();
        let file = File::open(path).map_err(fail)?;
        let meta = file.metadata().map_err(fail)?;
        let file_bytes = meta.is_file().then_some(meta.len());
        Ok(Feed { number, name, reader: Box::new(file), file_bytes, bytes: 0, lines: 0 })
    };
    (0..).zip(paths).map(open).collect()
}

pub(super) fn skip_what_was_read(mut feeds: Vec<Feed>, city: &City) -> Result<Vec<Feed>, RunError> {
    for feed in &mut feeds {
        let (Some(bytes), Some(offset)) = (feed.file_bytes, city.offset(&feed.name)) else { continue };
        if bytes < offset.bytes {
            return Err(RunError::Shrunk { feed: feed.name.clone(), bytes, read: offset.bytes });
        }
        let fail = |cause| RunError::Feed { feed: feed.name.clone(), cause };
        let mut file = File::open(&feed.name).map_err(fail)?;
        file.seek(SeekFrom::Start(offset.bytes)).map_err(fail)?;
        (feed.reader, feed.bytes, feed.lines) = (Box::new(file), offset.bytes, offset.lines);
    }
    Ok(feeds)
}

/// What one read of a feed told.
pub(super) struct Piece {
    pub(super) events: Vec<Event>,
    pub(super) offset: Option<Offset>,
}

pub(super) fn read_feeds(feeds: Vec<Feed>, sender: &Sender<Result<Piece, RunError>>) {
    for Feed { number, name, reader, file_bytes, bytes, lines } in feeds {
        let mut blocks = Blocks::new(reader, bytes, lines);
        loop {
            let piece = match blocks.next_block() {
                Ok(None) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(cause) => Err(RunError::Feed { feed: name.clone(), cause }),
                Ok(Some(block)) => {
                    let source = Source { number, name: &name };
                    let events = feed::decode(source, feed::lines(&block.bytes, block.first_line));
                    let offset = Offset { source: name.clone(), bytes: block.end, lines: block.lines };
                    Ok(Piece { events, offset: file_bytes.map(|_| offset) })
                }
            };
            // Whoever does not listen any more has ended the run.
            if sender.send(piece).is_err() {
                return;
            }
        }
    }
}
