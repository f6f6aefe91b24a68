//! Why a journal cannot be used.

use std::io;

/// Why a journal cannot be opened, read or added to.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The system said no.
    #[error("{file}: {cause}")]
    Io {
        /// The file or folder.
        file: String,
        /// What the system said.
        cause: io::Error,
    },
    /// Another process has the journal open.
    #[error("{folder} is in use by another process")]
    Locked {
        /// The folder.
        folder: String,
    },
    /// Something that was acknowledged cannot be read.
    #[error("{segment} is damaged at byte {offset}: {detail}. Nothing was changed; bring the file back from a backup")]
    Damaged {
        /// Name of the file.
        segment: String,
        /// Where in it.
        offset: u64,
        /// In what way.
        detail: &'static str,
    },
    /// A position was asked for that has been dropped.
    #[error("position {position} is not in the journal any more, which begins at {first}")]
    Dropped {
        /// The position.
        position: u64,
        /// The first one that is there.
        first: u64,
    },
    /// A group failed before, and since then nothing is added.
    #[error("nothing is added to the journal since a failure ({first}); start again once its cause is mended")]
    Shut {
        /// The failure.
        first: String,
    },
    /// A group longer than a frame may be.
    #[error("a group of {bytes} bytes is too long for the journal")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
}
