//! Bytes to runs of whole lines.
//!
//! The one idea: a run is what one read gave, cut at its last line's end: where much is waiting runs are long, where little
//! is a message is not kept back.

use std::io::{self, Read};

use crate::limits::{FEED_BLOCK_BYTES, FEED_MESSAGE_BYTES_MAX};

/// Whole lines of a feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// The lines, with their ends.
    pub bytes: Vec<u8>,
    /// Number of the first one, from 1.
    pub first_line: u64,
    /// Bytes of the feed up to the end of these.
    pub end: u64,
    /// Lines of the feed up to the end of these.
    pub lines: u64,
}

/// Reads a feed block by block. A line that is longer than a message may be is cut, so that it is refused and not held.
#[derive(Debug)]
pub struct Blocks<R> {
    feed: R,
    /// What has been read and is no whole line yet.
    rest: Vec<u8>,
    /// The line that `rest` holds has been cut.
    skips: bool,
    read: u64,
    lines: u64,
    ended: bool,
}

impl<R: Read> Blocks<R> {
    /// A feed of which so many bytes and lines have been read.
    pub const fn new(feed: R, read: u64, lines: u64) -> Self {
        Self { feed, rest: Vec::new(), skips: false, read, lines, ended: false }
    }

    /// The next lines; none at the feed's end. What stands there without an end of line counts as a line.
    ///
    /// # Errors
    /// What the feed says; an interruption is one if nothing was read.
    pub fn next_block(&mut self) -> io::Result<Option<Block>> {
        let mut chunk = vec![0; FEED_BLOCK_BYTES];
        while !self.ended {
            let length = self.feed.read(&mut chunk)?;
            let read = &chunk[..length];
            self.read += length as u64;
            let whole = match memchr::memrchr(b'\n', read) {
                None if length == 0 => {
                    self.ended = true;
                    if self.rest.is_empty() {
                        break;
                    }
                    self.rest.len()
                }
                None => {
                    self.hold(read);
                    continue;
                }
                Some(last) => {
                    let first = memchr::memchr(b'\n', read).unwrap_or(last);
                    self.hold(&read[..first]);
                    self.skips = false;
                    self.rest.extend_from_slice(&read[first..]);
                    self.rest.len() - (length - last - 1)
                }
            };
            let later = self.rest.split_off(whole);
            let bytes = std::mem::replace(&mut self.rest, later);
            let first_line = self.lines + 1;
            self.lines += memchr::memchr_iter(b'\n', &bytes).count() as u64 + u64::from(!bytes.ends_with(b"\n"));
            return Ok(Some(Block { bytes, first_line, end: self.read - self.rest.len() as u64, lines: self.lines }));
        }
        Ok(None)
    }

    /// Adds to the line that is not whole yet, as far as it may be a message.
    fn hold(&mut self, part: &[u8]) {
        let room = if self.skips { 0 } else { (FEED_MESSAGE_BYTES_MAX + 1).saturating_sub(self.rest.len()) };
        self.rest.extend_from_slice(&part[..part.len().min(room)]);
        self.skips |= part.len() > room;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(self.0.len()).min(into.len());
            let (now, later) = self.0.split_at(length);
            into[..length].copy_from_slice(now);
            self.0 = later;
            Ok(length)
        }
    }

    #[test]
    fn lines_come_whole_and_numbered_however_they_are_read() {
        let text = b"one\n\ntwo\r\nthree and more\nlast";
        for step in 1..=text.len() {
            let mut blocks = Blocks::new(Slow(text, step), 0, 0);
            let (mut all, mut lines) = (Vec::new(), 0);
            while let Some(block) = blocks.next_block().expect("memory") {
                assert_eq!(block.first_line, lines + 1);
                lines = block.lines;
                all.extend_from_slice(&block.bytes);
                assert_eq!(block.end, all.len() as u64, "{step}");
                assert!(block.bytes.ends_with(b"\n") || all.len() == text.len());
            }
            assert_eq!((&all[..], lines), (&text[..], 5));
            assert_eq!(blocks.next_block().expect("memory"), None);
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_the_next_is_whole() {
        let mut text = vec![b'x'; 3 * FEED_MESSAGE_BYTES_MAX];
        text.extend_from_slice(b"\nnext\n");
        for step in [1 << 12, 1 << 20, text.len()] {
            let mut blocks = Blocks::new(Slow(&text, step), 0, 0);
            let mut lines = Vec::new();
            while let Some(block) = blocks.next_block().expect("memory") {
                lines.extend(block.bytes.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::len));
                assert!(block.end <= text.len() as u64);
            }
            assert_eq!(lines, [FEED_MESSAGE_BYTES_MAX + 2, 5], "{step}");
        }
    }
}
