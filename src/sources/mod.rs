//! Where messages come from: files and standard input, a folder that is watched.
//!
//! The one idea: a source is asked for its next piece by a thread of its own, and all of them feed one bounded channel, so that a
//! slow disk or a slow reader of the changes slows the sources and nothing else. A piece says how far its source has been read
//! with it; that is journalled with what it told, so that a source which can be gone back in never counts anything twice.
//!
//! Invariant: what a source gives it gives in order; what it cannot read is refused or told, never passed over.

mod apart;
mod files;
mod watched;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use crate::engine::Offset;
use crate::ingest::feed::Event;
use crate::limits::FEED_BLOCKS_PENDING_MAX;

pub use apart::check_apart;
pub use files::Files;
pub use watched::Watched;

/// How far sources have been read, by name.
pub type Offsets = BTreeMap<String, Offset>;

/// What one read of a source told.
#[derive(Debug, Default)]
pub struct Piece {
    /// Facts and ticks, in order.
    pub events: Vec<Event>,
    /// How far the source has been read with these, if it can be gone back in.
    pub offset: Option<Offset>,
    /// What looked odd, in words.
    pub notes: Vec<String>,
    /// Bytes that are known to be there and have not been read.
    pub behind: u64,
}

/// Why a source cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It cannot be read.
    #[error("{name}: {cause}")]
    Io {
        /// Its name.
        name: String,
        /// What the system says.
        cause: io::Error,
    },
    /// What reads it has given up.
    #[error("{name}: what reads it has failed, which is a fault of this program")]
    Failed {
        /// Its name.
        name: String,
    },
    /// It is a part of another source, or the other of it: what is there would be taken twice.
    #[error("{name} is in {other}, and both are followed: what is there would be taken twice")]
    Twice {
        /// Its name.
        name: String,
        /// Name of the other one.
        other: String,
    },
    /// What the run itself writes is in it.
    #[error("{name} is watched, and the run writes to {path}: it would take what it tells itself")]
    Own {
        /// Its name.
        name: String,
        /// What the run writes there.
        path: String,
    },
    /// A file of messages has become shorter than what was read of it.
    #[error("{name} has {bytes} bytes, but {read} of them have been read: it is another file than before")]
    Shrunk {
        /// Its name.
        name: String,
        /// How long it is.
        bytes: u64,
        /// How far it was read.
        read: u64,
    },
}

/// Something that tells of facts. A broker's topic is one as well as a file: what it calls a position is an [`Offset`] here.
pub trait Source: Send {
    /// What it is called, where how far it has been read is told.
    fn name(&self) -> &str;

    /// Goes on behind what has been read of it. Called once, before the first piece is asked for.
    ///
    /// # Errors
    /// [`SourceError`]: it is not what was read before.
    fn resume(&mut self, read: &Offsets) -> Result<(), SourceError>;

    /// The next piece, waiting for it as long as nobody has ended the run; none if there is no more, now or ever.
    ///
    /// # Errors
    /// [`SourceError`]; nothing more is asked of it then.
    fn next(&mut self, run: &Running) -> Result<Option<Piece>, SourceError>;
}

/// A piece, and the source that it is of.
#[derive(Debug)]
pub struct Told {
    /// Number of the source, from 0.
    pub source: usize,
    /// The piece, or why there is none.
    pub piece: Result<Piece, SourceError>,
}

/// Whether there still is a run that listens.
#[derive(Debug)]
pub struct Running(Receiver<Infallible>);

impl Running {
    /// Waits; gives whether the run goes on.
    #[must_use]
    pub fn wait(&self, time: Duration) -> bool {
        matches!(self.0.recv_timeout(time), Err(RecvTimeoutError::Timeout))
    }
}

/// Sources that are followed.
#[derive(Debug)]
pub struct Followed {
    /// What they are called.
    pub names: Vec<String>,
    /// What they tell; it ends when all of them have.
    pub told: Receiver<Told>,
    /// As long as this is there the run goes on.
    _running: Sender<Infallible>,
}

/// Follows sources, a thread each.
#[must_use]
pub fn follow(sources: Vec<Box<dyn Source>>) -> Followed {
    let (sender, told) = crossbeam_channel::bounded(FEED_BLOCKS_PENDING_MAX);
    let (running, ended) = crossbeam_channel::bounded(0);
    let names = sources.iter().map(|source| source.name().to_owned()).collect();
    for (number, source) in sources.into_iter().enumerate() {
        let (sender, running) = (sender.clone(), Running(ended.clone()));
        // Not joined: it may wait for ever for a line that nobody writes.
        std::thread::spawn(move || give(number, source, &sender, &running));
    }
    Followed { names, told, _running: running }
}

fn give(source: usize, mut from: Box<dyn Source>, sender: &Sender<Told>, run: &Running) {
    // A source that has failed has not ended.
    let name = from.name().to_owned();
    let failed = |_| Err(SourceError::Failed { name: name.clone() });
    let mut next = || catch_unwind(AssertUnwindSafe(|| from.next(run))).unwrap_or_else(failed);
    while let Some(piece) = next().transpose() {
        let is_last = piece.is_err();
        // Whoever does not listen any more has ended the run.
        if sender.send(Told { source, piece }).is_err() || is_last {
            return;
        }
    }
}
