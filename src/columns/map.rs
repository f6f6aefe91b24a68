//! A file as memory.
#![expect(unsafe_code, reason = "a mapping is as sound as the file is left alone; see the block")]

use std::fs::File;

use arrow::buffer::Buffer;
use bytes::Bytes;
use memmap2::Mmap;

/// The bytes of a file, which is mapped. Cost: a call; pages come when they are read.
///
/// # Errors
/// The system's refusal.
pub(super) fn map(file: &File) -> std::io::Result<Buffer> {
    // SAFETY: the file is one of columns, which this program writes under another name, renames when it is whole, and never
    // writes again: to replace it is to name another file so. Who cuts it short from outside while it is mapped ends the
    // process (SIGBUS), as with any program that is mapped.
    let mapped = unsafe { Mmap::map(file)? };
    Ok(Buffer::from(Bytes::from_owner(mapped)))
}
