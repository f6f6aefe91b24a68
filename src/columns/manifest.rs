//! What columns say of themselves: what they are of, and their files with checksums.
//!
//! The one idea: a line of JSON, and the checksum of that line on the next; all else is checked against what the line says.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

/// Number of the form of manifest and columns. To be raised with every change of what columns hold, how they are ordered or which
/// rows are refused.
pub(super) const VERSION: u32 = 4;

/// Bytes that are summed up by one task of the pool.
const PIECE_BYTES: usize = 1 << 22;

/// What is written of columns as a whole; they are of `K`.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Manifest<K> {
    /// [`VERSION`].
    pub(super) version: u32,
    /// Version of the program, which may read files otherwise than an earlier one.
    pub(super) engine: String,
    /// What they are of.
    pub(super) of: K,
    /// The columns, by group and name.
    pub(super) columns: BTreeMap<String, Entry>,
    /// What is kept beside them.
    pub(super) beside: Entry,
}

/// Of a manifest only what one of any version says.
#[derive(Debug, Deserialize)]
pub(super) struct Head {
    pub(super) version: u32,
    pub(super) engine: String,
}

/// A file of columns.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Entry {
    /// Its name; none if it would be empty.
    pub(super) file: Option<String>,
    /// Its length.
    pub(super) bytes: u64,
    /// Bytes of each of its values.
    pub(super) value_bytes: usize,
    /// Its [`checksum`], in hexadecimal digits.
    pub(super) checksum: String,
}

/// The checksum of bytes: XXH3 of the XXH3 of each piece. Cost: a read at the speed of memory, by all threads.
pub(super) fn checksum(bytes: &[u8]) -> String {
    let pieces: Vec<[u8; 8]> =
        bytes.par_chunks(PIECE_BYTES).map(|piece| XxHash3_64::oneshot(piece).to_le_bytes()).collect();
    format!("{:016x}", XxHash3_64::oneshot(pieces.as_flattened()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_sees_every_byte_and_the_order_of_pieces() {
        let mut bytes = vec![7u8; 2 * PIECE_BYTES + 1];
        let before = checksum(&bytes);
        for place in [0, PIECE_BYTES - 1, PIECE_BYTES, 2 * PIECE_BYTES] {
            bytes[place] ^= 1;
            assert_ne!(checksum(&bytes), before, "{place}");
            bytes[place] ^= 1;
        }
        bytes[0] = 8;
        let first = checksum(&bytes);
        bytes[0] = 7;
        bytes[PIECE_BYTES] = 8;
        assert_ne!(checksum(&bytes), first);
        assert_ne!(checksum(&bytes[1..]), checksum(&bytes));
    }
}
