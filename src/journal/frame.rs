//! Bytes of headers and frames: written, walked over, found again behind damage.

use twox_hash::XxHash3_64;

use super::Position;
use crate::limits::JOURNAL_FRAME_BYTES_MAX;

const HEADER_MAGIC: [u8; 8] = *b"SANMAJNL";
const VERSION: u32 = 1;
/// Bytes of a segment's header.
pub(super) const HEADER_BYTES: usize = 32;

const FRAME_MAGIC: [u8; 4] = *b"SMF\x01";
/// Bytes of a frame before the lengths of its payloads.
const HEAD_BYTES: usize = 20;
const CHECKSUM_BYTES: usize = 8;

/// Where bytes stop making sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bad {
    /// First byte of what is not whole.
    pub(super) offset: usize,
    /// Position that should have come.
    pub(super) next: Position,
    /// In what way.
    pub(super) detail: &'static str,
}

/// A segment that is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whole {
    /// Position of the payload that will follow.
    pub(super) next: Position,
    /// Bytes.
    pub(super) end: usize,
}

/// The header of a segment.
pub(super) fn header(first: Position) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(&HEADER_MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[16..24].copy_from_slice(&first.0.to_le_bytes());
    let checksum = XxHash3_64::oneshot(&header[..24]);
    header[24..].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// Encodes a group. Its payloads, with 4 bytes for the length of each, fit [`JOURNAL_FRAME_BYTES_MAX`].
pub(super) fn encode(out: &mut Vec<u8>, first: Position, payloads: &[impl AsRef<[u8]>]) {
    let short = |length: usize| u32::try_from(length).expect("a frame's lengths are bounded").to_le_bytes();
    let bytes: usize = payloads.iter().map(|payload| payload.as_ref().len() + 4).sum();
    out.clear();
    out.extend_from_slice(&FRAME_MAGIC);
    out.extend_from_slice(&short(bytes + CHECKSUM_BYTES));
    out.extend_from_slice(&first.0.to_le_bytes());
    out.extend_from_slice(&short(payloads.len()));
    for payload in payloads {
        out.extend_from_slice(&short(payload.as_ref().len()));
    }
    for payload in payloads {
        out.extend_from_slice(payload.as_ref());
    }
    let checksum = XxHash3_64::oneshot(out);
    out.extend_from_slice(&checksum.to_le_bytes());
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// A frame with the right checksum.
struct Frame<'a> {
    first: Position,
    lengths: &'a [u8],
    payloads: &'a [u8],
    bytes: usize,
}

/// The frame that some bytes begin with.
fn frame(bytes: &[u8]) -> Result<Frame<'_>, &'static str> {
    if bytes.len() < HEAD_BYTES {
        return Err("a frame is cut short");
    }
    if bytes[..4] != FRAME_MAGIC {
        return Err("no frame begins here");
    }
    let (rest, first, count) = (u32_at(bytes, 4) as usize, Position(u64_at(bytes, 8)), u32_at(bytes, 16) as usize);
    if !(CHECKSUM_BYTES..=JOURNAL_FRAME_BYTES_MAX + CHECKSUM_BYTES).contains(&rest) {
        return Err("a frame has an impossible length");
    }
    let end = HEAD_BYTES + rest;
    if bytes.len() < end {
        return Err("a frame is cut short");
    }
    let (body, checksum) = bytes[..end].split_at(end - CHECKSUM_BYTES);
    if XxHash3_64::oneshot(body) != u64_at(checksum, 0) {
        return Err("a frame has a wrong checksum");
    }
    let rest = &body[HEAD_BYTES..];
    let (lengths, payloads) = rest.split_at_checked(count * 4).ok_or("a frame has more payloads than bytes")?;
    let sum: usize = lengths.chunks_exact(4).map(|length| u32_at(length, 0) as usize).sum();
    if count == 0 || sum != payloads.len() {
        return Err("a frame's payloads do not fill it");
    }
    Ok(Frame { first, lengths, payloads, bytes: end })
}

fn check_header(bytes: &[u8], first: Position) -> Result<(), &'static str> {
    if bytes.len() < HEADER_BYTES {
        return Err("its header is cut short");
    }
    if bytes[..8] != HEADER_MAGIC {
        return Err("it is no segment of a journal");
    }
    if XxHash3_64::oneshot(&bytes[..24]) != u64_at(bytes, 24) {
        return Err("its header has a wrong checksum");
    }
    if u32_at(bytes, 8) != VERSION {
        return Err("it is of another version");
    }
    if u64_at(bytes, 16) != first.0 {
        return Err("it is named after another position than its header says");
    }
    Ok(())
}

/// Shows the payloads of a segment, up to the first thing that is not whole. The visitor's error ends the walk.
pub(super) fn walk<E>(
    bytes: &[u8],
    first: Position,
    mut visit: impl FnMut(Position, &[u8]) -> Result<(), E>,
) -> Result<Result<Whole, Bad>, E> {
    let mut next = first;
    if let Err(detail) = check_header(bytes, first) {
        return Ok(Err(Bad { offset: 0, next, detail }));
    }
    let mut offset = HEADER_BYTES;
    while offset < bytes.len() {
        let frame = match frame(&bytes[offset..]) {
            Ok(frame) if frame.first == next => frame,
            Ok(_) => return Ok(Err(Bad { offset, next, detail: "a frame is of another position" })),
            Err(detail) => return Ok(Err(Bad { offset, next, detail })),
        };
        let mut payloads = frame.payloads;
        for length in frame.lengths.chunks_exact(4) {
            let payload;
            (payload, payloads) = payloads.split_at(u32_at(length, 0) as usize);
            visit(next, payload)?;
            next = next.next();
        }
        offset += frame.bytes;
    }
    Ok(Ok(Whole { next, end: offset }))
}

/// Whether behind damage there is a whole frame of a later position: then the damage is not the end of what was written.
pub(super) fn whole_after(bytes: &[u8], offset: usize, next: Position) -> bool {
    let rest = &bytes[offset.min(bytes.len())..];
    memchr::memmem::find_iter(rest, &FRAME_MAGIC)
        .any(|at| frame(&rest[at..]).is_ok_and(|frame| frame.first > next || at > 0 && frame.first == next))
}
